package demo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// The records of the experiment: the consumer starts when the first are
// written, crashes after crashAt, and the last is read by its successor.
const (
	beforeStart = 10
	crashAt     = 16
	lastRecord  = 20
)

// pace is the time between two records; the original experiment has 2 s.
const pace = 50 * time.Millisecond

// crash plays the crash and the resume under one policy.
func crash(ctx context.Context, s *stage, policy string) (Scene, error) {
	scene := Scene{Name: "crash_and_resume", Policy: &policy, ProcessedTwice: []int64{}}
	s.say("crash and resume, auto.offset.reset=%s", policy)
	s.say("topic %s with 1 partition, group %s, auto commit every %s", s.topic, s.group, commitInterval)
	s.say("")
	if err := s.createTopic(ctx, 1); err != nil {
		return scene, err
	}
	producer, err := s.start("producer", "produce", s.topic)
	if err != nil {
		return scene, err
	}
	if err := s.produce(ctx, producer, 0, beforeStart-1); err != nil {
		return scene, err
	}
	first, err := s.firstConsumer(ctx, policy, &scene)
	if err != nil {
		return scene, err
	}
	if err := s.readUntilCrash(ctx, producer, first, &scene); err != nil {
		return scene, err
	}
	if err := s.produce(ctx, producer, crashAt+1, lastRecord); err != nil {
		return scene, err
	}
	s.tell("consumer", "starts again; waits until the dead member's session ends (%s)", s.Session)
	second, err := s.consumer("consumer", policy)
	if err != nil {
		return scene, err
	}
	if err := s.untilProcessed(ctx, second, 0, lastRecord); err != nil {
		return scene, err
	}
	resumed := second.offsets(0)[0]
	scene.ResumedAt = &resumed
	scene.ProcessedTwice = both(first.offsets(0), second.offsets(0))
	s.tell("consumer", "resumes at %d, the committed offset; %s was not asked", resumed, policy)
	s.say("")
	for _, line := range timeline(first.offsets(0), second.offsets(0), *scene.CommittedAtCrash) {
		s.say("%s", line)
	}
	s.say("")
	s.say("%s", moral(scene))
	s.say("")
	second.end()
	return scene, nil
}

// firstConsumer starts the consumer and waits until it has a position. Under
// none that fails, until a position is committed for it.
func (s *stage) firstConsumer(ctx context.Context, policy string, scene *Scene) (*actor, error) {
	c, err := s.consumer("consumer", policy)
	if err != nil {
		return nil, err
	}
	if policy == "none" {
		err := c.wait(ctx)
		var failed *failedError
		if !errors.As(err, &failed) {
			return nil, fmt.Errorf("the consumer should have failed under none: %w", errors.Join(err, ctx.Err()))
		}
		text := failed.Error()
		scene.Error = &text
		s.tell("consumer", "fails: %s", text)
		s.tell("operator", "commits a position: offsets reset %s --topic %s --to %d --create-group --execute", s.group, s.topic, beforeStart)
		reset, err := s.start("reset", "reset", s.group, "--topic", s.topic, "--to", fmt.Sprint(beforeStart), "--create-group", "--execute", "--no-receipt", "-o", "json")
		if err != nil {
			return nil, err
		}
		if err := reset.wait(ctx); err != nil {
			return nil, fmt.Errorf("reset: %w", err)
		}
		if c, err = s.consumer("consumer", policy); err != nil {
			return nil, err
		}
	}
	var at int64
	err = s.until(ctx, "the consumer has a position", func() (bool, error) {
		held := c.partitions()
		at = held[0]
		_, dead := c.has(0, -1)
		return len(held) == 1, dead
	})
	if err != nil {
		return nil, err
	}
	why := map[string]string{
		"latest":   "there is no commit, so latest takes the end of the log",
		"earliest": "there is no commit, so earliest takes the start of the log",
		"none":     "the committed offset; none has nothing to object",
	}[policy]
	s.tell("consumer", "starts at %d: %s", at, why)
	return c, nil
}

// readUntilCrash lets the consumer read, waits for a commit, and kills it one
// record later.
func (s *stage) readUntilCrash(ctx context.Context, producer, consumer *actor, scene *Scene) error {
	if err := s.produce(ctx, producer, beforeStart, crashAt-1); err != nil {
		return err
	}
	if err := s.untilProcessed(ctx, consumer, 0, crashAt-1); err != nil {
		return err
	}
	done := consumer.offsets(0)
	scene.FirstOffset = &done[0]
	s.tell("consumer", "has processed %d … %d", done[0], done[len(done)-1])
	if err := s.untilCommitted(ctx, 0, crashAt); err != nil {
		return err
	}
	s.tell("consumer", "commits %d, the next offset to read", crashAt)
	if err := s.produce(ctx, producer, crashAt, crashAt); err != nil {
		return err
	}
	if err := s.untilProcessed(ctx, consumer, 0, crashAt); err != nil {
		return err
	}
	consumer.kill()
	done = consumer.offsets(0)
	last := done[len(done)-1]
	scene.CrashedAfter = &last
	s.tell("consumer", "processes %d", last)
	s.tell("kill -9", "the consumer is dead, before its next commit")
	at, err := s.committed(ctx, 0)
	scene.CommittedAtCrash = &at
	return err
}

// consumer starts a consumer process.
func (s *stage) consumer(name, policy string) (*actor, error) {
	return s.start(name, "consume", s.topic, "--group", s.group, "--auto-offset-reset", policy,
		"--session-timeout", s.Session.String(), "--auto-commit-interval", commitInterval.String(), "--verbose", "-o", "jsonl")
}

// produce writes {"number": N} for each N.
func (s *stage) produce(ctx context.Context, producer *actor, from, to int64) error {
	if from == to {
		s.tell("producer", "writes %d", from)
	} else {
		s.tell("producer", "writes %d … %d", from, to)
	}
	for n := from; n <= to; n++ {
		if err := producer.write(fmt.Sprintf(`{"number": %d}`, n)); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pace):
		}
	}
	return s.until(ctx, fmt.Sprintf("record %d is written", to), func() (bool, error) {
		ends, err := s.adm.ListEndOffsets(ctx, s.topic)
		if err != nil {
			return false, err
		}
		end, _ := ends.Lookup(s.topic, 0)
		if end.Offset <= to {
			_, err = producer.has(0, -1)
		}
		return end.Offset > to, err
	})
}

func (s *stage) untilProcessed(ctx context.Context, a *actor, partition int32, offset int64) error {
	return s.until(ctx, fmt.Sprintf("%s has processed %d", a.name, offset), func() (bool, error) { return a.has(partition, offset) })
}

// both are the offsets in both lists.
func both(a, b []int64) []int64 {
	out := []int64{}
	for _, n := range a {
		if slices.Contains(b, n) {
			out = append(out, n)
		}
	}
	return out
}

// moral says why, from what was observed.
func moral(s Scene) string {
	if len(s.ProcessedTwice) == 0 {
		return "Nothing was processed twice: the crash came right after a commit."
	}
	return fmt.Sprintf("Processed twice: %s. The crash came before the commit, so everything from the committed\n"+
		"offset (%d) to the last processed record (%d) is processed again: at-least-once.",
		numbers(s.ProcessedTwice), *s.CommittedAtCrash, *s.CrashedAfter)
}

// numbers lists offsets for people.
func numbers(offsets []int64) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(offsets), " ", ", "), "[]")
}
