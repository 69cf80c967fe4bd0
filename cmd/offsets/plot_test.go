package main

import (
	"strings"
	"testing"

	"offsets/inspect"
)

// The plot shows what was committed when: a rise, and a reset to 0 at the end.
func TestPlot(t *testing.T) {
	p := newPlot()
	topic, partition := "t", int32(0)
	for i, at := range []string{"2026-11-23T09:00:00.000Z", "2026-11-23T09:01:00.000Z", "2026-11-23T09:02:00.000Z", "2026-11-23T09:03:00.000Z"} {
		committed := []int64{0, 50, 100, 0}[i]
		p.note(inspect.Event{Time: at, Event: inspect.EventCommit, Topic: &topic, Partition: &partition, Committed: &committed})
	}
	p.note(inspect.Event{Time: "2026-11-23T09:09:00.000Z", Event: inspect.EventRebalance})
	got := p.draw()
	lines := strings.Split(strings.TrimSpace(got), "\n")
	if !strings.HasPrefix(strings.TrimSpace(lines[0]), "100 ") || !strings.Contains(got, "09:00:00.000Z to 2026-11-23T09:03:00.000Z") || len(lines) != plotHeight+2 {
		t.Errorf("%d lines:\n%s", len(lines), got)
	}
	if newPlot().draw() != "" {
		t.Error("nothing to draw, but something is drawn")
	}
}
