// Package world asks a broker, with Kafka's own requests, where all groups and
// topics of one script stand: the answers that the program's are held against.
package world

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"offsets/internal/oracle/record"
)

// programID is the client id of the program; the traffic has others.
const programID = "offsets"

// Observer looks at the groups and topics of one script.
type Observer struct {
	cl     *kgo.Client
	many   bool // brokers
	adm    *kadm.Client
	prefix string
	known  map[string]bool // groups that were there once
}

// Open returns an observer of what begins with prefix.
func Open(bootstrap, prefix string) (*Observer, error) {
	// By name, as most clients ask: asked by topic id newer brokers leave out
	// what was committed to a topic that is not there any more.
	versions := kversion.Stable()
	versions.SetMaxKeyVersion(kmsg.OffsetFetch.Int16(), 9)
	cl, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(bootstrap, ",")...), kgo.MaxVersions(versions), kgo.MetadataMinAge(10*time.Millisecond))
	if err != nil {
		return nil, err
	}
	return &Observer{cl: cl, many: strings.Contains(bootstrap, ","), adm: kadm.NewClient(cl), prefix: prefix, known: map[string]bool{}}, nil
}

// Close ends the connection.
func (o *Observer) Close() { o.cl.Close() }

// Look answers for one moment between Begin and End. What is on its way (a
// coordinator that loads, a topic without a leader) is waited for.
func (o *Observer) Look(ctx context.Context) (*record.World, error) {
	var err error
	for range 200 {
		var w *record.World
		if w, err = o.look(ctx); err == nil {
			return w, nil
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(150 * time.Millisecond):
		}
	}
	return nil, err
}

func (o *Observer) look(ctx context.Context) (*record.World, error) {
	epochs, err := o.caughtUp(ctx)
	if err != nil {
		return nil, err
	}
	w := &record.World{Begin: time.Now(), Groups: map[string]record.Group{}, Topics: map[string]record.Topic{}}
	if err := o.groups(ctx, w); err != nil {
		return nil, err
	}
	if err := o.topics(ctx, w); err != nil {
		return nil, err
	}
	w.End = time.Now()
	if now, err := o.caughtUp(ctx); err != nil || !maps.Equal(now, epochs) {
		return nil, errors.Join(err, errors.New("coordinators moved"))
	}
	return w, nil
}

func (o *Observer) groups(ctx context.Context, w *record.World) error {
	byType := map[string][]string{}
	for _, shard := range o.cl.RequestSharded(ctx, kmsg.NewPtrListGroupsRequest()) {
		if shard.Err != nil {
			return shard.Err
		}
		resp := shard.Resp.(*kmsg.ListGroupsResponse)
		if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
			return err
		}
		for _, g := range resp.Groups {
			if !strings.HasPrefix(g.Group, o.prefix) {
				continue
			}
			t := strings.ToLower(g.GroupType)
			if t == "" || t == "unknown" {
				t = "classic" // before types there was one
			}
			byType[t] = append(byType[t], g.Group)
			w.Groups[g.Group] = record.Group{Type: t, State: g.GroupState, Protocol: g.ProtocolType, Commits: map[record.TP]record.Commit{}, Shares: map[record.TP]record.ShareStart{}}
		}
	}
	var withCommits []string
	withCommits = append(append(withCommits, byType["classic"]...), byType["consumer"]...)
	if len(withCommits) > 0 {
		if err := o.commits(ctx, w, withCommits); err != nil {
			return err
		}
	}
	if err := o.missing(ctx, w); err != nil {
		return err
	}
	for name := range w.Groups {
		o.known[name] = true
	}
	return errors.Join(o.classic(ctx, w, byType["classic"]), o.consumer(ctx, w, byType["consumer"]), o.share(ctx, w, byType["share"]))
}

func (o *Observer) commits(ctx context.Context, w *record.World, groups []string) error {
	for name, r := range o.adm.FetchManyOffsets(ctx, groups...) {
		if errors.Is(r.Err, kerr.GroupIDNotFound) {
			continue
		}
		if r.Err != nil {
			return fmt.Errorf("OffsetFetch of %s: %w", name, r.Err)
		}
		var err error
		r.Fetched.Each(func(c kadm.OffsetResponse) {
			switch {
			case c.Err != nil:
				err = c.Err
			case c.At >= 0:
				w.Groups[name].Commits[record.TP{Topic: c.Topic, Partition: c.Partition}] = record.Commit{Offset: c.At, Epoch: c.LeaderEpoch, Metadata: c.Metadata}
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// missing asks for the groups that were there once and are not listed: a broker
// that has just started lists what it has loaded so far, without a word, and only
// a question about a group says that it is still loading.
func (o *Observer) missing(ctx context.Context, w *record.World) error {
	var names []string
	for name := range o.known {
		if _, listed := w.Groups[name]; !listed {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	for name, r := range o.adm.FetchManyOffsets(ctx, names...) {
		switch {
		case errors.Is(r.Err, kerr.GroupIDNotFound):
			delete(o.known, name)
		case r.Err != nil:
			return fmt.Errorf("OffsetFetch of %s: %w", name, r.Err)
		case len(r.Fetched) > 0:
			return fmt.Errorf("%s has commits, and is not listed", name)
		}
	}
	return nil
}

func (o *Observer) classic(ctx context.Context, w *record.World, groups []string) error {
	if len(groups) == 0 {
		return nil
	}
	described, err := o.adm.DescribeGroups(ctx, groups...)
	if err != nil {
		return err
	}
	for _, d := range described {
		g := w.Groups[d.Group]
		g.State, g.Protocol, g.Members = d.State, d.ProtocolType, len(d.Members)
		for _, m := range d.Members {
			if m.ClientID == programID {
				g.Program++
			}
			if a, ok := m.Assigned.AsConsumer(); ok {
				for _, t := range a.Topics {
					for _, p := range t.Partitions {
						g.Owned = append(g.Owned, record.TP{Topic: t.Topic, Partition: p})
					}
				}
			}
		}
		w.Groups[d.Group] = g
	}
	return nil
}

func (o *Observer) consumer(ctx context.Context, w *record.World, groups []string) error {
	if len(groups) == 0 {
		return nil
	}
	described, err := o.adm.DescribeConsumerGroups(ctx, groups...)
	if err != nil {
		return err
	}
	for _, d := range described {
		g := w.Groups[d.Group]
		g.State, g.Members = d.State, len(d.Members)
		for _, m := range d.Members {
			if m.ClientID == programID {
				g.Program++
			}
			for topic, parts := range m.Assignment {
				for p := range parts {
					g.Owned = append(g.Owned, record.TP{Topic: topic, Partition: p})
				}
			}
		}
		w.Groups[d.Group] = g
	}
	return nil
}

func (o *Observer) share(ctx context.Context, w *record.World, groups []string) error {
	if len(groups) == 0 {
		return nil
	}
	described, err := o.adm.DescribeShareGroups(ctx, groups...)
	if err != nil {
		return err
	}
	for _, d := range described {
		g := w.Groups[d.GroupID]
		g.State, g.Members = d.GroupState, len(d.Members)
		w.Groups[d.GroupID] = g
	}
	offsets, err := o.adm.DescribeShareGroupOffsets(ctx, groups...)
	if err != nil {
		return err
	}
	for name, d := range offsets {
		for topic, parts := range d.Offsets {
			for p, s := range parts {
				if s.Err == nil {
					w.Groups[name].Shares[record.TP{Topic: topic, Partition: p}] = record.ShareStart{Start: s.StartOffset, Lag: s.Lag}
				}
			}
		}
	}
	return nil
}

func (o *Observer) topics(ctx context.Context, w *record.World) error {
	all, err := o.adm.ListTopics(ctx)
	if err != nil {
		return err
	}
	var names []string
	for name, t := range all {
		if !strings.HasPrefix(name, o.prefix) {
			continue
		}
		if t.Err != nil {
			return t.Err
		}
		names = append(names, name)
		w.Topics[name] = record.Topic{ID: t.ID.String(), Partitions: make([]record.Partition, len(t.Partitions))}
		for p, d := range t.Partitions {
			if d.Err != nil {
				return d.Err
			}
			w.Topics[name].Partitions[p].Epoch = d.LeaderEpoch
		}
	}
	if len(names) == 0 {
		return nil
	}
	for _, ask := range []struct {
		list func(context.Context, ...string) (kadm.ListedOffsets, error)
		set  func(*record.Partition, int64)
	}{
		{o.adm.ListStartOffsets, func(p *record.Partition, at int64) { p.Start = at }},
		{o.adm.ListEndOffsets, func(p *record.Partition, at int64) { p.End = at }},
		{o.adm.ListCommittedOffsets, func(p *record.Partition, at int64) { p.Stable = at }},
	} {
		listed, err := ask.list(ctx, names...)
		if err != nil {
			return err
		}
		for name, t := range w.Topics {
			for p := range t.Partitions {
				l, ok := listed.Lookup(name, int32(p))
				if !ok || l.Err != nil {
					return fmt.Errorf("ListOffsets of %s:%d: %w", name, p, errors.Join(l.Err, errors.New("no answer")))
				}
				ask.set(&t.Partitions[p], l.Offset)
			}
		}
	}
	return nil
}

// caughtUp says who leads the offsets topic's partitions, as epochs, if all know
// what is replicated: right after a failover a coordinator answers with the
// past, but does not tell the end of its log (KIP-207).
func (o *Observer) caughtUp(ctx context.Context) (map[int32]int32, error) {
	const topic = "__consumer_offsets"
	if !o.many {
		return nil, nil
	}
	m, err := o.adm.Metadata(ctx, topic)
	if err != nil || m.Topics[topic].Err != nil {
		return nil, err // there is none before the first group
	}
	ends, err := o.adm.ListEndOffsets(ctx, topic)
	if err == nil {
		err = ends.Error()
	}
	epochs := map[int32]int32{}
	for _, p := range m.Topics[topic].Partitions {
		epochs[p.Partition] = p.LeaderEpoch
		if p.Leader < 0 {
			err = errors.Join(err, fmt.Errorf("%s:%d has no leader", topic, p.Partition))
		}
	}
	return epochs, err
}
