package oracle

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"offsets/internal/oracle/ask"
	"offsets/internal/oracle/judge"
	"offsets/internal/oracle/record"
	"offsets/internal/oracle/steps"
	"offsets/internal/oracle/traffic"
	"offsets/internal/oracle/world"
)

// limit is how long a command may take: its own --timeout, a watch, and time
// for a machine that is busy.
const limit = ask.Timeout + 12*time.Second

// playing is one script on its way.
type playing struct {
	env      *environment
	player   *traffic.Player
	java     *traffic.Java
	observer *world.Observer
	program  ask.Program
	dir      string
	base     time.Time
	start    time.Time
	moments  map[int]time.Time // right after a step
	live     map[int]*ask.Live
	played   *Played
	judge    *judge.Judge
	// compactions is how many there were when the script began.
	compactions int64
	last        *record.World
}

// Play plays a script on names that nobody used before, and judges it.
func (env *environment) Play(ctx context.Context, script steps.Script) (*Played, error) {
	names := traffic.Names{Prefix: fmt.Sprintf("orc%s%d-", env.run, env.serial.Add(1))}
	dir, err := os.MkdirTemp("", "oracle-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	base := time.Now().Add(-2 * time.Hour).Truncate(time.Second)
	player, err := traffic.New(env.Broker.Bootstrap, names, base)
	if err != nil {
		return nil, err
	}
	defer player.Close()
	observer, err := world.Open(env.Broker.Bootstrap, names.Prefix)
	if err != nil {
		return nil, err
	}
	defer observer.Close()
	p := &playing{env: env, player: player, observer: observer, dir: dir, base: base, start: time.Now(), moments: map[int]time.Time{},
		live: map[int]*ask.Live{}, played: &Played{Script: script}, judge: judge.New(script.Release), program: env.Program}
	p.program.Env = append(append(os.Environ(), p.program.Env...), "OFFSETS_BOOTSTRAP_SERVER="+env.Broker.Bootstrap, "OFFSETS_STATE_DIR="+filepath.Join(dir, "state"),
		"OFFSETS_GROUP=", "OFFSETS_CONTEXT=", "HOME="+dir)
	p.program.Dir, p.compactions = dir, env.compactions.Load()
	if env.Java != nil {
		p.java = traffic.NewJava(player, env.Java)
	}
	defer p.cleanUp(ctx)
	time.Sleep(5 * time.Millisecond)
	for _, s := range script.Steps {
		if err := ctx.Err(); err != nil {
			return p.played, err
		}
		if err := p.step(ctx, s); err != nil {
			return p.played, fmt.Errorf("step %s: %w", s, err)
		}
	}
	env.report.Script(script.Seed, p.judge.Model.Doubts)
	if len(p.played.Faults) > 0 {
		if kept := env.keep(p.played, dir); kept != "" {
			env.logf("kept in %s", kept)
		}
	}
	return p.played, nil
}

func (p *playing) cleanUp(ctx context.Context) {
	for _, l := range p.live {
		l.Signal(syscall.SIGKILL, false)
		l.Wait()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	_ = p.env.Broker.Failover.Heal(ctx)
	p.java.Close(ctx)
	if w, err := p.observer.Look(ctx); err == nil {
		p.player.CleanUp(ctx, w)
	}
}

// step plays and judges one step.
func (p *playing) step(ctx context.Context, s steps.Step) error {
	if s.Kind == "restart" {
		p.env.restarts.Lock()
		defer p.env.restarts.Unlock()
	} else {
		p.env.restarts.RLock()
		defer p.env.restarts.RUnlock()
	}
	e := &record.Entry{Step: s}
	if s.Group != 0 {
		e.Group = p.player.Group(s.Group)
	}
	if s.Group2 != 0 {
		e.Group2 = p.player.Group(s.Group2)
	}
	if s.Topic != 0 {
		e.Topic = p.player.Topic(s.Topic)
	}
	var err error
	if e.Before, err = p.look(ctx); err != nil {
		return fmt.Errorf("before it: %w", err)
	}
	down := p.env.Broker.Failover.Down()
	e.Begin = time.Now()
	if s.Fail != "" && p.env.Broker.Failover != nil {
		if err := p.env.Broker.Failover.Fail(ctx, e.Group, s.Fail); err != nil {
			p.env.logf("step %s: %v", s, err)
		}
	}
	p.do(ctx, e)
	e.End = time.Now()
	e.Down = down || p.env.Broker.Failover.Down()
	if e.After, err = p.lookAfter(ctx, e); err != nil {
		return fmt.Errorf("after it: %w", err)
	}
	p.last = e.After
	time.Sleep(3 * time.Millisecond)
	p.moments[s.ID] = time.Now().Truncate(time.Millisecond)
	time.Sleep(3 * time.Millisecond)
	p.played.Entries = append(p.played.Entries, e)
	e.Compacted = p.env.compactions.Load() != p.compactions
	faults := p.judge.Take(e)
	p.played.Faults = append(p.played.Faults, faults...)
	p.env.report.Entry(p.played.Script.Seed, e, faults)
	for _, f := range faults {
		p.env.logf("seed %d step %d %s: %s\n    %s", p.played.Script.Seed, f.Step, f.Rule, f.Message, f.Command)
	}
	return nil
}

// look is what stands before a step: what stood after the one before it, if that
// was just now. Looking takes two thirds of a run's time, and what happens in
// between lies between two looks all the same. While brokers may be down each
// step has its own: a look says whether the coordinators stayed where they were.
func (p *playing) look(ctx context.Context) (*record.World, error) {
	if p.last != nil && p.env.Broker.Failover == nil && time.Since(p.last.End) < time.Second {
		return p.last, nil
	}
	return p.observer.Look(ctx)
}

// lookAfter is what stands after a step. A coordinator that has just started may
// list too few groups, without an error, until it has read all of its log.
func (p *playing) lookAfter(ctx context.Context, e *record.Entry) (*record.World, error) {
	for begun := time.Now(); ; {
		w, err := p.observer.Look(ctx)
		if err != nil || e.Step.Kind != "restart" || time.Since(begun) > 20*time.Second {
			return w, err
		}
		missing := false
		for name := range e.Before.Groups {
			_, found := w.Groups[name]
			missing = missing || !found
		}
		if !missing {
			return w, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(300 * time.Millisecond):
		}
	}
}

// do plays the step, whichever kind it is.
func (p *playing) do(ctx context.Context, e *record.Entry) {
	var err error
	switch s := e.Step; {
	case s.Kind == "restart":
		if p.env.Broker.Restart == nil {
			e.Err = "no restarts here"
			return
		}
		if err = p.env.Broker.Restart(ctx, s.How); err != nil {
			p.env.giveUp(fmt.Errorf("the broker did not come back from a restart: %w", err))
		}
	case s.Kind == "compact":
		p.env.compactions.Add(1)
		e.Ops, err = p.player.Play(ctx, s, e.Before)
		p.env.compactions.Add(1)
	case s.Kind == "broker.heal":
		err = p.env.Broker.Failover.Heal(ctx)
	case s.Kind == "consume.start":
		p.live[s.Group] = p.program.Start(0, ask.Argv(s, p.given(e))...)
		p.joined(ctx, e)
	case s.Kind == "consume.stop":
		err = p.stop(e)
	case strings.HasPrefix(s.Kind, "java."):
		if p.java == nil {
			e.Err = "no Java here"
			return
		}
		e.Ops, err = p.java.Play(ctx, s, e.Before)
	case s.Kind == "tool.describe", s.Kind == "tool.members":
		err = p.tool(ctx, e)
	case s.Asks() || s.Changes():
		err = p.ask(ctx, e)
	default:
		e.Ops, err = p.player.Play(ctx, s, e.Before)
	}
	if err != nil {
		e.Err = err.Error()
	}
}

func (p *playing) given(e *record.Entry) ask.Given {
	return ask.Given{Group: e.Group, Group2: e.Group2, Topic: e.Topic, World: e.Before, Moment: e.Moment, Base: p.base}
}

// moment is the time right after a step, or after the last one before it that
// was played.
func (p *playing) moment(id int) time.Time {
	for ; id > 0; id-- {
		if at, ok := p.moments[id]; ok {
			return at
		}
	}
	return p.start.Truncate(time.Millisecond)
}

func (p *playing) ask(ctx context.Context, e *record.Entry) error {
	s := e.Step
	if s.AsOf != 0 {
		e.Moment = p.moment(s.AsOf)
	}
	g := p.given(e)
	if s.Position == "time" {
		e.Moment = p.base.Add(time.Duration(s.N) * time.Millisecond)
	}
	switch s.Kind {
	case "do.planfile":
		g.PlanFile = filepath.Join(p.dir, fmt.Sprintf("plan-%d.json", s.ID))
	case "do.apply":
		g.PlanFile, e.From = filepath.Join(p.dir, fmt.Sprintf("plan-%d.json", s.N)), s.N
		if _, err := os.Stat(g.PlanFile); err != nil {
			return errors.New("there is no such plan: it was refused")
		}
	case "do.import":
		g.ExportFile, e.From = filepath.Join(p.dir, fmt.Sprintf("export-%d.json", s.N)), s.N
		if _, err := os.Stat(g.ExportFile); err != nil {
			return errors.New("there is no such export: the group did not exist")
		}
	case "ask.files":
		live := s
		live.Kind = "ask.decode"
		e.Runs = append(e.Runs, p.program.Run(ctx, limit, ask.Argv(live, g)...))
		g.Segments = filepath.Join(p.dir, "data")
		if err := copyLog(p.env.Broker.DataDir, g.Segments); err != nil {
			return err
		}
	}
	r := p.program.Run(ctx, limit, ask.Argv(s, g)...)
	e.Runs = append(e.Runs, r)
	if s.Kind == "ask.export" && r.Exit == 0 && !r.Killed {
		return os.WriteFile(filepath.Join(p.dir, fmt.Sprintf("export-%d.json", s.ID)), []byte(r.Stdout), 0o600)
	}
	return nil
}

// copyLog copies the offsets topic's folders as an administrator would: the log
// files, while the broker writes.
func copyLog(data, to string) error {
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	folders, err := filepath.Glob(filepath.Join(data, "__consumer_offsets-*"))
	if err != nil || len(folders) == 0 {
		return errors.Join(err, errors.New("no folders of the offsets topic in "+data))
	}
	for _, folder := range folders {
		if strings.HasSuffix(folder, "-delete") {
			continue
		}
		dir := filepath.Join(to, filepath.Base(folder))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		files, _ := filepath.Glob(filepath.Join(folder, "*.log"))
		for _, file := range files {
			b, err := os.ReadFile(file)
			if errors.Is(err, os.ErrNotExist) {
				continue // the cleaner was quicker
			}
			if err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(dir, filepath.Base(file)), b, 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}

// joined waits until the group has a member more than before.
func (p *playing) joined(ctx context.Context, e *record.Entry) {
	for end := time.Now().Add(6 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if w, err := p.observer.Look(ctx); err == nil && w.Groups[e.Group].Members > e.Before.Groups[e.Group].Members {
			return
		}
	}
}

// stop tells a consumer of the program to stop, in one of the ways that happen:
// Ctrl-C, a service manager's SIGTERM, or timeout(1), which sends its signal to
// the child and right after to the process group.
func (p *playing) stop(e *record.Entry) error {
	l := p.live[e.Step.Group]
	if l == nil {
		return errors.New("it was never started")
	}
	delete(p.live, e.Step.Group)
	time.Sleep(time.Duration(e.Step.N) * time.Millisecond)
	switch e.Step.How {
	case "int":
		l.Signal(syscall.SIGINT, false)
	case "term":
		l.Signal(syscall.SIGTERM, false)
	default:
		l.Signal(syscall.SIGTERM, false)
		if len(e.Step.Flags) > 0 {
			us, _ := strconv.Atoi(e.Step.Flags[0])
			time.Sleep(time.Duration(us) * time.Microsecond)
		}
		l.Signal(syscall.SIGTERM, true)
	}
	e.Runs = append(e.Runs, l.Within(15*time.Second))
	time.Sleep(100 * time.Millisecond)
	return nil
}

// tool asks Kafka's own tool, and then the program.
func (p *playing) tool(ctx context.Context, e *record.Entry) error {
	if p.env.Tools == nil {
		return errors.New("no tools here")
	}
	name := "kafka-consumer-groups"
	if e.Before.Groups[e.Group].Type == "share" {
		name = "kafka-share-groups"
	}
	args := []string{"--describe", "--group", e.Group}
	if e.Step.Kind == "tool.members" {
		args = append(args, "--members", "--verbose")
	}
	t := record.Run{Argv: append([]string{name, "--bootstrap-server", p.env.Broker.Bootstrap}, args...), Begin: time.Now(), Tool: true}
	var err error
	t.Stdout, t.Stderr, t.Exit, err = p.env.Tools(ctx, name, args...)
	if err != nil {
		return err
	}
	t.End = time.Now()
	ours := e.Step
	ours.Kind, ours.Form = "ask.describe", "json"
	e.Runs = append(e.Runs, t, p.program.Run(ctx, limit, ask.Argv(ours, p.given(e))...))
	if e.Step.Kind == "tool.members" { // did they move in between? Nothing else says so of share groups
		t.Begin = time.Now()
		if t.Stdout, t.Stderr, t.Exit, err = p.env.Tools(ctx, name, args...); err != nil {
			return err
		}
		t.End = time.Now()
		e.Runs = append(e.Runs, t)
	}
	return nil
}
