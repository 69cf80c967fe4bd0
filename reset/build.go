package reset

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"offsets/inspect"
)

// Options says what to change.
type Options struct {
	// To is where to; zero where Set alone says it.
	To Position
	// Set gives partitions positions of their own.
	Set []Setting
	// Topics selects partitions for To; none means those that have a commit.
	Topics []TopicSelection
	// Clamp moves a target outside the log inside, instead of refusing it.
	Clamp bool
	// Touch also writes what does not move.
	Touch bool
	// SkipEmpty: a group without anything selected has an empty plan, and is no
	// error.
	SkipEmpty bool
	Isolation Isolation
	// Type is the type that the group must have, or is to be made with where it
	// does not exist; "" is any, and makes a classic group.
	Type string
	// Now is what durations count back from.
	Now time.Time
}

// fixed is the options with durations turned into times. Times in the future
// are an error.
func (o Options) fixed() (Options, error) {
	var err error
	if o.To, err = o.To.fixed(o.Now); err != nil {
		return o, err
	}
	o.Set = slices.Clone(o.Set)
	for i := range o.Set {
		if o.Set[i].To, err = o.Set[i].To.fixed(o.Now); err != nil {
			return o, err
		}
	}
	return o, nil
}

// positions are all that the options name.
func (o Options) positions() []Position {
	out := []Position{o.To}
	for _, s := range o.Set {
		out = append(out, s.To)
	}
	return out
}

// topics are the names that the options name.
func (o Options) topics() []string {
	var out []string
	for _, t := range o.Topics {
		out = append(out, t.Topic)
	}
	for _, s := range o.Set {
		out = append(out, s.Topic)
	}
	return out
}

// Known is what had to be asked beyond the groups: where times lie, and what
// was committed then.
type Known struct {
	at map[int64]map[inspect.TopicPartition]inspect.AtTime // by ms
	as map[int64]map[string]map[inspect.TopicPartition]inspect.StatePartition
}

// Build makes the plan for one group, of which all partitions of the topics
// concerned were described.
func Build(g inspect.Group, o Options, k Known) (Plan, error) {
	g = asType(g, o.Type)
	p := newPlan(g, KindReset)
	p.refuseForReset(&o)
	var left, internal []inspect.TopicPartition
	for i := range g.Partitions {
		row := &g.Partitions[i]
		position, match := o.position(row)
		switch {
		case match == yes && internalOfStreams(g, row.Topic) && !o.names(row.Topic):
			internal = append(internal, inspect.TopicPartition{Topic: row.Topic, Partition: row.Partition})
		case match == yes:
			c := p.newChange(row)
			c.seen(row)
			if !p.unanswerable(position) {
				change(&c, g.Group, row, position, o, k)
			}
			p.Partitions = append(p.Partitions, c)
		case match == sibling:
			left = append(left, inspect.TopicPartition{Topic: row.Topic, Partition: row.Partition})
		}
	}
	if err := missing(g, o); err != nil {
		return p, err
	}
	switch {
	case len(p.Partitions) > 0 || len(p.Refusals) > 0:
	case o.SkipEmpty:
		p.warn(CodeNoCommit, "it has no commits: nothing to do")
	default:
		return p, fmt.Errorf("group %s: %w: it has no %ss; name topics with --topic", g.Group, ErrNothingSelected, (&Change{share: p.Type == inspect.Share}).what())
	}
	for rest := internal; len(rest) > 0; {
		n := slices.IndexFunc(rest, func(tp inspect.TopicPartition) bool { return tp.Topic != rest[0].Topic })
		if n < 0 {
			n = len(rest)
		}
		p.warn(CodeInternalTopic, "%s is an internal topic of the application: left out, unless named with --topic", inspect.Fold(rest[:n]))
		rest = rest[n:]
	}
	switch {
	case len(left) > 0 && p.Type == inspect.Share:
		p.warn(CodeNoCommit, "no start offset on %s: left to share.auto.offset.reset (--topic selects them)", inspect.Fold(left))
	case len(left) > 0:
		p.warn(CodeNoCommit, "no commit on %s: left to the policy (--topic selects them)", inspect.Fold(left))
	}
	p.warnOfNoWayBack(holders(g))
	p.finish()
	return p, nil
}

// IsStreams says whether the group belongs to a Kafka Streams application, old
// (protocol type "stream") or new (KIP-1071). Its state is not only in offsets.
func (p *Plan) IsStreams() bool { return p.Type == inspect.Streams || p.ProtocolType == "stream" }

// internalOfStreams: repartition and changelog topics belong to the
// application's state.
func internalOfStreams(g inspect.Group, topic string) bool {
	if g.Type != inspect.Streams && g.ProtocolType != "stream" {
		return false
	}
	return strings.HasPrefix(topic, g.Group+"-") && (strings.HasSuffix(topic, "-repartition") || strings.HasSuffix(topic, "-changelog"))
}

// names says whether the options name a topic.
func (o Options) names(topic string) bool { return slices.Contains(o.topics(), topic) }

type match int

const (
	no match = iota
	yes
	sibling
)

// position is where the options send a partition, if they select it.
func (o Options) position(row *inspect.Partition) (Position, match) {
	for _, s := range o.Set {
		if s.Topic == row.Topic && s.Partition == row.Partition {
			return s.To, yes
		}
	}
	if o.To.IsZero() {
		return Position{}, no
	}
	if len(o.Topics) == 0 {
		switch {
		case row.Committed != nil:
			return o.To, yes
		case row.Status == inspect.NoCommit:
			return o.To, sibling
		}
		return o.To, no
	}
	if selects(o.Topics, row.Topic, row.Partition) {
		return o.To, yes
	}
	return o.To, no
}

func selects(topics []TopicSelection, topic string, partition int32) bool {
	return slices.ContainsFunc(topics, func(t TopicSelection) bool {
		return t.Topic == topic && (t.Partitions == nil || slices.Contains(t.Partitions, partition))
	})
}

// missing finds selected topics and partitions that do not exist.
func missing(g inspect.Group, o Options) error {
	have := map[inspect.TopicPartition]bool{}
	known := map[string]bool{}
	for i := range g.Partitions {
		row := &g.Partitions[i]
		if row.Status != inspect.TopicGone {
			have[inspect.TopicPartition{Topic: row.Topic, Partition: row.Partition}] = true
			known[row.Topic] = true
		}
	}
	check := func(topic string, partitions ...int32) error {
		if !known[topic] {
			return fmt.Errorf("topic %s: %w", topic, ErrNoTopic)
		}
		for _, p := range partitions {
			if !have[inspect.TopicPartition{Topic: topic, Partition: p}] {
				return fmt.Errorf("topic %s has no partition %d: %w", topic, p, ErrNoTopic)
			}
		}
		return nil
	}
	for _, t := range o.Topics {
		if err := check(t.Topic, t.Partitions...); err != nil {
			return err
		}
	}
	for _, s := range o.Set {
		if err := check(s.Topic, s.Partition); err != nil {
			return err
		}
	}
	return nil
}

// change plans one partition.
func change(c *Change, group string, row *inspect.Partition, position Position, o Options, k Known) {
	if row.Status == inspect.TopicGone && !o.names(row.Topic) {
		c.warn(inspect.CodeTopicGone, "the topic is gone: left alone")
		return
	}
	if !c.readable(row) {
		return
	}
	to := c.target(group, row, position, o, k)
	if to == nil {
		return
	}
	l := limits{clamp: o.Clamp, touch: o.Touch}
	if position.kind == current {
		l.outside = !o.Clamp // what is committed already is no target
	}
	c.aim(row, *to, l)
	if position.kind == latest && row.LastStable != nil && *row.LastStable < *row.LogEnd && o.Isolation != ReadCommitted {
		c.warn(CodeOpenTransaction, "open transaction: last stable offset is %d", *row.LastStable)
		if o.Isolation == Unstated {
			c.fail(CodeOpenTransaction, "a transaction is open from offset %d on: say --isolation read_committed to stop there, or read_uncommitted to skip it", *row.LastStable)
		}
	}
}

// target is where a position lies on a partition. nil leaves it alone: then the
// change has a note or an error that says why.
func (c *Change) target(group string, row *inspect.Partition, position Position, o Options, k Known) *inspect.Commit {
	to := func(offset int64) *inspect.Commit { return &inspect.Commit{Offset: offset, LeaderEpoch: -1} }
	switch position.kind {
	case earliest:
		return to(*row.LogStart)
	case latest:
		if o.Isolation == ReadCommitted && row.LastStable != nil {
			return to(*row.LastStable)
		}
		return to(*row.LogEnd)
	case at:
		return to(position.offset)
	case since:
		found := k.at[position.time.UnixMilli()][inspect.TopicPartition{Topic: row.Topic, Partition: row.Partition}]
		switch {
		case found.Err != nil:
			c.fail(inspect.CodeOf(found.Err), "looking for the time: %s", found.Err)
			return nil
		case found.Offset == nil:
			c.note("no record since")
			return to(*row.LogEnd)
		}
		return to(*found.Offset)
	case asOf:
		return c.then(k.as[position.time.UnixMilli()][group], row)
	}
	if row.Committed == nil {
		if position.kind == shift {
			c.fail(CodeNoCommit, "no %s to shift from", c.what())
		} else {
			c.warn(CodeNoCommit, "no %s: left to %s", c.what(), c.policy())
		}
		return nil
	}
	if position.kind == shift {
		return to(saturated(*row.Committed, position.offset))
	}
	return to(*row.Committed)
}

// then is what was committed at a time, with its metadata.
func (c *Change) then(state map[inspect.TopicPartition]inspect.StatePartition, row *inspect.Partition) *inspect.Commit {
	was, known := state[inspect.TopicPartition{Topic: row.Topic, Partition: row.Partition}]
	switch {
	case known && !was.Certain:
		c.fail(CodeNotCertain, "what was committed then is not certain: the commit log may have lost older records to compaction")
		return nil
	case !known || was.Committed == nil:
		c.warn(CodeNoCommit, "nothing was committed then: left alone")
		return nil
	case was.TopicID != nil && row.TopicID != nil && *was.TopicID != *row.TopicID:
		c.fail(CodeTopicRecreated, "the topic was deleted and created again since")
		return nil
	}
	if was.DeletedSince && (was.TopicID == nil || row.TopicID == nil) {
		// Records with topic ids would tell a topic from another of its name.
		c.fail(CodeNotCertain, "%d was committed then, but the commit was deleted since, and this log does not tell whether with its topic: if it is the same topic, say --set %s:%d=%d", *was.Committed, row.Topic, row.Partition, *was.Committed)
		c.failedAs.general = "the commits of then were deleted since, and this log does not tell whether with their topic: if it is the same topic, name the offsets with --set"
		return nil
	}
	to := inspect.Commit{Offset: *was.Committed, LeaderEpoch: -1}
	if was.Metadata != nil {
		to.Metadata = *was.Metadata
	}
	return &to
}

// saturated adds without wrapping around: offsets reach up to 2^63-1.
func saturated(a, b int64) int64 {
	sum := a + b
	if b > 0 && sum < a {
		return 1<<63 - 1
	}
	return sum
}
