package judge

import (
	"slices"
	"strings"
	"time"

	"offsets/internal/oracle/model"
	"offsets/internal/oracle/record"
)

type planDoc struct {
	Groups []planGroup `json:"groups"`
}

type planGroup struct {
	Group        string    `json:"group"`
	Kind         string    `json:"kind"`
	Type         string    `json:"type"`
	Applied      bool      `json:"applied"`
	Verified     *string   `json:"verified"`
	Receipt      *string   `json:"receipt"`
	DeletesGroup bool      `json:"deletes_group"`
	Partitions   []planRow `json:"partitions"`
	Refusals     []string  `json:"refusals"`
	Warnings     []string  `json:"warnings"`
	Blocked      []any     `json:"blocked"`
}

type planRow struct {
	Topic     string  `json:"topic"`
	Partition int32   `json:"partition"`
	From      *int64  `json:"from"`
	To        *int64  `json:"to"`
	LogStart  *int64  `json:"log_start"`
	LogEnd    *int64  `json:"log_end"`
	Reread    *int64  `json:"reread"`
	Skipped   *int64  `json:"skipped"`
	Lost      int64   `json:"lost"`
	Note      *string `json:"note"`
	Error     *string `json:"error"`
	Action    string  `json:"action"`
	Written   bool    `json:"written"`
}

func (r planRow) tp() record.TP { return record.TP{Topic: r.Topic, Partition: r.Partition} }

// plan judges what a reset would do: the selection, where each row goes, and
// what that reads again and skips.
func (j *Judge) plan(e *record.Entry, r record.Run) {
	var doc planDoc
	share := isShare(e, e.Group)
	if share && e.Step.Position == "as-of" {
		if r.Exit == 0 {
			j.fault(e, r, "as-of-share", "exit 0: where a share group was is not in the offsets topic; %s", head(r.Stdout, 300))
		}
		return
	}
	if !j.read(r, &doc) {
		return
	}
	for _, g := range doc.Groups {
		if g.Group != e.Group {
			j.fault(e, r, "selection", "a plan for group %s", g.Group)
			continue
		}
		j.selected(e, r, g)
		for _, row := range g.Partitions {
			j.planned(e, r, g, row, share)
		}
	}
}

// selected holds the rows against what was asked for.
func (j *Judge) selected(e *record.Entry, r record.Run, g planGroup) {
	if j.running(e.Group) {
		return
	}
	for _, row := range g.Partitions {
		tp := row.tp()
		if e.Step.Topic != 0 {
			if tp.Topic != e.Topic || len(e.Step.Partitions) > 0 && !slices.Contains(e.Step.Partitions, tp.Partition) {
				j.fault(e, r, "selection", "%s was not asked for", tp)
			}
			continue
		}
		_, had := e.Before.Groups[e.Group].Commits[tp]
		_, has := e.After.Groups[e.Group].Commits[tp]
		if !had && !has && !isShare(e, e.Group) {
			j.fault(e, r, "selection", "%s has no commit, and was not asked for", tp)
		}
	}
}

func (j *Judge) planned(e *record.Entry, r record.Run, g planGroup, row planRow, share bool) {
	tp := row.tp()
	ends, ok := settled(e, tp)
	was, had := e.Before.Groups[e.Group].Commits[tp]
	if !ok || j.running(e.Group) {
		return
	}
	if !share {
		var from *int64
		if had {
			from = &was.Offset
		}
		now, still := e.After.Groups[e.Group].Commits[tp]
		if !e.Step.Execute && (had != still || now != was) {
			return
		}
		if !same(row.From, from) {
			j.fault(e, r, "plan-from", "%s: from %s, committed is %s", tp, show(row.From), show(from))
			return
		}
	}
	j.target(e, r, g, row, ends, share)
	if row.Error == nil && !share && row.To != nil && row.Action != "none" {
		j.cost(e, r, row, ends)
	}
}

// target holds a row's target against the position that was asked for.
func (j *Judge) target(e *record.Entry, r record.Run, g planGroup, row planRow, ends record.Partition, share bool) {
	tp := row.tp()
	var want int64
	switch s := e.Step; s.Position {
	case "earliest":
		want = ends.Start
	case "latest":
		want = ends.End
		if has(s.Flags, "read_committed") {
			want = ends.Stable
		}
	case "number":
		want = int64(s.N)
	case "+", "-":
		if row.From == nil || share {
			return
		}
		want = *row.From + int64(s.N)
		if s.Position == "-" {
			want = *row.From - int64(s.N)
		}
		if want < 0 && *row.From > ends.End { // overflow
			return
		}
	case "time":
		if j.odd[tp.Topic] {
			return
		}
		want = j.firstAt(tp, ends, e.Moment)
	case "as-of":
		j.targetThen(e, r, g, row, ends)
		return
	default: // current, and durations, whose end is a matter of seconds
		return
	}
	outside := want < ends.Start || want > ends.End
	if has(e.Step.Flags, "--clamp") {
		want, outside = min(max(want, ends.Start), ends.End), false
	}
	switch {
	case outside && row.Error == nil:
		j.fault(e, r, "plan-range", "%s: to %s without an error; %d is outside the log (%d to %d)", tp, show(row.To), want, ends.Start, ends.End)
	case !outside && row.Error == nil && (row.To == nil || *row.To != want):
		j.fault(e, r, "plan-to", "%s: to %s, true %d (log %d to %d)", tp, show(row.To), want, ends.Start, ends.End)
	case !outside && row.Error != nil && e.Step.Position != "latest":
		j.fault(e, r, "plan-refused", "%s: %s; %d is inside the log (%d to %d)", tp, *row.Error, want, ends.Start, ends.End)
	}
}

// firstAt is the first record of a time, or the end.
func (j *Judge) firstAt(tp record.TP, ends record.Partition, at time.Time) int64 {
	for _, rec := range j.Model.Records(tp) {
		if rec.Offset >= ends.Start && rec.Time >= at.UnixMilli() {
			return rec.Offset
		}
	}
	return ends.End
}

// targetThen judges as-of: what is planned must have been committed then, and in
// the topic that there is now.
func (j *Judge) targetThen(e *record.Entry, r record.Run, g planGroup, row planRow, ends record.Partition) {
	tp := row.tp()
	possible, known := j.Model.At(model.Key{Group: e.Group, TP: tp}, e.Moment)
	if !known {
		return
	}
	at := e.Moment.UTC().Format(clock)
	switch {
	case row.Error != nil:
		note := *row.Error
		if !j.compacted && len(possible) == 1 && possible[0] != nil && strings.Contains(note, "not certain") {
			j.fault(e, r, "as-of-refused", "%s at %s: %s; nothing was compacted, true: %s", tp, at, note, choices(possible))
		}
	case row.Action == "none" && row.To == nil && row.From != nil || row.To == nil:
		if !among(possible, nil) {
			j.fault(e, r, "as-of-absent", "%s at %s: %s; true: %s", tp, at, show(row.Note), choices(possible))
		}
	case has(e.Step.Flags, "--clamp"):
	case !among(possible, row.To):
		// What does not move stands where it stood.
		j.fault(e, r, "as-of-value", "%s at %s: to %s; true: %s", tp, at, show(row.To), choices(possible))
	case j.Model.Recreated(tp.Topic, e.Moment) && !said(g, row, "again", "deleted"):
		j.fault(e, r, "as-of-recreated", "%s at %s: to %s, an offset of the topic that was deleted since, without a word (log now %d to %d)", tp, at, show(row.To), ends.Start, ends.End)
	}
}

func said(g planGroup, row planRow, words ...string) bool {
	all := strings.Join(append(append(slices.Clone(g.Warnings), g.Refusals...), show(row.Note)), " ")
	for _, w := range words {
		if strings.Contains(all, w) {
			return true
		}
	}
	return false
}

// cost judges reread, skipped and lost by the definitions of section 2.
func (j *Judge) cost(e *record.Entry, r record.Run, row planRow, ends record.Partition) {
	var reread, skipped *int64
	to := *row.To
	switch {
	case row.From == nil:
		skipped = ptr(max(0, min(to, ends.End)-ends.Start))
	case *row.From <= ends.End:
		reread = ptr(max(0, min(*row.From, ends.End)-max(to, ends.Start)))
		skipped = ptr(max(0, min(to, ends.End)-max(*row.From, ends.Start)))
	}
	if !same(row.Reread, reread) || !same(row.Skipped, skipped) {
		j.fault(e, r, "plan-cost", "%s: from %s to %d in %d to %d: reread %s, skipped %s; true %s, %s", row.tp(), show(row.From), to, ends.Start, ends.End,
			show(row.Reread), show(row.Skipped), show(reread), show(skipped))
	}
	if row.From != nil {
		if lost := max(0, ends.Start-*row.From); row.Lost != lost {
			j.fault(e, r, "plan-cost", "%s: lost %d, true %d", row.tp(), row.Lost, lost)
		}
	}
}

type exportDoc struct {
	Groups []struct {
		Group      string `json:"group"`
		Type       string `json:"type"`
		Partitions []struct {
			Topic     string     `json:"topic"`
			Partition int32      `json:"partition"`
			Committed *int64     `json:"committed"`
			Epoch     *int32     `json:"leader_epoch"`
			Metadata  *string    `json:"metadata"`
			Before    *time.Time `json:"timestamp_before"`
			After     *time.Time `json:"timestamp_after"`
			Error     *string    `json:"error"`
		} `json:"partitions"`
	} `json:"groups"`
}

// export judges what is written down for another day.
func (j *Judge) export(e *record.Entry, r record.Run) {
	var doc exportDoc
	rows, sure := j.rows(e, e.Group, false)
	if !sure || isShare(e, e.Group) || j.running(e.Group) || !j.read(r, &doc) || len(doc.Groups) != 1 {
		return
	}
	shown := map[record.TP]bool{}
	for _, row := range doc.Groups[0].Partitions {
		tp := record.TP{Topic: row.Topic, Partition: row.Partition}
		shown[tp] = true
		t := rows[tp]
		if row.Error != nil || t.committed == nil && row.Committed == nil {
			continue
		}
		if t.committed == nil || row.Committed == nil || *row.Committed != t.committed.Offset || row.Metadata == nil || *row.Metadata != t.committed.Metadata ||
			row.Epoch != nil && *row.Epoch != t.committed.Epoch || row.Epoch == nil && t.committed.Epoch >= 0 {
			j.fault(e, r, "export", "%s: %s, epoch %s, metadata %s; true: %v", tp, show(row.Committed), show(row.Epoch), show(row.Metadata), t.committed)
			continue
		}
		if t.gone || j.odd[tp.Topic] {
			continue
		}
		before, after := j.around(tp, t)
		if !sameTime(row.Before, before) || !sameTime(row.After, after) {
			j.fault(e, r, "export-times", "%s at %d (log %d to %d): before %s, after %s; true %s, %s", tp, t.committed.Offset, t.ends.Start, t.ends.End,
				show(row.Before), show(row.After), show(before), show(after))
		}
	}
	for tp, t := range rows {
		if t.committed != nil && !shown[tp] {
			j.fault(e, r, "export", "%s: %d is committed, and not exported", tp, t.committed.Offset)
		}
	}
}

// around are the times of the last record below the commit and of the first one
// at or above it.
func (j *Judge) around(tp record.TP, t truth) (before, after *time.Time) {
	for _, rec := range j.Model.Records(tp) {
		switch at := time.UnixMilli(rec.Time).UTC(); {
		case rec.Offset < t.ends.Start:
		case rec.Offset < t.committed.Offset:
			before = &at
		case after == nil:
			after = &at
		}
	}
	return before, after
}

func sameTime(a, b *time.Time) bool {
	return a == nil && b == nil || a != nil && b != nil && a.Equal(*b)
}
