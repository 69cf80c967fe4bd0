package judge

import (
	"time"

	"offsets/internal/oracle/model"
	"offsets/internal/oracle/record"
)

// pending: history names the commits of transactions that are open, all of them
// and no others. What is open cannot be compacted away, nor does it go with its
// topic or group: it is in the log until a marker ends it.
func (j *Judge) pending(e *record.Entry, r record.Run, doc historyDoc) {
	open := j.Model.Open(e.Group, e.Before.Begin, e.After.End)
	told := func(p model.Pending) bool {
		for _, ev := range doc.Events {
			if is(ev, p) {
				return true
			}
		}
		return false
	}
	for _, p := range open {
		if p.Sure && !told(p) {
			j.fault(e, r, "history-pending", "%s: a transaction has committed %d and is open, and that is not told", p.TP, p.Offset)
		}
	}
	for _, ev := range doc.Events {
		if ev.Event != "txn_pending" || ev.Topic == nil || ev.Partition == nil {
			continue
		}
		may := false
		for _, p := range open {
			may = may || is(ev, p)
		}
		if !may {
			j.fault(e, r, "history-pending", "%s:%d: %s is said to be pending; no transaction that may be open has committed it", *ev.Topic, *ev.Partition, show(ev.Committed))
		}
	}
}

func is(ev historyEvent, p model.Pending) bool {
	return ev.Event == "txn_pending" && ev.Topic != nil && *ev.Topic == p.TP.Topic && ev.Partition != nil && *ev.Partition == p.TP.Partition &&
		ev.Committed != nil && *ev.Committed == p.Offset
}

// previous: what a commit is said to have replaced, be it nothing, stood before it.
func (j *Judge) previous(e *record.Entry, r record.Run, tp record.TP, ev historyEvent) {
	if ev.Known == nil || !*ev.Known || has(ev.Signs, "superseded") || ev.Event != "commit" && ev.Event != "txn_commit" {
		return
	}
	key := model.Key{Group: e.Group, TP: tp}
	for _, around := range []time.Duration{-5 * time.Millisecond, 5 * time.Millisecond} {
		possible, known := j.Model.At(key, ev.Time.Add(around))
		if !known || among(possible, ev.Previous) {
			return
		}
	}
	j.fault(e, r, "history-previous", "%s at %s: %s is said to have stood before %s, and did not", tp, ev.Time.UTC().Format(clock), show(ev.Previous), show(ev.Committed))
}
