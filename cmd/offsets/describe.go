package main

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"offsets/inspect"
	"offsets/internal/render"
)

func describeCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "describe",
		Usage:     "show where groups stand: committed offsets, lag, members",
		ArgsUsage: "[GROUP…]",
		Description: "Shows the partitions that have a commit or are assigned to a member. COMMITTED is the\n" +
			"next offset the group will read; LAG = LOG-END - max(COMMITTED, LOG-START); LOST counts\n" +
			"what was deleted before the group read it.\n\n" +
			"Exit: 0 done, 1 failed or no such group, 5 some groups could not be read.",
		Flags: append(groupFlags(),
			&cli.BoolFlag{Name: "members", Usage: "show the members instead of the partitions"},
			&cli.BoolFlag{Name: "state", Usage: "show one line a group instead of the partitions"},
			&cli.BoolFlag{Name: "all-partitions", Usage: "add partitions without commit or owner, of every topic the group reads"},
		),
		Action: func(c *cli.Context) error {
			o, err := describeOptionsOf(e, c)
			if err != nil {
				return err
			}
			return describe(c.Context, e, o)
		},
	}
}

type describeOptions struct {
	common
	selection
	members, state bool
	allPartitions  bool
}

func describeOptionsOf(e *env, c *cli.Context) (o describeOptions, err error) {
	if o.common, err = e.common(c); err != nil {
		return o, err
	}
	if o.selection, err = selectionOf(c); err != nil {
		return o, err
	}
	o.members, o.state, o.allPartitions = c.Bool("members"), c.Bool("state"), c.Bool("all-partitions")
	if o.members && o.state {
		return o, usagef("--members and --state exclude each other")
	}
	return o, nil
}

func describe(ctx context.Context, e *env, o describeOptions) error {
	ctx, cancel := bounded(ctx, o.common)
	defer cancel()
	cl, err := o.connect(ctx)
	if err != nil {
		return contextError(ctx, err)
	}
	defer cl.Close()
	cluster := inspect.New(cl)
	groups, err := e.resolve(ctx, cluster, o.selection)
	if err != nil {
		return contextError(ctx, err)
	}
	d, err := cluster.Describe(ctx, groups.names, inspect.DescribeOptions{AllPartitions: o.allPartitions})
	if err != nil {
		return contextError(ctx, err)
	}
	d.Problems = append(d.Problems, groups.problems...)
	if groups.many {
		e.visibilityNote(d.Visibility)
	}
	shown := 0
	d.Groups = counted(d.Groups, &shown)
	switch {
	case o.members:
		err = render.Write(e.Stdout, o.format, membersView(d))
	case o.state:
		err = render.Write(e.Stdout, o.format, stateView(d))
	default:
		err = render.Write(e.Stdout, o.format, describeView(d))
	}
	if err != nil {
		return contextError(ctx, err)
	}
	return problems(d.Problems, shown)
}

func counted[R any](rows iter.Seq2[R, error], n *int) iter.Seq2[R, error] {
	return func(yield func(R, error) bool) {
		for r, err := range rows {
			if err == nil {
				*n++
			}
			if !yield(r, err) {
				return
			}
		}
	}
}

type describeTail struct {
	Visibility inspect.Visibility `json:"visibility"`
	Errors     []inspect.Problem  `json:"errors"`
}

func tailOf(d *inspect.Description) func() any {
	return func() any { return describeTail{d.Visibility, append([]inspect.Problem{}, d.Problems...)} }
}

// describeLine is one partition with its group, for jsonl and CSV.
type describeLine struct {
	Group string `json:"group"`
	inspect.Partition
}

func describeView(d *inspect.Description) render.Result[inspect.Group, describeLine] {
	return render.Result[inspect.Group, describeLine]{
		Name: "groups",
		Rows: d.Groups,
		Tail: tailOf(d),
		Lines: func(g inspect.Group) iter.Seq[describeLine] {
			return func(yield func(describeLine) bool) {
				for _, p := range g.Partitions {
					if !yield(describeLine{g.Group, p}) {
						return
					}
				}
			}
		},
		Sections: eachGroup(func(g inspect.Group) render.Section {
			return render.Section{
				Title: groupTitle(g),
				Columns: []render.Column{
					{Name: "TOPIC"}, {Name: "PARTITION", Right: true}, {Name: "COMMITTED", Right: true}, {Name: "LOG-START", Right: true}, {Name: "LOG-END", Right: true},
					{Name: "LAG", Right: true}, {Name: "LOST", Right: true, Optional: true}, {Name: "STATUS"},
					{Name: "CLIENT-ID", Optional: true}, {Name: "HOST", Optional: true}, {Name: "ERROR", Optional: true},
				},
				Empty: "no partitions: nothing committed, nothing assigned",
				Rows: cells(slices.Values(g.Partitions), func(p inspect.Partition) []string {
					return []string{
						p.Topic, fmt.Sprint(p.Partition), number(p.Committed), number(p.LogStart), number(p.LogEnd),
						number(p.Lag), lostCell(p.Lost), string(p.Status), text(p.ClientID), text(p.Host), text(p.Error),
					}
				}),
				Footer: func() string { return totalLine(g.Total) },
			}
		}),
	}
}

func eachGroup(section func(inspect.Group) render.Section) func(iter.Seq[inspect.Group]) iter.Seq[render.Section] {
	return func(groups iter.Seq[inspect.Group]) iter.Seq[render.Section] {
		return func(yield func(render.Section) bool) {
			for g := range groups {
				if !yield(section(g)) {
					return
				}
			}
		}
	}
}

func lostCell(lost *int64) string {
	if lost == nil || *lost == 0 {
		return ""
	}
	return fmt.Sprint(*lost)
}

func groupTitle(g inspect.Group) string {
	parts := []string{g.Type, g.State, plural(len(g.Members), "member")}
	if g.Protocol != nil {
		parts = append(parts, "assignor "+*g.Protocol)
	}
	if g.Coordinator != nil {
		parts = append(parts, "coordinator "+broker(g.Coordinator))
	}
	return g.Group + ": " + strings.Join(parts, ", ")
}

func totalLine(t inspect.Total) string {
	s := fmt.Sprintf("total lag %d on %s", t.Lag, plural(t.Partitions-t.Unknown, "partition"))
	if t.NoCommit > 0 {
		s += fmt.Sprintf(", %d without a commit", t.NoCommit)
	}
	if n := t.Unknown - t.NoCommit; n > 0 {
		s += fmt.Sprintf(", unknown on %d", n)
	}
	if t.Lost > 0 {
		s += fmt.Sprintf("; %d lost: deleted before they were read", t.Lost)
	}
	return s
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

// memberLine is one member with its group.
type memberLine struct {
	Group string `json:"group"`
	inspect.Member
}

func membersView(d *inspect.Description) render.Result[inspect.Group, memberLine] {
	return render.Result[inspect.Group, memberLine]{
		Name: "groups",
		Rows: d.Groups,
		Tail: tailOf(d),
		Lines: func(g inspect.Group) iter.Seq[memberLine] {
			return func(yield func(memberLine) bool) {
				for _, m := range g.Members {
					if !yield(memberLine{g.Group, m}) {
						return
					}
				}
			}
		},
		Sections: eachGroup(func(g inspect.Group) render.Section {
			return render.Section{
				Title:   groupTitle(g),
				Columns: []render.Column{{Name: "MEMBER"}, {Name: "INSTANCE-ID", Optional: true}, {Name: "CLIENT-ID"}, {Name: "HOST"}, {Name: "PARTITIONS", Right: true}, {Name: "ASSIGNMENT"}},
				Empty:   "no members",
				Rows: cells(slices.Values(g.Members), func(m inspect.Member) []string {
					n, assignment := assignmentCell(m.Assignment)
					return []string{m.MemberID, text(m.InstanceID), m.ClientID, m.Host, fmt.Sprint(n), assignment}
				}),
			}
		}),
	}
}

// assignmentCell writes an assignment as Kafka's tool does: t:0,1;u:3
func assignmentCell(assignment []inspect.TopicPartitions) (n int, text string) {
	var topics []string
	for _, t := range assignment {
		n += len(t.Partitions)
		topics = append(topics, t.Topic+":"+strings.Trim(strings.ReplaceAll(fmt.Sprint(t.Partitions), " ", ","), "[]"))
	}
	return n, strings.Join(topics, ";")
}

// stateLine is one group without its partitions.
type stateLine struct {
	Group        string               `json:"group"`
	Type         string               `json:"type"`
	State        string               `json:"state"`
	ProtocolType string               `json:"protocol_type"`
	Protocol     *string              `json:"protocol"`
	Coordinator  *inspect.Coordinator `json:"coordinator"`
	Members      int                  `json:"members"`
	inspect.Total
}

func stateView(d *inspect.Description) render.Result[inspect.Group, stateLine] {
	return render.Result[inspect.Group, stateLine]{
		Name: "groups",
		Rows: d.Groups,
		Tail: tailOf(d),
		Lines: func(g inspect.Group) iter.Seq[stateLine] {
			return one(stateLine{g.Group, g.Type, g.State, g.ProtocolType, g.Protocol, g.Coordinator, len(g.Members), g.Total})
		},
		Sections: func(groups iter.Seq[inspect.Group]) iter.Seq[render.Section] {
			return sections(render.Section{
				Columns: []render.Column{{Name: "GROUP"}, {Name: "TYPE"}, {Name: "STATE"}, {Name: "ASSIGNOR", Optional: true}, {Name: "MEMBERS", Right: true}, {Name: "PARTITIONS", Right: true}, {Name: "LAG", Right: true}, {Name: "LOST", Right: true, Optional: true}, {Name: "COORDINATOR"}},
				Empty:   "no groups",
				Rows: cells(groups, func(g inspect.Group) []string {
					return []string{g.Group, g.Type, g.State, text(g.Protocol), fmt.Sprint(len(g.Members)), fmt.Sprint(g.Total.Partitions), fmt.Sprint(g.Total.Lag), lostCell(&g.Total.Lost), broker(g.Coordinator)}
				}),
			})
		},
	}
}
