package sandbox

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"offsets/inspect/commitlog"
)

// Record types of KIP-848 groups.
const (
	typeConsumerGroupMetadata    = 3
	typeConsumerGroupMember      = 5
	typeTargetAssignmentMetadata = 6
	typeTargetAssignmentMember   = 7
	typeCurrentAssignment        = 8
)

// consumerGroup is what the log says of a KIP-848 group, and what only
// heartbeats tell of its members.
type consumerGroup struct {
	written map[recordID][]byte
	members map[string]heartbeat
}

// consumerGroups are the KIP-848 groups. One lock for looking and writing: what
// was seen later must not be written earlier.
type consumerGroups struct {
	mu     sync.Mutex
	byName map[string]*consumerGroup
}

type recordID struct {
	typ    int16
	member string
}

type heartbeat struct {
	epoch, previous  int32
	rebalanceTimeout int32
	rack, assignor   *string
	regex            *string
}

// heartbeated notes what a heartbeat says, and writes what it changed.
func (l *commitLog) heartbeated(req *kmsg.ConsumerGroupHeartbeatRequest, resp *kmsg.ConsumerGroupHeartbeatResponse) error {
	if resp.ErrorCode != 0 {
		return nil
	}
	l.consumers.mu.Lock()
	defer l.consumers.mu.Unlock()
	g := l.consumers.byName[req.Group]
	if g == nil {
		g = &consumerGroup{written: map[recordID][]byte{}, members: map[string]heartbeat{}}
		l.consumers.byName[req.Group] = g
	}
	id := req.MemberID
	if resp.MemberID != nil {
		id = *resp.MemberID
	}
	m, known := g.members[id]
	if !known {
		m.rebalanceTimeout = -1
	}
	if resp.MemberEpoch != m.epoch {
		m.previous, m.epoch = m.epoch, resp.MemberEpoch
	}
	// A heartbeat repeats only what has changed.
	if req.RebalanceTimeoutMillis >= 0 {
		m.rebalanceTimeout = req.RebalanceTimeoutMillis
	}
	m.rack, m.assignor, m.regex = cmp.Or(req.RackID, m.rack), cmp.Or(req.ServerAssignor, m.assignor), cmp.Or(req.SubscribedTopicRegex, m.regex)
	g.members[id] = m
	return l.catchUp(req.Group)
}

// catchUp writes how a KIP-848 group stands now, as far as it stands otherwise
// in the log: changed records first, then tombstones, in a coordinator's order.
// The caller holds the lock.
func (l *commitLog) catchUp(group string) error {
	g := l.consumers.byName[group]
	if g == nil {
		return nil
	}
	info := l.cluster.GroupInfo(group)
	want := map[recordID]entry{}
	if info != nil {
		l.consumerRecords(want, g, info)
	}
	var out []entry
	for _, id := range slices.SortedFunc(maps.Keys(want), byType) {
		if !bytes.Equal(g.written[id], want[id].value) {
			out = append(out, want[id])
		}
	}
	gone := slices.SortedFunc(maps.Keys(g.written), byType)
	slices.Reverse(gone)
	for _, id := range gone {
		if _, still := want[id]; !still {
			key, _ := l.records.Encode(id.typ, recordKey(group, id), nil)
			out = append(out, entry{group, key, nil})
		}
	}
	if err := l.write(out); err != nil {
		return err
	}
	g.written = map[recordID][]byte{}
	for id, e := range want {
		g.written[id] = e.value
	}
	if info == nil {
		delete(l.consumers.byName, group)
	}
	return nil
}

func byType(a, b recordID) int {
	return cmp.Or(cmp.Compare(a.typ, b.typ), cmp.Compare(a.member, b.member))
}

func recordKey(group string, id recordID) any {
	if id.typ == typeConsumerGroupMetadata || id.typ == typeTargetAssignmentMetadata {
		return commitlog.GroupKey{GroupID: group}
	}
	return commitlog.MemberKey{GroupID: group, MemberID: id.member}
}

// consumerRecords are the records of a group as it stands. The broker tells
// neither the target assignment nor the epochs of partitions apart from the
// current assignment, so both are the same here.
func (l *commitLog) consumerRecords(out map[recordID]entry, g *consumerGroup, info *kfake.GroupInfo) {
	add := func(id recordID, value any) {
		key, v := l.records.Encode(id.typ, recordKey(info.Group, id), value)
		out[id] = entry{info.Group, key, v}
	}
	add(recordID{typ: typeConsumerGroupMetadata}, &commitlog.ConsumerGroupMetadata{Epoch: info.Epoch})
	add(recordID{typ: typeTargetAssignmentMetadata}, &commitlog.TargetAssignmentMetadata{AssignmentEpoch: info.Epoch})
	for _, m := range info.Members {
		said := g.members[m.MemberID]
		add(recordID{typeConsumerGroupMember, m.MemberID}, &commitlog.ConsumerGroupMemberMetadata{
			InstanceID: m.InstanceID, RackID: said.rack, ClientID: m.ClientID, ClientHost: clientHost(m.ClientHost),
			SubscribedTopicNames: append([]string{}, m.SubscribedTopics...), SubscribedTopicRegex: said.regex,
			RebalanceTimeoutMs: said.rebalanceTimeout, ServerAssignor: said.assignor,
		})
		add(recordID{typeTargetAssignmentMember, m.MemberID}, &commitlog.TargetAssignmentMember{TopicPartitions: assignment(l, m, targetPartitions)})
		add(recordID{typeCurrentAssignment, m.MemberID}, &commitlog.ConsumerGroupCurrentMemberAssignment{
			MemberEpoch: said.epoch, PreviousMemberEpoch: said.previous,
			AssignedPartitions:          assignment(l, m, currentPartitions),
			PartitionsPendingRevocation: []commitlog.AssignedTopicPartitions{},
		})
	}
}

func targetPartitions(id commitlog.UUID, partitions []int32) commitlog.TopicPartitions {
	return commitlog.TopicPartitions{TopicID: id, Partitions: partitions}
}

func currentPartitions(id commitlog.UUID, partitions []int32) commitlog.AssignedTopicPartitions {
	return commitlog.AssignedTopicPartitions{TopicID: id, Partitions: partitions}
}

// assignment is a member's partitions, by topic, in order.
func assignment[T any](l *commitLog, m kfake.GroupMember, of func(commitlog.UUID, []int32) T) []T {
	out := []T{}
	for _, topic := range slices.Sorted(maps.Keys(m.Assignment)) {
		partitions := slices.Sorted(slices.Values(m.Assignment[topic]))
		_, id := l.topic(topic, [16]byte{})
		out = append(out, of(id, partitions))
	}
	return out
}

// catchUpAll catches up with members whose sessions ended, which no request
// tells.
func (l *commitLog) catchUpAll() {
	l.consumers.mu.Lock()
	defer l.consumers.mu.Unlock()
	for name := range l.consumers.byName {
		_ = l.catchUp(name) // a failed write is tried again at the next tick
	}
}
