package inspect_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"offsets/inspect"
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
