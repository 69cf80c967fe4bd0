package sandbox_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"offsets/inspect"
	"offsets/inspect/commitlog"
	"offsets/internal/sandbox"
)

func start(t *testing.T, o sandbox.Options) *sandbox.Sandbox {
	t.Helper()
	s, err := sandbox.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func client(t *testing.T, s *sandbox.Sandbox, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(s.Addr)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

func offset(topic string, partition int32, at int64) kadm.Offsets {
	var os kadm.Offsets
	os.Add(kadm.Offset{Topic: topic, Partition: partition, At: at, LeaderEpoch: -1, Metadata: "m"})
	return os
}

// entry is a commit log record in short.
type entry struct {
	partition int32
	key       any
	value     any
}

func readLog(t *testing.T, cl *kgo.Client) []entry {
	t.Helper()
	var out []entry
	for r, err := range inspect.New(cl).ReadLog(t.Context(), inspect.LogFilter{}) {
		if err != nil {
			t.Fatal(err)
		}
		if r.Error != nil {
			t.Fatalf("record %+v: %s", r, *r.Error)
		}
		out = append(out, entry{*r.Partition, r.Record.Key, r.Record.Value})
	}
	return out
}

// Each accepted commit is in the log, in order, when its answer comes, by name
// (old clients) and by topic id (new ones); a refused one is not.
func TestCommitsAreInTheLogBeforeTheAnswer(t *testing.T) {
	for name, opts := range map[string][]kgo.Opt{
		"by id":   nil,
		"by name": {kgo.MaxVersions(kversion.V3_0_0())},
		"old":     {kgo.MaxVersions(kversion.V2_1_0())},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, sandbox.Options{Topics: map[string]int32{"t": 2}, OffsetsPartitions: 7})
			cl := client(t, s, opts...)
			reader := client(t, s)
			adm := kadm.NewClient(cl)
			const commits = 100
			for n := range int64(commits) {
				if err := adm.CommitAllOffsets(t.Context(), "g", offset("t", 1, n)); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := adm.CommitOffsets(t.Context(), "g", offset("no-such-topic", 0, 5)); err != nil {
				t.Logf("a commit to an unknown topic: %v", err)
			}
			log := readLog(t, reader)
			if len(log) != commits {
				t.Fatalf("%d records, want %d: %+v", len(log), commits, log)
			}
			for n, e := range log {
				v, ok := e.value.(*commitlog.OffsetCommitValue)
				if !ok || e.key != (commitlog.OffsetCommitKey{Group: "g", Topic: "t", Partition: 1}) || v.Offset != int64(n) || v.Metadata != "m" || v.Version != 4 || v.TopicID == (commitlog.UUID{}) {
					t.Fatalf("record %d: %+v %+v", n, e.key, e.value)
				}
				if e.partition != commitlog.PartitionOf("g", 7) {
					t.Fatalf("record %d is in partition %d", n, e.partition)
				}
			}
		})
	}
}

// Deletions are tombstones.
func TestDeletions(t *testing.T) {
	s := start(t, sandbox.Options{Topics: map[string]int32{"t": 2}})
	cl := client(t, s)
	adm := kadm.NewClient(cl)
	for p := range int32(2) {
		if err := adm.CommitAllOffsets(t.Context(), "g", offset("t", p, 5)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := adm.DeleteOffsets(t.Context(), "g", kadm.TopicsSet{"t": {0: {}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := adm.DeleteGroup(t.Context(), "g"); err != nil {
		t.Fatal(err)
	}
	log := readLog(t, cl)
	var got []string
	for _, e := range log[2:] {
		got = append(got, fmt.Sprintf("%v %v", e.key, e.value))
	}
	want := "{g t 0} <nil>, {g t 1} <nil>, {g} <nil>"
	if strings.Join(got, ", ") != want {
		t.Errorf("got %s, want %s", strings.Join(got, ", "), want)
	}
}

// With a topic go the commits to it, of every group.
func TestTopicDeletion(t *testing.T) {
	s := start(t, sandbox.Options{Topics: map[string]int32{"t": 1, "u": 1}})
	cl := client(t, s)
	adm := kadm.NewClient(cl)
	for _, group := range []string{"g", "h"} {
		for _, topic := range []string{"t", "u"} {
			if err := adm.CommitAllOffsets(t.Context(), group, offset(topic, 0, 5)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := adm.DeleteTopic(t.Context(), "u"); err != nil {
		t.Fatal(err)
	}
	c := inspect.New(cl)
	state := c.State(t.Context(), inspect.StateOptions{Problem: func(err error) { t.Error(err) }})
	for _, g := range state.Groups {
		os, err := adm.FetchOffsets(t.Context(), g.Group)
		if err != nil {
			t.Fatal(err)
		}
		if len(g.Partitions) != 1 || g.Partitions[0].Topic != "t" || len(os) != 1 {
			t.Errorf("group %s: the log says %+v, the broker %v", g.Group, g.Partitions, os)
		}
	}
	if len(state.Groups) != 2 {
		t.Errorf("groups %+v", state.Groups)
	}
}

// A member that dies without a word empties its group in the log too.
func TestGroupMetadata(t *testing.T) {
	s := start(t, sandbox.Options{Topics: map[string]int32{"t": 2}})
	reader := client(t, s)
	dial, cut := severable()
	member := client(t, s, kgo.ConsumerGroup("g"), kgo.ConsumeTopics("t"), kgo.SessionTimeout(time.Second), kgo.HeartbeatInterval(200*time.Millisecond), kgo.ClientID("dying"), kgo.Dialer(dial))
	_ = member
	wait(t, func() bool { return generations(t, reader) == "0/0 1/1" })
	for _, e := range readLog(t, reader) {
		v := e.value.(*commitlog.GroupMetadataValue)
		if len(v.Members) == 0 {
			continue
		}
		m := v.Members[0]
		sub, err := commitlog.DecodeSubscription(m.Subscription)
		if err != nil || len(sub.Topics) != 1 || sub.Topics[0] != "t" {
			t.Errorf("subscription %+v, %v", sub, err)
		}
		assigned, err := commitlog.DecodeAssignment(m.Assignment)
		if err != nil || len(assigned.AssignedPartitions) != 1 || len(assigned.AssignedPartitions[0].Partitions) != 2 {
			t.Errorf("assignment %+v, %v", assigned, err)
		}
		if m.ClientID != "dying" || m.SessionTimeout != 1000 || m.RebalanceTimeout != 60000 || v.Leader == nil || *v.Leader != m.MemberID || v.ProtocolType != "consumer" {
			t.Errorf("member %+v of %+v", m, v)
		}
	}
	cut()
	wait(t, func() bool { return generations(t, reader) == "0/0 1/1 2/0" })
}

// severable is the network of a client that can be cut: no leave request then.
func severable() (dial func(context.Context, string, string) (net.Conn, error), cut func()) {
	ctx, cut := context.WithCancel(context.Background())
	var dialer net.Dialer
	return func(dctx context.Context, network, addr string) (net.Conn, error) {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		conn, err := dialer.DialContext(dctx, network, addr)
		if err == nil {
			context.AfterFunc(ctx, func() { conn.Close() })
		}
		return conn, err
	}, cut
}

// generations is generation/members of each group record.
func generations(t *testing.T, cl *kgo.Client) string {
	var out []string
	for _, e := range readLog(t, cl) {
		if v, ok := e.value.(*commitlog.GroupMetadataValue); ok {
			out = append(out, fmt.Sprintf("%d/%d", v.Generation, len(v.Members)))
		}
	}
	return strings.Join(out, " ")
}

func wait(t *testing.T, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for !done() {
		if time.Now().After(deadline) {
			t.Fatal("not within 60 s")
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// A folder survives its broker, and belongs to one at a time.
func TestData(t *testing.T) {
	dir := t.TempDir()
	s, err := sandbox.Start(sandbox.Options{Data: dir, Topics: map[string]int32{"t": 1}, OffsetsPartitions: 5})
	if err != nil {
		t.Fatal(err)
	}
	cl := client(t, s)
	if err := kadm.NewClient(cl).CommitAllOffsets(t.Context(), "g", offset("t", 0, 3)); err != nil {
		t.Fatal(err)
	}
	if _, err := sandbox.Start(sandbox.Options{Data: dir}); !errors.Is(err, sandbox.ErrLocked) {
		t.Errorf("a second broker: %v, want ErrLocked", err)
	}
	cl.Close()
	s.Close()
	s = start(t, sandbox.Options{Data: dir})
	cl = client(t, s)
	if log := readLog(t, cl); len(log) != 1 || log[0].partition != commitlog.PartitionOf("g", 5) {
		t.Errorf("after a restart: %+v", log)
	}
	os, err := kadm.NewClient(cl).FetchOffsets(t.Context(), "g")
	if err != nil || len(os) != 1 {
		t.Errorf("after a restart: %v, %v", os, err)
	}
}

// The list of differences: one check each. When one fails, the difference is
// gone: take it off the list (and out of the sandbox's way).
func TestDifferences(t *testing.T) {
	checks := map[string]func(t *testing.T, s *sandbox.Sandbox, cl *kgo.Client){
		"a commit for a group that does not exist": func(t *testing.T, _ *sandbox.Sandbox, cl *kgo.Client) {
			if _, err := kadm.NewClient(cl).FetchOffsets(t.Context(), "nobody"); !errors.Is(err, kerr.GroupIDNotFound) {
				t.Errorf("got %v", err)
			}
		},
		"share groups leave no records": func(t *testing.T, s *sandbox.Sandbox, cl *kgo.Client) {
			client(t, s, kgo.ShareGroup("k"), kgo.ConsumeTopics("t"))
			wait(t, func() bool {
				d, err := kadm.NewClient(cl).DescribeShareGroups(t.Context(), "k")
				return err == nil && len(d["k"].Members) == 1
			})
			if log := readLog(t, cl); len(log) != 0 {
				t.Errorf("got %+v", log)
			}
		},
		"the target assignment of a KIP-848 group": func(t *testing.T, s *sandbox.Sandbox, cl *kgo.Client) {
			client(t, s, kgo.ConsumerGroup("k"), kgo.ConsumeTopics("t"), kgo.ServerSideBalancer())
			wait(t, func() bool {
				return len(assigned(readLog(t, cl), "target")) > 0 && len(assigned(readLog(t, cl), "current")) > 0
			})
			log := readLog(t, cl)
			if a, b := assigned(log, "target"), assigned(log, "current"); !slices.Equal(a, b) {
				t.Errorf("target %v, current %v", a, b)
			}
		},
		"group.min.session.timeout.ms": func(t *testing.T, _ *sandbox.Sandbox, cl *kgo.Client) {
			configs, err := kadm.NewClient(cl).DescribeBrokerConfigs(t.Context(), 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range configs[0].Configs {
				if c.Key == "group.min.session.timeout.ms" && *c.Value != "6000" {
					t.Errorf("got %s", *c.Value)
				}
			}
		},
		"an offset commit of a transaction": func(t *testing.T, s *sandbox.Sandbox, cl *kgo.Client) {
			adm := kadm.NewClient(cl)
			producer := client(t, s, kgo.TransactionalID("x"))
			id, epoch, err := producer.ProducerID(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			add := kmsg.NewPtrAddOffsetsToTxnRequest()
			add.TransactionalID, add.ProducerID, add.ProducerEpoch, add.Group = "x", id, epoch, "g"
			commit := kmsg.NewPtrTxnOffsetCommitRequest()
			commit.TransactionalID, commit.ProducerID, commit.ProducerEpoch, commit.Group, commit.Generation = "x", id, epoch, "g", -1
			ct, cp := kmsg.NewTxnOffsetCommitRequestTopic(), kmsg.NewTxnOffsetCommitRequestTopicPartition()
			ct.Topic, cp.Offset, cp.LeaderEpoch = "t", 3, -1
			topics, err := adm.ListTopics(t.Context(), "t")
			if err != nil {
				t.Fatal(err)
			}
			ct.TopicID, ct.Partitions = topics["t"].ID, append(ct.Partitions, cp)
			commit.Topics = append(commit.Topics, ct)
			end := kmsg.NewPtrEndTxnRequest()
			end.TransactionalID, end.ProducerID, end.ProducerEpoch, end.Commit = "x", id, epoch, true
			for _, do := range []func() error{
				func() error { _, err := add.RequestWith(t.Context(), producer); return err },
				func() error { _, err := commit.RequestWith(t.Context(), producer); return err },
				func() error {
					var os kadm.Offsets
					os.Add(kadm.Offset{Topic: "t", At: 12, LeaderEpoch: -1})
					return adm.CommitAllOffsets(t.Context(), "g", os)
				},
				func() error { _, err := end.RequestWith(t.Context(), producer); return err },
			} {
				if err := do(); err != nil {
					t.Fatal(err)
				}
			}
			if got, err := adm.FetchOffsets(t.Context(), "g"); err != nil || got["t"][0].At != 3 {
				t.Errorf("got %+v, %v", got, err)
			}
		},
		"streams groups": func(t *testing.T, _ *sandbox.Sandbox, cl *kgo.Client) {
			if keys := apiKeys(t, cl); slices.Contains(keys, 88) || slices.Contains(keys, 89) {
				t.Errorf("got %v", keys)
			}
		},
		"there is no quorum": func(t *testing.T, _ *sandbox.Sandbox, cl *kgo.Client) {
			if keys := apiKeys(t, cl); slices.Contains(keys, kmsg.DescribeQuorum.Int16()) {
				t.Errorf("got %v", keys)
			}
		},
		"the first member of a KIP-848 group": func(t *testing.T, s *sandbox.Sandbox, cl *kgo.Client) {
			client(t, s, kgo.ConsumerGroup("k"), kgo.ConsumeTopics("t"), kgo.ServerSideBalancer())
			wait(t, func() bool {
				d, err := kadm.NewClient(cl).DescribeConsumerGroups(t.Context(), "k")
				return err == nil && d["k"].State == "Stable" && d["k"].Epoch == 1
			})
		},
		"a partition of a share group": func(t *testing.T, s *sandbox.Sandbox, cl *kgo.Client) {
			client(t, s, kgo.ShareGroup("k"), kgo.ConsumeTopics("t")) // it never polls
			wait(t, func() bool { start, _ := shareStart(t, cl, "k"); return start == 0 })
		},
		"a share group without members and without offsets": func(t *testing.T, s *sandbox.Sandbox, cl *kgo.Client) {
			adm := kadm.NewClient(cl)
			alterShareStart(t, cl, "k")
			if start, code := shareStart(t, cl, "k"); start != 0 || code != 0 {
				t.Fatal(start, code)
			}
			deleted := kmsg.NewPtrDeleteShareGroupOffsetsRequest()
			topic := kmsg.NewDeleteShareGroupOffsetsRequestTopic()
			topic.Topic = "t"
			deleted.GroupID, deleted.Topics = "k", append(deleted.Topics, topic)
			if _, err := deleted.RequestWith(t.Context(), cl); err != nil {
				t.Fatal(err)
			}
			if groups, err := adm.ListGroups(t.Context()); err != nil || len(groups) != 0 {
				t.Errorf("got %v, %v", groups, err)
			}
		},
		"DescribeProducers": func(t *testing.T, _ *sandbox.Sandbox, cl *kgo.Client) {
			if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: "t"}).FirstErr(); err != nil {
				t.Fatal(err)
			}
			req := kmsg.NewPtrDescribeProducersRequest()
			topic := kmsg.NewDescribeProducersRequestTopic()
			topic.Topic, topic.Partitions = "t", []int32{0}
			req.Topics = append(req.Topics, topic)
			resp, err := req.RequestWith(t.Context(), cl)
			if err != nil {
				t.Fatal(err)
			}
			if p := resp.Topics[0].Partitions[0]; p.ErrorCode != 0 || len(p.ActiveProducers) != 0 {
				t.Errorf("got %+v", p)
			}
		},
		"CreateTopics answers with": func(t *testing.T, _ *sandbox.Sandbox, cl *kgo.Client) {
			created, err := kadm.NewClient(cl).CreateTopic(t.Context(), 1, 1, map[string]*string{"retention.ms": kmsg.StringPtr("1000")}, "c")
			if err != nil || len(created.Configs) != 1 {
				t.Errorf("got %+v, %v", created, err)
			}
		},
		"an error in an answer": func(t *testing.T, _ *sandbox.Sandbox, cl *kgo.Client) {
			created, err := kadm.NewClient(cl).CreateTopic(t.Context(), 1, 5, nil, "c")
			if !errors.Is(err, kerr.InvalidReplicationFactor) || created.ErrMessage != "" {
				t.Errorf("got %+v, %v", created, err)
			}
		},
		"JoinGroup is answered at once": func(t *testing.T, s *sandbox.Sandbox, cl *kgo.Client) {
			began := time.Now()
			client(t, s, kgo.ConsumerGroup("j"), kgo.ConsumeTopics("t"))
			wait(t, func() bool {
				d, err := kadm.NewClient(cl).DescribeGroups(t.Context(), "j")
				return err == nil && d["j"].State == "Stable"
			})
			if took := time.Since(began); took > 3*time.Second {
				t.Errorf("took %s", took)
			}
		},
	}
	for _, d := range sandbox.Differences() {
		var check func(*testing.T, *sandbox.Sandbox, *kgo.Client)
		for prefix, f := range checks {
			if strings.HasPrefix(d.What, prefix) {
				check = f
			}
		}
		if check == nil {
			t.Errorf("no check for: %s", d.What)
			continue
		}
		t.Run(d.What, func(t *testing.T) {
			t.Parallel()
			s := start(t, sandbox.Options{Topics: map[string]int32{"t": 1, "u": 1}})
			check(t, s, client(t, s))
		})
	}
}

// apiKeys are the requests that the broker answers.
func apiKeys(t *testing.T, cl *kgo.Client) (keys []int16) {
	t.Helper()
	resp, err := kmsg.NewPtrApiVersionsRequest().RequestWith(t.Context(), cl)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range resp.ApiKeys {
		keys = append(keys, k.ApiKey)
	}
	return keys
}

// shareStart is a share group's start offset in partition 0 of topic t.
func shareStart(t *testing.T, cl *kgo.Client, group string) (start int64, code int16) {
	t.Helper()
	req := kmsg.NewPtrDescribeShareGroupOffsetsRequest()
	g, topic := kmsg.NewDescribeShareGroupOffsetsRequestGroup(), kmsg.NewDescribeShareGroupOffsetsRequestGroupTopic()
	topic.Topic, topic.Partitions = "t", []int32{0}
	g.GroupID, g.Topics = group, append(g.Topics, topic)
	req.Groups = append(req.Groups, g)
	resp, err := req.RequestWith(t.Context(), cl)
	if err != nil {
		t.Fatal(err)
	}
	if g := resp.Groups[0]; g.ErrorCode != 0 || len(g.Topics) == 0 || len(g.Topics[0].Partitions) == 0 {
		return -1, g.ErrorCode
	}
	p := resp.Groups[0].Topics[0].Partitions[0]
	return p.StartOffset, p.ErrorCode
}

// alterShareStart makes a share group that starts at 0 in partition 0 of topic t.
func alterShareStart(t *testing.T, cl *kgo.Client, group string) {
	t.Helper()
	req := kmsg.NewPtrAlterShareGroupOffsetsRequest()
	topic, p := kmsg.NewAlterShareGroupOffsetsRequestTopic(), kmsg.NewAlterShareGroupOffsetsRequestTopicPartition()
	topic.Topic, topic.Partitions = "t", append(topic.Partitions, p)
	req.GroupID, req.Topics = group, append(req.Topics, topic)
	resp, err := req.RequestWith(t.Context(), cl)
	if err != nil || resp.ErrorCode != 0 {
		t.Fatal(resp, err)
	}
}

// assigned is the last assignment in the log, as partitions.
func assigned(log []entry, which string) (out []int32) {
	for _, e := range log {
		switch v := e.value.(type) {
		case *commitlog.TargetAssignmentMember:
			if which == "target" {
				out = nil
				for _, t := range v.TopicPartitions {
					out = append(out, t.Partitions...)
				}
			}
		case *commitlog.ConsumerGroupCurrentMemberAssignment:
			if which == "current" {
				out = nil
				for _, t := range v.AssignedPartitions {
					out = append(out, t.Partitions...)
				}
			}
		}
	}
	return out
}

// A KIP-848 group leaves the records that a coordinator writes: while it lives,
// when its member's session ends without a word, and when it is deleted.
func TestConsumerGroupRecords(t *testing.T) {
	s := start(t, sandbox.Options{Topics: map[string]int32{"t": 2}, Configs: map[string]string{"group.consumer.session.timeout.ms": "1000", "group.consumer.heartbeat.interval.ms": "200"}})
	cl := client(t, s)
	adm := kadm.NewClient(cl)
	dial, cut := severable()
	member := client(t, s, kgo.ConsumerGroup("k"), kgo.ConsumeTopics("t"), kgo.ServerSideBalancer(), kgo.ClientID("dying"), kgo.Dialer(dial))
	_ = member
	wait(t, func() bool { return slices.Equal(assigned(readLog(t, cl), "current"), []int32{0, 1}) })
	var id string
	for _, e := range readLog(t, cl) {
		if v, ok := e.value.(*commitlog.ConsumerGroupMemberMetadata); ok {
			id = e.key.(commitlog.MemberKey).MemberID
			if v.ClientID != "dying" || !slices.Equal(v.SubscribedTopicNames, []string{"t"}) || v.RebalanceTimeoutMs <= 0 {
				t.Errorf("member %+v", v)
			}
		}
	}
	d, err := adm.DescribeConsumerGroups(t.Context(), "k")
	if err != nil || len(d["k"].Members) != 1 || d["k"].Members[0].MemberID != id {
		t.Errorf("the log says member %s, the broker %+v (%v)", id, d["k"].Members, err)
	}
	cut()
	tombstones := func() (out []string) {
		for _, e := range readLog(t, cl) {
			if e.value == nil {
				out = append(out, fmt.Sprint(e.key))
			}
		}
		return out
	}
	gone := fmt.Sprintf("{k %s}", id)
	wait(t, func() bool { return slices.Equal(tombstones(), []string{gone, gone, gone}) })
	if _, err := adm.DeleteGroup(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	if got := tombstones(); !slices.Equal(got[3:], []string{"{k}", "{k}"}) {
		t.Errorf("after deletion: %v", got)
	}
}

// Offsets that expire leave tombstones, and the group's own after the last;
// replaying the log then gives what the broker answers.
func TestExpiry(t *testing.T) {
	s := start(t, sandbox.Options{Topics: map[string]int32{"t": 2}, Configs: map[string]string{"offset.retention.ms": "300", "offsets.retention.check.interval.ms": "100"}})
	cl := client(t, s)
	adm := kadm.NewClient(cl)
	for p := range int32(2) {
		if err := adm.CommitAllOffsets(t.Context(), "g", offset("t", p, 0)); err != nil {
			t.Fatal(err)
		}
	}
	wait(t, func() bool { return len(readLog(t, cl)) == 5 })
	var got []string
	for _, e := range readLog(t, cl)[2:] {
		if e.value != nil {
			t.Errorf("%v: %+v", e.key, e.value)
		}
		got = append(got, fmt.Sprint(e.key))
	}
	slices.Sort(got)
	if want := []string{"{g t 0}", "{g t 1}", "{g}"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if state := inspect.New(cl).State(t.Context(), inspect.StateOptions{Problem: func(err error) { t.Error(err) }}); len(state.Groups) != 0 {
		t.Errorf("still committed: %+v", state.Groups)
	}
}
