package oracle

import (
	"context"
	"fmt"
	"time"

	"offsets/internal/oracle/judge"
	"offsets/internal/oracle/report"
	"offsets/internal/oracle/shrink"
	"offsets/internal/oracle/steps"
)

// Shrink plays ever shorter pieces of a failed seed's script, for at most so
// long, and returns the shortest that still breaks the rule, as shell.
func Shrink(ctx context.Context, o Options, seed int64, fault judge.Fault, limit time.Duration) (string, error) {
	if o.Length == 0 {
		o.Length = length
	}
	env := &environment{Options: o, report: report.New(o.Broker.Release), run: fmt.Sprintf("%xs", time.Now().UnixMilli()&0xffffff), giveUp: func(error) {}}
	env.Keep, env.Logf = "", nil
	script := steps.Generate(seed, env.features(), o.Length)
	var last *Played
	fails := func(s steps.Script) bool {
		played, err := env.Play(ctx, s)
		if err != nil || played == nil {
			return false
		}
		for _, f := range played.Faults {
			if f.Rule == fault.Rule {
				last = played
				return true
			}
		}
		return false
	}
	short, ok := shrink.Short(script, fault.Step, fails, time.Now().Add(limit))
	if last == nil {
		return "", fmt.Errorf("seed %d breaks the rule %s in no replay", seed, fault.Rule)
	}
	head := fmt.Sprintf("# %s on Kafka %s: %d of %d steps; %s\n", fault.Rule, o.Broker.Release, len(short.Steps), len(script.Steps),
		map[bool]string{true: "fails two times of three", false: "failed once, and not two times of three"}[ok])
	return head + report.Shell(last.Entries, last.Faults), nil
}
