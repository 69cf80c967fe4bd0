package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"offsets/internal/kafkatest"
)

// TestPastOfACompactedLog has real brokers compact the commit log, and asks for
// what was committed before: what compaction took away is not certain, and never
// a target.
func TestPastOfACompactedLog(t *testing.T) {
	for _, version := range oldestAndNewest() {
		t.Run("kafka-"+string(version), func(t *testing.T) {
			t.Parallel()
			b := &realBroker{config: kafkatest.Config{Version: version, OffsetsPartitions: 1, Properties: map[string]string{
				"log.cleaner.backoff.ms": "200", "log.cleaner.min.cleanable.ratio": "0.001",
			}}}
			t.Cleanup(b.stop)
			cluster := b.get(t)
			cl, err := kgo.NewClient(kgo.SeedBrokers(cluster.Bootstrap), kgo.RecordPartitioner(kgo.ManualPartitioner()))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(cl.Close)
			w := &compactionWorld{T: t, cl: cl, adm: kadm.NewClient(cl), line: newCommandLine(t, cluster.Bootstrap)}
			w.play(cluster.DataDir())
		})
	}
}

type compactionWorld struct {
	*testing.T
	cl   *kgo.Client
	adm  *kadm.Client
	line commandLine
}

func (w *compactionWorld) commit(group string, partition int32, offset int64) {
	w.Helper()
	var os kadm.Offsets
	os.Add(kadm.Offset{Topic: "t", Partition: partition, At: offset, LeaderEpoch: -1})
	if err := retry(w.Context(), func() error { return w.adm.CommitAllOffsets(w.Context(), group, os) }); err != nil {
		w.Fatal(err)
	}
}

// offsets runs the program, which has to end with the code.
func (w *compactionWorld) offsets(code int, args ...string) (stdout, stderr string) {
	w.Helper()
	got, stdout, stderr := w.line.run(args...)
	if got != code {
		w.Fatalf("offsets %s: exit %d, want %d\n%s%s", strings.Join(args, " "), got, code, stdout, stderr)
	}
	return stdout, stderr
}

// then is what was committed at a time: offset and whether it is certain.
func (w *compactionWorld) then(args ...string) (rows string, complete bool) {
	w.Helper()
	stdout, _ := w.offsets(0, append([]string{"decode", "--state", "--group", "g", "-o", "json"}, args...)...)
	var doc struct {
		Groups []struct {
			Partitions []struct {
				Partition int32
				Committed *int64
				Certain   bool
			}
		}
		Complete bool
	}
	if err := json.Unmarshal([]byte(stdout), &doc); err != nil {
		w.Fatal(err)
	}
	for _, g := range doc.Groups {
		for _, p := range g.Partitions {
			committed := "-"
			if p.Committed != nil {
				committed = fmt.Sprint(*p.Committed)
			}
			rows += fmt.Sprintf("%d:%s:%v ", p.Partition, committed, p.Certain)
		}
	}
	return rows, doc.Complete
}

func (w *compactionWorld) play(data string) {
	if _, err := w.adm.CreateTopic(w.Context(), 4, 1, nil, "t"); err != nil {
		w.Fatal(err)
	}
	for p := range 4 {
		if err := given(w.Context(), w.cl, []string{"records", "t", fmt.Sprint(p), "20"}); err != nil {
			w.Fatal(err)
		}
	}
	w.commit("g", 1, 11)
	w.commit("g", 0, 7)
	w.commit("g", 0, 8)
	time.Sleep(1100 * time.Millisecond)
	at := time.Now().UTC().Truncate(time.Second).Format(time.RFC3339)
	time.Sleep(1100 * time.Millisecond)
	w.commit("g", 0, 9)
	w.commit("g", 2, 3)

	if rows, complete := w.then("--as-of", at); rows != "0:8:true 1:11:true " || !complete {
		w.Fatalf("before compaction: %s, complete: %v", rows, complete)
	}
	w.compact()
	for _, source := range [][]string{nil, {data}} {
		if rows, complete := w.then(append(source, "--as-of", at)...); rows != "0:-:false 1:11:true 2:-:false " || complete {
			w.Errorf("as of then (%v): %s, complete: %v", source, rows, complete)
		}
		if rows, complete := w.then(source...); rows != "0:9:true 1:11:true 2:3:true " || !complete {
			w.Errorf("at the end (%v): %s, complete: %v", source, rows, complete)
		}
	}
	_, stderr := w.offsets(0, "decode", "--state", "--group", "g", "--as-of", at)
	if !strings.Contains(stderr, "what is not listed may have been committed all the same") {
		w.Errorf("decode --state as a table: %s", stderr)
	}
	_, stderr = w.offsets(4, "reset", "g", "--to", "as-of:"+at, "--execute", "--settle", "0s")
	if !strings.Contains(stderr, "t-0,2: what was committed then is not certain") {
		w.Errorf("reset: nothing of t-0 and t-2: %s", stderr)
	}
	// Nothing tells that it never had a commit.
	if _, stderr = w.offsets(4, "reset", "g", "--to", "as-of:"+at, "--topic", "t:3", "--execute", "--settle", "0s"); !strings.Contains(stderr, "t-3: what was committed then is not certain") {
		w.Errorf("reset of a partition without records: %s", stderr)
	}
	w.offsets(0, "reset", "g", "--to", "as-of:"+at, "--topic", "t:1", "--execute", "--settle", "0s")
	w.history()
}

// compact rolls segments with commits of another group until the cleaner has
// taken away what was committed first.
func (w *compactionWorld) compact() {
	w.Helper()
	set := func(key, value string) kadm.AlterConfig {
		return kadm.AlterConfig{Op: kadm.SetConfig, Name: key, Value: &value}
	}
	if _, err := w.adm.AlterTopicConfigs(w.Context(), []kadm.AlterConfig{set("segment.ms", "300"), set("min.cleanable.dirty.ratio", "0.001")}, "__consumer_offsets"); err != nil {
		w.Fatal(err)
	}
	for i := range int64(60) {
		w.commit("filler", 0, i)
		stdout, _ := w.offsets(0, "decode", "--group", "g", "--kind", "offset_commit", "-o", "csv")
		if strings.Count(stdout, "\n") == 4 { // header, and one record of each partition
			return
		}
		time.Sleep(500 * time.Millisecond)
	}
	w.Fatal("the log is not compacted")
}

// history claims no more than what is left: nothing came before, as far as is
// known, and who was a member then is not.
func (w *compactionWorld) history() {
	w.Helper()
	stdout, _ := w.offsets(0, "history", "g", "-o", "jsonl")
	for line := range strings.Lines(stdout) {
		var e struct {
			Event     string
			Partition int32
			Committed int64
			Previous  *int64
			Known     bool `json:"previous_known"`
			Signs     []string
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			w.Fatal(err)
		}
		if e.Committed == 9 && (e.Previous != nil || e.Known || len(e.Signs) > 0) {
			w.Errorf("history: %s", line)
		}
	}
	stdout, _ = w.offsets(0, "history", "g")
	if !strings.Contains(stdout, "?") {
		w.Errorf("history as a table: %s", stdout)
	}
}
