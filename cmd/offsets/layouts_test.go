package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"offsets/inspect"
	"offsets/internal/kafkatest"
)

// TestLogOfOlderReleases lets brokers of older releases write what only they
// write: early layouts of KIP-848 and share groups under version 0, and message
// formats v0 and v1. All of it is decoded, from files as from the broker, and
// agrees with the release's own kafka-dump-log as far as that one knows it.
func TestLogOfOlderReleases(t *testing.T) {
	early := map[string]string{
		"unstable.api.versions.enable": "true", "group.coordinator.new.enable": "true",
		"group.coordinator.rebalance.protocols": "classic,consumer",
	}
	share := map[string]string{
		"unstable.api.versions.enable": "true", "group.share.enable": "true",
		"group.coordinator.rebalance.protocols": "classic,consumer,share",
	}
	format := func(version string) map[string]string {
		return map[string]string{"inter.broker.protocol.version": "2.8", "log.message.format.version": version, "offsets.topic.compression.codec": "1"}
	}
	kip848 := []string{
		"consumer_group_metadata", "consumer_group_partition_metadata", "consumer_group_member_metadata", "consumer_group_target_assignment_metadata",
		"consumer_group_target_assignment_member", "consumer_group_current_member_assignment", "offset_commit",
	}
	shareGroup := []string{"share_group_metadata", "share_group_member_metadata"}
	classic := []string{"offset_commit", "group_metadata"}
	for _, c := range []struct {
		name    string
		version kafkatest.Version
		magic   byte
		props   map[string]string
		members []string
		kinds   []string
		dumped  func(kind string) bool // what the release's own tool decodes
	}{
		{"message format v0", kafkatest.V360, 0, format("0.9.0"), []string{"classic"}, classic, nil},
		{"message format v1", kafkatest.V360, 1, format("0.10.0"), []string{"classic"}, classic, nil},
		{"3.7.2", kafkatest.V372, 2, early, []string{"classic", "consumer"}, kip848, nil},
		{"3.9.1", kafkatest.V391, 2, share, []string{"classic", "consumer", "share"}, append(slices.Clone(shareGroup), kip848...), func(kind string) bool { return !strings.HasPrefix(kind, "share_") }},
		{"4.0.0", kafkatest.V400, 2, share, []string{"classic", "consumer", "share", "regex"}, slices.Concat(shareGroup, kip848, []string{"consumer_group_regular_expression"}), func(string) bool { return true }},
	} {
		t.Run(c.name, func(t *testing.T) {
			older := &realBroker{config: kafkatest.Config{Version: c.version, OffsetsPartitions: 5, Properties: c.props}}
			defer older.stop()
			cluster := older.get(t)
			topic := leaveMembers(t, cluster, c.members)
			rows := wholeLog(t, cluster)
			if got := magic(t, cluster); got != c.magic {
				t.Errorf("the broker wrote message format v%d, want v%d", got, c.magic)
			}
			kinds := map[string]int{}
			for i := range rows {
				kinds[rows[i].Kind]++
			}
			for _, kind := range c.kinds {
				if kinds[kind] == 0 {
					t.Errorf("no %s among %v", kind, kinds)
				}
			}
			checkMembers(t, rows, topic)
			checkState(t, cluster)
			if c.dumped != nil {
				likeDumpLog(t, cluster, rows, c.dumped)
			}
			t.Logf("decoded: %v", kinds)
		})
	}
}

// topicInUse is a topic that members read, with its id.
type topicInUse struct {
	name string
	id   string
}

// leaveMembers runs members of groups, one after the other; each reads
// something, commits it if its kind does that, and leaves.
func leaveMembers(t *testing.T, cluster *kafkatest.Cluster, members []string) topicInUse {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	cl, err := kgo.NewClient(kgo.SeedBrokers(cluster.Bootstrap), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.DisableIdempotentWrite())
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	const name = "members"
	for _, args := range [][]string{{"topic", name, "2"}, {"records", name, "0", "5"}, {"records", name, "1", "5"}} {
		if err := given(ctx, cl, args); err != nil {
			t.Fatalf("given %v: %v", args, err)
		}
	}
	for _, member := range members {
		cmd := cluster.ConsoleConsumer(ctx, "--topic", name, "--group", "member-"+member, "--from-beginning", "--max-messages", "10", "--timeout-ms", "30000")
		switch member {
		case "consumer":
			cmd.Args = append(cmd.Args, "--consumer-property", "group.protocol=consumer")
		case "share":
			cmd = cluster.Java(ctx, javaProgram(t, "ShareMember"), cluster.Bootstrap, "member-share", name, "3000")
		case "regex":
			cmd = cluster.Java(ctx, javaProgram(t, "RegexMember"), cluster.Bootstrap, "member-regex", "memb.*s")
		case "streams":
			cmd = cluster.Java(ctx, javaProgram(t, "StreamsMember"), cluster.Bootstrap, "member-streams", name)
		}
		if out, err := cmd.CombinedOutput(); err != nil || strings.Contains(string(out), "Processed a total of 0 messages") {
			t.Fatalf("%s member: %v: %s", member, err, out)
		}
	}
	topics, err := kadm.NewClient(cl).ListTopics(ctx, name)
	if err != nil {
		t.Fatal(err)
	}
	id := topics[name].ID
	return topicInUse{name, base64.RawURLEncoding.EncodeToString(id[:])}
}

// magic is the message format that the broker wrote the commit log in.
func magic(t *testing.T, cluster *kafkatest.Cluster) byte {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(cluster.DataDir(), "__consumer_offsets-*", "*.log"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if b, err := os.ReadFile(file); err == nil && len(b) > 16 {
			return b[16]
		}
	}
	t.Fatal("nothing in the commit log")
	return 0
}

func javaProgram(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("testdata", "java", name+".java"))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// wholeLog reads the commit log from the files and from the broker, which must
// show the same.
func wholeLog(t *testing.T, cluster *kafkatest.Cluster) []inspect.LogRecord {
	t.Helper()
	ctx := context.Background()
	cl, err := kgo.NewClient(kgo.SeedBrokers(cluster.Bootstrap))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	var live, files []inspect.LogRecord
	for row, err := range inspect.New(cl).ReadLog(ctx, inspect.LogFilter{}) {
		if err != nil {
			t.Fatal(err)
		}
		if row.Error != nil {
			t.Errorf("%s at offset %d of partition %d: %s", row.Kind, row.Offset, *row.Partition, *row.Error)
		}
		live = append(live, row)
	}
	for row, err := range inspect.ReadLogFiles(ctx, []string{cluster.DataDir()}, inspect.LogFilter{}) {
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, row)
	}
	if a, b := asJSON(t, live), asJSON(t, files); a != b {
		t.Errorf("live:\n%s\nfrom files:\n%s", a, b)
	}
	return live
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// checkMembers looks whether the records of KIP-848 members say what those
// members did: dump-log does not know the early layouts.
func checkMembers(t *testing.T, rows []inspect.LogRecord, topic topicInUse) {
	t.Helper()
	topics := 0
	for i := range rows {
		row := &rows[i]
		if row.Tombstone || !strings.HasPrefix(row.Kind, "consumer_group_") {
			continue
		}
		var v struct {
			SubscribedTopicNames []string
			SubscribedTopicRegex *string
			Topics               []any
			TopicPartitions      []struct {
				TopicID    string
				Partitions []int
			}
		}
		if err := json.Unmarshal([]byte(asJSON(t, row.Value)), &v); err != nil {
			t.Fatal(err)
		}
		switch row.Kind {
		case "consumer_group_member_metadata":
			if v.SubscribedTopicRegex == nil || *v.SubscribedTopicRegex == "" {
				if !reflect.DeepEqual(v.SubscribedTopicNames, []string{topic.name}) {
					t.Errorf("member subscribes to %v: %s", v.SubscribedTopicNames, asJSON(t, row))
				}
			}
		case "consumer_group_target_assignment_member":
			for _, a := range v.TopicPartitions {
				slices.Sort(a.Partitions)
				if a.TopicID != topic.id || !reflect.DeepEqual(a.Partitions, []int{0, 1}) {
					t.Errorf("assignment of %s %v, want %s: %s", a.TopicID, a.Partitions, topic.id, asJSON(t, row))
				}
			}
		case "consumer_group_partition_metadata":
			topics += len(v.Topics) // none any more when the last member is gone
		}
	}
	if topics == 0 && slices.ContainsFunc(rows, func(r inspect.LogRecord) bool { return r.Kind == "consumer_group_partition_metadata" && !r.Tombstone }) {
		t.Error("no topic in any consumer_group_partition_metadata")
	}
}

// likeDumpLog compares rows with what kafka-dump-log of the broker's release
// prints of the same files, record by record.
func likeDumpLog(t *testing.T, cluster *kafkatest.Cluster, rows []inspect.LogRecord, known func(kind string) bool) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(cluster.DataDir(), "__consumer_offsets-*", "*.log"))
	if err != nil {
		t.Fatal(err)
	}
	theirs := map[string][2]json.RawMessage{}
	for _, file := range files {
		if info, err := os.Stat(file); err != nil || info.Size() == 0 {
			continue
		}
		folder := filepath.Base(filepath.Dir(file))
		for offset, record := range dumpLog(t, cluster, file) {
			theirs[fmt.Sprintf("%s %d", strings.TrimPrefix(folder, "__consumer_offsets-"), offset)] = record
		}
	}
	compared := map[string]int{}
	for i := range rows {
		row := &rows[i]
		if row.Kind == "control" || !known(row.Kind) {
			continue
		}
		record, ok := theirs[fmt.Sprintf("%d %d", *row.Partition, row.Offset)]
		if !ok {
			t.Errorf("kafka-dump-log does not show %s at offset %d of partition %d", row.Kind, row.Offset, *row.Partition)
			continue
		}
		compared[row.Kind]++
		for j, v := range []any{row.Key, row.Value} {
			b, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			same(t, fmt.Sprintf("%s at offset %d of partition %d", row.Kind, row.Offset, *row.Partition), []string{"key", "value"}[j], b, record[j])
		}
	}
	if len(compared) == 0 {
		t.Error("nothing compared")
	}
	t.Logf("compared: %v", compared)
}
