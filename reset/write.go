package reset

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"offsets/inspect"
)

// maxWrite is how many bytes of records one commit request may become. A broker
// refuses a request as a whole when its records do not fit into one batch (1 MiB
// by default).
const maxWrite = 256 << 10

// write carries the plan out, without membership: the broker itself refuses that
// while the group has members. Errors of single partitions are in their rows;
// the error is about the group as a whole.
//
// readAt is the coordinator that has confirmed what the plan begins with.
func (c *Changer) write(ctx context.Context, p *Plan, moving []*Change, readAt int32) error {
	if p.Deletes {
		return c.deleteGroup(ctx, p, moving)
	}
	var writes, deletes []*Change
	for _, ch := range moving {
		if ch.Action == ActionDelete {
			deletes = append(deletes, ch)
		} else {
			writes = append(writes, ch)
		}
	}
	commit, erase := c.commitOffsets, c.deleteOffsets
	if p.Type == inspect.Share {
		commit, erase = c.alterStartOffsets, c.deleteStartOffsets
	}
	for _, chunk := range chunks(p.Group, writes) {
		c.persist(ctx, p, chunk, commit, readAt)
	}
	for _, chunk := range chunks(p.Group, deletes) {
		c.persist(ctx, p, chunk, erase, readAt)
	}
	return nil
}

// chunks cuts changes into requests of bounded size.
func chunks(group string, changes []*Change) [][]*Change {
	var out [][]*Change
	size := maxWrite
	for _, ch := range changes {
		// A record repeats the group and the topic; its other fields and the
		// batch's share take less than 100 bytes.
		n := len(group) + len(ch.Topic) + len(text(ch.ToMetadata)) + 100
		if size+n > maxWrite {
			out = append(out, nil)
			size = 0
		}
		size += n
		out[len(out)-1] = append(out[len(out)-1], ch)
	}
	return out
}

// explain adds to an error code what it means here.
func explain(err error) string {
	switch {
	case errors.Is(err, kerr.UnknownMemberID), errors.Is(err, kerr.NonEmptyGroup), errors.Is(err, kerr.RebalanceInProgress), errors.Is(err, kerr.IllegalGeneration), errors.Is(err, kerr.StaleMemberEpoch):
		return err.Error() + " (a consumer has joined the group in this moment)"
	case errors.Is(err, kerr.GroupSubscribedToTopic):
		return err.Error() + " (a member has subscribed to the topic in this moment)"
	case errors.Is(err, kerr.UnknownTopicOrPartition):
		return err.Error() + " (the topic was deleted in this moment)"
	case errors.Is(err, kerr.UnknownTopicID):
		return err.Error() + " (the topic was deleted and created again in this moment)"
	}
	return err.Error()
}

// byTopic groups changes by topic, in order.
func byTopic(changes []*Change) (topics []string, of map[string][]*Change) {
	of = map[string][]*Change{}
	for _, ch := range changes {
		if of[ch.Topic] == nil {
			topics = append(topics, ch.Topic)
		}
		of[ch.Topic] = append(of[ch.Topic], ch)
	}
	return topics, of
}

// commitOffsets names topics by the ids of the plan where the broker can, so
// that a topic of the same name is not hit.
func (c *Changer) commitOffsets(ctx context.Context, p *Plan, changes []*Change, at *kgo.Broker) (lost bool) {
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group = p.Group
	topics, of := byTopic(changes)
	name := map[[16]byte]string{}
	for _, topic := range topics {
		t := kmsg.NewOffsetCommitRequestTopic()
		t.Topic, t.TopicID = topic, parseTopicID(of[topic][0].TopicID)
		name[t.TopicID] = topic
		for _, ch := range of[topic] {
			rp := kmsg.NewOffsetCommitRequestTopicPartition()
			rp.Partition, rp.Offset, rp.LeaderEpoch = ch.Partition, *ch.To, -1
			if ch.ToEpoch != nil {
				rp.LeaderEpoch = *ch.ToEpoch
			}
			rp.Metadata = kmsg.StringPtr(text(ch.ToMetadata))
			t.Partitions = append(t.Partitions, rp)
		}
		req.Topics = append(req.Topics, t)
	}
	return sent(changes, func(code func(string, int32, int16)) error {
		resp, err := req.RequestWith(ctx, at)
		if err != nil {
			return err
		}
		for _, t := range resp.Topics {
			topic := t.Topic
			if topic == "" {
				topic = name[t.TopicID]
			}
			for _, rp := range t.Partitions {
				code(topic, rp.Partition, rp.ErrorCode)
			}
		}
		return nil
	})
}

// deleteOffsets deletes single commits.
func (c *Changer) deleteOffsets(ctx context.Context, p *Plan, changes []*Change, at *kgo.Broker) (lost bool) {
	req := kmsg.NewPtrOffsetDeleteRequest()
	req.Group = p.Group
	topics, of := byTopic(changes)
	for _, topic := range topics {
		t := kmsg.NewOffsetDeleteRequestTopic()
		t.Topic = topic
		for _, ch := range of[topic] {
			rp := kmsg.NewOffsetDeleteRequestTopicPartition()
			rp.Partition = ch.Partition
			t.Partitions = append(t.Partitions, rp)
		}
		req.Topics = append(req.Topics, t)
	}
	return sent(changes, func(code func(string, int32, int16)) error {
		resp, err := req.RequestWith(ctx, at)
		if err != nil {
			return err
		}
		for _, t := range resp.Topics {
			for _, rp := range t.Partitions {
				code(t.Topic, rp.Partition, rp.ErrorCode)
			}
		}
		return kerr.ErrorForCode(resp.ErrorCode)
	})
}

// deleteGroup deletes the group, and with it its commits.
func (c *Changer) deleteGroup(ctx context.Context, p *Plan, changes []*Change) error {
	resp, err := c.adm.DeleteGroup(ctx, p.Group)
	if err == nil {
		err = resp.Err
	}
	if errors.Is(err, kerr.GroupIDNotFound) {
		err = nil // the client asked twice: the first answer was lost
	}
	for _, ch := range changes {
		if err != nil {
			ch.failed(err)
			ch.open = outcomeOpen(err)
		} else {
			ch.succeed()
		}
	}
	if err != nil {
		return fmt.Errorf("deleting group %s: %s", p.Group, explain(err))
	}
	return nil
}

// RemoveStatic removes static members, which stay in a group after a clean end
// until their session is over.
func (c *Changer) RemoveStatic(ctx context.Context, group string, instanceIDs []string) error {
	resp, err := c.adm.LeaveGroup(ctx, kadm.LeaveGroup(group).InstanceIDs(instanceIDs...).Reason("removed with offsets --remove-static"))
	if err != nil {
		return fmt.Errorf("removing static members: %w", err)
	}
	var failed []error
	for _, id := range instanceIDs {
		if r, ok := resp[id]; ok && r.Err != nil {
			failed = append(failed, fmt.Errorf("removing static member %s: %w", id, r.Err))
		}
	}
	return errors.Join(failed...)
}

// parseTopicID reads an id as inspect prints it; without one the broker goes
// by name.
func parseTopicID(s *string) (id [16]byte) {
	b, err := base64.RawURLEncoding.DecodeString(text(s))
	if err == nil && len(b) == len(id) {
		copy(id[:], b)
	}
	return id
}
