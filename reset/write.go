package reset

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

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

// writePatience is how long a write is tried again while the coordinator is
// away or moves.
const writePatience = 60 * time.Second

// writeSilence is after how long of it the caller is told.
const writeSilence = 2 * time.Second

// write carries the plan out, without membership: the broker itself refuses that
// while the group has members. Errors of single partitions are in their rows;
// the error is about the group as a whole.
func (c *Changer) write(ctx context.Context, p *Plan, moving []*Change) error {
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
		c.persist(ctx, p, chunk, commit)
	}
	for _, chunk := range chunks(p.Group, deletes) {
		c.persist(ctx, p, chunk, erase)
	}
	return nil
}

// sender sends one request about some partitions, and notes the answers. lost
// means that the outcome of some is not known.
type sender func(ctx context.Context, p *Plan, changes []*Change) (lost bool)

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

// persist sends changes, and tries again what a broker refuses only for now. A
// request that is too large after all is cut in two.
func (c *Changer) persist(ctx context.Context, p *Plan, changes []*Change, send sender) {
	begun, told := time.Now(), false
	for pause := 100 * time.Millisecond; len(changes) > 0; pause = min(2*pause, 2*time.Second) {
		lost := send(ctx, p, changes)
		for _, ch := range changes {
			ch.open = ch.open || !ch.Written && outcomeOpen(ch.err)
		}
		if lost {
			// Nobody knows whether it arrived. What is there already needs no
			// second write, and what somebody else wrote since must not get one.
			changes = c.notThere(ctx, p, changes)
		}
		var again []*Change
		for _, ch := range changes {
			if !ch.Written && (lost || retriable(ch.err)) {
				again = append(again, ch)
			}
		}
		switch {
		case len(again) == 0:
			return
		case len(again) == 1 && tooLarge(again[0].err):
			return
		case tooLarge(again[0].err):
			half := len(again) / 2
			c.persist(ctx, p, again[:half], send)
			c.persist(ctx, p, again[half:], send)
			return
		case time.Since(begun) > writePatience:
			return
		}
		if c.Waiting != nil && !told && time.Since(begun) > writeSilence {
			told = true
			c.Waiting(p.Group, again[0].err, writePatience)
		}
		changes = again
		time.Sleep(pause)
	}
}

// notThere leaves the changes that are still to be written: their partitions
// have the commit that the plan found.
func (c *Changer) notThere(ctx context.Context, p *Plan, changes []*Change) []*Change {
	commits, _, err := c.cluster.Commits(ctx, p.Group, p.Type)
	if err != nil {
		return changes // asked again by the next try
	}
	return slices.DeleteFunc(slices.Clone(changes), func(ch *Change) bool {
		is, committed := commits[inspect.TopicPartition{Topic: ch.Topic, Partition: ch.Partition}]
		if ch.there(is, committed, p.Type) {
			ch.succeed()
			return true
		}
		if committed && ch.From != nil && is.Offset == *ch.From || !committed && ch.From == nil {
			return false
		}
		ch.failed(fmt.Errorf("the answer was lost, and somebody else has committed since"))
		return true
	})
}

// outcomeOpen: the request was sent, and may be carried out yet. The coordinator
// says that it is not available also when it has appended the commits, and too
// few replicas have them in time: then they count as soon as enough have.
func outcomeOpen(err error) bool {
	var k *kerr.Error
	if !errors.As(err, &k) {
		var op *net.OpError
		return err != nil && !(errors.As(err, &op) && op.Op == "dial") && !errors.Is(err, errNoCoordinator)
	}
	return errors.Is(err, kerr.RequestTimedOut) || errors.Is(err, kerr.CoordinatorNotAvailable) || errors.Is(err, kerr.NotEnoughReplicasAfterAppend)
}

// retriable: the same request may be answered otherwise in a moment.
func retriable(err error) bool {
	if errors.Is(err, errNoCoordinator) {
		return true
	}
	for _, k := range []error{kerr.CoordinatorNotAvailable, kerr.CoordinatorLoadInProgress, kerr.NotCoordinator, kerr.RequestTimedOut, kerr.NetworkException} {
		if errors.Is(err, k) {
			return true
		}
	}
	return tooLarge(err)
}

// tooLarge: the coordinator of 4.3 says no more than that something went wrong.
func tooLarge(err error) bool {
	return errors.Is(err, kerr.UnknownServerError) || errors.Is(err, kerr.MessageTooLarge) || errors.Is(err, kerr.RecordListTooLarge) || errors.Is(err, kerr.InvalidCommitOffsetSize)
}

func (c *Change) succeed() { c.Written, c.Error, c.err = true, nil, nil }

func (c *Change) failed(err error) {
	c.Written, c.err = false, err
	c.Error = ptr(explain(err))
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

// answer takes the broker's word for one partition.
func (c *Change) answer(code int16) {
	if err := kerr.ErrorForCode(code); err != nil {
		c.failed(err)
		return
	}
	c.succeed()
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
func (c *Changer) commitOffsets(ctx context.Context, p *Plan, changes []*Change) (lost bool) {
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
	return c.send(ctx, p.Group, changes, func(to *kgo.Broker, code func(string, int32, int16)) error {
		resp, err := req.RequestWith(ctx, to)
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

// send sends a request to the group's coordinator, and takes the code of each
// partition. lost means that an answer is not known.
func (c *Changer) send(ctx context.Context, group string, changes []*Change, request func(to *kgo.Broker, code func(topic string, partition int32, code int16)) error) (lost bool) {
	codes := map[inspect.TopicPartition]int16{}
	coordinator, err := c.coordinator(ctx, group)
	if err != nil { // nothing was sent
		failAll(changes, err)
		return false
	}
	err = request(coordinator, func(topic string, partition int32, code int16) {
		codes[inspect.TopicPartition{Topic: topic, Partition: partition}] = code
	})
	if err != nil {
		failAll(changes, err)
		return outcomeOpen(err)
	}
	return answered(changes, codes)
}

// errNoCoordinator: nobody knows who keeps the group now.
var errNoCoordinator = errors.New("finding the group's coordinator")

// coordinator is the broker that a group's commits go to. Requests are sent to
// it directly: the client would send a request again by itself when its answer
// is lost, over what somebody may have committed in between.
func (c *Changer) coordinator(ctx context.Context, group string) (*kgo.Broker, error) {
	r := c.adm.FindGroupCoordinators(ctx, group)[group]
	switch {
	case r.Err != nil:
		return nil, fmt.Errorf("%w: %w", errNoCoordinator, r.Err)
	case r.NodeID < 0:
		return nil, errNoCoordinator
	}
	return c.cl.Broker(int(r.NodeID)), nil
}

func failAll(changes []*Change, err error) {
	for _, ch := range changes {
		ch.failed(err)
	}
}

func answered(changes []*Change, codes map[inspect.TopicPartition]int16) (lost bool) {
	for _, ch := range changes {
		code, ok := codes[inspect.TopicPartition{Topic: ch.Topic, Partition: ch.Partition}]
		if !ok {
			ch.failed(errors.New("the broker did not answer for this partition"))
			lost = true
			continue
		}
		ch.answer(code)
		lost = lost || outcomeOpen(ch.err)
	}
	return lost
}

// alterStartOffsets is commitOffsets for share groups (KIP-932).
func (c *Changer) alterStartOffsets(ctx context.Context, p *Plan, changes []*Change) (lost bool) {
	req := kmsg.NewPtrAlterShareGroupOffsetsRequest()
	req.GroupID = p.Group
	topics, of := byTopic(changes)
	for _, topic := range topics {
		t := kmsg.NewAlterShareGroupOffsetsRequestTopic()
		t.Topic = topic
		for _, ch := range of[topic] {
			rp := kmsg.NewAlterShareGroupOffsetsRequestTopicPartition()
			rp.Partition, rp.StartOffset = ch.Partition, *ch.To
			t.Partitions = append(t.Partitions, rp)
		}
		req.Topics = append(req.Topics, t)
	}
	return c.send(ctx, p.Group, changes, func(to *kgo.Broker, code func(string, int32, int16)) error {
		resp, err := req.RequestWith(ctx, to)
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

// deleteOffsets deletes single commits.
func (c *Changer) deleteOffsets(ctx context.Context, p *Plan, changes []*Change) (lost bool) {
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
	return c.send(ctx, p.Group, changes, func(to *kgo.Broker, code func(string, int32, int16)) error {
		resp, err := req.RequestWith(ctx, to)
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

// deleteStartOffsets deletes a share group's start offsets, by whole topics.
func (c *Changer) deleteStartOffsets(ctx context.Context, p *Plan, changes []*Change) (lost bool) {
	topics, of := byTopic(changes)
	resp, err := c.adm.DeleteShareGroupOffsets(ctx, p.Group, topics...)
	if err != nil {
		failAll(changes, err)
		return outcomeOpen(err)
	}
	for _, topic := range topics {
		one, ok := resp.Lookup(topic)
		for _, ch := range of[topic] {
			switch {
			case !ok:
				ch.failed(errors.New("the broker did not answer for this topic"))
				lost = true
			case one != nil:
				ch.failed(one)
			default:
				ch.succeed()
			}
		}
	}
	return lost
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
