package reset

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"offsets/inspect"
)

// writePatience is how long a write is tried again while the coordinator is
// away or moves.
const writePatience = 60 * time.Second

// writeSilence is after how long of it the caller is told.
const writeSilence = 2 * time.Second

// sender sends one request about some partitions to a broker, and notes the
// answers. lost means that the outcome of some is not known.
type sender func(ctx context.Context, p *Plan, changes []*Change, at *kgo.Broker) (lost bool)

// persist sends changes, and tries again what a broker refuses only for now. A
// request that is too large after all is cut in two.
//
// Nothing is sent to a coordinator that was not asked before what is committed
// there. One that was replaced and does not know it yet answers with what was
// committed in its time, so a plan may have that; but it cannot write. And where
// an answer was lost, what is there already needs no second write, and what
// somebody else wrote since must not get one.
//
// readAt is the coordinator that was asked already, -1 for none.
func (c *Changer) persist(ctx context.Context, p *Plan, changes []*Change, send sender, readAt int32) {
	begun, told, lost := time.Now(), false, false
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		at, err := c.coordinator(ctx, p.Group)
		if err == nil && (lost || at.id != readAt) {
			changes, err = c.stillToWrite(ctx, p, changes, at)
		}
		switch {
		case len(changes) == 0:
			return
		case err == nil:
			readAt, p.wroteAt = at.id, &at
			lost = send(ctx, p, changes, at.Broker)
		case !lost: // else the error of the request that was lost says more
			for _, ch := range changes {
				ch.failed(err)
			}
		}
		var again []*Change
		for _, ch := range changes {
			ch.open = ch.open || !ch.Written && outcomeOpen(ch.err)
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
			c.persist(ctx, p, again[:half], send, readAt)
			c.persist(ctx, p, again[half:], send, readAt)
			return
		case time.Since(begun) > writePatience:
			return
		}
		if p.tell != nil && !told && time.Since(begun) > writeSilence {
			told = true
			p.tell(Progress{Stage: StageRetrying, Group: p.Group, Err: again[0].err, For: writePatience})
		}
		changes = again
		time.Sleep(pause)
	}
}

// stillToWrite leaves the changes whose partitions have the commit that the plan
// found. Those that are there already are done; where something else is, somebody
// has committed.
func (c *Changer) stillToWrite(ctx context.Context, p *Plan, changes []*Change, at coordinator) ([]*Change, error) {
	commits, err := c.commitsAt(ctx, p, changes, at)
	if err != nil {
		return changes, fmt.Errorf("%w: %w", errNotAsked, err)
	}
	var left []*Change
	for _, ch := range changes {
		is, committed := commits[inspect.TopicPartition{Topic: ch.Topic, Partition: ch.Partition}]
		switch {
		case ch.provenBy(is, committed, p.Type):
			ch.succeed()
		case committed && ch.From != nil && is.Offset == *ch.From, !committed && ch.From == nil:
			left = append(left, ch)
		default: // what was sent before, if it was, is behind that
			ch.open = false
			ch.failed(fmt.Errorf("somebody else has committed since: the partition is at %s", shown(is, committed)))
		}
	}
	return left, nil
}

func shown(is inspect.Commit, committed bool) string {
	if !committed {
		return "nothing"
	}
	return fmt.Sprint(is.Offset)
}

// commitsAt reads what is committed, from the broker that the write goes to.
//
// It asks for stable offsets. A coordinator of 4.x that has just taken over
// answers the plain question with what its replicas are known to have, which may
// be less than its predecessor has confirmed; this one it answers when they have
// all. Where an open transaction holds a commit back there is no stable answer,
// and the plain one counts.
func (c *Changer) commitsAt(ctx context.Context, p *Plan, changes []*Change, at coordinator) (map[inspect.TopicPartition]inspect.Commit, error) {
	if p.Type == inspect.Share {
		commits, _, err := c.cluster.Commits(ctx, p.Group, p.Type)
		return commits, err
	}
	out := map[inspect.TopicPartition]inspect.Commit{}
	unstable, err := c.fetchCommits(ctx, p, changes, at, true, out)
	if err == nil && len(unstable) > 0 {
		_, err = c.fetchCommits(ctx, p, unstable, at, false, out)
	}
	return out, err
}

// fetchCommits adds to out what is committed for the partitions of changes, and
// returns those that had no stable answer.
func (c *Changer) fetchCommits(ctx context.Context, p *Plan, changes []*Change, at coordinator, stable bool, out map[inspect.TopicPartition]inspect.Commit) (unstable []*Change, err error) {
	req, name := fetchRequest(p.Group, changes)
	req.RequireStable = stable
	resp, err := req.RequestWith(ctx, at.Broker)
	if err != nil {
		return nil, err
	}
	held, unnamed := map[inspect.TopicPartition]bool{}, map[string]bool{}
	for _, ch := range changes {
		unnamed[ch.Topic] = unnamed[ch.Topic] || ch.TopicID == nil && ch.LogEnd != nil // else it is gone
	}
	failure := kerr.ErrorForCode(resp.ErrorCode)
	take := func(tp inspect.TopicPartition, code int16, commit inspect.Commit, metadata *string) {
		switch err := kerr.ErrorForCode(code); {
		case errors.Is(err, kerr.UnstableOffsetCommit):
			held[tp] = true
		case errors.Is(err, kerr.UnknownTopicID) && unnamed[tp.Topic]:
			failure = errors.Join(failure, fmt.Errorf("%s-%d: the plan has no topic id, and the coordinator wants one", tp.Topic, tp.Partition))
		case errors.Is(err, kerr.UnknownTopicID), errors.Is(err, kerr.UnknownTopicOrPartition):
			// The topic is gone, and its commits with it.
		case err != nil:
			failure = errors.Join(failure, fmt.Errorf("%s-%d: %w", tp.Topic, tp.Partition, err))
		case commit.Offset >= 0:
			commit.Metadata = text(metadata)
			out[tp] = commit
		}
	}
	for _, t := range resp.Topics {
		for _, rp := range t.Partitions {
			take(inspect.TopicPartition{Topic: t.Topic, Partition: rp.Partition}, rp.ErrorCode, inspect.Commit{Offset: rp.Offset, LeaderEpoch: rp.LeaderEpoch}, rp.Metadata)
		}
	}
	for _, g := range resp.Groups {
		if err := kerr.ErrorForCode(g.ErrorCode); !errors.Is(err, kerr.GroupIDNotFound) {
			failure = errors.Join(failure, err)
		}
		for _, t := range g.Topics {
			topic := cmp.Or(t.Topic, name[t.TopicID])
			for _, rp := range t.Partitions {
				take(inspect.TopicPartition{Topic: topic, Partition: rp.Partition}, rp.ErrorCode, inspect.Commit{Offset: rp.Offset, LeaderEpoch: rp.LeaderEpoch}, rp.Metadata)
			}
		}
	}
	for _, ch := range changes {
		if held[inspect.TopicPartition{Topic: ch.Topic, Partition: ch.Partition}] {
			unstable = append(unstable, ch)
		}
	}
	return unstable, failure
}

// fetchRequest names topics in the ways of all versions of the request; name is
// the topic of an id.
func fetchRequest(group string, changes []*Change) (req *kmsg.OffsetFetchRequest, name map[[16]byte]string) {
	req = kmsg.NewPtrOffsetFetchRequest()
	req.Group = group // before version 8
	g := kmsg.NewOffsetFetchRequestGroup()
	g.Group = group
	topics, of := byTopic(changes)
	name = map[[16]byte]string{}
	for _, topic := range topics {
		t, old := kmsg.NewOffsetFetchRequestGroupTopic(), kmsg.NewOffsetFetchRequestTopic()
		t.Topic, t.TopicID, old.Topic = topic, parseTopicID(of[topic][0].TopicID), topic
		name[t.TopicID] = topic
		for _, ch := range of[topic] {
			t.Partitions, old.Partitions = append(t.Partitions, ch.Partition), append(old.Partitions, ch.Partition)
		}
		g.Topics, req.Topics = append(g.Topics, t), append(req.Topics, old)
	}
	req.Groups = append(req.Groups, g)
	return req, name
}

// sent takes the answer to a request, with a code for each partition. lost means
// that the outcome of some is not known.
func sent(changes []*Change, request func(code func(topic string, partition int32, code int16)) error) (lost bool) {
	codes := map[inspect.TopicPartition]int16{}
	err := request(func(topic string, partition int32, code int16) {
		codes[inspect.TopicPartition{Topic: topic, Partition: partition}] = code
	})
	if err != nil {
		failAll(changes, err)
		return outcomeOpen(err)
	}
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

func failAll(changes []*Change, err error) {
	for _, ch := range changes {
		ch.failed(err)
	}
}

// answer takes the broker's word for one partition.
func (c *Change) answer(code int16) {
	if err := kerr.ErrorForCode(code); err != nil {
		c.failed(err)
		return
	}
	c.succeed()
}

// outcomeOpen: the request was sent, and may be carried out yet. The coordinator
// says that it is not available also when it has appended the commits, and too
// few replicas have them in time: then they count as soon as enough have.
func outcomeOpen(err error) bool {
	var k *kerr.Error
	if !errors.As(err, &k) {
		var op *net.OpError
		return err != nil && !errors.Is(err, errTakesMore) && !(errors.As(err, &op) && op.Op == "dial") && !errors.Is(err, errNotAsked)
	}
	return errors.Is(err, kerr.RequestTimedOut) || errors.Is(err, kerr.CoordinatorNotAvailable) || errors.Is(err, kerr.NotEnoughReplicasAfterAppend)
}

// retriable: the same request may be answered otherwise in a moment.
func retriable(err error) bool {
	var k *kerr.Error
	if !errors.As(err, &k) {
		return !errors.Is(err, errTakesMore) // no answer at all
	}
	for _, passing := range []error{kerr.CoordinatorNotAvailable, kerr.CoordinatorLoadInProgress, kerr.NotCoordinator, kerr.RequestTimedOut, kerr.NetworkException} {
		if errors.Is(err, passing) {
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
