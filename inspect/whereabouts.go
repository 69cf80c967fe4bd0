package inspect

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"offsets/inspect/commitlog"
)

// whereabouts is who is alive, and who leads the partitions of the commit log:
// that broker coordinates the groups in it.
type whereabouts struct {
	brokers []kgo.BrokerMetadata
	leaders map[int32]int32 // by partition; empty where this user may not know
	// replicated are the partitions with several replicas: a new leader of one may
	// have to catch up.
	replicated map[int32]bool
}

// whereaboutsBy asks the cluster, or a broker. kadm would answer from the client's
// memory.
func whereaboutsBy(ctx context.Context, ask kmsg.Requestor) (at whereabouts, err error) {
	resp, err := metadata(ctx, ask, metadataRequest([]string{commitlog.Topic}))
	if err != nil {
		return at, err
	}
	for _, b := range resp.Brokers {
		at.brokers = append(at.brokers, kgo.BrokerMetadata{NodeID: b.NodeID, Host: b.Host, Port: b.Port, Rack: b.Rack})
	}
	at.leaders, at.replicated = map[int32]int32{}, map[int32]bool{}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			at.leaders[p.Partition], at.replicated[p.Partition] = p.Leader, len(p.Replicas) > 1
		}
	}
	return at, nil
}

// ErrNewBroker is a broker's that has just started: before a cluster with
// ZooKeeper has told it anything, it knows of no brokers, and calls every topic
// unknown.
var ErrNewBroker = errors.New("the broker has just started, and knows nothing of the cluster yet")

// metadata is the answer of a broker that knows the cluster.
func metadata(ctx context.Context, ask kmsg.Requestor, req *kmsg.MetadataRequest) (*kmsg.MetadataResponse, error) {
	resp, err := req.RequestWith(ctx, ask)
	if err == nil && len(resp.Brokers) == 0 {
		err = ErrNewBroker
	}
	return resp, err
}

func metadataRequest(topics []string) *kmsg.MetadataRequest {
	req := kmsg.NewPtrMetadataRequest()
	for _, name := range topics {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = kmsg.StringPtr(name)
		req.Topics = append(req.Topics, t)
	}
	return req
}

// leaderless are partitions that nobody leads: their groups have no coordinator,
// and will not have one soon.
func (at whereabouts) leaderless() (out []int32) {
	for partition, leader := range at.leaders {
		if leader < 0 {
			out = append(out, partition)
		}
	}
	slices.Sort(out)
	return out
}

// away are partitions whose leader is not among the living: a new one will be
// found.
func (at whereabouts) away() (out []int32) {
	for partition, leader := range at.leaders {
		if leader >= 0 && !slices.ContainsFunc(at.brokers, func(b kgo.BrokerMetadata) bool { return b.NodeID == leader }) {
			out = append(out, partition)
		}
	}
	slices.Sort(out)
	return out
}

// proof is what a broker has to show before its list of groups is believed.
//
// A broker that has just become a coordinator and does not know it yet, or knows
// no more that it was one, leaves the groups of that partition out of its list
// without a word. Asked for a group, it says that it is not the coordinator.
type proof struct {
	// coordinates are names of groups that it has to coordinate; they need not
	// exist.
	coordinates []string
	// leads are partitions of the commit log in which it has to have caught up.
	leads []int32
}

// proofs are by broker: it coordinates a group in every partition that it leads.
// Where that is not by the hash of the name, there are no names to ask for.
func (at whereabouts) proofs(otherHash bool) map[int32]proof {
	out := map[int32]proof{}
	for _, b := range at.brokers {
		out[b.NodeID] = proof{leads: at.ledBy(b.NodeID)}
	}
	if otherHash || len(at.brokers) < 2 { // or there is nobody else
		return out
	}
	seen := map[int32]bool{}
	for i := 0; len(seen) < len(at.leaders) && i < 100*len(at.leaders); i++ {
		name := fmt.Sprintf("offsets-list-probe-%d", i)
		partition := at.partitionOf(name)
		if !seen[partition] {
			of := out[at.leaders[partition]]
			of.coordinates = append(of.coordinates, name)
			out[at.leaders[partition]] = of
		}
		seen[partition] = true
	}
	return out
}

// partitionOf is where a group's commits are; 0 where that is not known.
func (at whereabouts) partitionOf(group string) int32 {
	return commitlog.PartitionOf(group, int32(max(1, len(at.leaders))))
}

// expects says whether a broker is the group's coordinator, as far as is known.
func (at whereabouts) expects(group string, broker int32) bool {
	return len(at.leaders) == 0 || at.leaders[at.partitionOf(group)] == broker
}

// logOf are the partitions in one of which a group's coordinator has its commits,
// and has to have caught up.
func (at whereabouts) logOf(group string, coordinator int32, otherHash bool) []int32 {
	switch p := at.partitionOf(group); {
	case otherHash:
		return at.ledBy(coordinator)
	case at.replicated[p]:
		return []int32{p}
	}
	return nil
}

// ledBy are the replicated partitions that a broker leads.
func (at whereabouts) ledBy(broker int32) (out []int32) {
	for partition, leader := range at.leaders {
		if leader == broker && at.replicated[partition] {
			out = append(out, partition)
		}
	}
	return out
}

// PlacedElsewhere says whether a broker, by all that it knows itself, finds one of
// these groups at another broker than the leader of the partition that is for the
// hash of the group's name. Then groups are not where Apache Kafka has them, or
// the commit log has got more partitions since the brokers started. Where the
// broker hears of a new leader in between, the answer is no.
func (c *Cluster) PlacedElsewhere(ctx context.Context, broker int32, groups ...string) bool {
	if c.otherHash.Load() {
		return true
	}
	if len(groups) == 0 {
		return false
	}
	ask := c.cl.Broker(int(broker))
	before, err := whereaboutsBy(ctx, ask)
	if err != nil || len(before.leaders) == 0 {
		return false
	}
	req := kmsg.NewPtrFindCoordinatorRequest()
	req.CoordinatorKey, req.CoordinatorKeys = groups[0], groups
	resp, err := req.RequestWith(ctx, ask)
	if err != nil {
		return false
	}
	if len(resp.Coordinators) == 0 { // before version 4
		resp.Coordinators = []kmsg.FindCoordinatorResponseCoordinator{{Key: groups[0], NodeID: resp.NodeID, ErrorCode: resp.ErrorCode}}
	}
	elsewhere := slices.ContainsFunc(resp.Coordinators, func(r kmsg.FindCoordinatorResponseCoordinator) bool {
		return r.ErrorCode == 0 && r.NodeID != before.leaders[before.partitionOf(r.Key)]
	})
	if !elsewhere {
		return false
	}
	after, err := whereaboutsBy(ctx, ask)
	if err != nil || !maps.Equal(before.leaders, after.leaders) {
		return false
	}
	c.otherHash.Store(true)
	return true
}
