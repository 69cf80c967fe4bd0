// Package oracle finds out whether the program's answers are true. It plays
// random scripts on a real broker, and between their steps it asks the program
// all that it answers and has it change what it changes.
//
// Its parts do not know each other: steps makes scripts out of seeds, traffic
// plays what clients do, world looks at the broker with Kafka's own requests,
// ask runs programs, model remembers what must be true, judge compares, shrink
// makes failing scripts short, report tells. Here they are put together.
//
// The program is only ever run by its command line, so that any build of it can
// be judged, and nothing of its code is used to judge it.
package oracle

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"offsets/internal/oracle/ask"
	"offsets/internal/oracle/desk"
	"offsets/internal/oracle/judge"
	"offsets/internal/oracle/record"
	"offsets/internal/oracle/report"
	"offsets/internal/oracle/steps"
)

// Broker is what the oracle needs of a running Kafka.
type Broker struct {
	Release   string
	Bootstrap string
	DataDir   string // of the one broker; copied for decode
	// Restart restarts a broker: how is clean or kill. nil: never.
	Restart func(ctx context.Context, how string) error
	// Failover is for several brokers; nil: they stay.
	Failover *Failover
}

// Tools runs one of Kafka's own tools, on the broker of the run.
type Tools func(ctx context.Context, name string, args ...string) (stdout, stderr string, exit int, err error)

// Options are those of a run. The zero value of each is usable but for Broker
// and Program.
type Options struct {
	Broker  Broker
	Program ask.Program
	Tools   Tools // nil: not asked
	// Java plays Java's clients; nil: there are none in the scripts.
	Java *desk.Desk
	// JavaOnly: scripts are made of their steps.
	JavaOnly bool
	// Seeds are played in their order; without any, random ones for as long as
	// For says.
	Seeds []int64
	For   time.Duration
	// Lanes is how many scripts are played side by side; 0 is one.
	Lanes int
	// Length is how many steps a script has, about; 0 is 140.
	Length int
	// Keep is the folder where failed scripts are kept.
	Keep string
	Logf func(format string, args ...any)
}

// length is how many steps a script has: enough for a state with many layers,
// few enough to be played within two minutes.
const length = 140

// Run plays scripts and returns what came of them. An error is one of the
// oracle itself.
func Run(ctx context.Context, o Options) (*report.Report, error) {
	if o.Length == 0 {
		o.Length = length
	}
	rep := report.New(o.Broker.Release)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	env := &environment{Options: o, report: rep, run: fmt.Sprintf("%x", time.Now().UnixMilli()&0xffffff), giveUp: cancel}
	var next atomic.Int64
	deadline := time.Now().Add(o.For)
	seed := func() (int64, bool) {
		n := next.Add(1) - 1
		if len(o.Seeds) > 0 {
			if n >= int64(len(o.Seeds)) {
				return 0, false
			}
			return o.Seeds[n], true
		}
		return rand.Int64N(1 << 40), time.Now().Before(deadline)
	}
	var wg sync.WaitGroup
	errs := make(chan error, max(1, o.Lanes))
	for range max(1, o.Lanes) {
		wg.Go(func() {
			for ctx.Err() == nil {
				n, ok := seed()
				if !ok {
					return
				}
				script := steps.Generate(n, env.features(), o.Length)
				played, err := env.Play(ctx, script)
				if err != nil {
					env.logf("seed %d: %v", n, err)
					rep.Broken(n, err)
				}
				if played == nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	rep.End()
	select {
	case err := <-errs:
		return rep, err
	default:
		return rep, context.Cause(ctx)
	}
}

// environment is what all scripts of a run share.
type environment struct {
	Options
	report *report.Report
	run    string
	giveUp context.CancelCauseFunc // there is no broker any more
	serial atomic.Int64
	// restarts keeps scripts out of the way of a restart.
	restarts sync.RWMutex
	kept     sync.Map // rule: how often it was kept
	// compactions counts the steps that force one, when they begin and when
	// they end: the cleaner minds all scripts' groups.
	compactions atomic.Int64
}

func (env *environment) logf(format string, args ...any) {
	if env.Logf != nil {
		env.Logf(format, args...)
	}
}

func (env *environment) features() steps.Features {
	four := env.Broker.Release >= "4"
	return steps.Features{Release: env.Broker.Release, NextGen: four, Share: four, Restart: env.Broker.Restart != nil, Java: env.Java != nil, JavaOnly: env.JavaOnly, Failover: env.Broker.Failover != nil}
}

// Played is one playing of a script.
type Played struct {
	Script  steps.Script
	Entries []*record.Entry
	Faults  []judge.Fault
}

// keep writes a failed playing down, the first few times of each rule.
func (env *environment) keep(p *Played, folder string) string {
	if env.Keep == "" {
		return ""
	}
	wanted := ""
	for _, f := range p.Faults {
		n, _ := env.kept.LoadOrStore(f.Rule, new(atomic.Int64))
		if n.(*atomic.Int64).Add(1) <= 3 && wanted == "" {
			wanted = f.Rule
		}
	}
	if wanted == "" {
		return ""
	}
	dir := filepath.Join(env.Keep, fmt.Sprintf("%s-seed%d-%s", p.Script.Release, p.Script.Seed, wanted))
	if err := report.Keep(dir, p.Script, p.Entries, p.Faults); err != nil {
		env.logf("keeping %s: %v", dir, err)
		return ""
	}
	_ = os.CopyFS(filepath.Join(dir, "segments"), os.DirFS(folder))
	return dir
}

// Judge judges a kept playing again.
func Judge(dir string) ([]judge.Fault, error) {
	script, entries, err := report.Load(dir)
	if err != nil {
		return nil, err
	}
	j := judge.New(script.Release)
	var faults []judge.Fault
	for _, e := range entries {
		faults = append(faults, j.Take(e)...)
	}
	return faults, nil
}
