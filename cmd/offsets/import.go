package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/urfave/cli/v2"

	"offsets/inspect"
	"offsets/reset"
)

func importCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "import",
		Usage:     "commit what export has written down, here or in another cluster",
		ArgsUsage: "FILE",
		Description: "FILE is the JSON of export, or the CSV of kafka-consumer-groups; - is standard input. Offsets\n" +
			"mean the same only in the same topic: where it is another one (another cluster, or a topic that\n" +
			"was created again), say how to find the place:\n\n" +
			"   --translate-by time     at the first record that was not read, by the timestamps around it; where\n" +
			"                           these are equal or out of order, before it: it may read again, and says\n" +
			"                           how much, but skips nothing that was not read\n" +
			"   --translate-by offset   the number as it is\n\n" +
			"A share group of the file becomes a share group here, and what was acknowledged above its start\n" +
			"offsets is delivered again.\n\n" +
			"   offsets import billing.json --execute\n" +
			"   offsets import all.json --group billing --to-group billing-v2 --translate-by time\n\n" +
			"Exit: 0 done or planned, 1 failed, 2 usage or bad file, 4 refused because it would be unsafe,\n5 some partitions were not written.",
		Flags: slices.Concat([]cli.Flag{
			&cli.StringSliceFlag{KeepSpace: true, Name: "group", Usage: "only `GROUP` of the file; in a CSV without groups, the group that it is of"},
			&cli.StringFlag{Name: "to-group", Usage: "commit for `GROUP`, not for the one that was exported"},
			&cli.StringSliceFlag{KeepSpace: true, Name: "topic", Usage: "only commits of `TOPIC[:0,2-5]`; may be given several times"},
			&cli.StringFlag{Name: "translate-by", Usage: "`HOW` to find the place in another topic: time or offset"},
			&cli.BoolFlag{Name: "clamp", Usage: "move a target outside the log to its nearest end"},
		}, changeFlags()),
		Action: func(c *cli.Context) error {
			o, err := importOptionsOf(e, c)
			if err != nil {
				return err
			}
			return importGroups(c.Context, e, o)
		},
	}
}

type importOptions struct {
	changeOptions
	export    *reset.Export
	groups    []reset.ExportedGroup
	toGroup   string
	topics    []reset.TopicSelection
	translate reset.Translation
	clamp     bool
}

func importOptionsOf(e *env, c *cli.Context) (o importOptions, err error) {
	if o.changeOptions, err = changeOptionsOf(e, c); err != nil {
		return o, err
	}
	if o.topics, err = topicsOf(c); err != nil {
		return o, err
	}
	o.toGroup, o.clamp, o.translate = c.String("to-group"), c.Bool("clamp"), reset.Translation(c.String("translate-by"))
	if !slices.Contains([]reset.Translation{reset.TranslateUnsaid, reset.TranslateOffset, reset.TranslateTime}, o.translate) {
		return o, usagef("--translate-by %q: want time or offset", o.translate)
	}
	if c.NArg() != 1 {
		return o, usagef("name one file, as export wrote it, or - for standard input")
	}
	file, only := c.Args().First(), c.StringSlice("group")
	text, err := e.readFile(c.Context, file)
	if c.Context.Err() != nil {
		return o, context.Cause(c.Context)
	}
	if err != nil {
		return o, usagef("%s", err)
	}
	group := ""
	if len(only) == 1 {
		group = only[0]
	}
	if o.export, err = reset.ReadExport(text, group); err != nil {
		return o, usagef("%s: %s", file, err)
	}
	for _, g := range o.export.Groups {
		if len(only) == 0 || slices.Contains(only, g.Group) {
			o.groups = append(o.groups, g)
		}
	}
	switch {
	case len(o.groups) == 0:
		return o, usagef("%s: no such group in it", file)
	case o.toGroup != "" && len(o.groups) > 1:
		return o, usagef("--to-group takes one group, but the file has %d: choose one with --group", len(o.groups))
	}
	return o, nil
}

func (e *env) readFile(ctx context.Context, name string) ([]byte, error) {
	if name == "-" {
		return whileListening(ctx, func() ([]byte, error) { return io.ReadAll(e.Stdin) })
	}
	return os.ReadFile(name)
}

func importGroups(ctx context.Context, e *env, o importOptions) error {
	cl, bound, done, err := o.connectForChange(ctx)
	if err != nil {
		return err
	}
	defer done()
	plans, err := planImport(bound, e, cl, o)
	if err != nil {
		return contextError(bound, err)
	}
	return e.changeGroups(ctx, cl, plans, o.changeOptions)
}

func planImport(ctx context.Context, e *env, cl *kgo.Client, o importOptions) ([]reset.Plan, error) {
	id, err := inspect.New(cl).ClusterID(ctx)
	if err != nil {
		return nil, err
	}
	changer := reset.New(cl)
	var all []reset.Restoring
	for i := range o.groups {
		g := &o.groups[i]
		wanted, err := changer.Import(ctx, o.export, g, o.topics, o.translate)
		if err != nil {
			return nil, err
		}
		if len(wanted) == 0 {
			return nil, fmt.Errorf("group %s: %w: the file has no such commits of it", g.Group, reset.ErrNothingSelected)
		}
		name := g.Group
		if o.toGroup != "" {
			name = o.toGroup
		}
		all = append(all, reset.Restoring{Group: name, Wanted: wanted, Type: g.Type})
	}
	return changer.RestorePlans(ctx, all, reset.RestoreOptions{Kind: reset.KindImport, SameCluster: id == o.export.ClusterID, Clamp: o.clamp})
}
