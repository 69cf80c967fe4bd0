package desk

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// TopicPartition names a partition.
type TopicPartition struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
}

// Offset is one to commit, or committed.
type Offset struct {
	Topic       string `json:"topic"`
	Partition   int32  `json:"partition"`
	Offset      int64  `json:"offset"`
	Metadata    string `json:"metadata"`
	LeaderEpoch *int32 `json:"leader_epoch"`
}

// Record is a record that was read or is to be sent.
type Record struct {
	Topic       string `json:"topic"`
	Partition   int32  `json:"partition"`
	Offset      int64  `json:"offset"`
	Timestamp   int64  `json:"timestamp"` // ms; to send with 0: now
	Key         []byte `json:"key"`
	Value       []byte `json:"value"`
	LeaderEpoch *int32 `json:"leader_epoch"`
	// DeliveryCount is how often a share group was given it, this time included.
	DeliveryCount *int16 `json:"delivery_count"`
}

// Protocol is how a member belongs to its group.
type Protocol string

// The protocols of members. The zero value is classic.
const (
	Classic  Protocol = "classic"
	Consumer Protocol = "consumer" // KIP-848
	Share    Protocol = "share"
)

// MemberOptions describe a consumer. What is zero has Java's default, except
// that nothing is committed unless it is asked for.
type MemberOptions struct {
	Group      string
	Protocol   Protocol
	InstanceID string
	ClientID   string
	Topics     []string         // subscribes
	Assign     []TopicPartition // instead: assign(), without joining
	Policy     string           // auto.offset.reset; share groups have theirs at the broker
	Isolation  string           // read_committed, read_uncommitted
	AutoCommit time.Duration    // the interval; 0: no
	// Assignor is a class of a classic member, a broker's assignor of a KIP-848 one.
	Assignor       string
	SessionTimeout time.Duration // classic only: else the broker says
	// Properties are further ones, or instead of these.
	Properties map[string]string
}

func (o MemberOptions) properties() map[string]string {
	p := map[string]string{}
	set := func(name, value string) {
		if value != "" {
			p[name] = value
		}
	}
	if o.Protocol == Share {
		set("share.acknowledgement.mode", "explicit")
	} else {
		set("auto.offset.reset", o.Policy)
		set("isolation.level", o.Isolation)
		set("group.instance.id", o.InstanceID)
		set("enable.auto.commit", strconv.FormatBool(o.AutoCommit > 0))
		if o.AutoCommit > 0 {
			set("auto.commit.interval.ms", millis(o.AutoCommit))
		}
	}
	switch o.Protocol {
	case Consumer:
		set("group.protocol", "consumer")
		set("group.remote.assignor", o.Assignor)
	case Classic, "":
		set("partition.assignment.strategy", o.Assignor)
		if o.SessionTimeout > 0 {
			set("session.timeout.ms", millis(o.SessionTimeout))
			set("heartbeat.interval.ms", millis(o.SessionTimeout/4))
		}
	}
	for name, value := range o.Properties {
		p[name] = value
	}
	return p
}

func millis(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// client is something that lives in the JVM.
type client struct {
	desk   *Desk
	handle int
}

func (c client) call(ctx context.Context, op string, v values, result any) error {
	if v == nil {
		v = values{}
	}
	v["handle"] = c.handle
	return c.desk.call(ctx, op, v, result)
}

// Member is a consumer.
type Member struct {
	client
	Options MemberOptions
}

// Open makes a consumer, which joins its group when it first polls.
func (d *Desk) Open(ctx context.Context, o MemberOptions) (*Member, error) {
	m := &Member{client: client{desk: d}, Options: o}
	err := d.call(ctx, "open", values{
		"group": o.Group, "protocol": o.Protocol, "client_id": o.ClientID, "topics": list(o.Topics), "assign": list(o.Assign), "properties": o.properties(),
	}, &m.handle)
	if err != nil {
		return nil, fmt.Errorf("group %s: %w", o.Group, err)
	}
	return m, nil
}

// list is never null in JSON.
func list[T any](l []T) []T { return append([]T{}, l...) }

// Poll returns as soon as there are records, at most max, and at the latest
// after the timeout. The position of the consumer is behind what it returned.
// Of a share group it returns all that the consumer was given.
func (m *Member) Poll(ctx context.Context, max int, timeout time.Duration) ([]Record, error) {
	var records []Record
	err := m.call(ctx, "poll", values{"max": max, "timeout": timeout.Milliseconds()}, &records)
	return records, err
}

// Join polls until the member has partitions, and takes no record. Not for
// share groups, whose members do not know theirs.
func (m *Member) Join(ctx context.Context) ([]TopicPartition, error) {
	var tps []TopicPartition
	err := m.call(ctx, "join", nil, &tps)
	return tps, err
}

// Commit commits these offsets, with metadata and leader epoch.
func (m *Member) Commit(ctx context.Context, offsets ...Offset) error {
	return m.call(ctx, "commit", values{"offsets": list(offsets)}, nil)
}

// CommitPolled commits what Poll returned, with the leader epochs of the records.
func (m *Member) CommitPolled(ctx context.Context) error {
	return m.call(ctx, "commitPolled", nil, nil)
}

// Ack is how a record of a share group was dealt with.
type Ack struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
	Type      string `json:"type"` // accept, release, reject
}

// AckAll is the same for all of these records.
func AckAll(records []Record, how string) []Ack {
	acks := make([]Ack, len(records))
	for i, r := range records {
		acks[i] = Ack{r.Topic, r.Partition, r.Offset, how}
	}
	return acks
}

// Acknowledge tells the broker about records that Poll returned, and waits for
// its answer. All of them have to be acknowledged before the next Poll.
func (m *Member) Acknowledge(ctx context.Context, acks ...Ack) error {
	return m.call(ctx, "acknowledge", values{"acks": list(acks)}, nil)
}

// Close leaves the group; it commits first where AutoCommit says so.
func (m *Member) Close(ctx context.Context) error { return m.call(ctx, "close", nil, nil) }

// Abandon ends the consumer as the death of its process does: it commits
// nothing and does not leave; its connections end.
func (m *Member) Abandon(ctx context.Context) error { return m.call(ctx, "abandon", nil, nil) }

// Drain returns what a Java consumer of the group would read of all partitions
// of the topics, from now on to their ends, with auto.offset.reset=earliest. It
// does not join the group and commits nothing.
func (d *Desk) Drain(ctx context.Context, group string, topics []string) ([]Record, error) {
	return d.DrainWith(ctx, MemberOptions{Group: group, Topics: topics, Policy: "earliest"})
}

// DrainWith is Drain by a consumer with another policy or isolation level.
func (d *Desk) DrainWith(ctx context.Context, o MemberOptions) ([]Record, error) {
	var records []Record
	err := d.call(ctx, "drain", values{"group": o.Group, "client_id": o.ClientID, "topics": list(o.Topics), "properties": o.properties()}, &records)
	if err != nil {
		err = fmt.Errorf("group %s: %w", o.Group, err)
	}
	return records, err
}
