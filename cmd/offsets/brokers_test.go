package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"offsets/inspect"
	"offsets/internal/kafkatest"
	"offsets/reset"
)

// brokersWorld is three real brokers that get into trouble, and groups whose
// commits are known.
type brokersWorld struct {
	*testing.T // of the scene that is played
	cluster    *kafkatest.Cluster
	cl         *kgo.Client
	adm        *kadm.Client
	line       commandLine
	// stable are groups that nobody changes, with what they have committed.
	stable map[string]commits
}

type commits = map[inspect.TopicPartition]inspect.Commit

const (
	brokersTopic      = "orders"
	brokersPartitions = 6
	brokersRecords    = 200 // in each partition
	movingGroup       = "moving"
)

func newBrokersWorld(t *testing.T, version kafkatest.Version) *brokersWorld {
	t.Helper()
	b := &realBroker{config: kafkatest.Config{Version: version, Brokers: 3, OffsetsPartitions: 6, Properties: map[string]string{"offsets.commit.timeout.ms": "2000"}}}
	t.Cleanup(b.stop)
	w := &brokersWorld{T: t, cluster: b.get(t), stable: map[string]commits{}}
	w.line = newCommandLine(t, w.cluster.Bootstrap)
	var err error
	if w.cl, err = kgo.NewClient(kgo.SeedBrokers(strings.Split(w.cluster.Bootstrap, ",")...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.RequestTimeoutOverhead(3*time.Second)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.cl.Close)
	w.adm = kadm.NewClient(w.cl)
	if _, err := w.adm.CreateTopic(t.Context(), brokersPartitions, 3, nil, brokersTopic); err != nil {
		t.Fatal(err)
	}
	for p := range brokersPartitions {
		if err := given(t.Context(), w.cl, []string{"records", brokersTopic, strconv.Itoa(p), strconv.Itoa(brokersRecords)}); err != nil {
			t.Fatal(err)
		}
	}
	for i, group := range []string{"stable-0", "stable-1", "stable-2", "stable-3", "stable-4", movingGroup} {
		var os kadm.Offsets
		for p := range int32(brokersPartitions) {
			os.Add(kadm.Offset{Topic: brokersTopic, Partition: p, At: int64(10*i) + int64(p), LeaderEpoch: -1, Metadata: fmt.Sprint(group, p)})
		}
		if err := retry(t.Context(), func() error { return w.adm.CommitAllOffsets(t.Context(), group, os) }); err != nil {
			t.Fatal(err)
		}
		if group != movingGroup {
			w.stable[group] = w.committed(group)
		}
	}
	return w
}

// outcome is one run of the program.
type outcome struct {
	args           []string
	code           int
	stdout, stderr string
	took           time.Duration
}

func (o outcome) String() string {
	return fmt.Sprintf("$ offsets %s\n(exit %d after %.1fs)\n%s%s", strings.Join(o.args, " "), o.code, o.took.Seconds(), shortened(o.stdout), shortened(o.stderr))
}

func shortened(s string) string {
	if len(s) > 1500 {
		return s[:700] + " … " + s[len(s)-700:]
	}
	return s
}

func (w *brokersWorld) run(args ...string) outcome {
	begun := time.Now()
	code, stdout, stderr := w.line.run(args...)
	return outcome{args, code, stdout, stderr, time.Since(begun)}
}

// committed is what a group has committed, however long it takes to find out: all
// brokers have to agree on the coordinator, and that on what is stable.
func (w *brokersWorld) committed(group string) commits {
	w.Helper()
	var got commits
	w.eventually(func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		keeper := int32(-1)
		for _, b := range w.cluster.Brokers {
			req := kmsg.NewPtrFindCoordinatorRequest()
			req.CoordinatorKeys = []string{group}
			resp, err := req.RequestWith(ctx, w.cl.Broker(int(b.ID)))
			if err != nil {
				continue // who does not answer is no coordinator
			}
			found := resp.Coordinators[0]
			if found.ErrorCode != 0 || keeper >= 0 && keeper != found.NodeID {
				return false
			}
			keeper = found.NodeID
		}
		topics, err := w.adm.ListTopics(ctx)
		if err != nil {
			return false
		}
		names := map[[16]byte]string{}
		for _, t := range topics {
			names[t.ID] = t.Topic
		}
		req := kmsg.NewPtrOffsetFetchRequest()
		req.Groups, req.RequireStable = []kmsg.OffsetFetchRequestGroup{{Group: group, MemberEpoch: -1}}, true
		resp, err := req.RequestWith(ctx, w.cl.Broker(int(keeper))) // the client may know another one yet
		if err != nil || resp.Groups[0].ErrorCode != 0 {
			return false
		}
		got = commits{}
		for _, t := range resp.Groups[0].Topics {
			for _, p := range t.Partitions {
				if p.ErrorCode != 0 {
					return false
				}
				got[inspect.TopicPartition{Topic: cmp.Or(t.Topic, names[t.TopicID]), Partition: p.Partition}] = inspect.Commit{Offset: p.Offset, LeaderEpoch: p.LeaderEpoch, Metadata: *p.Metadata}
			}
		}
		return true
	})
	return got
}

// broker returns the broker with an id.
func (w *brokersWorld) broker(id int32) *kafkatest.Broker { return w.cluster.Brokers[id-1] }

func (w *brokersWorld) coordinator(group string) *kafkatest.Broker {
	w.Helper()
	var found *kafkatest.Broker
	w.eventually(func() bool {
		r := w.adm.FindGroupCoordinators(context.Background(), group)[group]
		if r.Err == nil && r.NodeID > 0 {
			found = w.broker(r.NodeID)
		}
		return found != nil
	})
	return found
}

func (w *brokersWorld) leader(topic string, partition int32) *kafkatest.Broker {
	w.Helper()
	var found *kafkatest.Broker
	w.eventually(func() bool {
		m, err := w.adm.Metadata(context.Background(), topic)
		if err == nil && m.Topics[topic].Partitions[partition].Leader > 0 {
			found = w.broker(m.Topics[topic].Partitions[partition].Leader)
		}
		return found != nil
	})
	return found
}

func (w *brokersWorld) eventually(done func() bool) {
	w.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.Fatal("not within a minute")
		}
	}
}

// heal brings all brokers back, and waits until every replica is in sync.
func (w *brokersWorld) heal() {
	w.Helper()
	for _, b := range w.cluster.Brokers {
		if b.Running() {
			if err := b.Resume(); err != nil {
				w.Fatal(err)
			}
		} else if err := b.Start(context.Background()); err != nil {
			w.Fatal(err)
		}
	}
	if err := w.cluster.WaitReady(context.Background()); err != nil {
		w.Fatal(err)
	}
	w.eventually(func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		m, err := w.adm.Metadata(ctx, brokersTopic, "__consumer_offsets")
		if err != nil {
			return false
		}
		for _, topic := range m.Topics {
			for _, p := range topic.Partitions {
				if len(p.ISR) < len(p.Replicas) || p.Leader < 0 {
					return false
				}
			}
		}
		return len(m.Topics) == 2
	})
}

// TestThreeBrokers plays bad days on three brokers with replicas: each command
// gets its answer in the end or says what it could not know, and a change is
// what its report says.
func TestThreeBrokers(t *testing.T) {
	for _, version := range oldestAndNewest() {
		t.Run("kafka-"+string(version), func(t *testing.T) {
			w := newBrokersWorld(t, version)
			play := func(name string, scene func()) {
				t.Run(name, func(t *testing.T) {
					w.T = t
					scene()
				})
			}
			play("the coordinator dies", w.underLoad(func() { w.coordinator(movingGroup).Kill() }))
			play("the coordinator hangs", w.underLoad(func() { w.must(w.coordinator(movingGroup).Pause()) }))
			play("all restart, one by one", w.underLoad(w.restartAll))
			play("too few replicas", w.tooFewReplicas)
			// The rest does not depend on how brokers are coordinated.
			if version == kafkatest.V440 || os.Getenv("OFFSETS_TEST_SOAK") != "" {
				play("a leader dies", w.underLoad(func() { w.leader(brokersTopic, 0).Kill() }))
				play("a partition without a leader", w.noLeader)
				play("soak", w.soak)
			}
			play("more partitions in the commit log", w.morePartitions)
		})
	}
}

// morePartitions: brokers go on counting the partitions of the commit log as they
// were when they started, so that groups are not where the hash of their names
// says.
func (w *brokersWorld) morePartitions() {
	r, err := w.adm.UpdatePartitions(context.Background(), 11, "__consumer_offsets")
	if err != nil || r["__consumer_offsets"].Err != nil {
		w.Fatal(err, r)
	}
	w.heal()
	load := w.newLoad()
	load.list()
	load.decodeState()
	for range 5 {
		load.describe()
		load.resetAndUndo()
	}
	if load.failures() > 0 {
		w.Error("commands fail")
	}
	w.Log(load.figures())
}

// underLoad is a scene in which commands run while a fault goes on.
func (w *brokersWorld) underLoad(fault func()) func() {
	return func() {
		load := w.startLoad()
		time.Sleep(time.Second)
		fault()
		time.Sleep(8 * time.Second)
		w.heal()
		load.end()
		w.Log(load.figures())
	}
}

func (w *brokersWorld) must(err error) {
	w.Helper()
	if err != nil {
		w.Error(err)
	}
}

// restartAll restarts every broker as an operator does.
func (w *brokersWorld) restartAll() {
	for _, b := range w.cluster.Brokers {
		w.must(b.Shutdown())
		w.heal()
	}
}

// tooFewReplicas: the log that has the commits wants three replicas and has two.
// A coordinator then has appended a commit, says that it is not available, and
// lets the commit count later: as soon as there are enough replicas again, or
// before 4.0, when another coordinator reads the log. Who calls that a failed
// reset, is wrong then; and an undo that sees nothing to do is wrong, too.
func (w *brokersWorld) tooFewReplicas() {
	const group, topic = "late", "kept"
	want := commits{{Topic: topic}: {Offset: 4, LeaderEpoch: -1, Metadata: "before"}}
	coordinator := w.coordinator(group)
	w.createOn(coordinator, topic)
	w.must(given(context.Background(), w.cl, []string{"records", topic, "0", "10"}))
	var os kadm.Offsets
	os.Add(kadm.Offset{Topic: topic, At: 4, LeaderEpoch: -1, Metadata: "before"})
	w.must(retry(context.Background(), func() error { return w.adm.CommitAllOffsets(context.Background(), group, os) }))
	w.setMinReplicas("3")
	defer w.setMinReplicas("1")
	defer w.heal()
	w.broker(coordinator.ID%3 + 1).Kill()

	got := w.run("reset", group, "--to", "earliest", "--execute", "--settle", "0s", "-o", "json")
	w.Log(got)
	if got.code != exitPartial || !strings.Contains(got.stderr, "may take effect yet") {
		w.Errorf("exit %d, want %d, and that it may take effect yet", got.code, exitPartial)
	}
	if verified, _ := query(got.stdout, ".groups[0].verified"); verified != `"not_checked"` {
		w.Errorf("verified: %s", verified)
	}
	// A coordinator that waits for replicas does not say whether commits are pending.
	unknown := "did not answer whether commits are pending"
	if got := w.run("describe", group); got.code != exitDone && !(got.code == exitPartial && strings.Contains(got.stderr, unknown)) || got.took > 10*time.Second {
		w.Errorf("describe waits for a log that it does not need: %s", got)
	}
	w.heal()
	if w.cluster.Version.KRaft() {
		w.eventually(func() bool { return w.committed(group)[inspect.TopicPartition{Topic: topic}].Offset == 0 })
	}
	undone := w.run("undo", group, "--execute", "--settle", "0s", "-o", "json")
	w.Log(undone)
	if now := w.committed(group); undone.code != exitDone || !reflect.DeepEqual(now, want) {
		w.Errorf("undo of a change that may take effect late: exit %d, %v instead of %v", undone.code, now, want)
	}
	w.must(w.coordinator(group).Shutdown())
	w.heal()
	if now := w.committed(group); !reflect.DeepEqual(now, want) {
		w.Errorf("the next coordinator brings back what was undone: %v instead of %v", now, want)
	}
}

func (w *brokersWorld) setMinReplicas(n string) {
	r, err := w.adm.AlterTopicConfigs(context.Background(), []kadm.AlterConfig{{Name: "min.insync.replicas", Value: &n}}, "__consumer_offsets")
	if err != nil || r[0].Err != nil {
		w.Fatal(err, r)
	}
}

// createOn creates a topic of one partition, with its only replica on a broker.
func (w *brokersWorld) createOn(b *kafkatest.Broker, topic string) {
	req := kmsg.NewPtrCreateTopicsRequest()
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = topic, -1, -1
	t.ReplicaAssignment = []kmsg.CreateTopicsRequestTopicReplicaAssignment{{Replicas: []int32{b.ID}}}
	req.Topics = append(req.Topics, t)
	resp, err := req.RequestWith(context.Background(), w.cl)
	if err == nil {
		err = kerr.ErrorForCode(resp.Topics[0].ErrorCode)
	}
	if err != nil {
		w.Fatal(err)
	}
}

// noLeader: a partition with a single replica, whose broker is dead. The others
// are shown all the same, and the exit code says that not all is.
func (w *brokersWorld) noLeader() {
	ctx := context.Background()
	if _, err := w.adm.CreateTopic(ctx, 3, 1, nil, "single"); err != nil {
		w.Fatal(err)
	}
	var leaders [3]*kafkatest.Broker
	for p := range leaders {
		leaders[p] = w.leader("single", int32(p))
		w.must(given(ctx, w.cl, []string{"records", "single", strconv.Itoa(p), "10"}))
		w.must(given(ctx, w.cl, []string{"commit", "reads-single", "single", strconv.Itoa(p), "4"}))
	}
	dead := leaders[0]
	defer w.heal()
	dead.Kill()
	w.eventually(func() bool {
		m, err := w.adm.Metadata(ctx, "single")
		return err == nil && m.Topics["single"].Partitions[0].Leader < 0
	})
	alive, want := 0, map[string]string{}
	for p, b := range leaders {
		want[strconv.Itoa(p)] = "behind"
		if b == dead {
			want[strconv.Itoa(p)] = "no_leader"
		} else {
			alive++
		}
	}
	got := w.run("describe", "reads-single", "-o", "json")
	w.Log(got)
	statuses, err := query(got.stdout, `.groups[0].partitions | map({key: (.partition|tostring), value: .status}) | from_entries`)
	wanted, _ := json.Marshal(want)
	if err != nil || got.code != exitPartial || statuses != string(wanted) {
		w.Errorf("exit %d, %s instead of %s (%v)", got.code, statuses, wanted, err)
	}
	if sum, _ := query(got.stdout, `[.groups[0].total.lag, .groups[0].total.unknown]`); sum != fmt.Sprintf("[%d,%d]", 6*alive, 3-alive) {
		w.Errorf("totals %s", sum)
	}
	check := w.run("check", "reads-single", "--max-lag", "100", "-o", "json")
	w.Log(check)
	if check.code == exitDone || check.code == exitCondition {
		w.Errorf("check of what cannot be read: exit %d", check.code)
	}
	before := w.committed("reads-single")
	refused := w.run("reset", "reads-single", "--to", "earliest", "--execute", "--settle", "0s", "-o", "json")
	w.Log(refused)
	if refused.code != exitRefused || !reflect.DeepEqual(before, w.committed("reads-single")) {
		w.Errorf("a reset of what cannot be read: exit %d, %v", refused.code, w.committed("reads-single"))
	}
}

// reported is what a command says that it did to one group.
func (w *brokersWorld) reported(o outcome) *reset.Plan {
	var doc struct {
		Groups []reset.Plan `json:"groups"`
	}
	if o.stdout == "" {
		return nil
	}
	if err := json.Unmarshal([]byte(o.stdout), &doc); err != nil || len(doc.Groups) != 1 {
		w.Errorf("no report: %v\n%s", err, o)
		return nil
	}
	return &doc.Groups[0]
}
