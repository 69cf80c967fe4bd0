package sandbox

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"offsets/inspect/commitlog"
)

// liveGroup is what the log must know of a classic group to write its
// metadata: timeouts are in join requests only.
type liveGroup struct {
	protocolType string
	generation   int32
	protocol     *string
	leader       string
	joins        map[string]joinTimeouts // by member id
	stable       bool                    // a rebalance has completed with members
}

type joinTimeouts struct{ rebalance, session int32 }

// joined remembers a member. A coordinator writes an empty group the moment it
// first hears of it.
func (l *commitLog) joined(p pendingRequest, req *kmsg.JoinGroupRequest, resp *kmsg.JoinGroupResponse) []entry {
	if resp.ErrorCode != 0 {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	g, known := l.groups[req.Group]
	if !known {
		g = &liveGroup{joins: map[string]joinTimeouts{}}
		l.groups[req.Group] = g
	}
	g.protocolType, g.generation, g.protocol = req.ProtocolType, resp.Generation, resp.Protocol
	if resp.LeaderID != "" {
		g.leader = resp.LeaderID
	}
	rebalance := req.RebalanceTimeoutMillis
	if req.Version == 0 {
		rebalance = -1
	}
	g.joins[resp.MemberID] = joinTimeouts{rebalance, req.SessionTimeoutMillis}
	if known || resp.Generation > 1 {
		return nil
	}
	return []entry{groupMetadata(req.Group, &commitlog.GroupMetadataValue{Version: 3, CurrentStateTimestamp: time.Now().UnixMilli()})}
}

func groupMetadata(group string, v *commitlog.GroupMetadataValue) entry {
	return entry{group, commitlog.GroupMetadataKey{Group: group}.Encode(), v.Encode()}
}

// synced writes the group when its leader's assignment was accepted: that
// completes a rebalance.
func (l *commitLog) synced(req *kmsg.SyncGroupRequest, resp *kmsg.SyncGroupResponse) error {
	if resp.ErrorCode != 0 || len(req.GroupAssignment) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), writeLimit)
	defer cancel()
	describe := kmsg.NewPtrDescribeGroupsRequest()
	describe.Groups = []string{req.Group}
	described, err := describe.RequestWith(ctx, l.client)
	if err != nil || len(described.Groups) != 1 || described.Groups[0].ErrorCode != 0 || len(described.Groups[0].Members) == 0 {
		return err // gone again already: emptied writes that
	}
	l.mu.Lock()
	g := l.groups[req.Group]
	if g == nil {
		l.mu.Unlock()
		return nil
	}
	g.stable = true
	v := &commitlog.GroupMetadataValue{
		Version: 3, ProtocolType: g.protocolType, Generation: req.Generation,
		Protocol: &described.Groups[0].Protocol, Leader: &g.leader, CurrentStateTimestamp: time.Now().UnixMilli(),
	}
	for _, m := range described.Groups[0].Members {
		t := g.joins[m.MemberID]
		v.Members = append(v.Members, commitlog.GroupMember{
			MemberID: m.MemberID, GroupInstanceID: m.InstanceID, ClientID: m.ClientID, ClientHost: m.ClientHost,
			RebalanceTimeout: t.rebalance, SessionTimeout: t.session,
			Subscription: m.ProtocolMetadata, Assignment: m.MemberAssignment,
		})
	}
	l.mu.Unlock()
	return l.write([]entry{groupMetadata(req.Group, v)})
}

// emptied writes the group without members if the last one is gone.
func (l *commitLog) emptied(group string) error {
	info := l.cluster.GroupInfo(group)
	if info != nil && info.State != "Empty" {
		return nil
	}
	l.mu.Lock()
	g := l.groups[group]
	if g == nil || !g.stable {
		l.mu.Unlock()
		return nil
	}
	delete(l.groups, group)
	l.mu.Unlock()
	if info == nil {
		return nil // deleted: that has its own record
	}
	err := l.write([]entry{groupMetadata(group, &commitlog.GroupMetadataValue{
		Version: 3, ProtocolType: g.protocolType, Generation: max(info.Epoch, g.generation+1), CurrentStateTimestamp: time.Now().UnixMilli(),
	})})
	if err != nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.groups[group] = g // try again
	}
	return err
}

// watchInterval is how late the log may learn that a session ended: there is
// no request that a tap could see.
const watchInterval = 200 * time.Millisecond

func (l *commitLog) watchMembers(ctx context.Context) {
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		l.mu.Lock()
		var live []string
		for name, g := range l.groups {
			if g.stable {
				live = append(live, name)
			}
		}
		l.mu.Unlock()
		for _, name := range live {
			_ = l.emptied(name) // a failed write is tried again at the next tick
		}
		l.catchUpAll()
	}
}
