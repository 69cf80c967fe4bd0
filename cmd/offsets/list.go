package main

import (
	"context"
	"fmt"
	"iter"

	"github.com/urfave/cli/v2"

	"offsets/inspect"
	"offsets/internal/render"
)

func listCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:  "list",
		Usage: "show all groups",
		Description: "Shows every group that this user may see, of every type, with its state and how\n" +
			"many members it has.\n\nExit: 0 done, 1 failed, 5 some brokers or groups could not be read.",
		Action: func(c *cli.Context) error {
			o, err := e.common(c)
			if err != nil {
				return err
			}
			if c.NArg() > 0 {
				return usagef("list takes no arguments; 'offsets describe %s' shows one group", c.Args().First())
			}
			return list(c.Context, e, o)
		},
	}
}

func list(ctx context.Context, e *env, o common) error {
	ctx, cancel := bounded(ctx, o)
	defer cancel()
	cl, err := o.connect(ctx)
	if err != nil {
		return contextError(ctx, err)
	}
	defer cl.Close()
	l, err := inspect.New(cl).List(ctx)
	if err != nil {
		return contextError(ctx, err)
	}
	e.visibilityNote(l.Visibility)
	if err := render.Write(e.Stdout, o.format, listView(l)); err != nil {
		return err
	}
	return problems(l.Problems, len(l.Groups))
}

type listTail struct {
	Visibility inspect.Visibility `json:"visibility"`
}

func listView(l *inspect.Listing) render.Result[inspect.ListedGroup, inspect.ListedGroup] {
	return render.Result[inspect.ListedGroup, inspect.ListedGroup]{
		Name:  "groups",
		Rows:  rowsOf(l.Groups),
		Tail:  func() any { return listTail{l.Visibility} },
		Lines: one[inspect.ListedGroup],
		Sections: func(rows iter.Seq[inspect.ListedGroup]) iter.Seq[render.Section] {
			return sections(render.Section{
				Columns: []render.Column{{Name: "GROUP"}, {Name: "TYPE"}, {Name: "STATE"}, {Name: "PROTOCOL-TYPE", Optional: true}, {Name: "ASSIGNOR", Optional: true}, {Name: "MEMBERS", Right: true}, {Name: "COORDINATOR"}},
				Empty:   "no groups",
				Rows: cells(rows, func(g inspect.ListedGroup) []string {
					return []string{g.Group, g.Type, g.State, g.ProtocolType, text(g.Protocol), number(g.Members), broker(g.Coordinator)}
				}),
			})
		},
	}
}

func broker(c *inspect.Coordinator) string {
	if c == nil {
		return ""
	}
	return fmt.Sprintf("%d (%s:%d)", c.ID, c.Host, c.Port)
}
