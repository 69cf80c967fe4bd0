package main

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"offsets/internal/sandbox"
)

// processWorld is a sandbox with something in it, and a broker that hangs.
func processWorld(t *testing.T) (line commandLine, hung string) {
	t.Helper()
	s, err := sandbox.Start(sandbox.Options{Topics: map[string]int32{"t": 2}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	cl, err := kgo.NewClient(kgo.SeedBrokers(s.Addr), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	for _, step := range []string{"records t 0 3000", "commit g t 0 1", "commit g t 1 0"} {
		if err := given(t.Context(), cl, strings.Split(step, " ")); err != nil {
			t.Fatal(err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0") // the system takes connections, and nobody answers
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return newCommandLine(t, s.Addr), l.Addr().String()
}

// Ctrl-C and SIGTERM end every command that runs on, soon, and the exit code says
// so; also where the broker does not answer.
func TestSignals(t *testing.T) {
	line, hung := processWorld(t)
	for _, args := range [][]string{
		{"consume", "t", "--group", "c"},
		{"describe", "g", "--watch"},
		{"decode", "--follow"},
		{"history", "g", "--follow"},
		{"wait", "g", "--max-lag", "0"},
		{"produce", "t", "--count", "1000", "--interval", "1s", "--template", "x"},
		{"reset", "g", "--to", "earliest", "--execute", "--settle", "30s"},
		{"demo"},
		{"list", "-b", hung},
		{"consume", "t", "-b", hung},
	} {
		for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
			t.Run(strings.Join(args[:min(2, len(args))], " ")+" "+sig.String(), func(t *testing.T) {
				t.Parallel()
				cmd := exec.CommandContext(t.Context(), filepath.Join(line.dir, "offsets"), args...)
				cmd.Env = line.env
				var stderr bytes.Buffer
				cmd.Stderr = &stderr
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				time.Sleep(1200 * time.Millisecond)
				sent := time.Now()
				if err := cmd.Process.Signal(sig); err != nil {
					t.Fatal(err)
				}
				_ = cmd.Wait() // the exit code tells
				if code, took := cmd.ProcessState.ExitCode(), time.Since(sent); code != exitInterrupted || took > 3*time.Second {
					t.Errorf("exit %d after %s: %s", code, took, stderr.String())
				}
			})
		}
	}
}

// A reader that goes away ends a command like any other in a pipe; a full disk is
// an error, and never exit 0.
func TestOutputsThatFail(t *testing.T) {
	line, _ := processWorld(t)
	for _, args := range []string{"list", "describe g", "describe g -o json", "decode", "decode --state -o json", "history g -o json", "policy g", "export g", "consume t --from-beginning --exit-at-end", "reset g --to latest"} {
		t.Run(args, func(t *testing.T) {
			run := func(stdout *os.File) (*os.ProcessState, string) {
				cmd := exec.CommandContext(t.Context(), filepath.Join(line.dir, "offsets"), strings.Split(args, " ")...)
				cmd.Env = line.env
				var stderr bytes.Buffer
				cmd.Stdout, cmd.Stderr = stdout, &stderr
				_ = cmd.Run() // the state tells
				return cmd.ProcessState, stderr.String()
			}
			full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
			if errors.Is(err, os.ErrNotExist) {
				t.Skip("no /dev/full here")
			} else if err != nil {
				t.Fatal(err)
			}
			defer full.Close()
			if state, stderr := run(full); state.ExitCode() != exitFailed || strings.Count(stderr, "no space left") != 1 {
				t.Errorf("full disk: exit %d, %s", state.ExitCode(), stderr)
			}
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			_ = r.Close()
			state, stderr := run(w)
			_ = w.Close()
			status := state.Sys().(syscall.WaitStatus)
			if state.Success() || !(status.Signaled() && status.Signal() == syscall.SIGPIPE) || strings.Contains(stderr, "goroutine") {
				t.Errorf("closed pipe: %v, %s", state, stderr)
			}
		})
	}
}

// Streams that are closed, and a terminal that is none, stop nothing.
func TestNoTerminal(t *testing.T) {
	line, _ := processWorld(t)
	cmd := exec.CommandContext(t.Context(), "sh", "-c", "./offsets describe g <&- 2>&-; LC_ALL=C COLUMNS=1 TERM=dumb ./offsets describe g </dev/null")
	cmd.Dir, cmd.Env = line.dir, line.env
	var out bytes.Buffer
	cmd.Stdout = io.Writer(&out)
	if err := cmd.Run(); err != nil || strings.Count(out.String(), "total lag") != 2 || strings.Contains(out.String(), "\x1b") {
		t.Errorf("%v: %s", err, out.String())
	}
}
