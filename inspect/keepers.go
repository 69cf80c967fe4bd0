package inspect

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"offsets/inspect/commitlog"
)

// keepers finds the coordinators of groups; failed has the groups without one
// that is to be believed.
//
// A coordinator answers with what it knows to be replicated. Right after it took
// over that may be less than its predecessor confirmed: groups and commits are
// missing then, without an error. So it has to have caught up first, as leader of
// the groups' part of the commit log.
func (c *Cluster) keepers(ctx context.Context, names []string) (found map[string]kgo.BrokerMetadata, failed map[string]error) {
	found, failed = map[string]kgo.BrokerMetadata{}, map[string]error{}
	var at whereabouts
	var err error
	both(func() { at, err = whereaboutsBy(ctx, c.cl) }, func() {
		for name, r := range c.adm.FindGroupCoordinators(ctx, names...) {
			if r.Err != nil {
				failed[name] = r.Err
				continue
			}
			found[name] = kgo.BrokerMetadata{NodeID: r.NodeID, Host: r.Host, Port: r.Port}
		}
	})
	otherHash := c.placedElsewhere(ctx, at, found)
	lead := map[int32][]int32{}
	for name, b := range found {
		switch {
		case err != nil:
			failed[name] = err
		case !otherHash && !at.expects(name, b.NodeID): // one of the two has not heard of the other
			failed[name] = kerr.NotCoordinator
		default:
			lead[b.NodeID] = append(lead[b.NodeID], at.logOf(name, b.NodeID, otherHash)...)
		}
	}
	behind := c.allNotCaughtUp(ctx, lead)
	for name, b := range found {
		for _, p := range at.logOf(name, b.NodeID, otherHash) {
			failed[name] = cmp.Or(failed[name], behind[b.NodeID][p])
		}
		if failed[name] == nil {
			delete(failed, name)
		} else {
			delete(found, name)
		}
	}
	return found, failed
}

// placedElsewhere asks the brokers that are not expected to coordinate what they
// were found for.
func (c *Cluster) placedElsewhere(ctx context.Context, at whereabouts, found map[string]kgo.BrokerMetadata) bool {
	unexpected := map[int32][]string{}
	for name, b := range found {
		if !at.expects(name, b.NodeID) {
			unexpected[b.NodeID] = append(unexpected[b.NodeID], name)
		}
	}
	for id, names := range unexpected {
		if c.PlacedElsewhere(ctx, id, names...) {
			break
		}
	}
	return c.otherHash.Load()
}

// allNotCaughtUp asks several brokers at once about partitions that they lead.
func (c *Cluster) allNotCaughtUp(ctx context.Context, lead map[int32][]int32) map[int32]map[int32]error {
	behind := map[int32]map[int32]error{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for id, partitions := range lead {
		wg.Go(func() {
			slices.Sort(partitions)
			b := c.notCaughtUp(ctx, id, slices.Compact(partitions))
			mu.Lock()
			defer mu.Unlock()
			behind[id] = b
		})
	}
	wg.Wait()
	return behind
}

// addKeepers finds those that are missing.
func (c *Cluster) addKeepers(ctx context.Context, keepers map[string]int32, names []string) (failed map[string]error) {
	names = slices.DeleteFunc(slices.Clone(names), func(name string) bool { return has(keepers, name) })
	if len(names) == 0 {
		return nil
	}
	found, failed := c.keepers(ctx, names)
	for name, b := range found {
		keepers[name] = b.NodeID
	}
	return failed
}

func has[V any](m map[string]V, name string) bool {
	_, ok := m[name]
	return ok
}

// notCaughtUp has the partitions of the commit log that a broker does not lead,
// or in which it does not know yet that everything is replicated that was there
// when it became the leader: it refuses to tell the log's end until then
// (KIP-207). Where this user may not ask, it has none.
func (c *Cluster) notCaughtUp(ctx context.Context, broker int32, partitions []int32) map[int32]error {
	if len(partitions) == 0 {
		return nil
	}
	out := map[int32]error{}
	req := listOffsetsRequest(map[string][]int32{commitlog.Topic: partitions}, func(TopicPartition) int64 { return listLatest }, 0)
	resp, err := req.RequestWith(ctx, c.cl.Broker(int(broker)))
	if err != nil {
		for _, p := range partitions {
			out[p] = err
		}
		return out
	}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			switch err := kerr.ErrorForCode(p.ErrorCode); {
			case errors.Is(err, kerr.UnknownTopicOrPartition): // to a broker that has just started
				out[p.Partition] = kerr.NotLeaderForPartition
			case err != nil && mayPass(err):
				out[p.Partition] = err
			}
		}
	}
	return out
}

// coordinates says whether a broker coordinates groups of all these names.
func (c *Cluster) coordinates(ctx context.Context, broker int32, names []string) error {
	if len(names) == 0 {
		return nil
	}
	req := kmsg.NewPtrDescribeGroupsRequest()
	req.Groups = names
	resp, err := req.RequestWith(ctx, c.cl.Broker(int(broker)))
	if err != nil {
		return err
	}
	for _, g := range resp.Groups {
		if err := kerr.ErrorForCode(g.ErrorCode); err != nil && mayPass(err) {
			return err
		}
	}
	return nil
}
