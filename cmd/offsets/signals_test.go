package main

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"offsets/internal/sandbox"
)

// commitGate is a broker that holds the next commit back once it is told to.
type commitGate struct {
	line    commandLine
	held    atomic.Bool
	entered chan struct{} // one for each commit that is held back
	release chan struct{} // closed to let them through
}

func newCommitGate(t *testing.T) *commitGate {
	t.Helper()
	g := &commitGate{entered: make(chan struct{}, 16), release: make(chan struct{})}
	s, err := sandbox.Start(sandbox.Options{Topics: map[string]int32{"t": 1}, Refuse: func(key kmsg.Key) error {
		if key == kmsg.OffsetCommit && g.held.Load() {
			g.entered <- struct{}{}
			<-g.release
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	t.Cleanup(func() { g.open() })
	cl, err := kgo.NewClient(kgo.SeedBrokers(s.Addr), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	for _, step := range []string{"records t 0 50", "commit g t 0 10"} {
		if err := given(t.Context(), cl, strings.Split(step, " ")); err != nil {
			t.Fatal(err)
		}
	}
	g.held.Store(true)
	g.line = newCommandLine(t, s.Addr)
	return g
}

func (g *commitGate) open() {
	if g.held.Swap(false) {
		close(g.release)
	}
}

// program is one that runs.
type program struct {
	t      *testing.T
	cmd    *exec.Cmd
	stderr bytes.Buffer
	ended  chan struct{}
}

// start starts the program; the lines of its stdout go to lines, if that is set.
func (g *commitGate) start(t *testing.T, lines func(io.Reader), args ...string) *program {
	t.Helper()
	p := &program{t: t, ended: make(chan struct{})}
	p.cmd = exec.CommandContext(t.Context(), filepath.Join(g.line.dir, "offsets"), args...)
	p.cmd.Dir, p.cmd.Env, p.cmd.Stderr = g.line.dir, g.line.env, &p.stderr
	r, w := io.Pipe()
	p.cmd.Stdout = w
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if lines != nil {
		lines(r)
	}
	go func() { _, _ = io.Copy(io.Discard, r) }()
	go func() {
		_ = p.cmd.Wait() // the exit code tells
		close(p.ended)
	}()
	return p
}

func (p *program) signal(signals ...os.Signal) {
	p.t.Helper()
	for _, s := range signals {
		if err := p.cmd.Process.Signal(s); err != nil {
			p.t.Fatalf("%s: %v; stderr: %s", s, err, p.stderr.String())
		}
	}
}

// until waits for something that happens while the program runs.
func (p *program) until(happens <-chan struct{}, what string) {
	p.t.Helper()
	select {
	case <-happens:
	case <-p.ended:
		p.t.Fatalf("it ended before %s, exit %d: %s", what, p.cmd.ProcessState.ExitCode(), p.stderr.String())
	case <-time.After(20 * time.Second):
		p.t.Fatalf("no sign of %s", what)
	}
}

// wait waits for the end, and returns the exit code.
func (p *program) wait() int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(20 * time.Second):
		p.t.Fatal("it does not end")
	}
	return p.cmd.ProcessState.ExitCode()
}

// requestsToStop are signals that are one request to stop.
var requestsToStop = map[string][]os.Signal{
	"one SIGTERM":           {syscall.SIGTERM},
	"two SIGTERMs":          {syscall.SIGTERM, syscall.SIGTERM}, // as timeout(1) sends them
	"a Ctrl-C that bounces": {os.Interrupt, os.Interrupt},
	"SIGTERM and SIGINT":    {syscall.SIGTERM, os.Interrupt},
	"SIGINT and SIGTERM":    {os.Interrupt, syscall.SIGTERM},
	"a terminal that goes":  {syscall.SIGHUP, syscall.SIGTERM},
}

func firstLine(r io.Reader) { _, _ = bufio.NewReader(r).ReadString('\n') }

// timeout(1) sends its signal to the process and to its group. Two signals at once
// are one request to stop: the consumer commits what it has processed, and leaves
// its group.
func TestASignalThatComesTwiceIsOneRequestToStop(t *testing.T) {
	for name, signals := range requestsToStop {
		t.Run(name, func(t *testing.T) {
			g := newCommitGate(t)
			p := g.start(t, firstLine, "consume", "t", "--group", "g", "--auto-commit-interval", "1h", "-o", "jsonl")
			p.signal(signals...)
			p.until(g.entered, "its last commit")
			p.signal(syscall.SIGTERM)
			g.open()
			if code := p.wait(); code != exitInterrupted {
				t.Errorf("exit %d: %s", code, p.stderr.String())
			}
			_, out, _ := g.line.run("describe", "g", "-o", "json")
			if got, err := query(out, ".groups[0] | [.state, .members, .partitions[0].committed]"); err != nil || got != `["Empty",[],50]` {
				t.Errorf("after the stop: %s, %v", got, err)
			}
		})
	}
}

// The stop may itself hang on a cluster that is broken. Then a second Ctrl-C ends
// the program at once; SIGTERM never does.
func TestOnlyASecondCtrlCEndsAtOnce(t *testing.T) {
	for _, first := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		t.Run(first.String(), func(t *testing.T) {
			g := newCommitGate(t)
			p := g.start(t, firstLine, "consume", "t", "--group", "g", "--auto-commit-interval", "1h", "-o", "jsonl")
			p.signal(first, os.Interrupt)
			p.until(g.entered, "its last commit")
			time.Sleep(sameRequest + 200*time.Millisecond)
			p.signal(syscall.SIGTERM)
			time.Sleep(100 * time.Millisecond)
			p.signal(os.Interrupt) // an error, if it had ended
			if code := p.wait(); code != exitInterrupted {
				t.Errorf("exit %d: %s", code, p.stderr.String())
			}
			if strings.Contains(p.stderr.String(), "interrupted") {
				t.Errorf("a clean end: %s", p.stderr.String())
			}
		})
	}
}

// A change that has begun is carried to its end.
func TestAChangeIsNotCutByASignalThatComesTwice(t *testing.T) {
	for name, signals := range requestsToStop {
		t.Run(name, func(t *testing.T) {
			g := newCommitGate(t)
			p := g.start(t, nil, "reset", "g", "--to", "earliest", "--execute", "--settle", "0s", "-o", "json")
			p.until(g.entered, "its write")
			p.signal(signals...)
			time.Sleep(100 * time.Millisecond)
			p.signal(syscall.SIGTERM)
			g.open()
			if code := p.wait(); code != exitDone {
				t.Errorf("exit %d: %s", code, p.stderr.String())
			}
			if !strings.Contains(p.stderr.String(), "the change has begun") {
				t.Errorf("stderr: %s", p.stderr.String())
			}
			_, out, _ := g.line.run("undo", "--list", "-o", "json")
			if got, err := query(out, ".receipts | map([.state, .verified])"); err != nil || got != `[["done","yes"]]` {
				t.Errorf("receipts: %s, %v", got, err)
			}
		})
	}
}
