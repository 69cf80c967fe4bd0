package consume

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// tick commits when the interval is over, and looks again for partitions that
// wait for a position. Like the Java client it commits the positions of all
// assigned partitions, whether they moved or not.
func (c *consumer) tick(ctx context.Context) error {
	if err := c.retryWaiting(ctx); err != nil {
		return err
	}
	if c.idle && time.Since(c.lastLook) >= lookEvery {
		if err := c.lookAtID(ctx, c.Topic); err != nil {
			return err
		}
	}
	if !c.commits() || time.Since(c.lastTick) < c.AutoCommitInterval {
		return nil
	}
	c.lastTick = time.Now()
	if err := c.commit(ctx); err != nil {
		// The next commit covers this one. A consumer that loses its group is
		// told by the poll.
		c.warn("commit", "auto commit failed: %v", err)
		if errors.Is(err, kerr.UnknownTopicID) {
			return c.lookAtID(ctx, c.Topic)
		}
	}
	return nil
}

// commit writes all positions to the group.
func (c *consumer) commit(ctx context.Context) error {
	at := c.positions.all()
	if len(at) == 0 {
		return nil
	}
	var err error
	if c.member() {
		err = c.commitAsMember(ctx, at)
	} else {
		err = c.commitAlone(ctx, at)
	}
	if err == nil {
		c.event(Event{What: "committed", Positions: list(at)})
	}
	return err
}

func (c *consumer) commitAsMember(ctx context.Context, at map[topicPartition]kgo.EpochOffset) error {
	offsets := map[string]map[int32]kgo.EpochOffset{}
	for tp, o := range at {
		if offsets[tp.topic] == nil {
			offsets[tp.topic] = map[int32]kgo.EpochOffset{}
		}
		offsets[tp.topic][tp.partition] = o
	}
	// The library writes its member id as metadata; the Java client nothing.
	ctx = kgo.PreCommitFnContext(ctx, func(req *kmsg.OffsetCommitRequest) error {
		empty := ""
		for i := range req.Topics {
			for j := range req.Topics[i].Partitions {
				req.Topics[i].Partitions[j].Metadata = &empty
			}
		}
		return nil
	})
	var failed error
	c.client.CommitOffsetsSync(ctx, offsets, func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse, err error) {
		if err != nil {
			failed = err
			return
		}
		for _, t := range resp.Topics {
			for _, p := range t.Partitions {
				failed = errors.Join(failed, kerr.ErrorForCode(p.ErrorCode))
			}
		}
	})
	return failed
}

// commitAlone commits without membership, as the Java client's assign does.
// The broker refuses it while the group has members.
func (c *consumer) commitAlone(ctx context.Context, at map[topicPartition]kgo.EpochOffset) error {
	var offsets kadm.Offsets
	for tp, o := range at {
		offsets.Add(kadm.Offset{Topic: tp.topic, Partition: tp.partition, At: o.Offset, LeaderEpoch: o.Epoch})
	}
	return kadm.NewClient(c.admin).CommitAllOffsets(ctx, c.Group, offsets)
}

// wait keeps a partition without a position: by_duration found no record that
// is young enough, and the Java client does not fall back to another policy.
func (c *consumer) wait(tp topicPartition) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting[tp] = true
}

// drop forgets partitions that are no longer ours.
func (c *consumer) drop(lost map[string][]int32) {
	c.positions.drop(lost)
	c.mu.Lock()
	defer c.mu.Unlock()
	for topic, partitions := range lost {
		for _, p := range partitions {
			delete(c.waiting, topicPartition{topic, p})
		}
	}
}

// pauseWaiting keeps the client from fetching without a position.
func (c *consumer) pauseWaiting() {
	if waiting := c.waitingPartitions(); len(waiting) > 0 {
		c.client.PauseFetchPartitions(waiting)
	}
}

func (c *consumer) waitingPartitions() map[string][]int32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := map[string][]int32{}
	for tp := range c.waiting {
		out[tp.topic] = append(out[tp.topic], tp.partition)
	}
	return out
}

// retryWaiting asks again for the first young enough record.
func (c *consumer) retryWaiting(ctx context.Context) error {
	waiting := c.waitingPartitions()
	if len(waiting) == 0 || time.Since(c.lastRetry) < time.Second {
		return nil
	}
	c.lastRetry = time.Now()
	none := map[topicPartition]kgo.EpochOffset{}
	for topic, partitions := range waiting {
		for _, p := range partitions {
			none[topicPartition{topic, p}] = kgo.EpochOffset{Epoch: -1, Offset: -1}
		}
	}
	limits, err := c.bounds(ctx, none)
	if err != nil {
		return err
	}
	for tp, b := range limits {
		ch := choose(c.Policy, kgo.EpochOffset{Epoch: -1, Offset: -1}, b)
		if ch.waits {
			continue
		}
		c.mu.Lock()
		delete(c.waiting, tp)
		c.mu.Unlock()
		c.positions.set(tp, ch.at)
		c.client.SetOffsets(map[string]map[int32]kgo.EpochOffset{tp.topic: {tp.partition: ch.at}})
		c.client.ResumeFetchPartitions(map[string][]int32{tp.topic: {tp.partition}})
	}
	return nil
}
