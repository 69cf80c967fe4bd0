package demo

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// actor is one process of this program.
type actor struct {
	name  string
	cmd   *exec.Cmd
	stdin io.WriteCloser
	done  chan struct{} // closed when the process has ended

	mu        sync.Mutex
	processed []record
	held      map[int32]int64 // assigned partitions, and where they began
	messages  []string        // lines on stderr
	waitErr   error
	dead      bool
}

type record struct {
	partition int32
	offset    int64
}

// start starts this program with the arguments.
func (s *stage) start(name string, args ...string) (*actor, error) {
	a := &actor{name: name, done: make(chan struct{}), held: map[int32]int64{}}
	a.cmd = &exec.Cmd{Path: s.Executable, Args: append([]string{"offsets"}, args...), Env: s.Env}
	var err error
	if a.stdin, err = a.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := a.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	stderr, err := a.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := a.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", strings.Join(a.cmd.Args, " "), err)
	}
	s.actors = append(s.actors, a)
	var readers sync.WaitGroup
	readers.Go(func() { eachLine(stdout, a.out) })
	readers.Go(func() { eachLine(stderr, a.err) })
	go func() {
		readers.Wait() // before Wait, which closes the pipes
		err := a.cmd.Wait()
		a.mu.Lock()
		a.waitErr, a.dead = err, true
		a.mu.Unlock()
		close(a.done)
	}()
	return a, nil
}

func eachLine(r io.Reader, f func(string)) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		f(lines.Text())
	}
}

// out takes a line of JSON: a processed record.
func (a *actor) out(line string) {
	var r struct {
		Partition *int32 `json:"partition"`
		Offset    *int64 `json:"offset"`
	}
	if json.Unmarshal([]byte(line), &r) != nil || r.Offset == nil || r.Partition == nil {
		return // another command's output
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.processed = append(a.processed, record{*r.Partition, *r.Offset})
}

// assignment matches what consume says with --verbose.
var (
	assignment = regexp.MustCompile(`^offsets: (assigned|revoked|lost): (.*)$`)
	position   = regexp.MustCompile(`\[(\d+)\](?:@(\d+))?`)
)

// err takes a line of stderr.
func (a *actor) err(line string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.messages = append(a.messages, line)
	m := assignment.FindStringSubmatch(line)
	if m == nil {
		return
	}
	for _, p := range position.FindAllStringSubmatch(m[2], -1) {
		partition, _ := strconv.ParseInt(p[1], 10, 32) // digits
		offset, _ := strconv.ParseInt(p[2], 10, 64)    // digits or nothing
		if m[1] == "assigned" {
			a.held[int32(partition)] = offset
		} else {
			delete(a.held, int32(partition))
		}
	}
}

// partitions is what the consumer holds now.
func (a *actor) partitions() map[int32]int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := make(map[int32]int64, len(a.held))
	for p, at := range a.held {
		out[p] = at
	}
	return out
}

// offsets are the records of a partition that were processed, in order.
func (a *actor) offsets(partition int32) []int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []int64
	for _, r := range a.processed {
		if r.partition == partition {
			out = append(out, r.offset)
		}
	}
	return out
}

// has says whether a record was processed; it fails if the process has ended
// without it.
func (a *actor) has(partition int32, offset int64) (bool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range a.processed {
		if r == (record{partition, offset}) {
			return true, nil
		}
	}
	if a.dead {
		return false, fmt.Errorf("%s ended: %w", a.name, a.failure())
	}
	return false, nil
}

// failed is why the process has ended, or nil while it runs.
func (a *actor) failed() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.dead {
		return nil
	}
	return a.failure()
}

// failure is what an ended process said last; the lock is held.
func (a *actor) failure() error {
	text := "without a word"
	for _, line := range a.messages {
		var e struct {
			Error struct{ Message string }
		}
		if json.Unmarshal([]byte(line), &e) == nil && e.Error.Message != "" {
			text = e.Error.Message // they print errors as JSON
		}
	}
	return errors.New(text)
}

// write sends a line to the process.
func (a *actor) write(line string) error {
	if _, err := fmt.Fprintln(a.stdin, line); err != nil {
		select {
		case <-a.done: // it has said why
		case <-time.After(10 * time.Second):
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		return fmt.Errorf("%s ended: %w", a.name, a.failure())
	}
	return nil
}

// kill is kill -9: no last commit, no leaving of the group.
func (a *actor) kill() {
	_ = a.cmd.Process.Kill()
	<-a.done
}

// end stops the process cleanly, or else kills it.
func (a *actor) end() {
	_ = a.stdin.Close()
	_ = a.cmd.Process.Signal(os.Interrupt)
	select {
	case <-a.done:
	case <-time.After(10 * time.Second):
		a.kill()
	}
}

// wait waits for the process to end by itself, and returns its last words if
// it failed.
func (a *actor) wait(ctx context.Context) error {
	select {
	case <-a.done:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(stepLimit):
		return fmt.Errorf("%s did not end within %s", a.name, stepLimit)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.waitErr != nil {
		return &failedError{a.failure()}
	}
	return nil
}

// failedError is a process that exited with an error of its own.
type failedError struct{ err error }

func (e *failedError) Error() string { return e.err.Error() }
