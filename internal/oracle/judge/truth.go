package judge

import (
	"maps"
	"slices"
	"strings"

	"offsets/internal/oracle/record"
)

// truth is what design.md section 2 says of one row.
type truth struct {
	tp        record.TP
	committed *record.Commit
	owned     bool
	ends      record.Partition
	gone      bool
	lag       *int64
	lost      int64
	status    string
}

// rows are the partitions of a group that describe shows: those that have a
// commit or an owner. ok is false where the broker did not say the same before
// and after: then there is no one right answer.
func (j *Judge) rows(e *record.Entry, group string, committedOnly bool) (rows map[record.TP]truth, ok bool) {
	before, had := e.Before.Groups[group]
	after, has := e.After.Groups[group]
	if had != has || !maps.Equal(before.Commits, after.Commits) || before.State != after.State || before.Members != after.Members {
		return nil, false
	}
	rows = map[record.TP]truth{}
	for tp, c := range before.Commits {
		rows[tp] = truth{tp: tp, committed: &c}
	}
	if !slices.Equal(sorted(before.Owned), sorted(after.Owned)) {
		return nil, false
	}
	for _, tp := range before.Owned {
		t := rows[tp]
		t.tp, t.owned = tp, true
		rows[tp] = t
	}
	for tp, t := range rows {
		b, here := e.Before.Partition(tp)
		a, there := e.After.Partition(tp)
		if here != there || b != a || e.Before.Topics[tp.Topic].ID != e.After.Topics[tp.Topic].ID {
			return nil, false
		}
		t.ends, t.gone = b, !here
		t.judge(committedOnly)
		rows[tp] = t
	}
	return rows, true
}

func (t *truth) judge(committedOnly bool) {
	end := t.ends.End
	if committedOnly {
		end = t.ends.Stable
	}
	switch {
	case t.gone:
		t.status = "topic_gone"
	case t.committed == nil:
		t.status = "no_commit"
	case t.committed.Offset > t.ends.End:
		t.status = "past_end"
	default:
		t.lag = ptr(max(0, end-max(t.committed.Offset, t.ends.Start)))
		t.lost = max(0, t.ends.Start-t.committed.Offset)
		switch {
		case t.lost > 0:
			t.status = "lost"
		case *t.lag > 0:
			t.status = "behind"
		default:
			t.status = "caught_up"
		}
	}
}

func sorted(tps []record.TP) []record.TP {
	out := slices.Clone(tps)
	slices.SortFunc(out, func(a, b record.TP) int { return strings.Compare(a.String(), b.String()) })
	return out
}

// total is the sum over the known rows, and how many are unknown.
func total(rows map[record.TP]truth) (lag int64, unknown int) {
	for _, t := range rows {
		if t.lag == nil {
			unknown++
		} else {
			lag += *t.lag
		}
	}
	return lag, unknown
}

// exists says whether the group is there, and whether that is sure.
func exists(e *record.Entry, group string) (there, sure bool) {
	_, a := e.Before.Groups[group]
	_, b := e.After.Groups[group]
	return a, a == b
}

func isShare(e *record.Entry, group string) bool {
	return e.Before.Groups[group].Type == "share"
}

// settled says whether a partition's ends were the same before and after.
func settled(e *record.Entry, tp record.TP) (record.Partition, bool) {
	b, here := e.Before.Partition(tp)
	a, there := e.After.Partition(tp)
	return b, here && there && a == b
}

// waiting is what a share group can still be given of a partition. Until a member
// reads, the broker's lag has deleted records in it.
func waiting(ends record.Partition, s record.ShareStart) int64 {
	return min(s.Lag, max(0, ends.End-max(s.Start, ends.Start)))
}

// countsDeleted: so that Kafka's tool says another lag.
func countsDeleted(e *record.Entry, tp record.TP) bool {
	ends, _ := e.Before.Partition(tp)
	return e.Before.Groups[e.Group].Shares[tp].Start < ends.Start
}
