package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"offsets/inspect"
	"offsets/internal/connect"
	"offsets/internal/duration"
	"offsets/internal/render"
)

func describeCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "describe",
		Usage:     "show where groups stand: committed offsets, lag, members",
		ArgsUsage: "[GROUP…]",
		Description: "Shows the partitions that have a commit or are assigned to a member. COMMITTED is the\n" +
			"next offset the group will read; LAG = LOG-END - max(COMMITTED, LOG-START); LOST counts\n" +
			"what was deleted before the group read it. With --time, BEHIND is the age of the next\n" +
			"unread record, by its own timestamp.\n\n" +
			"   offsets describe billing --time\n" +
			"   offsets describe billing --watch\n" +
			"   offsets describe --all -o jsonl\n\n" +
			"Exit: 0 done, 1 failed or no such group, 5 some groups could not be read.",
		Flags: append(groupFlags(),
			&cli.BoolFlag{Name: "members", Usage: "show the members instead of the partitions"},
			&cli.BoolFlag{Name: "state", Usage: "show one line a group instead of the partitions"},
			&cli.BoolFlag{Name: "all-partitions", Usage: "add partitions without commit or owner, of every topic the group reads"},
			&cli.BoolFlag{Name: "time", Usage: "show how late: the age of the next unread record, read from the record itself"},
			&cli.BoolFlag{Name: "exact", Usage: "read all that is unread, and count the records (a lag counts offsets, also those of markers)"},
			&cli.StringFlag{Name: "isolation", Usage: "`LEVEL`: with read_committed the lag ends at the last stable offset"},
			&cli.BoolFlag{Name: "pending", Usage: "ask for commits that transactions hold back also with globs and --all"},
			&cli.BoolFlag{Name: "watch", Usage: "look again and again, with rates, until Ctrl-C"},
			&cli.StringFlag{Name: "interval", Usage: "with --watch: `DURATION` between two looks", Value: "2s"},
		),
		Action: func(c *cli.Context) error {
			o, err := describeOptionsOf(e, c)
			if err != nil {
				return err
			}
			if o.watch {
				return watch(c.Context, e, o)
			}
			return describe(c.Context, e, o)
		},
	}
}

type describeOptions struct {
	common
	selection
	inspect.DescribeOptions
	members, state bool
	pending        bool
	watch          bool
	interval       time.Duration
}

func describeOptionsOf(e *env, c *cli.Context) (o describeOptions, err error) {
	if o.common, err = e.common(c); err != nil {
		return o, err
	}
	if o.selection, err = selectionOf(c); err != nil {
		return o, err
	}
	if o.ReadCommitted, err = readCommittedOf(c); err != nil {
		return o, err
	}
	o.members, o.state, o.AllPartitions = c.Bool("members"), c.Bool("state"), c.Bool("all-partitions")
	o.Time, o.Exact, o.pending, o.watch, o.Now = c.Bool("time"), c.Bool("exact"), c.Bool("pending"), c.Bool("watch"), e.Now()
	if o.interval, err = duration.Parse(c.String("interval")); err != nil || o.interval <= 0 {
		return o, usagef("--interval %q: want a duration such as 2s", c.String("interval"))
	}
	switch {
	case o.members && (o.Time || o.Exact) && o.format != render.JSON && o.format != render.YAML:
		return o, usagef("--time and --exact are about partitions: with --members they show only in -o json and yaml")
	case o.members && o.state:
		return o, usagef("--members and --state exclude each other")
	case o.watch && (o.members || o.state):
		return o, usagef("--watch is for partitions: it goes without --members and --state")
	case c.IsSet("interval") && !o.watch:
		return o, usagef("--interval goes with --watch")
	}
	return o, nil
}

// readCommittedOf reads --isolation.
func readCommittedOf(c *cli.Context) (bool, error) {
	switch level := c.String("isolation"); level {
	case "", "read_uncommitted":
		return false, nil
	case "read_committed":
		return true, nil
	default:
		return false, usagef("--isolation %q: want read_committed or read_uncommitted", level)
	}
}

func describe(ctx context.Context, e *env, o describeOptions) error {
	whole := ctx
	ctx, cancel := bounded(whole, o.common)
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
	if o.Exact { // reads as long as there is something to read, and somebody answers
		ctx, cancel = connect.Watch(whole, cl, o.timeout)
		defer cancel()
	}
	var recent *activity
	if len(groups.names) == 1 && o.format.IsTable() && !o.members && !o.state {
		recent = beginActivity(ctx, cluster, groups.names[0], o.connection)
	}
	o.Pending, o.ShareConfig = o.pending || !groups.many, !groups.many
	d, err := cluster.Describe(ctx, groups.names, groups.listed(o.DescribeOptions))
	if err != nil {
		return contextError(ctx, err)
	}
	d.Problems = append(d.Problems, groups.problems...)
	if groups.many {
		e.visibilityNote(d.Visibility)
	}
	shown := 0
	d.Groups = counted(noteUnread(d), &shown)
	stop := func() {}
	if o.Exact {
		stop = e.progress(func() string { return "counting unread records" })
	}
	out := e.buffered(false)
	switch {
	case o.members:
		err = show(e, out, o.format, membersView(d))
	case o.state:
		err = show(e, out, o.format, stateView(d))
	default:
		err = show(e, out, o.format, describeView(d, e.Now, recent))
	}
	stop()
	err = errors.Join(err, out.Flush())
	if err != nil {
		// What was read until the time was up is shown already.
		return partly(shown, contextError(ctx, err))
	}
	return problems(d.Problems, shown)
}

// partly is an error after something useful was shown: that time is up is then
// not all that is to be said.
func partly(shown int, err error) error {
	var timeout *timeoutError
	if shown > 0 && errors.As(err, &timeout) {
		return &partialError{[]inspect.Problem{{What: "the groups behind those shown", Error: err.Error(), Err: err}}}
	}
	return err
}

// someGroups names groups, and where there are many, some of them.
func someGroups(names []string) string {
	const shown = 3
	switch n := len(names); {
	case n == 1:
		return "group " + names[0]
	case n > shown+1:
		return fmt.Sprintf("%d groups (%s and %d more)", n, strings.Join(names[:shown], ", "), n-shown)
	}
	return "groups " + strings.Join(names, ", ")
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
	return func() any { return describeTail{d.Visibility, errorsOf(d.Problems)} }
}

// describeLine is one partition with its group, for jsonl and CSV.
type describeLine struct {
	Group string `json:"group"`
	inspect.Partition
}

func describeView(d *inspect.Description, now func() time.Time, recent *activity) render.Result[inspect.Group, describeLine] {
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
				Title:   groupTitle(g),
				Columns: partitionColumns(),
				Empty:   "no partitions: nothing committed, nothing assigned",
				Rows:    cells(slices.Values(g.Partitions), partitionCells),
				Held:    true,
				Footer: func() string {
					text := totalLine(g.Total) + shareLines(&g)
					if recent != nil {
						text += recent.footer(&g, now())
					}
					return strings.TrimPrefix(text, "\n")
				},
			}
		}),
	}
}

func partitionColumns() []render.Column {
	return []render.Column{
		{Name: "TOPIC"}, {Name: "PARTITION", Right: true}, {Name: "COMMITTED", Right: true}, {Name: "LOG-START", Right: true}, {Name: "LOG-END", Right: true},
		{Name: "LAST-STABLE", Right: true, Wide: true}, {Name: "LAG", Right: true}, {Name: "RECORDS", Right: true, Optional: true}, {Name: "BEHIND", Right: true, Optional: true},
		{Name: "LOST", Right: true, Optional: true}, {Name: "STATUS"}, {Name: "NOTE", Optional: true},
		{Name: "CLIENT-ID", Optional: true}, {Name: "HOST", Optional: true}, {Name: "MEMBER-ID", Optional: true, Wide: true},
		{Name: "EPOCH", Right: true, Wide: true}, {Name: "CURRENT-EPOCH", Right: true, Wide: true}, {Name: "METADATA", Optional: true, Wide: true},
		{Name: "SUBSCRIBED", Optional: true, Wide: true}, {Name: "TOPIC-ID", Optional: true, Wide: true}, {Name: "ERROR", Optional: true},
	}
}

func partitionCells(p inspect.Partition) []string {
	subscribed := ""
	if p.Subscribed != nil {
		subscribed = fmt.Sprint(*p.Subscribed)
	}
	return []string{
		p.Topic, fmt.Sprint(p.Partition), number(p.Committed), number(p.LogStart), number(p.LogEnd),
		number(p.LastStable), number(p.Lag), number(p.RecordsBehind), secondsCell(p.BehindSeconds),
		lostCell(p.Lost), string(p.Status), partitionNote(&p),
		text(p.ClientID), text(p.Host), text(p.MemberID),
		number(p.LeaderEpoch), number(p.CurrentEpoch), text(p.Metadata),
		subscribed, text(p.TopicID), text(p.Error),
	}
}

// partitionNote is what is odd beside the status.
func partitionNote(p *inspect.Partition) string {
	var notes []string
	if p.PendingTxn != nil && *p.PendingTxn {
		notes = append(notes, "commit pending in a transaction")
	}
	if p.LastStable != nil && p.LogEnd != nil && *p.LastStable < *p.LogEnd {
		notes = append(notes, fmt.Sprintf("open transaction from %d on", *p.LastStable))
	}
	if p.LeaderEpoch != nil && p.CurrentEpoch != nil && *p.LeaderEpoch > *p.CurrentEpoch {
		notes = append(notes, "leader epoch too high: hangs Java consumers")
	}
	if p.Subscribed != nil && !*p.Subscribed {
		notes = append(notes, "not subscribed")
	}
	return strings.Join(notes, "; ")
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

func groupTitle(g inspect.Group) string {
	parts := []string{g.Type, g.State, plural(len(g.Members), "member")}
	if g.Protocol != nil {
		parts = append(parts, "assignor "+*g.Protocol)
	}
	if g.Epoch != nil && g.AssignmentEpoch != nil {
		epoch := fmt.Sprintf("epoch %d", *g.Epoch)
		if *g.AssignmentEpoch != *g.Epoch {
			epoch += fmt.Sprintf(" (assignment of %d)", *g.AssignmentEpoch)
		}
		parts = append(parts, epoch)
	}
	if g.Coordinator != nil {
		parts = append(parts, "coordinator "+broker(g.Coordinator))
	}
	return g.Group + ": " + strings.Join(parts, ", ")
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
				Columns: []render.Column{{Name: "MEMBER"}, {Name: "INSTANCE-ID", Optional: true}, {Name: "CLIENT-ID"}, {Name: "HOST"}, {Name: "PARTITIONS", Right: true}, {Name: "EPOCH", Right: true, Optional: true}, {Name: "ASSIGNMENT"}, {Name: "TARGET", Optional: true}},
				Empty:   "no members",
				Rows: cells(slices.Values(g.Members), func(m inspect.Member) []string {
					n, assignment := assignmentCell(m.Assignment)
					_, target := assignmentCell(m.Target)
					if target == assignment {
						target = ""
					}
					return []string{m.MemberID, text(m.InstanceID), m.ClientID, m.Host, fmt.Sprint(n), number(m.Epoch), assignment, target}
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
	RecordsBehind *int64   `json:"records_behind"`
	BehindSeconds *float64 `json:"behind_seconds"`
}

func stateView(d *inspect.Description) render.Result[inspect.Group, stateLine] {
	return render.Result[inspect.Group, stateLine]{
		Name: "groups",
		Rows: d.Groups,
		Tail: tailOf(d),
		Lines: func(g inspect.Group) iter.Seq[stateLine] {
			return one(stateLine{g.Group, g.Type, g.State, g.ProtocolType, g.Protocol, g.Coordinator, len(g.Members), g.Total, g.RecordsBehind, g.BehindSeconds})
		},
		Sections: func(groups iter.Seq[inspect.Group]) iter.Seq[render.Section] {
			return sections(render.Section{
				Columns: slices.Concat([]render.Column{{Name: "GROUP"}, {Name: "TYPE"}, {Name: "STATE"}, {Name: "ASSIGNOR", Optional: true}, {Name: "MEMBERS", Right: true}}, totalColumns(), []render.Column{{Name: "COORDINATOR"}}),
				Empty:   "no groups",
				Rows: cells(groups, func(g inspect.Group) []string {
					return slices.Concat([]string{g.Group, g.Type, g.State, text(g.Protocol), fmt.Sprint(len(g.Members))}, totalCells(&g.Total), []string{broker(g.Coordinator)})
				}),
			})
		},
	}
}
