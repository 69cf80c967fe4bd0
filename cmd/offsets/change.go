package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/urfave/cli/v2"

	"offsets/cmd/offsets/internal/shell"
	"offsets/inspect"
	"offsets/internal/connect"
	"offsets/internal/duration"
	"offsets/reset"
)

// This file is what all commands that change group offsets have in common: a
// plan is shown, asked about, applied, and told how to undo.

const changeCategory = "Making the change"

// changeFlags are the flags of every such command.
func changeFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "execute", Category: changeCategory, Usage: "make the change"},
		&cli.BoolFlag{Name: "dry-run", Category: changeCategory, Usage: "only show the plan"},
		&cli.StringFlag{Name: "plan-file", Category: changeCategory, Usage: "write the plan to `FILE`, for 'offsets apply FILE'"},
		&cli.StringFlag{Name: "wait-empty", Category: changeCategory, Usage: "wait up to `DURATION` until the group has no members, and say for whom"},
		&cli.StringSliceFlag{KeepSpace: true, Name: "remove-static", Category: changeCategory, Usage: "remove the static member `INSTANCE-ID`, which a clean stop leaves in the group; may be given several times"},
		&cli.StringFlag{Name: "settle", Category: changeCategory, Usage: "watch the group's commits for `DURATION` before the write (default 3s for groups that never had members, 0s for others)"},
		&cli.BoolFlag{Name: "partial", Category: changeCategory, Usage: "of several groups, change those that can be changed"},
		&cli.BoolFlag{Name: "streams-ok", Category: changeCategory, Usage: "change the offsets of a Kafka Streams application, whose state stores are not reset with them"},
		&cli.StringFlag{Name: "receipt", Category: changeCategory, Usage: "write what undo needs to `FILE`, not to the state folder"},
		&cli.BoolFlag{Name: "no-receipt", Category: changeCategory, Usage: "write no receipt: there is no undo then"},
	}
}

// changeOptions is what they say.
type changeOptions struct {
	common
	execute, dryRun, partial bool
	// named: the command line says which group, so that it may be executed
	// without a question.
	named        bool
	planFile     string
	waitEmpty    time.Duration // 0: do not wait
	removeStatic []string
	settle       *time.Duration // nil: the default of each group
	streamsOK    bool
	receipts     *reset.Receipts // nil: none
	command      []string
	begun        time.Time // what --timeout counts from
}

func changeOptionsOf(e *env, c *cli.Context) (o changeOptions, err error) {
	if o.common, err = e.common(c); err != nil {
		return o, err
	}
	o.execute, o.dryRun, o.partial, o.streamsOK = c.Bool("execute"), c.Bool("dry-run"), c.Bool("partial"), c.Bool("streams-ok")
	o.begun = time.Now()
	o.planFile, o.removeStatic, o.command, o.named = c.String("plan-file"), c.StringSlice("remove-static"), e.Args, true
	for flag, set := range map[string]func(time.Duration){
		"wait-empty": func(d time.Duration) { o.waitEmpty = d },
		"settle":     func(d time.Duration) { o.settle = &d },
	} {
		if !c.IsSet(flag) {
			continue
		}
		d, err := duration.Parse(c.String(flag))
		if err != nil {
			return o, usagef("--%s: %s", flag, err)
		}
		set(d)
	}
	switch {
	case o.execute && o.dryRun:
		return o, usagef("--execute and --dry-run exclude each other")
	case o.execute && o.planFile != "":
		return o, usagef("--plan-file writes a plan down, --execute carries one out: 'offsets apply FILE --execute' comes after it")
	case c.Bool("no-receipt") && c.IsSet("receipt"):
		return o, usagef("--receipt and --no-receipt exclude each other")
	case c.Bool("no-receipt"):
		return o, nil
	}
	if note := e.stateFolder().note; note != "" {
		e.note("%s", note)
	}
	o.receipts = e.receipts(o.command)
	o.receipts.File = c.String("receipt")
	return o, nil
}

// commandLineOf is the command as plans and receipts keep it: without what must
// not be kept.
func commandLineOf(args []string) []string {
	return append([]string{"offsets"}, connect.HideArguments(args[1:])...)
}

// receipts is where receipts are kept.
func (e *env) receipts(command []string) *reset.Receipts {
	return &reset.Receipts{Dir: e.stateFolder().path, Command: commandLineOf(command), Now: e.Now}
}

// changeGroups shows plans and carries them out, as far as the options say.
func (e *env) changeGroups(ctx context.Context, cl *kgo.Client, plans []reset.Plan, o changeOptions) error {
	if o.receipts != nil && o.receipts.File != "" && len(plans) > 1 {
		return usagef("--receipt is one file for one group, but the plan has %d: without it, each gets its own in the state folder", len(plans))
	}
	if o.execute && !o.named {
		return usagef("--execute needs the group on the command line")
	}
	e.tellPlans(plans, o)
	if o.planFile != "" {
		if err := e.writePlanFile(ctx, cl, plans, o); err != nil {
			return err
		}
	}
	refused := refusals(plans, o)
	switch {
	case o.execute && (len(refused) == 0 || o.partial):
		err := e.apply(ctx, cl, plans, o)
		return errors.Join(err, e.writePlans(o.common, plans, true))
	case len(refused) == 0 && e.mayAsk(plans, o):
		if err := e.writePlans(o.common, plans, false); err != nil {
			return err
		}
		asked := time.Now()
		if yes, err := e.confirm(ctx, "apply this plan?"); !yes {
			e.note("nothing was changed")
			return err
		}
		o.begun = o.begun.Add(time.Since(asked)) // a person's time does not count
		return errors.Join(e.apply(ctx, cl, plans, o), e.writePlans(o.common, plans, true))
	}
	err := e.writePlans(o.common, plans, false)
	switch {
	case len(refused) > 0:
	case o.planFile != "":
		e.noteSuggestion(suggest("nothing was changed; to make the change", append([]word{"apply", fileWord(o.planFile), "--execute"}, o.connection...)...))
	default:
		e.note("this is a plan, nothing was changed; --execute makes the change")
	}
	return errors.Join(append([]error{err}, refused...)...)
}

// tellPlans says on stderr what the reader of a plan may not expect: once for
// all groups of which it holds.
func (e *env) tellPlans(plans []reset.Plan, o changeOptions) {
	var order []string
	of := map[string][]string{}
	tell := func(format, text, group string) {
		text = fmt.Sprintf(format, "%[1]s", strings.ReplaceAll(text, "%", "%%"))
		if of[text] == nil {
			order = append(order, text)
		}
		of[text] = append(of[text], group)
	}
	for i := range plans {
		p := &plans[i]
		for _, w := range p.Warnings {
			tell("%s: %s", w, p.Group)
		}
		var active *reset.RefusedError
		if err := p.Active(); errors.As(err, &active) && !o.execute {
			tell("cannot be applied yet to %s: %s", strings.Join(active.Reasons, "; "), p.Group)
		}
	}
	for i, text := range order {
		if i == problemLines && len(order) > problemLines+1 {
			e.note("and %d more notes like these: 'reasons' of -o json has them all", len(order)-i)
			return
		}
		e.note(text, groupsText(of[text]))
	}
}

// groupsText names groups; of many, the first.
func groupsText(groups []string) string {
	const names = 3
	switch {
	case len(groups) == 1:
		return "group " + groups[0]
	case len(groups) <= names:
		return "groups " + strings.Join(groups, ", ")
	}
	return fmt.Sprintf("%d groups (%s, …)", len(groups), strings.Join(groups[:names], ", "))
}

func (e *env) writePlanFile(ctx context.Context, cl *kgo.Client, plans []reset.Plan, o changeOptions) error {
	id, err := inspect.New(cl).ClusterID(ctx)
	if err != nil {
		return err
	}
	err = reset.WritePlanFile(o.planFile, reset.PlanFile{ClusterID: id, Time: timestamp(e.Now()), Command: commandLineOf(o.command), Plans: plans})
	if err != nil {
		return fmt.Errorf("writing the plan: %w", err)
	}
	return nil
}

// refusals are the reasons not to go on. A plan without --execute is not
// refused because of members: they may be gone when it is applied.
func refusals(plans []reset.Plan, o changeOptions) []error {
	var errs []error
	for i := range plans {
		if err := plans[i].Refused(); err != nil {
			errs = append(errs, err)
		}
		if err := plans[i].Active(); err != nil && o.execute && o.waitEmpty == 0 && len(o.removeStatic) == 0 {
			errs = append(errs, err)
		}
	}
	return errs
}

// apply carries the plans out, and says on the way what one would like to know.
func (e *env) apply(ctx context.Context, cl *kgo.Client, plans []reset.Plan, o changeOptions) error {
	all := make([]*reset.Plan, len(plans))
	for i := range plans {
		all[i] = &plans[i]
	}
	err := reset.New(cl).ApplyAll(ctx, all, reset.ApplyOptions{
		Receipts: o.receipts, NoReceipt: o.receipts == nil, Settle: o.settle, WaitEmpty: o.waitEmpty, RemoveStatic: o.removeStatic,
		StreamsOK: o.streamsOK, Partial: o.partial,
		Limit:    reset.Limit{After: max(o.timeout-time.Since(o.begun), time.Millisecond), Cause: &timeoutError{after: o.timeout}},
		Progress: e.changeProgress(ctx, o, len(all)),
	})
	if len(all) > undoLines {
		e.tellUndoAll(all, o)
	}
	errs := split(err)
	applied := false
	for _, p := range all {
		applied = applied || p.Applied
		if v := p.Verified; v != nil && *v != reset.VerifiedYes && p.Applied {
			errs = append(errs, &verifyError{p.Group, *v})
		}
		if err := notPutBack(p); err != nil && p.Applied {
			errs = append(errs, err)
		}
	}
	if err = errors.Join(errs...); err != nil && applied {
		return &partialWriteError{err}
	}
	return err
}

// notPutBack: an undo left some partitions alone, which whoever asked for it
// must not miss.
func notPutBack(p *reset.Plan) error {
	left := p.NotPutBack()
	if len(left) == 0 {
		return nil
	}
	what := fmt.Sprintf("group %s: %d of %s were not put back", p.Group, len(left), plural(len(p.Partitions), "partition"))
	return &partialError{[]inspect.Problem{{What: what, Error: strings.Join(reset.Told(left), "; ")}}}
}

// changeProgress tells how a change goes.
func (e *env) changeProgress(ctx context.Context, o changeOptions, groups int) func(reset.Progress) {
	endNotes := map[string]func() bool{}
	return func(p reset.Progress) {
		switch p.Stage {
		case reset.StageWaiting:
			e.note("group %s is %s: waiting for %s", p.Group, p.State, cmp.Or(strings.Join(p.Members, ", "), "its members"))
		case reset.StageSettling:
			if len(p.Groups) == 1 {
				e.note("group %s: watching for %s whether somebody commits to it", p.Groups[0], p.For)
			} else {
				e.note("%d groups: watching for %s whether somebody commits to them", len(p.Groups), p.For)
			}
		case reset.StageWriting:
			endNotes[p.Group] = context.AfterFunc(ctx, func() {
				e.note("group %s: the change has begun, its end is waited for; another Ctrl-C ends it at once, and undo finds out what was written", p.Group)
			})
		case reset.StageRetrying:
			e.note("group %s: the write is not taken yet (%v); trying for up to %s", p.Group, p.Err, p.For)
		case reset.StageWritten:
			if stop := endNotes[p.Group]; stop != nil {
				stop()
			}
		case reset.StageDone:
			if groups <= undoLines {
				e.tellUndo(p.Plan, o)
			}
		}
	}
}

// undoLines is of how many groups each is told how to undo its change.
const undoLines = 3

// canUndo: there may be something that a receipt can put back.
func canUndo(p *reset.Plan) bool {
	return p.Receipt != nil && (p.Applied || p.Verified != nil) && len(p.Partitions) > 0
}

// tellUndo gives the command that undoes a change.
func (e *env) tellUndo(p *reset.Plan, o changeOptions) {
	if !canUndo(p) {
		return
	}
	command := []word{"undo"}
	if _, ok := shell.Quote(escapeGlob(p.Group)); ok { // the receipt says it, too
		command = append(command, groupWord(p.Group))
	}
	e.noteUndo(append(command, "--receipt", fileWord(*p.Receipt), "--execute"), o)
}

// noteUndo gives the command on the line of its words, where scripts look for it.
func (e *env) noteUndo(command []word, o changeOptions) {
	e.note("to undo: %s", typed(append(command, o.connection...)))
}

// tellUndoAll gives the one command that undoes the change of many groups. It
// never undoes more: --expect-groups refuses a glob that other receipts match.
func (e *env) tellUndoAll(plans []*reset.Plan, o changeOptions) {
	var names []string
	for _, p := range plans {
		if canUndo(p) {
			names = append(names, p.Group)
		}
	}
	if len(names) <= undoLines {
		for _, p := range plans {
			e.tellUndo(p, o)
		}
		return
	}
	glob := globWord(commonPrefix(names))
	e.noteUndo([]word{"undo", glob, "--expect-groups", word(fmt.Sprint(len(names))), "--execute"}, o)
	e.note("if that selects other groups too, name these: 'offsets undo --list' shows them")
}

// commonPrefix is what all names begin with.
func commonPrefix(names []string) string {
	prefix := names[0]
	for _, name := range names[1:] {
		for !strings.HasPrefix(name, prefix) {
			_, n := utf8.DecodeLastRuneInString(prefix)
			prefix = prefix[:len(prefix)-n]
		}
	}
	return prefix
}

// checkExpected holds a glob or --all against --expect-groups before anything
// is executed.
func checkExpected(s selection, g groups, expect *int, execute bool) error {
	refuse := func(format string, args ...any) error {
		return &reset.RefusedError{Group: strings.Join(s.patterns, " "), Reasons: []string{fmt.Sprintf(format, args...)}}
	}
	switch {
	case execute && g.many && expect == nil:
		return refuse("a glob or --all selects %s: say --expect-groups %d to execute it", plural(len(g.names), "group"), len(g.names))
	case expect != nil && *expect != len(g.names):
		return refuse("--expect-groups %d, but %d are selected: %s", *expect, len(g.names), strings.Join(g.names, ", "))
	}
	return nil
}

// verifyError: it was written, but reading back did not show it.
type verifyError struct {
	group    string
	verified reset.Verified
}

func (e *verifyError) Error() string {
	if e.verified == reset.Overwritten {
		return fmt.Sprintf("group %s: committed offsets were overwritten right after the change: another consumer or tool commits to this group", e.group)
	}
	return fmt.Sprintf("group %s: written, but reading back failed", e.group)
}

// connectForChange connects, and bounds what is read before the change.
func (o common) connectForChange(ctx context.Context) (*kgo.Client, context.Context, func(), error) {
	bound, cancel := bounded(ctx, o)
	cl, err := o.connect(bound)
	if err != nil {
		defer cancel()
		return nil, bound, nil, contextError(bound, err)
	}
	return cl, bound, func() { cancel(); cl.Close() }, nil
}

// topicsOf reads --topic.
func topicsOf(c *cli.Context) ([]reset.TopicSelection, error) {
	topics, err := reset.ParseTopics(c.StringSlice("topic"))
	if err != nil {
		return nil, usagef("--topic: %s", err)
	}
	if c.Bool("all-topics") && len(topics) > 0 {
		return nil, usagef("--all-topics and --topic exclude each other")
	}
	return topics, nil
}

func intOf(c *cli.Context, flag string) *int {
	if !c.IsSet(flag) {
		return nil
	}
	n := c.Int(flag)
	return &n
}

// allGroupsRead: a group that cannot be read cannot be changed either.
func allGroupsRead(failed []inspect.Problem) error {
	if len(failed) == 0 {
		return nil
	}
	return problems(slices.Clone(failed), 0)
}
