//go:build unix

package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
)

// terminal is the program on a terminal, with a person before it.
type terminal struct {
	*program
	keys *os.File

	mu     sync.Mutex
	screen bytes.Buffer
}

// onTerminal starts the program on a terminal; redirect may put a stream elsewhere.
func onTerminal(t *testing.T, line commandLine, redirect func(*exec.Cmd), args ...string) *terminal {
	t.Helper()
	keys, tty, err := pty.Open()
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	t.Cleanup(func() { keys.Close() })
	s := &terminal{program: &program{t: t, ended: make(chan struct{})}, keys: keys}
	s.cmd = exec.CommandContext(t.Context(), filepath.Join(line.dir, "offsets"), args...)
	s.cmd.Dir, s.cmd.Env = line.dir, line.env
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = tty, tty, tty
	if redirect != nil {
		redirect(s.cmd)
	} else {
		s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true} // Ctrl-C comes from it
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	tty.Close()
	read := make(chan struct{})
	go func() {
		defer close(read)
		_, _ = io.Copy(s, keys) // until the program has closed its side
	}()
	go func() {
		_ = s.cmd.Wait() // the exit code tells
		<-read
		close(s.ended)
	}()
	return s
}

// Write takes what the program shows.
func (s *terminal) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.screen.Write(p)
}

func (s *terminal) shown() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.ReplaceAll(s.screen.String(), "\r\n", "\n")
}

const question = "apply this plan? [y/N] "

// answer waits for the question, and types.
func (s *terminal) answer(keys string) {
	s.t.Helper()
	for end := time.Now().Add(20 * time.Second); !strings.Contains(s.shown(), question); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("no question: %s", s.shown())
		}
	}
	if _, err := s.keys.WriteString(keys); err != nil {
		s.t.Fatal(err)
	}
}

// A question takes every answer at its word, and at once.
func TestAPromptObeysCtrlC(t *testing.T) {
	line, _ := processWorld(t)
	for _, c := range []struct {
		name, keys string
		code       int
		says       string // behind the question
	}{
		{"ctrl-c", "\x03", exitInterrupted, "\noffsets: nothing was changed\noffsets: interrupted\n"},
		{"ctrl-c in an answer", "y\x03", exitInterrupted, "\noffsets: nothing was changed\noffsets: interrupted\n"},
		{"ctrl-d", "\x04", exitDone, "\noffsets: nothing was changed\n"},
		{"no", "n\n", exitDone, "n\noffsets: nothing was changed\n"},
		{"enter", "\n", exitDone, "\noffsets: nothing was changed\n"},
		{"another word", "yeah\n", exitDone, "yeah\noffsets: nothing was changed\n"},
		{"yes", "y\n", exitDone, "applied, verified: yes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := onTerminal(t, line, nil, "reset", "g", "--to", "earliest", "--settle", "0s")
			s.answer(c.keys)
			code := s.wait()
			_, after, _ := strings.Cut(s.shown(), question)
			// The terminal itself shows the keys.
			after = strings.NewReplacer("^C", "", "^D\b\b", "").Replace(after)
			if code != c.code || !strings.Contains(after, c.says) {
				t.Errorf("exit %d, %q", code, after)
			}
			_, out, _ := line.run("describe", "g", "-o", "json")
			want := map[bool]string{true: "0", false: "1"}[c.name == "yes"]
			if got, err := query(out, ".groups[0].partitions[0].committed"); err != nil || got != want {
				t.Errorf("committed %s, %v", got, err)
			}
		})
	}
}

// Nothing is asked where nobody could answer, or where yes could not be carried out.
func TestNoPromptWithoutAPersonOrAWay(t *testing.T) {
	line, _ := processWorld(t)
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	member := exec.CommandContext(t.Context(), filepath.Join(line.dir, "offsets"), "consume", "t", "--group", "live", "--from-beginning", "-o", "jsonl")
	member.Env = line.env
	out, err := member.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := member.Start(); err != nil {
		t.Fatal(err)
	}
	firstLine(out)
	go func() { _, _ = io.Copy(io.Discard, out) }()
	plan := func(group string, more ...string) []string {
		return append([]string{"reset", group, "--topic", "t", "--to", "0"}, more...)
	}
	for _, c := range []struct {
		name     string
		args     []string
		redirect func(*exec.Cmd)
		code     int
	}{
		{"stdout is a pipe", plan("g"), func(c *exec.Cmd) { c.Stdout = null }, exitDone},
		{"stderr is a file", plan("g"), func(c *exec.Cmd) { c.Stderr = null }, exitDone},
		{"stdin is a file", plan("g"), func(c *exec.Cmd) { c.Stdin = null }, exitDone},
		{"json", plan("g", "-o", "json"), nil, exitDone},
		{"a dry run", plan("g", "--dry-run"), nil, exitDone},
		{"a plan file", plan("g", "--plan-file", filepath.Join(t.TempDir(), "p")), nil, exitDone},
		{"a refused plan", []string{"reset", "g", "--to", "99999"}, nil, exitRefused},
		{"active members", plan("live"), nil, exitDone},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := onTerminal(t, line, c.redirect, c.args...)
			if code := s.wait(); code != c.code || strings.Contains(s.shown(), "[y/N]") {
				t.Errorf("exit %d: %s", code, s.shown())
			}
		})
	}
	t.Run("active members that it would wait for", func(t *testing.T) {
		s := onTerminal(t, line, nil, plan("live", "--wait-empty", "1m")...)
		s.answer("n\n")
		if code := s.wait(); code != exitDone {
			t.Errorf("exit %d: %s", code, s.shown())
		}
	})
	if err := member.Process.Signal(os.Interrupt); err != nil {
		t.Error(err)
	}
	_ = member.Wait() // interrupted
}

// A file that a person types can be given up, too.
func TestCtrlCWhileAFileIsTyped(t *testing.T) {
	line, _ := processWorld(t)
	s := onTerminal(t, line, nil, "import", "-")
	time.Sleep(500 * time.Millisecond)
	if _, err := s.keys.WriteString("{\n\x03"); err != nil {
		t.Fatal(err)
	}
	if code := s.wait(); code != exitInterrupted {
		t.Errorf("exit %d: %s", code, s.shown())
	}
}

// The program finds out by itself that its CSV goes to a terminal.
func TestCSVKnowsATerminal(t *testing.T) {
	line, _ := processWorld(t)
	if code, _, stderr := line.run("reset", "--group", "esc\x1b[31m\u202e", "--topic", "t:0", "--to", "1", "--create-group", "--execute", "--settle", "0s"); code != exitDone {
		t.Fatal(stderr)
	}
	_, piped, _ := line.run("list", "-o", "csv")
	s := onTerminal(t, line, nil, "list", "-o", "csv")
	if code := s.wait(); code != exitDone || !strings.Contains(s.shown(), `esc\x1b[31m\u202e,classic`) || strings.ContainsFunc(s.shown(), isObeyed) {
		t.Errorf("exit %d, %q", code, s.shown())
	}
	if !strings.Contains(piped, "esc\x1b[31m\u202e,classic") {
		t.Errorf("in a pipe: %q", piped)
	}
}
