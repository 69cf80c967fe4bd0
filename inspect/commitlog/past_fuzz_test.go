package commitlog_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	"offsets/inspect/commitlog"
	"offsets/inspect/commitlog/commitlogtest"
	"offsets/inspect/commitlog/segment"
)

// replayed is a segment's replay up to a time.
func replayed(t *testing.T, data []byte, asOf int64) *commitlog.Replay {
	t.Helper()
	r := commitlog.NewReplay(asOf)
	batches := segment.NewReader(bytes.NewReader(data))
	for {
		b, err := batches.Next()
		if errors.Is(err, io.EOF) {
			return r
		}
		if err != nil {
			t.Fatal(err)
		}
		err = b.Records(func(rec segment.Record) error {
			if m, err := segment.ParseMarker(rec); err == nil && b.IsControl() {
				r.Marker(b.ProducerID, m.Type == segment.CommitMarker, rec.Offset, rec.Timestamp)
				return nil
			}
			producer := int64(-1)
			if b.IsTransactional() {
				producer = b.ProducerID
			}
			r.Record(rec.Key, rec.Value, rec.Offset, rec.Timestamp, producer)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		r.Reached(b.NextOffset())
	}
}

// checkReplay: whatever happened, and whatever cleaners took away of it, at every
// time what is called certain was so.
func checkReplay(t *testing.T, choices []byte, compact bool) (certain, all int) {
	t.Helper()
	c := &commitlogtest.Choices{Bytes: choices}
	whole := commitlogtest.NewLog("g", c, 2+c.Of(40))
	left := whole
	if compact {
		left = whole.Compacted(c)
	}
	data := left.Segment(c)
	for at := int64(999); at <= whole.Entries[len(whole.Entries)-1].At; at++ {
		r := replayed(t, data, at)
		commits, complete := r.Commits(), r.Complete()
		for p := range int32(3) {
			want := whole.InForce(p, whole.Position(at))
			got, listed := commits[commitlog.CommitKey{Group: "g", Topic: "t", Partition: p}]
			all++
			if listed && !got.Certain || !listed && !complete {
				if !compact {
					t.Fatalf("partition %d at %d: not certain\n%+v", p, at, whole.Entries)
				}
				continue
			}
			certain++
			if (got.Value == nil) != (want == nil) || want != nil && got.Value.Offset != want.Value {
				t.Fatalf("partition %d at %d: certainly %+v, was %+v\nwhole %+v\nleft  %+v", p, at, got.Value, want, whole.Entries, left.Entries)
			}
		}
	}
	return certain, all
}

func FuzzReplayIsTrueWhereCertain(f *testing.F) {
	f.Add([]byte("commits and transactions, tombstones and markers: whatever the bytes choose"))
	f.Add(bytes.Repeat([]byte{3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7}, 40))
	f.Fuzz(func(t *testing.T, choices []byte) {
		if len(choices) > 2000 {
			return
		}
		checkReplay(t, choices, false)
		checkReplay(t, choices, true)
	})
}

// Random logs, and what random cleaners leave of them.
func TestReplayIsTrueWhereCertain(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	certain, all := 0, 0
	for range 300 {
		choices := make([]byte, 600)
		for i := range choices {
			choices[i] = byte(r.Uint32())
		}
		checkReplay(t, choices, false)
		c, n := checkReplay(t, choices, true)
		certain, all = certain+c, all+n
	}
	if certain < all/2 {
		t.Errorf("only %d of %d are certain", certain, all)
	}
}
