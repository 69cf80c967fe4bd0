package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"offsets/inspect"
)

func waitCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "wait",
		Usage:     "wait until groups meet limits, such as lag 0",
		ArgsUsage: "[GROUP…]",
		Description: "Looks again and again until all conditions hold, --stable times in a row, or --timeout is\n" +
			"over. Without a condition it waits for --max-lag 0.\n\n" +
			"   offsets wait billing --max-lag 0 --timeout 10m --stable 3\n" +
			"   offsets wait billing --state Empty --timeout 1m\n\n" +
			"Exit: 0 the conditions hold, 3 they did not until the time was up, 1 failed or no such group.",
		Flags: slices.Concat(groupFlags(), limitFlags(), lookFlags("how many times in a row, `N`, the conditions must hold")),
		Action: func(c *cli.Context) error {
			o, err := checkOptionsOf(e, c)
			if err != nil {
				return err
			}
			if l := &o.limits; l.MaxLag == nil && l.MaxPartitionLag == nil && l.MaxBehind == nil && len(l.States) == 0 && l.MinMembers == nil {
				l.MaxLag = new(int64)
			}
			return waitFor(c.Context, e, o)
		},
	}
}

func waitFor(ctx context.Context, e *env, o checkOptions) error {
	cl, bound, done, err := o.connectForChange(ctx)
	if err != nil {
		return err
	}
	defer done()
	cluster := inspect.New(cl)
	var last *findings
	var failure error
	told := ""
	for held := 0; held < o.stable; {
		o.Now = e.Now()
		f, err := e.judge(bound, cluster, o)
		var usage *usageError
		switch {
		case errors.As(err, &usage):
			return err
		case bound.Err() != nil:
			return e.waitedInVain(bound, o, last, failure)
		case err != nil:
			failure, held = err, 0
		default:
			last, failure = f, nil
			if f.tail.Holds && len(f.verdicts) > 0 {
				held++
			} else {
				held = 0
			}
		}
		if now := waitingFor(last, failure); now != told && held == 0 {
			told = now
			e.note("waiting: %s", now)
		}
		if held == o.stable {
			break
		}
		select {
		case <-bound.Done():
			return e.waitedInVain(bound, o, last, failure)
		case <-time.After(o.interval):
		}
	}
	return e.writeFindings(last, o)
}

// waitingFor says in a line what does not hold.
func waitingFor(f *findings, failure error) string {
	if failure != nil {
		return failure.Error()
	}
	var out []string
	for _, v := range f.verdicts {
		for _, b := range v.Breaches {
			what := b.Message
			if b.Topic != nil {
				what = fmt.Sprintf("%s-%d: %s", *b.Topic, *b.Partition, what)
			}
			out = append(out, v.Group+": "+what)
		}
	}
	for _, p := range foldProblems(f.problems) {
		out = append(out, problemLine(p))
	}
	if len(out) > 3 {
		out = append(out[:3], fmt.Sprintf("and %d more", len(out)-3))
	}
	return strings.Join(out, "; ")
}

// waitedInVain: the time is up. What was last seen is shown; a group that never
// came is unknown.
func (e *env) waitedInVain(ctx context.Context, o checkOptions, last *findings, failure error) error {
	cause := context.Cause(ctx)
	var timeout *timeoutError
	if !errors.As(cause, &timeout) {
		return cause
	}
	if last == nil || failure != nil {
		return errors.Join(failure, cause)
	}
	if len(last.verdicts) == 0 {
		return last.err()
	}
	err := e.writeFindings(last, o)
	if last.err() == nil { // it held, but not often enough
		return errors.Join(err, &conditionError{unstable: o.stable})
	}
	return errors.Join(err, last.err())
}
