package inspect

import (
	"context"
	"errors"
	"fmt"
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

// whereabouts asks the cluster. kadm would answer from the client's memory.
func (c *Cluster) whereabouts(ctx context.Context) (at whereabouts, err error) {
	resp, err := c.metadata(ctx, metadataRequest([]string{commitlog.Topic}))
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

// metadata asks any broker that knows the cluster.
func (c *Cluster) metadata(ctx context.Context, req *kmsg.MetadataRequest) (*kmsg.MetadataResponse, error) {
	resp, err := req.RequestWith(ctx, c.cl)
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
func (at whereabouts) proofs() map[int32]proof {
	out := map[int32]proof{}
	seen := map[int32]bool{}
	for i := 0; len(seen) < len(at.leaders) && i < 100*len(at.leaders); i++ {
		name := fmt.Sprintf("offsets-list-probe-%d", i)
		partition := commitlog.PartitionOf(name, int32(len(at.leaders)))
		if seen[partition] {
			continue
		}
		seen[partition] = true
		of := out[at.leaders[partition]]
		if len(at.brokers) > 1 { // else there is nobody else
			of.coordinates = append(of.coordinates, name)
		}
		if at.replicated[partition] {
			of.leads = append(of.leads, partition)
		}
		out[at.leaders[partition]] = of
	}
	return out
}

// partitionOf is where a group's commits are; 0 where that is not known.
func (at whereabouts) partitionOf(group string) int32 {
	return commitlog.PartitionOf(group, int32(max(1, len(at.leaders))))
}
