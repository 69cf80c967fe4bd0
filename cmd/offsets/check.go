package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"offsets/inspect"
	"offsets/internal/duration"
)

func checkCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "check",
		Usage:     "hold groups against limits: for monitoring, cron and probes",
		ArgsUsage: "[GROUP…]",
		Description: "Prints a line for each group, and condition that does not hold (-o wide: for each partition).\n" +
			"Always a violation, unless --allow says otherwise: past_end, lost, topic_gone, and no_commit\n" +
			"where a member owns the partition and there are records to read. Groups that keep their\n" +
			"offsets outside Kafka need --allow no_commit. --require-commit wants a commit everywhere.\n\n" +
			"A group that joined a moment ago has no commits yet: with --stable N only what N looks in a\n" +
			"row find is a violation.\n\n" +
			"   offsets check billing --max-lag 1000 --max-behind 5m --min-members 2\n" +
			"   offsets check 'orders-*' --max-partition-lag 500 --state Stable\n\n" +
			"Behind a transactional producer a group that is caught up can stay at lag 1 for ever, because\n" +
			"of the markers: --exact counts records.\n\n" +
			"Exit: 0 all conditions hold, 3 one does not, 1 failed or no such group, 5 a part could not be\njudged.",
		Flags: slices.Concat(groupFlags(), limitFlags(), lookFlags("how many looks in a row, `N`, must find a violation")),
		Action: func(c *cli.Context) error {
			o, err := checkOptionsOf(e, c)
			if err != nil {
				return err
			}
			switch whole := time.Duration(o.stable-1) * o.interval; {
			case c.IsSet("interval") && o.stable == 1:
				return usagef("--interval goes with --stable")
			case whole >= o.timeout:
				return usagef("--stable %d takes at least %s, but --timeout is %s", o.stable, whole, o.timeout)
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
		&cli.BoolFlag{Name: "require-commit", Usage: "a partition without a commit is a violation, also without an owner"},
		&cli.StringSliceFlag{KeepSpace: true, Name: "allow", Usage: "`STATUS` that is no violation: past_end, lost, topic_gone, no_commit; may be given several times"},
		&cli.BoolFlag{Name: "exact", Usage: "count the records that are really there, not offsets"},
		&cli.StringFlag{Name: "isolation", Usage: "`LEVEL`: with read_committed the lag ends at the last stable offset"},
	}
}

// lookFlags are how often to look, for check and wait.
func lookFlags(stable string) []cli.Flag {
	return []cli.Flag{
		&cli.IntFlag{Name: "stable", Value: 1, Usage: stable},
		&cli.StringFlag{Name: "interval", Value: "1s", Usage: "`DURATION` between two looks"},
	}
}

type checkOptions struct {
	common
	selection
	inspect.DescribeOptions
	limits   inspect.Limits
	stable   int
	interval time.Duration
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
	o.stable = c.Int("stable")
	if o.interval, err = duration.Parse(c.String("interval")); err != nil || o.interval <= 0 {
		return o, usagef("--interval %q: want a duration such as 1s", c.String("interval"))
	}
	if o.stable < 1 {
		return o, usagef("--stable %d: want 1 or more", o.stable)
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
		if !slices.Contains([]inspect.Status{inspect.PastEnd, inspect.Lost, inspect.TopicGone, inspect.NoCommit}, inspect.Status(s)) {
			return l, usagef("--allow %q: want past_end, lost, topic_gone or no_commit", s)
		}
		l.Allow = append(l.Allow, inspect.Status(s))
	}
	if l.States, err = wordsOf("state", c.StringSlice("state"), inspect.States()); err != nil {
		return l, err
	}
	l.MinMembers = intOf(c, "min-members")
	l.RequireCommit, l.Exact = c.Bool("require-commit"), c.Bool("exact")
	if l.RequireCommit && slices.Contains(l.Allow, inspect.NoCommit) {
		return l, usagef("--require-commit and --allow no_commit exclude each other")
	}
	return l, nil
}

func check(ctx context.Context, e *env, o checkOptions) error {
	cl, bound, done, err := o.connectForChange(ctx)
	if err != nil {
		return err
	}
	defer done()
	f, err := e.judgeStable(bound, inspect.New(cl), o)
	if err != nil {
		return contextError(bound, err)
	}
	return errors.Join(e.writeFindings(f, o), f.err())
}

// judgeStable looks until a look finds nothing, or o.stable of them in a row
// have found the same: what one of them did not find is no violation.
func (e *env) judgeStable(ctx context.Context, cluster *inspect.Cluster, o checkOptions) (*findings, error) {
	f, err := e.judge(ctx, cluster, o)
	for look := 1; err == nil && look < o.stable && !f.tail.Holds; look++ {
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(o.interval):
		}
		o.Now = e.Now()
		var now *findings
		if now, err = e.judge(ctx, cluster, o); err == nil {
			now.keep(f)
			f = now
		}
	}
	return f, err
}

// keep drops the violations that were not found before.
func (f *findings) keep(before *findings) {
	type violation struct {
		group, check, topic string
		partition           int32
		status              any
	}
	key := func(group string, b *inspect.Breach) violation {
		v := violation{group: group, check: b.Check}
		if b.Topic != nil {
			v.topic, v.partition = *b.Topic, *b.Partition
		}
		if b.Check == inspect.CheckStatus { // the values of others change from look to look
			v.status = b.Value
		}
		return v
	}
	found := map[violation]bool{}
	for _, v := range before.verdicts {
		for i := range v.Breaches {
			found[key(v.Group, &v.Breaches[i])] = true
		}
	}
	f.tail.Holds = len(f.problems) == 0
	for i := range f.verdicts {
		v := &f.verdicts[i]
		v.Breaches = slices.DeleteFunc(v.Breaches, func(b inspect.Breach) bool { return !found[key(v.Group, &b)] })
		v.Holds = len(v.Breaches) == 0 && len(v.Unjudged) == 0
		f.tail.Holds = f.tail.Holds && v.Holds
	}
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
		f.problems = append(f.problems, v.Unjudged...)
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
