package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/urfave/cli/v2"

	"offsets/inspect"
	"offsets/internal/render"
)

func historyCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "history",
		Usage:     "show when a group's offsets were moved, from where to where",
		ArgsUsage: "GROUP [FILE|DIR…]",
		Description: "Reads the group's commits out of the commit log, live or from segment files. SIGNS are what\n" +
			"the log shows of a commit: rewind, no_members (committed while the group had none: a tool, or\n" +
			"a consumer that uses assign), epoch_dropped, metadata_dropped, transactional, superseded (it\n" +
			"did not count: something newer was committed before its transaction ended). txn_pending is a\n" +
			"commit of a transaction that is still open. The log does not know who committed. Compaction\n" +
			"takes older records away: the history is complete only since the time that is shown; FROM\n" +
			"is ? where a record that came before may be missing, and signs that need it are left out.\n\n" +
			"Exit: 0 done, 1 failed or nothing known of the group, 5 a part could not be read.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "group", Usage: "the `GROUP`, instead of the first argument"},
			&cli.BoolFlag{Name: "summary", Usage: "show numbers instead of events"},
			&cli.BoolFlag{Name: "plot", Usage: "draw the committed offsets over time, below the table"},
			&cli.BoolFlag{Name: "follow", Usage: "go on with what is committed from now on, until Ctrl-C"},
		},
		Action: func(c *cli.Context) error {
			o, err := historyOptionsOf(e, c)
			if err != nil {
				return err
			}
			return history(c.Context, e, o)
		},
	}
}

type historyOptions struct {
	common
	group   string
	paths   []string
	summary bool
	follow  bool
	plot    *plot // nil: none wanted
}

func historyOptionsOf(e *env, c *cli.Context) (o historyOptions, err error) {
	if o.common, err = e.common(c); err != nil {
		return o, err
	}
	o.summary, o.paths = c.Bool("summary"), c.Args().Slice()
	switch {
	case c.IsSet("group"):
		o.group = c.String("group")
	case len(o.paths) > 0:
		o.group, o.paths = o.paths[0], o.paths[1:]
	default:
		o.group = e.Getenv("OFFSETS_GROUP")
	}
	o.follow = c.Bool("follow")
	if c.Bool("plot") {
		o.plot = newPlot()
		if o.follow || !o.format.IsTable() {
			return o, usagef("--plot goes with the table, and without --follow")
		}
	}
	if o.follow && (o.summary || len(o.paths) > 0) {
		return o, usagef("--follow is for the events of the live log")
	}
	if err := checkPaths(o.paths); err != nil {
		return o, err
	}
	if o.group == "" && len(o.paths) > 0 {
		return o, usagef("no group named")
	}
	return o, nil
}

func history(ctx context.Context, e *env, o historyOptions) error {
	ctx, cluster, done, err := o.openLog(ctx, o.paths)
	if err != nil {
		return contextError(ctx, err)
	}
	defer done()
	if o.group == "" {
		only, err := e.onlyGroup(ctx, cluster)
		if err != nil {
			return contextError(ctx, err)
		}
		o.group = only.names[0]
	}
	h := inspect.NewHistory(o.group)
	source := inspect.HistoryOfFiles(ctx, o.paths, h)
	if cluster != nil {
		source = cluster.History(ctx, h, o.follow, e.misplaced)
	}
	err = e.writeHistory(ctx, h, source, o)
	return contextError(ctx, e.explainHistory(ctx, cluster, h, o, err))
}

func (e *env) writeHistory(ctx context.Context, h *inspect.History, source iter.Seq2[inspect.Event, error], o historyOptions) error {
	var t logTally
	events := func(yield func(inspect.Event, error) bool) {
		for ev, err := range source {
			if o.plot != nil && err == nil {
				o.plot.note(ev)
			}
			if t.note(1, err) && !yield(ev, nil) {
				return
			}
		}
	}
	out := e.buffered(o.follow)
	view := historyView(h, o, events)
	if o.summary {
		for range events { // the numbers are known at the end
		}
		view = historyView(h, o, func(func(inspect.Event, error) bool) {})
	}
	err := errors.Join(show(e, out, o.format, view), out.Flush(), context.Cause(ctx), t.problems())
	if err == nil && t.rows.Load() == 0 {
		return fmt.Errorf("group %s: nothing in the commit log: %w", o.group, inspect.ErrUnknownGroup)
	}
	return err
}

type historyTail struct {
	Group         string                 `json:"group"`
	CompleteSince *string                `json:"complete_since"`
	Summary       inspect.HistorySummary `json:"summary"`
}

// historyLine is one event with its group.
type historyLine struct {
	Group string `json:"group"`
	inspect.Event
}

func historyView(h *inspect.History, o historyOptions, events iter.Seq2[inspect.Event, error]) render.Result[inspect.Event, historyLine] {
	return render.Result[inspect.Event, historyLine]{
		Name:  "events",
		Rows:  events,
		Tail:  func() any { return historyTail{o.group, h.CompleteSince, h.Summary} },
		Lines: func(ev inspect.Event) iter.Seq[historyLine] { return one(historyLine{o.group, ev}) },
		Sections: func(rows iter.Seq[inspect.Event]) iter.Seq[render.Section] {
			return sections(render.Section{
				Title: o.group,
				Empty: "no events shown",
				Live:  o.follow,
				Columns: []render.Column{
					{Name: "TIME", Width: 24}, {Name: "EVENT", Width: 10}, {Name: "TOPIC", Width: 12}, {Name: "PARTITION", Right: true}, {Name: "FROM", Right: true}, {Name: "TO", Right: true},
					{Name: "GENERATION", Right: true, Optional: true}, {Name: "MEMBERS", Right: true, Optional: true}, {Name: "SIGNS", Optional: true},
				},
				Rows: cells(rows, func(ev inspect.Event) []string {
					return []string{ev.Time, ev.Event, text(ev.Topic), number(ev.Partition), previousCell(&ev), number(ev.Committed), number(ev.Generation), number(ev.Members), strings.Join(ev.Signs, " ")}
				}),
				Footer: func() string { return summaryText(h) + o.plotText() },
			})
		},
	}
}

// previousCell is what was committed before; ? where nobody knows.
func previousCell(ev *inspect.Event) string {
	if ev.Topic != nil && ev.Event != inspect.EventTxnAbort && !ev.PreviousKnown {
		return "?"
	}
	return number(ev.Previous)
}

func summaryText(h *inspect.History) string {
	s := h.Summary
	parts := []string{plural(s.Commits, "commit"), plural(s.Rewinds, "rewind"), plural(s.Rebalances, "rebalance")}
	if s.CommitsPerMinute != nil {
		parts = append(parts, fmt.Sprintf("%.1f commits a minute", *s.CommitsPerMinute))
	}
	if s.LongestSilence != nil {
		parts = append(parts, fmt.Sprintf("longest silence %.1f s", *s.LongestSilence))
	}
	if s.LastCommit != nil {
		parts = append(parts, "last commit "+*s.LastCommit)
	}
	text := strings.Join(parts, ", ")
	if h.CompleteSince != nil {
		text += "\ncomplete since " + *h.CompleteSince
	}
	return text
}

func (o historyOptions) plotText() string {
	if o.plot == nil {
		return ""
	}
	if drawn := o.plot.draw(); drawn != "" {
		return "\n\n" + drawn
	}
	return "\nfewer than two commits: nothing to plot"
}
