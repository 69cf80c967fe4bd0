package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"offsets/inspect/commitlog"
	"offsets/inspect/commitlog/commitlogtest"
	"offsets/internal/kafkatest"
)

// dumped is what kafka-dump-log prints of a record.
var dumped = regexp.MustCompile(`\| offset: (\d+) .* key: (\{.*\}) payload: (\{.*\}|<DELETE>)$`)

// TestEveryTypeLikeDumpLog writes records of every type to a topic of real 4.x
// brokers, and compares what we decode of its segment file with what
// Kafka's own kafka-dump-log prints of it, field by field.
func TestEveryTypeLikeDumpLog(t *testing.T) {
	onKRaft(t, everyTypeLikeDumpLog)
}

// onKRaft runs a test on each real broker that is a 4.x.
func onKRaft(t *testing.T, test func(*testing.T, *kafkatest.Cluster)) {
	for _, b := range brokers() {
		if b.config.Version.KRaft() {
			t.Run(string(b.config.Version), func(t *testing.T) { test(t, b.get(t)) })
		}
	}
}

func everyTypeLikeDumpLog(t *testing.T, cluster *kafkatest.Cluster) {
	ctx := context.Background()
	cl, err := kgo.NewClient(kgo.SeedBrokers(cluster.Bootstrap), kgo.DefaultProduceTopic("every-type"), kgo.ProducerBatchCompression(kgo.ZstdCompression()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if _, err := kadm.NewClient(cl).CreateTopic(ctx, 1, 1, nil, "every-type"); err != nil {
		t.Fatal(err)
	}
	d := commitlog.NewDecoder()
	var records []*kgo.Record
	commitlogtest.Samples(25, func(typ int16, key, value any) {
		if typ == 9 {
			return // 4.3 has no schema of it any more
		}
		k, v := d.Encode(typ, key, value)
		records = append(records, &kgo.Record{Key: k, Value: v})
	})
	if err := cl.ProduceSync(ctx, records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(cluster.DataDir(), "every-type-0", "00000000000000000000.log")
	theirs := dumpLog(t, cluster, file)
	if len(theirs) != len(records) {
		t.Fatalf("kafka-dump-log shows %d records, want %d", len(theirs), len(records))
	}
	for i, r := range records {
		ours := d.Decode(r.Key, r.Value)
		theirs := theirs[r.Offset]
		if ours.Err != nil {
			t.Fatalf("record %d: %v", i, ours.Err)
		}
		same(t, string(ours.Kind), "key", d.AppendJSON(nil, ours.Key), theirs[0])
		same(t, string(ours.Kind), "value", d.AppendJSON(nil, ours.Value), theirs[1])
	}
}

// dumpLog is key and value of the records that kafka-dump-log decodes in one
// file, by offset.
func dumpLog(t *testing.T, cluster *kafkatest.Cluster, file string) map[int64][2]json.RawMessage {
	t.Helper()
	out := map[int64][2]json.RawMessage{}
	cmd := cluster.DumpLog(context.Background(), "--offsets-decoder", "--files", file)
	text, err := cmd.Output()
	if err != nil {
		var stderr []byte
		if exit, ok := err.(*exec.ExitError); ok {
			stderr = exit.Stderr
		}
		t.Fatalf("kafka-dump-log: %v: %s", err, stderr)
	}
	for line := range strings.Lines(string(text)) {
		m := dumped.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			continue // a marker, or a type that the release does not know
		}
		var pair [2]json.RawMessage
		for i, text := range m[2:4] {
			if text == "<DELETE>" {
				pair[i] = json.RawMessage("null")
				continue
			}
			var doc struct{ Data json.RawMessage }
			if err := json.Unmarshal([]byte(text), &doc); err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			pair[i] = doc.Data
		}
		offset, err := strconv.ParseInt(m[1], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		out[offset] = pair
	}
	return out
}

// same compares as values: Kafka has another order of fields, and 4.3 does not
// show tagged fields that it does not know.
func same(t *testing.T, where, what string, ours, theirs []byte) {
	t.Helper()
	var a, b any
	if err := json.Unmarshal(ours, &a); err != nil {
		t.Fatalf("%s: %v", ours, err)
	}
	if err := json.Unmarshal(theirs, &b); err != nil {
		t.Fatalf("%s: %v", theirs, err)
	}
	if !reflect.DeepEqual(likeTheirs(a, b), b) {
		t.Errorf("%s, %s:\nours   %s\nKafka's %s", where, what, bytes.TrimSpace(ours), theirs)
	}
}

// likeTheirs leaves out what Kafka's tool does not print: unknown tags, and before 4.4
// the fields that came with it.
func likeTheirs(ours, theirs any) any {
	switch ours := ours.(type) {
	case map[string]any:
		of, _ := theirs.(map[string]any)
		for _, later := range []string{"unknownTags", "storedDescriptionTopologyEpoch", "failedDescriptionTopologyEpoch"} {
			if _, printed := of[later]; !printed {
				delete(ours, later)
			}
		}
		for k := range ours {
			ours[k] = likeTheirs(ours[k], of[k])
		}
	case []any:
		of, _ := theirs.([]any)
		for i := range ours {
			var their any
			if i < len(of) {
				their = of[i]
			}
			ours[i] = likeTheirs(ours[i], their)
		}
	}
	return ours
}
