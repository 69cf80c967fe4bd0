package sandbox

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"
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

// tap sees the requests that kfake reads and the responses that it writes, and
// amends some of these.
type tap struct {
	net.Conn
	log    *commitLog
	refuse func(kmsg.Key) error
	lose   func(kmsg.Key) error
	silent func(kmsg.Request) bool
	answer answerFunc

	in  bytes.Buffer // a request that kfake has not read yet; used by its one reader
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

// maxRequest is how long a request may be, in bytes, as Kafka has it by default
// (socket.request.max.bytes).
const maxRequest = 100 << 20

// Read gives kfake whole requests only, and only such as it can parse: it takes
// memory for what a length says, and a request that it does not know ends the
// process. Each is looked at first.
func (t *tap) Read(p []byte) (int, error) {
	for t.in.Len() == 0 {
		var size [4]byte
		if _, err := io.ReadFull(t.Conn, size[:]); err != nil {
			return 0, err
		}
		n := int32(binary.BigEndian.Uint32(size[:]))
		if n < 0 || n > maxRequest {
			return 0, fmt.Errorf("a request of %d bytes", n)
		}
		t.in.Write(size[:])
		// The buffer grows with what has really come.
		if _, err := io.CopyN(&t.in, t.Conn, int64(n)); err != nil {
			t.in.Reset()
			return 0, err
		}
		if err := t.request(t.in.Bytes()[4:]); err != nil {
			t.in.Reset()
			return 0, err
		}
	}
	return t.in.Read(p)
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
		frame, err := t.response(frame)
		if err != nil {
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

// parseRequest takes a request apart; an error is one that Kafka would close the
// connection on.
func parseRequest(frame []byte) (req kmsg.Request, corr int32, clientID *string, err error) {
	r := kbin.Reader{Src: frame}
	key, version, corr := r.Int16(), r.Int16(), r.Int32()
	clientID = r.NullableString()
	req = kmsg.RequestForKey(key)
	if req == nil || !r.Ok() {
		return nil, 0, nil, fmt.Errorf("no request: %d", key)
	}
	// What is asked of ApiVersions in a newer version is answered.
	if version < 0 || version > req.MaxVersion() && kmsg.Key(key) != kmsg.ApiVersions {
		return nil, 0, nil, fmt.Errorf("request %d in version %d", key, version)
	}
	req.SetVersion(version)
	if req.IsFlexible() {
		kmsg.SkipTags(&r)
	}
	return req, corr, clientID, req.ReadFrom(r.Src)
}

// plausible refuses what kfake does not survive, and no client sends: records for
// the same partition of two topics whose ids it does not know.
func (t *tap) plausible(req kmsg.Request) error {
	produce, ok := req.(*kmsg.ProduceRequest)
	if !ok || len(produce.Topics) < 2 {
		return nil
	}
	known := map[int32][16]byte{}
	for _, topic := range produce.Topics {
		for _, p := range topic.Partitions {
			id, seen := known[p.Partition]
			if seen && topic.Topic == "" && id != topic.TopicID && (t.log.cluster.TopicIDInfo(id) == nil || t.log.cluster.TopicIDInfo(topic.TopicID) == nil) {
				return fmt.Errorf("partition %d of a topic that does not exist, and of another", p.Partition)
			}
			known[p.Partition] = topic.TopicID
		}
	}
	return nil
}

// request remembers a request whose answer the commit log cares about, or is
// amended.
func (t *tap) request(frame []byte) error {
	req, corr, clientID, err := parseRequest(frame)
	if err != nil {
		return err
	}
	if err := t.plausible(req); err != nil {
		return err
	}
	key := kmsg.Key(req.Key())
	own := clientID != nil && *clientID == ownClientID
	if t.refuse != nil && !own {
		if err := t.refuse(key); err != nil {
			return err
		}
	}
	if t.answer != nil && !own && clientID != nil {
		t.mu.Lock()
		t.asked[corr] = askedRequest{key, req.GetVersion(), *clientID}
		t.mu.Unlock()
	}
	wants := t.log.wants(key)
	silent := t.silent != nil && !own && t.silent(req)
	if !wants && !silent && !amended(key) {
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

// response is told every answer, and returns what is sent in its stead.
func (t *tap) response(frame []byte) ([]byte, error) {
	r := kbin.Reader{Src: frame}
	corr := r.Int32()
	t.mu.Lock()
	p, ok := t.pending[corr]
	delete(t.pending, corr)
	t.mu.Unlock()
	if !ok {
		return frame, nil
	}
	key := kmsg.Key(p.req.Key())
	wants := t.log.wants(key)
	if t.mute = t.mute || p.silent; t.mute && !wants {
		return nil, nil
	}
	resp := p.req.ResponseKind()
	resp.SetVersion(p.req.GetVersion())
	if resp.IsFlexible() {
		kmsg.SkipTags(&r)
	}
	if err := resp.ReadFrom(r.Src); err != nil {
		return nil, fmt.Errorf("parsing kfake's answer to request %d: %w", key, err)
	}
	if amended(key) {
		<-t.log.ready
		t.log.amend(p.req, resp)
		frame = resp.AppendTo(slices.Clone(frame[:len(frame)-len(r.Src)]))
	}
	if !wants {
		return frame, nil
	}
	if err := t.log.answered(p, resp); err != nil || t.lose == nil || p.clientID == ownClientID {
		return frame, err
	}
	return frame, t.lose(key)
}
