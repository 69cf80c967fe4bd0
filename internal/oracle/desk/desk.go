// Package desk runs Kafka's own tools and Java clients in one JVM per release,
// so that a test can ask them hundreds of times.
//
// Desk.java is that JVM's program: it takes lines of JSON on standard input and
// answers each of them, in the order in which they get done. It ends when its
// standard input closes, so also when this process dies. Calls may be made from
// several goroutines; those of one client wait for each other.
package desk

import (
	"bufio"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"offsets/internal/kafkatest"
)

//go:embed Desk.java
var program []byte

// callLimit is how long a call may take whose context has no deadline.
const callLimit = 60 * time.Second

// startLimit covers compiling the program on a busy machine.
const startLimit = 90 * time.Second

// Desk is a running JVM with one release's tools and clients.
type Desk struct {
	Version kafkatest.Version

	dir   string
	cmd   *exec.Cmd
	ended chan struct{} // closed when nothing will be answered any more

	writing sync.Mutex
	stdin   io.WriteCloser

	mu      sync.Mutex
	next    int64
	waiting map[int64]chan answer
}

// JavaError is an exception that a call ended with.
type JavaError struct {
	Class   string // with its package
	Message string
}

func (e *JavaError) Error() string { return e.Name() + ": " + e.Message }

// Name is the class without its package.
func (e *JavaError) Name() string { return e.Class[strings.LastIndexByte(e.Class, '.')+1:] }

// Is reports whether err is an exception of this class, named without package.
func Is(err error, name string) bool {
	var java *JavaError
	return errors.As(err, &java) && java.Name() == name
}

// ErrUnsupported: this release has no such thing.
var ErrUnsupported = errors.ErrUnsupported

func (e *JavaError) Unwrap() error {
	if e.Class == "java.lang.UnsupportedOperationException" || e.Class == "java.lang.ClassNotFoundException" {
		return ErrUnsupported
	}
	return nil
}

type answer struct {
	ID    int64           `json:"id"`
	OK    json.RawMessage `json:"ok"`
	Error *JavaError      `json:"error"`
}

// Start starts the JVM with the cluster's classes and returns when it answers.
func Start(ctx context.Context, k *kafkatest.Cluster) (_ *Desk, err error) {
	d := &Desk{Version: k.Version, ended: make(chan struct{}), waiting: map[int64]chan answer{}, next: 1}
	if d.dir, err = os.MkdirTemp("", "desk-"+string(k.Version)+"-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			d.Close()
		}
	}()
	source := filepath.Join(d.dir, "Desk.java")
	if err := os.WriteFile(source, program, 0o644); err != nil {
		return nil, err
	}
	log, err := os.Create(d.log())
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := k.Java(context.WithoutCancel(ctx), source, k.Bootstrap)
	cmd.Stderr = log
	if d.stdin, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	ready := make(chan answer, 1)
	d.waiting[0] = ready
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	d.cmd = cmd
	go d.read(stdout)
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	_, err = d.await(ctx, "start", ready)
	return d, err
}

func (d *Desk) log() string { return filepath.Join(d.dir, "stderr") }

// Log is what the JVM wrote to its standard error, except what its tools did.
func (d *Desk) Log() string {
	text, _ := os.ReadFile(d.log())
	return string(text)
}

// Close ends the JVM and with it all clients, as a kill does: members do not
// leave their groups.
func (d *Desk) Close() {
	if d.cmd != nil {
		_ = d.stdin.Close()
		select {
		case <-d.ended:
		case <-time.After(5 * time.Second):
			_ = d.cmd.Process.Kill()
			<-d.ended
		}
		_ = d.cmd.Wait() // killed or not, it is gone
	}
	_ = os.RemoveAll(d.dir)
}

// read gives the answers to who waits for them.
func (d *Desk) read(stdout io.Reader) {
	defer close(d.ended)
	lines := bufio.NewReader(stdout)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		var a answer
		if err := json.Unmarshal(line, &a); err != nil {
			continue // nothing else writes there; a caller would run into its limit
		}
		d.mu.Lock()
		c := d.waiting[a.ID]
		delete(d.waiting, a.ID)
		d.mu.Unlock()
		if c != nil {
			c <- a
		}
	}
}

func (d *Desk) await(ctx context.Context, op string, c chan answer) (json.RawMessage, error) {
	select {
	case a := <-c:
		if a.Error != nil {
			return nil, fmt.Errorf("%s: %w", op, a.Error)
		}
		return a.OK, nil
	case <-d.ended:
		return nil, fmt.Errorf("%s: the JVM ended: %s", op, tail(d.Log()))
	case <-ctx.Done():
		return nil, fmt.Errorf("%s: %w", op, context.Cause(ctx))
	}
}

func tail(s string) string { return s[max(0, len(s)-2000):] }

// values are the parameters of a call.
type values map[string]any

// call asks for one thing, and unmarshals the answer into result unless that is
// nil. Java's own limit is a little shorter than the context's, so that its
// error tells what it waited for.
func (d *Desk) call(ctx context.Context, op string, v values, result any) error {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	deadline, _ := ctx.Deadline()
	left := time.Until(deadline)
	c := make(chan answer, 1)
	d.mu.Lock()
	id := d.next
	d.next++
	d.waiting[id] = c
	d.mu.Unlock()
	request := values{"id": id, "op": op, "limit": (left - min(left/10, time.Second)).Milliseconds()}
	for name, value := range v {
		request[name] = value
	}
	if err := d.write(request); err != nil {
		return fmt.Errorf("%s: %w: %s", op, err, tail(d.Log()))
	}
	ok, err := d.await(ctx, op, c)
	if ctx.Err() != nil && err != nil {
		_ = d.write(values{"id": id, "op": "cancel"}) // interrupts it
	}
	if err != nil || result == nil {
		return err
	}
	return json.Unmarshal(ok, result)
}

func (d *Desk) write(request values) error {
	line, err := json.Marshal(request)
	if err != nil {
		return err
	}
	d.writing.Lock()
	defer d.writing.Unlock()
	_, err = d.stdin.Write(append(line, '\n'))
	return err
}

// Output is what a tool printed, and its exit code.
type Output struct {
	Stdout string `json:"stdout"`
	Stderr string `json:"stderr"`
	Exit   int    `json:"exit"`
}

// Tool runs one of Kafka's tools by its name, such as kafka-consumer-groups;
// toolClass in Desk.java has all of them. --bootstrap-server is added where the
// tool has it, and args have not.
func (d *Desk) Tool(ctx context.Context, name string, args ...string) (Output, error) {
	var out Output
	err := d.call(ctx, "tool", values{"name": name, "args": append([]string{}, args...)}, &out)
	if err != nil {
		err = fmt.Errorf("%s: %w", name, err)
	}
	return out, err
}
