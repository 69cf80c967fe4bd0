package connect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// DefaultBootstrap is where a Kafka on this machine listens.
const DefaultBootstrap = "localhost:9092"

// ParseBootstrap splits a comma separated list of HOST:PORT.
func ParseBootstrap(list string) ([]string, error) {
	if strings.Contains(list, "@") {
		return nil, fmt.Errorf("bootstrap server %q: want HOST:PORT: a user and a password are in sasl.jaas.config of a properties file", hideServers(list))
	}
	var servers []string
	for s := range strings.SplitSeq(list, ",") {
		s = strings.TrimSpace(s)
		if s == "" {
			continue
		}
		host, port, err := net.SplitHostPort(s)
		if err != nil {
			return nil, fmt.Errorf("bootstrap server %q: want HOST:PORT", s)
		}
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 || host == "" {
			return nil, fmt.Errorf("bootstrap server %q: want HOST:PORT with a port from 1 to 65535", s)
		}
		servers = append(servers, s)
	}
	if len(servers) == 0 {
		return nil, errors.New("the list of bootstrap servers is empty")
	}
	return servers, nil
}

// Options says how to connect.
type Options struct {
	Bootstrap []string
	Config    Config
	ClientID  string
	// Timeout bounds the first contact, and each later request.
	Timeout time.Duration
	// MaxBatch is how many bytes the records of a batch may unpack to; 0 is
	// DefaultMaxBatch.
	MaxBatch int
	// Trace, if set, is told of every connection and request.
	Trace func(string)
}

// UnreachableError means that no bootstrap server answered.
type UnreachableError struct {
	Bootstrap []string
	Attempts  []Attempt
	Err       error
}

// Attempt is one address and why it did not work.
type Attempt struct {
	Addr string
	Err  error
}

func (e *UnreachableError) Error() string {
	var token *TokenError
	switch where := strings.Join(e.Bootstrap, ", "); {
	case len(e.Attempts) > 0:
	case errors.As(e.Err, &token):
		return fmt.Sprintf("cannot log in to Kafka at %s: %v", where, token)
	case e.tokenRefused():
		return fmt.Sprintf("Kafka at %s refuses the login: it does not take the token (expired, or for another audience or scope?)", where)
	case e.Refused():
		return fmt.Sprintf("Kafka at %s refuses the login: %v", where, e.Err)
	case e.Err != nil && strings.Contains(e.Err.Error(), "remote error: tls:"):
		// With TLS 1.3 that comes when the handshake is over for the client.
		return fmt.Sprintf("Kafka at %s refuses this client's certificate, or wants one (ssl.keystore.*): %v", where, e.Err)
	}
	if len(e.Attempts) == 0 {
		return fmt.Sprintf("no usable answer from Kafka at %s: %v", strings.Join(e.Bootstrap, ", "), e.Err)
	}
	tried := make([]string, len(e.Attempts))
	for i, a := range e.Attempts {
		tried[i] = fmt.Sprintf("%s: %v", a.Addr, shortDialError(a.Err))
	}
	return "cannot reach Kafka: " + strings.Join(tried, "; ")
}

// Refused says whether the broker was there, and refused the login.
func (e *UnreachableError) Refused() bool {
	return errors.Is(e.Err, kerr.SaslAuthenticationFailed) || e.tokenRefused()
}

// tokenRefused: a broker gives its reasons against a token where the client
// library expects nothing; its error has no other mark than its text.
func (e *UnreachableError) tokenRefused() bool {
	return e.Err != nil && strings.Contains(e.Err.Error(), "unexpected data in oauth response")
}

func (e *UnreachableError) Unwrap() error { return e.Err }

// shortDialError leaves out what the message says anyway: "dial tcp
// 127.0.0.1:9092: connect: connection refused" becomes "connection refused".
func shortDialError(err error) error {
	var secure *TLSError
	if errors.As(err, &secure) {
		return secure
	}
	var sys interface{ Timeout() bool }
	if errors.As(err, &sys) && sys.Timeout() {
		return errors.New("no answer in time")
	}
	var op *net.OpError
	if errors.As(err, &op) {
		if inner := errors.Unwrap(op.Err); inner != nil {
			return inner
		}
		return op.Err
	}
	return err
}

// maxAnswer bounds one answer of a broker, in bytes: half as much again as the
// largest fetch that is asked for (50 MiB, as Java's consumers have it), since a
// batch comes whole. Who takes larger batches takes larger answers.
const maxAnswer = 64 << 20

// Open connects, and returns once a bootstrap server has answered. extra are
// what the caller's work needs, such as a consumer's options.
//
// Errors are [*UnreachableError], or the cause of a done context.
func Open(ctx context.Context, o Options, extra ...kgo.Opt) (*kgo.Client, error) {
	d := newDialer(o)
	limit := cmp.Or(o.MaxBatch, DefaultMaxBatch)
	unpack, err := newDecompressor(limit)
	if err != nil {
		return nil, err
	}
	opts := []kgo.Opt{
		kgo.SeedBrokers(o.Bootstrap...),
		kgo.ClientID(cmp.Or(o.ClientID, o.Config.ClientID, "offsets")),
		kgo.SoftwareNameAndVersion("offsets", "1"),
		kgo.Dialer(d.dial),
		kgo.RetryTimeout(o.Timeout),
		kgo.MetadataMinAge(250 * time.Millisecond),
		kgo.MaxDecompressBatchBytes(limit), // for inspect, and for what the error says
		kgo.WithDecompressor(unpack),
		kgo.BrokerMaxReadBytes(int32(min(max(limit, maxAnswer), 1<<30))),
	}
	if o.Trace != nil {
		opts = append(opts, kgo.WithHooks(tracer{o.Trace}))
	}
	if o.Config.SASL != nil {
		opts = append(opts, kgo.SASL(o.Config.SASL))
	}
	overhead := min(10*time.Second, o.Timeout)
	if o.Config.RequestTimeout > 0 {
		overhead = o.Config.RequestTimeout
	}
	opts = append(opts, kgo.RequestTimeoutOverhead(max(overhead, 100*time.Millisecond)))
	if o.Config.ConnIdleTimeout > 0 {
		opts = append(opts, kgo.ConnIdleTimeout(o.Config.ConnIdleTimeout))
	}
	if o.Config.MetadataMaxAge > 0 {
		opts = append(opts, kgo.MetadataMaxAge(o.Config.MetadataMaxAge))
	}
	cl, err := kgo.NewClient(append(opts, extra...)...)
	if err != nil {
		return nil, err
	}
	pingCtx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	if err := cl.Ping(pingCtx); err != nil {
		cl.Close()
		if ctx.Err() != nil && !errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
			return nil, context.Cause(ctx)
		}
		return nil, &UnreachableError{Bootstrap: o.Bootstrap, Attempts: d.failures(), Err: err}
	}
	// Requests that any broker can answer go to a seed now and then, and fail
	// with it. From here on the servers that answered are enough: the others of
	// the cluster are known by their metadata.
	if err := cl.UpdateSeedBrokers(d.reached()...); err != nil {
		cl.Close()
		return nil, err
	}
	return cl, nil
}

// SilentError is the cause of a context that [Watch] ended.
type SilentError struct {
	After time.Duration
	Err   error // of the last attempt
}

func (e *SilentError) Error() string {
	return fmt.Sprintf("no broker has answered for %s: %v", e.After, e.Err)
}

func (e *SilentError) Unwrap() error { return e.Err }

// Watch ends the returned context, with a [*SilentError] as its cause, when no
// broker has answered for the limit. It is for work without an end of its own.
// A broker that restarts in less time goes unnoticed.
func Watch(ctx context.Context, cl *kgo.Client, limit time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		answered := time.Now()
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(min(limit/4, 5*time.Second)):
			}
			pingCtx, done := context.WithTimeout(ctx, limit)
			err := cl.Ping(pingCtx)
			done()
			switch {
			case err == nil:
				answered = time.Now()
			case time.Since(answered) >= limit:
				cancel(&SilentError{After: limit, Err: err})
				return
			}
		}
	}()
	return ctx, func() { cancel(nil) }
}
