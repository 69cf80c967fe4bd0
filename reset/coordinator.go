package reset

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

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

// agreementPatience is how long brokers may disagree about who coordinates.
const agreementPatience = 10 * time.Second

// coordinator finds the broker that a group's commits go to. Requests are sent to
// it directly: the client would send a request again by itself when its answer
// is lost, over what somebody may have committed in between.
//
// All brokers that may be it are asked, and have to agree. One that was replaced
// and has not heard of it yet calls itself the coordinator still, and answers
// with what was committed in its time; its successor, which may have taken
// commits already, is one of the others.
func (c *Changer) coordinator(ctx context.Context, group string) (coordinator, error) {
	var err error
	for end := time.Now().Add(agreementPatience); time.Now().Before(end); {
		var answers []int32
		if answers, err = c.coordinators(ctx, group); err == nil && len(answers) == 1 {
			return coordinator{answers[0], c.cl.Broker(int(answers[0]))}, nil
		}
		var k *kerr.Error
		switch {
		case err == nil:
			err = fmt.Errorf("the brokers do not agree on who it is: %d", answers)
		case errors.As(err, &k) && !retriable(err):
			return coordinator{}, fmt.Errorf("%w: %w", errNotAsked, err)
		}
		select {
		case <-ctx.Done():
			return coordinator{}, context.Cause(ctx)
		case <-time.After(100 * time.Millisecond):
		}
	}
	return coordinator{}, fmt.Errorf("%w: %w", errNotAsked, err)
}

// coordinators are the different answers of the brokers that may be the group's
// coordinator: those with a replica of its part of the commit log.
func (c *Changer) coordinators(ctx context.Context, group string) ([]int32, error) {
	candidates, err := c.candidates(ctx, group)
	if err != nil {
		return nil, err
	}
	if len(candidates) < 2 { // or this user may not know them
		r := c.adm.FindGroupCoordinators(ctx, group)[group]
		if r.Err != nil {
			return nil, r.Err
		}
		return []int32{r.NodeID}, nil
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	var found []int32
	var failure error
	for _, id := range candidates {
		wg.Go(func() {
			is, err := c.askCoordinator(ctx, id, group)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failure = err
				return
			}
			found = append(found, is)
		})
	}
	wg.Wait()
	if len(found) == 0 { // one that does not answer takes no commits either
		return nil, failure
	}
	slices.Sort(found)
	return slices.Compact(found), nil
}

// candidates are the living brokers with a replica of the group's part of the
// commit log.
func (c *Changer) candidates(ctx context.Context, group string) ([]int32, error) {
	req := kmsg.NewPtrMetadataRequest()
	topic := kmsg.NewMetadataRequestTopic()
	topic.Topic = kmsg.StringPtr(commitlog.Topic)
	req.Topics = append(req.Topics, topic)
	resp, err := req.RequestWith(ctx, c.cl)
	if err != nil {
		return nil, err
	}
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) == 0 {
		return nil, nil
	}
	partitions := resp.Topics[0].Partitions
	wanted := commitlog.PartitionOf(group, int32(len(partitions)))
	var out []int32
	for _, p := range partitions {
		for _, id := range p.Replicas {
			alive := slices.ContainsFunc(resp.Brokers, func(b kmsg.MetadataResponseBroker) bool { return b.NodeID == id })
			if p.Partition == wanted && alive {
				out = append(out, id)
			}
		}
	}
	return out, nil
}

// askCoordinator asks one broker who coordinates a group.
func (c *Changer) askCoordinator(ctx context.Context, broker int32, group string) (int32, error) {
	req := kmsg.NewPtrFindCoordinatorRequest()
	req.CoordinatorKey = group // before version 4
	req.CoordinatorKeys = []string{group}
	resp, err := req.RequestWith(ctx, c.cl.Broker(int(broker)))
	if err != nil {
		return -1, err
	}
	id, code := resp.NodeID, resp.ErrorCode
	if len(resp.Coordinators) == 1 {
		id, code = resp.Coordinators[0].NodeID, resp.Coordinators[0].ErrorCode
	}
	if err := kerr.ErrorForCode(code); err != nil {
		return -1, err
	}
	if id < 0 {
		return -1, kerr.CoordinatorNotAvailable
	}
	return id, nil
}
