package consume

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// bounds is what a starting point is chosen from.
type bounds struct {
	start int64
	// end is the log end: of the last stable record for read_committed, which
	// is where such a consumer's "latest" is.
	end int64
	// high is the log end whatever the isolation: a position up to it is valid.
	high int64
	// endEpoch is the leader epoch at end.
	endEpoch int32
	// since is the first offset of by_duration; nil if no record is that young.
	since *int64
}

// choice is where to start, or why not.
type choice struct {
	at kgo.EpochOffset
	// exception is set where the policy none fails.
	exception string
	// waits: by_duration has no position until a record is young enough.
	waits bool
	// reset: the policy decided, not the commit.
	reset bool
}

// choose is the Java consumer's rule. committed.Offset is negative without a
// commit.
//
// A commit past the end that has a leader epoch is left as it is: there the
// leader is asked where the log diverged, and no policy decides.
func choose(p Policy, committed kgo.EpochOffset, b bounds) choice {
	exception := ""
	switch {
	case committed.Offset < 0:
		exception = NoOffsetForPartition
	case committed.Offset < b.start, committed.Offset > b.high && committed.Epoch < 0:
		exception = OffsetOutOfRange
	default:
		return choice{at: committed}
	}
	switch p.name {
	case "earliest":
		return choice{at: kgo.EpochOffset{Epoch: -1, Offset: b.start}, reset: true}
	case "latest":
		return choice{at: kgo.EpochOffset{Epoch: b.endEpoch, Offset: b.end}, reset: true}
	case byDuration:
		if b.since == nil {
			return choice{waits: true, at: kgo.EpochOffset{Epoch: -1, Offset: b.end}}
		}
		return choice{at: kgo.EpochOffset{Epoch: -1, Offset: *b.since}, reset: true}
	}
	return choice{exception: exception}
}

// start chooses the starting point of each partition and remembers it as the
// position: the Java consumer commits it even if nothing is ever read there.
// It fails as a whole, naming all partitions, where the policy is none.
func (c *consumer) start(ctx context.Context, committed map[topicPartition]kgo.EpochOffset) (map[topicPartition]kgo.EpochOffset, error) {
	if len(committed) == 0 {
		c.positions.adopt(nil, nil, nil)
		return committed, nil
	}
	limits, err := c.bounds(ctx, committed)
	if err != nil {
		return nil, err
	}
	out := make(map[topicPartition]kgo.EpochOffset, len(committed))
	begun := make(map[topicPartition]kgo.EpochOffset, len(committed))
	targets := make(map[topicPartition]int64, len(committed))
	var unchecked []topicPartition
	failures := map[string]*PolicyError{}
	for tp, at := range committed {
		b := limits[tp]
		ch := choose(c.Policy, at, b)
		if ch.exception != "" {
			e := failures[ch.exception]
			if e == nil {
				e = &PolicyError{Exception: ch.exception}
				failures[ch.exception] = e
			}
			e.Partitions = append(e.Partitions, invalid(tp, at, b))
			continue
		}
		out[tp] = ch.at
		targets[tp] = b.end
		if ch.waits {
			c.wait(tp)
		} else {
			begun[tp] = ch.at
		}
		if ch.at.Offset > b.high && ch.at.Epoch >= 0 {
			unchecked = append(unchecked, tp)
		}
		if ch.reset && at.Offset >= 0 {
			c.event(Event{What: "reset", Positions: list(map[topicPartition]kgo.EpochOffset{tp: ch.at}), Text: fmt.Sprintf("position %d is outside the log (%d to %d)", at.Offset, b.start, b.high)})
		}
	}
	// The Java client looks for missing positions first, and fetches later.
	for _, exception := range []string{NoOffsetForPartition, OffsetOutOfRange} {
		if e := failures[exception]; e != nil {
			return nil, e.sort()
		}
	}
	c.positions.adopt(begun, targets, unchecked)
	return out, nil
}

func invalid(tp topicPartition, at kgo.EpochOffset, b bounds) InvalidPosition {
	p := InvalidPosition{Topic: tp.topic, Partition: tp.partition, LogStart: b.start, LogEnd: b.high}
	if at.Offset >= 0 {
		p.Position = &at.Offset
	}
	return p
}

// bounds reads the ends of the partitions, and for by_duration the first young
// enough record.
func (c *consumer) bounds(ctx context.Context, of map[topicPartition]kgo.EpochOffset) (map[topicPartition]bounds, error) {
	const latest, earliest = -1, -2
	var starts, ends, highs, since map[topicPartition]listed
	var errs [4]error
	var wg sync.WaitGroup
	isolation := int8(0)
	if c.ReadCommitted {
		isolation = 1
	}
	wg.Go(func() { starts, errs[0] = c.listOffsets(ctx, of, earliest, 0) })
	wg.Go(func() { ends, errs[1] = c.listOffsets(ctx, of, latest, isolation) })
	wg.Go(func() { highs, errs[2] = c.listOffsets(ctx, of, latest, 0) })
	if c.Policy.name == byDuration {
		// A target before 1970 finds nothing in Java, so it finds nothing here.
		wg.Go(func() { since, errs[3] = c.listOffsets(ctx, of, time.Now().Add(-c.Policy.back).UnixMilli(), isolation) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	out := make(map[topicPartition]bounds, len(of))
	for tp := range of {
		b := bounds{start: starts[tp].offset, end: ends[tp].offset, high: highs[tp].offset, endEpoch: ends[tp].epoch}
		if l, ok := since[tp]; ok && l.offset >= 0 {
			b.since = &l.offset
		}
		out[tp] = b
	}
	return out, nil
}

type listed struct {
	offset int64
	epoch  int32
}

// listOffsets asks the leaders, again and again while a partition has none:
// the Java consumer waits for one too.
func (c *consumer) listOffsets(ctx context.Context, of map[topicPartition]kgo.EpochOffset, timestamp int64, isolation int8) (map[topicPartition]listed, error) {
	byTopic := map[string][]int32{}
	for tp := range of {
		byTopic[tp.topic] = append(byTopic[tp.topic], tp.partition)
	}
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID, req.IsolationLevel = -1, isolation
	for topic, partitions := range byTopic {
		t := kmsg.NewListOffsetsRequestTopic()
		t.Topic = topic
		for _, p := range partitions {
			rp := kmsg.NewListOffsetsRequestTopicPartition()
			rp.Partition, rp.Timestamp, rp.CurrentLeaderEpoch = p, timestamp, -1
			t.Partitions = append(t.Partitions, rp)
		}
		req.Topics = append(req.Topics, t)
	}
	for {
		out, err := collect(c.admin.RequestSharded(ctx, req))
		if err == nil || !kerr.IsRetriable(err) {
			return out, err
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func collect(shards []kgo.ResponseShard) (map[topicPartition]listed, error) {
	out := map[topicPartition]listed{}
	for _, shard := range shards {
		if shard.Err != nil {
			return nil, shard.Err
		}
		for _, t := range shard.Resp.(*kmsg.ListOffsetsResponse).Topics {
			for _, p := range t.Partitions {
				if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
					return nil, fmt.Errorf("reading where the log of %s-%d begins and ends: %w", t.Topic, p.Partition, err)
				}
				out[topicPartition{t.Topic, p.Partition}] = listed{p.Offset, p.LeaderEpoch}
			}
		}
	}
	return out, nil
}

// committed reads the group's commits of partitions that are read without
// membership.
func (c *consumer) committed(ctx context.Context, partitions []int32) (map[topicPartition]kgo.EpochOffset, error) {
	out := map[topicPartition]kgo.EpochOffset{}
	for _, p := range partitions {
		out[topicPartition{c.Topic, p}] = kgo.EpochOffset{Epoch: -1, Offset: -1}
	}
	if c.Group == "" {
		return out, nil
	}
	resp, err := kadm.NewClient(c.admin).FetchOffsetsForTopics(ctx, c.Group, c.Topic)
	if err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
		return nil, fmt.Errorf("reading the commits of group %s: %w", c.Group, err)
	}
	var failed error
	resp.Each(func(r kadm.OffsetResponse) {
		tp := topicPartition{r.Topic, r.Partition}
		if _, ours := out[tp]; !ours {
			return
		}
		if r.Err != nil {
			failed = r.Err
		}
		out[tp] = kgo.EpochOffset{Epoch: r.LeaderEpoch, Offset: r.At}
	})
	return out, failed
}

// wanted is the partitions to read without membership: those named, or all.
func (c *consumer) wanted(ctx context.Context) ([]int32, error) {
	topics, err := kadm.NewClient(c.admin).ListTopicsWithInternal(ctx, c.Topic)
	if err != nil {
		return nil, err
	}
	t := topics[c.Topic]
	switch {
	case errors.Is(t.Err, kerr.UnknownTopicOrPartition):
		return nil, fmt.Errorf("%s: %w", c.Topic, ErrNoTopic)
	case t.Err != nil:
		return nil, fmt.Errorf("topic %s: %w", c.Topic, t.Err)
	}
	c.topicID = t.ID
	var all []int32
	for p := range t.Partitions {
		all = append(all, p)
	}
	slices.Sort(all)
	if len(c.Partitions) == 0 {
		return all, nil
	}
	for _, p := range c.Partitions {
		if !slices.Contains(all, p) {
			return nil, fmt.Errorf("topic %s has no partition %d, only %d partitions", c.Topic, p, len(all))
		}
	}
	return c.Partitions, nil
}
