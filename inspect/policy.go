package inspect

import (
	"context"
)

// Situation is what a consumer that starts finds on a partition.
type Situation string

// The situations.
const (
	Valid            Situation = "valid"       // the commit lies in the log
	WithoutCommit    Situation = "no_commit"   // nothing committed
	BelowStart       Situation = "below_start" // committed, but deleted since
	BeyondEnd        Situation = "past_end"    // committed beyond the log end
	UnknownSituation Situation = "unknown"     // the partition cannot be read now
)

// Causes of what a consumer does where its commit is not valid.
const (
	CausePolicy     = "policy"
	CauseTruncation = "truncation" // the leader's epochs decide, no policy does
)

// PolicyGroup is what the policies would do for a group.
type PolicyGroup struct {
	Group      string            `json:"group"`
	Partitions []PolicyPartition `json:"partitions"`
}

// PolicyPartition is one partition, seen by a consumer that starts now.
type PolicyPartition struct {
	Topic       string    `json:"topic"`
	Partition   int32     `json:"partition"`
	Committed   *int64    `json:"committed"`
	LeaderEpoch *int32    `json:"leader_epoch"`
	LogStart    *int64    `json:"log_start"`
	LogEnd      *int64    `json:"log_end"`
	Situation   Situation `json:"situation"`
	// Cause is policy or truncation; nil where the commit is valid.
	Cause    *string  `json:"cause"`
	Policies Policies `json:"policies"`
	Error    *string  `json:"error"`
}

// Policies are the outcomes under each value of auto.offset.reset.
type Policies struct {
	Earliest   Outcome  `json:"earliest"`
	Latest     Outcome  `json:"latest"`
	None       Outcome  `json:"none"`
	ByDuration *Outcome `json:"by_duration"`
}

// Outcome is where a Java consumer starts under one policy.
type Outcome struct {
	// Start is the first offset it reads; nil if it fails.
	Start *int64 `json:"start"`
	// Reread counts offsets read again; nil without a commit or past the end.
	Reread *int64 `json:"reread"`
	// Skipped counts offsets never read; nil past the end.
	Skipped *int64 `json:"skipped"`
	// Error is the Java client's exception; nil if it starts.
	Error *string `json:"error"`
	Live  *Live   `json:"live"`
}

// Live is what a real consumer did.
type Live struct {
	FirstOffset *int64  `json:"first_offset"`
	Error       *string `json:"error"`
}

// Move counts what a move of a group's position from one offset to another
// rereads and skips: only offsets that exist count. from nil is no commit.
func Move(from *int64, to, logStart, logEnd int64) (reread, skipped *int64) {
	if from == nil {
		n := max(0, min(to, logEnd)-logStart)
		return nil, &n
	}
	if *from > logEnd {
		return nil, nil
	}
	back := max(0, min(*from, logEnd)-max(to, logStart))
	forth := max(0, min(to, logEnd)-max(*from, logStart))
	return &back, &forth
}

// Standing is what [Predict] needs to know of a partition.
type Standing struct {
	Committed   *int64
	LeaderEpoch *int32 // stored with the commit
	LogStart    int64
	LogEnd      int64
	// Divergence is where the log of the commit's epoch ends; nil without an
	// epoch, or where the leader does not know that epoch.
	Divergence *int64
}

// Predict says what a Java consumer does that starts now. It is pure.
//
// A commit past the end with a stored epoch is not the policy's business: the
// consumer asks the leader where that epoch ended (KIP-320), and goes on there
// under earliest and latest alike.
func Predict(s Standing) (Situation, *string, Policies) {
	situation := Valid
	switch {
	case s.Committed == nil:
		situation = WithoutCommit
	case *s.Committed < s.LogStart:
		situation = BelowStart
	case *s.Committed > s.LogEnd:
		situation = BeyondEnd
	}
	start := func(at int64) Outcome {
		o := Outcome{Start: &at}
		o.Reread, o.Skipped = Move(s.Committed, at, s.LogStart, s.LogEnd)
		return o
	}
	fails := func(exception string) Outcome { return Outcome{Error: &exception} }
	if situation == Valid {
		o := start(*s.Committed)
		return situation, nil, Policies{Earliest: o, Latest: o, None: o}
	}
	cause := CausePolicy
	if situation == BeyondEnd && s.LeaderEpoch != nil && s.Divergence != nil {
		cause = CauseTruncation
		return situation, &cause, Policies{Earliest: start(*s.Divergence), Latest: start(*s.Divergence), None: fails("LogTruncationException")}
	}
	exception := "OffsetOutOfRangeException"
	switch {
	case situation == WithoutCommit:
		exception = "NoOffsetForPartitionException"
	case situation == BeyondEnd && s.LeaderEpoch != nil:
		exception = "LogTruncationException"
	}
	return situation, &cause, Policies{Earliest: start(s.LogStart), Latest: start(s.LogEnd), None: fails(exception)}
}

// Policies predicts, for every partition of every topic that the group has to
// do with (and of the topics named), what each policy would do.
func (c *Cluster) Policies(ctx context.Context, group Group) (PolicyGroup, error) {
	out := PolicyGroup{Group: group.Group, Partitions: []PolicyPartition{}}
	divergence, err := c.divergence(ctx, group.Partitions)
	if err != nil {
		return out, err
	}
	for i := range group.Partitions {
		p := &group.Partitions[i]
		row := PolicyPartition{
			Topic: p.Topic, Partition: p.Partition, Committed: p.Committed, LeaderEpoch: p.LeaderEpoch,
			LogStart: p.LogStart, LogEnd: p.LogEnd, Situation: UnknownSituation, Error: p.Error,
		}
		if p.LogStart != nil && p.LogEnd != nil {
			standing := Standing{Committed: p.Committed, LeaderEpoch: p.LeaderEpoch, LogStart: *p.LogStart, LogEnd: *p.LogEnd}
			if end, known := divergence[TopicPartition{p.Topic, p.Partition}]; known {
				standing.Divergence = &end
			}
			row.Situation, row.Cause, row.Policies = Predict(standing)
		} else if row.Error == nil {
			row.Error = nonEmpty(string(p.Status))
		}
		out.Partitions = append(out.Partitions, row)
	}
	return out, nil
}

// divergence asks the leaders where the epochs of commits past the end ended.
func (c *Cluster) divergence(ctx context.Context, rows []Partition) (map[TopicPartition]int64, error) {
	ask := map[TopicPartition]int32{}
	for i := range rows {
		if p := &rows[i]; p.Status == PastEnd && p.LeaderEpoch != nil {
			ask[TopicPartition{p.Topic, p.Partition}] = *p.LeaderEpoch
		}
	}
	return c.EpochEnd(ctx, ask)
}
