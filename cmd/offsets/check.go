package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/urfave/cli/v2"

	"offsets/inspect"
	"offsets/internal/duration"
	"offsets/internal/render"
)

func checkCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "check",
		Usage:     "hold groups against limits: for monitoring, cron and probes",
		ArgsUsage: "[GROUP…]",
		Description: "Prints a line for each condition that does not hold. Always a breach, unless --allow says\n" +
			"otherwise: past_end, lost, topic_gone. Without a commit is none, unless --require-commit.\n\n" +
			"   offsets check billing --max-lag 1000 --max-behind 5m --min-members 2\n" +
			"   offsets check 'orders-*' --max-partition-lag 500 --state Stable\n\n" +
			"Behind a transactional producer a group that is caught up can stay at lag 1 for ever, because\n" +
			"of the markers: --exact counts records.\n\n" +
			"Exit: 0 all conditions hold, 3 one does not, 1 failed or no such group, 5 a part could not be\njudged.",
		Flags: slices.Concat(groupFlags(), limitFlags()),
		Action: func(c *cli.Context) error {
			o, err := checkOptionsOf(e, c)
			if err != nil {
				return err
			}
			return check(c.Context, e, o)
		},
	}
}

// limitFlags are the conditions of check and wait.
func limitFlags() []cli.Flag {
	return []cli.Flag{
		&cli.Int64Flag{Name: "max-lag", Usage: "the greatest total lag, `N` offsets"},
		&cli.Int64Flag{Name: "max-partition-lag", Usage: "the greatest lag of a partition, `N` offsets"},
		&cli.StringFlag{Name: "max-behind", Usage: "the greatest age of the next unread record, a `DURATION`"},
		&cli.StringSliceFlag{KeepSpace: true, Name: "state", Usage: "the `STATE` that the group must be in; may be given several times"},
		&cli.IntFlag{Name: "min-members", Usage: "at least `N` members"},
		&cli.BoolFlag{Name: "require-commit", Usage: "a partition without a commit is a breach"},
		&cli.StringSliceFlag{KeepSpace: true, Name: "allow", Usage: "`STATUS` that is no breach: past_end, lost, topic_gone; may be given several times"},
		&cli.BoolFlag{Name: "exact", Usage: "count the records that are really there, not offsets"},
		&cli.StringFlag{Name: "isolation", Usage: "`LEVEL`: with read_committed the lag ends at the last stable offset"},
	}
}

type checkOptions struct {
	common
	selection
	inspect.DescribeOptions
	limits inspect.Limits
}

func checkOptionsOf(e *env, c *cli.Context) (o checkOptions, err error) {
	if o.common, err = e.common(c); err != nil {
		return o, err
	}
	if o.selection, err = selectionOf(c); err != nil {
		return o, err
	}
	if o.ReadCommitted, err = readCommittedOf(c); err != nil {
		return o, err
	}
	if o.limits, err = limitsOf(c); err != nil {
		return o, err
	}
	o.Time, o.Exact, o.Now = o.limits.MaxBehind != nil, o.limits.Exact, e.Now()
	return o, nil
}

func limitsOf(c *cli.Context) (l inspect.Limits, err error) {
	for flag, at := range map[string]**int64{"max-lag": &l.MaxLag, "max-partition-lag": &l.MaxPartitionLag} {
		if !c.IsSet(flag) {
			continue
		}
		n := c.Int64(flag)
		if n < 0 {
			return l, usagef("--%s %d: a lag is never negative", flag, n)
		}
		*at = &n
	}
	if c.IsSet("max-behind") {
		d, err := duration.Parse(c.String("max-behind"))
		if err != nil {
			return l, usagef("--max-behind: %s", err)
		}
		seconds := d.Seconds()
		l.MaxBehind = &seconds
	}
	for _, s := range c.StringSlice("allow") {
		if !slices.Contains([]inspect.Status{inspect.PastEnd, inspect.Lost, inspect.TopicGone}, inspect.Status(s)) {
			return l, usagef("--allow %q: want past_end, lost or topic_gone", s)
		}
		l.Allow = append(l.Allow, inspect.Status(s))
	}
	l.States, l.MinMembers = c.StringSlice("state"), intOf(c, "min-members")
	l.RequireCommit, l.Exact = c.Bool("require-commit"), c.Bool("exact")
	return l, nil
}

func check(ctx context.Context, e *env, o checkOptions) error {
	cl, bound, done, err := o.connectForChange(ctx)
	if err != nil {
		return err
	}
	defer done()
	f, err := e.judge(bound, inspect.New(cl), o)
	if err != nil {
		return contextError(bound, err)
	}
	return errors.Join(render.Write(e.Stdout, o.format, verdictsView(f)), f.err())
}

// findings are the verdicts over all groups.
type findings struct {
	verdicts []inspect.Verdict
	tail     checkTail
	problems []inspect.Problem
}

type checkTail struct {
	Holds      bool               `json:"holds"` // of all
	Visibility inspect.Visibility `json:"visibility"`
	Errors     []inspect.Problem  `json:"errors"`
}

// judge looks at the groups, and holds them against the limits.
func (e *env) judge(ctx context.Context, cluster *inspect.Cluster, o checkOptions) (*findings, error) {
	groups, err := e.resolve(ctx, cluster, o.selection)
	if err != nil {
		return nil, err
	}
	d, err := cluster.Describe(ctx, groups.names, groups.listed(o.DescribeOptions))
	if err != nil {
		return nil, err
	}
	f := &findings{}
	holds := true
	for g, err := range d.Groups {
		if err != nil {
			return nil, err
		}
		v := inspect.Check(&g, o.limits)
		holds = holds && v.Holds
		f.problems = append(f.problems, v.Unknown...)
		f.verdicts = append(f.verdicts, v)
	}
	f.problems = append(append(f.problems, d.Problems...), groups.problems...)
	f.tail = checkTail{Holds: holds && len(f.problems) == 0, Visibility: d.Visibility, Errors: errorsOf(f.problems)}
	if groups.many {
		e.visibilityNote(d.Visibility)
	}
	return f, nil
}

// conditionError: what was asked for does not hold.
type conditionError struct {
	breaches, groups int
	unstable         int // it held, but not so many times in a row
}

func (e *conditionError) Error() string {
	if e.unstable > 0 {
		return fmt.Sprintf("the conditions did not hold %d times in a row", e.unstable)
	}
	return fmt.Sprintf("%s not met by %s", plural(e.breaches, "condition"), plural(e.groups, "group"))
}

func (f *findings) err() error {
	c := &conditionError{}
	for _, v := range f.verdicts {
		if len(v.Breaches) > 0 {
			c.groups++
			c.breaches += len(v.Breaches)
		}
	}
	err := problems(f.problems, len(f.verdicts))
	if c.groups > 0 {
		return errors.Join(c, err)
	}
	return err
}

// breachLine is one condition that does not hold, with its group.
type breachLine struct {
	Group string `json:"group"`
	inspect.Breach
}

func verdictsView(f *findings) render.Result[inspect.Verdict, breachLine] {
	return render.Result[inspect.Verdict, breachLine]{
		Name: "groups",
		Rows: rowsOf(f.verdicts),
		Tail: func() any { return f.tail },
		Lines: func(v inspect.Verdict) iter.Seq[breachLine] {
			return func(yield func(breachLine) bool) {
				for _, b := range v.Breaches {
					if !yield(breachLine{v.Group, b}) {
						return
					}
				}
			}
		},
		Sections: func(rows iter.Seq[inspect.Verdict]) iter.Seq[render.Section] {
			holds := 0
			return sections(render.Section{
				Columns: []render.Column{{Name: "GROUP"}, {Name: "TOPIC", Optional: true}, {Name: "PARTITION", Right: true, Optional: true}, {Name: "BREACH"}},
				Empty:   "no breach",
				Rows: func(yield func([]string) bool) {
					for v := range rows {
						if v.Holds {
							holds++
						}
						for _, b := range v.Breaches {
							if !yield([]string{v.Group, text(b.Topic), number(b.Partition), b.Message}) {
								return
							}
						}
					}
				},
				Footer: func() string {
					return fmt.Sprintf("%d of %s in order", holds, plural(len(f.verdicts), "group"))
				},
			})
		},
	}
}
