package main

import (
	"fmt"
	"iter"
	"slices"

	"offsets/inspect"
	"offsets/internal/render"
)

// writeState shows what was committed, by replaying the log (decode --state).
func (e *env) writeState(source iter.Seq2[inspect.LogRecord, error], o decodeOptions, groups func(string) bool) error {
	var failed []inspect.Problem
	s := inspect.State(source, o.asOf, groups, func(err error) {
		failed = append(failed, inspect.Problem{What: "commit log", Error: err.Error(), Err: err})
	})
	if err := render.Write(e.Stdout, o.format, stateOfLogView(s, o)); err != nil {
		return err
	}
	return problems(failed, len(s.Groups))
}

type stateTail struct {
	AsOf          *string                 `json:"as_of"` // nil: the end of the log
	CompleteSince []inspect.CompleteSince `json:"complete_since"`
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
			tail := stateTail{CompleteSince: append([]inspect.CompleteSince{}, s.CompleteSince...)}
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
				note = "uncertain: compaction may have taken an older record away"
			}
			for _, w := range p.Pending {
				note += fmt.Sprintf(" %d pending in a transaction of producer %d since %s", w.Offset, w.ProducerID, w.Since)
			}
			return []string{p.Topic, fmt.Sprint(p.Partition), number(p.Committed), text(p.CommitTime), text(p.Metadata), note}
		}),
	}
}
