package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"offsets/inspect"
	"offsets/internal/render"
)

// watched is one partition at one look, with what has changed since the last.
type watched struct {
	Time  string `json:"time"`
	Group string `json:"group"`
	inspect.Partition
	// Rates are offsets a second since the look before; nil at the first.
	ConsumedPerSecond *float64 `json:"consumed_per_second"`
	ProducedPerSecond *float64 `json:"produced_per_second"`
	// CatchUpSeconds is how long the lag will last at these rates; nil where it
	// does not shrink.
	CatchUpSeconds *float64 `json:"catch_up_seconds"`
}

// watch describes again and again: on a terminal the table is drawn anew,
// elsewhere each look is more lines.
func watch(ctx context.Context, e *env, o describeOptions) error {
	cl, ctx, done, err := o.connectWatched(ctx)
	if err != nil {
		return contextError(ctx, err)
	}
	defer done()
	cluster := inspect.New(cl)
	w := watcher{e: e, o: o, before: map[watchKey]inspect.Partition{}}
	for {
		if err := w.look(ctx, cluster); err != nil {
			return contextError(ctx, err)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(o.interval):
		}
	}
}

type watchKey struct {
	group, topic string
	partition    int32
}

type watcher struct {
	e      *env
	o      describeOptions
	at     time.Time // of the look before
	before map[watchKey]inspect.Partition
	header bool // of CSV, written once
}

// look describes once. That the brokers do not answer for a while is said, and
// is not the end; the context of connectWatched knows when it is.
func (w *watcher) look(ctx context.Context, cluster *inspect.Cluster) error {
	limited, cancel := context.WithTimeoutCause(ctx, w.o.timeout, &timeoutError{after: w.o.timeout})
	defer cancel()
	now := w.e.Now()
	w.o.Now = now
	groups, err := w.e.resolve(limited, cluster, w.o.selection)
	var usage *usageError
	if errors.As(err, &usage) {
		return err
	}
	var d *inspect.Description
	if err == nil {
		w.o.Pending = w.o.pending || !groups.many
		d, err = cluster.Describe(limited, groups.names, groups.listed(w.o.DescribeOptions))
	}
	if err != nil {
		w.e.note("%s: %s", timestamp(now), contextError(limited, err))
		return nil
	}
	var rows []watched
	after := map[watchKey]inspect.Partition{}
	for g, err := range d.Groups {
		if err != nil {
			w.e.note("%s: %s", timestamp(now), contextError(limited, err))
			return nil
		}
		for _, p := range g.Partitions {
			key := watchKey{g.Group, p.Topic, p.Partition}
			after[key] = p
			rows = append(rows, w.row(now, g.Group, p, key))
		}
	}
	for _, p := range d.Problems {
		w.e.note("%s: %s: %s", timestamp(now), p.What, p.Error)
	}
	w.at, w.before = now, after
	return w.write(now, rows)
}

func (w *watcher) row(now time.Time, group string, p inspect.Partition, key watchKey) watched {
	row := watched{Time: timestamp(now), Group: group, Partition: p}
	was, known := w.before[key]
	seconds := now.Sub(w.at).Seconds()
	if !known || seconds <= 0 {
		return row
	}
	rate := func(now, before *int64) *float64 {
		if now == nil || before == nil {
			return nil
		}
		r := float64(*now-*before) / seconds
		return &r
	}
	row.ConsumedPerSecond, row.ProducedPerSecond = rate(p.Committed, was.Committed), rate(p.LogEnd, was.LogEnd)
	if c, d := row.ConsumedPerSecond, row.ProducedPerSecond; p.Lag != nil && c != nil && d != nil && *c > *d {
		left := float64(*p.Lag) / (*c - *d)
		row.CatchUpSeconds = &left
	}
	return row
}

func (w *watcher) view(now time.Time, rows []watched) render.Result[watched, watched] {
	return render.Result[watched, watched]{
		Rows:  rowsOf(rows),
		Lines: one[watched],
		Sections: func(rows iter.Seq[watched]) iter.Seq[render.Section] {
			return sections(render.Section{
				Title: fmt.Sprintf("%s, every %s; Ctrl-C ends", timestamp(now), w.o.interval),
				Columns: []render.Column{
					{Name: "GROUP"}, {Name: "TOPIC"}, {Name: "PARTITION", Right: true}, {Name: "COMMITTED", Right: true}, {Name: "LOG-END", Right: true}, {Name: "LAG", Right: true},
					{Name: "CONSUMED/S", Right: true}, {Name: "PRODUCED/S", Right: true}, {Name: "CATCH-UP", Right: true}, {Name: "BEHIND", Right: true, Optional: true}, {Name: "STATUS"}, {Name: "CLIENT-ID", Optional: true},
				},
				Empty: "no partitions",
				Rows: cells(rows, func(r watched) []string {
					return []string{
						r.Group, r.Topic, fmt.Sprint(r.Partition.Partition), number(r.Committed), number(r.LogEnd), number(r.Lag),
						rateCell(r.ConsumedPerSecond), rateCell(r.ProducedPerSecond), secondsCell(r.CatchUpSeconds), secondsCell(r.BehindSeconds), string(r.Status), text(r.ClientID),
					}
				}),
			})
		},
	}
}

func (w *watcher) write(now time.Time, rows []watched) error {
	view := w.view(now, rows)
	format := w.o.format
	if format.IsTable() && w.e.StdoutIsTerminal {
		if _, err := fmt.Fprint(w.e.Stdout, "\x1b[H\x1b[2J"); err != nil {
			return err
		}
	}
	view.Headless = w.header
	w.header = true
	return show(w.e, w.e.Stdout, format, view)
}

func rateCell(r *float64) string {
	if r == nil {
		return ""
	}
	return fmt.Sprintf("%.1f", *r)
}
