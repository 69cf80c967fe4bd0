package inspect

import "fmt"

// Types of groups, as ListGroups names them, in lower case.
const (
	Classic  = "classic"
	Consumer = "consumer" // KIP-848
	Share    = "share"    // KIP-932
	Streams  = "streams"  // KIP-1071
)

// Types are all types of groups.
func Types() []string { return []string{Classic, Consumer, Share, Streams} }

// States are all states that groups of any type have, as brokers say them.
// Brokers before Kafka 1.0 say AwaitingSync for CompletingRebalance.
func States() []string {
	return []string{"PreparingRebalance", "CompletingRebalance", "AwaitingSync", "Assigning", "Reconciling", "NotReady", "Stable", "Empty", "Dead"}
}

// Coordinator is the broker that keeps a group.
type Coordinator struct {
	ID   int32  `json:"id"`
	Host string `json:"host"`
	Port int32  `json:"port"`
}

// ListedGroup is one group in a list.
type ListedGroup struct {
	Group string `json:"group"`
	Type  string `json:"type"`
	// State as the broker says it: Stable, Empty, Dead, PreparingRebalance, …
	State        string       `json:"state"`
	ProtocolType string       `json:"protocol_type"` // "" for groups that never had members
	Protocol     *string      `json:"protocol"`      // the assignor; nil where there is none
	Coordinator  *Coordinator `json:"coordinator"`
	Members      *int         `json:"members"` // nil where the group could not be described
	// Total is the lag of all partitions; nil where it was not asked for, or
	// could not be read.
	Total *Total `json:"total"`
}

// Member is one consumer in a group.
type Member struct {
	MemberID   string            `json:"member_id"`
	InstanceID *string           `json:"instance_id"` // of a static member
	ClientID   string            `json:"client_id"`
	Host       string            `json:"host"`
	Assignment []TopicPartitions `json:"assignment"`
	// Epoch is how far the member has come; nil for classic members. Target is what
	// it is to have; empty for classic and share members.
	Epoch  *int32            `json:"member_epoch"`
	Target []TopicPartitions `json:"target_assignment"`

	subscribed []string
}

// TopicPartitions is some partitions of a topic, in order.
type TopicPartitions struct {
	Topic      string  `json:"topic"`
	Partitions []int32 `json:"partitions"`
}

// Group is one group in full.
type Group struct {
	Group        string       `json:"group"`
	Type         string       `json:"type"`
	State        string       `json:"state"`
	ProtocolType string       `json:"protocol_type"`
	Protocol     *string      `json:"protocol"`
	Coordinator  *Coordinator `json:"coordinator"`
	Members      []Member     `json:"members"`
	Total        Total        `json:"total"`
	Partitions   []Partition  `json:"partitions"`
	// Epoch and AssignmentEpoch differ while an assignment is made; nil for classic
	// groups.
	Epoch           *int32 `json:"group_epoch"`
	AssignmentEpoch *int32 `json:"assignment_epoch"`
	// RecordsBehind is the sum, and BehindSeconds the greatest, of the partitions
	// where they are known; nil where they were not asked for.
	RecordsBehind *int64   `json:"records_behind"`
	BehindSeconds *float64 `json:"behind_seconds"`

	// Share is the configuration of a share group; nil for others, and where it was
	// not asked for, or this user may not read it.
	Share *ShareConfig `json:"share"`

	// ShareUnknown is set where the configuration was asked for, and this user may
	// not read it, or the broker has no such thing; nil else.
	ShareUnknown error `json:"-"`
	// PendingUnknown is set where commits that transactions hold back were asked
	// for, and the coordinator did not answer; nil else.
	PendingUnknown error `json:"-"`
}

// PendingUnknownError means that nobody knows whether a transaction holds commits
// back.
type PendingUnknownError struct {
	Err error // what came instead of an answer
}

func (e *PendingUnknownError) Unwrap() error { return e.Err }

func (e *PendingUnknownError) Error() string {
	return "the coordinator did not answer whether commits are pending; consumers wait in the same request: is the offsets topic below min.insync.replicas?"
}

// Problem is something that could not be read, while the rest could.
type Problem struct {
	What  string `json:"what"`
	Error string `json:"error"`
	// Code is the reason in one word.
	Code Code `json:"code"`
	// Err is the error behind the text.
	Err error `json:"-"`
	// Group and Place are what it is about, where it is one partition: many of
	// them may have the same reason.
	Group string          `json:"-"`
	Place *TopicPartition `json:"-"`
}

func problem(what string, err error) Problem {
	code := CodeOf(err)
	err = explain(err)
	return Problem{What: what, Error: err.Error(), Code: code, Err: err}
}

// ProblemOf is a problem with one partition of a group.
func ProblemOf(group string, p *Partition, err error) Problem {
	out := problem(fmt.Sprintf("group %s, %s-%d", group, p.Topic, p.Partition), err)
	if code := p.Code(); code != "" {
		out.Code = code
	}
	out.Group, out.Place = group, &TopicPartition{p.Topic, p.Partition}
	return out
}

// Visibility says whether an answer about all groups can be trusted to be
// about all of them: a broker silently leaves out what a user may not see.
type Visibility string

// The values of a visibility.
const (
	Full     Visibility = "full"     // this user may describe the cluster, so sees every group
	Filtered Visibility = "filtered" // groups and topics may be missing
	Unknown  Visibility = "unknown"  // the broker does not tell
)
