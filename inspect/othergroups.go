package inspect

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// describeShare describes share groups (KIP-932).
func (c *Cluster) describeShare(ctx context.Context, names []string) []described {
	if len(names) == 0 {
		return nil
	}
	resp, err := c.adm.DescribeShareGroups(ctx, names...)
	var out []described
	for _, name := range names {
		g, ok := resp[name]
		switch {
		case !ok:
			out = append(out, described{name: name, err: cmp.Or(err, errors.New("the coordinator did not answer"))})
			continue
		case g.Err != nil:
			out = append(out, described{name: name, err: g.Err})
			continue
		}
		group := Group{
			Group: name, Type: Share, State: g.GroupState, ProtocolType: "share", Protocol: nonEmpty(g.Assignor),
			Coordinator: coordinator(g.Coordinator), Members: []Member{},
		}
		for _, m := range g.Members {
			member := Member{MemberID: m.MemberID, ClientID: m.ClientID, Host: m.ClientHost, Assignment: []TopicPartitions{}, Target: []TopicPartitions{}, subscribed: m.SubscribedTopicNames}
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
		out = append(out, described{name: name, group: group})
	}
	return out
}

// startOffsets gives the start offsets of share groups the form of commits. A
// partition that nobody has read yet has none. lags are the brokers' own, by
// group: behind a start offset records may be done already.
func (c *Cluster) startOffsets(ctx context.Context, names []string) (out kadm.FetchOffsetsResponses, lags map[string]map[TopicPartition]int64) {
	out, lags = kadm.FetchOffsetsResponses{}, map[string]map[TopicPartition]int64{}
	if len(names) == 0 {
		return out, lags
	}
	resp, err := c.adm.DescribeShareGroupOffsets(ctx, names...)
	for _, name := range names {
		g, ok := resp[name]
		if !ok {
			g.Err = cmp.Or(err, errors.New("the coordinator did not answer"))
		}
		fetched := kadm.OffsetResponses{}
		lags[name] = map[TopicPartition]int64{}
		for topic, partitions := range g.Offsets {
			for p, o := range partitions {
				fetched.Add(kadm.OffsetResponse{Offset: kadm.Offset{Topic: topic, Partition: p, At: o.StartOffset, LeaderEpoch: -1}, Err: o.Err})
				if o.Lag >= 0 {
					lags[name][TopicPartition{topic, p}] = o.Lag
				}
			}
		}
		out[name] = kadm.FetchOffsetsResponse{Group: name, Fetched: fetched, Err: g.Err}
	}
	return out, lags
}

// describeStreams describes streams groups (KIP-1071), for which kadm has no
// call. A member's assignment is the partitions of its active tasks.
func (c *Cluster) describeStreams(ctx context.Context, names []string) []described {
	if len(names) == 0 {
		return nil
	}
	req := kmsg.NewPtrStreamsGroupDescribeRequest()
	req.Groups = names
	answered := map[string]described{}
	var failure error
	for _, shard := range c.cl.RequestSharded(ctx, req) {
		if shard.Err != nil {
			failure = shard.Err
			continue
		}
		for _, g := range shard.Resp.(*kmsg.StreamsGroupDescribeResponse).Groups {
			if err := kerr.ErrorForCode(g.ErrorCode); err != nil {
				answered[g.Group] = described{name: g.Group, err: err}
				continue
			}
			group := Group{
				Group: g.Group, Type: Streams, State: g.State, ProtocolType: "streams", Protocol: g.AssignorName,
				Coordinator: coordinator(shard.Meta), Members: []Member{},
			}
			sources := streamsSources(&g)
			for _, m := range g.Members {
				member := Member{MemberID: m.MemberID, InstanceID: m.InstanceID, ClientID: m.ClientID, Host: m.ClientHost, Assignment: []TopicPartitions{}, Target: []TopicPartitions{}}
				for _, topics := range sources {
					member.subscribed = append(member.subscribed, topics...)
				}
				for _, task := range m.Assignment.ActiveTasks {
					for _, topic := range sources[task.SubtopologyID] {
						member.Assignment = append(member.Assignment, TopicPartitions{Topic: topic, Partitions: sorted(task.Partitions)})
					}
				}
				group.Members = append(group.Members, member)
			}
			sortMembers(group.Members)
			answered[g.Group] = described{name: g.Group, group: group}
		}
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
