package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/urfave/cli/v2"

	"offsets/inspect"
	"offsets/reset"
)

func copyCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "copy",
		Usage:     "give a group the committed offsets of another one",
		ArgsUsage: "FROM TO",
		Description: "TO gets the offsets, metadata and leader epochs that FROM has committed; commits of TO that\n" +
			"FROM does not have stay. TO need not exist. FROM may be active, TO must not. Without --execute\n" +
			"nothing changes.\n\n" +
			"   offsets copy billing billing-v2 --execute\n\n" +
			"Exit: 0 done or planned, 1 failed or no such group, 2 usage, 4 refused because it would be\nunsafe, 5 some partitions were not written.",
		Flags: slices.Concat([]cli.Flag{
			&cli.StringSliceFlag{KeepSpace: true, Name: "topic", Usage: "only commits of `TOPIC[:0,2-5]`; may be given several times"},
			&cli.BoolFlag{Name: "clamp", Usage: "move a target outside the log to its nearest end"},
		}, changeFlags()),
		Action: func(c *cli.Context) error {
			o := copyOptions{clamp: c.Bool("clamp")}
			var err error
			if o.changeOptions, err = changeOptionsOf(e, c); err != nil {
				return err
			}
			if o.topics, err = topicsOf(c); err != nil {
				return err
			}
			if c.NArg() != 2 || c.Args().Get(0) == c.Args().Get(1) {
				return usagef("name two groups: from which, and to which")
			}
			o.from, o.to = c.Args().Get(0), c.Args().Get(1)
			return copyGroup(c.Context, e, o)
		},
	}
}

type copyOptions struct {
	changeOptions
	from, to string
	topics   []reset.TopicSelection
	clamp    bool
}

func copyGroup(ctx context.Context, e *env, o copyOptions) error {
	cl, bound, done, err := o.connectForChange(ctx)
	if err != nil {
		return err
	}
	defer done()
	plan, err := planCopy(bound, cl, o)
	if err != nil {
		return contextError(bound, err)
	}
	return e.changeGroups(ctx, cl, []reset.Plan{plan}, o.changeOptions)
}

func planCopy(ctx context.Context, cl *kgo.Client, o copyOptions) (reset.Plan, error) {
	d, err := inspect.New(cl).Describe(ctx, []string{o.from}, inspect.DescribeOptions{})
	if err != nil {
		return reset.Plan{}, err
	}
	var wanted []reset.Wanted
	var fromType string
	for g, err := range d.Groups {
		if err != nil {
			return reset.Plan{}, err
		}
		if g.Type == inspect.Share {
			return reset.Plan{}, usagef("group %s is a share group: its start offsets are not commits that another group could take over", o.from)
		}
		wanted, fromType = reset.Copy(g, o.topics), g.Type
	}
	if err := allGroupsRead(d.Problems); err != nil {
		return reset.Plan{}, err
	}
	if len(wanted) == 0 {
		return reset.Plan{}, fmt.Errorf("group %s: %w: it has no such commits", o.from, reset.ErrNothingSelected)
	}
	return reset.New(cl).RestorePlan(ctx, o.to, wanted, reset.RestoreOptions{Kind: reset.KindCopy, Type: fromType, SameCluster: true, Clamp: o.clamp})
}
