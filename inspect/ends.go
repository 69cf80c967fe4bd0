package inspect

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TopicPartition names one partition.
type TopicPartition struct {
	Topic     string
	Partition int32
}

// ends is where one partition's log begins and ends, or why that is not known.
type ends struct {
	start, end, stable *int64
	status             Status // set where start and end could not be read
	err                error
}

// Timestamps with a meaning in ListOffsets.
const (
	listLatest   = -1
	listEarliest = -2
)

// NoSuchPartition is the error of a row whose topic exists, and has fewer
// partitions.
const NoSuchPartition = "the topic has no such partition"

// logEnds reads the ends of the given partitions. It asks only leaders that
// the metadata names, so that one leaderless partition costs no time, and it
// reads metadata anew: ends are compared with commits that were just read.
func (c *Cluster) logEnds(ctx context.Context, topics kadm.TopicDetails, wanted []TopicPartition) map[TopicPartition]*ends {
	out := make(map[TopicPartition]*ends, len(wanted))
	ask := map[string][]int32{}
	for _, tp := range wanted {
		e := &ends{}
		out[tp] = e
		if e.status, e.err = reachable(topics, tp); e.status == "" {
			ask[tp.Topic] = append(ask[tp.Topic], tp.Partition)
		}
	}
	if len(ask) == 0 {
		return out
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	list := func(timestamp int64, isolation int8, field func(*ends) **int64) {
		wg.Go(func() {
			c.listOffsets(ctx, ask, func(TopicPartition) int64 { return timestamp }, isolation, func(tp TopicPartition, offset int64, err error) {
				mu.Lock()
				defer mu.Unlock()
				e := out[tp]
				if e == nil {
					return
				}
				if err != nil {
					e.status, e.err = statusOf(err), err
					return
				}
				*field(e) = &offset
			})
		})
	}
	list(listEarliest, 0, func(e *ends) **int64 { return &e.start })
	list(listLatest, 0, func(e *ends) **int64 { return &e.end })
	list(listLatest, 1, func(e *ends) **int64 { return &e.stable })
	wg.Wait()
	for _, e := range out {
		if e.status == "" && (e.start == nil || e.end == nil) {
			e.status, e.err = Failed, errors.New("the broker did not say where the log begins and ends")
		}
		if e.status != "" {
			e.start, e.end, e.stable = nil, nil, nil
		}
	}
	return out
}

// listOffsets calls got once for each partition that was asked for. A leader
// that dies or moves is looked for again, as long as the round lasts.
func (c *Cluster) listOffsets(ctx context.Context, ask map[string][]int32, timestamp func(TopicPartition) int64, isolation int8, got func(TopicPartition, int64, error)) {
	ctx, cancel := round(ctx)
	defer cancel()
	failed := map[TopicPartition]error{}
	_ = untilAnswered(ctx, func() bool { // each partition has its own error
		again := map[string][]int32{}
		c.askLeaders(ctx, ask, timestamp, isolation, func(tp TopicPartition, offset int64, err error) {
			// A leader that has just started may not know its own topics yet.
			moved := err != nil && (mayPass(err) || errors.Is(err, kerr.UnknownTopicOrPartition))
			if moved && ctx.Err() == nil {
				again[tp.Topic] = append(again[tp.Topic], tp.Partition)
				failed[tp] = err
				return
			}
			got(tp, offset, err)
		})
		if ask = again; len(ask) == 0 {
			return true
		}
		// The client goes by what it has heard of leaders: let it hear anew.
		topics, err := c.topicDetails(ctx, slices.Collect(maps.Keys(ask)))
		if err != nil {
			return false
		}
		for topic, partitions := range ask {
			ask[topic] = slices.DeleteFunc(partitions, func(p int32) bool {
				tp := TopicPartition{topic, p}
				status, err := reachable(topics, tp)
				if status != "" {
					got(tp, 0, err)
				}
				return status != ""
			})
			if len(ask[topic]) == 0 {
				delete(ask, topic)
			}
		}
		return len(ask) == 0
	})
	for topic, partitions := range ask { // the round is over
		for _, p := range partitions {
			tp := TopicPartition{topic, p}
			got(tp, 0, cmp.Or(failed[tp], context.Cause(ctx)))
		}
	}
}

// askLeaders calls got once for each partition that was answered, or that failed
// with its broker.
func (c *Cluster) askLeaders(ctx context.Context, ask map[string][]int32, timestamp func(TopicPartition) int64, isolation int8, got func(TopicPartition, int64, error)) {
	for _, shard := range c.cl.RequestSharded(ctx, listOffsetsRequest(ask, timestamp, isolation)) {
		if shard.Err != nil {
			for _, t := range shard.Req.(*kmsg.ListOffsetsRequest).Topics {
				for _, p := range t.Partitions {
					got(TopicPartition{t.Topic, p.Partition}, 0, shard.Err)
				}
			}
			continue
		}
		for _, t := range shard.Resp.(*kmsg.ListOffsetsResponse).Topics {
			for _, p := range t.Partitions {
				got(TopicPartition{t.Topic, p.Partition}, p.Offset, kerr.ErrorForCode(p.ErrorCode))
			}
		}
	}
}

func listOffsetsRequest(ask map[string][]int32, timestamp func(TopicPartition) int64, isolation int8) *kmsg.ListOffsetsRequest {
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID = -1
	req.IsolationLevel = isolation
	for topic, partitions := range ask {
		t := kmsg.NewListOffsetsRequestTopic()
		t.Topic = topic
		for _, p := range partitions {
			rp := kmsg.NewListOffsetsRequestTopicPartition()
			rp.Partition = p
			rp.Timestamp = timestamp(TopicPartition{topic, p})
			rp.CurrentLeaderEpoch = -1
			t.Partitions = append(t.Partitions, rp)
		}
		req.Topics = append(req.Topics, t)
	}
	return req
}

// reachable says why a partition's leader cannot be asked; "" if it can.
func reachable(topics kadm.TopicDetails, tp TopicPartition) (Status, error) {
	t, ok := topics[tp.Topic]
	if !ok {
		return Failed, errors.New("the broker gave no metadata of the topic")
	}
	if t.Err != nil {
		return statusOf(t.Err), t.Err
	}
	p, ok := t.Partitions[tp.Partition]
	switch {
	case !ok:
		return TopicGone, errors.New(NoSuchPartition)
	case p.Leader < 0:
		return NoLeader, kerr.LeaderNotAvailable
	}
	return "", nil
}

func statusOf(err error) Status {
	switch {
	case errors.Is(err, kerr.UnknownTopicOrPartition), errors.Is(err, kerr.UnknownTopicID), errors.Is(err, kerr.InvalidTopicException):
		return TopicGone
	case errors.Is(err, kerr.TopicAuthorizationFailed):
		return NotAuthorized
	case errors.Is(err, kerr.LeaderNotAvailable), errors.Is(err, kerr.NotLeaderForPartition):
		return NoLeader
	}
	return Failed
}

// topicDetails reads the metadata of the named topics only. kadm would give up
// all of them for one that this user may not see.
func (c *Cluster) topicDetails(ctx context.Context, names []string) (kadm.TopicDetails, error) {
	out := kadm.TopicDetails{}
	if len(names) == 0 {
		return out, nil
	}
	slices.Sort(names)
	req := metadataRequest(slices.Compact(names))
	ctx, cancel := round(ctx)
	defer cancel()
	var resp *kmsg.MetadataResponse
	var err error
	_ = untilAnswered(ctx, func() bool {
		resp, err = c.cl.RequestCachedMetadata(ctx, req, 0)
		if err == nil && slices.ContainsFunc(resp.Topics, func(t kmsg.MetadataResponseTopic) bool { return t.ErrorCode == kerr.UnknownTopicOrPartition.Code }) {
			resp, err = metadata(ctx, c.cl, req) // is it a broker who can tell?
		}
		return err == nil || !mayPass(err)
	})
	if err != nil {
		return nil, err
	}
	for _, t := range resp.Topics {
		if t.Topic == nil {
			continue
		}
		d := kadm.TopicDetail{Topic: *t.Topic, ID: t.TopicID, IsInternal: t.IsInternal, Partitions: kadm.PartitionDetails{}, Err: kerr.ErrorForCode(t.ErrorCode)}
		for _, p := range t.Partitions {
			d.Partitions[p.Partition] = kadm.PartitionDetail{
				Topic: *t.Topic, Partition: p.Partition, Leader: p.Leader, LeaderEpoch: p.LeaderEpoch,
				Replicas: p.Replicas, ISR: p.ISR, OfflineReplicas: p.OfflineReplicas, Err: kerr.ErrorForCode(p.ErrorCode),
			}
		}
		out[*t.Topic] = d
	}
	return out, nil
}

// topicID prints an id as Kafka's own tools do: base64url without padding.
func topicID(id [16]byte) string { return base64.RawURLEncoding.EncodeToString(id[:]) }

// isMissing: the group is not there, which is not a failure to read it.
func isMissing(err error) bool {
	return errors.Is(err, kerr.GroupIDNotFound)
}
