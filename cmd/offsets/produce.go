package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"text/template"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/urfave/cli/v2"

	"offsets/internal/connect"
	"offsets/internal/render"
	"offsets/produce"
)

func produceCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "produce",
		Usage:     "write records to a topic",
		ArgsUsage: "TOPIC",
		Description: "Writes each line of standard input, or of a file, as a record; or makes records from\na template. Shows which offsets they got.\n\n" +
			"   offsets produce orders --create --partitions 3 < orders.jsonl\n" +
			"   offsets produce offset_commit --count 1000 --template '{\"number\": {{.N}}}' --interval 2s\n" +
			"   offsets produce orders --transactional-id import-1 --transaction-records 500 < orders.jsonl\n\n" +
			"With --transactional-id consumers that read committed see a transaction's records when it is\n" +
			"committed. Without further flags all records are one transaction. Ctrl-C and errors abort it.\n\n" +
			"Exit: 0 done, 1 nothing written, 5 some records written, 130 interrupted.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "file", Usage: "read lines from `FILE`, not from standard input"},
			&cli.Int64Flag{Name: "count", Usage: "write `N` records made from the template"},
			&cli.StringFlag{Name: "template", Usage: "Go `TEMPLATE` of a record's value; {{.N}} counts from --start, {{.Now}} is the time", Value: `{"number": {{.N}}}`},
			&cli.Int64Flag{Name: "start", Usage: "first `N` of the template"},
			&cli.DurationFlag{Name: "interval", Usage: "time between two records"},
			&cli.StringFlag{Name: "key", Usage: "`KEY` of every record; may be a template"},
			&cli.StringFlag{Name: "key-separator", Usage: "lines are KEY`SEP`VALUE"},
			&cli.StringSliceFlag{KeepSpace: true, Name: "header", Usage: "`NAME=VALUE` of every record; may be given several times"},
			&cli.IntFlag{Name: "partition", Usage: "write to partition `P` only", Value: -1, DefaultText: "by key"},
			&cli.StringFlag{Name: "acks", Usage: "`all`, 1 or 0", Value: "all"},
			&cli.StringFlag{Name: "compression", Usage: "`CODEC`: " + strings.Join(produce.CompressionNames(), ", "), Value: "none"},
			&cli.BoolFlag{Name: "no-idempotence", Usage: "allow duplicates on retries; --acks 1 and 0 need it"},
			&cli.StringFlag{Name: "transactional-id", Usage: "write in transactions, as the producer with this `ID`"},
			&cli.Int64Flag{Name: "transaction-records", Usage: "commit after every `N` records"},
			&cli.DurationFlag{Name: "transaction-duration", Usage: "commit a transaction so long after it began"},
			&cli.DurationFlag{Name: "transaction-timeout", Usage: "brokers abort a transaction that is open for longer", DefaultText: "1m"},
			&cli.BoolFlag{Name: "abort", Usage: "abort each transaction instead, for tests"},
			&cli.BoolFlag{Name: "leave-open", Usage: "do not end the last transaction, for tests"},
			&cli.BoolFlag{Name: "create", Usage: "create the topic if it does not exist"},
			&cli.IntFlag{Name: "partitions", Usage: "`N` of a created topic", Value: 1},
			&cli.IntFlag{Name: "replication-factor", Usage: "`N` of a created topic", Value: -1, DefaultText: "the broker's default"},
		},
		Action: func(c *cli.Context) error {
			o, err := produceOptionsOf(e, c)
			if err != nil {
				return err
			}
			return produceRecords(c.Context, e, o)
		},
	}
}

type produceOptions struct {
	common
	produce.Options
	source      source
	create      bool
	partitions  int32
	replication int16
}

func produceOptionsOf(e *env, c *cli.Context) (o produceOptions, err error) {
	if o.common, err = e.common(c); err != nil {
		return o, err
	}
	if o.Topic, err = onlyArg(c, "TOPIC"); err != nil {
		return o, err
	}
	o.Acks, o.Compression, o.DisableIdempotence, o.Delivery = c.String("acks"), c.String("compression"), c.Bool("no-idempotence"), o.timeout
	if o.Transactions, err = transactionsOf(c); err != nil {
		return o, err
	}
	if c.IsSet("partition") {
		p := int32(c.Int("partition"))
		if p < 0 {
			return o, usagef("--partition %d: want 0 or more", p)
		}
		o.Partition = &p
	}
	if err := o.Options.Validate(); err != nil {
		return o, usagef("%s", err)
	}
	o.create, o.partitions, o.replication = c.Bool("create"), int32(c.Int("partitions")), int16(c.Int("replication-factor"))
	if !o.create && (c.IsSet("partitions") || c.IsSet("replication-factor")) {
		return o, usagef("--partitions and --replication-factor go with --create")
	}
	if o.partitions < 1 {
		return o, usagef("--partitions %d: want 1 or more", o.partitions)
	}
	o.source, err = sourceOf(e, c)
	return o, err
}

// transactionsOf reads the flags of transactions.
func transactionsOf(c *cli.Context) (produce.Transactions, error) {
	t := produce.Transactions{
		ID: c.String("transactional-id"), Records: c.Int64("transaction-records"), Duration: c.Duration("transaction-duration"),
		Timeout: c.Duration("transaction-timeout"), Abort: c.Bool("abort"), LeaveOpen: c.Bool("leave-open"),
	}
	for _, name := range []string{"transaction-records", "transaction-duration", "transaction-timeout", "abort", "leave-open"} {
		if c.IsSet(name) && t.ID == "" {
			return t, usagef("--%s goes with --transactional-id", name)
		}
	}
	switch {
	case c.IsSet("transactional-id") && t.ID == "":
		return t, usagef("--transactional-id is empty")
	case c.IsSet("transaction-records") && t.Records < 1:
		return t, usagef("--transaction-records %d: want 1 or more", t.Records)
	case c.IsSet("transaction-duration") && t.Duration <= 0:
		return t, usagef("--transaction-duration %s: want more than nothing", t.Duration)
	case c.IsSet("transaction-timeout") && t.Timeout < time.Second:
		return t, usagef("--transaction-timeout %s: want at least 1s", t.Timeout)
	case t.Abort && t.LeaveOpen:
		return t, usagef("--abort and --leave-open exclude each other")
	case t.ID != "" && (c.Bool("no-idempotence") || c.String("acks") != "all"):
		return t, usagef("transactions need idempotence and --acks all")
	}
	return t, nil
}

// onlyArg is a command's single positional argument.
func onlyArg(c *cli.Context, name string) (string, error) {
	if c.NArg() != 1 {
		return "", usagef("%s takes exactly one argument, %s; got %d", c.Command.Name, name, c.NArg())
	}
	return c.Args().First(), nil
}

// source is where records come from.
type source struct {
	stdin        io.Reader
	file         string
	made         bool // from the template
	count, first int64
	value, key   *template.Template
	separator    string
	headers      []kgo.RecordHeader
	interval     time.Duration
	now          func() time.Time
}

func sourceOf(e *env, c *cli.Context) (s source, err error) {
	s = source{
		stdin: e.Stdin, file: c.String("file"), made: c.IsSet("count") || c.IsSet("template"), count: c.Int64("count"), first: c.Int64("start"),
		separator: c.String("key-separator"), interval: c.Duration("interval"), now: e.Now,
	}
	switch {
	case s.made && s.file != "":
		return s, usagef("--file and --template exclude each other")
	case c.IsSet("count") && s.count < 0:
		return s, usagef("--count %d: want 0 or more", s.count)
	case s.separator != "" && (c.IsSet("key") || s.made):
		return s, usagef("--key-separator is for lines, and excludes --key and --template")
	}
	if s.made && !c.IsSet("count") {
		s.count = -1 // until interrupted
	}
	if s.value, err = template.New("template").Parse(c.String("template")); err != nil {
		return s, usagef("--template: %s", err)
	}
	if c.IsSet("key") {
		if s.key, err = template.New("key").Parse(c.String("key")); err != nil {
			return s, usagef("--key: %s", err)
		}
	}
	for _, h := range c.StringSlice("header") {
		name, value, ok := strings.Cut(h, "=")
		if !ok {
			return s, usagef("--header %q: want NAME=VALUE", h)
		}
		s.headers = append(s.headers, kgo.RecordHeader{Key: name, Value: []byte(value)})
	}
	return s, nil
}

// templateData is what a template sees.
type templateData struct {
	N   int64
	Now string
}

// records yields the records at their times, until they end or the context is
// done.
func (s source) records(ctx context.Context) iter.Seq2[*kgo.Record, error] {
	values := s.lines
	if s.made {
		values = s.counted
	}
	return func(yield func(*kgo.Record, error) bool) {
		start, n := time.Now(), int64(0)
		for value, err := range values(ctx) {
			if err != nil {
				yield(nil, err)
				return
			}
			if !sleepUntil(ctx, start.Add(time.Duration(n)*s.interval)) {
				return
			}
			r, err := s.record(value, n)
			if !yield(r, err) || err != nil {
				return
			}
			n++
		}
	}
}

func sleepUntil(ctx context.Context, t time.Time) bool {
	d := time.Until(t)
	if d <= 0 {
		return ctx.Err() == nil
	}
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

func (s source) record(value []byte, n int64) (*kgo.Record, error) {
	r := &kgo.Record{Value: value, Headers: slices.Clone(s.headers)}
	if s.key != nil {
		key, err := s.execute(s.key, n)
		if err != nil {
			return nil, err
		}
		r.Key = key
	}
	if s.separator != "" {
		key, rest, ok := bytes.Cut(value, []byte(s.separator))
		if !ok {
			return nil, usagef("line %d has no %q", n+1, s.separator)
		}
		r.Key, r.Value = key, rest
	}
	return r, nil
}

func (s source) execute(t *template.Template, n int64) ([]byte, error) {
	var b bytes.Buffer
	if err := t.Execute(&b, templateData{N: s.first + n, Now: s.now().UTC().Format("2006-01-02T15:04:05.000Z")}); err != nil {
		return nil, usagef("%s", err)
	}
	return b.Bytes(), nil
}

func (s source) counted(context.Context) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for n := int64(0); s.count < 0 || n < s.count; n++ {
			if value, err := s.execute(s.value, n); !yield(value, err) {
				return
			}
		}
	}
}

// lines reads lines of any length. The reading goes on in a goroutine of its
// own, because a read from a terminal cannot be interrupted.
func (s source) lines(ctx context.Context) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		in := s.stdin
		if s.file != "" {
			f, err := os.Open(s.file)
			if err != nil {
				yield(nil, usagef("%s", err))
				return
			}
			defer f.Close()
			in = f
		}
		type line struct {
			text []byte
			err  error
		}
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		lines := make(chan line, 1000)
		go func() {
			defer close(lines)
			r := bufio.NewReaderSize(in, 64<<10)
			for {
				text, err := r.ReadBytes('\n')
				if len(text) == 0 && errors.Is(err, io.EOF) {
					return
				}
				text, whole := bytes.CutSuffix(text, []byte("\n"))
				if whole {
					text = bytes.TrimSuffix(text, []byte("\r")) // as Java's console producer does
				}
				l := line{text: text}
				if err != nil && !errors.Is(err, io.EOF) {
					l.err = err
				}
				select {
				case lines <- l:
				case <-ctx.Done():
					return
				}
				if err != nil {
					return
				}
			}
		}()
		for {
			select {
			case l, ok := <-lines:
				if !ok || !yield(l.text, l.err) {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}
}

func produceRecords(ctx context.Context, e *env, o produceOptions) error {
	cl, err := o.connect(ctx)
	if err != nil {
		return contextError(ctx, err)
	}
	defer cl.Close()
	if o.create {
		limited, cancel := bounded(ctx, o.common)
		err := contextError(limited, produce.Create(limited, cl, o.Topic, o.partitions, o.replication))
		cancel() // behind contextError, which takes an ended context for the reason
		if err != nil {
			return err
		}
	}
	ctx, cancel := connect.Watch(ctx, cl, o.timeout)
	defer cancel()
	var written atomic.Int64
	o.Delivered = func(r *kgo.Record) {
		written.Add(1)
		if o.verbose {
			e.note("%s[%d]@%d %s", r.Topic, r.Partition, r.Offset, r.Value)
		}
	}
	stop := e.progress(func() string { return fmt.Sprintf("%d records written to %s", written.Load(), o.Topic) })
	summary, err := produce.Run(ctx, cl, o.Options, o.source.records(ctx))
	stop()
	e.transactionNotes(summary.Transactions, o.Transactions)
	if writeErr := show(e, e.Stdout, o.format, produceView(summary)); writeErr != nil {
		return errors.Join(err, writeErr)
	}
	if err != nil && kept(summary) > 0 {
		return &partialWriteError{err}
	}
	return err
}

// kept is how many records were written for good.
func kept(s produce.Summary) int64 {
	if t := s.Transactions; t != nil {
		return t.CommittedRecords + t.UnknownRecords
	}
	return s.Records
}

// transactionNotes says what ended otherwise than by a commit.
func (e *env) transactionNotes(s *produce.TransactionSummary, t produce.Transactions) {
	if s == nil {
		return
	}
	if s.Aborted > 0 {
		e.note("%s aborted, with %s", plural(int(s.Aborted), "transaction"), plural(int(s.AbortedRecords), "record"))
	}
	if s.Open > 0 {
		timeout := cmp.Or(t.Timeout, time.Minute)
		e.note("a transaction of %s is left open: consumers that read committed stop before it until the brokers abort it, %s after it began", plural(int(s.OpenRecords), "record"), timeout)
	}
}

type produceTail struct {
	Topic   string `json:"topic"`
	Records int64  `json:"records"`
	// Transactions is nil without --transactional-id.
	Transactions *produce.TransactionSummary `json:"transactions"`
}

func produceView(s produce.Summary) render.Result[produce.PartitionSummary, produce.PartitionSummary] {
	return render.Result[produce.PartitionSummary, produce.PartitionSummary]{
		Name:  "partitions",
		Rows:  rowsOf(s.Partitions),
		Tail:  func() any { return produceTail{s.Topic, s.Records, s.Transactions} },
		Lines: one[produce.PartitionSummary],
		Sections: func(rows iter.Seq[produce.PartitionSummary]) iter.Seq[render.Section] {
			return sections(render.Section{
				Columns: []render.Column{{Name: "TOPIC"}, {Name: "PARTITION", Right: true}, {Name: "RECORDS", Right: true}, {Name: "FIRST", Right: true}, {Name: "LAST", Right: true}},
				Empty:   "no records written",
				Footer: func() string {
					if t := s.Transactions; t != nil && t.Committed > 0 {
						return fmt.Sprintf("%s committed, with %s", plural(int(t.Committed), "transaction"), plural(int(t.CommittedRecords), "record"))
					}
					return ""
				},
				Rows: cells(rows, func(p produce.PartitionSummary) []string {
					return []string{p.Topic, fmt.Sprint(p.Partition), fmt.Sprint(p.Records), fmt.Sprint(p.FirstOffset), fmt.Sprint(p.LastOffset)}
				}),
			})
		},
	}
}
