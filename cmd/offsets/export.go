package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/urfave/cli/v2"

	"offsets/inspect"
	"offsets/internal/render"
	"offsets/reset"
)

func exportCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "export",
		Usage:     "write down what groups have committed, for import here or elsewhere",
		ArgsUsage: "[GROUP…]",
		Description: "JSON (the default) loses nothing: leader epochs, metadata, topic ids, the time of each commit,\n" +
			"and the times of the records around it, by which import finds the place in another cluster.\n" +
			"-o csv is the format of kafka-consumer-groups --export: topic,partition,offset without a\n" +
			"header, and with the group in front where there are several.\n\n" +
			"   offsets export billing > billing.json\n" +
			"   offsets export --all -o csv > all.csv\n\n" +
			"Exit: 0 done, 1 failed or no such group, 5 some could not be read.",
		Flags: append(groupFlags(),
			&cli.StringSliceFlag{KeepSpace: true, Name: "topic", Usage: "only commits of `TOPIC[:0,2-5]`; may be given several times"},
			&cli.BoolFlag{Name: "no-times", Usage: "do not read records and the commit log for times (faster, but import cannot translate then)"},
		),
		Action: func(c *cli.Context) error {
			o := exportOptions{noTimes: c.Bool("no-times")}
			var err error
			if o.common, err = e.common(c); err != nil {
				return err
			}
			if o.format == render.Table && !c.IsSet("output") {
				o.format = render.JSON
			}
			if o.selection, err = selectionOf(c); err != nil {
				return err
			}
			if o.topics, err = topicsOf(c); err != nil {
				return err
			}
			return export(c.Context, e, o)
		},
	}
}

type exportOptions struct {
	common
	selection
	topics  []reset.TopicSelection
	noTimes bool
}

func export(ctx context.Context, e *env, o exportOptions) error {
	cl, bound, done, err := o.connectForChange(ctx)
	if err != nil {
		return err
	}
	defer done()
	err = exportGroups(bound, e, cl, o)
	var known *timeoutError
	if partial := (*partialError)(nil); errors.As(err, &known) || errors.As(err, &partial) {
		return err // it says more than the context does
	}
	return contextError(bound, err)
}

func exportGroups(ctx context.Context, e *env, cl *kgo.Client, o exportOptions) error {
	cluster := inspect.New(cl)
	g, err := e.resolve(ctx, cluster, o.selection)
	if err != nil {
		return err
	}
	tail := exportTail{Format: reset.ExportFormat, Version: reset.ExportVersion, ExportedAt: timestamp(e.Now())}
	if tail.ClusterID, err = cluster.ClusterID(ctx); err != nil {
		return err
	}
	d, err := cluster.Describe(ctx, g.names, inspect.DescribeOptions{Known: g.known})
	if err != nil {
		return err
	}
	x := exporting{ctx: ctx, changer: reset.New(cl), d: d, o: o, failed: g.problems, total: len(g.names)}
	out := e.buffered(false)
	err = e.writeExport(out, &x, tail)
	if x.shown > 0 || err == nil && len(x.problems()) == 0 { // else there is nothing to write down
		err = errors.Join(err, out.Flush())
	}
	if g.many {
		e.visibilityNote(d.Visibility)
	}
	return errors.Join(err, problems(x.problems(), x.shown))
}

// exporting is an export on its way: groups are written as they are read.
type exporting struct {
	ctx     context.Context
	changer *reset.Changer
	d       *inspect.Description
	o       exportOptions
	failed  []inspect.Problem
	// Of total groups, shown were written.
	total, shown int
}

// problems are what could not be read, as far as the groups have been ranged
// over.
func (x *exporting) problems() []inspect.Problem { return slices.Concat(x.failed, x.d.Problems) }

func (x *exporting) rows() iter.Seq2[reset.ExportedGroup, error] {
	times := !x.o.noTimes && x.o.format != render.CSV
	groups := x.changer.Export(x.ctx, x.d.Groups, reset.ExportOptions{
		CommitTimes: times, Times: times, Topics: x.o.topics,
		Problem: func(p inspect.Problem) { x.failed = append(x.failed, p) },
	})
	return func(yield func(reset.ExportedGroup, error) bool) {
		for g, err := range groups {
			if err != nil {
				if err = x.cutShort(err, times); err != nil {
					yield(g, err)
				}
				return
			}
			for _, p := range g.Partitions {
				if p.Error != nil {
					x.failed = append(x.failed, p.Problem(g.Group))
				}
			}
			x.shown++
			if !yield(g, nil) {
				return
			}
		}
	}
}

// cutShort: what was written before the time was up is a file all the same, and
// the file itself says what is missing in it.
func (x *exporting) cutShort(err error, times bool) error {
	err = contextError(x.ctx, err)
	var timeout *timeoutError
	if !errors.As(err, &timeout) {
		return err
	}
	if times {
		err = &timeoutError{timeout.after, "--no-times leaves out the times of commits and records, and takes a small part of the time"}
	}
	if x.shown == 0 {
		return err
	}
	x.failed = append(x.failed, inspect.Problem{What: fmt.Sprintf("the last %d of %d groups", x.total-x.shown-len(x.d.Problems), x.total), Error: err.Error(), Err: err})
	return nil
}

func (e *env) writeExport(w io.Writer, x *exporting, tail exportTail) error {
	if x.o.format != render.CSV {
		return show(e, w, x.o.format, exportView(x.rows(), func() any {
			tail.Visibility, tail.Errors = x.d.Visibility, errorsOf(x.problems())
			return tail
		}))
	}
	var rows []reset.FileRow
	for g, err := range x.rows() {
		if err != nil {
			return err
		}
		for _, p := range g.Partitions {
			if p.Committed != nil {
				row := reset.FileRow{Group: g.Group, Topic: p.Topic, Partition: p.Partition, Offset: *p.Committed}
				if e.StdoutIsTerminal { // to be looked at, not to be imported
					row.Group, row.Topic = render.Printable(row.Group), render.Printable(row.Topic)
				}
				rows = append(rows, row)
			}
		}
	}
	return reset.WriteCSV(w, rows)
}

type exportTail struct {
	Format     string             `json:"format"`
	Version    int                `json:"version"`
	ClusterID  string             `json:"cluster_id"`
	ExportedAt string             `json:"exported_at"`
	Visibility inspect.Visibility `json:"visibility"`
	Errors     []inspect.Problem  `json:"errors"`
}

// exportLine is one commit with its group.
type exportLine struct {
	Group string `json:"group"`
	reset.ExportedPartition
}

func exportView(groups iter.Seq2[reset.ExportedGroup, error], tail func() any) render.Result[reset.ExportedGroup, exportLine] {
	return render.Result[reset.ExportedGroup, exportLine]{
		Name: "groups",
		Rows: groups,
		Tail: tail,
		Lines: func(g reset.ExportedGroup) iter.Seq[exportLine] {
			return func(yield func(exportLine) bool) {
				for _, p := range g.Partitions {
					if !yield(exportLine{g.Group, p}) {
						return
					}
				}
			}
		},
		Sections: func(groups iter.Seq[reset.ExportedGroup]) iter.Seq[render.Section] {
			return func(yield func(render.Section) bool) {
				for g := range groups {
					if !yield(exportSection(g)) {
						return
					}
				}
			}
		},
	}
}

func exportSection(g reset.ExportedGroup) render.Section {
	return render.Section{
		Title: g.Group,
		Columns: []render.Column{
			{Name: "TOPIC"}, {Name: "PARTITION", Right: true}, {Name: "COMMITTED", Right: true}, {Name: "EPOCH", Right: true, Optional: true}, {Name: "METADATA", Optional: true},
			{Name: "COMMIT-TIME", Optional: true}, {Name: "LAST-READ", Optional: true}, {Name: "NEXT", Optional: true}, {Name: "ERROR", Optional: true},
		},
		Rows: cells(slices.Values(g.Partitions), func(p reset.ExportedPartition) []string {
			return []string{
				p.Topic, number(&p.Partition), number(p.Committed), number(p.LeaderEpoch), text(p.Metadata),
				text(p.CommitTime), text(p.TimestampBefore), text(p.TimestampAfter), text(p.Error),
			}
		}),
	}
}
