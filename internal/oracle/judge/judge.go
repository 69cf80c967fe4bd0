// Package judge holds what the program said and did against what is true. It
// needs entries only, no broker: a run that was kept can be judged again.
//
// It never asks the program to explain itself, and shares no code with it.
package judge

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"offsets/internal/oracle/model"
	"offsets/internal/oracle/record"
)

// Fault is one thing that is not as it must be.
type Fault struct {
	Rule    string `json:"rule"` // of Rules
	Step    int    `json:"step"`
	Group   string `json:"group,omitempty"`
	Message string `json:"message"`
	Command string `json:"command,omitempty"`
}

// Judge judges the entries of one script, in their order.
type Judge struct {
	Model   *model.Model
	Release string

	entries   map[int]*record.Entry
	sources   map[int]map[record.TP][]record.Record // of export steps: what lay there then
	compacted bool
	odd       map[string]bool     // topics whose records do not stay
	changes   map[string][]change // what the program changed, by group
	plans     map[int][]planGroup // of plan files
	live      map[string]*record.Entry
	faults    []Fault
}

// New returns a judge for one script.
func New(release string) *Judge {
	return &Judge{Model: model.New(), Release: release, entries: map[int]*record.Entry{}, sources: map[int]map[record.TP][]record.Record{},
		odd: map[string]bool{}, changes: map[string][]change{}, plans: map[int][]planGroup{}, live: map[string]*record.Entry{}}
}

// Take judges the next entry.
func (j *Judge) Take(e *record.Entry) []Fault {
	j.faults = nil
	j.entries[e.Step.ID] = e
	j.Model.Before(e)
	j.prepare(e)
	if e.Before != nil && e.After != nil && e.Err == "" {
		for _, r := range e.Runs {
			j.sane(e, r)
		}
		j.judge(e)
	}
	j.Model.After(e)
	if e.After != nil && e.Err == "" {
		j.afterwards(e)
	}
	return j.faults
}

func (j *Judge) prepare(e *record.Entry) {
	j.compacted = e.Compacted
	switch e.Step.Kind {
	case "topic.create":
		j.odd[e.Topic] = e.Step.How != ""
	case "topic.recreate":
		j.odd[e.Topic] = false
	case "consume.start":
		j.live[e.Group] = e
	case "ask.export":
		held := map[record.TP][]record.Record{}
		for name, t := range e.Before.Topics {
			for p, ends := range t.Partitions {
				tp := record.TP{Topic: name, Partition: int32(p)}
				for _, r := range j.Model.Records(tp) {
					if r.Offset >= ends.Start {
						held[tp] = append(held[tp], r)
					}
				}
			}
		}
		j.sources[e.Step.ID] = held
	}
}

func (j *Judge) judge(e *record.Entry) {
	j.java(e)
	if len(e.Runs) == 0 {
		return
	}
	r := e.Runs[0]
	if r.Killed {
		return // said by sane
	}
	if e.Down && (r.Exit == 1 || r.Exit == 5) {
		j.unknown(e, r)
		return
	}
	switch e.Step.Kind {
	case "ask.list":
		j.list(e, r)
	case "ask.lag":
		j.lag(e, r)
	case "ask.describe":
		j.describe(e, r)
	case "ask.check":
		j.check(e, r)
	case "ask.policy":
		j.policy(e, r)
	case "ask.decode", "ask.files":
		j.decode(e, r)
	case "ask.state":
		j.state(e, r)
	case "ask.plan", "do.planfile":
		j.plan(e, r)
		j.unchanged(e, r, "a plan")
	case "ask.export":
		j.export(e, r)
	case "tool.describe":
		j.tool(e)
	}
	if e.Step.Changes() && e.Step.Kind != "do.planfile" {
		j.change(e, r)
	}
}

// afterwards judges what the model has to know first: history tells of the step
// before it, a stopped consumer of its own commits.
func (j *Judge) afterwards(e *record.Entry) {
	switch {
	case e.Step.Kind == "ask.history" && len(e.Runs) > 0 && !e.Runs[0].Killed:
		j.history(e, e.Runs[0])
	case e.Step.Kind == "consume.stop" && len(e.Runs) > 0:
		j.stopped(e, e.Runs[0])
	}
}

func (j *Judge) fault(e *record.Entry, r record.Run, rule, format string, args ...any) {
	f := Fault{Rule: rule, Step: e.Step.ID, Group: e.Group, Message: fmt.Sprintf(format, args...)}
	if len(r.Argv) > 0 {
		f.Command = r.Command()
	}
	j.faults = append(j.faults, f)
}

var (
	failedWords = regexp.MustCompile(`(?i)"error":\{|\bfailed\b|not written`)
	trace       = regexp.MustCompile(`(?m)^(panic: |goroutine \d+|fatal error: )`)
)

// sane is what holds for every run of the program.
func (j *Judge) sane(e *record.Entry, r record.Run) {
	if r.Tool {
		return
	}
	if r.Killed {
		j.fault(e, r, "hang", "still running %s after its start, with --timeout 8s", r.End.Sub(r.Begin).Round(100_000_000))
		return
	}
	if trace.MatchString(r.Stderr) {
		j.fault(e, r, "panic", "%s", head(r.Stderr, 400))
	}
	if n := strings.Count(r.Stderr, "\n"); n > 400 || len(r.Stderr) > 200_000 {
		j.fault(e, r, "flood", "%d lines, %d bytes on stderr: %s", n, len(r.Stderr), head(r.Stderr, 150))
	}
	known := map[int]bool{0: true, 1: true, 2: true, 3: true, 4: true, 5: true, 130: true}
	if !known[r.Exit] && e.Step.Kind != "consume.stop" {
		j.fault(e, r, "exit-code", "exit code %d", r.Exit)
	}
	if r.Exit == 0 && failedWords.MatchString(r.Stderr) && e.Step.Kind != "consume.stop" {
		j.fault(e, r, "exit-0-failed", "exit 0, and stderr says: %s", head(r.Stderr, 300))
	}
	if r.Exit == 2 && e.Step.Kind != "do.import" && !(e.Step.Position != "") && e.Step.Kind != "do.delete" && e.Step.Kind != "do.apply" && e.Step.Kind != "do.copy" {
		j.fault(e, r, "usage", "exit 2: %s", head(r.Stderr, 300))
	}
	form := e.Step.Form
	if e.Step.Kind == "consume.stop" {
		form = "jsonl"
	}
	if form == "json" || form == "jsonl" {
		if err := parses(r.Stdout); err != nil && e.Step.Kind != "consume.stop" {
			j.fault(e, r, "json", "stdout: %v", err)
		}
	}
	if nan.MatchString(r.Stdout) {
		j.fault(e, r, "json", "NaN on stdout")
	}
}

// nan is a cell; ids of topics may have the letters.
var nan = regexp.MustCompile(`(^|[\s,])NaN($|[\s,])`)

func parses(text string) error {
	dec := json.NewDecoder(strings.NewReader(text))
	for {
		var v any
		if err := dec.Decode(&v); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

func head(s string, n int) string {
	s = strings.TrimSpace(s)
	if len(s) > n {
		s = s[:n] + "…"
	}
	return s
}

// read reads a document; false, with a fault where there should be one, if
// there is none.
func (j *Judge) read(r record.Run, into any) bool {
	return strings.TrimSpace(r.Stdout) != "" && json.Unmarshal([]byte(r.Stdout), into) == nil
}

// lines reads JSON lines.
func lines[T any](text string) ([]T, error) {
	var out []T
	dec := json.NewDecoder(strings.NewReader(text))
	for {
		var v T
		if err := dec.Decode(&v); errors.Is(err, io.EOF) {
			return out, nil
		} else if err != nil {
			return out, err
		}
		out = append(out, v)
	}
}

func show[T any](p *T) string {
	if p == nil {
		return "null"
	}
	return fmt.Sprint(*p)
}

func ptr[T any](v T) *T { return &v }

func same[T comparable](a, b *T) bool {
	return a == nil && b == nil || a != nil && b != nil && *a == *b
}
