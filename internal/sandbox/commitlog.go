package sandbox

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"offsets/inspect/commitlog"
)

// commitLog writes what a group coordinator would write.
type commitLog struct {
	cluster    *kfake.Cluster
	client     *kgo.Client
	partitions int32
	ready      chan struct{} // closed when the fields above are set
	records    *commitlog.Decoder
	consumers  consumerGroups
	expiry     *expiry // nil: offsets expire later than any sandbox lives

	mu        sync.Mutex
	groups    map[string]*liveGroup // classic groups that have members
	sequences map[sequenceKey]int32 // of transactional batches
}

func newCommitLog() *commitLog {
	return &commitLog{
		ready: make(chan struct{}), records: commitlog.NewDecoder(), consumers: consumerGroups{byName: map[string]*consumerGroup{}},
		groups: map[string]*liveGroup{}, sequences: map[sequenceKey]int32{},
	}
}

// writeLimit bounds one write to the log; it is memory and loopback only.
const writeLimit = 10 * time.Second

func (l *commitLog) wants(key kmsg.Key) bool {
	switch key {
	case kmsg.OffsetCommit, kmsg.OffsetDelete, kmsg.DeleteGroups, kmsg.JoinGroup, kmsg.SyncGroup, kmsg.LeaveGroup, kmsg.TxnOffsetCommit, kmsg.DeleteTopics,
		kmsg.ConsumerGroupHeartbeat:
		return true
	}
	return false
}

// before gathers what is gone once the request is carried out.
func (l *commitLog) before(req kmsg.Request) any {
	switch req := req.(type) {
	case *kmsg.DeleteGroupsRequest:
		return l.groupInfos(req.Groups)
	case *kmsg.DeleteTopicsRequest:
		return l.groupInfos(l.groupNames())
	}
	return nil
}

func (l *commitLog) groupInfos(names []string) map[string]*kfake.GroupInfo {
	<-l.ready
	infos := map[string]*kfake.GroupInfo{}
	for _, group := range names {
		infos[group] = l.cluster.GroupInfo(group)
	}
	return infos
}

// groupNames are all groups; nil if the broker does not tell.
func (l *commitLog) groupNames() []string {
	<-l.ready
	ctx, cancel := context.WithTimeout(context.Background(), writeLimit)
	defer cancel()
	resp, err := kmsg.NewPtrListGroupsRequest().RequestWith(ctx, l.client)
	if err != nil {
		return nil
	}
	var names []string
	for _, g := range resp.Groups {
		names = append(names, g.Group)
	}
	return names
}

// answered writes what follows from an answered request.
func (l *commitLog) answered(p pendingRequest, resp kmsg.Response) error {
	<-l.ready
	switch req := p.req.(type) {
	case *kmsg.OffsetCommitRequest:
		return l.write(l.commits(req, resp.(*kmsg.OffsetCommitResponse)))
	case *kmsg.TxnOffsetCommitRequest:
		return l.transactionalCommits(req, resp.(*kmsg.TxnOffsetCommitResponse))
	case *kmsg.OffsetDeleteRequest:
		return l.write(l.offsetDeletions(req, resp.(*kmsg.OffsetDeleteResponse)))
	case *kmsg.DeleteGroupsRequest:
		return l.groupsDeleted(p.before.(map[string]*kfake.GroupInfo), resp.(*kmsg.DeleteGroupsResponse))
	case *kmsg.DeleteTopicsRequest:
		return l.write(topicDeletions(p.before.(map[string]*kfake.GroupInfo), resp.(*kmsg.DeleteTopicsResponse)))
	case *kmsg.JoinGroupRequest:
		return l.write(l.joined(p, req, resp.(*kmsg.JoinGroupResponse)))
	case *kmsg.SyncGroupRequest:
		return l.synced(req, resp.(*kmsg.SyncGroupResponse))
	case *kmsg.LeaveGroupRequest:
		return l.emptied(req.Group)
	case *kmsg.ConsumerGroupHeartbeatRequest:
		return l.heartbeated(req, resp.(*kmsg.ConsumerGroupHeartbeatResponse))
	}
	return nil
}

// entry is a record to be written, still without its partition.
type entry struct {
	group      string
	key, value []byte
}

func (l *commitLog) write(entries []entry) error {
	if l.expiry == nil || len(entries) == 0 {
		return l.produce(entries)
	}
	l.expiry.mu.Lock()
	defer l.expiry.mu.Unlock()
	l.expiry.note(entries)
	return l.produce(entries)
}

func (l *commitLog) produce(entries []entry) error {
	if len(entries) == 0 {
		return nil
	}
	records := make([]*kgo.Record, len(entries))
	for i, e := range entries {
		records[i] = &kgo.Record{
			Topic: commitlog.Topic, Partition: commitlog.PartitionOf(e.group, l.partitions),
			Key: e.key, Value: e.value,
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), writeLimit)
	defer cancel()
	if err := l.client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		return fmt.Errorf("writing %s: %w", commitlog.Topic, err)
	}
	return nil
}

// acceptance is the partitions that a broker accepted a commit for.
type acceptance map[string]map[int32]bool

func (a acceptance) note(topic string, partition int32, code int16) {
	if a[topic] == nil {
		a[topic] = map[int32]bool{}
	}
	a[topic][partition] = code == 0
}

func (a acceptance) has(topic string, partition int32) bool { return a[topic][partition] }

// commits makes the records of the partitions that were accepted. From
// OffsetCommit v10 on, requests name topics by id only.
func (l *commitLog) commits(req *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse) []entry {
	accepted := acceptance{}
	for _, t := range resp.Topics {
		topic, _ := l.topic(t.Topic, t.TopicID)
		for _, p := range t.Partitions {
			accepted.note(topic, p.Partition, p.ErrorCode)
		}
	}
	now := time.Now().UnixMilli()
	var out []entry
	for _, t := range req.Topics {
		topic, id := l.topic(t.Topic, t.TopicID)
		for _, p := range t.Partitions {
			if !accepted.has(topic, p.Partition) {
				continue
			}
			value := commitlog.OffsetCommitValue{
				Version: 4, Offset: p.Offset, LeaderEpoch: p.LeaderEpoch, CommitTimestamp: now, TopicID: id,
			}
			if p.Metadata != nil {
				value.Metadata = *p.Metadata
			}
			if req.Version < 6 {
				value.LeaderEpoch = -1 // the request has no such field
			}
			out = append(out, entry{req.Group, commitlog.OffsetCommitKey{Group: req.Group, Topic: topic, Partition: p.Partition}.Encode(), value.Encode()})
		}
	}
	return out
}

// topic completes a topic of which the name or the id is known.
func (l *commitLog) topic(name string, id [16]byte) (string, commitlog.UUID) {
	info := l.cluster.TopicInfo(name)
	if name == "" {
		info = l.cluster.TopicIDInfo(id)
	}
	if info == nil {
		return name, commitlog.UUID(id)
	}
	return info.Topic, commitlog.UUID(info.TopicID)
}

func (l *commitLog) offsetDeletions(req *kmsg.OffsetDeleteRequest, resp *kmsg.OffsetDeleteResponse) []entry {
	var out []entry
	if resp.ErrorCode != 0 {
		return nil
	}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if p.ErrorCode == 0 {
				out = append(out, tombstone(req.Group, t.Topic, p.Partition))
			}
		}
	}
	return out
}

func tombstone(group, topic string, partition int32) entry {
	return entry{group, commitlog.OffsetCommitKey{Group: group, Topic: topic, Partition: partition}.Encode(), nil}
}

func (l *commitLog) groupsDeleted(before map[string]*kfake.GroupInfo, resp *kmsg.DeleteGroupsResponse) error {
	l.consumers.mu.Lock()
	defer l.consumers.mu.Unlock()
	for _, g := range resp.Groups {
		if g.ErrorCode != 0 {
			continue
		}
		out := commitTombstones(g.Group, before[g.Group])
		_, isConsumer := l.consumers.byName[g.Group]
		if !isConsumer {
			out = append(out, entry{g.Group, commitlog.GroupMetadataKey{Group: g.Group}.Encode(), nil})
		}
		if err := l.write(out); err != nil {
			return err
		}
		if err := l.catchUp(g.Group); err != nil {
			return err
		}
	}
	return nil
}

func commitTombstones(group string, info *kfake.GroupInfo) (out []entry) {
	if info == nil {
		return nil
	}
	for topic, partitions := range info.Commits {
		for partition := range partitions {
			out = append(out, tombstone(group, topic, partition))
		}
	}
	return out
}

// topicDeletions: with a topic go the commits to it. Later versions delete by
// topic id, and answer with the name.
func topicDeletions(before map[string]*kfake.GroupInfo, resp *kmsg.DeleteTopicsResponse) []entry {
	var out []entry
	for _, t := range resp.Topics {
		if t.ErrorCode != 0 || t.Topic == nil {
			continue
		}
		for group, info := range before {
			if info == nil {
				continue
			}
			for partition := range info.Commits[*t.Topic] {
				out = append(out, tombstone(group, *t.Topic, partition))
			}
		}
	}
	return out
}
