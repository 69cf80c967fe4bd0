package main

import (
	"context"
	"fmt"
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
