package reset

import (
	"math/rand/v2"
	"testing"
)

// entry is a record of a made-up log; at is its offset there.
type entry struct{ id, at, ms int64 }

// madeLog is a partition's log as ListOffsets shows it.
type madeLog struct {
	entries    []entry
	start, end int64
}

// laid gives records offsets, with gaps as markers and compaction leave them.
func laid(r *rand.Rand, records []entry, from int64) madeLog {
	l := madeLog{start: from, end: from}
	for _, e := range records {
		if r.IntN(4) == 0 {
			l.end += r.Int64N(4)
		}
		e.at = l.end
		l.end++
		l.entries = append(l.entries, e)
	}
	if r.IntN(4) == 0 {
		l.end += r.Int64N(3)
	}
	return l
}

func (l madeLog) first(ms int64) *int64 {
	for _, e := range l.entries {
		if e.ms >= ms {
			return &e.at
		}
	}
	return nil
}

// around is what export writes down of a place.
func (l madeLog) around(committed int64) (n neighbours) {
	for _, e := range l.entries {
		if e.at < committed {
			n.before = &e.ms
		} else if n.after == nil {
			n.after = &e.ms
		}
	}
	return n
}

func (l madeLog) find(n neighbours) int64 {
	var first []*int64
	for _, ms := range n.times() {
		first = append(first, l.first(ms))
	}
	at, ok := n.place(first, l.start, l.end)
	if !ok {
		return l.start // refused: nothing is skipped
	}
	return at
}

// TestByTimeNothingUnreadIsSkipped: a log is copied to another with other
// offsets. Every record at or above the commit is at or above the place that is
// found in the copy: with timestamps in any order, many equal ones, compacted
// logs, copies that lack what is old, and records that came later.
func TestByTimeNothingUnreadIsSkipped(t *testing.T) {
	for seed := range uint64(30_000) {
		r := rand.New(rand.NewPCG(seed, 5))
		records := madeRecords(r, r.IntN(12))
		source := laid(r, records, r.Int64N(20))
		committed := source.start
		if n := source.end - source.start; n > 0 {
			committed += r.Int64N(n + 1)
		}
		var read, unread []entry
		for _, e := range source.entries {
			if e.at < committed {
				read = append(read, e)
			} else {
				unread = append(unread, e)
			}
		}
		n := source.around(committed)
		// The copy has the records on both sides of the commit, and maybe not all
		// others; then some that were written after the export.
		drop := func(e entry, keep int64) bool { return e.id != keep && r.IntN(5) == 0 }
		var copied []entry
		for i, e := range read {
			if !drop(e, read[len(read)-1].id) {
				copied = append(copied, read[i])
			}
		}
		for i, e := range unread {
			if !drop(e, unread[0].id) {
				copied = append(copied, unread[i])
			}
		}
		late := madeRecords(r, r.IntN(4))
		for i := range late {
			late[i].id += 1000
		}
		target := laid(r, append(copied, late...), r.Int64N(20))
		got := target.find(n)
		if got < target.start || got > target.end {
			t.Fatalf("seed %d: %d is outside the log (%d to %d)", seed, got, target.start, target.end)
		}
		for _, e := range target.entries {
			wasRead := e.id < 1000 && len(read) > 0 && e.id <= read[len(read)-1].id
			if !wasRead && e.at < got {
				t.Fatalf("seed %d: commit %d of %+v lands at %d of %+v, behind %+v that was not read", seed, committed, source, got, target, e)
			}
		}
	}
}

// TestByTimeWhereTheTargetWasCut: of the copy the older records are deleted, the
// last one that was read among them, and the next one was never copied. What is
// left with older times may be unread.
func TestByTimeWhereTheTargetWasCut(t *testing.T) {
	ms := func(n int64) *int64 { return &n }
	for _, tt := range []struct {
		name   string
		n      neighbours
		target madeLog
		want   int64 // -1: refused
	}{
		{"an older one is left", neighbours{ms(5), ms(6)}, madeLog{[]entry{{2, 2, 1}}, 2, 3}, -1},
		{"caught up, and an older one came", neighbours{before: ms(5)}, madeLog{[]entry{{1, 1, 1}}, 1, 2}, -1},
		{"the next one is not here yet", neighbours{ms(5), ms(6)}, madeLog{[]entry{{0, 7, 4}, {1, 8, 5}}, 7, 9}, 9},
		{"a whole copy lags", neighbours{ms(5), ms(6)}, madeLog{[]entry{{0, 0, 4}}, 0, 1}, 1},
		{"the first one of the copy may be the next", neighbours{before: ms(5)}, madeLog{[]entry{{1, 0, 5}}, 0, 1}, 0},
		{"all is deleted", neighbours{ms(5), ms(6)}, madeLog{nil, 9, 9}, 9},
	} {
		var first []*int64
		for _, at := range tt.n.times() {
			first = append(first, tt.target.first(at))
		}
		got, ok := tt.n.place(first, tt.target.start, tt.target.end)
		if !ok {
			got = -1
		}
		if got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}

// madeRecords have times in order, or out of it, often equal.
func madeRecords(r *rand.Rand, n int) []entry {
	spread := int64(1 + r.IntN(8))
	rising := r.IntN(2) == 0
	var out []entry
	for i := range n {
		ms := r.Int64N(spread)
		if rising && i > 0 {
			ms += out[i-1].ms
		}
		out = append(out, entry{id: int64(i), ms: ms})
	}
	return out
}

// TestByTimeExact: where timestamps tell, nothing is read again.
func TestByTimeExact(t *testing.T) {
	for seed := range uint64(2_000) {
		r := rand.New(rand.NewPCG(seed, 6))
		records := madeRecords(r, 1+r.IntN(12))
		for i := range records {
			records[i].ms = int64(100 + 10*i)
		}
		source, target := laid(r, records, 5), laid(r, records, 0)
		cut := 1 + r.IntN(len(records))
		committed := source.entries[cut-1].at + 1
		got := target.find(source.around(committed))
		only := len(records) == 1 // it may be the next one: a copy may have begun behind the one that was read
		if got <= target.entries[cut-1].at && !only {
			t.Fatalf("seed %d: commit %d of %+v lands at %d of %+v: something is read again", seed, committed, source, got, target)
		}
		for _, e := range target.entries[cut:] {
			if e.at < got {
				t.Fatalf("seed %d: skips", seed)
			}
		}
	}
}

// TestByTimeExamples are the ones that users met.
func TestByTimeExamples(t *testing.T) {
	log := func(ms ...int64) (l madeLog) {
		for i, m := range ms {
			l.entries = append(l.entries, entry{int64(i), int64(i), m})
		}
		l.end = int64(len(ms))
		return l
	}
	many := make([]int64, 50)
	for name, c := range map[string]struct {
		log       madeLog
		committed int64
		want      int64
	}{
		"out of order":              {log(1, 2, 10, 3, 4, 5, 11), 3, 2},
		"one millisecond":           {log(many...), 1, 0},
		"one millisecond, all read": {log(many...), 50, 0},
		"all read":                  {log(1, 2, 3), 3, 3},
		"nothing read":              {log(1, 2, 3), 0, 0},
		"nothing there":             {log(), 0, 0},
		"in order":                  {log(1, 2, 3, 4), 2, 2},
		"past the end":              {log(1, 2, 3, 4), 1<<63 - 1, 4},
		"all read, an old one last": {log(5, 6, 2), 3, 0},
	} {
		if got := c.log.find(c.log.around(c.committed)); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}
