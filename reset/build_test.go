package reset

import (
	"strings"
	"testing"
	"time"

	"offsets/inspect"
)

// What the commit log cannot tell for certain is no target: compaction may
// have taken away the commit that counted then.
func TestUncertainCommitsAreNoTarget(t *testing.T) {
	at := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	now, then, start, end := int64(30), int64(10), int64(0), int64(50)
	g := inspect.Group{Group: "g", Type: inspect.Classic, State: "Empty"}
	state := map[inspect.TopicPartition]inspect.StatePartition{}
	for p := range int32(3) {
		row := inspect.Partition{Topic: "t", Partition: p, Committed: &now, LogStart: &start, LogEnd: &end}
		row.Assess()
		g.Partitions = append(g.Partitions, row)
		state[inspect.TopicPartition{Topic: "t", Partition: p}] = inspect.StatePartition{Topic: "t", Partition: p, Committed: &then, Certain: p != 1}
	}
	k := Known{as: map[int64]map[string]map[inspect.TopicPartition]inspect.StatePartition{at.UnixMilli(): {"g": state}}}
	p, err := Build(g, Options{To: AsOf(at)}, k)
	if err != nil {
		t.Fatal(err)
	}
	refused := p.Refused()
	if refused == nil || !strings.Contains(refused.Error(), "t-1: what was committed then is not certain") || strings.Contains(refused.Error(), "t-0") {
		t.Errorf("got %v", refused)
	}
	if p.Partitions[1].Action != ActionNone || *p.Partitions[0].To != then {
		t.Errorf("%+v", p.Partitions)
	}
}

// What is committed shows that a change was written only where something else was
// there before: else a write that failed would be taken for done.
func TestWhatProvesAWrite(t *testing.T) {
	change := func(from, to int64, metadata string) *Change {
		return &Change{Action: ActionWrite, From: &from, To: &to, FromMetadata: &metadata, ToMetadata: &metadata}
	}
	is := inspect.Commit{Offset: 5, LeaderEpoch: -1}
	for _, c := range []struct {
		name   string
		change *Change
		want   bool
	}{
		{"moved", change(3, 5, ""), true},
		{"written again", change(5, 5, ""), false},
		{"not there", change(3, 4, ""), false},
		{"other metadata", change(3, 5, "m"), false},
		{"from nothing", &Change{Action: ActionWrite, To: ptr(int64(5))}, true},
	} {
		if got := c.change.provenBy(is, true, inspect.Classic); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	deleted := &Change{Action: ActionDelete, From: ptr(int64(5))}
	if !deleted.provenBy(inspect.Commit{}, false, inspect.Classic) || deleted.provenBy(is, true, inspect.Classic) {
		t.Error("a deletion")
	}
}
