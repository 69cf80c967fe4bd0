package demo

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// The new partition: what is written to it before the consumer knows of it, and
// what is written then.
const (
	writtenUnnoticed = 20
	writtenNoticed   = 5
)

// shortAge stands in for the five minutes after which clients look for new
// partitions by themselves (metadata.max.age.ms), for nobody wants to wait.
const shortAge = 8 * time.Second

// newPartition plays a partition that is added under a running consumer
// (KIP-1327): until the consumer looks, others write to it already, and when the
// consumer gets it there is no commit, so that the policy decides.
func newPartition(ctx context.Context, s *stage, policy string) (Scene, error) {
	scene := Scene{Name: "new_partition", Policy: &policy, ProcessedTwice: []int64{}}
	s.say("a partition is added under a running consumer, auto.offset.reset=%s", policy)
	s.say("topic %s, group %s, metadata.max.age.ms %d (by default 300000)", s.topic, s.group, shortAge.Milliseconds())
	s.say("")
	if err := s.before(ctx, readBefore); err != nil {
		return scene, err
	}
	c, err := s.start("consumer", "consume", s.topic, "--group", s.group, "--auto-offset-reset", policy, "--metadata-max-age", shortAge.String(),
		"--session-timeout", s.Session.String(), "--verbose", "-o", "jsonl")
	if err != nil {
		return scene, err
	}
	if err := s.until(ctx, "the consumer holds partition 0", s.holds(c, 0)); err != nil {
		return scene, err
	}
	s.tell("consumer", "runs again, and reads partition 0")
	if err := s.addPartition(ctx); err != nil {
		return scene, err
	}
	if err := s.fill(ctx, 1, 0, writtenUnnoticed); err != nil {
		return scene, err
	}
	s.tell("producer", "knows of partition 1, and writes %d … %d to it", 0, writtenUnnoticed-1)
	if at := c.partitions(); len(at) > 1 {
		return scene, errors.New("the consumer noticed the partition before anything was written to it")
	}
	err = s.until(ctx, "the consumer notices the partition", s.holds(c, 1))
	if failed := c.failed(); failed != nil {
		text := failed.Error()
		scene.Error = &text
		s.tell("consumer", "notices partition 1, and fails: %s", text)
		s.sayNewPartition()
		return scene, nil
	}
	if err != nil {
		return scene, err
	}
	if err := s.fill(ctx, 1, writtenUnnoticed, writtenNoticed); err != nil {
		return scene, err
	}
	if err := s.untilProcessed(ctx, c, 1, writtenUnnoticed+writtenNoticed-1); err != nil {
		return scene, err
	}
	first := c.offsets(1)[0]
	scene.ResumedAt, scene.Skipped = &first, &first
	switch {
	case first > 0:
		s.tell("consumer", "notices partition 1, and begins at %d: %s skips 0 … %d, which nobody reads ever", first, policy, first-1)
	default:
		s.tell("consumer", "notices partition 1, and begins at 0, its first record")
	}
	s.sayNewPartition()
	return scene, nil
}

// holds says whether a consumer has got a partition; it fails when the consumer
// has ended.
func (s *stage) holds(c *actor, partition int32) func() (bool, error) {
	return func() (bool, error) {
		_, held := c.partitions()[partition]
		if held {
			return true, nil
		}
		_, err := c.has(partition, -1)
		return false, err
	}
}

// addPartition adds the second partition, and waits until clients see it.
func (s *stage) addPartition(ctx context.Context) error {
	r, err := s.adm.UpdatePartitions(ctx, 2, s.topic)
	if err == nil {
		err = r[s.topic].Err
	}
	if err != nil {
		return fmt.Errorf("adding a partition: %w", err)
	}
	s.tell("operator", "adds partition 1")
	return s.untilThere(ctx, 2)
}

func (s *stage) sayNewPartition() {
	s.say("")
	s.say("A running consumer has no commit on a partition that is new to it, so the policy decides. latest loses what was\n"+
		"written before the consumer noticed; earliest and a by_duration that is longer than it takes to notice lose\n"+
		"nothing. To see how long that is:\n  offsets policy %s", s.group)
	s.say("")
}
