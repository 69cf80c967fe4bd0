package main

import (
	"slices"
	"testing"

	"offsets/inspect"
)

// A sum over some of the rows never looks like one over all.
func TestTotalsThatAreNotKnown(t *testing.T) {
	for _, tt := range []struct {
		total      inspect.Total
		line, cell string
	}{
		{inspect.Total{Lag: 47, Partitions: 2}, "total lag 47 on 2 partitions", "47"},
		{inspect.Total{Partitions: 6, NoCommit: 6, Unknown: 6}, "lag unknown on 6 of 6 partitions (no commit)", "-"},
		{inspect.Total{Lag: 0, Partitions: 2000, Unknown: 1549}, "total lag 0 on 451 partitions, unknown on 1549", "0+?"},
		{inspect.Total{Lag: 12, Partitions: 5, Unknown: 3, NoCommit: 1}, "total lag 12 on 2 partitions, unknown on 3 (1 without a commit)", "12+?"},
		{inspect.Total{}, "", "-"},
	} {
		if line, cell := totalLine(tt.total), totalCells(&tt.total)[1]; line != tt.line || cell != tt.cell {
			t.Errorf("%+v: %q and %q, want %q and %q", tt.total, line, cell, tt.line, tt.cell)
		}
	}
}

func TestUnknownLagSortsFirst(t *testing.T) {
	groups := []inspect.ListedGroup{
		{Group: "known", Total: &inspect.Total{Lag: 500}},
		{Group: "nothing-known", Total: &inspect.Total{Unknown: 3}},
		{Group: "part-known", Total: &inspect.Total{Lag: 5, Unknown: 1}},
	}
	sortListed(groups, "lag")
	var got []string
	for _, g := range groups {
		got = append(got, g.Group)
	}
	if want := []string{"part-known", "nothing-known", "known"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// One line a topic and reason, whatever number of partitions and groups.
func TestUnreadPartitionsAreFolded(t *testing.T) {
	var unread []inspect.UnreadPartition
	for _, group := range []string{"a", "b"} {
		for p := range int32(666) {
			unread = append(unread, inspect.UnreadPartition{Group: group, Partition: &inspect.Partition{Topic: "big", Partition: p, Status: inspect.NoLeader}})
		}
	}
	unread = append(unread, inspect.UnreadPartition{Group: "a", Partition: &inspect.Partition{Topic: "other", Partition: 7, Status: inspect.NotAuthorized}})
	got := (&partialError{unreadProblems(unread)}).Error()
	if want := "lag of 2 groups on 666 partitions (big-0..665): no_leader\nlag of group a on other-7: not_authorized"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// Only what every look finds is a violation: the value may change meanwhile.
func TestCheckKeepsWhatEveryLookFinds(t *testing.T) {
	topic, partition := "t", int32(0)
	at := func(lag int64, checks ...string) *findings {
		v := inspect.Verdict{Group: "g"}
		for _, c := range checks {
			v.Breaches = append(v.Breaches, inspect.Breach{Check: c, Topic: &topic, Partition: &partition, Value: lag})
		}
		return &findings{verdicts: []inspect.Verdict{v}}
	}
	f := at(20, inspect.CheckMaxPartitionLag, inspect.CheckRequireCommit)
	f.keep(at(10, inspect.CheckMaxPartitionLag))
	if b := f.verdicts[0].Breaches; len(b) != 1 || b[0].Check != inspect.CheckMaxPartitionLag || f.tail.Holds {
		t.Errorf("%+v, holds %v", b, f.tail.Holds)
	}
	f.keep(at(0))
	if b := f.verdicts[0].Breaches; len(b) != 0 || !f.tail.Holds || !f.verdicts[0].Holds {
		t.Errorf("%+v, holds %v", b, f.tail.Holds)
	}
}
