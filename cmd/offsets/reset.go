package main

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/urfave/cli/v2"

	"offsets/cmd/offsets/internal/shell"
	"offsets/inspect"
	"offsets/internal/duration"
	"offsets/reset"
)

func resetCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "reset",
		Usage:     "move a group's committed offsets: a plan, and with --execute the change",
		ArgsUsage: "[GROUP…]",
		Description: "Shows from where to where each partition moves, and how many offsets that reads again or\n" +
			"skips. Without --execute nothing changes (on a terminal it asks).\n\n" +
			"POSITION is earliest, latest, current, an offset (1500), a shift (+100, -100), a time with its\n" +
			"zone (2026-11-23T09:00:00+01:00), a duration back from now (2h, PT2H), or as-of:TIME (where\n" +
			"the group itself was then, out of the commit log).\n\n" +
			"   offsets reset billing --to earliest\n" +
			"   offsets reset billing --to -100 --topic orders:0,2-5 --execute\n" +
			"   offsets reset billing --set orders:0=1500 --set orders:1=latest --execute\n" +
			"   offsets reset billing --to as-of:2026-11-23T09:00:00Z --wait-empty 5m --execute\n\n" +
			"The flags of kafka-consumer-groups are understood, with these differences: a target outside\n" +
			"the log is refused, not clamped (--clamp); --to-current leaves partitions without a commit\n" +
			"alone; a time needs a zone; short or doubled lines of a file are refused; an unknown group is\n" +
			"not created (--create-group; --type share makes a share group).\n\n" +
			"Of share groups the start offsets are moved, always, and everything from there on is delivered\n" +
			"again; as-of does not know them.\n\n" +
			"Exit: 0 done or planned, 1 failed or no such group, 2 usage, 4 refused because it would be\nunsafe (the group is active, a target is outside the log), 5 some partitions were not written.",
		Flags: slices.Concat(groupFlags(), []cli.Flag{
			&cli.StringFlag{Name: "to", Usage: "`POSITION` to move to"},
			&cli.StringSliceFlag{KeepSpace: true, Name: "topic", Usage: "all partitions of `TOPIC[:0,2-5]`, or those named; else every partition that has a commit"},
			&cli.BoolFlag{Name: "all-topics", Usage: "every partition that has a commit (the default)"},
			&cli.StringSliceFlag{KeepSpace: true, Name: "set", Usage: "`TOPIC:PARTITION=POSITION` for one partition; may be given several times, and beside --to"},
			&cli.StringFlag{Name: "from-file", Usage: "positions from a CSV `FILE` as kafka-consumer-groups exports it"},
			&cli.BoolFlag{Name: "clamp", Usage: "move a target outside the log to its nearest end"},
			&cli.BoolFlag{Name: "touch", Usage: "also write what does not move"},
			&cli.BoolFlag{Name: "time", Usage: "show the times of the records at from and to"},
			&cli.StringFlag{Name: "isolation", Usage: "`LEVEL`, for latest while a transaction is open: read_committed or read_uncommitted"},
			&cli.BoolFlag{Name: "create-group", Usage: "make a group that does not exist"},
			&cli.StringFlag{Name: "type", Usage: "the `TYPE` that the group must have; with --create-group, classic or share: what is made"},
			&cli.IntFlag{Name: "expect-groups", Usage: "execute a glob or --all only if it selects `N` groups"},
			&cli.BoolFlag{Name: "to-earliest", Usage: "as --to earliest"},
			&cli.BoolFlag{Name: "to-latest", Usage: "as --to latest"},
			&cli.BoolFlag{Name: "to-current", Usage: "as --to current"},
			&cli.Int64Flag{Name: "to-offset", Usage: "as --to `N`"},
			&cli.StringFlag{Name: "to-datetime", Usage: "as --to `TIME`"},
			&cli.StringFlag{Name: "by-duration", Usage: "as --to `DURATION`"},
			&cli.Int64Flag{Name: "shift-by", Usage: "as --to +N or -`N`"},
		}, changeFlags()),
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
	changeOptions
	selection
	reset.Options
	rows        []reset.FileRow // of --from-file
	createGroup bool
	times       bool
	expect      *int
}

func resetOptionsOf(e *env, c *cli.Context) (o resetOptions, err error) {
	if o.changeOptions, err = changeOptionsOf(e, c); err != nil {
		return o, err
	}
	if o.selection, err = selectionOf(c); err != nil {
		return o, err
	}
	if o.rows, err = fileRowsOf(c); err != nil {
		return o, err
	}
	if o.Set, err = reset.ParseSettings(c.StringSlice("set")); err != nil {
		return o, usagef("--set: %s", err)
	}
	if o.To, err = positionOf(c, len(o.Set) > 0 || o.rows != nil); err != nil {
		return o, err
	}
	if o.Topics, err = topicsOf(c); err != nil {
		return o, err
	}
	switch {
	case o.rows != nil && (!o.To.IsZero() || len(o.Set) > 0 || len(o.Topics) > 0):
		return o, usagef("--from-file says where each partition goes: it goes without positions and --topic")
	case o.To.IsZero() && len(o.Topics) > 0:
		return o, usagef("--topic goes with --to; --set names its partitions itself")
	}
	o.createGroup, o.times, o.expect = c.Bool("create-group"), c.Bool("time"), intOf(c, "expect-groups")
	o.Clamp, o.Touch, o.Isolation, o.Now = c.Bool("clamp"), c.Bool("touch"), reset.Isolation(c.String("isolation")), e.Now()
	if !slices.Contains([]reset.Isolation{reset.Unstated, reset.ReadCommitted, reset.ReadUncommitted}, o.Isolation) {
		return o, usagef("--isolation %q: want read_committed or read_uncommitted", o.Isolation)
	}
	o.Type, err = typeOf(c)
	return o, err
}

// typeOf reads --type.
func typeOf(c *cli.Context) (string, error) {
	t := c.String("type")
	types := []string{inspect.Classic, inspect.Consumer, inspect.Share, inspect.Streams}
	if c.Bool("create-group") {
		types = []string{inspect.Classic, inspect.Share} // a member alone makes the others
	}
	if c.IsSet("type") && !slices.Contains(types, t) {
		return "", usagef("--type %q: want %s", t, strings.Join(types, " or "))
	}
	return t, nil
}

// fileRowsOf reads --from-file.
func fileRowsOf(c *cli.Context) ([]reset.FileRow, error) {
	if !c.IsSet("from-file") {
		return nil, nil
	}
	file := c.String("from-file")
	f, err := os.Open(file)
	if err != nil {
		return nil, usagef("--from-file: %s", err)
	}
	defer f.Close()
	rows, err := reset.ReadCSV(f)
	if err != nil {
		err := usagef("--from-file %s: %s", file, err)
		err.Hint = "the format is that of kafka-consumer-groups --export: topic,partition,offset, or group,topic,partition,offset for several groups; 'offsets import' reads JSON exports"
		return nil, err
	}
	return rows, nil
}

// positionOf reads the position from --to or from the flag of Kafka's tool.
func positionOf(c *cli.Context, optional bool) (reset.Position, error) {
	var given []string
	var position reset.Position
	var failed error
	add := func(flag string, parse func() (reset.Position, error)) {
		if !c.IsSet(flag) {
			return
		}
		given = append(given, "--"+flag)
		p, err := parse()
		if err != nil {
			failed = errors.Join(failed, usagef("--%s: %s", flag, err))
		}
		position = p
	}
	fixed := func(p reset.Position) func() (reset.Position, error) {
		return func() (reset.Position, error) { return p, nil }
	}
	add("to-earliest", fixed(reset.Earliest()))
	add("to-latest", fixed(reset.Latest()))
	add("to-current", fixed(reset.Current()))
	add("to-offset", fixed(reset.At(c.Int64("to-offset"))))
	add("shift-by", fixed(reset.Shift(c.Int64("shift-by"))))
	add("to-datetime", func() (reset.Position, error) {
		t, err := reset.ParseTime(c.String("to-datetime"))
		return reset.Since(t), err
	})
	add("by-duration", func() (reset.Position, error) {
		d, err := duration.Parse(c.String("by-duration"))
		return reset.Ago(d), err
	})
	add("to", func() (reset.Position, error) { return reset.ParsePosition(c.String("to")) })
	switch {
	case failed != nil:
		return position, failed
	case len(given) > 1:
		return position, usagef("%s exclude each other", strings.Join(given, " and "))
	case len(given) == 0 && !optional:
		err := usagef("where to? no position given")
		err.Hint = "--to earliest, latest, current, 1500, +100, -100, 2026-11-23T09:00:00+01:00, 2h or as-of:TIME"
		return position, err
	}
	return position, nil
}

func resetGroups(ctx context.Context, e *env, o resetOptions) error {
	cl, bound, done, err := o.connectForChange(ctx)
	if err != nil {
		return err
	}
	defer done()
	plans, err := planReset(bound, e, cl, &o)
	if err != nil {
		return contextError(bound, err)
	}
	return e.changeGroups(ctx, cl, plans, o.changeOptions)
}

// planReset makes the plans.
func planReset(ctx context.Context, e *env, cl *kgo.Client, o *resetOptions) ([]reset.Plan, error) {
	names, err := o.groups(ctx, e, cl)
	if err != nil {
		return nil, err
	}
	changer := reset.New(cl)
	plans, failed, err := changer.PlansEach(ctx, names, o.forGroup, o.createGroup)
	if err == nil {
		err = allGroupsRead(failed)
	}
	if err != nil || !o.times {
		return plans, err
	}
	all := make([]*reset.Plan, len(plans))
	for i := range plans {
		all[i] = &plans[i]
	}
	return plans, changer.Times(ctx, all...)
}

// groups are the groups to change: a file for several groups names them itself.
func (o *resetOptions) groups(ctx context.Context, e *env, cl *kgo.Client) ([]string, error) {
	if len(o.patterns) == 0 && !o.all && len(o.rows) > 0 && o.rows[0].Group != "" {
		var names []string
		for _, r := range o.rows {
			names = append(names, r.Group)
		}
		return unique(names), nil
	}
	g, err := e.resolve(ctx, inspect.New(cl), o.selection)
	if err != nil {
		return nil, err
	}
	o.named, o.SkipEmpty = !g.implied, g.many
	if o.execute && g.implied {
		err := usagef("--execute needs the group on the command line")
		if flags, ok := shell.Line(o.command[1:]...); ok {
			err.Suggestion = suggest("to execute it for this group", word(flags), groupWord(g.names[0]))
		}
		return nil, err
	}
	for _, name := range g.names {
		if o.rows != nil && len(reset.Settings(o.rows, name)) == 0 {
			return nil, usagef("--from-file: no line is about group %s", name)
		}
	}
	return g.names, checkExpected(o.selection, g, o.expect, o.execute)
}

func (o *resetOptions) forGroup(name string) reset.Options {
	out := o.Options
	if o.rows != nil {
		out.Set = reset.Settings(o.rows, name)
	}
	return out
}
