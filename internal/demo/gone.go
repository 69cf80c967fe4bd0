package demo

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
)

// Scenes in which the committed offset means nothing any more: then the policy
// decides, weeks after anybody thought of it.

// The records of these scenes.
const (
	readBefore = 10 // processed and committed before it happens
	writtenAll = 30
	deletedTo  = 20 // retention takes what lies below
	writtenNew = 5  // into the topic that was made again
)

// retention plays a consumer that was away for longer than the topic keeps its
// records.
func retention(ctx context.Context, s *stage, policy string) (Scene, error) {
	scene := Scene{Name: "retention", Policy: &policy, ProcessedTwice: []int64{}}
	s.say("away for too long, auto.offset.reset=%s", policy)
	s.say("")
	if err := s.before(ctx, writtenAll); err != nil {
		return scene, err
	}
	var os kadm.Offsets
	os.Add(kadm.Offset{Topic: s.topic, At: deletedTo})
	if resp, err := s.adm.DeleteRecords(ctx, os); err != nil || resp.Error() != nil {
		return scene, fmt.Errorf("deleting records: %w", errors.Join(err, resp.Error()))
	}
	s.tell("retention", "deletes 0 … %d; nobody had read %d … %d", deletedTo-1, readBefore, deletedTo-1)
	lost := int64(deletedTo - readBefore)
	scene.Lost = &lost
	if err := s.restart(ctx, policy, deletedTo, writtenAll, &scene); err != nil {
		return scene, err
	}
	s.say("")
	s.say("The committed offset %d lies below the start of the log, so the policy decides. What was deleted is lost\n"+
		"under every policy; latest skips what was still there, too. 'offsets check --max-behind' finds groups that are\n"+
		"on their way there. To see it before it happens:\n  offsets policy %s", readBefore, s.group)
	s.say("")
	return scene, nil
}

// recreated plays a topic that is deleted and made again.
func recreated(ctx context.Context, s *stage, policy string) (Scene, error) {
	scene := Scene{Name: "recreated", Policy: &policy, ProcessedTwice: []int64{}}
	s.say("a topic is deleted and created again, auto.offset.reset=%s", policy)
	s.say("")
	if err := s.before(ctx, readBefore); err != nil {
		return scene, err
	}
	if _, err := s.adm.DeleteTopic(ctx, s.topic); err != nil {
		return scene, fmt.Errorf("deleting the topic: %w", err)
	}
	err := s.until(ctx, "the topic can be created again", func() (bool, error) {
		_, err := s.adm.CreateTopic(ctx, 1, -1, nil, s.topic)
		return err == nil, nil
	})
	if err != nil {
		return scene, err
	}
	if err := s.untilThere(ctx, 1); err != nil {
		return scene, err
	}
	s.tell("operator", "deletes the topic and creates it again; the commits go with it")
	if err := s.untilCommitted(ctx, 0, -1); err != nil {
		return scene, err
	}
	producer, err := s.start("producer", "produce", s.topic)
	if err != nil {
		return scene, err
	}
	if err := s.produce(ctx, producer, 0, writtenNew-1); err != nil {
		return scene, err
	}
	if err := s.restart(ctx, policy, 0, writtenNew, &scene); err != nil {
		return scene, err
	}
	s.say("")
	s.say("With the topic went the group's commits, so the policy decides: latest never reads what was written before\n"+
		"the consumer started. To see it before it happens:\n  offsets policy %s --topic %s", s.group, s.topic)
	s.say("")
	return scene, nil
}

// before lets a consumer read some records, commit them, and stop cleanly.
func (s *stage) before(ctx context.Context, written int64) error {
	if err := s.createTopic(ctx, 1); err != nil {
		return err
	}
	producer, err := s.start("producer", "produce", s.topic)
	if err != nil {
		return err
	}
	if err := s.produce(ctx, producer, 0, written-1); err != nil {
		return err
	}
	c, err := s.start("consumer", "consume", s.topic, "--group", s.group, "--from-beginning", "--max-messages", fmt.Sprint(readBefore), "-o", "jsonl")
	if err != nil {
		return err
	}
	if err := c.wait(ctx); err != nil {
		return fmt.Errorf("consumer: %w", err)
	}
	s.tell("consumer", "processes 0 … %d, commits %d, and stops", readBefore-1, readBefore)
	return nil
}

// restart starts the consumer under a policy, and sees where it begins in what
// is there, from start to end.
func (s *stage) restart(ctx context.Context, policy string, start, end int64, scene *Scene) error {
	c, err := s.start("consumer", "consume", s.topic, "--group", s.group, "--auto-offset-reset", policy, "--exit-at-end", "--verbose", "-o", "jsonl")
	if err != nil {
		return err
	}
	err = c.wait(ctx)
	var failed *failedError
	switch {
	case errors.As(err, &failed):
		text := failed.Error()
		scene.Error = &text
		s.tell("consumer", "fails: %s", text)
		return nil
	case err != nil:
		return err
	}
	at := end
	if done := c.offsets(0); len(done) > 0 {
		at = done[0]
	}
	skipped := at - start
	scene.ResumedAt, scene.Skipped = &at, &skipped
	switch {
	case skipped > 0:
		s.tell("consumer", "begins at %d: %s skips %d … %d, which are there", at, policy, start, at-1)
	default:
		s.tell("consumer", "begins at %d, the first record there is", at)
	}
	return nil
}
