package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"offsets/inspect"
)

// TestStateEqualsOffsetFetch runs after the scripts, on the brokers that they
// left busy: replaying the commit log gives, for every group, what the broker
// answers to OffsetFetch.
func TestStateEqualsOffsetFetch(t *testing.T) {
	for _, b := range brokers() {
		t.Run(string(b.config.Version), func(t *testing.T) {
			ctx := context.Background()
			cl, err := kgo.NewClient(kgo.SeedBrokers(b.get(t).Bootstrap))
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
			names, _, err := c.Groups(ctx)
			if err != nil {
				t.Fatal(err)
			}
			d, err := c.Describe(ctx, names, inspect.DescribeOptions{})
			if err != nil {
				t.Fatal(err)
			}
			fetched := map[string]string{}
			for g, err := range d.Groups {
				if err != nil {
					t.Fatal(err)
				}
				for _, p := range g.Partitions {
					if p.Committed != nil {
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
			t.Logf("%d commits of %d groups compared", len(fetched), len(names))
		})
	}
}

// TestCommitLogLikeDumpLog compares the commit log that the scripts left on the
// real 4.3.1 broker (classic and KIP-848 groups, transactions, deletions) with
// what kafka-dump-log prints of the same files, record by record.
func TestCommitLogLikeDumpLog(t *testing.T) {
	cluster := brokers()[1].get(t)
	var ours []inspect.LogRecord
	var files []string
	kinds := map[string]int{}
	for row, err := range inspect.ReadLogFiles(context.Background(), []string{cluster.DataDir()}, inspect.LogFilter{}) {
		if errors.Is(err, fs.ErrNotExist) {
			t.Skip("no script has committed anything")
		}
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(cluster.DataDir(), fmt.Sprintf("__consumer_offsets-%d", *row.Partition), "00000000000000000000.log")
		if len(files) == 0 || files[len(files)-1] != file {
			files = append(files, file)
		}
		if row.Error != nil {
			t.Errorf("%s at offset %d of partition %d: %s", row.Kind, row.Offset, *row.Partition, *row.Error)
		}
		if row.Kind != "control" {
			ours = append(ours, row)
			kinds[row.Kind]++
		}
	}
	theirs := dumpLog(t, cluster, strings.Join(files, ","))
	if len(theirs) != len(ours) {
		t.Fatalf("%d records, kafka-dump-log shows %d", len(ours), len(theirs))
	}
	for i, row := range ours {
		for j, v := range []any{row.Key, row.Value} {
			b, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			same(t, fmt.Sprintf("%s at offset %d of partition %d", row.Kind, row.Offset, *row.Partition), []string{"key", "value"}[j], b, theirs[i][j])
		}
	}
	t.Logf("compared: %v", kinds)
}
