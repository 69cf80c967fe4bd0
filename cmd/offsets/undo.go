package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/urfave/cli/v2"

	"offsets/inspect"
	"offsets/internal/connect"
	"offsets/internal/render"
	"offsets/reset"
)

func undoCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "undo",
		Usage:     "put back what the last change of a group replaced",
		ArgsUsage: "[GROUP…]",
		Description: "Every change writes a receipt before it begins. undo reads the group's last one (or --receipt)\n" +
			"and plans to put back offsets, metadata and, where that is safe, leader epochs; a commit that\n" +
			"was not there is deleted again. An undo is a change like any other, and can be undone. What\n" +
			"cannot be restored: whether a group was classic or not (a share group stays one), its generation,\n" +
			"when its commits expire, and what a share group had acknowledged above its start offsets.\n\n" +
			"   offsets undo billing            shows what would be put back\n" +
			"   offsets undo billing --execute\n" +
			"   offsets undo 'orders-*' --expect-groups 12 --execute\n" +
			"   offsets undo --list\n\n" +
			"Exit: 0 done or planned, 1 failed or no receipt, 2 usage, 4 refused because it would be unsafe\n(the group is active, or has moved on since) or because nothing can be put back, 5 some partitions\nwere not written or could not be put back.",
		Flags: append([]cli.Flag{
			&cli.StringSliceFlag{KeepSpace: true, Name: "group", Usage: "a `GROUP` or glob, as the arguments are; may be given several times"},
			&cli.IntFlag{Name: "expect-groups", Usage: "execute a glob only if it selects `N` groups that have receipts"},
			&cli.BoolFlag{Name: "list", Usage: "list the receipts there are"},
			&cli.BoolFlag{Name: "even-if-moved", Usage: "overwrite what was committed since the change"},
		}, undoFlags()...),
		Action: func(c *cli.Context) error {
			o, err := undoOptionsOf(e, c)
			if err != nil {
				return err
			}
			return undo(c.Context, e, o)
		},
	}
}

// undoFlags: --receipt names the receipt that is read here.
func undoFlags() []cli.Flag {
	return slices.DeleteFunc(changeFlags(), func(f cli.Flag) bool {
		if s, ok := f.(*cli.StringFlag); ok && s.Name == "receipt" {
			s.Usage, s.Category = "undo the change of receipt `FILE`, not the last one", ""
		}
		return false
	})
}

type undoOptions struct {
	changeOptions
	groups      []string // and globs of groups that have receipts
	expect      *int
	receipt     string
	list        bool
	evenIfMoved bool
}

func undoOptionsOf(e *env, c *cli.Context) (o undoOptions, err error) {
	if o.changeOptions, err = changeOptionsOf(e, c); err != nil {
		return o, err
	}
	if o.receipts != nil {
		o.receipt, o.receipts.File = o.receipts.File, ""
	}
	o.list, o.evenIfMoved = c.Bool("list"), c.Bool("even-if-moved")
	o.groups, o.expect = append(c.Args().Slice(), c.StringSlice("group")...), intOf(c, "expect-groups")
	switch group := e.Getenv("OFFSETS_GROUP"); {
	case len(o.groups) > 1 && o.receipt != "":
		return o, usagef("--receipt is of one group, and these are %d", len(o.groups))
	case len(o.groups) > 0:
	case group != "":
		o.groups, o.named = []string{escapeGlob(group)}, o.receipt != ""
	default:
		o.named = o.receipt != ""
	}
	if o.list && (o.receipt != "" || o.execute) {
		return o, usagef("--list shows the receipts and does nothing else")
	}
	return o, nil
}

func undo(ctx context.Context, e *env, o undoOptions) error {
	cl, bound, done, err := o.connectForChange(ctx)
	if err != nil {
		return err
	}
	defer done()
	id, err := inspect.New(cl).ClusterID(bound)
	if err != nil {
		return contextError(bound, err)
	}
	if o.list {
		return e.listReceipts(o, id)
	}
	receipts, err := e.receiptsOf(&o, id)
	if err != nil {
		return err
	}
	plans, err := planUndo(bound, cl, receipts, o)
	if err != nil {
		return contextError(bound, err)
	}
	e.tellReceipts(receipts)
	return e.changeGroups(ctx, cl, plans, o.changeOptions)
}

func planUndo(ctx context.Context, cl *kgo.Client, receipts []*reset.Receipt, o undoOptions) ([]reset.Plan, error) {
	var all []reset.Restoring
	for _, r := range receipts {
		wanted := r.Undo()
		if len(wanted) == 0 {
			return nil, fmt.Errorf("group %s: the change of %s wrote nothing: %w", r.Plan.Group, r.Time, errNoReceipt)
		}
		all = append(all, reset.Restoring{Group: r.Plan.Group, Wanted: wanted, Type: r.Plan.Type})
	}
	return reset.New(cl).RestorePlans(ctx, all, reset.RestoreOptions{
		Kind: reset.KindUndo, SameCluster: true, Outside: true, EvenIfMoved: o.evenIfMoved,
	})
}

// tellReceipts says what is undone; groups of one change together.
func (e *env) tellReceipts(receipts []*reset.Receipt) {
	var commands []string
	of := map[string][]*reset.Receipt{}
	for _, r := range receipts {
		command := shellLine(r.Command)
		if of[command] == nil {
			commands = append(commands, command)
		}
		of[command] = append(of[command], r)
	}
	for _, command := range commands {
		if rs := of[command]; len(rs) == 1 {
			e.note("group %s: the receipt says: change of %s, made with: %s", rs[0].Plan.Group, rs[0].Time, command)
		} else {
			e.note("%d groups: the receipts say: change of %s, made with: %s", len(rs), rs[0].Time, command)
		}
	}
	for _, r := range receipts {
		switch {
		case r.State != reset.ReceiptStarted:
		case len(receipts) == 1:
			e.note("that change did not end: what it wrote is found out from what is committed now")
		default:
			e.note("group %s: that change did not end: what it wrote is found out from what is committed now", r.Plan.Group)
		}
	}
}

// receiptsOf finds the receipts: the one that is named, or the last one of each
// group.
func (e *env) receiptsOf(o *undoOptions, cluster string) (out []*reset.Receipt, err error) {
	if o.receipt == "" {
		out, err = e.lastReceipts(o, cluster)
	} else {
		var r *reset.Receipt
		r, err = e.receiptNamed(o)
		out = []*reset.Receipt{r}
	}
	if err != nil {
		return nil, err
	}
	for _, r := range out {
		if r.ClusterID != cluster {
			return nil, &reset.RefusedError{Group: r.Plan.Group, Reasons: []string{fmt.Sprintf("the receipt is of cluster %s, this is %s", r.ClusterID, cluster)}}
		}
	}
	return out, nil
}

func (e *env) receiptNamed(o *undoOptions) (*reset.Receipt, error) {
	r, err := reset.ReadReceipt(o.receipt)
	if err != nil {
		return nil, usagef("--receipt: %s", err)
	}
	if len(o.groups) == 1 && o.groups[0] != r.Plan.Group && !glob(o.groups[0])(r.Plan.Group) {
		return nil, usagef("--receipt: it is of group %s, not %s", r.Plan.Group, literal(o.groups[0]))
	}
	if why := r.Doubt(); why != "" {
		e.note("receipt %s: %s; what it says is taken as it is", o.receipt, why)
	}
	return r, nil
}

// lastReceipts are the newest of each group that is meant, in the order of names.
func (e *env) lastReceipts(o *undoOptions, cluster string) ([]*reset.Receipt, error) {
	found, unsafe, err := e.findReceipts(cluster)
	if err != nil {
		return nil, err
	}
	if len(o.groups) == 0 {
		only, err := onlyGroupOf(found)
		if err != nil {
			return nil, err
		}
		o.groups = []string{escapeGlob(only)}
		e.note("group %s: the only one with receipts", only)
	}
	last := map[string]*reset.Receipt{}
	for _, r := range found {
		last[r.Plan.Group] = r
	}
	chosen := map[string]bool{}
	many := false
	for _, pattern := range o.groups {
		if last[pattern] != nil { // a name as it is, whatever is in it
			chosen[pattern] = true
			continue
		}
		many = many || isGlob(pattern)
		matches, any := glob(pattern), false
		for group := range last {
			if matches(group) {
				chosen[group], any = true, true
			}
		}
		for _, u := range unsafe {
			if !any && !isGlob(pattern) && u.Concerns(literal(pattern)) {
				return nil, u
			}
		}
		if !any {
			return nil, fmt.Errorf("group %s: %w in %s", literal(pattern), errNoReceipt, e.receipts(e.Args).Dir)
		}
	}
	names := slices.Sorted(maps.Keys(chosen))
	if err := checkExpected(selection{patterns: o.groups}, groups{names: names, many: many}, o.expect, o.execute); err != nil {
		return nil, err
	}
	for _, u := range unsafe { // else the change before it would be undone
		for _, name := range names {
			if u.Concerns(name) {
				return nil, u
			}
		}
	}
	out := make([]*reset.Receipt, len(names))
	for i, name := range names {
		out[i] = last[name]
	}
	return out, nil
}

func onlyGroupOf(found []*reset.Receipt) (string, error) {
	var groups []string
	for _, r := range found {
		groups = append(groups, r.Plan.Group)
	}
	groups = unique(groups)
	slices.Sort(groups)
	switch len(groups) {
	case 0:
		return "", fmt.Errorf("of this cluster: %w", errNoReceipt)
	case 1:
		return groups[0], nil
	}
	err := usagef("no group named, and %d have receipts: %s", len(groups), strings.Join(groups, ", "))
	err.Hint = "'offsets undo --list' shows them"
	return "", err
}

// findReceipts lists the receipts of a cluster; files that cannot be read are
// told, and are not the end; nor are those that somebody else may have written.
func (e *env) findReceipts(cluster string) (found []*reset.Receipt, unsafe []*reset.UnsafeError, err error) {
	found, unreadable, err := e.receipts(e.Args).List(cluster)
	for _, err := range unreadable {
		var u *reset.UnsafeError
		if errors.As(err, &u) {
			unsafe = append(unsafe, u)
			e.note("left out: %s", err)
			continue
		}
		e.note("a file among the receipts is none: %s", err)
	}
	return found, unsafe, err
}

// receiptRow is a receipt in a list.
type receiptRow struct {
	Time       string             `json:"time"`
	Group      string             `json:"group"`
	Kind       reset.Kind         `json:"kind"`
	State      reset.ReceiptState `json:"state"`
	Partitions int                `json:"partitions"`
	Verified   *reset.Verified    `json:"verified"`
	Receipt    string             `json:"receipt"`
	Command    []string           `json:"command"`
}

type receiptsTail struct {
	ClusterID string `json:"cluster_id"`
}

func (e *env) listReceipts(o undoOptions, cluster string) error {
	found, _, err := e.findReceipts(cluster)
	if err != nil {
		return err
	}
	rows := []receiptRow{}
	for _, r := range slices.Backward(found) {
		if len(o.groups) == 0 || slices.ContainsFunc(o.groups, func(p string) bool { return glob(p)(r.Plan.Group) }) {
			rows = append(rows, receiptRow{r.Time, r.Plan.Group, r.Plan.Kind, r.State, len(r.Undo()), r.Plan.Verified, r.File(), connect.HideArguments(r.Command)})
		}
	}
	return show(e, e.Stdout, o.format, receiptsView(rows, cluster))
}

func receiptsView(rows []receiptRow, cluster string) render.Result[receiptRow, receiptRow] {
	return render.Result[receiptRow, receiptRow]{
		Name:  "receipts",
		Rows:  rowsOf(rows),
		Tail:  func() any { return receiptsTail{cluster} },
		Lines: one[receiptRow],
		Sections: func(rows iter.Seq[receiptRow]) iter.Seq[render.Section] {
			return sections(render.Section{
				Columns: []render.Column{{Name: "TIME"}, {Name: "GROUP"}, {Name: "CHANGE"}, {Name: "PARTITIONS", Right: true}, {Name: "STATE"}, {Name: "RECEIPT"}},
				Rows: cells(rows, func(r receiptRow) []string {
					return []string{r.Time, r.Group, string(r.Kind), fmt.Sprint(r.Partitions), string(r.State), r.Receipt}
				}),
			})
		},
	}
}
