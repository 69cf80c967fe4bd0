package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"offsets/inspect"
	"offsets/inspect/commitlog"
	"offsets/internal/render"
)

// writeState shows what was committed, by replaying the log (decode --state).
func (e *env) writeState(ctx context.Context, cluster *inspect.Cluster, o decodeOptions) error {
	var t logTally
	options := inspect.StateOptions{AsOf: o.asOf, Groups: o.filter.Groups, Filter: o.filter, Problem: func(err error) { t.note(0, err) }}
	stop := e.progress(func() string { return "replaying " + commitlog.Topic })
	var s *inspect.LogState
	if cluster != nil {
		s = cluster.State(ctx, options)
	} else {
		s = inspect.StateOfFiles(ctx, o.paths, options)
	}
	stop()
	if ctx.Err() != nil {
		return context.Cause(ctx) // half a log gives a wrong state
	}
	for _, name := range s.ShareGroups {
		if slices.Contains(o.filter.OnlyGroups, name) {
			e.noteNotInLog(name, o.connection)
		}
	}
	t.rows.Store(int64(len(s.Groups)))
	if !s.Complete && o.format.IsTable() {
		e.note("records are missing in %s (compaction): what is not listed may have been committed all the same", commitlog.Topic)
	}
	return errors.Join(show(e, e.Stdout, o.format, stateOfLogView(s, o)), t.problems())
}

type stateTail struct {
	AsOf          *string                 `json:"as_of"` // nil: the end of the log
	CompleteSince []inspect.CompleteSince `json:"complete_since"`
	// Complete: nothing was committed of what is not listed.
	Complete bool `json:"complete"`
}

// stateOfLogLine is one partition with its group.
type stateOfLogLine struct {
	Group string `json:"group"`
	inspect.StatePartition
}

func stateOfLogView(s *inspect.LogState, o decodeOptions) render.Result[inspect.StateGroup, stateOfLogLine] {
	return render.Result[inspect.StateGroup, stateOfLogLine]{
		Name: "groups",
		Rows: rowsOf(s.Groups),
		Tail: func() any {
			tail := stateTail{CompleteSince: append([]inspect.CompleteSince{}, s.CompleteSince...), Complete: s.Complete}
			if !o.asOf.IsZero() {
				at := timestamp(o.asOf)
				tail.AsOf = &at
			}
			return tail
		},
		Lines: func(g inspect.StateGroup) iter.Seq[stateOfLogLine] {
			return func(yield func(stateOfLogLine) bool) {
				for _, p := range g.Partitions {
					if !yield(stateOfLogLine{g.Group, p}) {
						return
					}
				}
			}
		},
		Sections: func(groups iter.Seq[inspect.StateGroup]) iter.Seq[render.Section] {
			return func(yield func(render.Section) bool) {
				for g := range groups {
					if !yield(stateSection(g)) {
						return
					}
				}
			}
		},
	}
}

func stateSection(g inspect.StateGroup) render.Section {
	return render.Section{
		Title: g.Group,
		Columns: []render.Column{
			{Name: "TOPIC"}, {Name: "PARTITION", Right: true}, {Name: "COMMITTED", Right: true}, {Name: "COMMIT-TIME"}, {Name: "METADATA", Optional: true}, {Name: "NOTE", Optional: true},
		},
		Rows: cells(slices.Values(g.Partitions), func(p inspect.StatePartition) []string {
			note := ""
			if !p.Certain {
				note = "uncertain: a record that counted may be missing in the log"
			}
			for _, w := range p.Pending {
				note += fmt.Sprintf(" %d pending in a transaction of producer %d since %s", w.Offset, w.ProducerID, w.Since)
			}
			return []string{p.Topic, fmt.Sprint(p.Partition), number(p.Committed), text(p.CommitTime), text(p.Metadata), note}
		}),
	}
}
