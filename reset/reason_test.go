package reset

import (
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"offsets/inspect"
)

// rowAt is a partition as it was seen.
func rowAt(topic string, partition int32, committed, start, end int64) inspect.Partition {
	row := inspect.Partition{Topic: topic, Partition: partition, Committed: &committed, LogStart: &start, LogEnd: &end}
	row.Assess()
	return row
}

func groupOf(rows ...inspect.Partition) inspect.Group {
	return inspect.Group{Group: "g", Type: inspect.Classic, State: "Empty", Partitions: rows}
}

// Equal reasons are told once, and many that differ only in numbers in general.
func TestRefusalsAreToldOnce(t *testing.T) {
	var gone, outside []inspect.Partition
	for p := range int32(1000) {
		row := inspect.Partition{Topic: "big", Partition: p, Committed: new(int64), Status: inspect.NoLeader}
		gone = append(gone, row)
		outside = append(outside, rowAt("big", p, 0, 0, int64(p)))
	}
	for _, c := range []struct {
		rows []inspect.Partition
		want string
	}{
		{gone, "refused for group g: big-0..999: cannot be planned: the partition has no leader (1000 partitions)"},
		{outside, "refused for group g: big-0..999: offset 99999 is outside the log; --clamp moves it inside (1000 partitions)"},
		{outside[:2], "refused for group g: big-0: offset 99999 is outside the log (0 to 0); --clamp moves it inside; big-1: offset 99999 is outside the log (0 to 1); --clamp moves it inside"},
	} {
		p, err := Build(groupOf(c.rows...), Options{To: At(99999)}, Known{})
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Refused(); got == nil || got.Error() != c.want {
			t.Errorf("%v\nwant %s", got, c.want)
		}
		// The document has each partition's own.
		if n := len(p.Reasons); n != len(c.rows) || *p.Reasons[n-1].Partition != int32(n-1) || p.Reasons[0].Severity != Refusal {
			t.Errorf("%d reasons, the first %+v", n, p.Reasons[0])
		}
	}
}

// A plan that was written down and read again has the reasons that it had, with
// their codes; and all codes are listed.
func TestReasonsOfAPlanFile(t *testing.T) {
	metadata := "m"
	row := rowAt("t", 0, 5, 0, 10)
	row.Metadata = &metadata
	p, err := Build(groupOf(row, rowAt("t", 1, 5, 0, 3)), Options{To: At(7)}, Known{})
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(PlanFile{Format: planFormat, Version: planVersion, Plans: []Plan{p}})
	if err != nil {
		t.Fatal(err)
	}
	f, err := parsePlanFile(text)
	if err != nil {
		t.Fatal(err)
	}
	plain := func(rs []Reason) (out []Reason) {
		for _, r := range rs {
			r.general = ""
			out = append(out, r)
		}
		return out
	}
	if got, want := plain(f.Plans[0].Reasons), plain(p.Reasons); len(want) != 2 || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	codes := Codes()
	for i, r := range p.Reasons {
		if !slices.Contains(codes, r.Code) || r.Code != []inspect.Code{CodeMetadataErased, CodeOutsideLog}[i] {
			t.Errorf("%+v", r)
		}
	}
	slices.Sort(codes)
	if len(slices.Compact(codes)) != len(Codes()) {
		t.Error("a code is there twice")
	}
}

// Offsets reach up to 2^63-1: nothing wraps around, and plans that have such
// numbers can be read again.
func TestOffsetsNearTheirLimit(t *testing.T) {
	const most = math.MaxInt64
	for _, c := range []struct {
		committed, start, end int64
		to                    Position
		clamp                 bool
		want                  int64
	}{
		{most, 0, 10, Shift(most), true, 10},
		{most, 0, 10, Shift(-most), false, 0},
		{most, 0, 10, Current(), false, most},
		{most, 0, most, Shift(1), false, most},
		{most - 1, most - 2, most, Shift(most), false, most},
		{0, 0, most, Shift(math.MinInt64), true, 0},
		{5, 0, 10, At(most), true, 10},
		{5, 0, most, At(most), false, most},
		{most, most, most, Earliest(), false, most},
	} {
		p, err := Build(groupOf(rowAt("t", 0, c.committed, c.start, c.end), rowAt("t", 1, c.committed, c.start, c.end)), Options{To: c.to, Clamp: c.clamp, Touch: true}, Known{})
		if err != nil {
			t.Fatal(err)
		}
		got := p.Partitions[0]
		if err := p.Refused(); err != nil || got.To == nil || *got.To != c.want {
			t.Errorf("%+v: %v, to %v", c, err, got.To)
			continue
		}
		if p.Total.Reread < 0 || p.Total.Skipped < 0 || p.Total.Lost < 0 {
			t.Errorf("%+v: totals wrap: %+v", c, p.Total)
		}
		text, err := json.Marshal(PlanFile{Format: planFormat, Version: planVersion, Plans: []Plan{p}})
		if err != nil {
			t.Fatal(err)
		}
		f, err := parsePlanFile(text)
		if err != nil || *f.Plans[0].Partitions[0].To != c.want {
			t.Errorf("%+v: read again: %v", c, err)
		}
	}
	// Outside is refused, at both ends.
	for _, to := range []Position{At(most), Shift(most), Shift(math.MinInt64)} {
		p, err := Build(groupOf(rowAt("t", 0, 5, 0, 10)), Options{To: to}, Known{})
		if err != nil || p.Refused() == nil {
			t.Errorf("%s: %v, not refused", to, err)
		}
	}
}

// Without topic ids in the log, a commit that was deleted since may have been
// another topic's.
func TestCommitDeletedSinceIsNoTarget(t *testing.T) {
	at := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	id, then := "x", int64(3)
	for name, c := range map[string]struct {
		deleted bool
		id      *string
		refused bool
	}{"no id, deleted": {true, nil, true}, "no id": {false, nil, false}, "id, deleted": {true, &id, false}} {
		row := rowAt("t", 0, 5, 0, 10)
		row.TopicID = &id
		state := map[inspect.TopicPartition]inspect.StatePartition{{Topic: "t"}: {Topic: "t", Committed: &then, Certain: true, TopicID: c.id, DeletedSince: c.deleted}}
		p, err := Build(groupOf(row), Options{To: AsOf(at)}, Known{as: map[int64]map[string]map[inspect.TopicPartition]inspect.StatePartition{at.UnixMilli(): {"g": state}}})
		if err != nil {
			t.Fatal(err)
		}
		refused := p.Refused()
		if (refused != nil) != c.refused {
			t.Errorf("%s: %v", name, refused)
		}
		if refused != nil && (!strings.Contains(refused.Error(), "--set t:0=3") || p.Reasons[0].Code != CodeNotCertain) {
			t.Errorf("%s: %v", name, refused)
		}
	}
}
