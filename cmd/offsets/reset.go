package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/urfave/cli/v2"

	"offsets/inspect"
	"offsets/internal/render"
	"offsets/reset"
)

func resetCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "reset",
		Usage:     "move a group's committed offsets: a plan, and with --execute the change",
		ArgsUsage: "[GROUP…]",
		Description: "Shows from where to where each partition moves, and how many offsets that reads again or\n" +
			"skips. Without --execute nothing changes (on a terminal it asks).\n\n" +
			"POSITION is earliest, latest, current, an offset (1500), or a shift (+100, -100).\n\n" +
			"   offsets reset billing --to earliest\n" +
			"   offsets reset billing --to -100 --topic orders:0,2-5 --execute\n\n" +
			"The flags of kafka-consumer-groups are understood, with these differences: a target outside\n" +
			"the log is refused, not clamped (--clamp); --to-current leaves partitions without a commit\n" +
			"alone; an unknown group is not created (--create-group).\n\n" +
			"Exit: 0 done or planned, 1 failed or no such group, 2 usage, 4 refused because it would be\nunsafe (the group is active, a target is outside the log), 5 some partitions were not written.",
		Flags: append(groupFlags(),
			&cli.StringFlag{Name: "to", Usage: "`POSITION` to move to"},
			&cli.StringSliceFlag{Name: "topic", Usage: "all partitions of `TOPIC[:0,2-5]`, or those named; else every partition that has a commit"},
			&cli.BoolFlag{Name: "all-topics", Usage: "every partition that has a commit (the default)"},
			&cli.BoolFlag{Name: "execute", Usage: "make the change"},
			&cli.BoolFlag{Name: "dry-run", Usage: "only show the plan"},
			&cli.BoolFlag{Name: "clamp", Usage: "move a target outside the log to its nearest end"},
			&cli.BoolFlag{Name: "touch", Usage: "also write what does not move"},
			&cli.StringFlag{Name: "isolation", Usage: "`LEVEL`, for latest while a transaction is open: read_committed or read_uncommitted"},
			&cli.BoolFlag{Name: "create-group", Usage: "make a group that does not exist"},
			&cli.BoolFlag{Name: "partial", Usage: "of several groups, change those that can be changed"},
			&cli.IntFlag{Name: "expect-groups", Usage: "execute a glob or --all only if it selects `N` groups"},
			&cli.BoolFlag{Name: "to-earliest", Usage: "as --to earliest"},
			&cli.BoolFlag{Name: "to-latest", Usage: "as --to latest"},
			&cli.BoolFlag{Name: "to-current", Usage: "as --to current"},
			&cli.Int64Flag{Name: "to-offset", Usage: "as --to `N`"},
			&cli.Int64Flag{Name: "shift-by", Usage: "as --to +N or -`N`"},
		),
		Action: func(c *cli.Context) error {
			o, err := resetOptionsOf(e, c)
			if err != nil {
				return err
			}
			return resetGroups(c.Context, e, o)
		},
	}
}

type resetOptions struct {
	common
	selection
	reset.Options
	execute, dryRun, createGroup, partial bool
	expect                                *int
}

func resetOptionsOf(e *env, c *cli.Context) (o resetOptions, err error) {
	if o.common, err = e.common(c); err != nil {
		return o, err
	}
	if o.selection, err = selectionOf(c); err != nil {
		return o, err
	}
	if o.To, err = positionOf(c); err != nil {
		return o, err
	}
	if o.Topics, err = reset.ParseTopics(c.StringSlice("topic")); err != nil {
		return o, usagef("--topic: %s", err)
	}
	if c.Bool("all-topics") && len(o.Topics) > 0 {
		return o, usagef("--all-topics and --topic exclude each other")
	}
	o.execute, o.dryRun, o.createGroup, o.partial = c.Bool("execute"), c.Bool("dry-run"), c.Bool("create-group"), c.Bool("partial")
	if o.execute && o.dryRun {
		return o, usagef("--execute and --dry-run exclude each other")
	}
	o.Clamp, o.Touch, o.Isolation = c.Bool("clamp"), c.Bool("touch"), reset.Isolation(c.String("isolation"))
	if !slices.Contains([]reset.Isolation{reset.Unstated, reset.ReadCommitted, reset.ReadUncommitted}, o.Isolation) {
		return o, usagef("--isolation %q: want read_committed or read_uncommitted", o.Isolation)
	}
	if c.IsSet("expect-groups") {
		n := c.Int("expect-groups")
		o.expect = &n
	}
	return o, nil
}

// positionOf reads the position from --to or from the flag of Kafka's tool.
func positionOf(c *cli.Context) (reset.Position, error) {
	var given []string
	var position reset.Position
	add := func(flag string, p reset.Position) {
		if c.IsSet(flag) {
			given = append(given, "--"+flag)
			position = p
		}
	}
	add("to-earliest", reset.Earliest())
	add("to-latest", reset.Latest())
	add("to-current", reset.Current())
	add("to-offset", reset.At(c.Int64("to-offset")))
	add("shift-by", reset.Shift(c.Int64("shift-by")))
	if c.IsSet("to") {
		given = append(given, "--to")
		p, err := reset.ParsePosition(c.String("to"))
		if err != nil {
			return p, usagef("--to: %s", err)
		}
		position = p
	}
	switch len(given) {
	case 0:
		err := usagef("where to? no position given")
		err.Hint = "--to earliest, latest, current, 1500, +100 or -100"
		return position, err
	case 1:
		return position, nil
	}
	return position, usagef("%s exclude each other", strings.Join(given, " and "))
}

func resetGroups(ctx context.Context, e *env, o resetOptions) error {
	bound, cancel := bounded(ctx, o.common)
	defer cancel()
	cl, err := o.connect(bound)
	if err != nil {
		return contextError(bound, err)
	}
	defer cl.Close()
	plans, err := planReset(bound, e, cl, o)
	if err != nil {
		return contextError(bound, err)
	}
	refused := refusals(plans, o.execute)
	ask := !o.execute && !o.dryRun && o.format == render.Table && e.StdinIsTerminal && e.StderrIsTerminal
	switch {
	case o.execute && (len(refused) == 0 || o.partial):
		err := e.applyReset(ctx, cl, plans, o)
		return errors.Join(err, e.writePlans(o, plans, true))
	case ask && len(refused) == 0:
		if err := e.writePlans(o, plans, false); err != nil {
			return err
		}
		if !e.confirm("apply this plan?") {
			e.note("nothing was changed")
			return nil
		}
		return errors.Join(e.applyReset(ctx, cl, plans, o), e.writePlans(o, plans, true))
	}
	err = e.writePlans(o, plans, false)
	if len(refused) == 0 {
		e.note("this is a plan, nothing was changed; --execute makes the change")
	}
	return errors.Join(append([]error{err}, refused...)...)
}

// planReset makes the plans, and warns of what the reader may not expect.
func planReset(ctx context.Context, e *env, cl *kgo.Client, o resetOptions) ([]reset.Plan, error) {
	groups, err := e.resolve(ctx, inspect.New(cl), o.selection)
	if err != nil {
		return nil, err
	}
	switch {
	case o.execute && groups.implied:
		err := usagef("--execute needs the group on the command line")
		err.Hint = "offsets reset " + groups.names[0] + " … --execute"
		return nil, err
	case o.execute && groups.many && o.expect == nil:
		err := &reset.RefusedError{Group: strings.Join(o.patterns, " "), Reasons: []string{fmt.Sprintf("a glob or --all selects %s: say --expect-groups %d to execute it", plural(len(groups.names), "group"), len(groups.names))}}
		return nil, err
	case o.expect != nil && *o.expect != len(groups.names):
		return nil, &reset.RefusedError{Group: strings.Join(o.patterns, " "), Reasons: []string{fmt.Sprintf("--expect-groups %d, but %d are selected: %s", *o.expect, len(groups.names), strings.Join(groups.names, ", "))}}
	}
	plans, failed, err := reset.New(cl).Plans(ctx, groups.names, o.Options, o.createGroup)
	if err != nil {
		return nil, err
	}
	// A group that cannot be read cannot be changed either: all or nothing.
	if len(failed) > 0 {
		return nil, problems(failed, 0)
	}
	for i := range plans {
		p := &plans[i]
		if len(p.Left()) > 0 {
			var names []string
			for _, tp := range p.Left() {
				names = append(names, fmt.Sprintf("%s-%d", tp.Topic, tp.Partition))
			}
			e.note("group %s: no commit on %s: left to the policy (--topic selects them)", p.Group, strings.Join(names, ", "))
		}
		if err := p.Active(); err != nil && !o.execute {
			e.note("%s", strings.Replace(err.Error(), "refused for", "cannot be applied yet to", 1))
		}
	}
	return plans, nil
}

// refusals are the reasons not to go on. A plan without --execute is not
// refused because of members: they may be gone when it is applied.
func refusals(plans []reset.Plan, execute bool) []error {
	var errs []error
	for i := range plans {
		if err := plans[i].Refused(); err != nil {
			errs = append(errs, err)
		}
		if err := plans[i].Active(); err != nil && execute {
			errs = append(errs, err)
		}
	}
	return errs
}

// applyReset applies one plan after the other.
func (e *env) applyReset(ctx context.Context, cl *kgo.Client, plans []reset.Plan, o resetOptions) error {
	changer := reset.New(cl)
	var errs []error
	applied := 0
	for i := range plans {
		if ctx.Err() != nil {
			errs = append(errs, context.Cause(ctx))
			break
		}
		limited, cancel := bounded(ctx, o.common)
		err := changer.Apply(limited, &plans[i], o.Options)
		cancel()
		if err != nil {
			errs = append(errs, err)
		}
		if plans[i].Applied {
			applied++
		}
		if v := plans[i].Verified; v != nil && *v != reset.VerifiedYes {
			errs = append(errs, &verifyError{plans[i].Group, *v})
		}
	}
	if len(errs) > 0 && applied > 0 {
		return &partialWriteError{errors.Join(errs...)}
	}
	return errors.Join(errs...)
}

// verifyError: it was written, but reading back did not show it.
type verifyError struct {
	group    string
	verified reset.Verified
}

func (e *verifyError) Error() string {
	if e.verified == reset.Overwritten {
		return fmt.Sprintf("group %s: committed offsets were overwritten right after the change: another consumer or tool commits to this group", e.group)
	}
	return fmt.Sprintf("group %s: written, but reading back failed; 'offsets describe %s' shows what is committed", e.group, e.group)
}

// confirm asks on stderr.
func (e *env) confirm(question string) bool {
	fmt.Fprintf(e.Stderr, "%s [y/N] ", question)
	line, err := bufio.NewReader(e.Stdin).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return false
	}
	answer := strings.ToLower(strings.TrimSpace(line))
	return answer == "y" || answer == "yes"
}

func (e *env) writePlans(o resetOptions, plans []reset.Plan, done bool) error {
	return render.Write(e.Stdout, o.format, plansView(plans, done))
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
		Columns: []render.Column{
			{Name: "TOPIC"}, {Name: "PARTITION", Right: true}, {Name: "FROM", Right: true}, {Name: "TO", Right: true}, {Name: "LOG-START", Right: true}, {Name: "LOG-END", Right: true},
			{Name: "REREAD", Right: true}, {Name: "SKIPPED", Right: true}, {Name: "LOST", Right: true, Optional: true}, {Name: "NOTE", Optional: true}, {Name: "ERROR", Optional: true},
		},
		Rows: cells(slices.Values(p.Partitions), func(c reset.Change) []string {
			return []string{
				c.Topic, fmt.Sprint(c.Partition), number(c.From), number(c.To), number(c.LogStart), number(c.LogEnd),
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
