package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/urfave/cli/v2"

	"offsets/inspect"
	"offsets/internal/render"
)

func listCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:  "list",
		Usage: "show all groups",
		Description: "Shows every group that this user may see, of every type, with its state and how\n" +
			"many members it has.\n\n" +
			"   offsets list --topic orders          who reads orders?\n" +
			"   offsets list --lag --sort lag\n\n" +
			"Exit: 0 done, 1 failed, 5 some brokers or groups could not be read.",
		Flags: []cli.Flag{
			&cli.StringSliceFlag{KeepSpace: true, Name: "state", Usage: "only groups in `STATE`; may be given several times"},
			&cli.StringSliceFlag{KeepSpace: true, Name: "type", Usage: "only groups of `TYPE` (classic, consumer, share, streams); may be given several times"},
			&cli.StringFlag{Name: "topic", Usage: "only groups that have committed for `TOPIC`, or subscribe to it"},
			&cli.BoolFlag{Name: "lag", Usage: "show the total lag of each group"},
			&cli.StringFlag{Name: "sort", Value: "name", Usage: "`ORDER`: name, lag or members, the greatest first"},
		},
		Action: func(c *cli.Context) error {
			o := listOptions{sort: c.String("sort"), ListOptions: inspect.ListOptions{
				States: c.StringSlice("state"), Types: c.StringSlice("type"), Topic: c.String("topic"), Lag: c.Bool("lag"),
			}}
			var err error
			if o.common, err = e.common(c); err != nil {
				return err
			}
			switch {
			case c.NArg() > 0:
				err := usagef("list takes no arguments")
				err.Suggestion = suggest("to see one group", append([]word{"describe", groupWord(c.Args().First())}, o.connection...)...)
				return err
			case !slices.Contains([]string{"name", "lag", "members"}, o.sort):
				return usagef("--sort %q: want name, lag or members", o.sort)
			case o.sort == "lag" && !o.Lag:
				return usagef("--sort lag goes with --lag")
			}
			if o.Types, err = wordsOf("type", o.Types, inspect.Types()); err != nil {
				return err
			}
			if o.States, err = wordsOf("state", o.States, inspect.States()); err != nil {
				return err
			}
			return list(c.Context, e, o)
		},
	}
}

type listOptions struct {
	common
	inspect.ListOptions
	sort string
}

func list(ctx context.Context, e *env, o listOptions) error {
	ctx, cancel := bounded(ctx, o.common)
	defer cancel()
	cl, err := o.connect(ctx)
	if err != nil {
		return contextError(ctx, err)
	}
	defer cl.Close()
	l, err := inspect.New(cl).List(ctx, o.ListOptions)
	if err != nil {
		return contextError(ctx, err)
	}
	sortListed(l.Groups, o.sort)
	e.visibilityNote(l.Visibility)
	out := e.buffered(false)
	if err := errors.Join(show(e, out, o.format, listView(l)), out.Flush()); err != nil {
		return err
	}
	return problems(append(l.Problems, unreadProblems(l.Unread)...), len(l.Groups))
}

// sortListed: they come sorted by name. A lag that is not known may be any: it
// comes before those that are.
func sortListed(groups []inspect.ListedGroup, order string) {
	value := func(g *inspect.ListedGroup) (unknown, n int64) {
		switch {
		case order == "lag" && g.Total != nil:
			if g.Total.Unknown > 0 {
				unknown = 1
			}
			return unknown, g.Total.Lag
		case order == "members" && g.Members != nil:
			return 0, int64(*g.Members)
		}
		return 0, 0
	}
	slices.SortStableFunc(groups, func(a, b inspect.ListedGroup) int {
		unknownA, nA := value(&a)
		unknownB, nB := value(&b)
		return cmp.Or(cmp.Compare(unknownB, unknownA), cmp.Compare(nB, nA))
	})
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
				Columns: slices.Concat([]render.Column{{Name: "GROUP"}, {Name: "TYPE"}, {Name: "STATE"}, {Name: "PROTOCOL-TYPE", Optional: true}, {Name: "ASSIGNOR", Optional: true}, {Name: "MEMBERS", Right: true}}, totalColumns(), []render.Column{{Name: "COORDINATOR"}}),
				Empty:   noGroups(l),
				Held:    true,
				Rows: cells(rows, func(g inspect.ListedGroup) []string {
					return slices.Concat([]string{g.Group, g.Type, g.State, g.ProtocolType, text(g.Protocol), number(g.Members)}, totalCells(g.Total), []string{broker(g.Coordinator)})
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

// noGroups: where brokers did not answer, that none was found says nothing.
func noGroups(l *inspect.Listing) string {
	if len(l.Problems) > 0 {
		return "no groups on the brokers that answered"
	}
	return "no groups"
}
