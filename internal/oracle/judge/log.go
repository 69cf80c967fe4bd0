package judge

import (
	"time"

	"offsets/internal/oracle/model"
	"offsets/internal/oracle/record"
)

type decodedRow struct {
	Partition *int32 `json:"partition"`
	Offset    int64  `json:"offset"`
	Kind      string `json:"kind"`
	Key       struct {
		Group     string `json:"group"`
		Topic     string `json:"topic"`
		Partition int32  `json:"partition"`
	} `json:"key"`
	Value *struct {
		Offset   int64  `json:"offset"`
		Epoch    *int32 `json:"leaderEpoch"`
		Metadata string `json:"metadata"`
	} `json:"value"`
	Tombstone   bool `json:"tombstone"`
	Transaction *struct {
		State string `json:"state"`
	} `json:"transaction"`
	Error *string `json:"error"`
}

// decode replays what decode printed by the coordinator's rule, and holds the
// outcome against what the coordinator answers: of each key the record with the
// greatest offset counts, among plain ones and those of committed transactions.
func (j *Judge) decode(e *record.Entry, r record.Run) {
	for i, run := range e.Runs {
		if run.Killed {
			continue
		}
		j.decoded(e, run, i)
	}
	_ = r
}

func (j *Judge) decoded(e *record.Entry, r record.Run, _ int) {
	if j.running(e.Group) || isShare(e, e.Group) {
		return
	}
	if _, sure := j.rows(e, e.Group, false); !sure {
		return
	}
	rows, err := lines[decodedRow](r.Stdout)
	if err != nil || r.Exit != 0 {
		if r.Exit != 0 {
			j.fault(e, r, "decode", "exit %d: %s", r.Exit, head(r.Stderr, 200))
		}
		return
	}
	type place struct {
		at     int64
		commit *record.Commit
		open   bool
	}
	last := map[record.TP]place{}
	undecided := map[record.TP]bool{}
	for _, row := range rows {
		if row.Kind != "offset_commit" && row.Kind != "legacy_offset_commit" {
			continue
		}
		if row.Error != nil {
			j.fault(e, r, "decode", "offset %d: %s", row.Offset, *row.Error)
			continue
		}
		tp := record.TP{Topic: row.Key.Topic, Partition: row.Key.Partition}
		if row.Key.Group != e.Group {
			j.fault(e, r, "decode", "a record of group %s", row.Key.Group)
			continue
		}
		if row.Transaction != nil && row.Transaction.State != "committed" {
			undecided[tp] = true
			continue
		}
		p := place{at: row.Offset}
		if !row.Tombstone && row.Value != nil {
			p.commit = &record.Commit{Offset: row.Value.Offset, Epoch: -1, Metadata: row.Value.Metadata}
			if row.Value.Epoch != nil {
				p.commit.Epoch = *row.Value.Epoch
			}
		}
		if was, ok := last[tp]; !ok || was.at < p.at {
			// A tombstone over a transaction that is committed later: releases differ.
			if row.Tombstone {
				undecided[tp] = undecided[tp] || ok && was.open
			}
			p.open = row.Transaction != nil
			last[tp] = p
		}
	}
	truth := e.Before.Groups[e.Group].Commits
	for tp, p := range last {
		c, has := truth[tp]
		switch {
		case j.Model.Cloudy(model.Key{Group: e.Group, TP: tp}):
		case undecided[tp] && p.commit == nil:
		case p.commit == nil && has:
			j.fault(e, r, "decode", "%s: the log ends with a tombstone, the coordinator has %d", tp, c.Offset)
		case p.commit != nil && !has:
			j.fault(e, r, "decode", "%s: the log ends with %d, the coordinator has none", tp, p.commit.Offset)
		case p.commit != nil && *p.commit != c:
			j.fault(e, r, "decode", "%s: the log ends with %v, the coordinator has %v", tp, *p.commit, c)
		}
	}
	for tp, c := range truth {
		if _, ok := last[tp]; !ok {
			j.fault(e, r, "decode", "%s: %d is committed, and decode shows no record of it", tp, c.Offset)
		}
	}
}

type stateDoc struct {
	Groups []struct {
		Group      string `json:"group"`
		Partitions []struct {
			Topic     string     `json:"topic"`
			Partition int32      `json:"partition"`
			Committed *int64     `json:"committed"`
			Certain   bool       `json:"certain"`
			Time      *time.Time `json:"commit_time"`
		} `json:"partitions"`
	} `json:"groups"`
	CompleteSince []struct {
		Partition int32      `json:"partition"`
		Time      *time.Time `json:"time"`
	} `json:"complete_since"`
}

// state judges decode --state, now and as of a time that is past. What is not
// certain may be anything.
func (j *Judge) state(e *record.Entry, r record.Run) {
	var doc stateDoc
	if r.Exit != 0 || !j.read(r, &doc) {
		if r.Exit != 0 {
			j.fault(e, r, "state", "exit %d: %s", r.Exit, head(r.Stderr, 200))
		}
		return
	}
	at := e.Moment
	if at.IsZero() {
		if _, sure := j.rows(e, e.Group, false); !sure {
			return
		}
		at = e.Before.End
	}
	complete := j.completeAt(doc, e.Group, at)
	shown := map[record.TP]bool{}
	for _, g := range doc.Groups {
		if g.Group != e.Group {
			j.fault(e, r, "state", "group %s was not asked for", g.Group)
			continue
		}
		for _, row := range g.Partitions {
			tp := record.TP{Topic: row.Topic, Partition: row.Partition}
			shown[tp] = true
			if !row.Certain {
				continue
			}
			possible, known := j.Model.At(model.Key{Group: e.Group, TP: tp}, at)
			if known && !among(possible, row.Committed) {
				j.fault(e, r, "as-of-value", "%s at %s: %s, certain; true: %s", tp, at.UTC().Format(clock), show(row.Committed), choices(possible))
			}
		}
	}
	if !complete {
		return
	}
	for _, key := range j.Model.Keys(e.Group) {
		possible, known := j.Model.At(key, at)
		if known && !shown[key.TP] && !among(possible, nil) {
			j.fault(e, r, "as-of-absent", "%s at %s: no row, and the log is said to be complete since before; true: %s", key.TP, at.UTC().Format(clock), choices(possible))
		}
	}
}

const clock = "15:04:05.000"

func among(possible []*record.Commit, offset *int64) bool {
	for _, c := range possible {
		if c == nil && offset == nil || c != nil && offset != nil && c.Offset == *offset {
			return true
		}
	}
	return false
}

func choices(possible []*record.Commit) string {
	s := ""
	for i, c := range possible {
		if i > 0 {
			s += " or "
		}
		if c == nil {
			s += "none"
		} else {
			s += show(&c.Offset)
		}
	}
	return s
}

// completeAt says whether the answer claims to know all that was committed at a
// time: absence is a claim then, too.
func (j *Judge) completeAt(doc stateDoc, group string, at time.Time) bool {
	n := int32(len(doc.CompleteSince))
	if n == 0 {
		return true
	}
	for _, c := range doc.CompleteSince {
		if c.Partition == logPartition(group, n) {
			return c.Time == nil || !c.Time.After(at)
		}
	}
	return false
}

// logPartition is where Kafka keeps a group: Java's hash of the name.
func logPartition(group string, n int32) int32 {
	var h int32
	for _, c := range group {
		h = 31*h + c
	}
	if h == -1<<31 {
		return 0
	}
	return max(h, -h) % n
}

type historyDoc struct {
	Events []historyEvent `json:"events"`
}

type historyEvent struct {
	Time      time.Time `json:"time"`
	Event     string    `json:"event"`
	Topic     *string   `json:"topic"`
	Partition *int32    `json:"partition"`
	Committed *int64    `json:"committed"`
	Previous  *int64    `json:"previous"`
	Known     *bool     `json:"previous_known"`
	Signs     []string  `json:"signs"`
}

// history judges what history tells: every rewind was one, every one is told,
// and the last that is told of a key is what is committed.
func (j *Judge) history(e *record.Entry, r record.Run) {
	var doc historyDoc
	if r.Exit != 0 || !j.read(r, &doc) || isShare(e, e.Group) || j.Model.Busy(e.Group) {
		return
	}
	if _, sure := j.rows(e, e.Group, false); !sure {
		return
	}
	last := map[record.TP]historyEvent{}
	for _, ev := range doc.Events {
		if ev.Topic == nil || ev.Partition == nil {
			continue
		}
		tp := record.TP{Topic: *ev.Topic, Partition: *ev.Partition}
		j.previous(e, r, tp, ev)
		switch ev.Event {
		case "commit", "tombstone", "txn_commit":
		default:
			continue
		}
		if has(ev.Signs, "superseded") {
			continue
		}
		last[tp] = ev
		if has(ev.Signs, "rewind") {
			j.rewind(e, r, tp, ev)
		}
	}
	for tp, c := range e.After.Groups[e.Group].Commits {
		ev, told := last[tp]
		if j.Model.Cloudy(model.Key{Group: e.Group, TP: tp}) {
			continue
		}
		if told && (ev.Committed == nil || *ev.Committed != c.Offset) {
			j.fault(e, r, "history-last", "%s: the last event is %s to %s, committed is %d", tp, ev.Event, show(ev.Committed), c.Offset)
		}
		if !told {
			j.fault(e, r, "history-last", "%s: nothing is told, committed is %d", tp, c.Offset)
		}
	}
	j.pending(e, r, doc)
	if !j.compacted {
		j.rewindsTold(e, r, doc)
	}
}

func (j *Judge) rewind(e *record.Entry, r record.Run, tp record.TP, ev historyEvent) {
	key := model.Key{Group: e.Group, TP: tp}
	if j.Model.Cloudy(key) {
		return
	}
	all := j.Model.Changes(key)
	for i, c := range all {
		if i == 0 || c.Commit == nil || ev.Committed == nil || c.Commit.Offset != *ev.Committed {
			continue
		}
		near := ev.Time.After(c.From.Add(-5*time.Millisecond)) && ev.Time.Before(c.To.Add(5*time.Millisecond))
		if near {
			return
		}
	}
	j.fault(e, r, "history-rewind-invented", "%s at %s: a rewind from %s to %s (%s) that never was", tp, ev.Time.UTC().Format(clock), show(ev.Previous), show(ev.Committed), ev.Event)
}

func (j *Judge) rewindsTold(e *record.Entry, r record.Run, doc historyDoc) {
	for _, key := range j.Model.Keys(e.Group) {
		all := j.Model.Changes(key)
		for i := 1; i < len(all); i++ {
			was, is := all[i-1].Commit, all[i].Commit
			if was == nil || is == nil || is.Offset >= was.Offset {
				continue
			}
			told := false
			for _, ev := range doc.Events {
				told = told || ev.Topic != nil && *ev.Topic == key.TP.Topic && ev.Partition != nil && *ev.Partition == key.TP.Partition &&
					ev.Committed != nil && *ev.Committed == is.Offset && has(ev.Signs, "rewind") &&
					ev.Time.After(all[i].From.Add(-5*time.Millisecond)) && ev.Time.Before(all[i].To.Add(5*time.Millisecond))
			}
			if !told {
				j.fault(e, r, "history-rewind-missing", "%s: the rewind from %d to %d before %s is not told", key.TP, was.Offset, is.Offset, all[i].To.UTC().Format(clock))
			}
		}
	}
}

func has(list []string, s string) bool {
	for _, v := range list {
		if v == s {
			return true
		}
	}
	return false
}
