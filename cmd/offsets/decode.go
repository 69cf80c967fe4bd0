package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"

	"github.com/urfave/cli/v2"

	"offsets/inspect"
	"offsets/inspect/commitlog"
	"offsets/internal/connect"
	"offsets/internal/render"
)

func decodeCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:  "decode",
		Usage: "show every record of the commit log, __consumer_offsets",
		Description: "Reads the live topic, from its start to where it ends now, partition by partition.\n" +
			"Records that cannot be decoded keep their bytes and say why.\n\n" +
			"   offsets decode -o jsonl | jq 'select(.key.group == \"billing\")'\n\n" +
			"Exit: 0 done, 1 failed, 5 some partitions could not be read.",
		Action: func(c *cli.Context) error {
			o, err := e.common(c)
			if err != nil {
				return err
			}
			if c.NArg() > 0 {
				return usagef("decode takes no arguments: files are not supported yet")
			}
			return decode(c.Context, e, o)
		},
	}
}

func decode(ctx context.Context, e *env, o common) error {
	cl, err := o.connect(ctx)
	if err != nil {
		return contextError(ctx, err)
	}
	defer cl.Close()
	ctx, cancel := connect.Watch(ctx, cl, o.timeout)
	defer cancel()
	out := bufio.NewWriterSize(e.Stdout, 256<<10)
	var failed []inspect.Problem
	n := 0
	// One unreadable partition is a problem told at the end, not the end.
	rows := func(yield func(inspect.LogRecord, error) bool) {
		for r, err := range inspect.New(cl).ReadLog(ctx) {
			if err != nil && ctx.Err() != nil {
				yield(r, context.Cause(ctx))
				return
			}
			if err != nil {
				failed = append(failed, inspect.Problem{What: commitlog.Topic, Error: err.Error(), Err: err})
				continue
			}
			n++
			if !yield(r, nil) {
				return
			}
		}
	}
	stop := e.progress(func() string { return "reading " + commitlog.Topic })
	err = render.Write(out, o.format, decodeView(rows))
	stop()
	return errors.Join(err, out.Flush(), problems(failed, n))
}

func decodeView(rows iter.Seq2[inspect.LogRecord, error]) render.Result[inspect.LogRecord, inspect.LogRecord] {
	return render.Result[inspect.LogRecord, inspect.LogRecord]{
		Rows:  rows,
		Lines: one[inspect.LogRecord],
		Sections: func(rows iter.Seq[inspect.LogRecord]) iter.Seq[render.Section] {
			return sections(render.Section{
				Live:    true,
				Columns: []render.Column{{Name: "PARTITION", Right: true}, {Name: "OFFSET", Right: true, Width: 8}, {Name: "TIMESTAMP", Width: 24}, {Name: "KIND", Width: 14}, {Name: "KEY", Width: 30}, {Name: "VALUE"}},
				Rows: cells(rows, func(r inspect.LogRecord) []string {
					return []string{number(r.Partition), fmt.Sprint(r.Offset), r.Timestamp, r.Kind, keyCell(r), valueCell(r)}
				}),
			})
		},
	}
}

func keyCell(r inspect.LogRecord) string {
	switch k := r.Key.(type) {
	case commitlog.OffsetCommitKey:
		return fmt.Sprintf("%s %s[%d]", k.Group, k.Topic, k.Partition)
	case commitlog.GroupMetadataKey:
		return k.Group
	case nil:
		return fmt.Sprintf("%d bytes", len(r.RawKey))
	}
	return compact(r.Key)
}

func valueCell(r inspect.LogRecord) string {
	switch v := r.Value.(type) {
	case *commitlog.OffsetCommitValue:
		s := fmt.Sprint(v.Offset)
		if v.Metadata != "" {
			s += fmt.Sprintf(" %q", v.Metadata)
		}
		return s
	case *commitlog.GroupMetadataValue:
		return fmt.Sprintf("generation %d, %s", v.Generation, plural(len(v.Members), "member"))
	case nil:
		switch {
		case r.Tombstone:
			return "deleted"
		case r.Error != nil:
			return fmt.Sprintf("%d bytes: %s", len(r.RawValue), *r.Error)
		}
		return ""
	}
	return compact(r.Value)
}

func compact(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}
