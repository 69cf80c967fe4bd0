package inspect_test

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"offsets/inspect"
	"offsets/internal/sandbox"
)

// What was read when the time is up is passed on, each time: a group whose
// records could not be read for their age has its lag all the same.
func TestDescribePassesOnWhatItReadWhenTimeIsUp(t *testing.T) {
	s, err := sandbox.Start(sandbox.Options{
		Topics: map[string]int32{"t": 1},
		Silent: func(req kmsg.Request) bool { return req.Key() == int16(kmsg.Fetch) },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	cl, err := kgo.NewClient(kgo.SeedBrokers(s.Addr))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Value: []byte("a")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	var committed kadm.Offsets
	committed.Add(kadm.Offset{Topic: "t", At: 0})
	if err := kadm.NewClient(cl).CommitAllOffsets(t.Context(), "g", committed); err != nil {
		t.Fatal(err)
	}
	for range 12 {
		// Within its time all but the records is read even on a busy machine.
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		d, err := inspect.New(cl).Describe(ctx, []string{"g"}, inspect.DescribeOptions{Time: true, Now: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		var groups []inspect.Group
		for g, err := range d.Groups {
			if err != nil {
				t.Errorf("all was read, and it says %v", err)
				break
			}
			groups = append(groups, g)
		}
		cancel()
		if len(groups) != 1 || len(groups[0].Partitions) != 1 || groups[0].Partitions[0].Lag == nil || *groups[0].Partitions[0].Lag != 1 {
			t.Errorf("got %+v, want the group with a lag of 1", groups)
		}
		if len(d.Problems) != 1 {
			t.Errorf("problems: %v, want that the age is not known", d.Problems)
		}
	}
}
