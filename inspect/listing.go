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
	var brokers []kgo.BrokerMetadata
	var err error
	_ = untilAnswered(ctx, func() bool { // what is missing is told below
		var alive []kgo.BrokerMetadata
		if alive, err = c.brokers(ctx); err == nil {
			brokers = alive
		} else if len(brokers) == 0 {
			return false
		}
		asked, failed := c.askForGroups(ctx, brokers)
		if l == nil || len(failed) <= len(silent) { // the last try may have been cut short
			l, silent = asked, failed
		}
		return len(failed) == 0
	})
	if len(brokers) == 0 {
		return nil, fmt.Errorf("listing groups: %w", explain(err))
	}
	for _, b := range brokers {
		if err := silent[b.NodeID]; err != nil {
			l.problems = append(l.problems, problem(fmt.Sprintf("groups of broker %d (%s:%d)", b.NodeID, b.Host, b.Port), err))
		}
	}
	if len(l.problems) > 0 && len(l.problems) == len(brokers) {
		return nil, fmt.Errorf("listing groups: %s: %w", l.problems[0].What, l.problems[0].Err)
	}
	return l, nil
}

// brokers asks which are alive. kadm would answer that from the client's memory.
func (c *Cluster) brokers(ctx context.Context) ([]kgo.BrokerMetadata, error) {
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{} // none; nil is all
	resp, err := req.RequestWith(ctx, c.cl)
	if err != nil {
		return nil, err
	}
	var out []kgo.BrokerMetadata
	for _, b := range resp.Brokers {
		out = append(out, kgo.BrokerMetadata{NodeID: b.NodeID, Host: b.Host, Port: b.Port, Rack: b.Rack})
	}
	return out, nil
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
		l, silent := c.askForGroups(ctx, brokers)
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
// did not answer.
func (c *Cluster) askForGroups(ctx context.Context, brokers []kgo.BrokerMetadata) (l *listing, failed map[int32]error) {
	l, failed = &listing{groups: map[string]ListedGroup{}}, map[int32]error{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, b := range brokers {
		wg.Go(func() {
			resp, err := kmsg.NewPtrListGroupsRequest().RequestWith(ctx, c.cl.Broker(int(b.NodeID)))
			if err == nil {
				err = kerr.ErrorForCode(resp.ErrorCode)
			}
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed[b.NodeID] = err
				return
			}
			for _, g := range resp.Groups {
				l.groups[g.Group] = ListedGroup{
					Group: g.Group, Type: groupType(g.GroupType), State: g.GroupState, ProtocolType: g.ProtocolType, Coordinator: coordinator(b),
				}
			}
		})
	}
	wg.Wait()
	return l, failed
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
