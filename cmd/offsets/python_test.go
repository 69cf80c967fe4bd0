package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"offsets/internal/kafkatest"
)

// pythonEnv fetches the foreign clients once a run.
var pythonEnv = sync.OnceValues(func() ([]string, error) {
	mode, err := kafkatest.ModeFromEnv()
	if err != nil {
		return nil, err
	}
	return kafkatest.Python(context.Background(), mode, "kafka-python==3.0.12", "confluent-kafka==2.16.1")
})

// pythonCommands run the programs in testdata/python:
//
//	python PROGRAM ARGS…             runs it to its end
//	python-start NAME PROGRAM ARGS…  starts it; the script's end kills it
//	until-line NAME TEXT             waits until it printed a line with the text
//	kill-python NAME                 kill -9
//	first-line NAME FILE             writes its first line to a file
//	resumed-at FILE DESCRIBED        the line's offset is what describe had as committed
func pythonCommands() map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		"python":       cmdPython,
		"python-start": cmdPythonStart,
		"until-line":   cmdUntilLine,
		"kill-python":  func(ts *testscript.TestScript, _ bool, args []string) { started(ts, args[0]).kill() },
		"first-line": func(ts *testscript.TestScript, _ bool, args []string) {
			ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(started(ts, args[0]).lines()[0]), 0o644))
		},
		"resumed-at": cmdResumedAt,
	}
}

func pythonCommand(ts *testscript.TestScript, args []string) *exec.Cmd {
	env, err := pythonEnv()
	ts.Check(err)
	program, err := filepath.Abs(filepath.Join(ts.Value(sourceDir{}).(string), "testdata", "python", args[0]))
	ts.Check(err)
	cmd := exec.Command("python3", append([]string{program}, args[1:]...)...)
	cmd.Env = env
	return cmd
}

// hasPython is the condition [python]: the clients are there.
func hasPython() (bool, error) {
	_, err := pythonEnv()
	if errors.Is(err, kafkatest.ErrNotCached) {
		return false, nil
	}
	return err == nil, err
}

// Keys of what scripts carry with them.
type (
	sourceDir    struct{} // this package's folder
	processesKey struct{} // the started programs
)

func cmdPython(ts *testscript.TestScript, _ bool, args []string) {
	cmd := pythonCommand(ts, args)
	out, err := cmd.CombinedOutput()
	if err != nil {
		ts.Fatalf("%s: %v\n%s", args[0], err, out)
	}
}

// pythonProcess is a program that runs on.
type pythonProcess struct {
	cmd  *exec.Cmd
	done chan struct{}

	mu     sync.Mutex
	output []string
	errors strings.Builder
}

type processes struct {
	mu     sync.Mutex
	byName map[string]*pythonProcess
}

func started(ts *testscript.TestScript, name string) *pythonProcess {
	all := ts.Value(processesKey{}).(*processes)
	all.mu.Lock()
	defer all.mu.Unlock()
	p := all.byName[name]
	if p == nil {
		ts.Fatalf("no process %q was started", name)
	}
	return p
}

func cmdPythonStart(ts *testscript.TestScript, _ bool, args []string) {
	p := &pythonProcess{cmd: pythonCommand(ts, args[1:]), done: make(chan struct{})}
	stdout, err := p.cmd.StdoutPipe()
	ts.Check(err)
	p.cmd.Stderr = &p.errors
	ts.Check(p.cmd.Start())
	go func() {
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			p.mu.Lock()
			p.output = append(p.output, lines.Text())
			p.mu.Unlock()
		}
		_ = p.cmd.Wait() // killed, as a rule
		close(p.done)
	}()
	ts.Defer(p.kill)
	all := ts.Value(processesKey{}).(*processes)
	all.mu.Lock()
	defer all.mu.Unlock()
	all.byName[args[0]] = p
}

func (p *pythonProcess) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

func (p *pythonProcess) lines() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string{}, p.output...)
}

func cmdUntilLine(ts *testscript.TestScript, _ bool, args []string) {
	p := started(ts, args[0])
	deadline := time.Now().Add(60 * time.Second)
	for {
		for _, line := range p.lines() {
			if strings.Contains(line, args[1]) {
				return
			}
		}
		if time.Now().After(deadline) {
			p.kill()
			ts.Fatalf("%s has not printed %q, only %q\n%s", args[0], args[1], p.lines(), p.errors.String())
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func cmdResumedAt(ts *testscript.TestScript, _ bool, args []string) {
	var line struct{ Offset int64 }
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &line))
	var described struct {
		Groups []struct {
			Partitions []struct{ Committed int64 }
		}
	}
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[1])), &described))
	if want := described.Groups[0].Partitions[0].Committed; line.Offset != want {
		ts.Fatalf("resumed at %d, describe showed %d", line.Offset, want)
	}
}
