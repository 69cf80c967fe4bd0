package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"offsets/inspect"
	"offsets/internal/render"
	"offsets/internal/sandbox"
	"offsets/reset"
)

// pastedNames are names of groups that were made to be more than a name when a
// line of the output is pasted into a shell, with or without the quotes around a
// part of it.
func pastedNames() []string {
	return []string{
		"plain", "with space", "x; touch PWNED-prose", `a\';touch PWNED;#`, "a$(touch P)", "a`touch P`", "a\n  offsets delete other --execute\n", "a\ntouch P", "a\nto undo: offsets delete other --execute", "a\r\ttouch P", "%PATH%", "a%PATH%b",
		"-dash", "--execute", "-", "- x; touch P", "' ; touch P ; '", `" ; touch P ; "`, "x' ; touch P", "a && touch P", "a | touch P", "a > P", "star*", "*", "a?[b]", `a\*b`, "!!", "a!b", "x\u2019; touch P; \u2018",
		"esc\x1b]0;t\a", "\u202eevil", "a'; offsets delete other; 'b", "offsets delete other --execute", strings.Repeat("long; touch P ", 50), "", "GROUP", "…",
	}
}

// suggestedWord is a word of a command as every shell reads it: plain, or between
// double quotes without anything that a shell looks for there.
var (
	suggestedWord = regexp.MustCompile(`^(?:[a-zA-Z0-9\-_./:+=@…]+|"[^"'$` + "`" + `\\!%^\x00-\x1f\x{2018}-\x{201f}]*")(?: |$)`)
	fixedCommand  = regexp.MustCompile(`'offsets [a-zA-Z -]+'`)
)

// suggestionIn cuts the command out of a line that ends with one.
func suggestionIn(line string) (command string, ok bool) {
	for _, before := range []string{"  ", "offsets: to undo: "} {
		if strings.HasPrefix(line, before+"offsets ") {
			return line[len(before):], true
		}
	}
	_, command, ok = strings.Cut(line, "made with: ")
	return command, ok
}

// checkSuggestions looks at every command in a text for people: it reaches to the
// end of its line, stands behind nothing but spaces, "to undo:" or "made with:",
// and its words are safe in every shell. Commands that are the same for everybody
// may stand between single quotes. It returns how many it has found.
func checkSuggestions(text, name string) (found int, err error) {
	text = fixedCommand.ReplaceAllString(text, "-")
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		command, ok := suggestionIn(line)
		if !ok {
			if strings.Contains(name, "offsets ") { // a name may look like a command
				line = strings.ReplaceAll(line, render.Printable(name), "-")
			}
			for _, cmd := range newApp(testEnv()).Commands {
				if regexp.MustCompile(`offsets ` + cmd.Name + `\b`).MatchString(line) {
					return found, fmt.Errorf("a command in the middle of a line: %s", line)
				}
			}
			continue
		}
		found++
		for rest := command; rest != ""; {
			word := suggestedWord.FindString(rest)
			if word == "" {
				return found, fmt.Errorf("a word that shells read in different ways: %s", line)
			}
			rest = rest[len(word):]
		}
	}
	return found, nil
}

// TestSuggestionsHoldNoHostileName goes through the commands with groups of such
// names, and looks at every line that people get to read.
func TestSuggestionsHoldNoHostileName(t *testing.T) {
	for i, name := range pastedNames() {
		t.Run(fmt.Sprintf("%.20q", name), func(t *testing.T) {
			s, err := sandbox.Start(sandbox.Options{Topics: map[string]int32{"-t": 2}})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			cl, err := kgo.NewClient(kgo.SeedBrokers(s.Addr), kgo.RecordPartitioner(kgo.ManualPartitioner()))
			if err != nil {
				t.Fatal(err)
			}
			defer cl.Close()
			for _, step := range []string{"records -t 0 10", "records -t 1 10"} {
				if err := given(t.Context(), cl, strings.Split(step, " ")); err != nil {
					t.Fatal(err)
				}
			}
			commit := func(group string, at int64) {
				t.Helper()
				var os kadm.Offsets
				os.Add(kadm.Offset{Topic: "-t", Partition: 0, At: at, LeaderEpoch: -1})
				if err := kadm.NewClient(cl).CommitAllOffsets(t.Context(), group, os); err != nil {
					t.Fatal(err)
				}
			}
			commit(name, 3)
			dir := t.TempDir()
			state, odd := filepath.Join(dir, "state; touch P"), filepath.Join(dir, "plan'; touch P.json")
			if i%2 == 0 { // where a command can be told
				state, odd = filepath.Join(dir, "state"), filepath.Join(dir, "plan.json")
			}
			export := filepath.Join(dir, "export.json")
			arg := escapeGlob(name)
			told := map[string]int{}
			runs := func(args ...string) string {
				t.Helper()
				stdout, stderr, _ := runProgram(t, s.Addr, state, args...)
				whole := stdout
				if slices.Contains(args, "json") || args[0] == "export" {
					stdout = ""
				}
				for _, text := range []string{stdout, stderr} {
					n, err := checkSuggestions(text, name)
					if err != nil {
						t.Errorf("%.100q: %v\n%s%s", args, err, stdout, stderr)
					}
					told[args[0]] += n
				}
				return whole
			}
			runs("list")
			runs("list", name)
			runs("describe", "--group", arg)
			runs("describe", "--group", arg, "-b", s.Addr)
			runs("describe", "--all")
			runs("check", "--group", arg, "--max-lag", "0")
			runs("policy", "--group", arg)
			runs("history", "--group", name)
			if err := os.WriteFile(export, []byte(runs("export", "--group", arg)), 0o600); err != nil {
				t.Fatal(err)
			}
			runs("reset", "--group", arg, "--to", "4")
			runs("reset", "--group", arg, "--to", "4", "--plan-file", odd)
			runs("apply", odd)
			runs("apply", odd, "--execute", "--settle", "0s")
			runs("undo", "--group", arg)
			runs("undo", "--group", arg, "--execute", "--settle", "0s", "-b", s.Addr)
			runs("undo", "--list")
			runs("reset", "--to", "earliest", "--execute") // the only group, which is not named
			runs("reset", "--group", arg, "--to", "-100", "--execute")
			runs("reset", "--group", arg, "--topic", "-t", "--to", "4", "--execute", "--settle", "0s", "--receipt", filepath.Join(dir, "r; touch P"))
			runs("import", export, "--execute", "--settle", "0s")
			runs("copy", "--execute", "--settle", "0s", "--", name, name+"2")
			runs("describe") // two groups, and none is named
			runs("undo")
			runs("delete", "--group", arg)
			runs("delete", "--group", arg, "--topic", "-t", "--execute", "--settle", "0s")
			runs("delete", "--group", arg, "--execute", "--settle", "0s")
			runs("describe", "--group", arg)
			runs("describe", "--group", arg, "-o", "json")
			runs("wait", "--group", arg, "--max-lag", "0", "--timeout", "50ms")
			// Many groups with names that begin alike get one line.
			for i := range undoLines + 1 {
				commit(fmt.Sprintf("%s%d", name, i), 3)
			}
			runs("reset", "--all", "--to", "4", "--execute", "--settle", "0s", "--expect-groups", fmt.Sprint(undoLines+2))
			if name != "" {
				for _, cmd := range []string{"describe", "reset", "undo", "apply", "import", "copy", "delete"} {
					if told[cmd] == 0 {
						t.Errorf("%s suggests nothing; the test looks past it", cmd)
					}
				}
			}
			t.Log(slices.Sorted(maps.Keys(told)), told)
		})
	}
}

// partialOf is an error with lines of its own.
func partialOf(name string) error {
	return &partialError{[]inspect.Problem{{What: "group " + name, Error: "no answer"}, {What: "group b", Error: name}}}
}

// Errors that are hard to come by are worded by the same rule.
func TestSuggestionsOfErrors(t *testing.T) {
	for _, name := range pastedNames() {
		if name == "" {
			continue
		}
		for _, err := range []error{
			&verifyError{name, reset.NotChecked},
			&verifyError{name, reset.Overwritten},
			&reset.IncompleteError{Group: name, Failed: 1, Unknown: 1, Reasons: []string{"r"}},
			&reset.IncompleteError{Group: name, Failed: 1, Written: 1, Reasons: []string{"r"}},
			&partialWriteError{&reset.IncompleteError{Group: name, Failed: 1, Written: 1, Reasons: []string{"r"}}},
			fmt.Errorf("group %s: %w", name, inspect.ErrUnknownGroup),
			fmt.Errorf("group %s: %w", name, errNoReceipt),
			&reset.RefusedError{Group: name, Reasons: []string{"r"}, Why: []reset.Reason{{Code: reset.CodeShareTopics, Topic: &name}}},
			partialOf(name),
			&partialWriteError{errors.Join(partialOf(name), fmt.Errorf("again: %w", partialOf(name)), fmt.Errorf("both: %w, %w", errNoReceipt, partialOf(name)))},
		} {
			for _, format := range []string{"table", "json"} {
				var stderr strings.Builder
				e := testEnv()
				e.Stderr, e.Args = &stderr, []string{"offsets", "undo", "-o", format}
				e.report(err)
				text := stderr.String()
				if format == "json" {
					var doc struct {
						Error struct{ Message, Hint string }
					}
					if err := json.Unmarshal([]byte(text), &doc); err != nil {
						t.Fatal(err)
					}
					text = doc.Error.Hint
				}
				if _, err := checkSuggestions(text, name); err != nil {
					t.Errorf("%T of %.20q as %s: %v\n%s", err, name, format, err, text)
				}
			}
		}
		var stderr strings.Builder
		e := testEnv()
		e.Stderr = &stderr
		e.noteNotInLog(name, nil)
		if _, err := checkSuggestions(stderr.String(), name); err != nil {
			t.Error(err)
		}
		for _, status := range []inspect.Status{inspect.Lost, inspect.Behind, inspect.NoCommit} {
			for _, members := range [][]inspect.Member{nil, {{}}} {
				for _, pending := range []bool{false, true} {
					g := inspect.Group{Group: name, Members: members, Partitions: []inspect.Partition{{Status: status, PendingTxn: &pending}}}
					for _, next := range []string{nextLine(nextCommand(&g, nil)), nextLine(nextOfShare(&g, nil))} {
						if n, err := checkSuggestions(next, name); err != nil || n != 1 {
							t.Errorf("%s of %.20q, %d commands: %v", next, name, n, err)
						}
					}
				}
			}
		}
	}
}
