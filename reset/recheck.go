package reset

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"offsets/inspect"
)

// FileSays stands before what a plan file says and nobody else knows.
const FileSays = "the file says: "

// RecheckOptions says by what a plan out of a file is judged.
type RecheckOptions struct {
	// Receipts are this user's own. They prove what an undo may put back outside
	// of the log.
	Receipts []*Receipt
}

// Recheck looks at plans that were read from a file as if they were made now.
// Where they lead stays; everything that can be computed is computed again, and
// what is left of the file's notes is marked as the file's. What does not hold
// any more, or never did, stands against the plan as in any other.
//
// The errors are by plan: why a group could not be looked at. Such a plan cannot
// be applied.
func (c *Changer) Recheck(ctx context.Context, plans []*Plan, o RecheckOptions) []error {
	errs := make([]error, len(plans))
	groups := c.groupsOf(ctx, plans, errs)
	epochs := epochQuestions{}
	wanted := make([][]Wanted, len(plans))
	timed := false
	for i, p := range plans {
		if errs[i] != nil {
			continue
		}
		for j := range p.Partitions {
			ch := &p.Partitions[j]
			timed = timed || ch.FromTime != nil || ch.ToTime != nil
			if ch.bringsEpoch() {
				wanted[i] = append(wanted[i], Wanted{TopicPartition: ch.place(), TopicID: ch.TopicID, Commit: commitOf(ch.To, ch.ToEpoch, ch.ToMetadata)})
			}
		}
		epochs.add(groups[p.Group], wanted[i])
	}
	failed := epochs.ask(ctx, c.cluster)
	var looked []*Plan
	for i, p := range plans {
		if errs[i] == nil && failed != nil {
			errs[i] = failed
		}
		if errs[i] == nil {
			*p = p.again(groups[p.Group], epochs.answers(wanted[i]), o)
			looked = append(looked, p)
		}
	}
	if timed {
		if err := c.Times(ctx, looked...); err != nil {
			for i := range errs {
				errs[i] = err
			}
		}
	}
	return errs
}

// groupsOf describes the plans' groups. Those that are not there get an error,
// as do those of which something could not be read.
func (c *Changer) groupsOf(ctx context.Context, plans []*Plan, errs []error) map[string]inspect.Group {
	topics := map[string][]string{}
	var names []string
	for _, p := range plans {
		if _, twice := topics[p.Group]; !twice {
			names = append(names, p.Group)
		}
		topics[p.Group] = append(topics[p.Group], p.topics()...)
	}
	groups := map[string]inspect.Group{}
	d, err := c.cluster.Describe(ctx, names, inspect.DescribeOptions{
		CreateMissing: true, Pending: true, TopicsOf: func(group string) []string { return topics[group] },
	})
	if err == nil {
		for g, failed := range d.Groups {
			if err = failed; err != nil {
				break
			}
			groups[g.Group] = g
		}
	}
	for i, p := range plans {
		_, ok := groups[p.Group]
		switch {
		case err != nil:
			errs[i] = err
			continue
		case !ok:
			errs[i] = fmt.Errorf("group %s: %w", p.Group, inspect.ErrUnknownGroup)
		}
		concerns := p.concerns()
		for _, problem := range d.Problems {
			if slices.Contains(concerns, problem.What) {
				errs[i] = fmt.Errorf("%s: %w", problem.What, problem.Err)
			}
		}
	}
	return groups
}

func (c *Change) place() inspect.TopicPartition {
	return inspect.TopicPartition{Topic: c.Topic, Partition: c.Partition}
}

// bringsEpoch: the change writes a leader epoch that is not there already.
func (c *Change) bringsEpoch() bool {
	return c.Action == ActionWrite && c.ToEpoch != nil && !(equal(c.From, c.To) && equal(c.FromEpoch, c.ToEpoch))
}

// again makes the plan anew for its group as it is now, with the same targets.
func (p *Plan) again(g inspect.Group, ends map[inspect.TopicPartition]int64, o RecheckOptions) Plan {
	g = asType(g, p.Type)
	n := newPlan(g, p.Kind)
	n.Deletes = p.Deletes
	n.Creates = n.Creates && p.Kind != KindDelete
	stale := p.Type != n.Type
	rows := map[inspect.TopicPartition]*inspect.Partition{}
	for i := range g.Partitions {
		row := &g.Partitions[i]
		rows[inspect.TopicPartition{Topic: row.Topic, Partition: row.Partition}] = row
	}
	planned := map[inspect.TopicPartition]bool{}
	for i := range p.Partitions {
		c := &p.Partitions[i]
		planned[c.place()] = true
		end, known := ends[c.place()]
		row, was := n.rowAgain(c, rows[c.place()], end, known, o)
		stale = stale || was
		n.Partitions = append(n.Partitions, row)
	}
	var since []Reason
	for i := range g.Partitions {
		if row := &g.Partitions[i]; p.Deletes && row.Committed != nil && !planned[inspect.TopicPartition{Topic: row.Topic, Partition: row.Partition}] {
			since = append(since, refusal(CodeMovedSince, "committed %d since", *row.Committed).at(row.Topic, row.Partition))
		}
	}
	if stale || len(since) > 0 {
		n.refuse(CodeStale, "the plan is stale, make it again")
	}
	if p.Type != n.Type {
		n.refuse(CodeStale, "its type was %s and is %s", p.Type, n.Type)
	}
	for _, told := range Told(since) {
		n.refuse(CodeMovedSince, "%s", told)
	}
	n.keepSiblings(holders(g))
	n.warnOfNoWayBack(holders(g))
	if p.Kind == KindUndo {
		n.undoes()
	}
	n.takeOver(p)
	n.finish()
	return n
}

// rowAgain makes the change of a partition anew. stale: things are not as the
// file says that they were. row is nil where the partition is gone.
func (p *Plan) rowAgain(c *Change, row *inspect.Partition, epochEnd int64, epochKnown bool, o RecheckOptions) (n Change, stale bool) {
	why := Reason{}
	if c.Action != ActionNone {
		why = c.staleSince(row)
	}
	if row == nil {
		row = &inspect.Partition{Topic: c.Topic, Partition: c.Partition, Status: inspect.TopicGone}
	}
	n = p.newChange(row)
	n.seen(row)
	n.Action, n.To, n.ToEpoch, n.ToMetadata = c.Action, c.To, c.ToEpoch, c.ToMetadata
	if c.Action == ActionNone && c.Error == nil && row.LogEnd != nil && !equal(c.From, row.Committed) {
		why = refusal(CodeMovedSince, "committed was %s and is %s", show(c.From), show(row.Committed))
	}
	switch {
	case why.Code != "":
		n.fail(why.Code, "%s", why.Message)
		// The same words as in a plan that became stale on its way.
		return n, why.Code == CodeMovedSince || why.Code == CodeStale || why.Code == CodeTopicRecreated || why.Code == inspect.CodeTopicGone
	case c.Action == ActionWrite && !p.mayGo(c, row, o):
		n.fail(CodeOutsideLog, "offset %d is outside the log (%d to %d)", *c.To, *row.LogStart, *row.LogEnd)
		n.failedAs.general = "the offset is outside the log"
		if p.Kind == KindUndo {
			n.fail(CodeOutsideLog, "offset %d is outside the log (%d to %d), and no receipt of this user shows that it was committed before", *c.To, *row.LogStart, *row.LogEnd)
			n.failedAs.general = "the offset is outside the log, and no receipt of this user shows that it was committed before"
		}
	case c.bringsEpoch():
		w := Wanted{TopicID: c.TopicID, Commit: commitOf(c.To, c.ToEpoch, c.ToMetadata)}
		if dropped := epochDropped(row, &w, RestoreOptions{SameCluster: true}, epochEnd, epochKnown); dropped != "" {
			n.fail(CodeEpochTooHigh, "leader epoch %d cannot be written: %s", *c.ToEpoch, dropped)
		}
	}
	switch {
	case n.Error == nil && c.Error != nil:
		n.fail(c.failedAs.codeOr(CodeOther), "%s%s", FileSays, *c.Error)
	case n.Error != nil:
	case c.Action == ActionDelete && p.Kind == KindDelete:
		if row.Metadata != nil && *row.Metadata != "" {
			n.warn(CodeMetadataErased, "deletes the metadata %q, too", *row.Metadata)
		}
		if p.allowedWhileActive() && row.Subscribed != nil && *row.Subscribed {
			n.fail(CodeSubscribed, "members subscribe to the topic: they must stop first")
		}
	case c.Action == ActionWrite:
		n.aim(row, *commitOf(c.To, c.ToEpoch, c.ToMetadata), limits{outside: true, touch: true})
		if p.Kind == KindReset && row.LastStable != nil && *c.To > *row.LastStable && *c.To <= *row.LogEnd {
			n.warn(CodeOpenTransaction, "open transaction: last stable offset is %d", *row.LastStable)
		}
	case c.To != nil && row.LogEnd != nil:
		n.aim(row, *commitOf(row.Committed, row.LeaderEpoch, row.Metadata), limits{outside: true})
	case row.Status == inspect.TopicGone:
		n.warn(inspect.CodeTopicGone, "the topic is gone: left alone")
	}
	n.takeOver(c)
	return n, false
}

// mayGo says whether a commit may be written: inside of the log, or where one is
// already, or as an undo, where this user's own receipt shows that it was there.
func (p *Plan) mayGo(c *Change, row *inspect.Partition, o RecheckOptions) bool {
	if *c.To >= *row.LogStart && *c.To <= *row.LogEnd || equal(c.To, row.Committed) {
		return true
	}
	if p.Kind != KindUndo {
		return false
	}
	for _, r := range o.Receipts {
		if r.Plan.Group != p.Group {
			continue
		}
		for _, w := range r.Undo() {
			if w.TopicPartition == c.place() && equal(w.TopicID, row.TopicID) && w.Commit != nil && w.Commit.Offset == *c.To && w.Commit.Metadata == text(c.ToMetadata) {
				return true
			}
		}
	}
	return false
}

// takeOver keeps what the file says of the partition and nobody else knows.
func (c *Change) takeOver(file *Change) {
	left := without(text(file.Note), text(c.Note))
	for _, r := range file.warned {
		if !slices.Contains(computed(), r.Code) && strings.Contains(left, r.Message) {
			r.Message = FileSays + r.Message
			c.warned = append(c.warned, r)
		}
	}
	if left != "" {
		c.note("%s%s", FileSays, left)
	}
}

// without is a note without the parts of another one.
func without(note, known string) string {
	const between = "; "
	for part := range strings.SplitSeq(known, between) {
		if padded := between + note + between; part != "" {
			note = strings.Trim(strings.Replace(padded, between+part+between, between, 1), between)
		}
	}
	return note
}

// takeOver keeps what the file says of the group and nobody else knows.
func (p *Plan) takeOver(file *Plan) {
	keep := func(severity Severity, messages []string, add func(inspect.Code, string, ...any)) {
		for _, m := range messages {
			code := CodeOther
			for _, r := range file.Reasons {
				if r.Severity == severity && r.Message == m {
					code = r.Code
				}
			}
			if !slices.Contains(computed(), code) {
				add(code, "%s%s", FileSays, m)
			}
		}
	}
	keep(Refusal, file.Refusals, p.refuse)
	keep(Warning, file.Warnings, p.warn)
}

// computed are the codes of which a plan never needs to be told.
func computed() []inspect.Code {
	return []inspect.Code{
		inspect.CodeTopicGone, CodeOutsideLog, CodePendingCommit, CodePendingUnknown, CodeEpochTooHigh, CodeNotSubscribed, CodeSubscribed, CodeMetadataErased,
		CodeOpenTransaction, CodeStreams, CodeConnect, CodeCreatesGroup, CodeShareTopics, CodeRedelivered, CodeNothingToUndo, CodePartlyUndone, CodeStale, CodeMovedSince,
	}
}

// codeOr is the reason's code, if it has one.
func (r Reason) codeOr(other inspect.Code) inspect.Code {
	if r.Code == "" {
		return other
	}
	return r.Code
}
