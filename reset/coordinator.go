package reset

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"offsets/inspect"
	"offsets/inspect/commitlog"
)

// coordinator is the broker that keeps a group.
type coordinator struct {
	id int32
	*kgo.Broker
}

// errNotAsked: nothing was sent, because the group's coordinator was not found,
// or does not answer.
var errNotAsked = errors.New("asking the group's coordinator")

// coordinatorPatience is how long a group may have no coordinator.
const coordinatorPatience = 10 * time.Second

// coordinator finds the broker that a group's commits go to: the leader of its
// part of the commit log. Requests are sent to it directly: the client would send
// a request again by itself when its answer is lost, over what somebody may have
// committed in between.
//
// All brokers with a replica of that part are asked, and who knows of the newest
// leader is believed. One that was replaced and has not heard of it yet calls
// itself the coordinator still, and answers with what was committed in its time;
// its successor, which may have taken commits already, is one of the others.
func (c *Changer) coordinator(ctx context.Context, group string) (coordinator, error) {
	var err error
	for end := time.Now().Add(coordinatorPatience); time.Now().Before(end); {
		var id int32
		if id, err = c.newestLeader(ctx, group); err == nil {
			return coordinator{id, c.cl.Broker(int(id))}, nil
		}
		if !retriable(err) {
			break
		}
		select {
		case <-ctx.Done():
			return coordinator{}, cutShort(ctx, err)
		case <-time.After(100 * time.Millisecond):
		}
	}
	return coordinator{}, fmt.Errorf("%w: %w", errNotAsked, err)
}

// cutShort is why the work was ended, with what was in its way.
func cutShort(ctx context.Context, last error) error {
	cause := context.Cause(ctx)
	if last == nil || errors.Is(last, cause) || errors.Is(last, context.Canceled) || errors.Is(last, context.DeadlineExceeded) {
		return cause
	}
	return fmt.Errorf("%w (%v)", cause, last) // one error: reports take joined ones apart
}

// newestLeader is the coordinator, as the broker says that knows most.
func (c *Changer) newestLeader(ctx context.Context, group string) (int32, error) {
	known, candidates, err := c.leader(ctx, c.cl, group)
	if err != nil {
		return -1, err
	}
	var found kadm.FindCoordinatorResponse
	var mu sync.Mutex
	var wg sync.WaitGroup
	wg.Go(func() { found = c.adm.FindGroupCoordinators(ctx, group)[group] })
	for _, id := range candidates {
		wg.Go(func() {
			told, _, err := c.leader(ctx, c.cl.Broker(int(id)), group)
			mu.Lock()
			defer mu.Unlock()
			if err == nil && told.epoch > known.epoch { // who does not answer takes no commits either
				known = told
			}
		})
	}
	wg.Wait()
	switch {
	case len(candidates) == 0: // this user may not know them
		return found.NodeID, found.Err
	case found.Err == nil && found.NodeID != known.id && c.cluster.PlacedElsewhere(ctx, found.NodeID, group):
		return found.NodeID, nil
	case known.id < 0:
		return -1, kerr.CoordinatorNotAvailable
	}
	return known.id, nil
}

// leadership is who leads a partition; a higher epoch is a newer one.
type leadership struct{ id, epoch int32 }

// leader asks who leads the group's part of the commit log, and which living
// brokers have a replica of it; none where this user may not know.
func (c *Changer) leader(ctx context.Context, ask kmsg.Requestor, group string) (l leadership, replicas []int32, err error) {
	req := kmsg.NewPtrMetadataRequest()
	topic := kmsg.NewMetadataRequestTopic()
	topic.Topic = kmsg.StringPtr(commitlog.Topic)
	req.Topics = append(req.Topics, topic)
	resp, err := req.RequestWith(ctx, ask)
	if err == nil && len(resp.Brokers) == 0 {
		err = inspect.ErrNewBroker
	}
	if err != nil || len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) == 0 {
		return leadership{-1, -1}, nil, err
	}
	partitions := resp.Topics[0].Partitions
	wanted := commitlog.PartitionOf(group, int32(len(partitions)))
	for _, p := range partitions {
		if p.Partition != wanted {
			continue
		}
		l = leadership{p.Leader, p.LeaderEpoch}
		for _, id := range p.Replicas {
			if slices.ContainsFunc(resp.Brokers, func(b kmsg.MetadataResponseBroker) bool { return b.NodeID == id }) {
				replicas = append(replicas, id)
			}
		}
	}
	return l, replicas, nil
}
