package reset

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"offsets/inspect"
)

// DefaultSettle is how long commits of groups that never had members are
// watched: who uses assign() commits without being seen as a member.
const DefaultSettle = 3 * time.Second

// IncompleteError means that some or all partitions were not written; the rows
// say which, and why.
type IncompleteError struct {
	Group           string
	Failed, Written int
	// Unknown of the failed ones were sent, and may be carried out yet.
	Unknown int
	// Reasons are the different ones.
	Reasons []string
}

func (e *IncompleteError) Error() string {
	what := "were not written"
	if e.Unknown > 0 {
		what = fmt.Sprintf("were not seen to be written, and %d of them may take effect yet", e.Unknown)
	}
	return fmt.Sprintf("group %s: %d of %d partitions %s: %s", e.Group, e.Failed, e.Failed+e.Written, what, strings.Join(e.Reasons, "; "))
}

// applyOne makes one group's change, after a last look whether it still holds, and
// reads back what it wrote. The plan's rows carry the errors of single
// partitions.
func (c *Changer) applyOne(ctx context.Context, p *Plan, r *Receipts, cluster string) (err error) {
	defer func() { p.explain(err) }()
	moving := p.moving()
	if len(moving) == 0 && !p.Deletes {
		_, err := c.confirm(ctx, p)
		p.Applied = err == nil
		return err
	}
	receipt, err := r.begin(cluster, p)
	if err != nil {
		return err
	}
	confirmedBy, err := c.confirm(ctx, p)
	if err != nil {
		p.Receipt = nil
		return errors.Join(err, receipt.discard())
	}
	// From here to the read-back nothing but the broker ends the work: half a
	// change that nobody looks at again is the worst of all outcomes.
	if p.tell != nil {
		p.tell(Progress{Stage: StageWriting, Group: p.Group})
	}
	ctx = context.WithoutCancel(ctx)
	failure := c.write(ctx, p, moving, confirmedBy)
	c.readBack(ctx, p, moving)
	failed, unknown := 0, 0
	var reasons []string
	for _, ch := range moving {
		if ch.Written {
			continue
		}
		failed++
		if ch.open {
			unknown++
			ch.Error = ptr(text(ch.Error) + " (it was sent, and may take effect yet)")
		}
		if why := text(ch.Error); !slices.Contains(reasons, why) {
			reasons = append(reasons, why)
		}
	}
	if failed == len(moving) && failed > 0 {
		p.Verified = nil // there is nothing of ours to see
	}
	if unknown > 0 {
		p.Verified = ptr(NotChecked)
	}
	if p.Deletes && failure != nil {
		failed = max(failed, 1)
	}
	p.Applied = failed == 0 || failed < len(moving)
	if err := receipt.end(p, unknown == 0); err != nil {
		failure = errors.Join(failure, err)
	}
	if failed > 0 {
		return errors.Join(&IncompleteError{Group: p.Group, Failed: failed, Written: len(moving) - min(failed, len(moving)), Unknown: unknown, Reasons: reasons}, failure)
	}
	return failure
}

// confirm asks the coordinator whether the plan's commits are what is committed
// now; also of partitions that do not move, because nothing else would notice that
// they do have to.
func (c *Changer) confirm(ctx context.Context, p *Plan) (by int32, err error) {
	if p.Type == inspect.Share {
		return -1, c.confirmShare(ctx, p)
	}
	rows := make([]*Change, len(p.Partitions))
	for i := range p.Partitions {
		rows[i] = &p.Partitions[i]
	}
	var commits map[inspect.TopicPartition]inspect.Commit
	var last error
	for end := time.Now().Add(coordinatorPatience); ; time.Sleep(100 * time.Millisecond) {
		at, err := c.coordinator(ctx, p.Group)
		if err == nil {
			by = at.id
			commits, err = c.commitsAt(ctx, p, rows, at)
		}
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			err = cutShort(ctx, cmp.Or(last, err))
		}
		if !retriable(err) && !outcomeOpen(err) || ctx.Err() != nil || time.Now().After(end) {
			return -1, fmt.Errorf("group %s: nothing was written: looking again right before it: %w", p.Group, err)
		}
		last = err
	}
	if stale := p.movedSince(commits); len(stale) > 0 {
		return by, p.staleError(stale)
	}
	return by, nil
}

// movedSince are the partitions at which something else is committed than the
// plan begins with.
func (p *Plan) movedSince(commits map[inspect.TopicPartition]inspect.Commit) (stale []Reason) {
	for i := range p.Partitions {
		ch := &p.Partitions[i]
		is, committed := commits[inspect.TopicPartition{Topic: ch.Topic, Partition: ch.Partition}]
		gone := ch.Action == ActionNone && ch.LogEnd == nil // its topic, and what was committed for it
		if ch.Error == nil && !gone && !(committed && ch.From != nil && is.Offset == *ch.From || !committed && ch.From == nil) {
			stale = append(stale, refusal(CodeMovedSince, "committed was %s and is %s", show(ch.From), shown(is, committed)).at(ch.Topic, ch.Partition))
		}
	}
	return stale
}

func (p *Plan) staleError(reasons []Reason) error {
	return refusedFor(p.Group, append([]Reason{refusal(CodeStale, "the plan is stale, make it again")}, reasons...)...)
}

// stale says what has changed since the plan was made.
func (p *Plan) stale(now inspect.Group) error {
	var stale []Reason
	if p.Type != now.Type {
		stale = append(stale, refusal(CodeStale, "its type was %s and is %s", p.Type, now.Type))
	}
	rows := map[inspect.TopicPartition]*inspect.Partition{}
	for i := range now.Partitions {
		row := &now.Partitions[i]
		rows[inspect.TopicPartition{Topic: row.Topic, Partition: row.Partition}] = row
	}
	for _, ch := range p.moving() {
		if why := ch.staleSince(rows[inspect.TopicPartition{Topic: ch.Topic, Partition: ch.Partition}]); why.Code != "" {
			stale = append(stale, why.at(ch.Topic, ch.Partition))
		}
	}
	if p.Deletes {
		for i := range now.Partitions {
			row := &now.Partitions[i]
			known := slices.ContainsFunc(p.Partitions, func(c Change) bool { return c.Topic == row.Topic && c.Partition == row.Partition })
			if row.Committed != nil && !known {
				stale = append(stale, refusal(CodeMovedSince, "committed %d since", *row.Committed).at(row.Topic, row.Partition))
			}
		}
	}
	if len(stale) > 0 {
		return p.staleError(stale)
	}
	return nil
}

// staleSince is what has changed since the plan was made; without a code where
// that is nothing.
func (c *Change) staleSince(row *inspect.Partition) Reason {
	switch {
	case row == nil:
		return refusal(inspect.CodeTopicGone, "it is gone")
	case row.TopicID != nil && c.TopicID != nil && *row.TopicID != *c.TopicID:
		return refusal(CodeTopicRecreated, "the topic was deleted and created again")
	case row.TopicID != nil && c.TopicID == nil:
		return refusal(CodeNoTopicID, "the plan has no topic id, so whether the topic is the same one is not known: make the plan again")
	case !equal(row.Committed, c.From):
		return refusal(CodeMovedSince, "committed was %s and is %s", show(c.From), show(row.Committed))
	case !equal(row.Metadata, c.FromMetadata) || !equal(row.LeaderEpoch, c.FromEpoch):
		return refusal(CodeMovedSince, "%s was committed again, with other metadata or another leader epoch", show(row.Committed))
	case c.Action == ActionDelete:
	case c.ToEpoch != nil && row.CurrentEpoch != nil && *c.ToEpoch > *row.CurrentEpoch:
		return refusal(CodeEpochTooHigh, "leader epoch %d is above the current %d, which hangs Java consumers", *c.ToEpoch, *row.CurrentEpoch)
	case row.LogStart == nil || row.LogEnd == nil:
		return refusal(row.Code(), "it cannot be read: %s", row.Words())
	case *c.To < *row.LogStart && c.LogStart != nil && *c.To >= *c.LogStart:
		return refusal(CodeStale, "the log now starts at %d", *row.LogStart)
	}
	return Reason{}
}

func show(n *int64) string {
	if n == nil {
		return "nothing"
	}
	return fmt.Sprint(*n)
}

// readBack compares what is committed now with what was written. A write whose
// answer was lost counts as done if it is there.
func (c *Changer) readBack(ctx context.Context, p *Plan, moving []*Change) {
	verified := VerifiedYes
	commits, failed, err := c.commitsAfter(ctx, p, moving)
	if err != nil {
		p.Verified = ptr(NotChecked)
		return
	}
	for _, ch := range moving {
		tp := inspect.TopicPartition{Topic: ch.Topic, Partition: ch.Partition}
		is, committed := commits[tp]
		switch {
		case failed[tp] != nil:
			verified = NotChecked
			ch.warn(CodeNotReadBack, "not read back: %s", failed[tp])
		case ch.provenBy(is, committed, p.Type):
			ch.Written, ch.Error = true, nil
		case ch.there(is, committed, p.Type):
		case ch.Written:
			verified = Overwritten
			now := "nothing"
			if committed {
				now = fmt.Sprint(is.Offset)
			}
			ch.warn(CodeOverwritten, "overwritten: committed is %s now, somebody else commits to this group", now)
		}
	}
	p.Verified = &verified
}

// commitsAfter reads from where it was written: another broker may still answer
// as the coordinator that it was before.
func (c *Changer) commitsAfter(ctx context.Context, p *Plan, moving []*Change) (commits map[inspect.TopicPartition]inspect.Commit, failed map[inspect.TopicPartition]error, err error) {
	if p.wroteAt != nil {
		if commits, err = c.commitsAt(ctx, p, moving, *p.wroteAt); err == nil {
			return commits, nil, nil
		}
	}
	return c.cluster.Commits(ctx, p.Group, p.Type)
}

// there says whether what is committed is what the change wanted.
func (c *Change) there(is inspect.Commit, committed bool, groupType string) bool {
	if c.Action == ActionDelete {
		return !committed
	}
	return committed && is.Offset == *c.To && (groupType == inspect.Share || is.Metadata == text(c.ToMetadata))
}

// provenBy says whether what is committed shows that the change was written: not
// where the same was there before.
func (c *Change) provenBy(is inspect.Commit, committed bool, groupType string) bool {
	was := commitOf(c.From, c.FromEpoch, c.FromMetadata)
	already := was != nil && c.there(*was, true, groupType)
	return !already && c.there(is, committed, groupType)
}
