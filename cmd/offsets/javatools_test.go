package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"offsets/internal/kafkatest"
	"offsets/internal/oracle/desk"
	"offsets/internal/sandbox"
)

// TestJavaTools: to Kafka's own tools the sandbox is a Kafka. Every call of
// testdata/javatools.txt ends and prints the same on both.
func TestJavaTools(t *testing.T) {
	t.Parallel()
	cluster := newest(t)
	d, err := desk.Start(t.Context(), cluster)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	s, err := sandbox.Start(sandbox.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	ours, theirs := newToolSide(t, d, s.Addr), newToolSide(t, d, cluster.Bootstrap)
	script, err := os.ReadFile(filepath.Join("testdata", "javatools.txt"))
	if err != nil {
		t.Fatal(err)
	}
	calls := 0
	for line := range strings.Lines(string(script)) {
		words := strings.Fields(line)
		if len(words) == 0 || words[0] == "#" {
			continue
		}
		got, want := both(ours, theirs, func(side *toolSide) string { return side.line(words) })
		if got != want {
			t.Errorf("%s\n--- on Kafka ---\n%s\n--- on the sandbox ---\n%s", strings.TrimSpace(line), want, got)
		}
		if strings.HasPrefix(want, "exit ") {
			calls++
		}
	}
	t.Logf("%d calls", calls)
}

// newest is the newest Kafka of the tests.
func newest(t *testing.T) *kafkatest.Cluster {
	t.Helper()
	all := brokers()
	return all[len(all)-1].get(t)
}

func both(a, b *toolSide, do func(*toolSide) string) (string, string) {
	c := make(chan string, 1)
	go func() { c <- do(b) }()
	return do(a), <-c
}

// toolSide is one of the two brokers.
type toolSide struct {
	t    *testing.T
	desk *desk.Desk
	addr string
	cl   *kgo.Client
	file string // for the calls that read one
	// members are those that are there.
	members []*kgo.Client
}

func newToolSide(t *testing.T, d *desk.Desk, addr string) *toolSide {
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	side := &toolSide{t: t, desk: d, addr: addr, cl: cl, file: filepath.Join(t.TempDir(), "file")}
	t.Cleanup(func() { side.leave() })
	return side
}

func (s *toolSide) leave() {
	for _, m := range s.members {
		m.Close()
	}
	s.members = nil
}

// line does what a line of the script says, and returns what must be the same on
// both sides.
func (s *toolSide) line(words []string) string {
	var err error
	switch words[0] {
	case "exit", "mine":
		return s.tool(words[0], words[1], words[2:])
	case "given":
		err = given(s.t.Context(), s.cl, words[1:])
	case "offsets":
		err = os.WriteFile(s.file, []byte(strings.Join(words[1:], "\n")), 0o644)
	case "records":
		err = s.recordsFile(words[1:])
	case "members":
		err = s.join()
	case "no-members":
		s.leave()
	default:
		return s.tool("", words[0], words[1:])
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

// recordsFile writes what kafka-delete-records reads.
func (s *toolSide) recordsFile(rows []string) error {
	type partition struct {
		Topic     string `json:"topic"`
		Partition int    `json:"partition"`
		Offset    int64  `json:"offset"`
	}
	var all []partition
	for _, row := range rows {
		var p partition
		if _, err := fmt.Sscanf(strings.ReplaceAll(row, ",", " "), "%s %d %d", &p.Topic, &p.Partition, &p.Offset); err != nil {
			return err
		}
		all = append(all, p)
	}
	out, err := json.Marshal(map[string]any{"version": 1, "partitions": all})
	if err != nil {
		return err
	}
	return os.WriteFile(s.file, out, 0o644)
}

func (s *toolSide) join() error {
	common := []kgo.Opt{kgo.SeedBrokers(s.addr), kgo.ConsumeTopics("jt-t"), kgo.ClientID("jt-client"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart())}
	ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
	defer cancel()
	for _, opts := range [][]kgo.Opt{
		{kgo.ConsumerGroup("jt-classic"), kgo.Balancers(kgo.RangeBalancer()), kgo.DisableAutoCommit()},
		{kgo.ConsumerGroup("jt-consumer"), kgo.ServerSideBalancer(), kgo.DisableAutoCommit()},
		{kgo.ShareGroup("jt-share")},
	} {
		m, err := kgo.NewClient(append(opts, common...)...)
		if err != nil {
			return err
		}
		s.members = append(s.members, m)
		group, _ := m.GroupMetadata()
		var records int
		for records == 0 && group != "" {
			fetches := m.PollFetches(ctx)
			if records += fetches.NumRecords(); ctx.Err() != nil {
				return fmt.Errorf("%s: %w", group, fetches.Err())
			}
		}
	}
	for _, m := range s.members[:2] {
		group, _ := m.GroupMetadata()
		if err := m.CommitRecords(ctx, &kgo.Record{Topic: "jt-t", Offset: 2, LeaderEpoch: -1}); err != nil {
			return fmt.Errorf("%s: %w", group, err)
		}
	}
	return s.assigned(ctx)
}

// assigned waits until all members have got their partitions.
func (s *toolSide) assigned(ctx context.Context) error {
	adm := kadm.NewClient(s.cl)
	for {
		share, err := adm.DescribeShareGroups(ctx, "jt-share")
		if err != nil {
			return err
		}
		if g := share["jt-share"]; g.GroupState == "Stable" && len(g.Members) == 1 && len(g.Members[0].Assignment) == 1 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("jt-share: %+v", share)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (s *toolSide) tool(mode, name string, args []string) string {
	args = slices.Clone(args)
	for i, a := range args {
		if a == "FILE" {
			args[i] = s.file
		}
	}
	// Subcommands come before or behind the broker, as the tool has it.
	at := 0
	if name == "kafka-cluster" {
		at = 1
	}
	args = slices.Insert(args, at, "--bootstrap-server", s.addr)
	out, err := s.desk.Tool(s.t.Context(), name, args...)
	if err != nil {
		return err.Error()
	}
	exit := fmt.Sprintf("exit %d\n", out.Exit)
	if mode == "exit" {
		if out.Exit != 0 {
			return exit + s.normal(mode, out.Stdout+out.Stderr)
		}
		return exit
	}
	return exit + s.normal(mode, out.Stdout) + "\n" + s.normal(mode, out.Stderr)
}

// What two brokers cannot have in common.
var unlike = []struct {
	what *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`127\.0\.0\.1:\d+`), "BROKER"},
	{regexp.MustCompile(`\b(Leader|Replicas|Isr): \d+`), "$1: NODE"},
	{regexp.MustCompile(`BROKER \(\d+\)`), "BROKER (NODE)"},
	{regexp.MustCompile(`TopicId: \S+`), "TopicId: ID"},
	{regexp.MustCompile(`\bjt-client-[0-9a-f-]{32,36}`), "MEMBER"},
	{regexp.MustCompile(`(^| )[A-Za-z0-9_-]{22}==`), "${1}MEMBER"},
	{regexp.MustCompile(`\[pool-\d+-thread-\d+\]`), "[THREAD]"},
	{regexp.MustCompile(`\badminclient-\d+`), "adminclient-N"},
	// What differences.go says of these.
	{regexp.MustCompile(`Configs: min\.insync\.replicas=1,?`), "Configs: "},
	{regexp.MustCompile(`Unable to replicate the partition .*|Replication factor is below 1 or .*`), "REPLICATION"},
}

// normal leaves out what is never the same. The order of lines is that of a hash
// table, in most tools.
func (s *toolSide) normal(mode, text string) string {
	text = strings.ReplaceAll(text, s.file, "FILE")
	var lines []string
	for line := range strings.Lines(text) {
		line = strings.Join(strings.Fields(line), " ")
		for _, u := range unlike {
			line = u.what.ReplaceAllString(line, u.with)
		}
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "at ") && !strings.HasPrefix(line, "... ") && (mode != "mine" || strings.Contains(line, "jt-")) {
			lines = append(lines, line)
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// TestKafkaStreams: an application of Kafka Streams counts words, is stopped, and
// goes on with its counts, on the sandbox as on Kafka.
func TestKafkaStreams(t *testing.T) {
	t.Parallel()
	cluster := newest(t)
	s, err := sandbox.Start(sandbox.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	const want = "first {be=2, not=1, or=1, to=2}\nsecond {as=1, be=3, it=1, may=1, that=1}\n"
	for name, addr := range map[string]string{"sandbox": s.Addr, "kafka": cluster.Bootstrap} {
		for _, guarantee := range []string{"at_least_once", "exactly_once_v2"} {
			t.Run(name+"/"+guarantee, func(t *testing.T) {
				t.Parallel()
				cl, err := kgo.NewClient(kgo.SeedBrokers(addr))
				if err != nil {
					t.Fatal(err)
				}
				defer cl.Close()
				topic, app := "words-"+guarantee, "wordcount-"+guarantee
				if err := given(t.Context(), cl, []string{"topic", topic, "2"}); err != nil {
					t.Fatal(err)
				}
				java := cluster.Java(t.Context(), javaProgram(t, "WordCount"), addr, topic, app, guarantee)
				var stderr strings.Builder
				java.Stderr = &stderr
				got, err := java.Output()
				if err != nil || string(got) != want {
					t.Fatalf("%v: %s\n%s", err, got, stderr.String())
				}
				topics, err := kadm.NewClient(cl).ListTopics(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				for _, made := range []string{app + "-counts-repartition", app + "-counts-changelog"} {
					if !topics.Has(made) {
						t.Errorf("no topic %s: %v", made, topics.Names())
					}
				}
			})
		}
	}
}
