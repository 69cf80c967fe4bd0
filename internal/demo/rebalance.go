package demo

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Of the rebalance: four consumers, four partitions, some records on each.
const (
	consumers    = 4
	perPartition = 5
)

// rebalanceSession is the least session timeout here: on a busy machine a
// shorter one may end for a consumer that is alive, and move its partition
// before the crash does.
const rebalanceSession = 3 * time.Second

// rebalance plays four consumers of which one crashes.
func rebalance(ctx context.Context, s *stage) (Scene, error) {
	scene := Scene{Name: "rebalance", ProcessedTwice: []int64{}}
	s.Session = max(s.Session, rebalanceSession)
	s.say("rebalance: %d partitions, %d consumers, one crashes", consumers, consumers)
	s.say("topic %s, group %s", s.topic, s.group)
	s.say("")
	if err := s.createTopic(ctx, consumers); err != nil {
		return scene, err
	}
	cast, err := s.gather(ctx)
	if err != nil {
		return scene, err
	}
	for p := range int32(consumers) {
		if err := s.fill(ctx, p, 0, perPartition); err != nil {
			return scene, err
		}
	}
	s.tell("producer", "has written %d records to each partition", perPartition)
	for _, c := range cast {
		p := only(c.partitions())
		if err := s.untilProcessed(ctx, c, p, perPartition-1); err != nil {
			return scene, err
		}
		if err := s.untilCommitted(ctx, p, perPartition); err != nil {
			return scene, err
		}
	}
	s.tell("consumers", "have processed 0 … %d of their partition, and committed %d", perPartition-1, perPartition)

	victim := cast[consumers-1]
	p := only(victim.partitions())
	scene.Partition, scene.Crashed = &p, &victim.name
	if err := s.fill(ctx, p, perPartition, 1); err != nil {
		return scene, err
	}
	if err := s.untilProcessed(ctx, victim, p, perPartition); err != nil {
		return scene, err
	}
	victim.kill()
	done := victim.offsets(p)
	scene.FirstOffset, scene.CrashedAfter = &done[0], &done[len(done)-1]
	at, err := s.committed(ctx, p)
	if err != nil {
		return scene, err
	}
	scene.CommittedAtCrash = &at
	s.tell(victim.name, "processes %d of partition %d", *scene.CrashedAfter, p)
	s.tell("kill -9", "%s is dead, before its next commit; its session lasts %s more", victim.name, s.Session)

	if err := s.fill(ctx, p, perPartition+1, 1); err != nil {
		return scene, err
	}
	s.tell("producer", "writes %d to partition %d", perPartition+1, p)
	heir, err := s.heir(ctx, cast[:consumers-1], p)
	if err != nil {
		return scene, err
	}
	again := heir.offsets(p)
	scene.TakenOverBy, scene.ResumedAt = &heir.name, &again[0]
	scene.ProcessedTwice = both(done, again)
	s.tell(heir.name, "takes partition %d over and resumes at %d, the committed offset", p, again[0])
	s.say("")
	for _, line := range timeline(done, again, at) {
		s.say("%s", line)
	}
	s.say("")
	s.say("Processed twice: %s. When the dead member's session ended, the coordinator gave\n"+
		"partition %d to %s, which knows nothing but the committed offset.", numbers(scene.ProcessedTwice), p, heir.name)
	s.say("")
	for _, c := range cast[:consumers-1] {
		c.end()
	}
	return scene, nil
}

// gather starts the consumers and waits until each holds one partition.
func (s *stage) gather(ctx context.Context) ([]*actor, error) {
	var cast []*actor
	for i := range consumers {
		c, err := s.consumer(fmt.Sprintf("consumer %d", i+1), "earliest")
		if err != nil {
			return nil, err
		}
		cast = append(cast, c)
	}
	err := s.until(ctx, "each consumer holds one partition", func() (bool, error) {
		for _, c := range cast {
			if _, err := c.has(0, -1); err != nil {
				return false, err
			}
			if len(c.partitions()) != 1 {
				return false, nil
			}
		}
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	// Who got which partition is the assignor's business; number them by it.
	slices.SortFunc(cast, func(a, b *actor) int { return int(only(a.partitions()) - only(b.partitions())) })
	for i, c := range cast {
		c.name = fmt.Sprintf("consumer %d", i+1)
		s.tell(c.name, "reads partition %d", only(c.partitions()))
	}
	return cast, nil
}

// only is the single partition of an assignment.
func only(held map[int32]int64) int32 {
	for p := range held {
		return p
	}
	return -1
}

// fill writes records to one partition, with a process of its own.
func (s *stage) fill(ctx context.Context, partition int32, from, count int64) error {
	p, err := s.start("producer", "produce", s.topic, "--partition", fmt.Sprint(partition), "--start", fmt.Sprint(from), "--count", fmt.Sprint(count), "-o", "json")
	if err != nil {
		return err
	}
	if err := p.wait(ctx); err != nil {
		return fmt.Errorf("producer: %w", err)
	}
	return nil
}

// heir waits until one of the others has processed the last record of the
// partition.
func (s *stage) heir(ctx context.Context, others []*actor, partition int32) (*actor, error) {
	var found *actor
	err := s.until(ctx, "another consumer takes the partition over", func() (bool, error) {
		for _, c := range others {
			ok, err := c.has(partition, perPartition+1)
			if err != nil {
				return false, err
			}
			if ok {
				found = c
			}
		}
		return found != nil, nil
	})
	return found, err
}
