package main

import (
	"fmt"
	"iter"
	"slices"

	"offsets/internal/render"
	"offsets/reset"
)

func (e *env) writePlans(o common, plans []reset.Plan, done bool) error {
	return show(e, e.Stdout, o.format, plansView(plans, done))
}

// planLine is one partition's change with its group.
type planLine struct {
	Group    string          `json:"group"`
	Applied  bool            `json:"applied"`
	Verified *reset.Verified `json:"verified"`
	reset.Change
}

func plansView(plans []reset.Plan, done bool) render.Result[reset.Plan, planLine] {
	return render.Result[reset.Plan, planLine]{
		Name: "groups",
		Rows: rowsOf(plans),
		Lines: func(p reset.Plan) iter.Seq[planLine] {
			return func(yield func(planLine) bool) {
				for _, c := range p.Partitions {
					if !yield(planLine{p.Group, p.Applied, p.Verified, c}) {
						return
					}
				}
			}
		},
		Sections: func(rows iter.Seq[reset.Plan]) iter.Seq[render.Section] {
			return func(yield func(render.Section) bool) {
				for p := range rows {
					if !yield(planSection(p, done)) {
						return
					}
				}
			}
		},
	}
}

func planSection(p reset.Plan, done bool) render.Section {
	title := p.Group + ": plan"
	if p.Kind != reset.KindReset {
		title += " of " + string(p.Kind)
	}
	if p.Deletes {
		title += ", the group is deleted"
	}
	switch {
	case done && p.Applied && p.Verified != nil:
		title = fmt.Sprintf("%s: applied, verified: %s", p.Group, *p.Verified)
	case done && p.Applied:
		title = p.Group + ": nothing had to move"
	case done:
		title = p.Group + ": not applied"
	}
	return render.Section{
		Title: title,
		Empty: emptyPlan(&p),
		Columns: []render.Column{
			{Name: "TOPIC"}, {Name: "PARTITION", Right: true}, {Name: "FROM", Right: true}, {Name: "TO", Right: true}, {Name: "FROM-TIME", Optional: true}, {Name: "TO-TIME", Optional: true}, {Name: "LOG-START", Right: true}, {Name: "LOG-END", Right: true},
			{Name: "REREAD", Right: true}, {Name: "SKIPPED", Right: true}, {Name: "LOST", Right: true, Optional: true}, {Name: "NOTE", Optional: true}, {Name: "ERROR", Optional: true},
		},
		Rows: cells(slices.Values(p.Partitions), func(c reset.Change) []string {
			return []string{
				c.Topic, fmt.Sprint(c.Partition), number(c.From), toCell(c), text(c.FromTime), text(c.ToTime), number(c.LogStart), number(c.LogEnd),
				number(c.Reread), number(c.Skipped), lostCell(c.Lost), text(c.Note), text(c.Error),
			}
		}),
		Footer: func() string {
			s := fmt.Sprintf("total: %d offsets read again, %d skipped", p.Total.Reread, p.Total.Skipped)
			if p.Total.Lost > 0 {
				s += fmt.Sprintf("; %d were lost before", p.Total.Lost)
			}
			return s
		},
	}
}

func toCell(c reset.Change) string {
	if c.Action == reset.ActionDelete {
		return "none"
	}
	return number(c.To)
}

// emptyPlan says what a plan without partitions means.
func emptyPlan(p *reset.Plan) string {
	if p.Deletes {
		return "the group has no commits"
	}
	return "nothing selected"
}
