package inspect_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"offsets/inspect"
	"offsets/internal/sandbox"
)

// The records next to any place are those that are there: at the ends, outside
// of the log up to 2^63-1, in the midst of batches small and large.
func TestTimesAroundAreThoseOfTheNeighbours(t *testing.T) {
	s, err := sandbox.Start(sandbox.Options{Topics: map[string]int32{"t": 3}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	cl, err := kgo.NewClient(kgo.SeedBrokers(s.Addr), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	r := rand.New(rand.NewPCG(1, 2))
	begin := time.Now().Add(-time.Hour).Truncate(time.Millisecond)
	const n, start = 300, 20
	at := func(offset int64) int64 { return begin.UnixMilli() + 1000*offset }
	for p := range int32(2) { // the third stays empty
		for offset := 0; offset < n; {
			var batch []*kgo.Record
			for range min(1+r.IntN(20), n-offset) {
				size := 10
				if r.IntN(40) == 0 {
					size = 100_000 // more than is asked for at first
				}
				batch = append(batch, &kgo.Record{Topic: "t", Partition: p, Timestamp: time.UnixMilli(at(int64(offset))), Value: make([]byte, size)})
				offset++
			}
			if err := cl.ProduceSync(t.Context(), batch...).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
	}
	var deleted kadm.Offsets
	deleted.Add(kadm.Offset{Topic: "t", Partition: 1, At: start})
	if _, err := kadm.NewClient(cl).DeleteRecords(t.Context(), deleted); err != nil {
		t.Fatal(err)
	}
	offsets := []int64{0, 1, start - 1, start, start + 1, n - 1, n, n + 1, 1 << 60, 1 << 62, math.MaxInt64}
	for range 60 {
		offsets = append(offsets, r.Int64N(n))
	}
	var places []inspect.Place
	for p, ends := range [][2]int64{{0, n}, {start, n}, {0, 0}} {
		for _, o := range offsets {
			places = append(places, inspect.Place{TopicPartition: inspect.TopicPartition{Topic: "t", Partition: int32(p)}, Offset: o, LogStart: ends[0], LogEnd: ends[1]})
		}
	}
	got, err := inspect.New(cl).TimesAround(t.Context(), append(places, places...))
	if err != nil {
		t.Fatal(err)
	}
	show := func(ms *int64) string {
		if ms == nil {
			return "none"
		}
		return fmt.Sprint((*ms - begin.UnixMilli()) / 1000)
	}
	for _, p := range places {
		before, after := "none", "none"
		if last := min(p.Offset, p.LogEnd) - 1; last >= p.LogStart {
			before = fmt.Sprint(last)
		}
		if first := max(p.Offset, p.LogStart); first < p.LogEnd {
			after = fmt.Sprint(first)
		}
		if a := got[p]; a.Err != nil || show(a.Before) != before || show(a.After) != after {
			t.Errorf("partition %d, offset %d: %s and %s (%v), want %s and %s", p.Partition, p.Offset, show(a.Before), show(a.After), a.Err, before, after)
		}
	}
}

// Before a place may be nothing but the markers of transactions: the last record
// is further back.
func TestTimesAroundStepOverMarkers(t *testing.T) {
	s, err := sandbox.Start(sandbox.Options{Topics: map[string]int32{"t": 1}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	cl, err := kgo.NewClient(kgo.SeedBrokers(s.Addr), kgo.DefaultProduceTopic("t"), kgo.TransactionalID("x"))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	first := time.Now().Add(-time.Hour).Truncate(time.Millisecond)
	for i := range 30 { // a record and a marker each
		if err := cl.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		if err := cl.ProduceSync(t.Context(), &kgo.Record{Timestamp: first.Add(time.Duration(i) * time.Second), Value: []byte("v")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if err := cl.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
			t.Fatal(err)
		}
	}
	var places []inspect.Place
	for o := range int64(61) {
		places = append(places, inspect.Place{TopicPartition: inspect.TopicPartition{Topic: "t"}, Offset: o, LogEnd: 60})
	}
	got, err := inspect.New(cl).TimesAround(t.Context(), places)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range places {
		a, want := got[p], (p.Offset-1)/2 // records are at even offsets
		switch {
		case a.Err != nil:
			t.Errorf("offset %d: %v", p.Offset, a.Err)
		case p.Offset == 0 && a.Before != nil, p.Offset > 0 && (a.Before == nil || *a.Before != first.Add(time.Duration(want)*time.Second).UnixMilli()):
			t.Errorf("offset %d: the record before is not that of second %d", p.Offset, want)
		case p.Offset < 59 && (a.After == nil || *a.After != first.Add(time.Duration((p.Offset+1)/2)*time.Second).UnixMilli()), p.Offset >= 59 && a.After != nil:
			t.Errorf("offset %d: the record after is not that of second %d", p.Offset, (p.Offset+1)/2)
		}
	}
}

// A whole row of markers, longer than the first look back.
func TestTimesAroundLookFurtherBack(t *testing.T) {
	s, err := sandbox.Start(sandbox.Options{Topics: map[string]int32{"t": 1}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	const n = 40
	last := time.Now().Truncate(time.Millisecond)
	var producers []*kgo.Client
	for i := range n {
		cl, err := kgo.NewClient(kgo.SeedBrokers(s.Addr), kgo.DefaultProduceTopic("t"), kgo.TransactionalID(fmt.Sprint(i)))
		if err != nil {
			t.Fatal(err)
		}
		defer cl.Close()
		producers = append(producers, cl)
		if err := cl.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		if err := cl.ProduceSync(t.Context(), &kgo.Record{Timestamp: last.Add(time.Duration(i-n+1) * time.Second), Value: []byte("v")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	for _, cl := range producers {
		if err := cl.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
			t.Fatal(err)
		}
	}
	var places []inspect.Place
	for o := int64(n); o <= 2*n; o++ {
		places = append(places, inspect.Place{TopicPartition: inspect.TopicPartition{Topic: "t"}, Offset: o, LogEnd: 2 * n})
	}
	got, err := inspect.New(producers[0]).TimesAround(t.Context(), places)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range places {
		if a := got[p]; a.Err != nil || a.After != nil || a.Before == nil || *a.Before != last.UnixMilli() {
			t.Errorf("offset %d: %+v, want the last record before it, and none after", p.Offset, a)
		}
	}
}
