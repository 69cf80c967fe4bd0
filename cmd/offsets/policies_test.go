package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"offsets/inspect"
	"offsets/internal/kafkatest"
)

// policyCase is one consumer: a situation, a policy, and who it is.
type policyCase struct {
	situation, policy, topic string
}

func (c policyCase) group(who string) string {
	word, _, _ := strings.Cut(c.policy, ":")
	return "policies-" + c.situation + "-" + word + "-" + who
}

// policySituations are what a consumer may find, in a log from 10 to 50; the
// steps are as given, with $t and $g.
func policySituations() map[string]string {
	return map[string]string{
		"valid":                  "commit $g $t 0 16",
		"valid-with-epoch":       "commit $g $t 0 16 0",
		"at-the-end":             "commit $g $t 0 50",
		"no-commit":              "",
		"below-start":            "commit $g $t 0 5",
		"below-start-with-epoch": "commit $g $t 0 5 0",
		"past-end":               "commit $g $t 0 1000",
		"past-end-with-epoch":    "commit $g $t 0 1000 0",
	}
}

// TestPoliciesLikeOtherClients compares, for every situation and policy, where
// consumers begin, or how they fail, and what is committed afterwards: the
// prediction, this tool's own consumer, and the Java consumer of the same release
// are all the same; kafka-python is but for the leader epochs, which it ignores.
func TestPoliciesLikeOtherClients(t *testing.T) {
	for _, b := range brokers() {
		if !slices.Contains(oldestAndNewest(), b.config.Version) {
			continue
		}
		t.Run(string(b.config.Version), func(t *testing.T) {
			cluster := b.get(t)
			cl, err := kgo.NewClient(kgo.SeedBrokers(cluster.Bootstrap), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(kgo.NoCompression()))
			if err != nil {
				t.Fatal(err)
			}
			defer cl.Close()
			policies := []string{"earliest", "latest", "none"}
			if b.config.Version.KRaft() {
				policies = append(policies, "by_duration:PT30M")
			}
			cases := preparePolicies(t, cl, policies)
			predicted := predictions(t, cl, cases)
			java := cluster.Java(t.Context(), javaProgram(t, "Policies"), caseArgs(cluster, cases, "java")...)
			compare(t, cl, cases, "java", linesOfClient(t, java), predicted)
			compare(t, cl, cases, "ours", ownConsumers(t, cluster, cases), predicted)
			env, err := pythonEnv()
			if err != nil {
				t.Logf("kafka-python: %v", err)
				return
			}
			var known []policyCase // it has no by_duration
			for _, c := range cases {
				if !strings.HasPrefix(c.policy, "by_duration") {
					known = append(known, c)
				}
			}
			python := exec.CommandContext(t.Context(), "python3", append([]string{filepath.Join("testdata", "python", "policies.py")}, caseArgs(cluster, known, "python")...)...)
			python.Env = env
			compare(t, cl, known, "python", linesOfClient(t, python), withoutEpochs(predicted))
		})
	}
}

func preparePolicies(t *testing.T, cl *kgo.Client, policies []string) (cases []policyCase) {
	t.Helper()
	run := func(step string) {
		if err := given(t.Context(), cl, strings.Split(step, " ")); err != nil {
			t.Fatalf("given %s: %v", step, err)
		}
	}
	for situation, commit := range policySituations() {
		topic := "policies-" + situation
		run("topic " + topic + " 1")
		run("records " + topic + " 0 40 2026-11-23T08:00:00Z")
		run("records " + topic + " 0 10")
		run("log-start " + topic + " 0 10")
		for _, policy := range policies {
			c := policyCase{situation, policy, topic}
			cases = append(cases, c)
			for _, who := range []string{"java", "ours", "python"} {
				if commit != "" {
					run(strings.NewReplacer("$t", topic, "$g", c.group(who)).Replace(commit))
				}
			}
		}
	}
	return cases
}

func caseArgs(cluster *kafkatest.Cluster, cases []policyCase, who string) []string {
	args := []string{cluster.Bootstrap}
	for _, c := range cases {
		args = append(args, c.group(who), c.topic, c.policy)
	}
	return args
}

// linesOfClient runs a client that prints "GROUP POLICY OUTCOME".
func linesOfClient(t *testing.T, cmd *exec.Cmd) map[string]string {
	t.Helper()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	text, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, lastOf(stderr.String()))
	}
	out := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) == 3 {
			out[f[0]] = f[2]
		}
	}
	return out
}

// ownConsumers runs the program's consume for each case, some at a time.
func ownConsumers(t *testing.T, cluster *kafkatest.Cluster, cases []policyCase) map[string]string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "offsets")
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(exe, bin); err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	slots := make(chan struct{}, 4)
	for _, c := range cases {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, bin, "consume", c.topic, "--group", c.group("ours"), "--auto-offset-reset", c.policy, "--max-messages", "1", "--exit-at-end", "--verbose", "-o", "jsonl", "-b", cluster.Bootstrap)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			text, _ := cmd.Output() // an exception is an answer
			outcome := ownOutcome(string(text), stderr.String())
			mu.Lock()
			defer mu.Unlock()
			out[c.group("ours")] = outcome
		})
	}
	wg.Wait()
	return out
}

// ownOutcome is the first record's offset, else the position, else the
// exception.
func ownOutcome(stdout, stderr string) string {
	var record struct{ Offset *int64 }
	if first, _, _ := strings.Cut(stdout, "\n"); json.Unmarshal([]byte(first), &record) == nil && record.Offset != nil {
		return fmt.Sprint(*record.Offset)
	}
	at := "nothing: " + lastOf(stderr)
	for line := range strings.Lines(stderr) {
		var e struct{ Error struct{ Message string } }
		if json.Unmarshal([]byte(line), &e) == nil && e.Error.Message != "" {
			exception, _, _ := strings.Cut(e.Error.Message, ":")
			return exception
		}
		// assigned, reset and truncated tell a position as [partition]@offset.
		if _, position, ok := strings.Cut(line, "[0]@"); ok && !strings.Contains(line, "committed") {
			at = strings.TrimRight(strings.FieldsFunc(position, func(r rune) bool { return r < '0' || r > '9' })[0], "\n")
		}
	}
	return at
}

// compare holds a client's outcomes against what is expected, and what it has
// committed against that: one behind the record it has read, or its position.
func compare(t *testing.T, cl *kgo.Client, cases []policyCase, who string, got, want map[string]string) {
	t.Helper()
	if len(got) != len(cases) {
		t.Errorf("%s: %d outcomes of %d", who, len(got), len(cases))
	}
	for _, c := range cases {
		outcome, expected := got[c.group(who)], want[c.group("")]
		if outcome != expected {
			t.Errorf("%s, %s under %s: %s, expected %s", who, c.situation, c.policy, outcome, expected)
			continue
		}
		var at int64
		if n, err := fmt.Sscan(outcome, &at); n != 1 || err != nil {
			continue // an exception commits nothing new
		}
		if at < 50 {
			at++ // the record that was read
		}
		commits, _, err := inspect.New(cl).Commits(t.Context(), c.group(who), inspect.Classic)
		if err != nil {
			t.Fatal(err)
		}
		if is := commits[inspect.TopicPartition{Topic: c.topic}].Offset; is != at {
			t.Errorf("%s, %s under %s: committed %d afterwards, expected %d", who, c.situation, c.policy, is, at)
		}
	}
	t.Logf("%s: %d compared", who, len(cases))
}

// withoutEpochs is what a client does that ignores leader epochs.
func withoutEpochs(predicted map[string]string) map[string]string {
	out := map[string]string{}
	for group, outcome := range predicted {
		switch {
		case strings.HasPrefix(group, "policies-past-end-with-epoch-"):
			outcome = predicted[strings.Replace(group, "-with-epoch", "", 1)]
		}
		// Python's names end in Error.
		out[group] = strings.Replace(outcome, "Exception", "Error", 1)
	}
	return out
}

// predictions are the outcomes by group (of nobody), in Java's words.
func predictions(t *testing.T, cl *kgo.Client, cases []policyCase) map[string]string {
	t.Helper()
	cluster := inspect.New(cl)
	out := map[string]string{}
	for _, c := range cases {
		d, err := cluster.Describe(t.Context(), []string{c.group("java")}, inspect.DescribeOptions{Topics: []string{c.topic}, CreateMissing: true})
		if err != nil {
			t.Fatal(err)
		}
		for g, err := range d.Groups {
			if err != nil {
				t.Fatal(err)
			}
			p, _, err := cluster.Policies(t.Context(), g, inspect.PolicyOptions{Since: time.Now().Add(-30 * time.Minute)})
			if err != nil || len(p.Partitions) != 1 {
				t.Fatal(err, p)
			}
			all := p.Partitions[0].Policies
			o := map[string]*inspect.Outcome{"earliest": &all.Earliest, "latest": &all.Latest, "none": &all.None, "by_duration:PT30M": all.ByDuration}[c.policy]
			switch {
			case o.Error != nil:
				out[c.group("")] = *o.Error
			case o.Note != nil:
				out[c.group("")] = *o.Note
			default:
				out[c.group("")] = fmt.Sprint(*o.Start)
			}
		}
	}
	return out
}
