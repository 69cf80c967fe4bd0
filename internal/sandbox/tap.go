package sandbox

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// tapListener puts a tap on every connection.
type tapListener struct {
	net.Listener
	addr   net.Addr
	log    *commitLog
	refuse func(kmsg.Key) error
	lose   func(kmsg.Key) error
	silent func(kmsg.Request) bool
	answer answerFunc
}

// answerFunc is [Options.Answer].
type answerFunc func(w io.Writer, key kmsg.Key, version int16, clientID string, frame []byte) error

func (l *tapListener) Addr() net.Addr { return l.addr }

func (l *tapListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &tap{Conn: conn, log: l.log, refuse: l.refuse, lose: l.lose, silent: l.silent, answer: l.answer, pending: map[int32]pendingRequest{}, asked: map[int32]askedRequest{}}, nil
}

// tap sees the requests that kfake reads and the responses that it writes.
type tap struct {
	net.Conn
	log    *commitLog
	refuse func(kmsg.Key) error
	lose   func(kmsg.Key) error
	silent func(kmsg.Request) bool
	answer answerFunc

	in  bytes.Buffer // request bytes not yet parsed; used by kfake's one reader
	out bytes.Buffer // response bytes not yet complete; used by its one writer

	mu      sync.Mutex
	mute    bool                     // a request was not answered
	pending map[int32]pendingRequest // by correlation id
	asked   map[int32]askedRequest   // with an answerFunc only
}

// askedRequest is what an answerFunc is told of a request.
type askedRequest struct {
	key      kmsg.Key
	version  int16
	clientID string
}

// pendingRequest is a request of interest whose answer is awaited.
type pendingRequest struct {
	req      kmsg.Request
	clientID string
	// before is what must be known from before the request is carried out.
	before any
	// silent: it is not answered.
	silent bool
}

// Read gives kfake the client's bytes, and looks at complete requests first.
func (t *tap) Read(p []byte) (int, error) {
	n, err := t.Conn.Read(p)
	if n > 0 {
		t.in.Write(p[:n])
		for {
			frame, ok := nextFrame(&t.in)
			if !ok {
				break
			}
			if err := t.request(frame); err != nil {
				return 0, err
			}
		}
	}
	return n, err
}

// Write gets kfake's responses, and sends each on when the commit log has what
// follows from it. If the log cannot be written the connection breaks, as with
// a coordinator that fails: the client has to ask again.
func (t *tap) Write(p []byte) (int, error) {
	t.out.Write(p)
	for {
		frame, ok := nextFrame(&t.out)
		if !ok {
			return len(p), nil
		}
		if err := t.response(frame); err != nil {
			t.Conn.Close()
			return 0, err
		}
		if t.mute {
			continue
		}
		if t.answer != nil && len(frame) >= 4 {
			corr := int32(binary.BigEndian.Uint32(frame))
			t.mu.Lock()
			asked, known := t.asked[corr]
			delete(t.asked, corr)
			t.mu.Unlock()
			if known {
				if err := t.answer(t.Conn, asked.key, asked.version, asked.clientID, frame); err != nil {
					t.Conn.Close()
					return 0, err
				}
				continue
			}
		}
		size := binary.BigEndian.AppendUint32(nil, uint32(len(frame)))
		if _, err := (&net.Buffers{size, frame}).WriteTo(t.Conn); err != nil {
			return 0, err
		}
	}
}

// nextFrame takes a complete frame, without its size, off the buffer.
func nextFrame(b *bytes.Buffer) ([]byte, bool) {
	if b.Len() < 4 {
		return nil, false
	}
	size := int(binary.BigEndian.Uint32(b.Bytes()))
	if b.Len() < 4+size {
		return nil, false
	}
	b.Next(4)
	return bytes.Clone(b.Next(size)), true
}

// request remembers a request that the commit log cares about. One that
// cannot be parsed is left to kfake, which closes the connection on it.
func (t *tap) request(frame []byte) error {
	r := kbin.Reader{Src: frame}
	key, version, corr := r.Int16(), r.Int16(), r.Int32()
	clientID := r.NullableString()
	if t.refuse != nil && (clientID == nil || *clientID != ownClientID) {
		if err := t.refuse(kmsg.Key(key)); err != nil {
			return err
		}
	}
	own := clientID != nil && *clientID == ownClientID
	if t.answer != nil && !own && clientID != nil {
		t.mu.Lock()
		t.asked[corr] = askedRequest{kmsg.Key(key), version, *clientID}
		t.mu.Unlock()
	}
	wants := t.log.wants(kmsg.Key(key))
	if !wants && (t.silent == nil || own) {
		return nil
	}
	req := kmsg.RequestForKey(key)
	req.SetVersion(version)
	if req.IsFlexible() {
		kmsg.SkipTags(&r)
	}
	if err := req.ReadFrom(r.Src); err != nil {
		return nil
	}
	silent := t.silent != nil && !own && t.silent(req)
	if !wants && !silent {
		return nil
	}
	p := pendingRequest{req: req, silent: silent}
	if wants {
		p.before = t.log.before(req)
	}
	if clientID != nil {
		p.clientID = *clientID
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pending[corr] = p
	return nil
}

func (t *tap) response(frame []byte) error {
	r := kbin.Reader{Src: frame}
	corr := r.Int32()
	t.mu.Lock()
	p, ok := t.pending[corr]
	delete(t.pending, corr)
	t.mu.Unlock()
	if !ok {
		return nil
	}
	if t.mute = t.mute || p.silent; t.mute && !t.log.wants(kmsg.Key(p.req.Key())) {
		return nil
	}
	resp := p.req.ResponseKind()
	resp.SetVersion(p.req.GetVersion())
	if resp.IsFlexible() {
		kmsg.SkipTags(&r)
	}
	if err := resp.ReadFrom(r.Src); err != nil {
		return fmt.Errorf("parsing kfake's answer to request %d: %w", p.req.Key(), err)
	}
	if err := t.log.answered(p, resp); err != nil || t.lose == nil || p.clientID == ownClientID {
		return err
	}
	return t.lose(kmsg.Key(p.req.Key()))
}
