package reset_test

import (
	"errors"
	"math/rand/v2"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"offsets/inspect"
	"offsets/internal/sandbox"
	"offsets/reset"
)

// TestCommitsInBetween: another client commits somewhere between the plan and its
// read-back. Kafka has no compare-and-set, so its commit may be overwritten; but
// what is committed in the end is never something else than what was written while
// the change is reported as verified, and a commit that the plan could have seen
// is left alone.
func TestCommitsInBetween(t *testing.T) {
	const (
		afterThePlan = iota
		beforeTheLastLook
		beforeTheWrite   // between the last look and the request that writes
		beforeTheAnswer  // the write is carried out, and not answered yet
		beforeTheReading // of what was written
		anywhere         // at any time, while it is applied
		places
	)
	type hook struct {
		key  kmsg.Key
		lose bool // called when the request was carried out
		do   func()
	}
	var armed atomic.Pointer[hook]
	var looks atomic.Int64 // at the commits, that have reached the broker
	run := func(key kmsg.Key, lose bool) error {
		if key == kmsg.OffsetFetch && !lose {
			looks.Add(1)
		}
		if h := armed.Load(); h != nil && h.key == key && h.lose == lose && armed.CompareAndSwap(h, nil) {
			h.do()
		}
		return nil
	}
	s, err := sandbox.Start(sandbox.Options{
		Topics: map[string]int32{"t": 1},
		Refuse: func(key kmsg.Key) error { return run(key, false) },
		Lose:   func(key kmsg.Key) error { return run(key, true) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	client := func() *kgo.Client {
		cl, err := kgo.NewClient(kgo.SeedBrokers(s.Addr))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(cl.Close)
		return cl
	}
	w, other := &world{t: t, cl: client(), dir: filepath.Join(t.TempDir(), "state")}, &world{t: t, cl: client()}
	w.changer = reset.New(w.cl)
	var records []*kgo.Record
	for range 100 {
		records = append(records, &kgo.Record{Topic: "t", Value: []byte("x")})
	}
	if err := w.cl.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(3, 4))
	tp := inspect.TopicPartition{Topic: "t"}
	const from, to, theirs = 50, 10, 70
	outcomes := map[string]int{}
	for round := range 200 {
		w.commit("g", "t", 0, from, -1, "")
		p := plan(t, w.changer, reset.Options{To: reset.At(to), Now: time.Now()})
		done := make(chan struct{})
		var looksBefore int64 // that came before theirs was done
		commit := func() {
			other.commit("g", "t", 0, theirs, -1, "theirs")
			looksBefore = looks.Load()
			close(done)
		}
		place := round % places
		var writing atomic.Bool
		switch place {
		case afterThePlan:
			commit()
		case beforeTheWrite:
			armed.Store(&hook{kmsg.OffsetCommit, false, commit})
		case beforeTheAnswer:
			armed.Store(&hook{kmsg.OffsetCommit, true, commit})
		case anywhere:
			d := time.Duration(r.IntN(8000)) * time.Microsecond
			go func() { time.Sleep(d); commit() }()
		}
		receipts := w.receipts()
		receipts.Now = func() time.Time { // between the check of all plans and the last look
			if place == beforeTheLastLook {
				commit()
			}
			return time.Now()
		}
		err := w.changer.Apply(t.Context(), &p, reset.ApplyOptions{Receipts: receipts, Settle: new(time.Duration), Progress: func(progress reset.Progress) {
			if progress.Stage == reset.StageWriting && writing.CompareAndSwap(false, true) && place == beforeTheReading {
				armed.Store(&hook{kmsg.OffsetFetch, false, commit})
			}
		}})
		all := looks.Load()
		<-done
		armed.Store(nil)
		now := w.commits("g")["g"][tp]
		var refused *reset.RefusedError
		outcome := ""
		switch {
		case errors.As(err, &refused):
			outcome = "refused"
			if now.Offset != theirs || p.Applied {
				t.Fatalf("round %d, place %d: refused, and %+v is committed", round, place, now)
			}
		case err != nil:
			t.Fatalf("round %d, place %d: %v", round, place, err)
		case p.Verified == nil:
			t.Fatalf("round %d, place %d: applied, and nothing is said of what was read back", round, place)
		case *p.Verified == reset.Overwritten:
			outcome = "overwritten"
			if now.Offset != theirs {
				t.Fatalf("round %d, place %d: overwritten, and %+v is committed", round, place, now)
			}
		case *p.Verified == reset.VerifiedYes:
			// Theirs came before ours, or was not done when it was looked at last.
			outcome = "verified"
			if now.Offset != to && looksBefore < all {
				t.Fatalf("round %d, place %d: verified, and %+v is committed", round, place, now)
			}
		}
		outcomes[outcome]++
		want := map[int]string{afterThePlan: "refused", beforeTheLastLook: "refused", beforeTheWrite: "verified", beforeTheAnswer: "overwritten", beforeTheReading: "overwritten"}[place]
		if want != "" && outcome != want {
			t.Errorf("round %d, place %d: %s, want %s", round, place, outcome, want)
		}
	}
	t.Logf("outcomes: %v", outcomes)
}
