package inspect

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"offsets/inspect/commitlog"
)

// listing is what ListGroups told.
type listing struct {
	groups map[string]ListedGroup
	// unseen are groups whose coordinator could not be asked: whether they exist
	// is not known.
	unseen   map[string]error
	problems []Problem // brokers that did not answer
}

func (l *listing) names() []string {
	names := make([]string, 0, len(l.groups))
	for name := range l.groups {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Known is the groups that this user may see.
type Known struct {
	Names    []string // sorted
	Problems []Problem

	listing *listing
}

// Groups lists all groups that this user may see, and what could not be listed.
func (c *Cluster) Groups(ctx context.Context) (*Known, error) {
	l, err := c.listGroups(ctx)
	if err != nil {
		return nil, err
	}
	return &Known{Names: l.names(), Problems: l.problems, listing: l}, nil
}

// listGroups asks every broker for the groups it coordinates. kadm's listing
// leaves out the type, without which a KIP-848 group looks dead.
//
// While a broker does not answer, all are asked again: when it is gone, others
// have its groups.
func (c *Cluster) listGroups(ctx context.Context) (*listing, error) {
	ctx, cancel := round(ctx)
	defer cancel()
	var l *listing
	var silent map[int32]error
	var at whereabouts
	var err error
	_ = untilAnswered(ctx, func() bool { // what is missing is told below
		var now whereabouts
		if now, err = c.whereabouts(ctx); err == nil {
			at = now
		} else if len(at.brokers) == 0 {
			return false
		}
		asked, failed := c.askForGroups(ctx, at.brokers, at.probes())
		if l == nil || len(failed) <= len(silent) { // the last try may have been cut short
			l, silent = asked, failed
		}
		return len(failed) == 0 && len(at.away()) == 0
	})
	if len(at.brokers) == 0 {
		return nil, fmt.Errorf("listing groups: %w", explain(err))
	}
	for _, b := range at.brokers {
		if err := silent[b.NodeID]; err != nil {
			l.problems = append(l.problems, problem(fmt.Sprintf("groups of broker %d (%s:%d)", b.NodeID, b.Host, b.Port), err))
		}
	}
	if len(l.problems) > 0 && len(l.problems) == len(at.brokers) {
		return nil, fmt.Errorf("listing groups: %s: %w", l.problems[0].What, l.problems[0].Err)
	}
	for _, partition := range append(at.leaderless(), at.away()...) {
		l.problems = append(l.problems, problem(fmt.Sprintf("groups whose commits are in %s-%d", commitlog.Topic, partition), kerr.LeaderNotAvailable))
	}
	return l, nil
}

// whereabouts is who is alive, and who leads the partitions of the commit log:
// that broker coordinates the groups in it.
type whereabouts struct {
	brokers []kgo.BrokerMetadata
	leaders map[int32]int32 // by partition; empty where this user may not know
}

// whereabouts asks the cluster. kadm would answer from the client's memory.
func (c *Cluster) whereabouts(ctx context.Context) (at whereabouts, err error) {
	req := kmsg.NewPtrMetadataRequest()
	log := kmsg.NewMetadataRequestTopic()
	log.Topic = kmsg.StringPtr(commitlog.Topic)
	req.Topics = append(req.Topics, log)
	resp, err := req.RequestWith(ctx, c.cl)
	if err != nil {
		return at, err
	}
	for _, b := range resp.Brokers {
		at.brokers = append(at.brokers, kgo.BrokerMetadata{NodeID: b.NodeID, Host: b.Host, Port: b.Port, Rack: b.Rack})
	}
	at.leaders = map[int32]int32{}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			at.leaders[p.Partition] = p.Leader
		}
	}
	return at, nil
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

// probes are names of groups that nobody has, one for each partition of the
// commit log, by the broker that leads it.
//
// A broker that has just become a coordinator and does not know it yet, or knows
// no more that it was one, leaves the groups of that partition out of its list
// without a word. Asked for a group, it says that it is not the coordinator. With
// a single broker there is nobody else.
func (at whereabouts) probes() map[int32][]string {
	out := map[int32][]string{}
	if len(at.brokers) < 2 {
		return out
	}
	seen := map[int32]bool{}
	for i := 0; len(seen) < len(at.leaders) && i < 100*len(at.leaders); i++ {
		name := fmt.Sprintf("offsets-list-probe-%d", i)
		partition := commitlog.PartitionOf(name, int32(len(at.leaders)))
		if leader := at.leaders[partition]; !seen[partition] {
			seen[partition] = true
			out[leader] = append(out[leader], name)
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

// lookUp lists what the coordinators of the named groups know: enough for the
// types of these groups, and no other broker is waited for.
func (c *Cluster) lookUp(ctx context.Context, names []string) *listing {
	ctx, cancel := round(ctx)
	defer cancel()
	all := &listing{groups: map[string]ListedGroup{}, unseen: map[string]error{}}
	pending := names
	_ = untilAnswered(ctx, func() bool { // what is missing is in unseen
		coordinators := map[int32]kgo.BrokerMetadata{}
		of := map[string]int32{}
		for name, found := range c.adm.FindGroupCoordinators(ctx, pending...) {
			if found.Err != nil {
				all.unseen[name] = found.Err
				continue
			}
			coordinators[found.NodeID], of[name] = kgo.BrokerMetadata{NodeID: found.NodeID, Host: found.Host, Port: found.Port}, found.NodeID
		}
		var brokers []kgo.BrokerMetadata
		for _, b := range coordinators {
			brokers = append(brokers, b)
		}
		l, silent := c.askForGroups(ctx, brokers, nil)
		pending = slices.DeleteFunc(slices.Clone(pending), func(name string) bool {
			id, found := of[name]
			switch {
			case !found:
				return !mayPass(all.unseen[name])
			case silent[id] != nil:
				all.unseen[name] = silent[id]
				return false
			}
			if g, ok := l.groups[name]; ok {
				all.groups[name] = g
			}
			delete(all.unseen, name)
			return true
		})
		return len(pending) == 0
	})
	return all
}

// askForGroups asks some brokers, each in its own time; failed has those that
// did not answer, or did not coordinate their probes before and after.
func (c *Cluster) askForGroups(ctx context.Context, brokers []kgo.BrokerMetadata, probes map[int32][]string) (l *listing, failed map[int32]error) {
	l, failed = &listing{groups: map[string]ListedGroup{}}, map[int32]error{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, b := range brokers {
		wg.Go(func() {
			listed, err := c.askBroker(ctx, b.NodeID, probes[b.NodeID])
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed[b.NodeID] = err
				return
			}
			for _, g := range listed {
				l.groups[g.Group] = ListedGroup{
					Group: g.Group, Type: groupType(g.GroupType), State: g.GroupState, ProtocolType: g.ProtocolType, Coordinator: coordinator(b),
				}
			}
		})
	}
	wg.Wait()
	return l, failed
}

func (c *Cluster) askBroker(ctx context.Context, broker int32, probes []string) ([]kmsg.ListGroupsResponseGroup, error) {
	if err := c.coordinates(ctx, broker, probes); err != nil {
		return nil, err
	}
	resp, err := kmsg.NewPtrListGroupsRequest().RequestWith(ctx, c.cl.Broker(int(broker)))
	if err != nil {
		return nil, err
	}
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return nil, err
	}
	return resp.Groups, c.coordinates(ctx, broker, probes)
}

// groupType maps the broker's word. Brokers before 3.8 do not say, and know
// only classic groups.
func groupType(word string) string {
	if word == "" || strings.EqualFold(word, "unknown") {
		return Classic
	}
	return strings.ToLower(word)
}

// roundWithoutLimit bounds a round of work that has no limit of its own.
const roundWithoutLimit = 15 * time.Second

// round bounds one round of requests by half of the time that is left: a broker
// that does not answer shall cost its own part of a result, and not the rest.
func round(ctx context.Context) (context.Context, context.CancelFunc) {
	limit := roundWithoutLimit
	if deadline, ok := ctx.Deadline(); ok {
		limit = time.Until(deadline) / 2
	}
	return context.WithTimeoutCause(ctx, limit, &NoAnswerError{After: limit.Round(100 * time.Millisecond)})
}

// untilAnswered calls ask until it has what it wants; then the error is nil.
func untilAnswered(ctx context.Context, ask func() bool) error {
	for pause := 100 * time.Millisecond; !ask(); pause = min(2*pause, time.Second) {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause):
		}
	}
	return nil
}

// NoAnswerError is a broker that was asked and kept silent.
type NoAnswerError struct {
	After time.Duration // 0: not known
}

func (e *NoAnswerError) Error() string {
	if e.After == 0 {
		return "no answer in time"
	}
	return fmt.Sprintf("no answer within %s", e.After)
}

// explain gives the end of a round its own words.
func explain(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return &NoAnswerError{}
	}
	return err
}

// mayPass: the same question may be answered otherwise in a moment.
func mayPass(err error) bool {
	var k *kerr.Error
	if !errors.As(err, &k) {
		return !tooOld(err) // no answer at all
	}
	for _, passing := range []error{kerr.CoordinatorNotAvailable, kerr.CoordinatorLoadInProgress, kerr.NotCoordinator} {
		if errors.Is(err, passing) {
			return true
		}
	}
	return false
}
