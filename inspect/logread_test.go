package inspect_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"offsets/inspect"
	"offsets/inspect/commitlog"
	"offsets/internal/sandbox"
)

// The fast lines are the rows' JSON, byte for byte: commits, tombstones, names
// that need escaping, and what is no commit.
func TestLinesAreTheRows(t *testing.T) {
	s, err := sandbox.Start(sandbox.Options{Topics: map[string]int32{"t": 3}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	cl, err := kgo.NewClient(kgo.SeedBrokers(s.Addr))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	for i, group := range []string{"g", "größe", "a\"b\\c\n", "<&>"} {
		var os kadm.Offsets
		for p := range int32(3) {
			os.Add(kadm.Offset{Topic: "t", Partition: p, At: int64(i), LeaderEpoch: p - 1, Metadata: fmt.Sprintf("m\x01%d", i)})
		}
		if err := adm.CommitAllOffsets(t.Context(), group, os); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := adm.DeleteGroup(t.Context(), "g"); err != nil {
		t.Fatal(err)
	}
	c := inspect.New(cl)
	var rows, lines bytes.Buffer
	enc := json.NewEncoder(&rows)
	enc.SetEscapeHTML(false)
	n := 0
	for r, err := range c.ReadLog(t.Context(), inspect.LogFilter{}) {
		if err != nil {
			t.Fatal(err)
		}
		n++
		if err := enc.Encode(r); err != nil {
			t.Fatal(err)
		}
	}
	count := 0
	for l, err := range c.ReadLogLines(t.Context(), inspect.LogFilter{}) {
		if err != nil {
			t.Fatal(err)
		}
		lines.Write(l.JSON)
		count += l.Count
	}
	if n != 16 || count != n || rows.String() != lines.String() {
		t.Errorf("%d rows:\n%s%d lines:\n%s", n, rows.String(), count, lines.String())
	}
}

// A group of which the records lie in another partition than its name says, as
// after the partition count of the topic was changed: it is found, and told.
func TestMisplacedGroup(t *testing.T) {
	s, err := sandbox.Start(sandbox.Options{Topics: map[string]int32{"t": 1}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	cl, err := kgo.NewClient(kgo.SeedBrokers(s.Addr), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	own := commitlog.PartitionOf("moved", 50)
	value := commitlog.OffsetCommitValue{Version: 4, Offset: 7, LeaderEpoch: -1, CommitTimestamp: 1}
	record := &kgo.Record{
		Topic: commitlog.Topic, Partition: (own + 1) % 50,
		Key: commitlog.OffsetCommitKey{Group: "moved", Topic: "t"}.Encode(), Value: value.Encode(),
	}
	if err := cl.ProduceSync(t.Context(), record).FirstErr(); err != nil {
		t.Fatal(err)
	}
	c := inspect.New(cl)
	var told []inspect.Misplaced
	tell := func(m inspect.Misplaced) { told = append(told, m) }
	check := func(what string, found int) {
		t.Helper()
		want := inspect.Misplaced{Group: "moved", Partition: (own + 1) % 50, Own: own}
		if found != 1 || len(told) != 1 || told[0] != want {
			t.Errorf("%s: found %d, told %+v; want 1 and %+v", what, found, told, want)
		}
		told = nil
	}
	only := inspect.LogFilter{OnlyGroups: []string{"moved"}, Groups: func(g string) bool { return g == "moved" }, Misplaced: tell}
	for name, f := range map[string]inspect.LogFilter{"whole log": {Misplaced: tell}, "only the group": only} {
		n := 0
		for _, err := range c.ReadLog(t.Context(), f) {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		check("rows of "+name, n)
		n = 0
		for l, err := range c.ReadLogLines(t.Context(), f) {
			if err != nil {
				t.Fatal(err)
			}
			n += l.Count
		}
		check("lines of "+name, n)
	}
	state := c.State(t.Context(), inspect.StateOptions{Filter: inspect.LogFilter{Misplaced: tell}, Problem: func(err error) { t.Error(err) }})
	check("state", len(state.Groups))
	n := 0
	for _, err := range c.History(t.Context(), inspect.NewHistory("moved"), false, tell) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	check("history", n)
}

// Connections that break while the log is read cost time, not records.
func TestReadingSurvivesBrokenConnections(t *testing.T) {
	var fetches atomic.Int32
	s, err := sandbox.Start(sandbox.Options{Topics: map[string]int32{"t": 1}, Refuse: func(key kmsg.Key) error {
		if key == kmsg.Fetch && fetches.Add(1)%3 != 0 {
			return errors.New("cut")
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	cl, err := kgo.NewClient(kgo.SeedBrokers(s.Addr))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	for i := range int64(4) {
		var os kadm.Offsets
		os.Add(kadm.Offset{Topic: "t", At: i})
		if err := kadm.NewClient(cl).CommitAllOffsets(t.Context(), fmt.Sprint("g", i), os); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	for _, err := range inspect.New(cl).ReadLog(t.Context(), inspect.LogFilter{}) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != 4 || fetches.Load() < 6 {
		t.Errorf("%d records with %d fetches", n, fetches.Load())
	}
}
