package inspect_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"offsets/inspect"
	"offsets/internal/sandbox"
	"offsets/reset"
)

// writes are the requests that change something, or make a group notice.
func writes(key kmsg.Key) bool {
	switch key {
	case kmsg.Produce, kmsg.OffsetCommit, kmsg.OffsetDelete, kmsg.DeleteGroups, kmsg.DeleteRecords, kmsg.DeleteTopics, kmsg.CreateTopics,
		kmsg.CreatePartitions, kmsg.JoinGroup, kmsg.SyncGroup, kmsg.Heartbeat, kmsg.LeaveGroup, kmsg.ConsumerGroupHeartbeat, kmsg.ShareGroupHeartbeat,
		kmsg.TxnOffsetCommit, kmsg.AddOffsetsToTxn, kmsg.AddPartitionsToTxn, kmsg.EndTxn, kmsg.InitProducerID, kmsg.WriteTxnMarkers,
		kmsg.AlterConfigs, kmsg.IncrementalAlterConfigs, kmsg.AlterShareGroupOffsets, kmsg.DeleteShareGroupOffsets:
		return true
	}
	return false
}

// Nothing in this package writes, and neither does a plan: all of it runs
// against a broker that fails every such request, and counts them.
func TestNothingHereWrites(t *testing.T) {
	ctx := t.Context()
	var forbidden atomic.Bool
	var mu sync.Mutex
	var seen []string
	requests := map[kmsg.Key]int{}
	s, err := sandbox.Start(sandbox.Options{Topics: map[string]int32{"t": 3}, Refuse: func(key kmsg.Key) error {
		mu.Lock()
		defer mu.Unlock()
		requests[key]++
		if forbidden.Load() && writes(key) {
			seen = append(seen, key.Name())
			return errors.New("write refused")
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	cl, err := kgo.NewClient(kgo.SeedBrokers(s.Addr), kgo.DefaultProduceTopic("t"))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	fill(ctx, t, cl)
	forbidden.Store(true)

	c := inspect.New(cl)
	l, err := c.List(ctx, inspect.ListOptions{Topic: "t", Lag: true})
	if err != nil || len(l.Groups) != 1 {
		t.Fatalf("List: %v, %v", l, err)
	}
	d, err := c.Describe(ctx, []string{"g", "unknown"}, inspect.DescribeOptions{AllPartitions: true, Pending: true, Time: true, Exact: true, Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	for g, err := range d.Groups {
		if err != nil {
			t.Fatal(err)
		}
		p, problems, err := c.Policies(ctx, g, inspect.PolicyOptions{Since: time.Now(), Expiry: true})
		if err != nil || len(problems) > 0 || len(p.Partitions) != 3 {
			t.Fatalf("Policies: %v, %v", p, err)
		}
	}
	n := 0
	for _, err := range c.ReadLog(ctx, inspect.LogFilter{}) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n == 0 {
		t.Error("ReadLog found no record")
	}
	plans, _, err := reset.New(cl).Plans(ctx, []string{"g"}, reset.Options{To: reset.Earliest(), Now: time.Now()}, false)
	if err != nil || len(plans) != 1 {
		t.Fatalf("Plans: %v, %v", plans, err)
	}
	for _, to := range []reset.Position{reset.Since(time.Now()), reset.AsOf(time.Now()), reset.Ago(time.Hour)} {
		plans, _, err := reset.New(cl).Plans(ctx, []string{"g"}, reset.Options{To: to, Now: time.Now()}, false)
		if err != nil || len(plans) != 1 {
			t.Fatalf("Plans to %s: %v, %v", to, plans, err)
		}
		if err := reset.New(cl).Times(ctx, &plans[0]); err != nil {
			t.Fatalf("Times: %v", err)
		}
	}
	if _, err := reset.New(cl).RestorePlan(ctx, "g", []reset.Wanted{{TopicPartition: inspect.TopicPartition{Topic: "t", Partition: 1}}}, reset.RestoreOptions{}); err != nil {
		t.Fatalf("RestorePlan: %v", err)
	}
	if _, _, err := reset.New(cl).DeletePlans(ctx, []string{"g"}, reset.DeleteOptions{}); err != nil {
		t.Fatalf("DeletePlans: %v", err)
	}
	forbidden.Store(false)
	if err := kadm.NewClient(cl).CommitAllOffsets(ctx, "g", offsets("t", 0, 1)); err != nil {
		t.Errorf("a write is not possible at all: %v", err)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(seen) > 0 {
		t.Errorf("write requests were sent: %v", seen)
	}
	for _, key := range []kmsg.Key{kmsg.ListGroups, kmsg.OffsetFetch, kmsg.ListOffsets, kmsg.Fetch} {
		if requests[key] == 0 {
			t.Errorf("no %s request was seen: the test does not see what it should", key.Name())
		}
	}
}

func offsets(topic string, partition int32, at int64) kadm.Offsets {
	var os kadm.Offsets
	os.Add(kadm.Offset{Topic: topic, Partition: partition, At: at, LeaderEpoch: -1})
	return os
}

func fill(ctx context.Context, t *testing.T, cl *kgo.Client) {
	t.Helper()
	for i := range 10 {
		if err := cl.ProduceSync(ctx, &kgo.Record{Value: fmt.Append(nil, i)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	if err := kadm.NewClient(cl).CommitAllOffsets(ctx, "g", offsets("t", 1, 0)); err != nil {
		t.Fatal(err)
	}
}
