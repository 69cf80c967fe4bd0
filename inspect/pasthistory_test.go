package inspect_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"offsets/inspect"
	"offsets/inspect/commitlog"
	"offsets/inspect/commitlog/commitlogtest"
)

// told is what the history has to say of one entry of a whole log.
type told struct {
	event    string
	previous *int64
	signs    []string
}

// tell says it without replaying: of each entry by itself.
func tell(l *commitlogtest.Log, e, marker *commitlogtest.Entry) told {
	position := e.Offset
	if marker != nil {
		position = marker.Offset
	}
	before := l.InForce(e.Partition, position)
	t := told{previous: valueOf(before)}
	counts := false
	switch {
	case e.Op == commitlogtest.Delete:
		t.event = inspect.EventTombstone
		return t
	case e.Plain():
		t.event, counts = inspect.EventCommit, true
	case marker == nil:
		t.event = inspect.EventTxnPending
	case marker.Committed:
		t.event = inspect.EventTxnCommit
		after := l.InForce(e.Partition, position+1)
		if counts = after != nil && after.Offset == e.Offset; !counts {
			t.signs = append(t.signs, inspect.SignSuperseded)
		}
	default:
		t.event, t.previous = inspect.EventTxnAbort, nil
	}
	if counts && before != nil {
		if e.Value < before.Value {
			t.signs = append(t.signs, inspect.SignRewind)
		}
		if before.Value%3 == 0 && e.Value%3 != 0 {
			t.signs = append(t.signs, inspect.SignEpochDropped, inspect.SignMetadataDropped)
		}
	}
	if counts && membersAt(l, e.Offset) == 0 {
		t.signs = append(t.signs, inspect.SignNoMembers)
	}
	if !e.Plain() {
		t.signs = append(t.signs, inspect.SignTransactional)
	}
	return t
}

func membersAt(l *commitlogtest.Log, offset int64) (n int64) {
	for _, e := range l.Entries {
		if e.Offset < offset && (e.Op == commitlogtest.Members || e.Op == commitlogtest.Disband) {
			n = e.Value
		}
	}
	return n
}

// allTold is by the event's place in the log, partition and offset; several if
// a transaction committed the same again.
func allTold(l *commitlogtest.Log) map[string][]told {
	out := map[string][]told{}
	for i := range l.Entries {
		e := &l.Entries[i]
		if e.Op != commitlogtest.Commit && e.Op != commitlogtest.Delete {
			continue
		}
		marker := l.Ended(e, l.End)
		if e.Plain() {
			marker = nil
		}
		place := e.Offset
		if marker != nil {
			place = marker.Offset
		}
		key := fmt.Sprint(place, e.Partition, e.Value)
		if e.Op == commitlogtest.Delete {
			key = fmt.Sprint(place, e.Partition)
		}
		out[key] = append(out[key], tell(l, e, marker))
	}
	return out
}

func (t told) String() string { return fmt.Sprint(t.event, " from ", show(t.previous), " ", t.signs) }

// checkHistory compares a history with what the whole log tells. Of what is left
// of a log it may say less, but nothing else.
func checkHistory(t *testing.T, dir string, i int, l pair, exact bool) {
	t.Helper()
	want := allTold(l.whole)
	h := inspect.NewHistory(l.whole.Group)
	n := 0
	for e, err := range inspect.HistoryOfFiles(t.Context(), []string{filepath.Join(dir, fmt.Sprintf("%s-%d", commitlog.Topic, i))}, h) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Topic == nil {
			continue
		}
		n++
		key := fmt.Sprint(e.LogOffset, *e.Partition)
		if e.Committed != nil {
			key = fmt.Sprint(e.LogOffset, *e.Partition, *e.Committed)
		}
		got := told{e.Event, e.Previous, e.Signs}
		if !slices.ContainsFunc(want[key], func(w told) bool {
			if w.event != got.event {
				return false
			}
			if exact || e.PreviousKnown {
				if !same(w.previous, got.previous) {
					return false
				}
			} else if got.previous != nil {
				return false
			}
			missing := slices.ContainsFunc(got.signs, func(s string) bool { return !slices.Contains(w.signs, s) })
			return !missing && (!exact || len(w.signs) == len(got.signs) && (e.PreviousKnown || e.Event == inspect.EventTxnAbort))
		}) {
			t.Fatalf("%s, offset %d: %s (known: %v); want one of %v\nwhole %+v\nleft  %+v", l.whole.Group, e.LogOffset, got, e.PreviousKnown, want[key], l.whole.Entries, l.left.Entries)
		}
	}
	all := 0
	for _, w := range want {
		all += len(w)
	}
	if exact && n != all {
		t.Fatalf("%s: %d events, want %d", l.whole.Group, n, all)
	}
}

// Of a whole log the history is the truth; after compaction it is nothing else.
func TestHistoryIsTrue(t *testing.T) {
	for _, compact := range []bool{false, true} {
		dir, logs := randomLogs(t, 150, 11, compact)
		for i, l := range logs {
			checkHistory(t, dir, i, l, !compact)
		}
	}
}
