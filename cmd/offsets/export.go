package main

import (
	"context"
	"errors"
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
	return contextError(bound, exportGroups(bound, e, cl, o))
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
	groups, failed, err := exported(ctx, reset.New(cl), d, o)
	if err != nil {
		return err
	}
	failed = append(append(g.problems, d.Problems...), failed...)
	tail.Visibility, tail.Errors = d.Visibility, errorsOf(failed)
	if g.many {
		e.visibilityNote(d.Visibility)
	}
	if len(groups) > 0 || len(failed) == 0 {
		err = e.writeExport(o, groups, tail)
	}
	return errors.Join(err, problems(failed, len(groups)))
}

func exported(ctx context.Context, changer *reset.Changer, d *inspect.Description, o exportOptions) (groups []reset.ExportedGroup, failed []inspect.Problem, err error) {
	options := reset.ExportOptions{CommitTimes: !o.noTimes && o.format != render.CSV, Times: !o.noTimes && o.format != render.CSV, Topics: o.topics}
	for g, err := range d.Groups {
		if err != nil {
			return nil, nil, err
		}
		x, errs := changer.ExportGroup(ctx, g, options)
		for _, err := range errs {
			failed = append(failed, inspect.Problem{What: "group " + g.Group, Error: err.Error(), Err: err})
		}
		for i := range g.Partitions {
			p := &g.Partitions[i]
			exported := func(x reset.ExportedPartition) bool { return x.Topic == p.Topic && x.Partition == p.Partition }
			if p.Error != nil && slices.ContainsFunc(x.Partitions, exported) {
				failed = append(failed, inspect.ProblemOf(g.Group, p, errors.New(*p.Error)))
			}
		}
		groups = append(groups, x)
	}
	return groups, failed, nil
}

func (e *env) writeExport(o exportOptions, groups []reset.ExportedGroup, tail exportTail) error {
	if o.format != render.CSV {
		return render.Write(e.Stdout, o.format, exportView(groups, tail))
	}
	var rows []reset.FileRow
	for _, g := range groups {
		for _, p := range g.Partitions {
			if p.Committed != nil {
				rows = append(rows, reset.FileRow{Group: g.Group, Topic: p.Topic, Partition: p.Partition, Offset: *p.Committed})
			}
		}
	}
	return reset.WriteCSV(e.Stdout, rows)
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

func exportView(groups []reset.ExportedGroup, tail exportTail) render.Result[reset.ExportedGroup, exportLine] {
	return render.Result[reset.ExportedGroup, exportLine]{
		Name: "groups",
		Rows: rowsOf(groups),
		Tail: func() any { return tail },
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
