package consume

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// stopLimit bounds the last commit, and whatever hangs when a stop is asked for.
	stopLimit = 3 * time.Second
	// leaveLimit bounds leaving the group, each of the two ways.
	leaveLimit = time.Second
)

// open starts the client for records, with a context of its own: the client
// library waits without limit for an answer to JoinGroup, which a coordinator
// holds back until every member has joined or max.poll.interval.ms is over.
func (c *consumer) open(ctx context.Context, opts ...kgo.Opt) (err error) {
	defer close(c.opened)
	own, abandon := context.WithCancel(context.WithoutCancel(ctx))
	c.own, c.abandon = own, abandon
	c.client, err = kgo.NewClient(append(append(c.admin.Opts(), kgo.WithContext(own)), opts...)...)
	if err != nil {
		c.abandon()
		return err
	}
	c.unwatch = context.AfterFunc(ctx, func() {
		timer := time.AfterFunc(stopLimit, c.abandon)
		context.AfterFunc(own, func() { timer.Stop() })
	})
	return nil
}

// stop commits a last time, if it shall, and leaves the group. It takes a few
// seconds at most, whatever the brokers do.
func (c *consumer) stop(commit bool) error {
	defer c.abandon()
	defer c.unwatch()
	ctx, cancel := context.WithTimeout(context.Background(), stopLimit)
	defer cancel()
	var err error
	if commit && c.commits() {
		if err = c.commit(ctx); err != nil && (ctx.Err() != nil || c.own.Err() != nil) {
			err = fmt.Errorf("the last commit to group %s was not acknowledged within %s: the records behind the one before it may be read again", c.Group, stopLimit)
		}
	}
	c.mu.Lock()
	c.closing = true
	c.mu.Unlock()
	member, _ := c.client.GroupMetadata()
	closed := make(chan struct{})
	go func() {
		c.client.CloseAllowingRebalance()
		close(closed)
	}()
	if isClosed(closed, leaveLimit) && c.own.Err() == nil {
		return err
	}
	// A broker answers the requests of a connection one after the other: behind
	// a JoinGroup that it holds back, LeaveGroup waits.
	c.abandon()
	if member != "" && c.member() {
		c.leaveElsewhere(member)
	}
	isClosed(closed, leaveLimit)
	return err
}

func isClosed(closed <-chan struct{}, limit time.Duration) bool {
	select {
	case <-closed:
		return true
	case <-time.After(limit):
		return false
	}
}

// leaveElsewhere leaves the group over another connection.
func (c *consumer) leaveElsewhere(member string) {
	ctx, cancel := context.WithTimeout(context.Background(), leaveLimit)
	defer cancel()
	var err error
	switch {
	case c.ConsumerProtocol:
		req := kmsg.NewPtrConsumerGroupHeartbeatRequest()
		req.Group, req.MemberID, req.MemberEpoch = c.Group, member, -1
		if c.InstanceID != "" {
			req.InstanceID, req.MemberEpoch = &c.InstanceID, -2
		}
		var resp *kmsg.ConsumerGroupHeartbeatResponse
		if resp, err = req.RequestWith(ctx, c.admin); err == nil {
			err = kerr.ErrorForCode(resp.ErrorCode)
		}
	case c.InstanceID != "":
		return // a static member of a classic group does not leave
	default:
		req := kmsg.NewPtrLeaveGroupRequest()
		m := kmsg.NewLeaveGroupRequestMember()
		m.MemberID = member
		req.Group, req.MemberID, req.Members = c.Group, member, append(req.Members, m)
		var resp *kmsg.LeaveGroupResponse
		if resp, err = req.RequestWith(ctx, c.admin); err == nil {
			err = kerr.ErrorForCode(resp.ErrorCode)
		}
	}
	if err != nil && !errors.Is(err, kerr.UnknownMemberID) && !errors.Is(err, kerr.GroupIDNotFound) {
		if ctx.Err() != nil {
			err = fmt.Errorf("no answer within %s", leaveLimit)
		}
		c.warn("leave", "could not leave group %s (%v): the coordinator keeps member %s until its session ends", c.Group, err, member)
	}
}
