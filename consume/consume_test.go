package consume_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"offsets/consume"
	"offsets/internal/sandbox"
)

// gate holds Fetch requests back, so that a test can move the log start under
// a consumer that already has its position.
type gate struct{ closed atomic.Bool }

func (g *gate) refuse(key kmsg.Key) error {
	if key == kmsg.Fetch && g.closed.Load() {
		return errors.New("fetching is held back")
	}
	return nil
}

func start(t *testing.T, o sandbox.Options) (*sandbox.Sandbox, *kgo.Client) {
	t.Helper()
	s, err := sandbox.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	cl, err := kgo.NewClient(kgo.SeedBrokers(s.Addr))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return s, cl
}

func produce(t *testing.T, cl *kgo.Client, topic string, from, to int) {
	t.Helper()
	for n := from; n < to; n++ {
		if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: fmt.Append(nil, n)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

// run consumes in the background and returns the offsets that come.
type running struct {
	offsets chan int64
	err     chan error
	stop    context.CancelFunc
}

func consumer(t *testing.T, cl *kgo.Client, o consume.Options) *running {
	ctx, cancel := context.WithCancel(t.Context())
	r := &running{offsets: make(chan int64, 1000), err: make(chan error, 1), stop: cancel}
	go func() {
		_, err := consume.Run(ctx, cl, o, consume.Handler{
			Record: func(rec *kgo.Record) error { r.offsets <- rec.Offset; return nil },
			Flush:  func() error { return nil },
		})
		r.err <- err
	}()
	t.Cleanup(cancel)
	return r
}

func (r *running) next(t *testing.T) int64 {
	t.Helper()
	select {
	case n := <-r.offsets:
		return n
	case err := <-r.err:
		t.Fatalf("the consumer ended: %v", err)
	case <-time.After(20 * time.Second):
		t.Fatal("no record within 20 s")
	}
	return -1
}

func committed(t *testing.T, cl *kgo.Client, group, topic string) int64 {
	t.Helper()
	os, err := kadm.NewClient(cl).FetchOffsets(t.Context(), group)
	if err != nil {
		t.Fatal(err)
	}
	o, ok := os.Lookup(topic, 0)
	if !ok {
		return -1
	}
	return o.At
}

// The log start moves past a running consumer. Java's latest then goes to the
// end, not to the start as the client library would; none ends, and does not
// ask the broker ten thousand times a second.
func TestLogStartMovesPastARunningConsumer(t *testing.T) {
	for _, tt := range []struct {
		policy consume.Policy
		first  int64 // the first record afterwards; -1: it fails
	}{{consume.Earliest(), 40}, {consume.Latest(), 50}, {consume.None(), -1}} {
		t.Run(tt.policy.String(), func(t *testing.T) {
			g := &gate{}
			_, cl := start(t, sandbox.Options{Topics: map[string]int32{"t": 1}, Refuse: g.refuse})
			produce(t, cl, "t", 0, 6)
			var os kadm.Offsets
			os.Add(kadm.Offset{Topic: "t", At: 5, LeaderEpoch: -1})
			adm := kadm.NewClient(cl)
			if err := adm.CommitAllOffsets(t.Context(), "g", os); err != nil {
				t.Fatal(err)
			}
			r := consumer(t, cl, consume.Options{Topic: "t", Group: "g", Policy: tt.policy, AutoCommitInterval: time.Hour})
			if n := r.next(t); n != 5 {
				t.Fatalf("first record %d, want 5", n)
			}
			g.closed.Store(true)
			time.Sleep(700 * time.Millisecond) // the fetch that is under way ends
			produce(t, cl, "t", 6, 50)
			var cut kadm.Offsets
			cut.Add(kadm.Offset{Topic: "t", At: 40})
			if _, err := adm.DeleteRecords(t.Context(), cut); err != nil {
				t.Fatal(err)
			}
			g.closed.Store(false)
			if tt.first < 0 {
				select {
				case err := <-r.err:
					var policy *consume.PolicyError
					if !errors.As(err, &policy) || policy.Exception != consume.OffsetOutOfRange {
						t.Errorf("got %v, want %s", err, consume.OffsetOutOfRange)
					}
				case n := <-r.offsets:
					t.Errorf("got record %d, want an error", n)
				case <-time.After(20 * time.Second):
					t.Error("no error within 20 s")
				}
				return
			}
			if tt.policy == consume.Latest() {
				time.Sleep(1500 * time.Millisecond) // it has to find out before the next record comes
				produce(t, cl, "t", 50, 51)
			}
			if n := r.next(t); n != tt.first {
				t.Errorf("first record after the cut is %d, want %d", n, tt.first)
			}
		})
	}
}

// Output that was not flushed was not processed, and is not committed.
func TestUnflushedIsNotCommitted(t *testing.T) {
	_, cl := start(t, sandbox.Options{Topics: map[string]int32{"t": 1}})
	produce(t, cl, "t", 0, 10)
	full := errors.New("disk full")
	flushes := 0
	read, err := consume.Run(t.Context(), cl, consume.Options{Topic: "t", Group: "g", Policy: consume.Earliest(), AutoCommitInterval: time.Hour}, consume.Handler{
		Record: func(*kgo.Record) error { flushes = 1; return nil },
		Flush: func() error {
			if flushes > 0 {
				return full
			}
			return nil
		},
	})
	if !errors.Is(err, full) || read != 10 {
		t.Fatalf("read %d, %v; want 10 and %v", read, err, full)
	}
	if at := committed(t, cl, "g", "t"); at != 0 {
		t.Errorf("committed %d, want 0: nothing was flushed", at)
	}
}

// by_duration without a young enough record waits, and reads the first that
// comes.
func TestByDurationWaits(t *testing.T) {
	_, cl := start(t, sandbox.Options{Topics: map[string]int32{"t": 1}})
	old := &kgo.Record{Topic: "t", Value: []byte("old"), Timestamp: time.Now().Add(-time.Hour)}
	if err := cl.ProduceSync(t.Context(), old).FirstErr(); err != nil {
		t.Fatal(err)
	}
	policy, err := consume.ParsePolicy("by_duration:PT1M")
	if err != nil {
		t.Fatal(err)
	}
	r := consumer(t, cl, consume.Options{Topic: "t", Group: "g", Policy: policy, AutoCommitInterval: 100 * time.Millisecond})
	time.Sleep(1500 * time.Millisecond)
	if at := committed(t, cl, "g", "t"); at != -1 {
		t.Errorf("committed %d without a position", at)
	}
	produce(t, cl, "t", 1, 2)
	if n := r.next(t); n != 1 {
		t.Errorf("first record %d, want 1", n)
	}
}

// Two members: the partitions of one that leaves cleanly go on at what it
// processed, so nothing is read twice.
func TestHandOver(t *testing.T) {
	_, cl := start(t, sandbox.Options{Topics: map[string]int32{"t": 1}})
	produce(t, cl, "t", 0, 5)
	o := consume.Options{Topic: "t", Group: "g", Policy: consume.Earliest(), AutoCommitInterval: time.Hour}
	first := consumer(t, cl, o)
	for n := range int64(5) {
		if got := first.next(t); got != n {
			t.Fatalf("got %d, want %d", got, n)
		}
	}
	time.Sleep(300 * time.Millisecond) // the batch is flushed
	first.stop()
	if err := <-first.err; !errors.Is(err, context.Canceled) {
		t.Fatalf("a clean stop: %v", err)
	}
	produce(t, cl, "t", 5, 6)
	if got := consumer(t, cl, o).next(t); got != 5 {
		t.Errorf("the next member starts at %d, want 5", got)
	}
}
