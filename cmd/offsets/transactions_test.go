package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"offsets/internal/sandbox"
)

// producing is a produce that waits for further lines.
type producing struct {
	t              *testing.T
	cmd            *exec.Cmd
	lines          io.WriteCloser
	stdout, stderr said
	ended          chan struct{}
}

// said is what a process that runs has said so far.
type said struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

func startProducing(t *testing.T, addr string, args ...string) *producing {
	t.Helper()
	line := newCommandLine(t, addr)
	p := &producing{t: t, ended: make(chan struct{})}
	p.cmd = exec.CommandContext(t.Context(), filepath.Join(line.dir, "offsets"), append([]string{"produce", "t", "--verbose", "-o", "json"}, args...)...)
	p.cmd.Dir, p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = line.dir, line.env, &p.stdout, &p.stderr
	var err error
	if p.lines, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // the exit code tells
		close(p.ended)
	}()
	return p
}

// write writes a line, and waits until it was written to the topic.
func (p *producing) write(text string) {
	p.t.Helper()
	fmt.Fprintln(p.lines, text)
	for begun := time.Now(); !strings.Contains(p.stderr.String(), " "+text+"\n"); time.Sleep(20 * time.Millisecond) {
		if time.Since(begun) > 30*time.Second {
			p.t.Fatalf("%q was not written: %s", text, p.stderr.String())
		}
	}
}

// end writes a last line, and returns the exit code.
func (p *producing) end(text string) int {
	p.t.Helper()
	if text != "" {
		fmt.Fprintln(p.lines, text)
	}
	_ = p.lines.Close()
	return p.wait()
}

func (p *producing) wait() int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(30 * time.Second):
		p.t.Fatalf("it does not end: %s", p.stderr.String())
	}
	return p.cmd.ProcessState.ExitCode()
}

func transactionsBroker(t *testing.T) string {
	t.Helper()
	s, err := sandbox.Start(sandbox.Options{Topics: map[string]int32{"t": 1}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s.Addr
}

// Ctrl-C aborts the open transaction, and says so.
func TestInterruptAbortsTheTransaction(t *testing.T) {
	p := startProducing(t, transactionsBroker(t), "--transactional-id", "x")
	p.write("one")
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if code := p.wait(); code != exitInterrupted || !strings.Contains(p.stderr.String(), "1 transaction aborted, with 1 record\n") {
		t.Errorf("exit %d: %s", code, p.stderr.String())
	}
	if got, _ := query(p.stdout.String(), "[.transactions.aborted, .transactions.committed]"); got != "[1,0]" {
		t.Errorf("got %s", got)
	}
}

// A second producer of the id fences the first one off, which says what was lost.
func TestFencedProducerSaysSo(t *testing.T) {
	addr := transactionsBroker(t)
	for _, committed := range []bool{false, true} {
		args := []string{"--transactional-id", "x"}
		want := exitFailed
		if committed {
			args, want = append(args, "--transaction-records", "1"), exitPartial
		}
		p := startProducing(t, addr, args...)
		p.write("one")
		other := startProducing(t, addr, "--transactional-id", "x")
		other.write("two")
		if code := other.end(""); code != exitDone {
			t.Fatalf("exit %d: %s", code, other.stderr.String())
		}
		if code := p.end("three"); code != want || !strings.Contains(p.stderr.String(), `"kind":"fenced"`) || !strings.Contains(p.stderr.String(), "another producer has taken it over") {
			t.Errorf("exit %d, want %d: %s", code, want, p.stderr.String())
		}
	}
}

// A transaction that the brokers aborted because of its age is no success, and not
// taken for one that another producer ended.
func TestTransactionThatTimedOut(t *testing.T) {
	p := startProducing(t, transactionsBroker(t), "--transactional-id", "x", "--transaction-timeout", "1s")
	p.write("one")
	time.Sleep(3 * time.Second) // the brokers count, not this test
	if code := p.end("two"); code != exitFailed || !strings.Contains(p.stderr.String(), "was open for more than 1s") {
		t.Errorf("exit %d: %s", code, p.stderr.String())
	}
}

// A transaction of some time is committed then, though no record comes.
func TestTransactionDurationWhileNothingComes(t *testing.T) {
	addr := transactionsBroker(t)
	p := startProducing(t, addr, "--transactional-id", "x", "--transaction-duration", "200ms")
	p.write("one")
	line := newCommandLine(t, addr)
	for begun := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		_, stdout, _ := line.run("consume", "t", "--from-beginning", "--exit-at-end", "--isolation-level", "read_committed", "-o", "csv")
		if strings.Contains(stdout, ",one,") {
			break
		}
		if time.Since(begun) > 30*time.Second {
			t.Fatal("it is not committed")
		}
	}
	if code := p.end(""); code != exitDone {
		t.Errorf("exit %d: %s", code, p.stderr.String())
	}
}
