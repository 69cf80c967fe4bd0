package reset

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"offsets/inspect"
)

// This file is what is different about share groups (KIP-932). They have start
// offsets instead of commits: above one, records are acknowledged one by one, and
// the broker alone knows which. Writing a start offset forgets that, so that
// everything from it on is delivered again. And brokers delete start offsets by
// whole topics only.

// asType gives a group that does not exist yet the type that it is made with.
// Brokers make a share group of one whose first write is a start offset.
func asType(g inspect.Group, groupType string) inspect.Group {
	if groupType == inspect.Share && g.Type != inspect.Share && g.State == "Dead" && len(g.Members) == 0 {
		g.Type, g.ProtocolType = inspect.Share, "share"
	}
	return g
}

// refuseOtherType: start offsets are no commits, and a group that has the ones
// cannot get the others.
func (p *Plan) refuseOtherType(want string) {
	if want != "" && (want == inspect.Share) != (p.Type == inspect.Share) {
		p.refuse(CodeGroupType, "it is a %s group now, and what is to be put in place is of a %s group: start offsets of share groups and commits of other groups cannot take each other's place", p.Type, want)
	}
}

// refuseForReset refuses what cannot be done to the group at all, and sets what
// its type asks for.
func (p *Plan) refuseForReset(o *Options) {
	if o.Type != "" && o.Type != p.Type {
		p.refuse(CodeGroupType, "it is a %s group, not a %s one", p.Type, o.Type)
	}
	if p.Type != inspect.Share {
		return
	}
	// Also where the start offset does not move: what was acknowledged above it is
	// to come again.
	o.Touch = true
	if slices.ContainsFunc(o.positions(), p.unanswerable) {
		p.refuse(CodeNotRecorded, "as-of cannot be answered for share groups: their start offsets are not in the offsets topic; a time (the first record since then) can be gone to")
	}
}

// unanswerable: where a share group was at a time, nobody knows.
func (p *Plan) unanswerable(to Position) bool { return p.Type == inspect.Share && to.kind == asOf }

// what is what a group has for a partition, in words.
func (c *Change) what() string {
	if c.share {
		return "start offset"
	}
	return "commit"
}

// policy is what decides where there is none.
func (c *Change) policy() string {
	if c.share {
		return "share.auto.offset.reset"
	}
	return "the policy"
}

// redelivered counts what a write means to a share group of which the broker says
// that so many records wait: above the start offset others are acknowledged (or
// given up), and which ones it does not say.
func (c *Change) redelivered(waiting, start, end int64) {
	if c.From == nil || *c.From > end {
		return
	}
	from, to := max(*c.From, start), min(max(*c.To, start), end)
	waiting = min(waiting, end-from)
	done := end - from - waiting
	reread, skipped := from-to+done, int64(0)
	if to > from {
		reread, skipped = min(done, end-to), min(waiting, to-from)
		if done > 0 && waiting > 0 && to < end {
			c.note("at most: which records above the start offset are acknowledged, the broker does not tell")
		}
	}
	c.Reread, c.Skipped = &reread, &skipped
}

// warnOfShare says what cannot be known or put back.
func (p *Plan) warnOfShare() {
	if p.Type != inspect.Share || p.Deletes {
		return
	}
	var again int64
	var blind []inspect.TopicPartition
	for _, c := range p.moving() {
		switch {
		case c.Action != ActionWrite || c.LogStart == nil || c.LogEnd == nil:
			continue
		case c.From != nil && c.waiting == nil:
			blind = append(blind, inspect.TopicPartition{Topic: c.Topic, Partition: c.Partition})
		}
		if c.Reread != nil {
			again += *c.Reread
		} else {
			again += max(0, *c.LogEnd-max(*c.To, *c.LogStart))
		}
	}
	if len(blind) > 0 {
		p.warn(CodeRedelivered, "the broker does not tell its lag on %s: what was acknowledged above the start offset is delivered again, and is not counted", inspect.Fold(blind))
	}
	if again > 0 && (p.Kind == KindUndo || p.Kind == KindImport) {
		p.warn(CodeRedelivered, "start offsets can be put back, acknowledgements above them cannot: up to %d records will be delivered again", again)
	}
}

// holders are the partitions that have a start offset, or may have one.
func holders(g inspect.Group) []inspect.TopicPartition {
	var out []inspect.TopicPartition
	for i := range g.Partitions {
		if row := &g.Partitions[i]; row.Committed != nil || row.Error != nil {
			out = append(out, inspect.TopicPartition{Topic: row.Topic, Partition: row.Partition})
		}
	}
	return out
}

// errTakesMore: the deletion would take start offsets with it that the plan does
// not delete.
var errTakesMore = errors.New("of share groups, brokers delete start offsets by whole topics only")

// takesMore says which of the plan's deletions would take more with them than
// they name, given the partitions that have a start offset.
func (p *Plan) takesMore(held []inspect.TopicPartition) map[string]error {
	if p.Type != inspect.Share || p.Deletes {
		return nil
	}
	deleted, written := map[inspect.TopicPartition]bool{}, []inspect.TopicPartition{}
	topics := map[string]bool{}
	for _, c := range p.moving() {
		tp := inspect.TopicPartition{Topic: c.Topic, Partition: c.Partition}
		if c.Action == ActionDelete {
			deleted[tp], topics[c.Topic] = true, true
		} else {
			written = append(written, tp)
		}
	}
	others := map[string][]string{}
	for _, tp := range append(slices.Clone(held), written...) {
		name := fmt.Sprintf("%s-%d", tp.Topic, tp.Partition)
		if topics[tp.Topic] && !deleted[tp] && !slices.Contains(others[tp.Topic], name) {
			others[tp.Topic] = append(others[tp.Topic], name)
		}
	}
	out := map[string]error{}
	for topic, names := range others {
		slices.Sort(names)
		if len(names) > 3 {
			names = append(names[:3], "others")
		}
		out[topic] = fmt.Errorf("%w, and that of %s would go, too: 'offsets delete GROUP --topic TOPIC' deletes all of them", errTakesMore, strings.Join(names, ", "))
	}
	return out
}

// keepSiblings refuses deletions that would take more with them.
func (p *Plan) keepSiblings(held []inspect.TopicPartition) {
	why := p.takesMore(held)
	for _, c := range p.moving() {
		if err := why[c.Topic]; err != nil && c.Action == ActionDelete {
			c.fail(CodeShareTopics, "%s", err)
		}
	}
}

// warnOfNoWayBack says ahead where undo will be refused: a first start offset,
// beside others of its topic that were there before.
func (p *Plan) warnOfNoWayBack(held []inspect.TopicPartition) {
	if p.Type != inspect.Share {
		return
	}
	var first []inspect.TopicPartition
	for _, c := range p.moving() {
		others := func(tp inspect.TopicPartition) bool { return tp.Topic == c.Topic && tp.Partition != c.Partition }
		if c.Action == ActionWrite && c.From == nil && slices.ContainsFunc(held, others) {
			first = append(first, inspect.TopicPartition{Topic: c.Topic, Partition: c.Partition})
		}
	}
	if len(first) > 0 {
		p.warn(CodeShareTopics, "undo will be refused: %s would lose the start offset again that it gets now, and brokers delete start offsets by whole topics only", inspect.Fold(first))
	}
}

// startOffsets are what the group has now, and the partitions that have one or
// may have one.
func (c *Changer) startOffsets(ctx context.Context, group string) (offsets map[inspect.TopicPartition]inspect.Commit, held []inspect.TopicPartition, err error) {
	offsets, failed, err := c.cluster.Commits(ctx, group, inspect.Share)
	if err != nil {
		return nil, nil, err
	}
	for tp := range offsets {
		held = append(held, tp)
	}
	for tp := range failed {
		held = append(held, tp)
	}
	return offsets, held, nil
}

// confirmShare is the last look before the first write.
func (c *Changer) confirmShare(ctx context.Context, p *Plan) error {
	offsets, held, err := c.startOffsets(ctx, p.Group)
	if err != nil {
		return fmt.Errorf("nothing was written: looking again right before it: %w", err)
	}
	if stale := p.movedSince(offsets); len(stale) > 0 {
		return p.staleError(stale)
	}
	var reasons []Reason
	more := p.takesMore(held)
	for _, topic := range slices.Sorted(maps.Keys(more)) {
		reasons = append(reasons, refusal(CodeShareTopics, "%s", more[topic]))
	}
	if len(reasons) > 0 {
		return refusedFor(p.Group, reasons...)
	}
	return nil
}

// alterStartOffsets is commitOffsets for share groups. A group that does not
// exist becomes one.
func (c *Changer) alterStartOffsets(ctx context.Context, p *Plan, changes []*Change, at *kgo.Broker) (lost bool) {
	req := kmsg.NewPtrAlterShareGroupOffsetsRequest()
	req.GroupID = p.Group
	topics, of := byTopic(changes)
	for _, topic := range topics {
		t := kmsg.NewAlterShareGroupOffsetsRequestTopic()
		t.Topic = topic
		for _, ch := range of[topic] {
			rp := kmsg.NewAlterShareGroupOffsetsRequestTopicPartition()
			rp.Partition, rp.StartOffset = ch.Partition, *ch.To
			t.Partitions = append(t.Partitions, rp)
		}
		req.Topics = append(req.Topics, t)
	}
	return sent(changes, func(code func(string, int32, int16)) error {
		resp, err := req.RequestWith(ctx, at)
		if err != nil {
			return err
		}
		for _, t := range resp.Topics {
			for _, rp := range t.Partitions {
				code(t.Topic, rp.Partition, rp.ErrorCode)
			}
		}
		return kerr.ErrorForCode(resp.ErrorCode)
	})
}

// deleteStartOffsets deletes start offsets, of topics of which no other is to
// stay: that is looked at again for each request.
func (c *Changer) deleteStartOffsets(ctx context.Context, p *Plan, changes []*Change, at *kgo.Broker) (lost bool) {
	_, held, err := c.startOffsets(ctx, p.Group)
	if err != nil {
		failAll(changes, fmt.Errorf("%w: %w", errNotAsked, err))
		return false
	}
	more := p.takesMore(held)
	var allowed []*Change
	for _, ch := range changes {
		if err := more[ch.Topic]; err != nil {
			ch.failed(err)
			continue
		}
		allowed = append(allowed, ch)
	}
	if len(allowed) == 0 {
		return false
	}
	req := kmsg.NewPtrDeleteShareGroupOffsetsRequest()
	req.GroupID = p.Group
	topics, of := byTopic(allowed)
	for _, topic := range topics {
		t := kmsg.NewDeleteShareGroupOffsetsRequestTopic()
		t.Topic = topic
		req.Topics = append(req.Topics, t)
	}
	return sent(allowed, func(code func(string, int32, int16)) error {
		resp, err := req.RequestWith(ctx, at)
		if err != nil {
			return err
		}
		for _, t := range resp.Topics {
			for _, ch := range of[t.Topic] {
				code(t.Topic, ch.Partition, t.ErrorCode)
			}
		}
		return kerr.ErrorForCode(resp.ErrorCode)
	})
}
