package demo

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Options says where and how to play.
type Options struct {
	// Executable is this program; its produce, consume and reset commands play.
	Executable string
	// Env is the environment of those processes; it names the broker.
	Env []string
	// OwnNames takes the plain names (topic offset_commit, group group_1): for
	// a broker that is there for the demo alone. Else names are random, and
	// what was made is deleted.
	OwnNames bool
	// Session is the consumers' session timeout; 0 asks the broker for the
	// shortest that it allows. The demo waits for a dead member's session.
	Session time.Duration
	// Tell is told the story; nil for silence.
	Tell func(Line)
}

// Line is one line of the story.
type Line struct {
	// At is the time since the scene began; zero-valued with Who "" for text
	// around the story.
	At   time.Duration
	Who  string
	Text string
}

// Scene is what was observed. Fields that a scene has nothing to say about are
// nil.
type Scene struct {
	Name   string  `json:"name"`
	Policy *string `json:"policy"` // auto.offset.reset
	// FirstOffset is the first record that the first consumer processed.
	FirstOffset *int64 `json:"first_offset"`
	// CrashedAfter is the last record processed before the kill.
	CrashedAfter *int64 `json:"crashed_after"`
	// CommittedAtCrash is what the broker had then: the next offset to read.
	CommittedAtCrash *int64 `json:"committed_at_crash"`
	// ResumedAt is the first record processed after the crash.
	ResumedAt *int64 `json:"resumed_at"`
	// ProcessedTwice are the records that both consumers processed.
	ProcessedTwice []int64 `json:"processed_twice"`
	// Partition, Crashed and TakenOverBy are of the rebalance.
	Partition   *int32  `json:"partition"`
	Crashed     *string `json:"crashed"`
	TakenOverBy *string `json:"taken_over_by"`
	// Lost is how many records were deleted before they were read, Skipped how
	// many that are there the policy left out.
	Lost    *int64 `json:"lost"`
	Skipped *int64 `json:"skipped"`
	// Error is how a consumer failed at its first start (the policy none).
	Error *string `json:"error"`
}

// Names are the scenes that can be played, in their order.
func Names() []string {
	var names []string
	for _, s := range scenes() {
		names = append(names, s.name)
	}
	return names
}

// About says in a line what a scene is about.
func About(name string) string {
	for _, s := range scenes() {
		if s.name == name {
			return s.about
		}
	}
	return ""
}

// scene is a play, once for each policy; one without policies is played once.
type scene struct {
	name, about string
	policies    []string
	play        func(ctx context.Context, s *stage, policy string) (Scene, error)
}

func scenes() []scene {
	all := []string{"latest", "earliest", "none"}
	return []scene{
		{"crash", "a consumer is killed between processing and commit, and resumes", all, crash},
		{"rebalance", "one of four consumers crashes, another takes its partition over", []string{""}, func(ctx context.Context, s *stage, _ string) (Scene, error) { return rebalance(ctx, s) }},
		{"retention", "a consumer was away for longer than the topic keeps its records", all, retention},
		{"recreated", "a topic is deleted and created again", all, recreated},
		{"new-partition", "a partition is added under a running consumer", []string{"latest", "earliest", "none", "by_duration:10m"}, newPartition},
	}
}

// Run plays the named scenes, one row each, or one row a policy. It stops at
// the first that cannot be played.
func Run(ctx context.Context, cl *kgo.Client, o Options, names []string) iter.Seq2[Scene, error] {
	return func(yield func(Scene, error) bool) {
		if o.Session == 0 {
			var err error
			if o.Session, err = shortestSession(ctx, cl); err != nil {
				yield(Scene{}, err)
				return
			}
		}
		for _, sc := range scenes() {
			if !slices.Contains(names, sc.name) {
				continue
			}
			for _, policy := range sc.policies {
				seen, err := perform(ctx, cl, o, func(ctx context.Context, s *stage) (Scene, error) { return sc.play(ctx, s, policy) })
				if !yield(seen, err) || err != nil {
					return
				}
			}
		}
	}
}

// perform sets the stage, plays, and clears up whatever happened.
func perform(ctx context.Context, cl *kgo.Client, o Options, play func(context.Context, *stage) (Scene, error)) (Scene, error) {
	s := &stage{
		Options: o, adm: kadm.NewClient(cl), began: time.Now(),
		topic: "offset_commit", group: "group_1",
	}
	if !o.OwnNames {
		id := make([]byte, 4)
		_, _ = rand.Read(id) // crypto/rand never fails
		s.topic = "offsets-demo-" + hex.EncodeToString(id)
		s.group = s.topic
	}
	scene, err := play(ctx, s)
	return scene, errors.Join(err, s.clear(context.WithoutCancel(ctx)))
}

// shortestSession is the shortest session timeout that the brokers allow.
func shortestSession(ctx context.Context, cl *kgo.Client) (time.Duration, error) {
	const kafkaDefault, least = 6 * time.Second, time.Second
	adm := kadm.NewClient(cl)
	brokers, err := adm.ListBrokers(ctx)
	if err != nil {
		return 0, fmt.Errorf("listing brokers: %w", err)
	}
	configs, err := adm.DescribeBrokerConfigs(ctx, brokers.NodeIDs()...)
	if err != nil {
		return kafkaDefault, nil // perhaps not allowed to see it
	}
	longest := time.Duration(0)
	for _, c := range configs {
		for _, kv := range c.Configs {
			if kv.Key != "group.min.session.timeout.ms" || kv.Value == nil {
				continue
			}
			if ms, err := strconv.Atoi(*kv.Value); err == nil {
				longest = max(longest, time.Duration(ms)*time.Millisecond)
			}
		}
	}
	if longest == 0 {
		return kafkaDefault, nil
	}
	return max(longest, least), nil
}

// stage is what one scene plays with.
type stage struct {
	Options
	adm     *kadm.Client
	began   time.Time
	topic   string
	group   string
	actors  []*actor
	created bool
}

// commitInterval is the consumers' auto commit interval: the crash has to come
// between two commits, so it must not be short.
const commitInterval = 2 * time.Second

// stepLimit bounds each wait for something to happen.
const stepLimit = 60 * time.Second

func (s *stage) tell(who, format string, args ...any) {
	if s.Tell != nil {
		s.Tell(Line{At: time.Since(s.began), Who: who, Text: fmt.Sprintf(format, args...)})
	}
}

// say tells a line that is not part of the timeline.
func (s *stage) say(format string, args ...any) {
	if s.Tell != nil {
		s.Tell(Line{Text: fmt.Sprintf(format, args...)})
	}
}

// createTopic makes the scene's topic.
func (s *stage) createTopic(ctx context.Context, partitions int32) error {
	if s.OwnNames {
		// The scene before may have used the names.
		if err := s.remove(ctx); err != nil {
			return err
		}
	}
	if _, err := s.adm.CreateTopic(ctx, partitions, -1, nil, s.topic); err != nil {
		return fmt.Errorf("creating topic %s: %w", s.topic, err)
	}
	s.created = true
	return s.untilThere(ctx, partitions)
}

// untilThere waits until clients see the topic: a broker tells of it a moment
// after it was created.
func (s *stage) untilThere(ctx context.Context, partitions int32) error {
	return s.until(ctx, "the topic has leaders", func() (bool, error) {
		topics, err := s.adm.ListTopics(ctx, s.topic)
		if err != nil || topics[s.topic].Err != nil {
			return false, nil
		}
		return len(topics[s.topic].Partitions) == int(partitions), nil
	})
}

// clear ends the scene's processes and deletes what it made.
func (s *stage) clear(ctx context.Context) error {
	for _, a := range s.actors {
		a.end()
	}
	if !s.created || s.OwnNames {
		return nil
	}
	if err := s.remove(ctx); err != nil {
		return fmt.Errorf("clearing up topic and group %s: %w", s.topic, err)
	}
	return nil
}

func (s *stage) remove(ctx context.Context) error {
	gone := func(err error) bool {
		return err == nil || errors.Is(err, kerr.GroupIDNotFound) || errors.Is(err, kerr.UnknownTopicOrPartition)
	}
	return s.until(ctx, "topic and group are deleted", func() (bool, error) {
		if _, err := s.adm.DeleteGroup(ctx, s.group); !gone(err) {
			if errors.Is(err, kerr.NonEmptyGroup) || kerr.IsRetriable(err) {
				return false, nil // a killed member's session
			}
			return false, err
		}
		if _, err := s.adm.DeleteTopic(ctx, s.topic); !gone(err) {
			return false, err
		}
		return true, nil
	})
}

// until polls until done says so.
func (s *stage) until(ctx context.Context, what string, done func() (bool, error)) error {
	deadline := time.Now().Add(stepLimit)
	for {
		ok, err := done()
		if err != nil || ok {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("waited %s in vain until %s", stepLimit, what)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// committed is what the broker has for a partition; -1 for nothing.
func (s *stage) committed(ctx context.Context, partition int32) (int64, error) {
	offsets, err := s.adm.FetchOffsets(ctx, s.group)
	if errors.Is(err, kerr.GroupIDNotFound) {
		return -1, nil
	}
	if err != nil {
		return -1, fmt.Errorf("reading the commits of %s: %w", s.group, err)
	}
	o, ok := offsets.Lookup(s.topic, partition)
	if !ok {
		return -1, nil
	}
	return o.At, o.Err
}

func (s *stage) untilCommitted(ctx context.Context, partition int32, offset int64) error {
	return s.until(ctx, fmt.Sprintf("%d is committed", offset), func() (bool, error) {
		at, err := s.committed(ctx, partition)
		return at == offset, err
	})
}
