package connect

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// dialer connects to brokers, and remembers how that went: kgo wraps or drops
// the errors, and the user needs them all.
type dialer struct {
	tls *tls.Config // nil: without
	// limit bounds each step of setting up a connection: to connect, the TLS
	// handshake, the first answer.
	limit time.Duration

	mu sync.Mutex
	// last is how the last attempt went, by address; nil for well.
	last map[string]error
	// hung is until when brokers that took a connection and kept silent are left
	// alone.
	hung map[string]time.Time
}

// newDialer takes for its limit a small part of the time that the work has, so
// that another broker can be asked.
func newDialer(o Options) *dialer {
	limit := min(o.Timeout, max(time.Second, min(3*time.Second, o.Timeout/4)))
	return &dialer{tls: o.Config.TLS, limit: cmp.Or(o.Config.DialTimeout, limit), last: map[string]error{}, hung: map[string]time.Time{}}
}

// dial connects, with TLS if there is a configuration of it, so that what goes
// wrong with either is told of the address.
func (d *dialer) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if d.isHung(addr) {
		// The kind of error after which kgo asks another broker.
		return nil, &net.OpError{Op: "dial", Net: network, Err: os.ErrDeadlineExceeded}
	}
	conn, err := d.connect(ctx, network, addr)
	d.note(addr, err)
	if err != nil {
		return nil, err
	}
	c := &newConn{Conn: conn, until: time.Now().Add(d.limit), silent: func() { d.noteHung(addr) }}
	if err := c.SetReadDeadline(time.Time{}); err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

func (d *dialer) connect(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: d.limit}).DialContext(ctx, network, addr)
	if err != nil || d.tls == nil {
		return conn, err
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		conn.Close()
		return nil, err
	}
	config := d.tls.Clone()
	config.ServerName = host
	secure := tls.Client(conn, config)
	ctx, cancel := context.WithTimeout(ctx, d.limit)
	defer cancel()
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, &TLSError{Err: err}
	}
	return secure, nil
}

func (d *dialer) note(addr string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last[addr] = err
}

func (d *dialer) noteHung(addr string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.hung[addr] = time.Now().Add(2 * d.limit)
}

func (d *dialer) isHung(addr string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return time.Now().Before(d.hung[addr])
}

// reached are the addresses that took a connection.
func (d *dialer) reached() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []string
	for addr, err := range d.last {
		if err == nil {
			out = append(out, addr)
		}
	}
	slices.Sort(out)
	return out
}

func (d *dialer) failures() []Attempt {
	d.mu.Lock()
	defer d.mu.Unlock()
	var list []Attempt
	for addr, err := range d.last {
		if err == nil && !d.hung[addr].IsZero() {
			err = errHung
		}
		if err != nil {
			list = append(list, Attempt{addr, err})
		}
	}
	slices.SortFunc(list, func(x, y Attempt) int { return strings.Compare(x.Addr, y.Addr) })
	return list
}

var errHung = errors.New("it takes connections, and does not answer")

// newConn is a connection over which nothing has come yet. Its reads end with
// the time to set it up: the client waits for the first answer (ApiVersions) as
// long as for any other, without regard to a request's context, and everything
// that is to be sent to that broker waits behind it. A broker that hangs accepts
// connections all the same.
type newConn struct {
	net.Conn
	until    time.Time
	answered atomic.Bool
	silent   func() // told when the time is over
}

func (c *newConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	switch {
	case n > 0:
		c.answered.Store(true)
	case errors.Is(err, os.ErrDeadlineExceeded) && !c.answered.Load():
		c.silent()
	}
	return n, err
}

func (c *newConn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetWriteDeadline(t), c.SetReadDeadline(t))
}

func (c *newConn) SetReadDeadline(t time.Time) error {
	if !c.answered.Load() && (t.IsZero() || t.After(c.until)) {
		t = c.until
	}
	return c.Conn.SetReadDeadline(t)
}

// TLSError is a handshake that failed.
type TLSError struct{ Err error }

func (e *TLSError) Error() string {
	var record tls.RecordHeaderError
	switch {
	case errors.As(e.Err, &record):
		return "the port does not speak TLS: " + record.Msg
	case errors.Is(e.Err, io.EOF):
		return "TLS: the server closed the connection: does the port speak TLS, and does it want a client certificate?"
	}
	return "TLS: " + strings.TrimPrefix(e.Err.Error(), "tls: ")
}

func (e *TLSError) Unwrap() error { return e.Err }
