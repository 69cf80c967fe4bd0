package main

import (
	"context"
	"slices"

	"github.com/urfave/cli/v2"

	"offsets/inspect"
	"offsets/reset"
)

func deleteCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "delete",
		Usage:     "delete groups, or a group's committed offsets of topics",
		ArgsUsage: "GROUP…",
		Description: "Without --topic the group is deleted, with all that it has committed; it must have no members.\n" +
			"With --topic only its commits of those topics are; that is possible while it is active, too,\n" +
			"if no member subscribes to them. Without --execute nothing changes. undo puts the commits back.\n\n" +
			"   offsets delete 'console-consumer-*' --expect-groups 12 --execute\n" +
			"   offsets delete billing --topic orders-old --execute\n\n" +
			"Exit: 0 done or planned, 1 failed or no such group, 2 usage, 4 refused because it would be\nunsafe, 5 some were not deleted.",
		Flags: slices.Concat(groupFlags(), []cli.Flag{
			&cli.StringSliceFlag{KeepSpace: true, Name: "topic", Usage: "only commits of `TOPIC[:0,2-5]`; may be given several times"},
			&cli.IntFlag{Name: "expect-groups", Usage: "execute a glob or --all only if it selects `N` groups"},
		}, changeFlags()),
		Action: func(c *cli.Context) error {
			o := deleteOptions{expect: intOf(c, "expect-groups")}
			var err error
			if o.changeOptions, err = changeOptionsOf(e, c); err != nil {
				return err
			}
			if o.selection, err = selectionOf(c); err != nil {
				return err
			}
			if o.topics, err = topicsOf(c); err != nil {
				return err
			}
			return deleteGroups(c.Context, e, o)
		},
	}
}

type deleteOptions struct {
	changeOptions
	selection
	topics []reset.TopicSelection
	expect *int
}

func deleteGroups(ctx context.Context, e *env, o deleteOptions) error {
	cl, bound, done, err := o.connectForChange(ctx)
	if err != nil {
		return err
	}
	defer done()
	g, err := e.resolve(bound, inspect.New(cl), o.selection)
	if err == nil {
		err = checkExpected(o.selection, g, o.expect, o.execute)
	}
	if err != nil {
		return contextError(bound, err)
	}
	o.named = !g.implied
	plans, failed, err := reset.New(cl).DeletePlans(bound, g.names, reset.DeleteOptions{Topics: o.topics, SkipEmpty: g.many})
	if err == nil {
		err = allGroupsRead(failed)
	}
	if err != nil {
		return contextError(bound, err)
	}
	return e.changeGroups(ctx, cl, plans, o.changeOptions)
}
