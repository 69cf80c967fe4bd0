package main

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"offsets/internal/kafkatest"
	"offsets/internal/oracle/desk"
)

// TestDesk makes each call of the desk once, on both releases.
func TestDesk(t *testing.T) {
	for _, b := range brokers() {
		t.Run("kafka-"+string(b.config.Version), func(t *testing.T) {
			t.Parallel()
			cluster := b.get(t)
			d, err := desk.Start(t.Context(), cluster)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(d.Close)
			w := &deskWorld{T: t, Desk: d, cluster: cluster, topic: "desk-t", group: "desk-g"}
			w.tools()
			w.members()
			w.transactions()
			w.drain()
			w.shareGroups()
		})
	}
}

type deskWorld struct {
	*testing.T
	*desk.Desk
	cluster      *kafkatest.Cluster
	topic, group string
}

func (w *deskWorld) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatalf("%v\n%s", err, w.Log())
	}
}

func (w *deskWorld) tool(exit int, name string, args ...string) string {
	w.Helper()
	begun := time.Now()
	out, err := w.Tool(w.Context(), name, args...)
	w.must(err)
	w.Logf("%s %s: %d ms", name, strings.Join(args, " "), time.Since(begun).Milliseconds())
	if out.Exit != exit {
		w.Fatalf("%s %v: exit %d\n%s%s", name, args, out.Exit, out.Stdout, out.Stderr)
	}
	return out.Stdout
}

func (w *deskWorld) contains(got string, want ...string) {
	w.Helper()
	if !strings.Contains(strings.Join(strings.Fields(got), " "), strings.Join(want, " ")) {
		w.Fatalf("want %q in\n%s", want, got)
	}
}

// offset is a commit in partition 0 of the topic.
func (w *deskWorld) offset(at int64, metadata string) desk.Offset {
	return desk.Offset{Topic: w.topic, Offset: at, Metadata: metadata}
}

func (w *deskWorld) tools() {
	w.tool(0, "kafka-topics", "--create", "--topic", w.topic, "--partitions", "2")
	cl, err := kgo.NewClient(kgo.SeedBrokers(w.cluster.Bootstrap), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	w.must(err)
	defer cl.Close()
	w.must(given(w.Context(), cl, []string{"records", w.topic, "0", "10"}))
	w.contains(w.tool(0, "kafka-get-offsets", "--topic", w.topic), w.topic+":0:10")
	w.tool(0, "kafka-configs", "--alter", "--entity-type", "topics", "--entity-name", w.topic, "--add-config", "retention.ms=-1")
	w.tool(0, "kafka-consumer-groups", "--reset-offsets", "--group", w.group, "--topic", w.topic+":0", "--to-offset", "4", "--execute")
	w.contains(w.tool(0, "kafka-consumer-groups", "--describe", "--group", w.group), w.group, w.topic, "0 4 10 6")
	w.tool(1, "kafka-consumer-groups", "--describe", "--frobnicate")
	segments, err := filepath.Glob(filepath.Join(w.cluster.DataDir(), w.topic+"-0", "*.log"))
	w.must(err)
	w.contains(w.tool(0, "kafka-dump-log", "--files", segments[0], "--print-data-log"), `{"number": 9}`)
	if _, err := w.Tool(w.Context(), "kafka-nothing"); !errors.Is(err, desk.ErrUnsupported) {
		w.Fatal(err)
	}
}

func (w *deskWorld) members() {
	for _, p := range []desk.Protocol{desk.Classic, desk.Consumer} {
		m, err := w.Open(w.Context(), desk.MemberOptions{Group: w.group + string(p), Protocol: p, ClientID: "cl", Topics: []string{w.topic}, Policy: "earliest"})
		if p == desk.Consumer && w.cluster.Version == kafkatest.V360 {
			if !errors.Is(err, desk.ErrUnsupported) {
				w.Fatal(err)
			}
			continue
		}
		w.must(err)
		tps, err := m.Join(w.Context())
		w.must(err)
		records, err := m.Poll(w.Context(), 3, 10*time.Second)
		w.must(err)
		if len(tps) != 2 || len(records) != 3 || string(records[2].Value) != `{"number": 2}` {
			w.Fatal(tps, records)
		}
		w.must(m.CommitPolled(w.Context()))
		w.contains(w.tool(0, "kafka-consumer-groups", "--describe", "--group", w.group+string(p)), w.topic, "0 3 10 7")
		w.must(m.Abandon(w.Context()))
		w.contains(w.tool(0, "kafka-consumer-groups", "--describe", "--group", w.group+string(p), "--members"), "/127.0.0.1 cl 2")
		if _, err := m.Poll(w.Context(), 1, time.Second); !desk.Is(err, "IllegalStateException") {
			w.Fatal(err)
		}
	}
	epoch := int32(0)
	m, err := w.Open(w.Context(), desk.MemberOptions{Group: w.group, Assign: []desk.TopicPartition{{Topic: w.topic}}, SessionTimeout: 6 * time.Second})
	w.must(err)
	o := w.offset(5, "from java")
	o.LeaderEpoch = &epoch
	w.must(m.Commit(w.Context(), o))
	w.must(m.Close(w.Context()))
	got, err := w.GroupOffsets(w.Context(), w.group, true)
	w.must(err)
	if len(got) != 1 || got[0].Offset != 5 || got[0].Metadata != "from java" || *got[0].LeaderEpoch != 0 {
		w.Fatal(got)
	}
}

func (w *deskWorld) transactions() {
	x, err := w.Txn(w.Context(), "desk-x", time.Minute)
	w.must(err)
	w.must(x.Begin(w.Context()))
	sent, err := x.Send(w.Context(), desk.Record{Topic: w.topic, Partition: 1, Timestamp: 1000, Value: []byte("a")})
	w.must(err)
	if sent[0].Offset != 0 {
		w.Fatal(sent)
	}
	w.must(x.SendOffsets(w.Context(), w.group, w.offset(6, "")))
	w.must(x.Commit(w.Context()))
	w.must(x.Begin(w.Context()))
	w.must(x.SendOffsets(w.Context(), w.group, w.offset(7, "")))
	w.must(x.Abort(w.Context()))
	w.must(x.Begin(w.Context()))
	w.must(x.SendOffsets(w.Context(), w.group, w.offset(8, "")))
	got, err := w.GroupOffsets(w.Context(), w.group, false)
	w.must(err)
	if got[0].Offset != 6 {
		w.Fatal(got)
	}
	w.contains(w.tool(0, "kafka-transactions", "list"), "desk-x")
	w.must(x.Abandon(w.Context()))
	x, err = w.Txn(w.Context(), "desk-x", time.Minute) // ends what was left open
	w.must(err)
	w.must(x.Close(w.Context()))
}

func (w *deskWorld) drain() {
	records, err := w.Drain(w.Context(), w.group, []string{w.topic})
	w.must(err)
	if len(records) != 5 {
		w.Fatal(records)
	}
	_, err = w.DrainWith(w.Context(), desk.MemberOptions{Group: w.group + "-none", Topics: []string{w.topic}, Policy: "none"})
	if !desk.Is(err, "NoOffsetForPartitionException") {
		w.Fatal(err)
	}
	w.tool(0, "kafka-consumer-groups", "--reset-offsets", "--group", w.group, "--topic", w.topic, "--to-latest", "--execute")
	if records, err = w.Drain(w.Context(), w.group, []string{w.topic}); err != nil || len(records) != 0 {
		w.Fatal(records, err)
	}
	m, err := w.Open(w.Context(), desk.MemberOptions{Group: w.group, Assign: []desk.TopicPartition{{Topic: w.topic}}})
	w.must(err)
	w.must(m.Commit(w.Context(), w.offset(1000, "")))
	w.must(m.Close(w.Context()))
	if records, err = w.Drain(w.Context(), w.group, []string{w.topic}); err != nil || len(records) != 10 {
		w.Fatal("a commit past the end: ", len(records), err)
	}
}

func (w *deskWorld) shareGroups() {
	group := w.group + "-share"
	m, err := w.Open(w.Context(), desk.MemberOptions{Group: group, Protocol: desk.Share, Topics: []string{w.topic}})
	if w.cluster.Version == kafkatest.V360 {
		if !errors.Is(err, desk.ErrUnsupported) {
			w.Fatal(err)
		}
		return
	}
	w.must(err)
	w.must(w.AlterShareOffsets(w.Context(), group, w.offset(6, "")))
	records, err := m.Poll(w.Context(), 10, 15*time.Second)
	w.must(err)
	if len(records) != 4 || records[0].Offset != 6 || *records[0].DeliveryCount != 1 {
		w.Fatal(records)
	}
	w.must(m.Acknowledge(w.Context(), desk.AckAll(records, "accept")...))
	w.must(m.Close(w.Context()))
	m, err = w.Open(w.Context(), desk.MemberOptions{Group: group, Protocol: desk.Share, ClientID: "abandoned", Topics: []string{w.topic}})
	w.must(err)
	_, err = m.Poll(w.Context(), 10, time.Second)
	w.must(err)
	w.must(m.Abandon(w.Context()))
	offsets, err := w.ShareOffsets(w.Context(), group)
	w.must(err)
	if len(offsets) == 0 || offsets[0].Lag == nil {
		w.Fatal(offsets)
	}
	w.contains(w.tool(0, "kafka-share-groups", "--describe", "--group", group), group, w.topic, "0")
	w.contains(w.tool(0, "kafka-share-groups", "--describe", "--group", group, "--members"), "/127.0.0.1 abandoned")
}
