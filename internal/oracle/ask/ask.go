// Package ask runs programs and keeps all that they say. It knows the program's
// command line, and nothing of what its answers should be.
package ask

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"offsets/internal/oracle/record"
)

// Program is a program with its environment.
type Program struct {
	Path string
	Name string // what it is called in reports
	Env  []string
	Dir  string
}

// Run runs it to its end, and kills it where it has not ended within limit.
func (p Program) Run(ctx context.Context, limit time.Duration, args ...string) record.Run {
	l := p.Start(limit, args...)
	select {
	case <-l.done:
	case <-ctx.Done():
		l.kill()
	}
	return l.Wait()
}

// Live is a program that runs.
type Live struct {
	cmd     *exec.Cmd
	out     limited
	err     limited
	run     record.Run
	timer   *time.Timer
	done    chan struct{}
	startup error
}

// Start starts it, as the leader of a process group of its own: as timeout(1)
// and shells do.
func (p Program) Start(limit time.Duration, args ...string) *Live {
	l := &Live{cmd: exec.Command(p.Path, args...), done: make(chan struct{})}
	l.cmd.Env, l.cmd.Dir = p.Env, p.Dir
	l.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	l.cmd.Stdout, l.cmd.Stderr = &l.out, &l.err
	l.run = record.Run{Argv: append([]string{p.Name}, args...), Begin: time.Now(), Limit: limit}
	if l.startup = l.cmd.Start(); l.startup != nil {
		close(l.done)
		return l
	}
	if limit > 0 {
		l.timer = time.AfterFunc(limit, l.kill)
	}
	go func() {
		err := l.cmd.Wait()
		l.run.End = time.Now()
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			l.run.Exit = exit.ExitCode()
		}
		close(l.done)
	}()
	return l
}

func (l *Live) kill() {
	select {
	case <-l.done:
	default:
		l.out.mu.Lock()
		l.run.Killed = true
		l.out.mu.Unlock()
		_ = l.cmd.Process.Kill()
	}
}

// Signal sends signals, one right after the other: to the process, or, if group,
// to its process group.
func (l *Live) Signal(sig syscall.Signal, group bool) {
	if l.startup != nil {
		return
	}
	pid := l.cmd.Process.Pid
	if group {
		pid = -pid
	}
	_ = syscall.Kill(pid, sig)
}

// Within waits so long for the end, and kills it then.
func (l *Live) Within(d time.Duration) record.Run {
	select {
	case <-l.done:
	case <-time.After(d):
		l.kill()
	}
	return l.Wait()
}

// Wait waits for the end.
func (l *Live) Wait() record.Run {
	<-l.done
	if l.timer != nil {
		l.timer.Stop()
	}
	if l.startup != nil {
		l.run.Exit, l.run.Stderr, l.run.End = -1, l.startup.Error(), time.Now()
		return l.run
	}
	l.run.Stdout, l.run.Stderr = l.out.String(), l.err.String()
	return l.run
}

// limited keeps the first megabytes: one of the faults to find is a flood.
type limited struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

const keep = 4 << 20

func (l *limited) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if room := keep - l.buf.Len(); room > 0 {
		l.buf.Write(b[:min(room, len(b))])
	}
	return len(b), nil
}

func (l *limited) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
