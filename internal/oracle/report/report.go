// Package report counts what was done and found, and writes it down.
package report

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"offsets/internal/oracle/judge"
	"offsets/internal/oracle/record"
	"offsets/internal/oracle/steps"
)

// lookBack is how many steps of traffic before a command make the state that
// it is asked about.
const lookBack = 12

// Found is a rule that was broken.
type Found struct {
	Rule  string
	After time.Duration // from the start of the run
	Count int
	Seed  int64
	First judge.Fault
}

// Report is what a run did and found.
type Report struct {
	Release  string
	Begin    time.Time
	Duration time.Duration
	Seeds    []int64
	Steps    int
	Programs int
	Tools    int
	Doubts   []string
	Errors   []string

	mu     sync.Mutex
	found  map[string]*Found
	table  map[string]map[string]int // step kind: command: count
	recent map[int64][]string
	failed map[string]int // steps that could not be played
}

// New starts the clock.
func New(release string) *Report {
	return &Report{Release: release, Begin: time.Now(), found: map[string]*Found{}, table: map[string]map[string]int{}, recent: map[int64][]string{}, failed: map[string]int{}}
}

// Entry counts a step.
func (r *Report) Entry(seed int64, e *record.Entry, faults []judge.Fault) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Steps++
	if e.Err != "" {
		r.failed[e.Step.Kind+": "+firstLine(e.Err)]++
	}
	if !e.Step.Asks() && !e.Step.Changes() && !strings.HasPrefix(e.Step.Kind, "tool.") {
		kind := e.Step.Kind
		if e.Step.How != "" && strings.HasPrefix(kind, "txn.end") {
			kind += " " + e.Step.How
		}
		r.recent[seed] = append(r.recent[seed], kind)
		if n := len(r.recent[seed]); n > lookBack {
			r.recent[seed] = r.recent[seed][n-lookBack:]
		}
	}
	for _, run := range e.Runs {
		if run.Tool {
			r.Tools++
			continue
		}
		r.Programs++
		for _, kind := range slices.Compact(slices.Sorted(slices.Values(r.recent[seed]))) {
			if r.table[kind] == nil {
				r.table[kind] = map[string]int{}
			}
			r.table[kind][command(e.Step)]++
		}
	}
	for _, f := range faults {
		known := r.found[f.Rule]
		if known == nil {
			known = &Found{Rule: f.Rule, After: time.Since(r.Begin), Seed: seed, First: f}
			r.found[f.Rule] = known
		}
		known.Count++
	}
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return s[:min(len(s), 100)]
}

func command(s steps.Step) string {
	_, name, _ := strings.Cut(s.Kind, ".")
	switch {
	case s.Kind == "ask.state" && s.AsOf != 0:
		return "as-of"
	case s.Changes() && !s.Execute && name != "planfile":
		return name + " -n"
	case strings.HasPrefix(s.Kind, "tool."):
		return "describe"
	case s.Kind == "consume.stop":
		return "consume"
	}
	return name
}

// Script counts a script that was played to its end.
func (r *Report) Script(seed int64, doubts []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Seeds = append(r.Seeds, seed)
	r.Doubts = append(r.Doubts, doubts...)
	delete(r.recent, seed)
}

// Broken notes a script that could not be played to its end.
func (r *Report) Broken(seed int64, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Errors = append(r.Errors, fmt.Sprintf("seed %d: %v", seed, err))
}

// End stops the clock.
func (r *Report) End() { r.Duration = time.Since(r.Begin) }

// Found lists the rules that were broken, the first one first.
func (r *Report) Found() []Found {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []Found
	for _, f := range r.found {
		out = append(out, *f)
	}
	slices.SortFunc(out, func(a, b Found) int { return int(a.After - b.After) })
	return out
}

// String is the report for people.
func (r *Report) String() string {
	found := r.Found()
	r.mu.Lock()
	defer r.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "Kafka %s: %s, %d scripts, %d steps, %d programs started, %d calls of Kafka's tools, %d rules broken\n",
		r.Release, r.Duration.Round(time.Second), len(r.Seeds), r.Steps, r.Programs, r.Tools, len(found))
	for _, f := range found {
		fmt.Fprintf(&b, "  %-26s %4d times, first after %s: seed %d step %d: %s\n      %s\n", f.Rule, f.Count, f.After.Round(time.Second), f.Seed, f.First.Step, f.First.Message, f.First.Command)
	}
	for _, list := range []struct {
		title string
		lines []string
	}{{"doubts of the model", r.Doubts}, {"scripts that did not end", r.Errors}} {
		if len(list.lines) > 0 {
			fmt.Fprintf(&b, "%s: %d\n  %s\n", list.title, len(list.lines), strings.Join(list.lines[:min(5, len(list.lines))], "\n  "))
		}
	}
	for _, what := range slices.Sorted(maps.Keys(r.failed)) {
		fmt.Fprintf(&b, "not played %d times: %s\n", r.failed[what], what)
	}
	b.WriteString(r.Table())
	return b.String()
}

// Table is step kind by command.
func (r *Report) Table() string {
	columns := map[string]bool{}
	for _, row := range r.table {
		for c := range row {
			columns[c] = true
		}
	}
	names := slices.Sorted(maps.Keys(columns))
	var b strings.Builder
	fmt.Fprintf(&b, "%-18s", "step \\ command")
	for _, c := range names {
		fmt.Fprintf(&b, " %s", c)
	}
	b.WriteString("\n")
	for _, kind := range slices.Sorted(maps.Keys(r.table)) {
		fmt.Fprintf(&b, "%-18s", kind)
		for _, c := range names {
			fmt.Fprintf(&b, " %*d", len(c), r.table[kind][c])
		}
		b.WriteString("\n")
	}
	return b.String()
}

// Keep writes a playing into a folder, from where it can be judged again.
func Keep(dir string, script steps.Script, entries []*record.Entry, faults []judge.Fault) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	write := func(name string, v any) error {
		b, err := json.MarshalIndent(v, "", " ")
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, name), b, 0o644)
	}
	if err := write("script.json", script); err != nil {
		return err
	}
	if err := write("faults.json", faults); err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(dir, "entries.jsonl"))
	if err != nil {
		return err
	}
	defer f.Close()
	enc := json.NewEncoder(f)
	for _, e := range entries {
		if err := enc.Encode(e); err != nil {
			return err
		}
	}
	return f.Close()
}

// Load reads what Keep wrote.
func Load(dir string) (script steps.Script, entries []*record.Entry, err error) {
	b, err := os.ReadFile(filepath.Join(dir, "script.json"))
	if err != nil {
		return script, nil, err
	}
	if err := json.Unmarshal(b, &script); err != nil {
		return script, nil, err
	}
	f, err := os.Open(filepath.Join(dir, "entries.jsonl"))
	if err != nil {
		return script, nil, err
	}
	defer f.Close()
	dec := json.NewDecoder(f)
	for dec.More() {
		var e record.Entry
		if err := dec.Decode(&e); err != nil {
			return script, nil, err
		}
		entries = append(entries, &e)
	}
	return script, entries, nil
}
