package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/urfave/cli/v2"

	"offsets/inspect"
	"offsets/reset"
)

func applyCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "apply",
		Usage:     "carry out a plan that was written down with --plan-file",
		ArgsUsage: "PLANFILE",
		Description: "The plan's targets are what they were when it was made. It is refused on another cluster, and\n" +
			"when it is stale: a commit, a topic or the group's type has changed since. Numbers in the file are\n" +
			"computed again; what only the file knows is marked so. An offset outside the log is refused,\n" +
			"unless a receipt in the state folder shows that the undo puts back what was there.\n\n" +
			"   offsets reset billing --to as-of:2026-11-23T09:00:00Z --plan-file plan.json\n" +
			"   offsets apply plan.json --execute\n\n" +
			"Exit: 0 done or shown, 1 failed, 2 usage or no plan, 4 refused because it would be unsafe,\n5 some partitions were not written.",
		Flags: slices.DeleteFunc(changeFlags(), func(f cli.Flag) bool { return f.Names()[0] == "plan-file" }),
		Action: func(c *cli.Context) error {
			o, err := changeOptionsOf(e, c)
			if err != nil {
				return err
			}
			if c.NArg() != 1 {
				return usagef("name one plan file, as --plan-file wrote it")
			}
			return applyPlan(c.Context, e, o, c.Args().First())
		},
	}
}

func applyPlan(ctx context.Context, e *env, o changeOptions, file string) error {
	f, err := reset.ReadPlanFile(file)
	if err != nil {
		return usagef("%s", err)
	}
	cl, bound, done, err := o.connectForChange(ctx)
	if err != nil {
		return err
	}
	defer done()
	id, err := inspect.New(cl).ClusterID(bound)
	if err != nil {
		return contextError(bound, err)
	}
	if id != f.ClusterID {
		return &reset.RefusedError{Group: f.Plans[0].Group, Reasons: []string{fmt.Sprintf("the plan was made for cluster %s, this is %s", f.ClusterID, id)}}
	}
	e.note("the file says: plan of %s, made with: %s", f.Time, shellLine(f.Command))
	plans, failed := e.recheck(bound, reset.New(cl), f, id)
	if err := contextError(bound, failed); err != nil && (len(plans) == 0 || !o.partial) {
		return err
	}
	return errors.Join(failed, e.changeGroups(ctx, cl, plans, o))
}

// recheck computes again what the file says, and returns the plans of the groups
// that could be looked at.
func (e *env) recheck(ctx context.Context, changer *reset.Changer, f *reset.PlanFile, cluster string) (plans []reset.Plan, err error) {
	var all []*reset.Plan
	var o reset.RecheckOptions
	undoes := false
	for i := range f.Plans {
		all = append(all, &f.Plans[i])
		undoes = undoes || f.Plans[i].Kind == reset.KindUndo
	}
	if undoes {
		if o.Receipts, _, err = e.receipts(e.Args).List(cluster); err != nil && !errors.Is(err, reset.ErrNoFolder) {
			e.note("receipts: %v", err)
		}
	}
	var errs []error
	for i, err := range changer.Recheck(ctx, all, o) {
		if errs = append(errs, err); err == nil {
			plans = append(plans, *all[i])
		}
	}
	return plans, errors.Join(errs...)
}
