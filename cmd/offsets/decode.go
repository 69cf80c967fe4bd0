package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/urfave/cli/v2"

	"offsets/inspect"
	"offsets/inspect/commitlog"
	"offsets/internal/render"
)

func decodeCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "decode",
		Usage:     "show every record of the commit log, __consumer_offsets, live or from files",
		ArgsUsage: "[FILE|DIR…]",
		Description: "Reads the live topic, from its start to where it ends now, partition by partition; or, with\n" +
			"arguments, segment files, __consumer_offsets-N folders, or the data folder of a broker that\n" +
			"need not run. Every record type of Kafka is decoded; what cannot be decoded keeps its bytes\n" +
			"and says why. Transactional records tell how their transaction ended.\n\n" +
			"   offsets decode --group billing -o jsonl\n" +
			"   offsets decode /var/lib/kafka/data --kind offset_commit --since 2026-11-23T09:00:00Z\n\n" +
			"Exit: 0 done, 1 failed, 5 some partitions or files could not be read.",
		Flags: []cli.Flag{
			&cli.StringSliceFlag{KeepSpace: true, Name: "group", Usage: "only records about `GROUP`, or a glob; may be given several times"},
			&cli.StringSliceFlag{KeepSpace: true, Name: "topic", Usage: "only offset commits of `TOPIC`, or a glob; may be given several times"},
			&cli.StringSliceFlag{KeepSpace: true, Name: "kind", Usage: "only records of `KIND`, such as offset_commit; may be given several times"},
			&cli.IntSliceFlag{Name: "partition", Usage: "only partition `P` of the commit log; may be given several times"},
			&cli.StringFlag{Name: "since", Usage: "only records written at `TIME` (RFC 3339, with zone) or later"},
			&cli.StringFlag{Name: "until", Usage: "only records written at `TIME` or earlier"},
			&cli.BoolFlag{Name: "follow", Usage: "go on with what is written from now on, until Ctrl-C"},
			&cli.BoolFlag{Name: "state", Usage: "show what was committed, not the records"},
			&cli.StringFlag{Name: "as-of", Usage: "with --state: at `TIME` (RFC 3339, with zone), not at the end"},
		},
		Action: func(c *cli.Context) error {
			o, err := decodeOptionsOf(e, c)
			if err != nil {
				return err
			}
			return decode(c.Context, e, o)
		},
	}
}

type decodeOptions struct {
	common
	paths  []string
	filter inspect.LogFilter
	state  bool
	asOf   time.Time
}

func decodeOptionsOf(e *env, c *cli.Context) (o decodeOptions, err error) {
	if o.common, err = e.common(c); err != nil {
		return o, err
	}
	o.paths = c.Args().Slice()
	if err := checkPaths(o.paths); err != nil {
		return o, err
	}
	o.filter.Misplaced = e.misplaced
	if groups := c.StringSlice("group"); len(groups) > 0 {
		o.filter.Groups = anyGlob(groups)
		if !slices.ContainsFunc(groups, isGlob) {
			o.filter.OnlyGroups = groups
		}
	}
	if topics := c.StringSlice("topic"); len(topics) > 0 {
		o.filter.Topics = anyGlob(topics)
	}
	if kinds := c.StringSlice("kind"); len(kinds) > 0 {
		for _, k := range kinds {
			if !slices.Contains(commitlog.Kinds(), commitlog.Kind(k)) {
				return o, usagef("--kind %q: want one of %s", k, joinKinds())
			}
		}
		o.filter.Kinds = func(k string) bool { return slices.Contains(kinds, k) }
	}
	for _, p := range c.IntSlice("partition") {
		o.filter.Partitions = append(o.filter.Partitions, int32(p))
	}
	if o.filter.Since, err = timeOf(c, "since"); err != nil {
		return o, err
	}
	if o.filter.Until, err = timeOf(c, "until"); err != nil {
		return o, err
	}
	if o.asOf, err = timeOf(c, "as-of"); err != nil {
		return o, err
	}
	o.state, o.filter.Follow = c.Bool("state"), c.Bool("follow")
	switch {
	case o.filter.Follow && (o.state || len(o.paths) > 0):
		return o, usagef("--follow is for the records of the live log")
	case !o.state && !o.asOf.IsZero():
		return o, usagef("--as-of goes with --state")
	case o.state && (c.IsSet("since") || c.IsSet("until") || c.IsSet("kind") || c.IsSet("topic")):
		return o, usagef("--state needs the whole log: it goes with --group and --partition only")
	}
	return o, nil
}

func joinKinds() string {
	var names []string
	for _, k := range commitlog.Kinds() {
		names = append(names, string(k))
	}
	return strings.Join(names, ", ")
}

// anyGlob matches what one of the patterns matches.
func anyGlob(patterns []string) func(string) bool {
	var match []func(string) bool
	for _, p := range patterns {
		match = append(match, glob(p))
	}
	return func(name string) bool {
		return slices.ContainsFunc(match, func(m func(string) bool) bool { return m(name) })
	}
}

// timeOf parses a time with its zone: without one nobody knows which is meant.
func timeOf(c *cli.Context, flag string) (time.Time, error) {
	text := c.String(flag)
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, usagef("--%s %q: want a time with its zone, such as 2026-11-23T09:00:00+01:00 or 2026-11-23T08:00:00Z", flag, text)
	}
	return t, nil
}

func decode(ctx context.Context, e *env, o decodeOptions) error {
	ctx, cluster, done, err := o.openLog(ctx, o.paths)
	if err != nil {
		return contextError(ctx, err)
	}
	defer done()
	switch {
	case o.state:
		return contextError(ctx, e.writeState(ctx, cluster, o))
	case o.format == render.JSON || o.format == render.JSONL:
		return contextError(ctx, e.writeLogLines(ctx, cluster, o))
	}
	return contextError(ctx, e.writeLog(ctx, cluster, o))
}

// misplaced warns where a cluster does not keep groups where Kafka would.
func (e *env) misplaced(m inspect.Misplaced) {
	e.note("group %s: records in partition %d of %s, where its name says %d: the partition count was changed, or the broker is not Apache Kafka", m.Group, m.Partition, commitlog.Topic, m.Own)
}

// checkPaths looks whether files are there, before anything is done.
func checkPaths(paths []string) error {
	for _, path := range paths {
		if _, err := os.Stat(path); err != nil {
			return usagef("%s", err)
		}
	}
	return nil
}

// openLog connects to the cluster whose log is to be read, for as long as it
// answers; with paths there is none, and the cluster is nil.
func (o common) openLog(ctx context.Context, paths []string) (context.Context, *inspect.Cluster, func(), error) {
	if len(paths) > 0 {
		return ctx, nil, func() {}, nil
	}
	cl, ctx, done, err := o.connectWatched(ctx)
	if err != nil {
		return ctx, nil, nil, err
	}
	return ctx, inspect.New(cl), done, nil
}

// writeLogLines writes JSON lines as the library makes them: there may be
// millions.
func (e *env) writeLogLines(ctx context.Context, cluster *inspect.Cluster, o decodeOptions) error {
	source := inspect.ReadLogFileLines(ctx, o.paths, o.filter)
	if cluster != nil {
		source = cluster.ReadLogLines(ctx, o.filter)
	}
	var t logTally
	stop := e.progress(t.text)
	defer stop()
	for lines, err := range source {
		if !t.note(lines.Count, err) {
			continue
		}
		if _, err := e.Stdout.Write(render.Escaped(lines.JSON)); err != nil {
			return err
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(context.Cause(ctx), t.problems())
}

func (e *env) writeLog(ctx context.Context, cluster *inspect.Cluster, o decodeOptions) error {
	source := inspect.ReadLogFiles(ctx, o.paths, o.filter)
	if cluster != nil {
		source = cluster.ReadLog(ctx, o.filter)
	}
	var t logTally
	rows := func(yield func(inspect.LogRecord, error) bool) {
		for r, err := range source {
			if t.note(1, err) && !yield(r, nil) || ctx.Err() != nil {
				return
			}
		}
	}
	out := e.buffered(o.filter.Follow)
	stop := e.progress(t.text)
	err := show(e, out, o.format, decodeView(rows))
	stop()
	return errors.Join(err, out.Flush(), context.Cause(ctx), t.problems())
}

// buffered is stdout with a buffer, or for live output without.
func (e *env) buffered(live bool) flusher {
	if live {
		return unbuffered{e.Stdout}
	}
	return bufio.NewWriterSize(e.Stdout, 256<<10)
}

type flusher interface {
	io.Writer
	Flush() error
}

type unbuffered struct{ io.Writer }

func (unbuffered) Flush() error { return nil }

// logTally counts rows, and keeps what could not be read: one unreadable
// partition or file is told at the end, and is not the end.
type logTally struct {
	rows   atomic.Int64
	failed []inspect.Problem
}

// note returns false for a problem.
func (t *logTally) note(rows int, err error) bool {
	if err != nil {
		t.failed = append(t.failed, inspect.Problem{What: "commit log", Error: err.Error(), Err: err})
		return false
	}
	t.rows.Add(int64(rows))
	return true
}

func (t *logTally) text() string {
	return fmt.Sprintf("%d records of %s", t.rows.Load(), commitlog.Topic)
}
func (t *logTally) problems() error { return problems(t.failed, int(t.rows.Load())) }

func decodeView(rows iter.Seq2[inspect.LogRecord, error]) render.Result[inspect.LogRecord, inspect.LogRecord] {
	return render.Result[inspect.LogRecord, inspect.LogRecord]{
		Rows:  rows,
		Lines: one[inspect.LogRecord],
		Sections: func(rows iter.Seq[inspect.LogRecord]) iter.Seq[render.Section] {
			return sections(render.Section{
				Live:    true,
				Columns: []render.Column{{Name: "PARTITION", Right: true}, {Name: "OFFSET", Right: true, Width: 8}, {Name: "TIMESTAMP", Width: 24}, {Name: "KIND", Width: 14}, {Name: "KEY", Width: 30}, {Name: "VALUE"}},
				Rows: cells(rows, func(r inspect.LogRecord) []string {
					return []string{number(r.Partition), fmt.Sprint(r.Offset), text(r.Timestamp), r.Kind, keyCell(r), valueCell(r)}
				}),
			})
		},
	}
}

func keyCell(r inspect.LogRecord) string {
	switch k := r.Record.Key.(type) {
	case commitlog.OffsetCommitKey:
		return fmt.Sprintf("%s %s[%d]", k.Group, k.Topic, k.Partition)
	case commitlog.GroupMetadataKey:
		return k.Group
	case commitlog.GroupKey:
		return k.GroupID
	case commitlog.MemberKey:
		return k.GroupID + " " + k.MemberID
	case commitlog.RegularExpressionKey:
		return k.GroupID + " " + k.RegularExpression
	}
	switch {
	case r.Key != nil:
		return compact(r.Key)
	case r.RawKey != nil:
		return fmt.Sprintf("%d bytes", len(r.RawKey))
	}
	return "-"
}

func valueCell(r inspect.LogRecord) string {
	s := plainValueCell(r)
	if r.Transaction != nil {
		s += fmt.Sprintf(" (transaction of producer %d: %s)", r.Transaction.ProducerID, r.Transaction.State)
	}
	return s
}

func plainValueCell(r inspect.LogRecord) string {
	switch v := r.Record.Value.(type) {
	case *commitlog.OffsetCommitValue:
		s := fmt.Sprint(v.Offset)
		if v.Metadata != "" {
			s += fmt.Sprintf(" %q", v.Metadata)
		}
		return s
	case *commitlog.GroupMetadataValue:
		return fmt.Sprintf("generation %d, %s", v.Generation, plural(len(v.Members), "member"))
	}
	switch {
	case r.Tombstone:
		return "deleted"
	case r.Error != nil && r.Size != nil:
		return fmt.Sprintf("%d bytes at position %d: %s", *r.Size, *r.Position, *r.Error)
	case r.Error != nil:
		return fmt.Sprintf("%d bytes: %s", len(r.RawValue), *r.Error)
	case r.Value != nil:
		return compact(r.Value)
	}
	return "-"
}

func compact(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}
