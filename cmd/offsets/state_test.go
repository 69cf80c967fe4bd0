package main

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"offsets/inspect"
	"offsets/inspect/commitlog"
	"offsets/internal/kafkatest"
)

// TestStateEqualsOffsetFetch runs after the scripts, on the brokers that they
// left busy: replaying the commit log gives, for every group, what the broker
// answers to OffsetFetch.
func TestStateEqualsOffsetFetch(t *testing.T) {
	for _, b := range brokers() {
		t.Run(string(b.config.Version), func(t *testing.T) { checkState(t, b.get(t)) })
	}
}

func checkState(t *testing.T, cluster *kafkatest.Cluster) {
	t.Helper()
	ctx := context.Background()
	cl, err := kgo.NewClient(kgo.SeedBrokers(cluster.Bootstrap))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	c := inspect.New(cl)
	s := c.State(ctx, inspect.StateOptions{Problem: func(err error) { t.Error(err) }})
	replayed := map[string]string{}
	for _, g := range s.Groups {
		for _, p := range g.Partitions {
			if p.Committed != nil {
				replayed[fmt.Sprintf("%s %s-%d", g.Group, p.Topic, p.Partition)] = fmt.Sprintf("%d %q", *p.Committed, *p.Metadata)
			}
		}
	}
	known, err := c.Groups(ctx)
	if err != nil {
		t.Fatal(err)
	}
	d, err := c.Describe(ctx, known.Names, inspect.DescribeOptions{Known: known})
	if err != nil {
		t.Fatal(err)
	}
	fetched := map[string]string{}
	for g, err := range d.Groups {
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range g.Partitions {
			if p.Committed != nil && g.Type != inspect.Share { // start offsets are elsewhere
				fetched[fmt.Sprintf("%s %s-%d", g.Group, p.Topic, p.Partition)] = fmt.Sprintf("%d %q", *p.Committed, *p.Metadata)
			}
		}
	}
	for key, want := range fetched {
		if replayed[key] != want {
			t.Errorf("%s: the log says %s, the broker %s", key, replayed[key], want)
		}
	}
	for key, got := range replayed {
		if _, ok := fetched[key]; !ok {
			t.Errorf("%s: the log says %s, the broker nothing", key, got)
		}
	}
	t.Logf("%d commits of %d groups compared", len(fetched), len(known.Names))
}

// TestCommitLogLikeDumpLog compares the commit log that the scripts left on the
// real 4.x brokers (classic and KIP-848 groups, transactions, deletions), and
// that members of every other type of group leave, with what kafka-dump-log
// prints of the same files, record by record.
func TestCommitLogLikeDumpLog(t *testing.T) { onKRaft(t, commitLogLikeDumpLog) }

func commitLogLikeDumpLog(t *testing.T, cluster *kafkatest.Cluster) {
	leaveMembers(t, cluster, []string{"classic", "consumer", "regex", "share", "streams"})
	leaveTransaction(t, cluster)
	rows := wholeLog(t, cluster)
	kinds := map[string]int{}
	for i := range rows {
		kinds[rows[i].Kind]++
	}
	for _, kind := range commitlog.Kinds() {
		switch kind {
		case "legacy_offset_commit", "share_group_partition_metadata", "consumer_group_partition_metadata", commitlog.KindDamagedBatch, commitlog.KindUnknown:
			continue // not written by 4.3 and 4.4
		}
		if kinds[string(kind)] == 0 {
			t.Errorf("no %s among %v", kind, kinds)
		}
	}
	likeDumpLog(t, cluster, rows, func(string) bool { return true })
	describesEveryType(t, cluster)
}

// describesEveryType: each member's group is described by the call of its type,
// with what it has committed.
func describesEveryType(t *testing.T, cluster *kafkatest.Cluster) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(cluster.Bootstrap))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	types := map[string]string{"member-classic": "classic", "member-consumer": "consumer", "member-regex": "consumer", "member-share": "share", "member-streams": "streams"}
	d, err := inspect.New(cl).Describe(t.Context(), slices.Sorted(maps.Keys(types)), inspect.DescribeOptions{Pending: true, Time: true, Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	described := 0
	for g, err := range d.Groups {
		if err != nil {
			t.Fatal(err)
		}
		described++
		if g.Type != types[g.Group] || g.State == "" || g.Coordinator == nil || g.Type != "share" && len(g.Partitions) == 0 {
			t.Errorf("%+v, want type %s", g, types[g.Group])
		}
		for _, p := range g.Partitions {
			if p.Error != nil {
				t.Errorf("%s: %+v: %s", g.Group, p, *p.Error)
			}
		}
	}
	if described != len(types) || len(d.Problems) > 0 {
		t.Errorf("%d groups described, problems %v", described, d.Problems)
	}
}

func leaveTransaction(t *testing.T, cluster *kafkatest.Cluster) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(cluster.Bootstrap))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	for _, end := range []string{"commit", "abort"} {
		if err := givenTransaction(context.Background(), cl, "member-transaction", "members", 0, 3, end, func() error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
}

// kafkaRow is a line of kafka-consumer-groups --describe.
var kafkaRow = regexp.MustCompile(`^(\S+) +(\S+) +(\d+) +(\d+|-) +(\d+|-) +(-?\d+|-) `)

// TestDescribeLikeKafkasTool compares all groups that the scripts left, row by
// row, with what kafka-consumer-groups shows: where the commit lies in the log,
// the numbers are the same.
func TestDescribeLikeKafkasTool(t *testing.T) {
	for _, b := range brokers() {
		t.Run(string(b.config.Version), func(t *testing.T) {
			cluster := b.get(t)
			cl, err := kgo.NewClient(kgo.SeedBrokers(cluster.Bootstrap), kgo.RecordPartitioner(kgo.ManualPartitioner()))
			if err != nil {
				t.Fatal(err)
			}
			defer cl.Close()
			for _, args := range [][]string{{"topic", "like-kafka", "2"}, {"records", "like-kafka", "0", "9"}, {"records", "like-kafka", "1", "1"}, {"commit", "like-kafka", "like-kafka", "0", "4"}, {"commit", "like-kafka", "like-kafka", "1", "0"}} {
				if err := given(t.Context(), cl, args); err != nil {
					t.Fatal(err)
				}
			}
			c := inspect.New(cl)
			known, err := c.Groups(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			d, err := c.Describe(t.Context(), known.Names, inspect.DescribeOptions{Known: known})
			if err != nil {
				t.Fatal(err)
			}
			ours := map[string]*inspect.Partition{}
			for g, err := range d.Groups {
				if err != nil {
					t.Fatal(err)
				}
				for i := range g.Partitions {
					p := &g.Partitions[i]
					ours[fmt.Sprintf("%s %s %d", g.Group, p.Topic, p.Partition)] = p
				}
			}
			out, err := cluster.ConsumerGroups(t.Context(), "--describe", "--all-groups").Output()
			if err != nil {
				t.Fatal(err)
			}
			compared := 0
			for line := range strings.Lines(string(out)) {
				m := kafkaRow.FindStringSubmatch(line)
				if m == nil {
					continue
				}
				p := ours[m[1]+" "+m[2]+" "+m[3]]
				if p == nil {
					t.Errorf("not shown: %s", line)
					continue
				}
				if p.Status != inspect.Behind && p.Status != inspect.CaughtUp {
					continue // the tool has no word for the others
				}
				compared++
				if got := fmt.Sprintf("%d %d %d", *p.Committed, *p.LogEnd, *p.Lag); got != strings.Join(m[4:7], " ") {
					t.Errorf("%s: %s, kafka-consumer-groups says %s", m[1:4], got, m[4:7])
				}
			}
			if compared < 2 {
				t.Errorf("%d rows compared with\n%s", compared, out)
			}
			t.Logf("%d of %d rows compared", compared, len(ours))
		})
	}
}
