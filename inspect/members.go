package inspect

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// descriptions is what the describe calls told; groups that do not exist are
// in neither map.
type descriptions struct {
	groups   map[string]Group
	problems []Problem
	failed   map[string]bool // groups that a problem is about
	gone     map[string]bool // groups that were listed, and do not exist any more
}

// describeGroups asks for state and members with the call that fits each
// group's type. A group that was not listed is asked for as a classic group
// first, then as a KIP-848 group: the classic call says "dead" of those.
func (c *Cluster) describeGroups(ctx context.Context, l *listing, names []string) *descriptions {
	d := &descriptions{groups: map[string]Group{}, failed: map[string]bool{}, gone: map[string]bool{}}
	var classic, consumer, share, streams []string
	for _, name := range names {
		switch g, listed := l.groups[name]; {
		case !listed || g.Type == Classic:
			classic = append(classic, name)
		case g.Type == Consumer:
			consumer = append(consumer, name)
		case g.Type == Share:
			share = append(share, name)
		case g.Type == Streams:
			streams = append(streams, name)
		default:
			d.groups[name] = Group{
				Group: name, Type: g.Type, State: g.State, ProtocolType: g.ProtocolType, Coordinator: g.Coordinator,
				Members: []Member{},
			}
			d.fail(name, errors.New("members of groups of type "+g.Type+" are not shown"))
		}
	}
	var ofShare, ofStreams, ofClassic []described
	var wg sync.WaitGroup
	wg.Go(func() { ofShare = c.retried(ctx, l, share, c.describeShare) })
	wg.Go(func() { ofStreams = c.retried(ctx, l, streams, c.describeStreams) })
	wg.Go(func() { ofClassic = c.retried(ctx, l, classic, c.describeClassic) })
	wg.Wait()
	// What does not exist is not a failure; and a group that was listed may be
	// deleted by now.
	var dead []string
	gone := func(g described) bool {
		// "Dead" is the classic call's word, also for a group of another type.
		is := errors.Is(g.err, kerr.GroupIDNotFound) || g.err != nil && tooOld(g.err) && slices.Contains(dead, g.name)
		if _, listed := l.groups[g.name]; is && listed {
			d.gone[g.name] = true
		}
		return is
	}
	d.take(ofShare, gone)
	d.take(ofStreams, gone)
	d.take(ofClassic, func(g described) bool {
		missing := g.err == nil && g.group.State == "Dead" || errors.Is(g.err, kerr.GroupIDNotFound)
		if missing {
			dead = append(dead, g.name)
		}
		return missing
	})
	d.take(c.retried(ctx, l, slices.Concat(consumer, dead), c.describeConsumer), gone)
	return d
}

// take keeps answers, but those that are for the caller to judge.
func (d *descriptions) take(answers []described, otherwise func(described) bool) {
	for _, g := range answers {
		switch {
		case otherwise != nil && otherwise(g):
		case g.err != nil:
			d.fail(g.name, g.err)
		default:
			d.groups[g.name] = g.group
		}
	}
}

func (d *descriptions) fail(group string, err error) {
	d.failed[group] = true
	d.problems = append(d.problems, problem("group "+group, err))
}

// tooOld: the broker has no such request, so it has no KIP-848 groups either.
// The client library says so with an error that it does not export; the tests
// on Kafka 3.6 notice if its words change.
func tooOld(err error) bool {
	return errors.Is(err, kerr.UnsupportedVersion) || strings.Contains(err.Error(), "broker is too old")
}

// described is one group's answer, or why there is none.
type described struct {
	name string
	by   int32 // the broker that answered
	err  error

	// What was asked for: the group, or its commits, of share groups with the
	// broker's own lags.
	group   Group
	commits kadm.OffsetResponses
	lags    map[TopicPartition]int64
}

func (c *Cluster) describeClassic(ctx context.Context, names []string) []described {
	resp, err := c.adm.DescribeGroups(ctx, names...)
	var out []described
	for _, name := range names {
		g, ok := resp[name]
		if !ok {
			out = append(out, described{name: name, err: cmp.Or(err, errNoCoordinatorAnswer)})
			continue
		}
		if g.Err != nil {
			out = append(out, described{name: name, by: g.Coordinator.NodeID, err: g.Err})
			continue
		}
		group := Group{
			Group: name, Type: Classic, State: g.State, ProtocolType: g.ProtocolType, Protocol: nonEmpty(g.Protocol),
			Coordinator: coordinator(g.Coordinator), Members: []Member{},
		}
		for _, m := range g.Members {
			member := Member{MemberID: m.MemberID, InstanceID: m.InstanceID, ClientID: m.ClientID, Host: m.ClientHost, Assignment: []TopicPartitions{}, Target: []TopicPartitions{}}
			if join, ok := m.Join.AsConsumer(); ok {
				member.subscribed = join.Topics
			}
			if assigned, ok := m.Assigned.AsConsumer(); ok {
				for _, t := range assigned.Topics {
					member.Assignment = append(member.Assignment, TopicPartitions{Topic: t.Topic, Partitions: sorted(t.Partitions)})
				}
			}
			group.Members = append(group.Members, member)
		}
		sortMembers(group.Members)
		out = append(out, described{name: name, by: g.Coordinator.NodeID, group: group})
	}
	return out
}

// describeConsumer describes KIP-848 groups. It talks to the broker without
// kadm, which loses assignments that come with a topic id but no name.
func (c *Cluster) describeConsumer(ctx context.Context, names []string) []described {
	req := kmsg.NewPtrConsumerGroupDescribeRequest()
	req.Groups = names
	return c.describeSharded(ctx, req, names, func(shard kgo.ResponseShard, answer func(described)) {
		for _, g := range shard.Resp.(*kmsg.ConsumerGroupDescribeResponse).Groups {
			if err := kerr.ErrorForCode(g.ErrorCode); err != nil {
				answer(described{name: g.Group, err: err})
				continue
			}
			answer(described{name: g.Group, group: c.consumerGroup(ctx, shard.Meta, &g)})
		}
	})
}

// describeSharded asks every coordinator of the groups, and gives an answer for
// each name: who did not answer is an error of theirs.
func (c *Cluster) describeSharded(ctx context.Context, req kmsg.Request, names []string, read func(shard kgo.ResponseShard, answer func(described))) []described {
	answered := map[string]described{}
	var failure error
	for _, shard := range c.cl.RequestSharded(ctx, req) {
		if shard.Err != nil {
			failure = shard.Err
			continue
		}
		read(shard, func(d described) {
			d.by = shard.Meta.NodeID
			answered[d.name] = d
		})
	}
	out := make([]described, 0, len(names))
	for _, name := range names {
		d, ok := answered[name]
		if !ok {
			d = described{name: name, err: cmp.Or(failure, errNoCoordinatorAnswer)}
		}
		out = append(out, d)
	}
	return out
}

func (c *Cluster) consumerGroup(ctx context.Context, broker kgo.BrokerMetadata, g *kmsg.ConsumerGroupDescribeResponseGroup) Group {
	group := Group{
		Group: g.Group, Type: Consumer, State: g.State, ProtocolType: "consumer", Protocol: nonEmpty(g.AssignorName),
		Coordinator: coordinator(broker), Members: []Member{}, Epoch: &g.Epoch, AssignmentEpoch: &g.AssignmentEpoch,
	}
	partitions := func(a kmsg.Assignment) []TopicPartitions {
		out := []TopicPartitions{}
		for _, t := range a.TopicPartitions {
			name := t.Topic
			if name == "" {
				name = c.topicName(ctx, t.TopicID)
			}
			out = append(out, TopicPartitions{Topic: name, Partitions: sorted(t.Partitions)})
		}
		slices.SortFunc(out, func(a, b TopicPartitions) int { return cmp.Compare(a.Topic, b.Topic) })
		return out
	}
	for i := range g.Members {
		m := &g.Members[i]
		member := Member{
			MemberID: m.MemberID, InstanceID: m.InstanceID, ClientID: m.ClientID, Host: m.ClientHost,
			Assignment: partitions(m.Assignment), Target: partitions(m.TargetAssignment), Epoch: &m.MemberEpoch, subscribed: m.SubscribedTopics,
		}
		if m.SubscribedTopicRegex != nil {
			for _, t := range member.Assignment {
				member.subscribed = append(member.subscribed, t.Topic)
			}
		}
		group.Members = append(group.Members, member)
	}
	sortMembers(group.Members)
	return group
}

// topicName resolves a topic id; a topic that is gone keeps the id as its name.
func (c *Cluster) topicName(ctx context.Context, id [16]byte) string {
	req := kmsg.NewPtrMetadataRequest()
	topic := kmsg.NewMetadataRequestTopic()
	topic.TopicID = id
	req.Topics = append(req.Topics, topic)
	resp, err := req.RequestWith(ctx, c.cl)
	if err == nil && len(resp.Topics) == 1 && resp.Topics[0].Topic != nil && *resp.Topics[0].Topic != "" {
		return *resp.Topics[0].Topic
	}
	return topicID(id)
}

// pendingPatience is how long the question about pending commits may take.
const pendingPatience = 2 * time.Second

// markPending finds the partitions for which a transaction holds a commit that
// is not decided yet: a consumer that asks for its position waits there.
//
// It comes last, because a coordinator of 4.x answers this question only when
// its part of the log is replicated: where too few replicas are left that takes
// its whole timeout, and what is sent behind it waits. Then it stays unknown, and
// the group says so: consumers wait for the same answer.
func (c *Cluster) markPending(ctx context.Context, groups []Group, committing []string) {
	patient, cancel := context.WithTimeout(ctx, pendingPatience)
	defer cancel()
	resp := c.adm.FetchManyOffsets(kadm.RequireStable(patient), committing...)
	for i := range groups {
		g := &groups[i]
		answer, asked := resp[g.Group]
		switch {
		case ctx.Err() != nil || g.Type == Share: // nobody waits any more; or nobody asked
			continue
		case !asked:
			g.PendingUnknown = &PendingUnknownError{errNoCoordinatorAnswer}
			continue
		case answer.Err != nil:
			if !isMissing(answer.Err) && mayPass(answer.Err) {
				g.PendingUnknown = &PendingUnknownError{answer.Err}
			}
			continue
		}
		for j := range g.Partitions {
			p := &g.Partitions[j]
			r, _ := answer.Fetched.Lookup(p.Topic, p.Partition)
			held := errors.Is(r.Err, kerr.UnstableOffsetCommit)
			p.PendingTxn = &held
		}
	}
}

// commits fetches what the groups have committed. Errors stay per group.
func (c *Cluster) commits(ctx context.Context, l *listing, names []string) kadm.FetchOffsetsResponses {
	out := kadm.FetchOffsetsResponses{}
	for _, g := range c.retried(ctx, l, names, c.fetchCommits) {
		out[g.name] = kadm.FetchOffsetsResponse{Group: g.name, Fetched: g.commits, Err: g.err}
	}
	return out
}

// fetchCommits asks for commits. kadm does not tell who answered.
func (c *Cluster) fetchCommits(ctx context.Context, names []string) []described {
	req := kmsg.NewPtrOffsetFetchRequest()
	for _, name := range names {
		g := kmsg.NewOffsetFetchRequestGroup()
		g.Group = name
		req.Groups = append(req.Groups, g)
	}
	return c.describeSharded(ctx, req, names, func(shard kgo.ResponseShard, answer func(described)) {
		resp := shard.Resp.(*kmsg.OffsetFetchResponse)
		for _, g := range resp.Groups {
			commits := kadm.OffsetResponses{}
			for _, t := range g.Topics {
				for _, p := range t.Partitions {
					o := kadm.Offset{Topic: t.Topic, Partition: p.Partition, At: p.Offset, LeaderEpoch: p.LeaderEpoch}
					if p.Metadata != nil {
						o.Metadata = *p.Metadata
					}
					commits.Add(kadm.OffsetResponse{Offset: o, Err: kerr.ErrorForCode(p.ErrorCode)})
				}
			}
			answer(described{name: g.Group, commits: commits, err: kerr.ErrorForCode(cmp.Or(g.ErrorCode, resp.ErrorCode))})
		}
	})
}

// errNoCoordinatorAnswer: an answer came, and the group is not in it.
var errNoCoordinatorAnswer = errors.New("the coordinator did not answer")

// retried asks about groups, and again about those that failed in a way that may
// pass: a coordinator dies, moves, or loads its part of the log; and the first
// question about any group makes a new cluster create that log.
//
// Only the coordinators are believed that the list has found; where it has none,
// or another broker answered, they are looked for anew.
func (c *Cluster) retried(ctx context.Context, l *listing, names []string, ask func(context.Context, []string) []described) []described {
	if len(names) == 0 {
		return nil
	}
	ctx, cancel := round(ctx)
	defer cancel()
	keepers := map[string]int32{}
	for _, name := range names {
		if id, known := l.keeper(name); known {
			keepers[name] = id
		}
	}
	answers := map[string]described{}
	pending := names
	_ = untilAnswered(ctx, func() bool { // what is missing has its error
		for name, err := range c.addKeepers(ctx, keepers, pending) {
			answers[name] = described{name: name, err: err}
		}
		kept := slices.DeleteFunc(slices.Clone(pending), func(name string) bool { return !has(keepers, name) })
		if len(kept) > 0 {
			for _, g := range ask(ctx, kept) {
				if (g.err == nil || isMissing(g.err)) && g.by != keepers[g.name] {
					g.err = kerr.NotCoordinator
				}
				answers[g.name] = g
			}
		}
		pending = slices.DeleteFunc(slices.Clone(pending), func(name string) bool {
			err := answers[name].err
			return err == nil || !mayPass(err)
		})
		for _, name := range pending {
			delete(keepers, name)
		}
		return len(pending) == 0
	})
	out := make([]described, 0, len(names))
	for _, name := range names {
		out = append(out, answers[name])
	}
	return out
}

// both runs two reads side by side.
func both(a, b func()) {
	var wg sync.WaitGroup
	wg.Go(a)
	wg.Go(b)
	wg.Wait()
}

func coordinator(b kgo.BrokerMetadata) *Coordinator {
	return &Coordinator{ID: b.NodeID, Host: b.Host, Port: b.Port}
}

func sortMembers(ms []Member) {
	for i := range ms {
		slices.SortFunc(ms[i].Assignment, func(a, b TopicPartitions) int { return cmp.Compare(a.Topic, b.Topic) })
	}
	slices.SortFunc(ms, func(a, b Member) int { return cmp.Compare(a.MemberID, b.MemberID) })
}

func sorted(ps []int32) []int32 {
	out := append([]int32{}, ps...)
	slices.Sort(out)
	return out
}

func nonEmpty(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
