package reset

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"offsets/inspect"
)

// ApplyOptions says how plans are applied. The zero value refuses to: it does
// not say where receipts go.
type ApplyOptions struct {
	// Receipts is where to write what undo needs.
	Receipts *Receipts
	// NoReceipt does without: there is no undo then.
	NoReceipt bool
	// Settle is how long all groups' commits are watched before the writes, all
	// at the same time; nil is [DefaultSettle] for groups that may have consumers
	// that use assign(), and not at all for others.
	Settle *time.Duration
	// WaitEmpty is how long groups may have members yet.
	WaitEmpty time.Duration
	// RemoveStatic are the static members that are removed first.
	RemoveStatic []string
	// StreamsOK: the caller knows that a Streams application has more state than
	// offsets.
	StreamsOK bool
	// Partial applies what can be applied. Else a group that cannot be written
	// keeps all others from being written.
	Partial bool
	// Limit bounds the work.
	Limit Limit
	// Progress, if set, is told how it goes: one call at a time, from any
	// goroutine.
	Progress func(Progress)
}

// Stage is what a change is at.
type Stage string

// The stages.
const (
	StageWaiting  Stage = "waiting"  // for the members of a group
	StageSettling Stage = "settling" // the commits of some groups are watched
	StageWriting  Stage = "writing"  // from now on the group's end is waited for
	StageRetrying Stage = "retrying" // a write is not taken yet
	StageWritten  Stage = "written"  // what became of the group is known
	StageDone     Stage = "done"     // the same, in the order of the plans
)

// Progress is one step of a change.
type Progress struct {
	Stage Stage
	Group string // "" where it is about several
	Plan  *Plan  // of StageDone

	// Of StageWaiting: the group's state, and who is in it.
	State   string
	Members []string
	// Groups are watched for For; of StageRetrying, For is how long it is tried.
	Groups []string
	For    time.Duration
	Err    error // of StageRetrying
}

// NotBegunError means that the work ended before some groups were begun.
type NotBegunError struct {
	Groups []string
	Of     int // groups in all
	Cause  error
}

func (e *NotBegunError) Unwrap() error { return e.Cause }

func (e *NotBegunError) Error() string {
	if e.Of == 1 {
		return e.Cause.Error()
	}
	const shown = 20
	names := e.Groups
	more := ""
	if len(names) > shown+1 {
		more = fmt.Sprintf(" and %d more", len(names)-shown)
		names = names[:shown]
	}
	return fmt.Sprintf("%s: %d of %d groups were not begun: %s%s", e.Cause, len(e.Groups), e.Of, strings.Join(names, ", "), more)
}

// writersAtOnce is how many groups are written side by side.
const writersAtOnce = 8

// Apply is ApplyAll for one plan.
func (c *Changer) Apply(ctx context.Context, p *Plan, o ApplyOptions) error {
	return c.ApplyAll(ctx, []*Plan{p}, o)
}

// ApplyAll carries plans out: static members are removed, the groups' members
// waited for, all plans checked, the commits of all groups watched together, all
// plans checked again; and if none is refused, every group is written at once,
// with a last look right before its first write, and read back.
//
// Errors, joined: [*RefusedError] and [*ReceiptError], then nothing was written
// to that group; [*IncompleteError]; [*NotBegunError].
func (c *Changer) ApplyAll(ctx context.Context, plans []*Plan, o ApplyOptions) error {
	switch {
	case o.Receipts == nil && !o.NoReceipt:
		return &ReceiptError{errors.New("nobody has said where to")}
	case o.Receipts != nil && o.Receipts.File != "" && len(plans) > 1:
		return &ReceiptError{fmt.Errorf("%s is one file for one group, and there are %d", o.Receipts.File, len(plans))}
	}
	var mu sync.Mutex
	a := applying{c: c, plans: plans, o: o, errs: make([]error, len(plans)), tell: func(p Progress) {
		mu.Lock()
		defer mu.Unlock()
		if o.Progress != nil {
			o.Progress(p)
		}
	}}
	for _, p := range plans {
		p.tell = a.tell
		defer func() { p.tell = nil }()
	}
	limit := o.Limit.begin(ctx)
	defer limit.end()
	ctx = limit
	a.refuse()
	if !a.goesOn() {
		return a.err(ctx)
	}
	cluster, err := c.cluster.ClusterID(ctx)
	if err != nil {
		return cutShort(ctx, err)
	}
	if err := a.receiptsReady(cluster); err != nil {
		return errors.Join(a.err(ctx), &ReceiptError{err})
	}
	a.removeStatic(ctx)
	limit.pause()
	a.waitEmpty(ctx)
	limit.goOn()
	watched, d := a.watched()
	a.check(ctx, watched)
	if watched = slices.DeleteFunc(watched, func(i int) bool { return a.errs[i] != nil }); a.goesOn() && len(watched) > 0 {
		a.settle(ctx, watched, d, limit)
		a.check(ctx, nil)
	}
	if !a.goesOn() || ctx.Err() != nil {
		return a.err(ctx)
	}
	a.write(ctx, cluster)
	return a.err(ctx)
}

// applying is some plans on their way.
type applying struct {
	c     *Changer
	plans []*Plan
	o     ApplyOptions
	errs  []error // by plan
	tell  func(Progress)
}

// left are the plans without an error, by index.
func (a *applying) left() (out []int) {
	for i, err := range a.errs {
		if err == nil {
			out = append(out, i)
		}
	}
	return out
}

// goesOn says whether anything may be written.
func (a *applying) goesOn() bool {
	n := len(a.left())
	return n == len(a.plans) || a.o.Partial && n > 0
}

// err joins what there is; equal words come once, as with a context that ended
// for all.
func (a *applying) err(ctx context.Context) error {
	for i, p := range a.plans {
		if !p.Applied {
			p.explain(a.errs[i])
		}
	}
	var out []error
	for _, err := range a.errs {
		if err != nil && !slices.ContainsFunc(out, func(e error) bool { return e.Error() == err.Error() }) {
			out = append(out, err)
		}
	}
	if len(out) == 0 && ctx.Err() != nil && slices.ContainsFunc(a.plans, func(p *Plan) bool { return p.Verified == nil && !p.Applied }) {
		return context.Cause(ctx)
	}
	return errors.Join(out...)
}

// refuse looks at the plans as they stand.
func (a *applying) refuse() {
	seen := map[string]bool{}
	for i, p := range a.plans {
		switch err := p.Refused(); {
		case err != nil:
			a.errs[i] = err
		case p.unchecked:
			a.errs[i] = refusedFor(p.Group, refusal(CodeOther, "the plan comes out of a file, and nobody has looked whether it is true"))
		case seen[p.Group]:
			a.errs[i] = refusedFor(p.Group, refusal(CodeOther, "there is another plan for the same group before it"))
		case p.IsStreams() && !a.o.StreamsOK:
			a.errs[i] = refusedFor(p.Group, refusal(CodeStreams, "it belongs to a Kafka Streams application, whose state stores are not reset with its offsets: --streams-ok says that you know"))
		}
		seen[p.Group] = true
	}
}

// receiptsReady says whether receipts can be written, if any will be.
func (a *applying) receiptsReady(cluster string) error {
	if !slices.ContainsFunc(a.left(), func(i int) bool { return len(a.plans[i].moving()) > 0 || a.plans[i].Deletes }) {
		return nil
	}
	return a.o.Receipts.ready(cluster)
}

func (a *applying) removeStatic(ctx context.Context) {
	if len(a.o.RemoveStatic) == 0 || !a.goesOn() {
		return
	}
	for _, i := range a.left() {
		a.errs[i] = a.c.RemoveStatic(ctx, a.plans[i].Group, a.o.RemoveStatic)
	}
}

// waitEmpty waits until no group has members; the errors say whom it waited for.
func (a *applying) waitEmpty(ctx context.Context) {
	if a.o.WaitEmpty <= 0 || !a.goesOn() {
		return
	}
	ctx, cancel := context.WithTimeoutCause(ctx, a.o.WaitEmpty, errWaited)
	defer cancel()
	told := map[string]string{}
	for waiting := a.left(); ; {
		found := a.look(ctx, waiting, func(p *Plan, _ inspect.Group) error { return p.Active() })
		waiting = slices.DeleteFunc(waiting, func(i int) bool {
			p, err := a.plans[i], found[i]
			var refused *RefusedError
			if err == nil || !errors.As(err, &refused) && ctx.Err() == nil {
				a.errs[i] = err
				return true
			}
			if now := fmt.Sprint(err); now != told[p.Group] && refused != nil {
				told[p.Group] = now
				var members []string
				for j := range p.Blocked {
					members = append(members, memberText(&p.Blocked[j]))
				}
				a.tell(Progress{Stage: StageWaiting, Group: p.Group, State: p.State, Members: members})
			}
			return false
		})
		if len(waiting) == 0 {
			return
		}
		select {
		case <-ctx.Done():
			for _, i := range waiting {
				if a.errs[i] = context.Cause(ctx); errors.Is(a.errs[i], errWaited) {
					a.errs[i] = a.plans[i].Active()
				}
			}
			return
		case <-time.After(500 * time.Millisecond):
		}
	}
}

var errWaited = errors.New("waited long enough")

// check looks again whether the plans can be applied. Commits of groups that are
// watched next may move: watching tells better why.
func (a *applying) check(ctx context.Context, watchedNext []int) {
	if !a.goesOn() {
		return
	}
	next := map[*Plan]bool{}
	for _, i := range watchedNext {
		next[a.plans[i]] = true
	}
	for i, err := range a.look(ctx, a.left(), func(p *Plan, now inspect.Group) error {
		if err := p.Active(); err != nil || next[p] {
			return err
		}
		return p.stale(now)
	}) {
		a.errs[i] = err
	}
}

// look describes groups again, all of them with few requests, and takes over who
// is in them. It returns what each has to say of its plan, or why a group could
// not be looked at.
func (a *applying) look(ctx context.Context, of []int, each func(*Plan, inspect.Group) error) map[int]error {
	out := map[int]error{}
	byGroup := map[string]int{}
	var names []string
	for _, i := range of {
		p := a.plans[i]
		names, byGroup[p.Group] = append(names, p.Group), i
		out[i] = fmt.Errorf("looking again before the write: group %s: %w", p.Group, inspect.ErrUnknownGroup)
	}
	d, err := a.c.cluster.Describe(ctx, names, inspect.DescribeOptions{
		CreateMissing: true, TopicsOf: func(group string) []string { return a.plans[byGroup[group]].topics() },
	})
	if err == nil {
		for g, failed := range d.Groups {
			if err = failed; err != nil {
				break
			}
			p := a.plans[byGroup[g.Group]]
			g = asType(g, p.Type)
			p.Blocked, p.State = append([]inspect.Member{}, g.Members...), g.State
			out[byGroup[g.Group]] = each(p, g)
		}
	}
	if err != nil {
		for i := range out {
			out[i] = fmt.Errorf("looking again before the write: %w", cutShort(ctx, err))
		}
		return out
	}
	byWhat := map[string]inspect.Problem{}
	for _, problem := range d.Problems {
		byWhat[problem.What] = problem
	}
	for _, i := range of {
		for _, what := range a.plans[i].concerns() {
			if problem, ok := byWhat[what]; ok {
				out[i] = fmt.Errorf("looking again before the write: %s: %w", what, problem.Err)
			}
		}
	}
	return out
}

// concerns are the names under which a problem is one of this plan.
func (p *Plan) concerns() []string {
	out := []string{"group " + p.Group, "commits of group " + p.Group}
	topics := p.topics()
	for i, topic := range topics {
		if i == 0 || topics[i-1] != topic {
			out = append(out, "topic "+topic)
		}
	}
	return out
}

// watched are the plans whose groups' commits are watched, and for how long.
func (a *applying) watched() (of []int, d time.Duration) {
	if d = DefaultSettle; a.o.Settle != nil {
		d = *a.o.Settle
	}
	for _, i := range a.left() {
		p := a.plans[i]
		assigns := p.Type == inspect.Classic && p.ProtocolType == "" && !p.Creates
		if d > 0 && (assigns || a.o.Settle != nil) && len(p.moving()) > 0 {
			of = append(of, i)
		}
	}
	return of, d
}

// settle watches the groups' commits, all in the same window, for a consumer
// that uses assign() is no member, but it commits.
func (a *applying) settle(ctx context.Context, watched []int, d time.Duration, limit *limiter) {
	types := map[string]string{}
	var names []string
	for _, i := range watched {
		p := a.plans[i]
		types[p.Group], names = p.Type, append(names, p.Group)
	}
	a.tell(Progress{Stage: StageSettling, Groups: names, For: d})
	before := a.c.cluster.CommitsOf(ctx, types)
	limit.pause()
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
	limit.goOn()
	if ctx.Err() != nil {
		for _, i := range watched {
			a.errs[i] = context.Cause(ctx)
		}
		return
	}
	after := a.c.cluster.CommitsOf(ctx, types)
	for _, i := range watched {
		a.errs[i] = moved(ctx, a.plans[i].Group, before[a.plans[i].Group], after[a.plans[i].Group])
	}
}

// moved says whether somebody has committed to a group.
func moved(ctx context.Context, group string, before, after inspect.GroupCommits) error {
	for _, seen := range []inspect.GroupCommits{before, after} {
		if seen.Err != nil {
			return fmt.Errorf("watching the commits of group %s: %w", group, cutShort(ctx, seen.Err))
		}
	}
	for tp, was := range before.Commits {
		if is, ok := after.Commits[tp]; !ok || is != was {
			return refusedFor(group, refusal(CodeBeingCommitted, "somebody commits to it: %s-%d moved from %d while it was watched; it has no members, so a consumer that uses assign() or a tool does", tp.Topic, tp.Partition, was.Offset))
		}
	}
	if len(after.Commits) > len(before.Commits) {
		return refusedFor(group, refusal(CodeBeingCommitted, "somebody commits to it: commits were added while it was watched"))
	}
	return nil
}

// write writes the groups that are left, some side by side. When the context
// ends no other is begun; those that are begun end as they do.
func (a *applying) write(ctx context.Context, cluster string) {
	slots := make(chan struct{}, writersAtOnce)
	left := a.left()
	done := make([]chan struct{}, len(left))
	begun := make([]bool, len(left))
	for n := range done {
		done[n] = make(chan struct{})
	}
	go func() {
		for n, i := range left {
			slots <- struct{}{}
			if begun[n] = ctx.Err() == nil; !begun[n] {
				<-slots
				close(done[n])
				continue
			}
			go func() {
				defer func() { <-slots; close(done[n]) }()
				p := a.plans[i]
				a.errs[i] = a.c.applyOne(ctx, p, a.o.Receipts, cluster)
				a.tell(Progress{Stage: StageWritten, Group: p.Group})
			}()
		}
	}()
	var rest []string
	last := -1
	for n, i := range left {
		<-done[n]
		if begun[n] {
			a.tell(Progress{Stage: StageDone, Group: a.plans[i].Group, Plan: a.plans[i]})
			continue
		}
		rest, last = append(rest, a.plans[i].Group), i
	}
	if len(rest) > 0 {
		a.errs[last] = &NotBegunError{Groups: rest, Of: len(a.plans), Cause: context.Cause(ctx)}
	}
}
