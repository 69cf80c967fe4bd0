package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"offsets/internal/render"
	"offsets/internal/sandbox"
)

// obeyedText has every character that a terminal obeys instead of showing it, or
// that turns the direction of the text, a few of them in sequences that do harm.
func obeyedText() string {
	var b strings.Builder
	b.WriteString("evil\x1b]0;title\a\x1b[2J\u009b31m\u202eteg\u2066\r\n")
	for r := rune(1); r <= 0x2069; r++ {
		if isObeyed(r) {
			fmt.Fprintf(&b, "%cx", r)
		}
	}
	return b.String()
}

// isObeyed: a line break and a tab may be part of the layout.
func isObeyed(r rune) bool {
	return r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r <= 0x9f || r == '\u061c' || r == '\u200e' || r == '\u200f' || r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069'
}

// ownSequences are what the program itself tells a terminal: to clear the screen
// for the next look, and the line of progress.
var ownSequences = regexp.MustCompile(`\x1b\[H\x1b\[2J|\r\x1b\[K`)

// TestNothingThatATerminalObeys puts such text wherever others than the reader
// choose a text, and lets every command show it in every form to a person.
func TestNothingThatATerminalObeys(t *testing.T) {
	s, err := sandbox.Start(sandbox.Options{Topics: map[string]int32{"t": 2}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	evil := obeyedText()
	cl, err := kgo.NewClient(kgo.SeedBrokers(s.Addr), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.DefaultProduceTopic("t"))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	header := kgo.RecordHeader{Key: evil, Value: []byte(evil)}
	for _, r := range []*kgo.Record{
		{Key: []byte(evil), Value: []byte(evil), Headers: []kgo.RecordHeader{header}},
		{Key: []byte("\xff" + evil), Value: []byte("\x9b31m\xff" + evil), Headers: []kgo.RecordHeader{{Key: "raw", Value: []byte("\xff" + evil)}}},
		{Value: []byte("v"), Partition: 1},
	} {
		if err := cl.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	groups := []string{evil, evil + "2", "live", "raw\xff\x9b31m"}
	for _, group := range groups {
		var os kadm.Offsets
		os.Add(kadm.Offset{Topic: "t", Partition: 0, At: 1, LeaderEpoch: -1, Metadata: evil})
		if err := kadm.NewClient(cl).CommitAllOffsets(t.Context(), group, os); err != nil {
			t.Fatal(err)
		}
	}
	member, err := kgo.NewClient(kgo.SeedBrokers(s.Addr), kgo.ClientID(evil), kgo.InstanceID(evil), kgo.ConsumerGroup("live"), kgo.ConsumeTopics("t"))
	if err != nil {
		t.Fatal(err)
	}
	defer member.Close()
	go member.PollFetches(t.Context())

	dir := t.TempDir()
	file := func(name, text string) string {
		t.Helper()
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	odd := file("p\x1b[2J\u202e.properties", "bootstrap.servers="+s.Addr+"\nclient.id=a\\u001b[2J\\u009b\\u202e\n")
	quotedEvil := strings.ReplaceAll(evil, `"`, `""`)
	rows := file("rows.csv", fmt.Sprintf("\"%s\",0,1\n", quotedEvil))
	words := file("words\u202e.txt", evil)
	state := filepath.Join(dir, "state\x1b[2J")

	run := func(stdin string, stdoutToo bool, args ...string) (stdout, stderr string) {
		t.Helper()
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		if slices.Contains(args, "--watch") || slices.Contains(args, "--follow") {
			defer time.AfterFunc(350*time.Millisecond, func() { cancel(errInterrupted) }).Stop()
		}
		var out, errs bytes.Buffer
		var mu sync.Mutex
		run(ctx, &env{
			Args: append([]string{"offsets"}, args...), Stdin: strings.NewReader(stdin), Stdout: lockedWriter{&mu, &out}, Stderr: lockedWriter{&mu, &errs}, Now: time.Now,
			StdinIsTerminal: stdoutToo, StdoutIsTerminal: stdoutToo, StderrIsTerminal: true,
			Getenv: func(name string) string {
				return map[string]string{"OFFSETS_BOOTSTRAP_SERVER": s.Addr, "OFFSETS_STATE_DIR": state, "OFFSETS_CONFIG_DIR": dir}[name]
			},
		})
		mu.Lock()
		defer mu.Unlock()
		return out.String(), errs.String()
	}
	shows := map[string]bool{} // which commands have shown it
	check := func(t *testing.T, stdin string, args ...string) {
		t.Helper()
		for _, stdoutToo := range []bool{true, false} {
			if forms := []string{"wide", "jsonl", "csv", "yaml"}; !stdoutToo && slices.Contains(forms, args[len(args)-1]) {
				continue // stderr is what it is in other forms
			}
			began := time.Now()
			stdout, stderr := run(stdin, stdoutToo, args...)
			if took := time.Since(began); took > 50*time.Second {
				t.Errorf("%.300q took %s", args, took)
			}
			texts := []string{stderr}
			if stdoutToo {
				texts = append(texts, stdout)
			}
			for _, text := range texts {
				text = ownSequences.ReplaceAllString(text, "")
				if i := strings.IndexFunc(text, isObeyed); i >= 0 || !utf8.ValidString(text) {
					t.Errorf("%.300q, stdout a terminal %t: %q", args, stdoutToo, text[max(0, i-60):min(len(text), max(0, i)+60)])
				}
				if strings.Contains(text, "evil") {
					shows[args[0]] = true
				}
			}
		}
	}
	group := func(name string) string { return escapeGlob(name) }
	everything := func(t *testing.T, f render.Format) {
		format := []string{"-o", string(f)}
		if f == "" {
			format = []string{"--verbose"}
		}
		with := func(stdin string, args ...string) {
			t.Helper()
			check(t, stdin, append(slices.Clone(args), format...)...)
		}
		with("", "list")
		with("", "list", "--lag")
		with("", "list", evil)
		with("", "describe", "--all")
		with("", "describe", group(evil))
		with("", "describe", "live", "--members")
		with("", "describe", "--all", "--state", "--time")
		with("", "describe", "--all", "--watch", "--interval", "100ms")
		with("", "describe", "no\x1b[2Jsuch\u202egroup")
		with("", "describe")
		with("", "check", "--all", "--max-lag", "0")
		with("", "wait", group(evil), "--max-lag", "0", "--timeout", "200ms")
		with("", "policy", "--all", "--by-duration", "1h")
		with("", "policy", "--all", "--topic", evil)
		with("", "history", evil)
		with("", "history", evil, "--follow")
		with("", "history", "no\x1b[2Jsuch\u202egroup")
		with("", "decode")
		with("", "decode", "--state")
		with("", "decode", "--follow")
		with("", "decode", words)
		with("", "consume", "t", "--from-beginning", "--exit-at-end")
		with("", "consume", "t", "--from-beginning", "--exit-at-end", "--group", "eats"+evil+string(f), "--auto-offset-reset", "earliest")
		with("", "consume", evil)
		with(evil, "produce", "t")
		with("", "produce", "t", "--count", "1", "--template", evil, "--key", evil)
		with("", "produce", evil)
		with("", "export", "--all")
		with("n\n", "reset", group(evil), "--to", "0")
		with("y\n", "reset", group(evil), "--to", "+0", "--touch", "--settle", "0s")
		with("", "reset", "live", "--to", "0", "--execute")
		with("", "reset", group(evil), "--from-file", rows)
		with("", "reset", group(evil), "--to", "0", "--topic", evil)
		with("", "reset", group(evil), "--to", evil)
		with("", "reset", group(evil), "--to", "0", "--execute", "--settle", "0s")
		plan := filepath.Join(dir, "plan\u202e\x1b[2J"+string(f))
		with("", "reset", group(evil), "--to", "1", "--plan-file", plan)
		with("", "apply", plan)
		with("", "apply", words)
		with("", "undo", "--list")
		with("", "undo", group(evil))
		with("", "undo", group(evil), "--execute", "--settle", "0s")
		with("", "undo", "--receipt", words)
		with("", "copy", evil, evil+"3", "--execute", "--settle", "0s")
		with("", "delete", group(evil+"3"), "--execute", "--settle", "0s")
		with("", "import", words)
		with("", "config", "--command-config", odd)
		with("", "config", "--context", "no\x1b[2J\u202e")
		with("", "list", "--command-config", odd)
		with("", "list", "-b", "no\u202esuch\u009bhost:1", "--timeout", "300ms")
		with("", "list", "-b", evil)
		with("", evil)
		with("", "list", "--"+evil)
		with("", "sandbox", "--topic", evil)
		with("", "sandbox", "--", "no\x1b[2Jsuch\u202ecommand")
	}
	t.Run("formats", func(t *testing.T) {
		for _, f := range append(render.Formats(), "") {
			t.Run(string(f), func(t *testing.T) { everything(t, f) })
		}
	})
	exported, _ := run("", false, "export", group(evil))
	check(t, "", "import", file("export.json", exported), "--to-group", "to"+evil)
	check(t, "", "import", file("topic.json", strings.ReplaceAll(exported, `"topic":"t"`, `"topic":"t\u001b\u202e\u009b"`)))
	for _, name := range []string{"list", "describe", "check", "policy", "history", "decode", "consume", "produce", "export", "reset", "apply", "undo", "copy", "delete", "import"} {
		if !shows[name] {
			t.Errorf("%s has not shown any of it; the test looks past it", name)
		}
	}
}

// A line of progress names the topic that was asked for.
func TestProgressIsPrintable(t *testing.T) {
	var errs bytes.Buffer
	var mu sync.Mutex
	e := testEnv()
	e.Stderr, e.StderrIsTerminal = lockedWriter{&mu, &errs}, true
	stop := e.progress(obeyedText)
	wait(t, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return strings.Contains(errs.String(), "evil")
	})
	stop()
	if text := ownSequences.ReplaceAllString(errs.String(), ""); strings.ContainsFunc(text, isObeyed) {
		t.Errorf("%q", text)
	}
}

// Everything that commands write to stdout as a result goes through show, which
// knows of the terminal.
func TestOneWayToStdout(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") || file == "view.go" {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(text, []byte("render.Write(")) {
			t.Errorf("%s calls render.Write: call show", file)
		}
	}
}
