package reset

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"offsets/inspect"
)

func shareGroup(state string, starts map[int32]int64) inspect.Group {
	g := inspect.Group{Group: "s", Type: inspect.Share, State: state}
	for p := range int32(3) {
		row := inspect.Partition{Topic: "t", Partition: p, LogStart: ptr(int64(0)), LogEnd: ptr(int64(20))}
		if at, ok := starts[p]; ok {
			row.Committed = &at
		}
		row.Assess()
		g.Partitions = append(g.Partitions, row)
	}
	return g
}

// What is delivered again is what lies above the start offset and is
// acknowledged, not only what lies below it.
func TestShareRedeliversWhatWasAcknowledged(t *testing.T) {
	for _, c := range []struct {
		name                     string
		from, to, start, end     int64
		waiting, reread, skipped int64
		atMost                   bool
	}{
		{"where it is, all read", 0, 0, 0, 20, 0, 20, 0, false},
		{"where it is, nothing read", 0, 0, 0, 20, 20, 0, 0, false},
		{"back", 10, 5, 0, 20, 10, 5, 0, false},
		{"back, half read", 10, 5, 0, 20, 4, 11, 0, false},
		{"back below the log start", 10, 0, 8, 20, 10, 2, 0, false},
		{"to the end, all read", 0, 20, 0, 20, 0, 0, 0, false},
		{"to the end, nothing read", 0, 20, 0, 20, 20, 0, 20, false},
		{"to the end, half read", 0, 20, 0, 20, 10, 0, 10, false},
		{"forward, all read", 0, 15, 0, 20, 0, 5, 0, false},
		{"forward, nothing read", 0, 15, 0, 20, 20, 0, 15, false},
		{"forward, half read", 0, 15, 0, 20, 10, 5, 10, true},
		{"a lag that counts deleted records", 0, 10, 10, 20, 20, 0, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			ch := Change{From: &c.from, To: &c.to}
			ch.redelivered(c.waiting, c.start, c.end)
			if *ch.Reread != c.reread || *ch.Skipped != c.skipped || (ch.Note != nil) != c.atMost {
				t.Errorf("reread %d, skipped %d, note %q; want %d, %d, at most: %v", *ch.Reread, *ch.Skipped, text(ch.Note), c.reread, c.skipped, c.atMost)
			}
		})
	}
}

// An undo that would delete one start offset of a topic deletes none where
// another one would go along.
func TestShareUndoKeepsSiblings(t *testing.T) {
	place := func(p int32) inspect.TopicPartition { return inspect.TopicPartition{Topic: "t", Partition: p} }
	none := func(p int32) Wanted { return Wanted{TopicPartition: place(p)} }
	at := func(p int32, offset int64) Wanted {
		return Wanted{TopicPartition: place(p), Commit: &inspect.Commit{Offset: offset, LeaderEpoch: -1}}
	}
	for _, c := range []struct {
		name    string
		starts  map[int32]int64
		wanted  []Wanted
		refused bool
	}{
		{"the only one", map[int32]int64{1: 5}, []Wanted{none(1)}, false},
		{"all of them", map[int32]int64{1: 5, 2: 6}, []Wanted{none(1), none(2)}, false},
		{"one that is not named", map[int32]int64{1: 5, 2: 6}, []Wanted{none(1)}, true},
		{"one that is written", map[int32]int64{1: 5, 2: 6}, []Wanted{none(1), at(2, 3)}, true},
		{"one that is made", map[int32]int64{1: 5}, []Wanted{none(1), at(2, 3)}, true},
		{"one that does not move", map[int32]int64{1: 5, 2: 6}, []Wanted{none(1), at(2, 6)}, true},
		{"nothing is deleted", map[int32]int64{1: 5, 2: 6}, []Wanted{at(1, 4)}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := Restore(shareGroup("Empty", c.starts), c.wanted, RestoreOptions{Kind: KindUndo, Type: inspect.Share, Outside: true}, nil)
			err := p.Refused()
			if (err != nil) != c.refused {
				t.Fatalf("refused: %v", err)
			}
			if err == nil {
				return
			}
			var refused *RefusedError
			says := func(why Reason) bool { return why.Code == CodeShareTopics && why.Topic != nil && *why.Topic == "t" }
			if !strings.Contains(err.Error(), "'offsets delete GROUP --topic TOPIC'") || !errors.As(err, &refused) || !slices.ContainsFunc(refused.Why, says) {
				t.Errorf("it does not say what to do: %s", err)
			}
		})
	}
}

// A start offset is no commit: neither goes where the other is.
func TestShareTypeIsKept(t *testing.T) {
	wanted := []Wanted{{TopicPartition: inspect.TopicPartition{Topic: "t", Partition: 1}, Commit: &inspect.Commit{Offset: 5, LeaderEpoch: -1}}}
	of := func(groupType, state string) inspect.Group {
		g := shareGroup(state, nil)
		g.Type = groupType
		return g
	}
	for _, c := range []struct {
		name, was, is, state, becomes string
		refused                       bool
	}{
		{"deleted since", inspect.Share, inspect.Classic, "Dead", inspect.Share, false},
		{"there", inspect.Share, inspect.Share, "Empty", inspect.Share, false},
		{"another one by now", inspect.Share, inspect.Classic, "Empty", inspect.Classic, true},
		{"a share group by now", inspect.Consumer, inspect.Share, "Empty", inspect.Share, true},
		{"an upgraded one", inspect.Classic, inspect.Consumer, "Empty", inspect.Consumer, false},
		{"not known", "", inspect.Classic, "Dead", inspect.Classic, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := Restore(of(c.is, c.state), wanted, RestoreOptions{Kind: KindUndo, Type: c.was}, nil)
			if p.Type != c.becomes || (p.Refused() != nil) != c.refused {
				t.Errorf("type %s, refused: %v", p.Type, p.Refused())
			}
		})
	}
}

// A reset of a share group writes also what does not move; where the group was at
// a time is refused.
func TestShareReset(t *testing.T) {
	p, err := Build(shareGroup("Empty", map[int32]int64{0: 0, 1: 5}), Options{To: Earliest()}, Known{})
	if err != nil {
		t.Fatal(err)
	}
	if all := strings.Join(p.Warnings, "\n"); strings.Contains(all, "undo") || !strings.Contains(all, "no start offset on t-2") {
		t.Errorf("warnings %q", p.Warnings)
	}
	if len(p.moving()) != 2 || p.Partitions[0].Action != ActionWrite {
		t.Errorf("%d written, %+v", len(p.moving()), p.Partitions)
	}
	for _, o := range []Options{{To: AsOf(time.Unix(1, 0))}, {To: Earliest(), Set: []Setting{{"t", 1, AsOf(time.Unix(1, 0))}}}} {
		for _, starts := range []map[int32]int64{{0: 0, 1: 5}, {}} {
			p, err := Build(shareGroup("Empty", starts), o, Known{})
			if err != nil || p.Refused() == nil || !strings.Contains(p.Refused().Error(), "not in the offsets topic") {
				t.Errorf("%v, refused: %v", err, p.Refused())
			}
		}
	}
	p, err = Build(shareGroup("Empty", map[int32]int64{0: 0}), Options{Set: []Setting{{"t", 1, At(3)}}}, Known{})
	if err != nil || len(p.Warnings) != 1 || !strings.Contains(p.Warnings[0], "undo will be refused: t-1") {
		t.Errorf("%v, warnings %q", err, p.Warnings)
	}
	for want, refused := range map[string]bool{"": false, inspect.Share: false, inspect.Classic: true} {
		p, err := Build(shareGroup("Empty", map[int32]int64{0: 0}), Options{To: Latest(), Type: want}, Known{})
		if err != nil || (p.Refused() != nil) != refused {
			t.Errorf("--type %q: %v, refused: %v", want, err, p.Refused())
		}
	}
}
