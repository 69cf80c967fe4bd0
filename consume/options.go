// Package consume reads a topic the way the Java consumer does, alone or as a
// member of a group: the same starting points under each auto.offset.reset
// policy, the same errors, the same commits.
//
// The client library differs from the Java consumer in many of these points,
// so it is told exact offsets, never policies, and it never commits by itself.
package consume

import (
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Options says what to read and how. Topic, Policy and AutoCommitInterval are
// needed.
type Options struct {
	Topic string
	// Group is the consumer group; "" reads without one, and commits nothing.
	Group string
	// Policy decides where there is no valid position.
	Policy Policy
	// Partitions are read without joining the group (the Java client's
	// assign); commits still go to the group, if there is one.
	Partitions []int32
	// Offset is where to start, whatever was committed; only without
	// membership.
	Offset *int64
	// MaxMessages stops after so many records; 0 is no limit.
	MaxMessages int64
	// ExitAtEnd stops when everything that was in the log at the start (of
	// each partition's assignment) is read.
	ExitAtEnd bool
	// AutoCommitInterval is the least time between two commits.
	AutoCommitInterval time.Duration
	// NoCommit reads as a member without ever committing.
	NoCommit bool
	// SessionTimeout is when the coordinator takes a silent member for dead; 0
	// is the client's default, 45 s.
	SessionTimeout time.Duration
	// InstanceID makes a static member (KIP-345), which a clean stop leaves in
	// the group.
	InstanceID string
	// ReadCommitted hides records of open and aborted transactions.
	ReadCommitted bool
	// ConsumerProtocol joins with the KIP-848 protocol.
	ConsumerProtocol bool
	// Events, if set, is told what happens, one call at a time.
	Events func(Event)
}

// Event is something that happened to the consumer.
type Event struct {
	// What is assigned, revoked, lost, committed, reset, truncated or warning.
	What string
	// Positions are the partitions concerned, where it is about partitions.
	Positions []Position
	Text      string
}

// Position is the next offset to read of a partition.
type Position struct {
	Topic     string
	Partition int32
	Offset    int64
	// LeaderEpoch is of the last record read; -1 if there is none.
	LeaderEpoch int32
}

// member says whether the consumer joins its group.
func (o Options) member() bool { return o.Group != "" && len(o.Partitions) == 0 }

// commits says whether anything is committed.
func (o Options) commits() bool { return o.Group != "" && !o.NoCommit }

// Validate says what is wrong with the options.
func (o Options) Validate() error {
	switch {
	case o.Topic == "":
		return errors.New("no topic named")
	case o.Policy == Policy{}:
		return errors.New("no policy given")
	case o.Offset != nil && o.member():
		return errors.New("a start offset goes with partitions or without a group: a member starts at what its group committed")
	case o.Offset != nil && *o.Offset < 0:
		return fmt.Errorf("start offset %d is negative", *o.Offset)
	case o.InstanceID != "" && !o.member(), o.SessionTimeout != 0 && !o.member():
		return errors.New("session timeout and instance id are for members of a group")
	case o.ConsumerProtocol && o.SessionTimeout != 0:
		return errors.New("with the consumer protocol the broker sets the session timeout")
	case o.commits() && o.AutoCommitInterval <= 0:
		return errors.New("the auto commit interval must be more than nothing")
	}
	return nil
}

func (o Options) isolation() kgo.IsolationLevel {
	if o.ReadCommitted {
		return kgo.ReadCommitted()
	}
	return kgo.ReadUncommitted()
}
