package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/urfave/cli/v2"

	"offsets/consume"
	"offsets/inspect"
	"offsets/internal/render"
)

func consumeCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "consume",
		Usage:     "read records, alone or in a group, as the Java consumer does",
		ArgsUsage: "TOPIC",
		Description: "Starts where the group committed, or where --auto-offset-reset says; commits its\n" +
			"positions every --auto-commit-interval and when it is stopped (Ctrl-C, or enough read).\n" +
			"With --partition it reads without joining the group.\n\n" +
			"   offsets consume orders --from-beginning --exit-at-end\n" +
			"   offsets consume orders --group billing --auto-offset-reset none -o jsonl\n\n" +
			"Exit: 0 enough read, 1 failed (the policy none says why), 130 interrupted.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "group", Usage: "consumer `GROUP` to join"},
			&cli.StringFlag{Name: "auto-offset-reset", Usage: "`POLICY` without a valid position: earliest, latest, none, or by_duration:1h", Value: "latest"},
			&cli.BoolFlag{Name: "from-beginning", Usage: "the same as --auto-offset-reset earliest"},
			&cli.Int64Flag{Name: "offset", Usage: "start at offset `N`, without joining a group"},
			&cli.IntSliceFlag{Name: "partition", Usage: "read partition `P` only, without joining the group; may be given several times"},
			&cli.Int64Flag{Name: "max-messages", Usage: "stop after `N` records"},
			&cli.BoolFlag{Name: "exit-at-end", Usage: "stop at what was the end of the log at the start"},
			&cli.DurationFlag{Name: "auto-commit-interval", Usage: "time between commits", Value: 5 * time.Second},
			&cli.BoolFlag{Name: "no-commit", Usage: "never commit"},
			&cli.DurationFlag{Name: "session-timeout", Usage: "when the coordinator takes a silent member for dead", DefaultText: "45s"},
			&cli.StringFlag{Name: "instance-id", Usage: "`ID` of a static member"},
			&cli.StringFlag{Name: "isolation-level", Usage: "`LEVEL`: read_uncommitted or read_committed", Value: "read_uncommitted"},
			&cli.StringFlag{Name: "group-protocol", Usage: "`PROTOCOL`: classic or consumer (KIP-848)", Value: "classic"},
			&cli.DurationFlag{Name: "metadata-max-age", Usage: "how long until it looks for new partitions (metadata.max.age.ms)", DefaultText: "5m"},
			&cli.DurationFlag{Name: "processing-time", Usage: "pretend that each record takes so long to process"},
		},
		Action: func(c *cli.Context) error {
			o, err := consumeOptionsOf(e, c)
			if err != nil {
				return err
			}
			return consumeRecords(c.Context, e, o)
		},
	}
}

type consumeOptions struct {
	common
	consume.Options
	processing time.Duration
}

func consumeOptionsOf(e *env, c *cli.Context) (o consumeOptions, err error) {
	if o.common, err = e.common(c); err != nil {
		return o, err
	}
	if o.Topic, err = onlyArg(c, "TOPIC"); err != nil {
		return o, err
	}
	o.processing = c.Duration("processing-time")
	if c.IsSet("metadata-max-age") {
		if o.config.MetadataMaxAge = c.Duration("metadata-max-age"); o.config.MetadataMaxAge < time.Second {
			return o, usagef("--metadata-max-age %s: want at least 1s", c.Duration("metadata-max-age"))
		}
	}
	o.Group, o.MaxMessages, o.ExitAtEnd = c.String("group"), c.Int64("max-messages"), c.Bool("exit-at-end")
	o.AutoCommitInterval, o.NoCommit = c.Duration("auto-commit-interval"), c.Bool("no-commit")
	o.SessionTimeout, o.InstanceID = c.Duration("session-timeout"), c.String("instance-id")
	if o.Policy, err = consume.ParsePolicy(c.String("auto-offset-reset")); err != nil {
		return o, usagef("--auto-offset-reset: %s", err)
	}
	if c.Bool("from-beginning") {
		if c.IsSet("auto-offset-reset") && o.Policy != consume.Earliest() {
			return o, usagef("--from-beginning and --auto-offset-reset %s exclude each other", o.Policy)
		}
		o.Policy = consume.Earliest()
	}
	if c.IsSet("offset") {
		n := c.Int64("offset")
		o.Offset = &n
	}
	for _, p := range c.IntSlice("partition") {
		o.Partitions = append(o.Partitions, int32(p))
	}
	if o.MaxMessages < 0 {
		return o, usagef("--max-messages %d: want 1 or more", o.MaxMessages)
	}
	switch level := c.String("isolation-level"); level {
	case "read_uncommitted":
	case "read_committed":
		o.ReadCommitted = true
	default:
		return o, usagef("--isolation-level %q: want read_uncommitted or read_committed", level)
	}
	switch protocol := c.String("group-protocol"); protocol {
	case "classic":
	case "consumer":
		o.ConsumerProtocol = true
	default:
		return o, usagef("--group-protocol %q: want classic or consumer", protocol)
	}
	if err := o.Options.Validate(); err != nil {
		return o, usagef("%s", err)
	}
	return o, nil
}

func consumeRecords(ctx context.Context, e *env, o consumeOptions) error {
	cl, ctx, done, err := o.connectWatched(ctx)
	if err != nil {
		return contextError(ctx, err)
	}
	defer done()
	o.Events = func(ev consume.Event) { e.consumeEvent(ev, o.verbose) }
	out := bufio.NewWriterSize(e.Stdout, 64<<10)
	var read atomic.Int64
	stop := e.progress(func() string { return fmt.Sprintf("%d records read from %s", read.Load(), o.Topic) })
	defer stop()
	// The consumer calls back for each record; to the renderer that is a
	// sequence of rows.
	rows := func(yield func(consumeRow, error) bool) {
		_, err := consume.Run(ctx, cl, o.Options, consume.Handler{
			Record: func(r *kgo.Record) error {
				if o.processing > 0 && !sleepUntil(ctx, time.Now().Add(o.processing)) {
					return context.Cause(ctx)
				}
				if !yield(rowOf(r), nil) {
					return errStopped
				}
				read.Add(1)
				return nil
			},
			Flush: out.Flush,
		})
		if err != nil && !errors.Is(err, errStopped) {
			yield(consumeRow{}, err)
		}
	}
	err = show(e, out, o.format, consumeView(rows))
	return errors.Join(err, out.Flush())
}

// errStopped: the renderer takes no more rows, and tells why itself.
var errStopped = errors.New("output stopped")

// consumeEvent tells on stderr what the reader should know of.
func (e *env) consumeEvent(ev consume.Event, verbose bool) {
	loud := ev.What == "warning" || ev.What == "reset" || ev.What == "truncated"
	if !loud && !verbose {
		return
	}
	var at []string
	for _, p := range ev.Positions {
		if p.Offset < 0 {
			at = append(at, fmt.Sprintf("%s[%d]", p.Topic, p.Partition))
		} else {
			at = append(at, fmt.Sprintf("%s[%d]@%d", p.Topic, p.Partition, p.Offset))
		}
	}
	text := strings.Join(at, " ")
	if ev.Text != "" && text != "" {
		text = ev.Text + ": now at " + text
	} else {
		text += ev.Text
	}
	e.note("%s: %s", ev.What, text)
}

// consumeRow is one record.
type consumeRow struct {
	Topic     string          `json:"topic"`
	Partition int32           `json:"partition"`
	Offset    int64           `json:"offset"`
	Timestamp string          `json:"timestamp"`
	Key       *string         `json:"key"`
	Value     *string         `json:"value"`
	Headers   []consumeHeader `json:"headers"`
	// RawKey and RawValue are set where the bytes are not UTF-8.
	RawKey   []byte `json:"raw_key"`
	RawValue []byte `json:"raw_value"`
}

type consumeHeader struct {
	Key   string  `json:"key"`
	Value *string `json:"value"`
}

func rowOf(r *kgo.Record) consumeRow {
	row := consumeRow{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Timestamp: timestamp(r.Timestamp), Headers: []consumeHeader{}}
	row.Key, row.RawKey = textOrBytes(r.Key)
	row.Value, row.RawValue = textOrBytes(r.Value)
	for _, h := range r.Headers {
		value, raw := textOrBytes(h.Value)
		if raw != nil {
			quoted := fmt.Sprintf("%q", raw)
			value = &quoted
		}
		row.Headers = append(row.Headers, consumeHeader{h.Key, value})
	}
	return row
}

func textOrBytes(b []byte) (*string, []byte) {
	switch {
	case b == nil:
		return nil, nil
	case utf8.Valid(b):
		s := string(b)
		return &s, nil
	}
	return nil, b
}

func timestamp(t time.Time) string { return t.UTC().Format(inspect.TimeFormat) }

func consumeView(rows iter.Seq2[consumeRow, error]) render.Result[consumeRow, consumeRow] {
	return render.Result[consumeRow, consumeRow]{
		Rows:  rows,
		Lines: one[consumeRow],
		Sections: func(rows iter.Seq[consumeRow]) iter.Seq[render.Section] {
			return sections(render.Section{
				Live:    true,
				Columns: []render.Column{{Name: "PARTITION", Right: true}, {Name: "OFFSET", Right: true, Width: 8}, {Name: "TIMESTAMP", Width: 24}, {Name: "KEY", Width: 8}, {Name: "VALUE"}},
				Rows: cells(rows, func(r consumeRow) []string {
					return []string{fmt.Sprint(r.Partition), fmt.Sprint(r.Offset), r.Timestamp, shown(r.Key, r.RawKey), shown(r.Value, r.RawValue)}
				}),
			})
		},
	}
}

func shown(text *string, raw []byte) string {
	switch {
	case text != nil:
		return *text
	case raw != nil:
		return fmt.Sprintf("%q", raw)
	}
	return "null"
}
