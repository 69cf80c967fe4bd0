package inspect

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kadm"
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
	// unpacked bounds what a batch of a topic may unpack to: as the client does.
	unpacked int
	// otherHash: see [Cluster.PlacedElsewhere].
	otherHash atomic.Bool
}

// New returns a reader that uses the given client, which stays the caller's. The
// client's MaxDecompressBatchBytes bounds what batches of topics may unpack to.
func New(cl *kgo.Client) *Cluster {
	unpacked, _ := cl.OptValue(kgo.MaxDecompressBatchBytes).(int) // 0: the default
	return &Cluster{cl: cl, adm: kadm.NewClient(cl), unpacked: unpacked}
}

// Listing is the answer of [Cluster.List].
type Listing struct {
	Groups     []ListedGroup
	Visibility Visibility
	Problems   []Problem
	// Unread are the partitions of these groups that could not be read: they are
	// not in the totals.
	Unread []UnreadPartition
}

// UnreadPartition is a partition that could not be read for a group.
type UnreadPartition struct {
	Group string
	*Partition
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
			if described.gone[name] {
				continue
			}
			g := l.groups[name]
			if d, ok := described.groups[name]; ok {
				g.take(&d)
			}
			out.Groups = append(out.Groups, g)
		}
		return nil
	}
	for chunk := range slices.Chunk(names, chunkSize) {
		groups, problems, err := c.describeChunk(ctx, l, chunk, DescribeOptions{withoutEnds: !o.Lag, leaveOutGone: true})
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
				for _, p := range d.Unread() {
					out.Unread = append(out.Unread, UnreadPartition{d.Group, p})
				}
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
	ctx, cancel := round(ctx)
	defer cancel()
	resp, err := req.RequestWith(ctx, c.cl)
	if err != nil || resp.ErrorCode != 0 || resp.ClusterAuthorizedOperations == math.MinInt32 {
		return Unknown
	}
	if resp.ClusterAuthorizedOperations&(1<<kmsg.ACLOperationDescribe) == 0 {
		return Filtered
	}
	return Full
}
