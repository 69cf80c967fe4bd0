package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"offsets/consume"
	"offsets/inspect"
	"offsets/reset"
)

// What bounds one consumer of policy --live, in records and in time: to join a
// group takes a broker some seconds.
const (
	liveRecords  = 5000
	livePatience = 15 * time.Second
	// liveWaits is how long a partition must stay without a position to show
	// that it does.
	liveWaits = 1500 * time.Millisecond
)

// live tries what was predicted: a real consumer under each policy, on a
// throwaway copy of the group's commits.
type live struct {
	e       *env
	cl      *kgo.Client
	changer *reset.Changer
	o       policyOptions
	// differs are the partitions and policies where the outcome is another.
	differs []string
	tried   int
}

// errSeen ends a consumer that has shown what was to be seen.
var errSeen = errors.New("seen enough")

// try runs the consumers for one group, and notes their outcomes beside the
// predictions.
func (l *live) try(ctx context.Context, g inspect.Group, p *inspect.PolicyGroup) error {
	if g.Type == inspect.Share {
		return usagef("--live: group %s is a share group, to which no consumer's policy applies", g.Group)
	}
	policies := map[string]func(*inspect.Policies) *inspect.Outcome{
		"earliest": func(p *inspect.Policies) *inspect.Outcome { return &p.Earliest },
		"latest":   func(p *inspect.Policies) *inspect.Outcome { return &p.Latest },
		"none":     func(p *inspect.Policies) *inspect.Outcome { return &p.None },
	}
	order := []string{"earliest", "latest", "none"}
	if !l.o.Since.IsZero() {
		name := "by_duration:" + isoText(l.o.back)
		order = append(order, name)
		policies[name] = func(p *inspect.Policies) *inspect.Outcome { return p.ByDuration }
	}
	run := strings.ToLower(rand.Text()[:8])
	l.e.note("group %s: not touched; %s, named %s%s-…, get copies of its commits, are read with for a moment, and are deleted", g.Group, plural(len(order), "group"), reset.ThrowawayPrefix, run)
	for _, policy := range order {
		word, _, _ := strings.Cut(policy, ":")
		if err := l.tryPolicy(ctx, fmt.Sprintf("%s%s-%s", reset.ThrowawayPrefix, run, word), policy, g, p, policies[policy]); err != nil {
			return err
		}
	}
	return nil
}

// isoText is a duration as the Java client takes it.
func isoText(d time.Duration) string { return fmt.Sprintf("PT%dS", int64(d.Seconds())) }

func (l *live) tryPolicy(ctx context.Context, name, policy string, g inspect.Group, p *inspect.PolicyGroup, outcome func(*inspect.Policies) *inspect.Outcome) (err error) {
	defer func() {
		// Also after Ctrl-C: what was made here does not stay.
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.o.timeout)
		defer cancel()
		err = errors.Join(err, l.changer.Discard(clean, name))
	}()
	if err := l.changer.Throwaway(ctx, name, reset.Copy(g, nil)); err != nil {
		return err
	}
	parsed, err := consume.ParsePolicy(policy)
	if err != nil {
		return err
	}
	for _, topic := range topicsIn(p) {
		seen, err := l.consume(ctx, name, topic, parsed, p, outcome)
		if err != nil {
			return err
		}
		for i := range p.Partitions {
			row := &p.Partitions[i]
			if row.Topic != topic || row.Situation == inspect.UnknownSituation {
				continue
			}
			predicted := outcome(&row.Policies)
			predicted.Live = seen.of(row.Partition)
			l.compare(row, policy, predicted)
		}
	}
	return nil
}

func topicsIn(p *inspect.PolicyGroup) []string {
	var out []string
	for i := range p.Partitions {
		out = append(out, p.Partitions[i].Topic)
	}
	return unique(out)
}

// compare counts where prediction and outcome differ. Where the consumer was
// stopped because of another partition, there is nothing to compare.
func (l *live) compare(row *inspect.PolicyPartition, policy string, o *inspect.Outcome) {
	switch {
	case o.Live.Error == nil && o.Live.FirstOffset == nil:
		if o.Note == nil {
			return
		}
	case o.Live.Error != nil && o.Error != nil && *o.Live.Error == *o.Error:
	case o.Live.FirstOffset != nil && o.Start != nil && *o.Live.FirstOffset == *o.Start:
	default:
		l.differs = append(l.differs, fmt.Sprintf("%s-%d under %s", row.Topic, row.Partition, policy))
	}
	l.tried++
}

// sighting is what one consumer shows of one topic, and when that is enough.
type sighting struct {
	ends  map[int32]int64 // the log ends of the partitions that are to show something
	waits bool            // another partition is predicted to get no position
	// enough ends the consumer, and more lets it go on for that long at most.
	enough func()
	more   func(time.Duration)

	mu        sync.Mutex
	positions map[int32]int64 // where it was sent to
	first     map[int32]int64 // the first record of each partition
	failed    *consume.PolicyError
}

func newSighting(topic string, p *inspect.PolicyGroup, outcome func(*inspect.Policies) *inspect.Outcome) *sighting {
	s := &sighting{ends: map[int32]int64{}, positions: map[int32]int64{}, first: map[int32]int64{}}
	for i := range p.Partitions {
		row := &p.Partitions[i]
		switch {
		case row.Topic != topic || row.LogEnd == nil:
		case outcome(&row.Policies).Note != nil:
			s.waits = true
		default:
			s.ends[row.Partition] = *row.LogEnd
		}
	}
	return s
}

func (s *sighting) event(ev consume.Event) {
	if ev.What != "assigned" && ev.What != "reset" && ev.What != "truncated" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, at := range ev.Positions {
		s.positions[at.Partition] = at.Offset
	}
	s.check()
}

func (s *sighting) record(r *kgo.Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.first[r.Partition]; !known {
		s.first[r.Partition] = r.Offset
		s.check()
	}
	return nil
}

// check ends the consumer when every partition has shown a record or stands at
// its end; where others are predicted to wait, after they had time to show it.
func (s *sighting) check() {
	for partition, end := range s.ends {
		at, placed := s.positions[partition]
		if _, read := s.first[partition]; !read && (!placed || at != end) {
			return
		}
	}
	if s.waits {
		s.more(liveWaits)
		return
	}
	s.enough()
}

func (s *sighting) of(partition int32) *inspect.Live {
	out := &inspect.Live{}
	if s.failed != nil {
		for _, p := range s.failed.Partitions {
			if p.Partition == partition {
				out.Error = &s.failed.Exception
			}
		}
		return out
	}
	if at, ok := s.first[partition]; ok {
		out.FirstOffset = &at
	} else if at, ok := s.positions[partition]; ok {
		out.FirstOffset = &at
	}
	return out
}

// consume runs one consumer until it has shown a record of each partition that
// has one to be read.
func (l *live) consume(ctx context.Context, group, topic string, policy consume.Policy, p *inspect.PolicyGroup, outcome func(*inspect.Policies) *inspect.Outcome) (*sighting, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	enough := func() { cancel(errSeen) }
	timer := time.AfterFunc(livePatience, enough)
	defer timer.Stop()
	s := newSighting(topic, p, outcome)
	s.enough, s.more = enough, func(d time.Duration) { timer.Reset(d) }
	_, err := consume.Run(ctx, l.cl, consume.Options{
		Topic: topic, Group: group, Policy: policy, NoCommit: true, AutoCommitInterval: time.Second, MaxMessages: liveRecords,
		Events: s.event,
	}, consume.Handler{Record: s.record, Flush: func() error { return nil }})
	switch {
	case errors.As(err, &s.failed), err == nil, errors.Is(err, errSeen), errors.Is(context.Cause(ctx), errSeen):
		return s, nil
	}
	return nil, err
}

// liveError: what was predicted is not what happened.
type liveError struct{ differs []string }

func (e *liveError) Error() string {
	return "prediction and outcome differ: " + strings.Join(e.differs, "; ")
}
