package inspect_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"offsets/inspect"
	"offsets/inspect/commitlog"
	"offsets/inspect/commitlog/commitlogtest"
)

// pair is a log, and what compaction left of it.
type pair struct{ whole, left *commitlogtest.Log }

// randomLogs writes folders of a data folder: what is left of each log.
func randomLogs(t testing.TB, n int, seed uint64, compact bool) (string, []pair) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 7))
	dir := t.TempDir()
	var out []pair
	for i := range n {
		c := &commitlogtest.Choices{Bytes: make([]byte, 4000)}
		for j := range c.Bytes {
			c.Bytes[j] = byte(r.Uint32())
		}
		p := pair{whole: commitlogtest.NewLog(fmt.Sprint("g", i), c, 2+r.IntN(40))}
		if p.left = p.whole; compact {
			p.left = p.whole.Compacted(c)
		}
		folder := filepath.Join(dir, fmt.Sprintf("%s-%d", commitlog.Topic, i))
		if err := os.Mkdir(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, "00000000000000000000.log"), p.left.Segment(c), 0o644); err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
	return dir, out
}

// stateRows is the state of files, by group and partition.
func stateRows(t testing.TB, dir string, at int64) (*inspect.LogState, map[string]map[int32]inspect.StatePartition) {
	t.Helper()
	o := inspect.StateOptions{Problem: func(err error) { t.Error(err) }}
	if at != 0 {
		o.AsOf = time.UnixMilli(at)
	}
	s := inspect.StateOfFiles(t.Context(), []string{dir}, o)
	rows := map[string]map[int32]inspect.StatePartition{}
	for _, g := range s.Groups {
		rows[g.Group] = map[int32]inspect.StatePartition{}
		for _, p := range g.Partitions {
			rows[g.Group][p.Partition] = p
		}
	}
	return s, rows
}

func valueOf(e *commitlogtest.Entry) *int64 {
	if e == nil {
		return nil
	}
	return &e.Value
}

func same(a, b *int64) bool { return a == nil && b == nil || a != nil && b != nil && *a == *b }

// Whatever compaction took away: what is called certain is what was committed.
func TestCertainIsTrueAfterCompaction(t *testing.T) {
	dir, logs := randomLogs(t, 150, 1, true)
	certain, uncertain := 0, 0
	for at := int64(999); at < 1045; at += 2 {
		_, rows := stateRows(t, dir, at)
		for _, l := range logs {
			for p := range int32(3) {
				want := valueOf(l.whole.InForce(p, l.whole.Position(at)))
				got, listed := rows[l.whole.Group][p]
				// What is not listed, but has records later, is claimed to be
				// absent.
				later := false
				for _, e := range l.left.Entries {
					later = later || e.At > at && e.Partition == p && (e.Op == commitlogtest.Delete || e.Op == commitlogtest.Commit && e.Plain())
				}
				if listed && !got.Certain {
					uncertain++
					continue
				}
				if !listed && !later {
					continue
				}
				certain++
				if !same(got.Committed, want) {
					t.Fatalf("%s, partition %d at %d: certainly %v, was %v\nwhole %+v\nleft  %+v", l.whole.Group, p, at, show(got.Committed), show(want), l.whole.Entries, l.left.Entries)
				}
			}
		}
	}
	t.Logf("%d certain, %d uncertain", certain, uncertain)
}

// Of a log that lost nothing everything is certain, and true, with what waits
// in transactions.
func TestStateOfWholeLogs(t *testing.T) {
	dir, logs := randomLogs(t, 80, 2, false)
	for at := int64(999); at < 1045; at += 2 {
		_, rows := stateRows(t, dir, at)
		for _, l := range logs {
			for p := range int32(3) {
				position := l.whole.Position(at)
				want, waiting := valueOf(l.whole.InForce(p, position)), l.whole.Waiting(p, position)
				got, listed := rows[l.whole.Group][p]
				pending := map[int64]int64{}
				for _, w := range got.Pending {
					pending[w.ProducerID] = w.Offset
				}
				if listed && !got.Certain || !same(got.Committed, want) || fmt.Sprint(pending) != fmt.Sprint(waiting) {
					t.Fatalf("%s, partition %d at %d: %v, pending %v; want %v, %v\n%+v", l.whole.Group, p, at, show(got.Committed), pending, show(want), waiting, l.whole.Entries)
				}
			}
		}
	}
}

// The state at the end outlives compaction.
func TestStateAtTheEndOutlivesCompaction(t *testing.T) {
	dir, logs := randomLogs(t, 150, 3, true)
	_, rows := stateRows(t, dir, 0)
	for _, l := range logs {
		for p := range int32(3) {
			left, want := valueOf(l.left.InForce(p, l.left.End)), valueOf(l.whole.InForce(p, l.whole.End))
			got := rows[l.whole.Group][p]
			if !same(got.Committed, left) || got.Committed != nil && (!same(left, want) || !got.Certain) {
				t.Fatalf("%s, partition %d: %v (certain: %v), want %v\nwhole %+v\nleft  %+v", l.whole.Group, p, show(got.Committed), got.Certain, show(want), l.whole.Entries, l.left.Entries)
			}
		}
	}
}
