package inspect

import (
	"context"
	"fmt"
	"strings"
	"time"
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
	// Verdict says in words what the choice of a policy means.
	Verdict string `json:"verdict"`
	Type    string `json:"type"`
	// ShareReset is the share.auto.offset.reset of a share group, which stands
	// in the place of a consumer's policy; nil for others, and where it could not
	// be read.
	ShareReset *string `json:"share_auto_offset_reset"`
	// NewPartitions is about partitions that are added later; nil for share and
	// streams groups.
	NewPartitions *NewPartitions `json:"new_partitions"`
}

// NewPartitions is the trap of partitions that are added while consumers run: they
// have no commit there, and under latest skip what was written before they noticed
// (KIP-1327).
type NewPartitions struct {
	// NoticedAfter is how long a running consumer may take, with the defaults of
	// clients and brokers, without the rebalance that follows.
	NoticedAfter float64 `json:"noticed_after_seconds"`
	// ByDuration is a by_duration that is long enough to skip nothing.
	ByDuration string `json:"by_duration"`
	// Setting is what decides it.
	Setting string `json:"setting"`
}

// newPartitions: a classic member looks for itself; of a KIP-848 group the
// coordinator does, and tells with the next heartbeat.
func newPartitions(groupType string) *NewPartitions {
	switch groupType {
	case Classic:
		return &NewPartitions{300, "PT6M", "metadata.max.age.ms"}
	case Consumer:
		return &NewPartitions{5, "PT1M", "group.consumer.heartbeat.interval.ms"}
	}
	return nil
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
	// Unstable: a transaction holds a commit back, and a consumer waits for it
	// before any policy counts.
	Unstable bool `json:"unstable"`
	// Hangs: the commit's leader epoch is above the partition's own, so that
	// Java consumers wait for ever, under every policy.
	Hangs bool `json:"hangs"`
	// Expires is an estimate of when the commit is deleted, after which a policy
	// decides; nil where it was not asked for, or does not happen as things are.
	Expires *string `json:"expires"`
	// Of share groups, nil for others: Lag is how many records wait to be delivered,
	// as the broker counts them, and Share what the group's own
	// share.auto.offset.reset makes of the partition.
	Lag   *int64   `json:"lag"`
	Share *Outcome `json:"share"`
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
	// Message says what the exception is about.
	Message *string `json:"message"`
	// Note is waits: by_duration finds no record so young, and the consumer stays
	// without a position; or no_such_policy: share groups have no none.
	Note *string `json:"note"`
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
	// ByDuration asks for the policy by_duration, too; Since is the first offset
	// of its time, nil if no record is so young.
	ByDuration bool
	Since      *int64
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
	fails := func(exception, message string) Outcome { return Outcome{Error: &exception, Message: &message} }
	with := func(earliest, latest, none, byDuration Outcome) Policies {
		p := Policies{Earliest: earliest, Latest: latest, None: none}
		if s.ByDuration {
			p.ByDuration = &byDuration
		}
		return p
	}
	if situation == Valid {
		o := start(*s.Committed)
		return situation, nil, with(o, o, o, o)
	}
	cause := CausePolicy
	if situation == BeyondEnd && s.LeaderEpoch != nil && s.Divergence != nil {
		cause = CauseTruncation
		o := start(*s.Divergence)
		return situation, &cause, with(o, o, fails("LogTruncationException", fmt.Sprintf("the log was truncated: it diverges from what was read at %d", *s.Divergence)), o)
	}
	none := fails("OffsetOutOfRangeException", "the position is outside the log, and none forbids to choose another")
	switch {
	case situation == WithoutCommit:
		none = fails("NoOffsetForPartitionException", "no committed offset, and none forbids to choose one")
	case situation == BeyondEnd && s.LeaderEpoch != nil:
		none = fails("LogTruncationException", "the log was truncated, and its leader does not know where it diverges")
	}
	since := Outcome{}
	if s.Since != nil {
		since = start(*s.Since)
	} else {
		waits := NoteWaits
		since.Note = &waits
	}
	return situation, &cause, with(start(s.LogStart), start(s.LogEnd), none, since)
}

// NoteWaits is the note of by_duration where no record is young enough.
const NoteWaits = "waits"

// PolicyOptions says what to predict beyond the three policies.
type PolicyOptions struct {
	// Since is the time that by_duration goes back to; zero leaves it out.
	Since time.Time
	// Now is what the by_duration of a share group's configuration counts back from.
	Now time.Time
	// Expiry estimates when commits expire, out of the commit log.
	Expiry bool
}

// Policies predicts, for every partition of every topic that the group has to
// do with (and of the topics named), what each policy would do. Problems are
// what could not be found out beside that.
func (c *Cluster) Policies(ctx context.Context, group Group, o PolicyOptions) (out PolicyGroup, problems []Problem, err error) {
	if group.Type == Share {
		return c.sharePolicies(ctx, group, o)
	}
	out = PolicyGroup{Group: group.Group, Type: group.Type, Partitions: []PolicyPartition{}, NewPartitions: newPartitions(group.Type)}
	divergence, err := c.divergence(ctx, group.Partitions)
	if err != nil {
		return out, nil, err
	}
	since, err := c.sinceOffsets(ctx, group.Partitions, o.Since)
	if err != nil {
		return out, nil, err
	}
	var expires map[TopicPartition]time.Time
	if o.Expiry {
		if expires, err = c.expiry(ctx, group); err != nil {
			problems = append(problems, problem("when commits of group "+group.Group+" expire", err))
		}
	}
	for i := range group.Partitions {
		p := &group.Partitions[i]
		tp := TopicPartition{p.Topic, p.Partition}
		row := PolicyPartition{
			Topic: p.Topic, Partition: p.Partition, Committed: p.Committed, LeaderEpoch: p.LeaderEpoch,
			LogStart: p.LogStart, LogEnd: p.LogEnd, Situation: UnknownSituation, Error: p.Error,
			Unstable: p.PendingTxn != nil && *p.PendingTxn,
			Hangs:    p.LeaderEpoch != nil && p.CurrentEpoch != nil && *p.LeaderEpoch > *p.CurrentEpoch,
		}
		if at, known := expires[tp]; known {
			row.Expires = nonEmpty(at.UTC().Format(TimeFormat))
		}
		if p.LogStart != nil && p.LogEnd != nil {
			standing := Standing{Committed: p.Committed, LeaderEpoch: p.LeaderEpoch, LogStart: *p.LogStart, LogEnd: *p.LogEnd, ByDuration: !o.Since.IsZero(), Since: since[tp].Offset}
			if end, known := divergence[tp]; known {
				standing.Divergence = &end
			}
			row.Situation, row.Cause, row.Policies = Predict(standing)
		} else if row.Error == nil {
			row.Error = nonEmpty(string(p.Status))
		}
		out.Partitions = append(out.Partitions, row)
	}
	out.Verdict = out.verdict()
	return out, problems, nil
}

func (c *Cluster) sinceOffsets(ctx context.Context, rows []Partition, since time.Time) (map[TopicPartition]AtTime, error) {
	if since.IsZero() {
		return nil, nil
	}
	times := map[TopicPartition]time.Time{}
	for i := range rows {
		if p := &rows[i]; p.LogStart != nil {
			times[TopicPartition{p.Topic, p.Partition}] = since
		}
	}
	return c.OffsetsAt(ctx, times)
}

// verdict says in words what the choice of a policy would mean.
func (g *PolicyGroup) verdict() string {
	type sum struct {
		offsets    int64
		partitions int
	}
	var skips, rereads, stops, waits, hangs, unstable sum
	add := func(s *sum, n *int64) {
		if n != nil && *n > 0 {
			s.offsets += *n
			s.partitions++
		}
	}
	one := int64(1)
	for i := range g.Partitions {
		p := &g.Partitions[i]
		add(&skips, p.Policies.Latest.Skipped)
		add(&rereads, p.Policies.Earliest.Reread)
		for _, f := range []struct {
			s   *sum
			yes bool
		}{{&stops, p.Policies.None.Error != nil}, {&waits, p.Policies.ByDuration != nil && p.Policies.ByDuration.Note != nil}, {&hangs, p.Hangs}, {&unstable, p.Unstable}} {
			if f.yes {
				add(f.s, &one)
			}
		}
	}
	on := func(s sum) string {
		if s.partitions == 1 {
			return "1 partition"
		}
		return fmt.Sprintf("%d partitions", s.partitions)
	}
	var parts []string
	say := func(s sum, format string, args ...any) {
		if s.partitions > 0 {
			parts = append(parts, fmt.Sprintf(format, args...))
		}
	}
	say(skips, "latest would skip %d offsets on %s", skips.offsets, on(skips))
	say(rereads, "earliest would read %d offsets again on %s", rereads.offsets, on(rereads))
	say(stops, "none would stop the consumer because of %s", on(stops))
	say(waits, "by_duration would wait without a position on %s", on(waits))
	if len(parts) == 0 && len(g.Partitions) > 0 {
		parts = append(parts, "every commit is valid: all policies resume there")
	}
	say(unstable, "a transaction holds commits back on %s: consumers wait for it first", on(unstable))
	say(hangs, "a leader epoch that is too high hangs Java consumers on %s, whatever the policy", on(hangs))
	return strings.Join(parts, "; ")
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
