package inspect

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

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

// ListOptions selects groups, and says what to show of them.
type ListOptions struct {
	// States and Types are those wanted, in any case; nil takes all.
	States, Types []string
	// Topic takes groups that have committed for it, or have a member that
	// subscribes to it.
	Topic string
	// Lag reads commits and log ends of all groups, too.
	Lag bool
}

// List returns the groups that this user may see, sorted by name, with their
// number of members.
func (c *Cluster) List(ctx context.Context, o ListOptions) (*Listing, error) {
	l, err := c.listGroups(ctx)
	if err != nil {
		return nil, err
	}
	names := slices.DeleteFunc(l.names(), func(name string) bool {
		g := l.groups[name]
		return !among(o.Types, g.Type) || len(o.States) > 0 && g.State != "" && !among(o.States, g.State)
	})
	out := &Listing{Problems: l.problems}
	both(func() { out.Visibility = c.visibility(ctx) }, func() { err = c.listDetails(ctx, l, names, o, out) })
	if err != nil {
		return nil, err
	}
	// Old brokers do not tell the state in the list.
	out.Groups = slices.DeleteFunc(out.Groups, func(g ListedGroup) bool { return !among(o.States, g.State) })
	return out, nil
}

func among(wanted []string, word string) bool {
	return len(wanted) == 0 || slices.ContainsFunc(wanted, func(w string) bool { return strings.EqualFold(w, word) })
}

// listDetails describes the groups, as far as is needed.
func (c *Cluster) listDetails(ctx context.Context, l *listing, names []string, o ListOptions, out *Listing) error {
	if o.Topic == "" && !o.Lag {
		described := c.describeGroups(ctx, l, names)
		out.Problems = append(out.Problems, described.problems...)
		for _, name := range names {
			g := l.groups[name]
			if d, ok := described.groups[name]; ok {
				g.take(&d)
			}
			out.Groups = append(out.Groups, g)
		}
		return nil
	}
	for chunk := range slices.Chunk(names, chunkSize) {
		groups, problems, err := c.describeChunk(ctx, l, chunk, DescribeOptions{withoutEnds: !o.Lag})
		out.Problems = append(out.Problems, problems...)
		if err != nil {
			return err
		}
		for i := range groups {
			d := &groups[i]
			if o.Topic != "" && !d.reads(o.Topic) {
				continue
			}
			g := l.groups[d.Group]
			g.take(d)
			if o.Lag {
				g.Total = &d.Total
			}
			out.Groups = append(out.Groups, g)
		}
	}
	return nil
}

func (g *ListedGroup) take(d *Group) {
	n := len(d.Members)
	g.Members, g.Protocol, g.State = &n, d.Protocol, d.State
}

// reads says whether the group has to do with a topic.
func (g *Group) reads(topic string) bool {
	return slices.Contains(g.subscriptions(), topic) || slices.ContainsFunc(g.Partitions, func(p Partition) bool { return p.Topic == topic })
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
