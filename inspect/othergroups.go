package inspect

import (
	"cmp"
	"context"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// describeShare describes share groups (KIP-932).
func (c *Cluster) describeShare(ctx context.Context, names []string) []described {
	resp, err := c.adm.DescribeShareGroups(ctx, names...)
	var out []described
	for _, name := range names {
		g, ok := resp[name]
		switch {
		case !ok:
			out = append(out, described{name: name, err: cmp.Or(err, errNoCoordinatorAnswer)})
			continue
		case g.Err != nil:
			out = append(out, described{name: name, by: g.Coordinator.NodeID, err: g.Err})
			continue
		}
		group := Group{
			Group: name, Type: Share, State: g.GroupState, ProtocolType: "share", Protocol: nonEmpty(g.Assignor),
			Coordinator: coordinator(g.Coordinator), Members: []Member{}, Epoch: &g.GroupEpoch, AssignmentEpoch: &g.AssignmentEpoch,
		}
		for _, m := range g.Members {
			member := Member{
				MemberID: m.MemberID, ClientID: m.ClientID, Host: m.ClientHost, Assignment: []TopicPartitions{}, Target: []TopicPartitions{},
				Epoch: &m.MemberEpoch, subscribed: m.SubscribedTopicNames,
			}
			for topic, partitions := range m.Assignment {
				var ps []int32
				for p := range partitions {
					ps = append(ps, p)
				}
				member.Assignment = append(member.Assignment, TopicPartitions{Topic: topic, Partitions: sorted(ps)})
			}
			group.Members = append(group.Members, member)
		}
		sortMembers(group.Members)
		out = append(out, described{name: name, by: g.Coordinator.NodeID, group: group})
	}
	return out
}

// startOffsets gives the start offsets of share groups the form of commits. A
// partition that nobody has read yet has none. lags are the brokers' own, by
// group: behind a start offset records may be done already.
func (c *Cluster) startOffsets(ctx context.Context, l *listing, names []string) (out kadm.FetchOffsetsResponses, lags map[string]map[TopicPartition]int64) {
	out, lags = kadm.FetchOffsetsResponses{}, map[string]map[TopicPartition]int64{}
	for _, g := range c.retried(ctx, l, names, c.fetchStartOffsets) {
		out[g.name] = kadm.FetchOffsetsResponse{Group: g.name, Fetched: g.commits, Err: g.err}
		lags[g.name] = g.lags
	}
	return out, lags
}

func (c *Cluster) fetchStartOffsets(ctx context.Context, names []string) []described {
	req := kmsg.NewPtrDescribeShareGroupOffsetsRequest()
	for _, name := range names {
		g := kmsg.NewDescribeShareGroupOffsetsRequestGroup()
		g.GroupID = name
		req.Groups = append(req.Groups, g)
	}
	return c.describeSharded(ctx, req, names, func(shard kgo.ResponseShard, answer func(described)) {
		for _, g := range shard.Resp.(*kmsg.DescribeShareGroupOffsetsResponse).Groups {
			d := described{name: g.GroupID, commits: kadm.OffsetResponses{}, lags: map[TopicPartition]int64{}, err: kerr.ErrorForCode(g.ErrorCode)}
			for _, t := range g.Topics {
				for _, p := range t.Partitions {
					d.commits.Add(kadm.OffsetResponse{Offset: kadm.Offset{Topic: t.Topic, Partition: p.Partition, At: p.StartOffset, LeaderEpoch: -1}, Err: kerr.ErrorForCode(p.ErrorCode)})
					if p.Lag >= 0 {
						d.lags[TopicPartition{t.Topic, p.Partition}] = p.Lag
					}
				}
			}
			answer(d)
		}
	})
}

// describeStreams describes streams groups (KIP-1071), for which kadm has no
// call. A member's assignment is the partitions of its active tasks.
func (c *Cluster) describeStreams(ctx context.Context, names []string) []described {
	req := kmsg.NewPtrStreamsGroupDescribeRequest()
	req.Groups = names
	return c.describeSharded(ctx, req, names, func(shard kgo.ResponseShard, answer func(described)) {
		for _, g := range shard.Resp.(*kmsg.StreamsGroupDescribeResponse).Groups {
			if err := kerr.ErrorForCode(g.ErrorCode); err != nil {
				answer(described{name: g.Group, err: err})
				continue
			}
			answer(described{name: g.Group, group: streamsGroup(shard.Meta, &g)})
		}
	})
}

func streamsGroup(broker kgo.BrokerMetadata, g *kmsg.StreamsGroupDescribeResponseGroup) Group {
	group := Group{
		Group: g.Group, Type: Streams, State: g.State, ProtocolType: "streams", Protocol: g.AssignorName,
		Coordinator: coordinator(broker), Members: []Member{}, Epoch: &g.Epoch, AssignmentEpoch: &g.AssignmentEpoch,
	}
	sources := streamsSources(g)
	for i := range g.Members {
		m := &g.Members[i]
		member := Member{
			MemberID: m.MemberID, InstanceID: m.InstanceID, ClientID: m.ClientID, Host: m.ClientHost,
			Assignment: tasks(m.Assignment, sources), Target: tasks(m.TargetAssignment, sources), Epoch: &m.MemberEpoch,
		}
		for _, topics := range sources {
			member.subscribed = append(member.subscribed, topics...)
		}
		group.Members = append(group.Members, member)
	}
	sortMembers(group.Members)
	return group
}

// tasks is the partitions that active tasks read.
func tasks(a kmsg.StreamsAssignment, sources map[string][]string) []TopicPartitions {
	out := []TopicPartitions{}
	for _, task := range a.ActiveTasks {
		for _, topic := range sources[task.SubtopologyID] {
			out = append(out, TopicPartitions{Topic: topic, Partitions: sorted(task.Partitions)})
		}
	}
	slices.SortFunc(out, func(a, b TopicPartitions) int { return cmp.Compare(a.Topic, b.Topic) })
	return out
}

// streamsSources are the topics that each subtopology reads.
func streamsSources(g *kmsg.StreamsGroupDescribeResponseGroup) map[string][]string {
	out := map[string][]string{}
	if g.Topology == nil {
		return out
	}
	for _, s := range g.Topology.Subtopologies {
		topics := slices.Clone(s.SourceTopics)
		for _, t := range s.RepartitionSourceTopics {
			topics = append(topics, t.Topic)
		}
		out[s.SubtopologyID] = topics
	}
	return out
}
