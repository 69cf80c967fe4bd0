package inspect

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ErrUnknownGroup means that no broker knows the group, or lets this user see
// it.
var ErrUnknownGroup = errors.New("unknown group: no members, no commits, or not visible to this user")

// Cluster reads from one Kafka cluster.
type Cluster struct {
	cl  *kgo.Client
	adm *kadm.Client
}

// New returns a reader that uses the given client, which stays the caller's.
func New(cl *kgo.Client) *Cluster { return &Cluster{cl: cl, adm: kadm.NewClient(cl)} }

// listing is what ListGroups told.
type listing struct {
	groups   map[string]ListedGroup
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

// listGroups asks every broker for the groups it coordinates. kadm's listing
// leaves out the type, without which a KIP-848 group looks dead.
func (c *Cluster) listGroups(ctx context.Context) (*listing, error) {
	l := &listing{groups: map[string]ListedGroup{}}
	shards := c.cl.RequestSharded(ctx, kmsg.NewPtrListGroupsRequest())
	failed := 0
	for _, shard := range shards {
		err := shard.Err
		var resp *kmsg.ListGroupsResponse
		if err == nil {
			resp = shard.Resp.(*kmsg.ListGroupsResponse)
			err = kerr.ErrorForCode(resp.ErrorCode)
		}
		if err != nil {
			failed++
			l.problems = append(l.problems, problem(fmt.Sprintf("groups of broker %d", shard.Meta.NodeID), err))
			continue
		}
		for _, g := range resp.Groups {
			l.groups[g.Group] = ListedGroup{
				Group:        g.Group,
				Type:         groupType(g.GroupType),
				State:        g.GroupState,
				ProtocolType: g.ProtocolType,
				Coordinator:  &Coordinator{ID: shard.Meta.NodeID, Host: shard.Meta.Host, Port: shard.Meta.Port},
			}
		}
	}
	if failed > 0 && failed == len(shards) {
		return nil, fmt.Errorf("listing groups: %w", l.problems[0].Err)
	}
	return l, nil
}

// groupType maps the broker's word. Brokers before 3.8 do not say, and know
// only classic groups.
func groupType(word string) string {
	if word == "" || strings.EqualFold(word, "unknown") {
		return Classic
	}
	return strings.ToLower(word)
}

// Groups returns the names of all groups that this user may see, sorted, and
// what could not be listed.
func (c *Cluster) Groups(ctx context.Context) ([]string, []Problem, error) {
	l, err := c.listGroups(ctx)
	if err != nil {
		return nil, nil, err
	}
	return l.names(), l.problems, nil
}

// Listing is the answer of [Cluster.List].
type Listing struct {
	Groups     []ListedGroup
	Visibility Visibility
	Problems   []Problem
}

// List returns all groups that this user may see, sorted by name, with their
// number of members.
func (c *Cluster) List(ctx context.Context) (*Listing, error) {
	l, err := c.listGroups(ctx)
	if err != nil {
		return nil, err
	}
	var wg sync.WaitGroup
	var seen Visibility
	wg.Go(func() { seen = c.visibility(ctx) })
	described := c.describeGroups(ctx, l, l.names())
	wg.Wait()
	out := &Listing{Visibility: seen, Problems: append(l.problems, described.problems...)}
	for _, name := range l.names() {
		g := l.groups[name]
		if d, ok := described.groups[name]; ok {
			n := len(d.Members)
			g.Members, g.Protocol, g.State = &n, d.Protocol, d.State
		}
		out.Groups = append(out.Groups, g)
	}
	return out, nil
}

// visibility asks what this user may do with the cluster: whoever may describe
// it is shown every group (KIP-430).
func (c *Cluster) visibility(ctx context.Context) Visibility {
	req := kmsg.NewPtrDescribeClusterRequest()
	req.IncludeClusterAuthorizedOperations = true
	resp, err := req.RequestWith(ctx, c.cl)
	if err != nil || resp.ErrorCode != 0 || resp.ClusterAuthorizedOperations == math.MinInt32 {
		return Unknown
	}
	if resp.ClusterAuthorizedOperations&(1<<kmsg.ACLOperationDescribe) == 0 {
		return Filtered
	}
	return Full
}
