package main

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"offsets/inspect"
	"offsets/internal/render"
)

func policyCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "policy",
		Usage:     "show what auto.offset.reset earliest, latest and none would do to a group",
		ArgsUsage: "[GROUP…]",
		Description: "For every partition of the topics that a group reads: where a Java consumer that starts\n" +
			"now begins under each policy, how many offsets it reads again or skips, or its error. Where\n" +
			"the commit is valid, no policy matters.\n\n" +
			"Exit: 0 done, 1 failed or no such group, 5 some groups could not be read.",
		Flags: append(groupFlags(),
			&cli.StringSliceFlag{Name: "topic", Usage: "`TOPIC` to look at besides those that the group knows; a group that does not exist needs one"},
		),
		Action: func(c *cli.Context) error {
			o, err := policyOptionsOf(e, c)
			if err != nil {
				return err
			}
			return policy(c.Context, e, o)
		},
	}
}

type policyOptions struct {
	common
	selection
	topics []string
}

func policyOptionsOf(e *env, c *cli.Context) (o policyOptions, err error) {
	if o.common, err = e.common(c); err != nil {
		return o, err
	}
	o.topics = c.StringSlice("topic")
	o.selection, err = selectionOf(c)
	return o, err
}

func policy(ctx context.Context, e *env, o policyOptions) error {
	ctx, cancel := bounded(ctx, o.common)
	defer cancel()
	cl, err := o.connect(ctx)
	if err != nil {
		return contextError(ctx, err)
	}
	defer cl.Close()
	cluster := inspect.New(cl)
	groups, err := e.resolve(ctx, cluster, o.selection)
	if err != nil {
		return contextError(ctx, err)
	}
	d, err := cluster.Describe(ctx, groups.names, inspect.DescribeOptions{AllPartitions: true, Topics: o.topics, CreateMissing: len(o.topics) > 0})
	if err != nil {
		return contextError(ctx, err)
	}
	if groups.many {
		e.visibilityNote(d.Visibility)
	}
	shown := 0
	rows := func(yield func(inspect.PolicyGroup, error) bool) {
		for g, err := range d.Groups {
			var p inspect.PolicyGroup
			if err == nil {
				p, err = cluster.Policies(ctx, g)
			}
			if !yield(p, err) {
				return
			}
		}
	}
	if err := render.Write(e.Stdout, o.format, policyView(d, counted(rows, &shown))); err != nil {
		return contextError(ctx, err)
	}
	return problems(append(d.Problems, groups.problems...), shown)
}

// policyLine is one partition with its group.
type policyLine struct {
	Group string `json:"group"`
	inspect.PolicyPartition
}

func policyView(d *inspect.Description, rows iter.Seq2[inspect.PolicyGroup, error]) render.Result[inspect.PolicyGroup, policyLine] {
	return render.Result[inspect.PolicyGroup, policyLine]{
		Name: "groups",
		Rows: rows,
		Tail: tailOf(d),
		Lines: func(g inspect.PolicyGroup) iter.Seq[policyLine] {
			return func(yield func(policyLine) bool) {
				for _, p := range g.Partitions {
					if !yield(policyLine{g.Group, p}) {
						return
					}
				}
			}
		},
		Sections: func(groups iter.Seq[inspect.PolicyGroup]) iter.Seq[render.Section] {
			return func(yield func(render.Section) bool) {
				for g := range groups {
					if !yield(policySection(g)) {
						return
					}
				}
			}
		},
	}
}

func policySection(g inspect.PolicyGroup) render.Section {
	return render.Section{
		Title: g.Group + ": where a consumer that starts now begins",
		Columns: []render.Column{
			{Name: "TOPIC"}, {Name: "PARTITION", Right: true}, {Name: "COMMITTED", Right: true}, {Name: "LOG-START", Right: true}, {Name: "LOG-END", Right: true},
			{Name: "SITUATION"}, {Name: "EARLIEST"}, {Name: "LATEST"}, {Name: "NONE"}, {Name: "ERROR", Optional: true},
		},
		Empty: "no partitions: nothing committed, nothing assigned; --topic looks at a topic",
		Rows: cells(slices.Values(g.Partitions), func(p inspect.PolicyPartition) []string {
			situation := string(p.Situation)
			if p.Cause != nil && *p.Cause == inspect.CauseTruncation {
				situation += " (truncation)"
			}
			return []string{
				p.Topic, fmt.Sprint(p.Partition), number(p.Committed), number(p.LogStart), number(p.LogEnd), situation,
				outcomeCell(p.Policies.Earliest), outcomeCell(p.Policies.Latest), outcomeCell(p.Policies.None), text(p.Error),
			}
		}),
		Footer: func() string { return verdict(g) },
	}
}

func outcomeCell(o inspect.Outcome) string {
	if o.Error != nil {
		return strings.TrimSuffix(*o.Error, "Exception")
	}
	s := number(o.Start)
	if o.Reread != nil && *o.Reread > 0 {
		s += fmt.Sprintf(" (rereads %d)", *o.Reread)
	}
	if o.Skipped != nil && *o.Skipped > 0 {
		s += fmt.Sprintf(" (skips %d)", *o.Skipped)
	}
	return s
}

// verdict says in words what the choice of a policy would mean.
func verdict(g inspect.PolicyGroup) string {
	var skipped, reread int64
	var skips, rereads, stops int
	for _, p := range g.Partitions {
		if n := p.Policies.Latest.Skipped; n != nil && *n > 0 {
			skipped += *n
			skips++
		}
		if n := p.Policies.Earliest.Reread; n != nil && *n > 0 {
			reread += *n
			rereads++
		}
		if p.Policies.None.Error != nil {
			stops++
		}
	}
	var parts []string
	if skips > 0 {
		parts = append(parts, fmt.Sprintf("latest would skip %d offsets on %s", skipped, plural(skips, "partition")))
	}
	if rereads > 0 {
		parts = append(parts, fmt.Sprintf("earliest would read %d offsets again on %s", reread, plural(rereads, "partition")))
	}
	if stops > 0 {
		parts = append(parts, fmt.Sprintf("none would stop the consumer because of %s", plural(stops, "partition")))
	}
	if len(parts) == 0 {
		return "every commit is valid: all policies resume there"
	}
	return strings.Join(parts, "; ")
}
