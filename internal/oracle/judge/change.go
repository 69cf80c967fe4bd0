package judge

import (
	"maps"
	"strings"

	"offsets/internal/oracle/record"
)

// change is what the program changed of a group: what undo has to put back.
type change struct {
	step   int
	before record.Group
	had    bool // the group existed
	after  record.Group
}

// change judges a command that may change offsets: nothing outside what it
// names, and what it says it did.
func (j *Judge) change(e *record.Entry, r record.Run) {
	var doc planDoc
	read := j.read(r, &doc)
	target := e.Group
	if e.Step.Kind == "do.copy" {
		target = e.Group2
	}
	j.outside(e, r, doc, target)
	if !e.Step.Execute {
		j.unchanged(e, r, "a plan without --execute")
	}
	if r.Exit == 4 || r.Exit == 2 {
		j.unchanged(e, r, "a refused change")
	}
	if !read || len(doc.Groups) != 1 {
		return
	}
	g := doc.Groups[0]
	if e.Step.Kind == "do.reset" {
		j.plan(e, r)
	}
	if e.Step.Kind == "do.import" {
		j.imported(e, r, g)
	}
	if !e.Step.Execute {
		return
	}
	before, had := e.Before.Groups[target]
	after, has := e.After.Groups[target]
	j.done(e, r, g, target)
	j.refusals(e, r, g, target)
	if had && has && before.Type != after.Type {
		j.fault(e, r, "type-changed", "%s was a %s group, and is a %s group now", target, before.Type, after.Type)
	}
	if before.Type == "share" || after.Type == "share" {
		j.redelivered(e, r, g, target)
	}
	if e.Step.Kind == "do.import" && has && !had {
		if src := j.entries[e.From]; src != nil {
			if t := src.Before.Groups[src.Group].Type; t == "share" && after.Type != "share" {
				j.fault(e, r, "type-changed", "exported from a share group; %s is a %s group now", target, after.Type)
			}
		}
	}
	if e.Step.Kind == "do.undo" {
		j.undone(e, r, g, target)
	}
	if g.Receipt != nil {
		j.changes[target] = append(j.changes[target], change{step: e.Step.ID, before: before, had: had, after: after})
	}
}

// outside: no commit and no start offset changes but those that the answer
// names.
func (j *Judge) outside(e *record.Entry, r record.Run, doc planDoc, target string) {
	named := map[record.TP]bool{}
	whole := false
	for _, g := range doc.Groups {
		whole = whole || g.DeletesGroup
		for _, row := range g.Partitions {
			if g.Group == target && (row.Action != "none" || row.Written) {
				named[row.tp()] = true
			}
		}
	}
	groups := maps.Clone(e.Before.Groups)
	maps.Copy(groups, e.After.Groups)
	for name := range groups {
		b, a := e.Before.Groups[name], e.After.Groups[name]
		if j.running(name) {
			continue
		}
		allowed := func(tp record.TP) bool { return name == target && (named[tp] || whole) }
		keys := map[record.TP]bool{}
		for tp := range b.Commits {
			keys[tp] = true
		}
		for tp := range a.Commits {
			keys[tp] = true
		}
		for tp := range keys {
			was, had := b.Commits[tp]
			is, has := a.Commits[tp]
			if (had != has || was != is) && !allowed(tp) {
				j.fault(e, r, "moved-outside", "%s %s: %s became %s, and was not named", name, tp, commitText(was, had), commitText(is, has))
			}
		}
		keys = map[record.TP]bool{}
		for tp := range b.Shares {
			keys[tp] = true
		}
		for tp := range a.Shares {
			keys[tp] = true
		}
		for tp := range keys {
			was, is := startOf(b, tp), startOf(a, tp)
			if was < 0 && is >= 0 && b.Members > 0 {
				continue // Kafka sets it when a member fetches the partition for the first time
			}
			if was != is && !allowed(tp) {
				j.fault(e, r, "moved-outside", "%s %s: start offset %d became %d, and was not named", name, tp, was, is)
			}
		}
	}
}

func startOf(g record.Group, tp record.TP) int64 {
	if s, ok := g.Shares[tp]; ok {
		return s.Start
	}
	return -1
}

func commitText(c record.Commit, there bool) string {
	if !there {
		return "none"
	}
	return show(&c)
}

// unchanged: nothing at all changed.
func (j *Judge) unchanged(e *record.Entry, r record.Run, what string) {
	for name, b := range e.Before.Groups {
		a, has := e.After.Groups[name]
		if j.running(name) || b.Members > 0 || a.Members > 0 {
			continue
		}
		if !has && len(b.Commits)+len(b.Shares) == 0 {
			continue // nothing kept it: the coordinator forgets such groups by itself
		}
		if !has || !maps.Equal(b.Commits, a.Commits) || b.Type != a.Type {
			j.fault(e, r, "changed-by-refusal", "%s changed %s: %v became %v", what, name, b.Commits, a.Commits)
			continue
		}
		for tp, s := range b.Shares {
			if startOf(a, tp) != s.Start {
				j.fault(e, r, "changed-by-refusal", "%s changed %s %s: start offset %d became %d", what, name, tp, s.Start, startOf(a, tp))
			}
		}
	}
}

// done: what it says it wrote is there.
func (j *Judge) done(e *record.Entry, r record.Run, g planGroup, target string) {
	after, has := e.After.Groups[target]
	if r.Exit != 0 && r.Exit != 5 || !g.Applied || j.running(target) {
		return
	}
	if g.DeletesGroup && has && r.Exit == 0 {
		j.fault(e, r, "not-done", "%s was to be deleted, and is there", target)
		return
	}
	for _, row := range g.Partitions {
		tp := row.tp()
		if row.Error != nil || r.Exit == 5 && !row.Written { // 5: some are not done
			continue
		}
		if after.Type == "share" {
			if row.Action == "write" && row.To != nil && startOf(after, tp) != *row.To {
				j.fault(e, r, "not-done", "%s %s: start offset %d, said %d, verified %s", target, tp, startOf(after, tp), *row.To, show(g.Verified))
			}
			continue
		}
		c, there := after.Commits[tp]
		switch {
		case row.Action == "write" && (row.To == nil || !there || c.Offset != *row.To):
			j.fault(e, r, "not-done", "%s %s: committed is %s, said %s, verified %s", target, tp, commitText(c, there), show(row.To), show(g.Verified))
		case row.Action == "delete" && there:
			j.fault(e, r, "not-done", "%s %s: said to be deleted, committed is %d", target, tp, c.Offset)
		}
	}
}

// redelivered: of share groups, a reset to where they start means that all from
// there on is delivered again.
func (j *Judge) redelivered(e *record.Entry, r record.Run, g planGroup, target string) {
	if e.Step.Kind != "do.reset" || r.Exit != 0 || !g.Applied {
		return
	}
	for _, row := range g.Partitions {
		tp := row.tp()
		ends, ok := settled(e, tp)
		after, there := e.After.Groups[target].Shares[tp]
		was := e.Before.Groups[target].Shares[tp]
		if !ok || !there || row.Error != nil || row.To == nil || after.Lag < 0 {
			continue
		}
		if want := ends.End - *row.To; after.Start == *row.To && after.Lag != want {
			j.fault(e, r, "share-not-redelivered", "%s %s: to %d of %d, and the broker delivers %d, not %d; action %s", target, tp, *row.To, ends.End, after.Lag, want, row.Action)
		} else if again := max(0, want-max(was.Lag, 0)); was.Start == *row.To && was.Lag >= 0 && row.Reread != nil && *row.Reread != again {
			j.fault(e, r, "share-reread", "%s %s: reread %d; the broker's lag went from %d to %d", target, tp, *row.Reread, was.Lag, after.Lag)
		}
	}
}

// undone: what the last change replaced is back, offset, metadata and epoch, and
// the type of the group.
func (j *Judge) undone(e *record.Entry, r record.Run, g planGroup, target string) {
	all := j.changes[target]
	if len(all) == 0 || r.Exit != 0 || !g.Applied {
		return
	}
	last := all[len(all)-1]
	after, has := e.After.Groups[target]
	if last.had && has && last.before.Type != after.Type {
		j.fault(e, r, "undo-type", "%s was a %s group, and comes back as a %s group", target, last.before.Type, after.Type)
	}
	rows := map[record.TP]planRow{}
	left := 0
	for _, row := range g.Partitions {
		rows[row.tp()] = row
		if row.Action == "none" {
			left++
		}
	}
	if n := len(g.Partitions); n > 0 && left == n && !back(last, after) {
		j.fault(e, r, "undo-nothing", "exit 0, applied; nothing was put back: %s", show(g.Partitions[0].Note))
		return
	}
	for tp := range keysOf(last) {
		was, had := last.before.Commits[tp]
		did, left := last.after.Commits[tp]
		if had == left && was == did || startOf(last.before, tp) >= 0 || startOf(last.after, tp) >= 0 {
			continue
		}
		row, named := rows[tp]
		is, there := after.Commits[tp]
		if _, here := e.After.Partition(tp); !here || named && (row.Error != nil || row.Action == "none") {
			if had != there || is.Offset != was.Offset {
				j.fault(e, r, "undo-partial", "exit 0, applied, and %s %s is not back: %s before the change, %s after the undo; %s", target, tp, commitText(was, had), commitText(is, there), show(row.Note))
			}
			continue
		}
		switch {
		case had != there || had && is.Offset != was.Offset:
			j.fault(e, r, "undo-value", "%s %s: %s before the change, %s after the undo", target, tp, commitText(was, had), commitText(is, there))
		case had && is.Metadata != was.Metadata:
			j.fault(e, r, "undo-metadata", "%s %s: metadata %q before the change, %q after the undo", target, tp, was.Metadata, is.Metadata)
		case had && is.Epoch != was.Epoch && is.Epoch != -1:
			j.fault(e, r, "undo-epoch", "%s %s: epoch %d before the change, %d after the undo", target, tp, was.Epoch, is.Epoch)
		}
	}
	for tp, was := range last.before.Shares {
		row, named := rows[tp]
		if _, here := e.After.Partition(tp); !here || !has || !named || row.Error != nil {
			continue
		}
		if after.Type == "share" && startOf(after, tp) != was.Start {
			j.fault(e, r, "undo-value", "%s %s: start offset %d before the change, %d after the undo", target, tp, was.Start, startOf(after, tp))
		}
	}
}

// back says whether all that the change moved is as it was before, without any
// write.
func back(c change, now record.Group) bool {
	for tp := range keysOf(c) {
		was, had := c.before.Commits[tp]
		did, left := c.after.Commits[tp]
		is, there := now.Commits[tp]
		if (had != left || was != did) && (had != there || was != is) {
			return false
		}
	}
	return true
}

func keysOf(c change) map[record.TP]bool {
	keys := map[record.TP]bool{}
	for tp := range c.before.Commits {
		keys[tp] = true
	}
	for tp := range c.after.Commits {
		keys[tp] = true
	}
	return keys
}

// imported: every record that was not read there can be read here.
func (j *Judge) imported(e *record.Entry, r record.Run, g planGroup) {
	src := j.entries[e.From]
	if src == nil || len(src.Runs) == 0 || !has(e.Step.Flags, "time") {
		return
	}
	var doc exportDoc
	if !j.read(src.Runs[0], &doc) || len(doc.Groups) != 1 || doc.Groups[0].Type == "share" {
		return
	}
	there := map[record.TP]int64{}
	for _, p := range doc.Groups[0].Partitions {
		if p.Committed != nil {
			there[record.TP{Topic: p.Topic, Partition: p.Partition}] = *p.Committed
		}
	}
	for _, row := range g.Partitions {
		tp := row.tp()
		committed, ok := there[tp]
		if !ok || row.To == nil || row.Error != nil || j.odd[tp.Topic] || row.Action == "none" {
			continue
		}
		ends, _ := e.Before.Partition(tp)
		now := map[string]int64{}
		for _, rec := range j.Model.Records(tp) {
			if rec.Offset >= ends.Start {
				now[rec.Key] = rec.Offset
			}
		}
		skipped := 0
		for _, rec := range j.sources[e.From][tp] {
			if at, here := now[rec.Key]; rec.Offset >= committed && here && at < *row.To {
				skipped++
			}
		}
		if skipped > 0 {
			j.fault(e, r, "import-skips", "%s: exported at %d, imported at %d: %d records that were never read are behind it; note: %s", tp, committed, *row.To, skipped, show(row.Note))
		}
	}
}

// unknown is a command that says that it could not know or do all, while a
// broker was down: what it wrote may have been all, some, or nothing of what it
// names. That a group does not exist is no such answer.
func (j *Judge) unknown(e *record.Entry, r record.Run) {
	if there, sure := exists(e, e.Group); there && sure && strings.Contains(r.Stderr, "unknown group: ") {
		j.fault(e, r, "unknown-group", "a broker is down, and %s (%s), which is there, is said not to be: %s", e.Group, e.Before.Groups[e.Group].Type, head(r.Stderr, 200))
	}
	if !e.Step.Changes() {
		return
	}
	target := e.Group
	if e.Step.Kind == "do.copy" {
		target = e.Group2
	}
	var doc planDoc
	if j.read(r, &doc) {
		j.outside(e, r, doc, target)
	}
	delete(j.changes, target)
}
