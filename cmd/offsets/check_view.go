package main

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"offsets/inspect"
	"offsets/internal/render"
)

// breachLine is one condition that does not hold, with its group.
type breachLine struct {
	Group string `json:"group"`
	inspect.Breach
	Unknown int `json:"unknown"` // partitions of the group whose lag is not known
}

// writeFindings prints the verdicts. A table says what was checked, and so
// nothing where no group was.
func (e *env) writeFindings(f *findings, o checkOptions) error {
	if o.format.IsTable() && len(f.verdicts) == 0 && len(f.problems) > 0 {
		return nil
	}
	return show(e, e.Stdout, o.format, verdictsView(f, o))
}

func verdictsView(f *findings, o checkOptions) render.Result[inspect.Verdict, breachLine] {
	return render.Result[inspect.Verdict, breachLine]{
		Name: "groups",
		Rows: rowsOf(f.verdicts),
		Tail: func() any { return f.tail },
		Lines: func(v inspect.Verdict) iter.Seq[breachLine] {
			return func(yield func(breachLine) bool) {
				for _, b := range v.Breaches {
					if !yield(breachLine{v.Group, b, v.Unknown}) {
						return
					}
				}
			}
		},
		Sections: func(iter.Seq[inspect.Verdict]) iter.Seq[render.Section] {
			return sections(render.Section{
				Columns: []render.Column{{Name: "GROUP"}, {Name: "LAG", Right: true}, {Name: "RESULT"}, {Name: "TOPIC", Optional: true}, {Name: "PARTITION", Right: true, Optional: true}, {Name: "DETAIL", Optional: true}},
				Empty:   "no groups",
				Held:    true,
				Rows:    f.rows(o.format == render.Wide),
				Footer: func() string {
					return fmt.Sprintf("%d of %s OK; checked: %s", f.count(func(v *inspect.Verdict) bool { return v.Holds }), plural(len(f.verdicts), "group"), checkedWords(o.limits))
				},
			})
		},
	}
}

func (f *findings) count(is func(*inspect.Verdict) bool) (n int) {
	for i := range f.verdicts {
		if is(&f.verdicts[i]) {
			n++
		}
	}
	return n
}

// rows are what does not hold first, then what is not known, then the rest.
func (f *findings) rows(all bool) iter.Seq[[]string] {
	rank := func(v *inspect.Verdict) int {
		switch {
		case len(v.Breaches) > 0:
			return 0
		case !v.Holds:
			return 1
		}
		return 2
	}
	return func(yield func([]string) bool) {
		for want := range 3 {
			for i := range f.verdicts {
				if v := &f.verdicts[i]; rank(v) == want && !yieldAll(verdictRows(v, all), yield) {
					return
				}
			}
		}
	}
}

func yieldAll(rows [][]string, yield func([]string) bool) bool {
	for _, row := range rows {
		if !yield(row) {
			return false
		}
	}
	return true
}

func verdictRows(v *inspect.Verdict, all bool) (rows [][]string) {
	lag := atLeast(fmt.Sprint(v.Lag), v.Total.Partitions, v.Unknown)
	row := func(result string, b *inspect.Breach, detail string) {
		cells := []string{v.Group, lag, result, "", "", detail}
		if b != nil {
			cells[3], cells[4] = text(b.Topic), number(b.Partition)
		}
		rows = append(rows, cells)
	}
	breaches := worst(v.Breaches)
	if all {
		breaches = make([]folded, len(v.Breaches))
		for i := range v.Breaches {
			breaches[i] = folded{&v.Breaches[i], 1}
		}
	}
	for _, b := range breaches {
		detail := b.Message
		switch _, numeric := measure(b.Breach); {
		case b.partitions > 1 && numeric:
			detail += fmt.Sprintf(" (worst of %d partitions)", b.partitions)
		case b.partitions > 1:
			detail += fmt.Sprintf(" (and %s)", plural(b.partitions-1, "more partition"))
		}
		row("violation", b.Breach, detail)
	}
	if n := len(v.Unjudged); n > 0 {
		row("unknown", nil, plural(n, "partition")+" could not be checked")
	}
	if v.Holds {
		row("OK", nil, "")
	}
	return rows
}

// folded is a violation that stands for all of its kind in a group.
type folded struct {
	*inspect.Breach
	partitions int
}

// worst is the worst of each kind of violation.
func worst(breaches []inspect.Breach) (out []folded) {
	type kind struct{ check, status string }
	index := map[kind]int{}
	for i := range breaches {
		b := &breaches[i]
		k := kind{check: b.Check}
		if status, ok := b.Value.(string); ok {
			k.status = status
		}
		at, seen := index[k]
		if !seen {
			index[k] = len(out)
			out = append(out, folded{b, 1})
			continue
		}
		out[at].partitions++
		size, _ := measure(b)
		if most, _ := measure(out[at].Breach); size > most {
			out[at].Breach = b
		}
	}
	return out
}

// measure is how bad a violation is, where that is a number.
func measure(b *inspect.Breach) (size float64, numeric bool) {
	switch n := b.Value.(type) {
	case int64:
		return float64(n), true
	case float64:
		return n, true
	}
	return 0, false
}

// checkedWords says what groups were held against.
func checkedWords(l inspect.Limits) string {
	var out []string
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	what := "lag"
	if l.Exact {
		what = "records behind"
	}
	if l.MaxLag != nil {
		say("total %s at most %d", what, *l.MaxLag)
	}
	if l.MaxPartitionLag != nil {
		say("%s of a partition at most %d", what, *l.MaxPartitionLag)
	}
	if l.MaxBehind != nil {
		say("at most %s behind", ago(time.Duration(*l.MaxBehind*float64(time.Second))))
	}
	if len(l.States) > 0 {
		say("state %s", strings.Join(l.States, " or "))
	}
	if l.MinMembers != nil {
		say("at least %s", plural(*l.MinMembers, "member"))
	}
	if l.RequireCommit {
		say("a commit on each partition")
	}
	var never []string
	for _, s := range []inspect.Status{inspect.PastEnd, inspect.Lost, inspect.TopicGone, inspect.NoCommit} {
		switch {
		case slices.Contains(l.Allow, s), s == inspect.NoCommit && l.RequireCommit:
		case s == inspect.NoCommit:
			never = append(never, "no_commit on owned partitions")
		default:
			never = append(never, string(s))
		}
	}
	if len(never) > 0 {
		say("none of %s", strings.Join(never, ", "))
	}
	return strings.Join(out, "; ")
}
