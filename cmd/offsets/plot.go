package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/guptarohit/asciigraph"

	"offsets/inspect"
)

// Size of a plot, in characters.
const (
	plotWidth  = 72
	plotHeight = 12
)

// plot collects a group's committed offsets, summed over its partitions, to
// draw them over time.
type plot struct {
	at     map[inspect.TopicPartition]int64
	times  []time.Time
	totals []float64
}

func newPlot() *plot { return &plot{at: map[inspect.TopicPartition]int64{}} }

// note takes an event; those that commit nothing are ignored.
func (p *plot) note(e inspect.Event) {
	if e.Event != inspect.EventCommit && e.Event != inspect.EventTxnCommit || e.Topic == nil || e.Partition == nil || e.Committed == nil {
		return
	}
	if slices.Contains(e.Signs, inspect.SignSuperseded) {
		return
	}
	t, err := time.Parse(inspect.TimeFormat, e.Time)
	if err != nil {
		return // written by package inspect
	}
	p.at[inspect.TopicPartition{Topic: *e.Topic, Partition: *e.Partition}] = *e.Committed
	total := 0.0 // the sum of a few offsets may be more than an int64 holds
	for _, offset := range p.at {
		total += float64(offset)
	}
	p.times, p.totals = append(p.times, t), append(p.totals, total)
}

// draw is the plot; "" with fewer than two commits, or all at one instant.
func (p *plot) draw() string {
	n := len(p.times)
	if n < 2 || !p.times[n-1].After(p.times[0]) {
		return ""
	}
	first, span := p.times[0], p.times[n-1].Sub(p.times[0])
	samples := make([]float64, plotWidth)
	i := 0
	for x := range samples {
		at := first.Add(time.Duration(float64(span) * float64(x) / (plotWidth - 1)))
		for i+1 < n && !p.times[i+1].After(at) {
			i++
		}
		samples[x] = p.totals[i]
	}
	samples[plotWidth-1] = p.totals[n-1]
	caption := fmt.Sprintf("committed, all partitions: %s to %s", timestamp(first), timestamp(p.times[n-1]))
	return asciigraph.Plot(samples, asciigraph.Height(plotHeight), asciigraph.Precision(0), asciigraph.Caption(caption))
}
