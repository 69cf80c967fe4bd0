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
}

// describeGroups asks for state and members with the call that fits each
// group's type. A group that was not listed is asked for as a classic group
// first, then as a KIP-848 group: the classic call says "dead" of those.
func (c *Cluster) describeGroups(ctx context.Context, l *listing, names []string) *descriptions {
	d := &descriptions{groups: map[string]Group{}, failed: map[string]bool{}}
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
	for _, g := range append(c.describeShare(ctx, share), c.describeStreams(ctx, streams)...) {
		if g.err != nil {
			d.fail(g.name, g.err)
			continue
		}
		d.groups[g.name] = g.group
	}
	var unlisted []string
	for _, g := range c.describeClassic(ctx, classic) {
		_, listed := l.groups[g.name]
		switch {
		case g.err == nil && (g.group.State != "Dead" || listed):
			d.groups[g.name] = g.group
		case g.err == nil || errors.Is(g.err, kerr.GroupIDNotFound):
			unlisted = append(unlisted, g.name)
		default:
			d.fail(g.name, g.err)
		}
	}
	for _, g := range c.describeConsumer(ctx, append(consumer, unlisted...)) {
		_, listed := l.groups[g.name]
		switch {
		case g.err == nil:
			d.groups[g.name] = g.group
		case !listed && (errors.Is(g.err, kerr.GroupIDNotFound) || tooOld(g.err)):
			// It does not exist.
		default:
			d.fail(g.name, g.err)
		}
	}
	return d
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
	name  string
	group Group
	err   error
}

func (c *Cluster) describeClassic(ctx context.Context, names []string) []described {
	if len(names) == 0 {
		return nil
	}
	var resp kadm.DescribedGroups
	var err error
	whileCoordinatorStarts(ctx, func() error {
		resp, err = c.adm.DescribeGroups(ctx, names...)
		return errors.Join(err, resp.Error())
	})
	var out []described
	for _, name := range names {
		g, ok := resp[name]
		if !ok {
			out = append(out, described{name: name, err: cmp.Or(err, errors.New("the coordinator did not answer"))})
			continue
		}
		if g.Err != nil {
			out = append(out, described{name: name, err: g.Err})
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
		out = append(out, described{name: name, group: group})
	}
	return out
}

// describeConsumer describes KIP-848 groups. It talks to the broker without
// kadm, which loses assignments that come with a topic id but no name.
func (c *Cluster) describeConsumer(ctx context.Context, names []string) []described {
	if len(names) == 0 {
		return nil
	}
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
		read(shard, func(d described) { answered[d.name] = d })
	}
	out := make([]described, 0, len(names))
	for _, name := range names {
		d, ok := answered[name]
		if !ok {
			d = described{name: name, err: cmp.Or(failure, errors.New("the coordinator did not answer"))}
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

// pendingCommits finds the partitions for which a transaction holds a commit
// that is not decided yet: a consumer that asks for its position waits there.
func (c *Cluster) pendingCommits(ctx context.Context, names []string) map[string]map[TopicPartition]bool {
	out := map[string]map[TopicPartition]bool{}
	for name, g := range c.commits(kadm.RequireStable(ctx), names) {
		if g.Err != nil {
			continue // the plain question tells
		}
		pending := map[TopicPartition]bool{}
		g.Fetched.Each(func(r kadm.OffsetResponse) {
			if errors.Is(r.Err, kerr.UnstableOffsetCommit) {
				pending[TopicPartition{r.Topic, r.Partition}] = true
			}
		})
		out[name] = pending
	}
	return out
}

// commits fetches what the groups have committed. Errors stay per group.
func (c *Cluster) commits(ctx context.Context, names []string) (resp kadm.FetchOffsetsResponses) {
	if len(names) == 0 {
		return nil
	}
	whileCoordinatorStarts(ctx, func() error {
		resp = c.adm.FetchManyOffsets(ctx, names...)
		return resp.Error()
	})
	return resp
}

// whileCoordinatorStarts calls read again while it fails because a coordinator
// is not there yet: the first question about any group makes a new cluster
// create its offsets topic, and a broker that has just started loads it.
func whileCoordinatorStarts(ctx context.Context, read func() error) {
	const attempts, pause = 50, 200 * time.Millisecond
	for range attempts {
		err := read()
		starting := errors.Is(err, kerr.CoordinatorNotAvailable) || errors.Is(err, kerr.CoordinatorLoadInProgress) || errors.Is(err, kerr.NotCoordinator)
		if !starting {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
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
