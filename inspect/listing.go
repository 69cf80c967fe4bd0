package inspect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

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
	// keepers are the coordinators of groups that were looked up, listed or not.
	keepers map[string]int32
}

// keeper is the coordinator that was found and believed when the list was made.
func (l *listing) keeper(name string) (id int32, known bool) {
	if g, ok := l.groups[name]; ok {
		return g.Coordinator.ID, true
	}
	id, known = l.keepers[name]
	return id, known
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
	var best *listed
	var at whereabouts
	var err error
	_ = untilAnswered(ctx, func() bool { // what is missing is told below
		var now whereabouts
		if now, err = whereaboutsBy(ctx, c.cl); err == nil {
			at = now
		} else if len(at.brokers) == 0 {
			return false
		}
		try, proofs := &listed{at: at}, at.proofs(c.otherHash.Load())
		try.listing, try.silent = c.askForGroups(ctx, at.brokers, proofs)
		for id, err := range try.silent {
			if errors.Is(err, kerr.NotCoordinator) && c.PlacedElsewhere(ctx, id, proofs[id].coordinates...) {
				break
			}
		}
		if best == nil || try.missing() <= best.missing() { // the last try may have been cut short
			best = try
		}
		return try.missing() == 0
	})
	if best == nil {
		return nil, fmt.Errorf("listing groups: %w", explain(err))
	}
	return best.told()
}

// listed is one try to list all groups.
type listed struct {
	at      whereabouts
	listing *listing
	silent  map[int32]error // brokers that did not answer, or whose list is not to be believed
}

func (t *listed) missing() int { return len(t.silent) + len(t.at.away()) }

// told is the listing, and what is missing in it.
func (t *listed) told() (*listing, error) {
	l := t.listing
	for _, b := range t.at.brokers {
		if err := t.silent[b.NodeID]; err != nil {
			l.problems = append(l.problems, problem(fmt.Sprintf("groups of broker %d (%s:%d)", b.NodeID, b.Host, b.Port), err))
		}
	}
	if len(l.problems) > 0 && len(l.problems) == len(t.at.brokers) {
		return nil, fmt.Errorf("listing groups: %s: %w", l.problems[0].What, l.problems[0].Err)
	}
	for _, partition := range append(t.at.leaderless(), t.at.away()...) {
		l.problems = append(l.problems, problem(fmt.Sprintf("groups whose commits are in %s-%d", commitlog.Topic, partition), kerr.LeaderNotAvailable))
	}
	return l, nil
}

// lookUp lists what the coordinators of the named groups know: enough for the
// types of these groups, and no other broker is waited for.
func (c *Cluster) lookUp(ctx context.Context, names []string) *listing {
	ctx, cancel := round(ctx)
	defer cancel()
	all := &listing{groups: map[string]ListedGroup{}, unseen: map[string]error{}, keepers: map[string]int32{}}
	pending := names
	_ = untilAnswered(ctx, func() bool { // what is missing is in unseen
		found, failed := c.keepers(ctx, pending)
		l, silent := c.askForGroups(ctx, brokersOf(found), nil)
		// Are those that are not listed this coordinator's groups at all?
		unlisted, proofs := maps.Clone(found), map[int32]proof{}
		maps.DeleteFunc(unlisted, func(name string, b kgo.BrokerMetadata) bool { return has(l.groups, name) || silent[b.NodeID] != nil })
		for name, b := range unlisted {
			proofs[b.NodeID] = proof{coordinates: append(proofs[b.NodeID].coordinates, name)}
		}
		proven, unproven := c.askForGroups(ctx, brokersOf(unlisted), proofs)
		maps.Copy(l.groups, proven.groups)
		maps.Copy(silent, unproven)
		pending = slices.DeleteFunc(slices.Clone(pending), func(name string) bool {
			b, ok := found[name]
			if ok && silent[b.NodeID] != nil {
				failed[name] = silent[b.NodeID]
			}
			if err := failed[name]; err != nil {
				all.unseen[name] = err
				return !mayPass(err)
			}
			delete(all.unseen, name)
			all.keepers[name] = b.NodeID
			if g, ok := l.groups[name]; ok {
				all.groups[name] = g
			}
			return true
		})
		return len(pending) == 0
	})
	return all
}

func brokersOf(keepers map[string]kgo.BrokerMetadata) []kgo.BrokerMetadata {
	byID := map[int32]kgo.BrokerMetadata{}
	for _, b := range keepers {
		byID[b.NodeID] = b
	}
	return slices.Collect(maps.Values(byID))
}

// askForGroups asks some brokers, each in its own time; failed has those that
// did not answer, or did not show their proof before and after.
func (c *Cluster) askForGroups(ctx context.Context, brokers []kgo.BrokerMetadata, proofs map[int32]proof) (l *listing, failed map[int32]error) {
	l, failed = &listing{groups: map[string]ListedGroup{}}, map[int32]error{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, b := range brokers {
		wg.Go(func() {
			listed, err := c.askBroker(ctx, b.NodeID, proofs[b.NodeID])
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

func (c *Cluster) askBroker(ctx context.Context, broker int32, p proof) ([]kmsg.ListGroupsResponseGroup, error) {
	var behind map[int32]error
	var err error
	both(func() { err = c.coordinates(ctx, broker, p.coordinates) }, func() { behind = c.notCaughtUp(ctx, broker, p.leads) })
	for _, b := range behind {
		err = cmp.Or(err, b)
	}
	if err != nil {
		return nil, err
	}
	resp, err := kmsg.NewPtrListGroupsRequest().RequestWith(ctx, c.cl.Broker(int(broker)))
	if err != nil {
		return nil, err
	}
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return nil, err
	}
	return resp.Groups, c.coordinates(ctx, broker, p.coordinates)
}

// groupType maps the broker's word. Brokers before 3.8 do not say, and know
// only classic groups.
func groupType(word string) string {
	if word == "" || strings.EqualFold(word, "unknown") {
		return Classic
	}
	return strings.ToLower(word)
}
