package judge

import (
	"encoding/json"

	"offsets/internal/oracle/record"
)

// refusals judges what must not be written at all: to a group with members, out
// of a plan that is stale, or by an undo over what somebody committed since.
func (j *Judge) refusals(e *record.Entry, r record.Run, g planGroup, target string) {
	if r.Exit != 0 || !e.Step.Execute || !g.Applied {
		return
	}
	writes := false
	for _, row := range g.Partitions {
		writes = writes || row.Written
	}
	before, after := e.Before.Groups[target], e.After.Groups[target]
	if writes && e.Step.Kind != "do.delete" && before.Members > 0 && after.Members >= before.Members && !j.running(target) {
		j.fault(e, r, "active-written", "%s has %d members, and was written", target, before.Members)
	}
	switch e.Step.Kind {
	case "do.apply":
		j.stale(e, r, before)
	case "do.undo":
		j.movedSince(e, r, g, target, before)
	}
}

// stale: a plan whose commits have moved since it was made.
func (j *Judge) stale(e *record.Entry, r record.Run, before record.Group) {
	src := j.entries[e.From]
	if src == nil || len(src.Runs) == 0 || before.Type == "share" {
		return
	}
	var doc planDoc
	if json.Unmarshal([]byte(src.Runs[0].Stdout), &doc) != nil || len(doc.Groups) != 1 {
		return
	}
	for _, row := range doc.Groups[0].Partitions {
		if row.Action != "write" {
			continue
		}
		c, has := before.Commits[row.tp()]
		if has != (row.From != nil) || has && c.Offset != *row.From {
			j.fault(e, r, "stale-applied", "%s: planned from %s, committed was %s when it was applied", row.tp(), show(row.From), commitText(c, has))
		}
	}
}

// movedSince: an undo over a commit that is younger than the change.
func (j *Judge) movedSince(e *record.Entry, r record.Run, g planGroup, target string, before record.Group) {
	all := j.changes[target]
	if len(all) == 0 || has(e.Step.Flags, "--even-if-moved") || before.Type == "share" || all[len(all)-1].after.Type == "share" {
		return
	}
	last := all[len(all)-1]
	for _, row := range g.Partitions {
		tp := row.tp()
		left, did := last.after.Commits[tp]
		is, there := before.Commits[tp]
		if row.Written && row.Action == "write" && (did != there || did && left.Offset != is.Offset) {
			j.fault(e, r, "undo-moved", "%s %s: the change left %s, committed was %s, and was overwritten", target, tp, commitText(left, did), commitText(is, there))
		}
	}
}
