package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"offsets/inspect"
	"offsets/internal/duration"
	"offsets/internal/render"
	"offsets/reset"
)

func policyCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "policy",
		Usage:     "show what auto.offset.reset earliest, latest, none and by_duration would do to a group",
		ArgsUsage: "[GROUP…]",
		Description: "For every partition of the topics that a group reads: where a Java consumer that starts\n" +
			"now begins under each policy, how many offsets it reads again or skips, or its error. Where\n" +
			"the commit is valid, no policy matters.\n\n" +
			"   offsets policy billing --by-duration PT1H\n" +
			"   offsets policy new-group --topic orders\n" +
			"   offsets policy billing --expiry      when do its commits expire, so that a policy decides?\n\n" +
			"Exit: 0 done, 1 failed or no such group, 5 some groups could not be read.",
		Flags: append(groupFlags(),
			&cli.StringSliceFlag{KeepSpace: true, Name: "topic", Usage: "`TOPIC` to look at besides those that the group knows; a group that does not exist needs one"},
			&cli.StringFlag{Name: "by-duration", Usage: "also the policy by_duration:`DURATION` (Kafka 4.0)"},
			&cli.BoolFlag{Name: "live", Usage: "prove it: run a real consumer under each policy, on throwaway copies of the group's commits"},
			&cli.BoolFlag{Name: "expiry", Usage: "estimate when the commits expire; reads the group's part of the commit log"},
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
	inspect.PolicyOptions
	back time.Duration // of by_duration
	live bool
}

func policyOptionsOf(e *env, c *cli.Context) (o policyOptions, err error) {
	if o.common, err = e.common(c); err != nil {
		return o, err
	}
	o.topics, o.Expiry = c.StringSlice("topic"), c.Bool("expiry")
	o.live, o.Now = c.Bool("live"), e.Now()
	if c.IsSet("by-duration") {
		d, err := duration.Parse(c.String("by-duration"))
		if err != nil {
			return o, usagef("--by-duration: %s", err)
		}
		o.Since, o.back = e.Now().Add(-d), d
	}
	o.selection, err = selectionOf(c)
	return o, err
}

func policy(ctx context.Context, e *env, o policyOptions) error {
	whole := ctx
	ctx, cancel := bounded(whole, o.common)
	if o.live { // consumers take the time they need, each of them bounded
		cancel()
		ctx, cancel = context.WithCancel(whole)
	}
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
	d, err := cluster.Describe(ctx, groups.names, inspect.DescribeOptions{AllPartitions: true, Topics: o.topics, CreateMissing: len(o.topics) > 0, Pending: !groups.many, Known: groups.known})
	if err != nil {
		return contextError(ctx, err)
	}
	if groups.many {
		e.visibilityNote(d.Visibility)
	}
	trial := live{e: e, cl: cl, changer: reset.New(cl), o: o}
	shown := 0
	rows := func(yield func(inspect.PolicyGroup, error) bool) {
		for g, err := range d.Groups {
			var p inspect.PolicyGroup
			if err == nil {
				var beside []inspect.Problem
				p, beside, err = cluster.Policies(ctx, g, o.PolicyOptions)
				d.Problems = append(d.Problems, beside...)
			}
			if why := g.PendingUnknown; why != nil {
				d.Problems = append(d.Problems, inspect.Problem{What: "pending commits of group " + g.Group, Error: why.Error(), Err: why})
			}
			if err == nil {
				d.Problems = append(d.Problems, missingTopics(&p, o.topics)...)
				if len(p.Partitions) == 0 && len(d.Problems) > 0 {
					continue // nothing to say of it
				}
			}
			if err == nil && o.live {
				err = trial.try(ctx, g, &p)
			}
			if !yield(p, err) {
				return
			}
		}
	}
	if err := show(e, e.Stdout, o.format, policyView(d, counted(rows, &shown))); err != nil {
		return contextError(ctx, err)
	}
	if o.live {
		e.note("live: %d outcomes as predicted, %d otherwise", trial.tried-len(trial.differs), len(trial.differs))
	}
	if len(trial.differs) > 0 {
		return errors.Join(&liveError{trial.differs}, problems(append(d.Problems, groups.problems...), shown))
	}
	return problems(append(d.Problems, groups.problems...), shown)
}

// missingTopics are those that were asked about and have no partition.
func missingTopics(p *inspect.PolicyGroup, topics []string) (out []inspect.Problem) {
	for _, topic := range topics {
		if !slices.ContainsFunc(p.Partitions, func(row inspect.PolicyPartition) bool { return row.Topic == topic }) {
			out = append(out, inspect.Problem{What: "topic " + topic, Error: reset.ErrNoTopic.Error(), Code: inspect.CodeTopicGone, Err: reset.ErrNoTopic})
		}
	}
	return out
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
					section := policySection
					if g.Type == inspect.Share {
						section = sharePolicySection
					}
					if !yield(section(g)) {
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
			{Name: "SITUATION"}, {Name: "EARLIEST"}, {Name: "LATEST"}, {Name: "NONE"}, {Name: "BY-DURATION", Optional: true}, {Name: "NOTE", Optional: true}, {Name: "EXPIRES", Optional: true}, {Name: "ERROR", Optional: true},
		},
		Empty: "no partitions: nothing committed, nothing assigned; --topic looks at a topic",
		Rows: cells(slices.Values(g.Partitions), func(p inspect.PolicyPartition) []string {
			situation := string(p.Situation)
			if p.Cause != nil && *p.Cause == inspect.CauseTruncation {
				situation += " (truncation)"
			}
			return []string{
				p.Topic, fmt.Sprint(p.Partition), number(p.Committed), number(p.LogStart), number(p.LogEnd), situation,
				outcomeCell(p.Policies.Earliest), outcomeCell(p.Policies.Latest), outcomeCell(p.Policies.None), byDurationCell(p.Policies.ByDuration), policyNote(p), text(p.Expires), text(p.Error),
			}
		}),
		Footer: func() string { return policyFooter(g) },
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

func byDurationCell(o *inspect.Outcome) string {
	if o == nil {
		return ""
	}
	if o.Note != nil {
		return *o.Note
	}
	return outcomeCell(*o)
}

func policyNote(p inspect.PolicyPartition) string {
	var notes []string
	if p.Unstable {
		notes = append(notes, "waits for a transaction")
	}
	if p.Hangs {
		notes = append(notes, "hangs: leader epoch too high")
	}
	return strings.Join(notes, "; ")
}

func policyFooter(g inspect.PolicyGroup) string {
	s := g.Verdict
	if g.ShareReset != nil {
		s += "\nshare group: share.auto.offset.reset is " + render.Printable(*g.ShareReset)
	}
	if n := g.NewPartitions; n != nil {
		s += fmt.Sprintf("\npartitions added while consumers run: latest skips what is written before they notice, up to %s (%s)\nand a rebalance later; earliest and by_duration:%s (clients 4.0) do not",
			duration.Short(time.Duration(n.NoticedAfter*float64(time.Second))), n.Setting, n.ByDuration)
	}
	if slices.ContainsFunc(g.Partitions, func(p inspect.PolicyPartition) bool { return p.Expires != nil }) {
		s += "\nexpiry is an estimate, as things are now: a commit that expired leaves the choice to the policy"
	}
	return s
}
