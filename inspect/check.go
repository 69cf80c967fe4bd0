package inspect

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"offsets/internal/duration"
)

// Limits are conditions that a group shall meet. The zero value asks for
// nothing but that no commit lies outside of its log, and that no member owns
// a partition with records to read and without a commit.
type Limits struct {
	MaxLag          *int64   // of all partitions together, in offsets
	MaxPartitionLag *int64   // of each
	MaxBehind       *float64 // seconds
	States          []string // one of these; nil: any
	MinMembers      *int
	// RequireCommit: any partition without a commit is a breach, with and without
	// an owner.
	RequireCommit bool
	// Allow are statuses that are no breach.
	Allow []Status
	// Exact compares counted records instead of lags.
	Exact bool
}

// Checks that a group can fail.
const (
	CheckMaxLag          = "max_lag"
	CheckMaxPartitionLag = "max_partition_lag"
	CheckMaxBehind       = "max_behind"
	CheckState           = "state"
	CheckMinMembers      = "min_members"
	CheckRequireCommit   = "require_commit"
	CheckStatus          = "status"
	CheckExists          = "exists"
)

// Breach is a condition that does not hold.
type Breach struct {
	Check     string  `json:"check"`
	Topic     *string `json:"topic"`
	Partition *int32  `json:"partition"`
	// Value and Limit are numbers for limits, words for states and statuses.
	Value   any    `json:"value"`
	Limit   any    `json:"limit"`
	Message string `json:"message"`
}

// Verdict is whether a group meets its limits.
type Verdict struct {
	Group string `json:"group"`
	Holds bool   `json:"holds"`
	State string `json:"state"`
	Lag   int64  `json:"lag"` // total
	// RecordsBehind and BehindSeconds are as in a description.
	RecordsBehind *int64   `json:"records_behind"`
	BehindSeconds *float64 `json:"behind_seconds"`
	Members       int      `json:"members"`
	Breaches      []Breach `json:"breaches"`
	// Unknown counts the partitions whose lag is not known: they are not in Lag.
	Unknown int `json:"unknown"`

	// Total is what the table shows.
	Total Total `json:"-"`
	// Unjudged is what could not be judged.
	Unjudged []Problem `json:"-"`
}

// Check holds a group against limits. It is pure.
func Check(g *Group, l Limits) Verdict {
	v := Verdict{
		Group: g.Group, State: g.State, Lag: g.Total.Lag, RecordsBehind: g.Total.RecordsBehind, BehindSeconds: g.Total.BehindSeconds,
		Members: len(g.Members), Breaches: []Breach{}, Unknown: g.Total.Unknown, Total: g.Total,
	}
	breach := func(check string, p *Partition, value, limit any, format string, args ...any) {
		b := Breach{Check: check, Value: value, Limit: limit, Message: fmt.Sprintf(format, args...)}
		if p != nil {
			b.Topic, b.Partition = &p.Topic, &p.Partition
		}
		v.Breaches = append(v.Breaches, b)
	}
	if len(l.States) > 0 && !slices.ContainsFunc(l.States, func(s string) bool { return strings.EqualFold(s, g.State) }) {
		breach(CheckState, nil, g.State, strings.Join(l.States, ","), "state is %s, not %s", g.State, strings.Join(l.States, " or "))
	}
	if l.MinMembers != nil && len(g.Members) < *l.MinMembers {
		breach(CheckMinMembers, nil, len(g.Members), *l.MinMembers, "members: %d, less than %d", len(g.Members), *l.MinMembers)
	}
	if total, what := l.total(g); l.MaxLag != nil && total > *l.MaxLag {
		breach(CheckMaxLag, nil, total, *l.MaxLag, "total %s %d is above %d", what, total, *l.MaxLag)
	}
	for i := range g.Partitions {
		p := &g.Partitions[i]
		l.partition(g.Type, p, func(check string, value, limit any, format string, args ...any) {
			breach(check, p, value, limit, format, args...)
		}, func(format string, args ...any) {
			v.Unjudged = append(v.Unjudged, ProblemOf(g.Group, p, fmt.Errorf(format, args...)))
		})
	}
	v.Holds = len(v.Breaches) == 0 && len(v.Unjudged) == 0
	return v
}

// total is the sum of what each partition is held against. What could not be
// counted counts as its lag, which is never less.
func (l *Limits) total(g *Group) (sum int64, what string) {
	what = "lag"
	if l.Exact && g.Total.RecordsBehind != nil {
		what = "records"
	}
	for i := range g.Partitions {
		if n, _ := l.lag(&g.Partitions[i]); n != nil {
			sum += *n
		}
	}
	return sum, what
}

// partition judges one partition. What is not known is neither good nor bad.
func (l *Limits) partition(groupType string, p *Partition, breach func(check string, value, limit any, format string, args ...any), unknown func(format string, args ...any)) {
	if slices.Contains(l.Allow, p.Status) {
		return
	}
	switch p.Status {
	case PastEnd, Lost, TopicGone:
		breach(CheckStatus, string(p.Status), nil, "%s", p.Words())
	case NoCommit:
		switch {
		case l.RequireCommit:
			breach(CheckRequireCommit, nil, nil, "no commit")
		case groupType != Share && p.ownedUncommitted():
			breach(CheckStatus, string(p.Status), nil, "no commit, though a member owns the partition and there are records to read (offsets %d to %d)", *p.LogStart, p.readableEnd()-1)
		}
	case NoLeader, NotAuthorized, Failed:
		unknown("%s", p.Words())
		return
	}
	if n, what := l.lag(p); l.MaxPartitionLag != nil && n != nil && *n > *l.MaxPartitionLag {
		breach(CheckMaxPartitionLag, *n, *l.MaxPartitionLag, "%s %d is above %d", what, *n, *l.MaxPartitionLag)
	}
	if l.MaxBehind == nil || p.Lag == nil || *p.Lag == 0 {
		return
	}
	switch s := p.BehindSeconds; {
	case s == nil:
		unknown("how late it is cannot be known: its next record was not read")
	case *s > *l.MaxBehind:
		breach(CheckMaxBehind, *s, *l.MaxBehind, "%s behind, more than %s", age(*s), age(*l.MaxBehind))
	}
}

func (l *Limits) lag(p *Partition) (*int64, string) {
	if l.Exact && p.RecordsBehind != nil {
		return p.RecordsBehind, "records"
	}
	return p.Lag, "lag"
}

func age(seconds float64) string {
	return duration.Short(time.Duration(seconds * float64(time.Second)))
}

// ownedUncommitted: a member reads the partition, there are records in it, and
// nothing tells how far the group is. Most groups commit from their first
// records on, so this one is stuck, has just joined, or keeps its offsets
// somewhere else. Share groups get their start offset with the first record that
// they are given: on a quiet partition none is nothing odd.
func (p *Partition) ownedUncommitted() bool {
	if p.Status != NoCommit || p.MemberID == nil {
		return false
	}
	return p.readableEnd() > *p.LogStart
}

// Words says what is wrong with a partition; "" where that is nothing.
func (p *Partition) Words() string {
	switch p.Status {
	case PastEnd:
		return fmt.Sprintf("committed %d is past the log end %d", *p.Committed, *p.LogEnd)
	case Lost:
		return fmt.Sprintf("%d offsets were deleted before they were read", *p.Lost)
	case TopicGone:
		return "the topic is gone"
	case NoLeader:
		return "the partition has no leader"
	case NotAuthorized:
		return "this user may not see the topic"
	}
	if p.Error != nil {
		return *p.Error
	}
	if p.Status == Failed {
		return "it could not be read"
	}
	return ""
}
