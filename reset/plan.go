package reset

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"offsets/inspect"
)

// Isolation decides what the end of the log is while a transaction is open.
type Isolation string

// The isolation levels. Unstated lets a plan go to the log end, but refuses to
// execute it where the two differ.
const (
	Unstated        Isolation = ""
	ReadCommitted   Isolation = "read_committed"   // last stable offset
	ReadUncommitted Isolation = "read_uncommitted" // log end
)

// Verified says whether a read-back saw what was written.
type Verified string

// The values of verified.
const (
	VerifiedYes Verified = "yes"
	Overwritten Verified = "overwritten" // somebody else committed in between
	NotChecked  Verified = "not_checked" // the read-back failed
)

// Kind is what a plan is made for.
type Kind string

// The kinds of plans.
const (
	KindReset  Kind = "reset"
	KindUndo   Kind = "undo"
	KindImport Kind = "import"
	KindCopy   Kind = "copy"
	KindDelete Kind = "delete"
)

// Plan is what a change would do to one group, and when it is applied, what it
// did. It is complete: a plan that was written down and read again is applied
// as the first one would have been.
type Plan struct {
	Group        string    `json:"group"`
	Kind         Kind      `json:"kind"`
	Type         string    `json:"type"`
	ProtocolType string    `json:"protocol_type"`
	State        string    `json:"state"`
	Applied      bool      `json:"applied"`
	Verified     *Verified `json:"verified"` // nil while nothing is written
	// Creates: the group does not exist yet.
	Creates bool `json:"creates_group"`
	// Deletes: the group itself is deleted, with all its commits.
	Deletes bool `json:"deletes_group"`
	// Blocked are the members that must stop before the plan can be applied.
	Blocked []inspect.Member `json:"blocked"`
	// Receipt is the file that undo reads.
	Receipt    *string  `json:"receipt"`
	Partitions []Change `json:"partitions"`
	Total      Total    `json:"total"`
	// Refusals are why the plan cannot be carried out as it stands, beyond the
	// errors of its partitions.
	Refusals []string `json:"refusals"`
	// Warnings are what its reader may not expect.
	Warnings []string `json:"warnings"`
	// Reasons are both, and those of the partitions, each with its code.
	Reasons []Reason `json:"reasons"`

	// wroteAt is the coordinator that has taken a write last; nil before.
	wroteAt *coordinator
	// tell is told how the write goes; nil for nobody.
	tell func(Progress)
	// unchecked: it comes out of a file, and nobody has looked whether it is true.
	unchecked bool
}

// Action is what is done to a partition's commit.
type Action string

// The actions.
const (
	ActionNone   Action = "none"
	ActionWrite  Action = "write"
	ActionDelete Action = "delete"
)

// Change is what happens to one partition. New fields come last: CSV has them
// in this order.
type Change struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	From      *int64 `json:"from"` // nil: no commit
	To        *int64 `json:"to"`   // nil: left alone, or deleted
	LogStart  *int64 `json:"log_start"`
	LogEnd    *int64 `json:"log_end"`
	// Reread is how many offsets will be read again; nil where from is nil or
	// past the end.
	Reread *int64 `json:"reread"`
	// Skipped is how many offsets will never be read.
	Skipped *int64  `json:"skipped"`
	Lost    *int64  `json:"lost"` // were deleted before they were read
	Note    *string `json:"note"`
	Error   *string `json:"error"`
	Action  Action  `json:"action"`
	// Written: the broker has accepted it, or it was seen to be there.
	Written bool    `json:"written"`
	TopicID *string `json:"topic_id"`
	// What is stored with the commit, before and after.
	FromEpoch    *int32  `json:"from_leader_epoch"`
	ToEpoch      *int32  `json:"to_leader_epoch"`
	FromMetadata *string `json:"from_metadata"`
	ToMetadata   *string `json:"to_metadata"`
	// FromTime and ToTime are the times of the records at from and to; nil
	// unless asked for, and where there is no record.
	FromTime *string `json:"from_time"`
	ToTime   *string `json:"to_time"`

	err      error  // behind Error, of a write
	failedAs Reason // behind Error, of a plan
	warned   []Reason
	// waiting is what the broker says of a share group's lag; nil for others.
	waiting *int64
	share   bool // it is of a share group
	// open: it was sent, and nobody could say whether it was or will be carried
	// out.
	open bool
}

// Total sums up a plan's changes.
type Total struct {
	Reread  int64 `json:"reread"`
	Skipped int64 `json:"skipped"`
	Lost    int64 `json:"lost"`
}

// ErrNothingSelected means that the selection has no partition.
var ErrNothingSelected = errors.New("nothing selected")

// ErrNoTopic means that a selected topic or partition does not exist, or may
// not be seen.
var ErrNoTopic = errors.New("it does not exist, or this user may not see it")

// RefusedError means that a change would be unsafe. Nothing was written.
type RefusedError struct {
	Group   string
	Reasons []string
	// Why are the reasons one by one, where they have codes.
	Why []Reason
	// Members: it is because of the group's members.
	Members bool
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("refused for group %s: %s", e.Group, strings.Join(e.Reasons, "; "))
}

// newPlan begins a plan for a group.
func newPlan(g inspect.Group, kind Kind) Plan {
	p := Plan{
		Group: g.Group, Kind: kind, Type: g.Type, ProtocolType: g.ProtocolType, State: g.State,
		Creates: g.State == "Dead" && len(g.Members) == 0,
		Blocked: append([]inspect.Member{}, g.Members...), Partitions: []Change{}, Refusals: []string{}, Warnings: []string{}, Reasons: []Reason{},
	}
	if g.PendingUnknown != nil {
		p.warn(CodePendingUnknown, "%s", g.PendingUnknown)
	}
	return p
}

// warnings about the group as a whole.
func (p *Plan) warnOfGroup() {
	if p.IsStreams() {
		p.warn(CodeStreams, "it belongs to a Kafka Streams application: its state stores and internal topics are not reset")
	}
	switch {
	case p.Creates && p.Type == inspect.Share:
		p.warn(CodeCreatesGroup, "the group does not exist yet; it is created as a share group")
	case p.Creates:
		p.warn(CodeCreatesGroup, "the group does not exist yet; commits that nobody uses expire (offsets.retention.minutes, a week by default)")
	}
	if strings.HasPrefix(p.Group, "connect-") && p.ProtocolType == "consumer" {
		p.warn(CodeConnect, "it looks like the group of a Kafka Connect sink: stop the connector first, a paused one still commits; Connect's own API can change its offsets, too (KIP-875)")
	}
}

// finish sums up.
func (p *Plan) finish() {
	p.warnOfGroup()
	p.warnOfShare()
	p.Total = Total{}
	for i := range p.Partitions {
		c := &p.Partitions[i]
		for _, n := range []struct {
			sum *int64
			add *int64
		}{{&p.Total.Reread, c.Reread}, {&p.Total.Skipped, c.Skipped}, {&p.Total.Lost, c.Lost}} {
			if n.add != nil {
				*n.sum = saturated(*n.sum, *n.add)
			}
		}
	}
	p.explain(nil)
}

// Refused says why the plan cannot be carried out as it stands; nil if it can.
// Members do not count: they may be gone when it is applied.
func (p *Plan) Refused() error {
	var why []Reason
	for _, r := range p.Refusals {
		i := slices.IndexFunc(p.Reasons, func(k Reason) bool { return k.Severity == Refusal && k.Message == r })
		if i < 0 {
			why = append(why, refusal(CodeOther, "%s", r))
		} else {
			why = append(why, p.Reasons[i])
		}
	}
	for i := range p.Partitions {
		if c := &p.Partitions[i]; c.Error != nil && !c.Written {
			why = append(why, slices.DeleteFunc(c.reasons(), func(r Reason) bool { return r.Severity != Refusal })...)
		}
	}
	if len(why) == 0 {
		return nil
	}
	return refusedFor(p.Group, why...)
}

// Active says who must stop before the plan can be applied; nil if nobody.
func (p *Plan) Active() error {
	if p.allowedWhileActive() || len(p.Partitions) == 0 && !p.Deletes {
		return nil
	}
	var members []string
	for i := range p.Blocked {
		members = append(members, memberText(&p.Blocked[i]))
	}
	switch {
	case len(members) > 0:
		err := refusedFor(p.Group, refusal(CodeActiveMembers, "it has members that must stop first: %s", strings.Join(members, ", ")))
		err.Members = true
		return err
	case p.State != "" && p.State != "Empty" && p.State != "Dead":
		return refusedFor(p.Group, refusal(CodeNotEmpty, "its state is %s", p.State))
	}
	return nil
}

func memberText(m *inspect.Member) string {
	who := fmt.Sprintf("client %s on %s", m.ClientID, m.Host)
	if m.InstanceID != nil {
		who += " (static member " + *m.InstanceID + ")"
	}
	return who
}

// allowedWhileActive: brokers delete commits of topics that no member of a
// consumer group subscribes to. They themselves refuse the others.
func (p *Plan) allowedWhileActive() bool {
	return p.Kind == KindDelete && !p.Deletes && (p.Type == inspect.Consumer || p.Type == inspect.Classic && p.ProtocolType == "consumer")
}

// moving are the changes that are written.
func (p *Plan) moving() []*Change {
	var out []*Change
	for i := range p.Partitions {
		if c := &p.Partitions[i]; c.Action != ActionNone {
			out = append(out, c)
		}
	}
	return out
}

// topics are the names in the plan.
func (p *Plan) topics() []string {
	var out []string
	for i := range p.Partitions {
		out = append(out, p.Partitions[i].Topic)
	}
	return out
}

func (c *Change) note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if c.Note != nil {
		text = *c.Note + "; " + text
	}
	c.Note = &text
}

// newChange begins the change of a partition as it was seen.
func (p *Plan) newChange(row *inspect.Partition) Change {
	return Change{
		share: p.Type == inspect.Share,
		Topic: row.Topic, TopicID: row.TopicID, Partition: row.Partition, Action: ActionNone,
		From: row.Committed, FromEpoch: row.LeaderEpoch, FromMetadata: row.Metadata,
		LogStart: row.LogStart, LogEnd: row.LogEnd, Lost: row.Lost, waiting: row.BrokerLag(),
	}
}

// readable says whether the partition's log could be looked at; if not, the
// change has an error that says why.
func (c *Change) readable(row *inspect.Partition) bool {
	if row.LogStart != nil && row.LogEnd != nil {
		return true
	}
	c.fail(row.Code(), "cannot be planned: %s", row.Words())
	return false
}

// limits are what may be done with a target.
type limits struct {
	// clamp moves a target outside the log inside, instead of refusing it.
	clamp bool
	// outside allows targets outside the log.
	outside bool
	// touch also writes what does not move.
	touch bool
	// exact writes also where only epoch or metadata change.
	exact bool
}

// aim sets where the change goes, and what that means.
func (c *Change) aim(row *inspect.Partition, to inspect.Commit, l limits) {
	start, end := *row.LogStart, *row.LogEnd
	if inside := min(max(to.Offset, start), end); inside != to.Offset {
		switch {
		case l.clamp:
			c.warn(CodeClamped, "clamped from %d", to.Offset)
			to = inspect.Commit{Offset: inside, LeaderEpoch: -1, Metadata: to.Metadata}
		case l.outside && to.Offset >= 0:
			c.warn(CodeOutsideLog, "outside the log (%d to %d)", start, end)
		default:
			c.To = &to.Offset
			c.fail(CodeOutsideLog, "offset %d is outside the log (%d to %d); --clamp moves it inside", to.Offset, start, end)
			c.failedAs.general = fmt.Sprintf("offset %d is outside the log; --clamp moves it inside", to.Offset)
			return
		}
	}
	c.To, c.ToMetadata = &to.Offset, &to.Metadata
	if to.LeaderEpoch >= 0 {
		c.ToEpoch = &to.LeaderEpoch
	}
	c.Reread, c.Skipped = inspect.Move(c.From, to.Offset, start, end)
	if c.waiting != nil {
		c.redelivered(*c.waiting, start, end)
	}
	same := c.From != nil && *c.From == to.Offset
	if l.exact {
		same = same && equal(c.FromEpoch, c.ToEpoch) && equal(c.FromMetadata, c.ToMetadata)
	}
	if same && !l.touch {
		c.note("does not move")
		c.ToEpoch, c.ToMetadata = c.FromEpoch, c.FromMetadata
		return
	}
	c.Action = ActionWrite
	if c.From == nil {
		c.note("creates a %s", c.what())
	}
	if row.Metadata != nil && *row.Metadata != "" && to.Metadata == "" {
		c.warn(CodeMetadataErased, "erases the metadata %q", *row.Metadata)
	}
}

// seen notes what is odd about the partition as it stands.
func (c *Change) seen(row *inspect.Partition) {
	if row.PendingTxn != nil && *row.PendingTxn {
		c.warn(CodePendingCommit, "a transaction holds a commit: consumers wait until it ends, and its producer may commit again")
	}
	if row.LeaderEpoch != nil && row.CurrentEpoch != nil && *row.LeaderEpoch > *row.CurrentEpoch {
		c.warn(CodeEpochTooHigh, "the commit's leader epoch %d is above the current %d, which hangs Java consumers", *row.LeaderEpoch, *row.CurrentEpoch)
	}
	if row.Subscribed != nil && !*row.Subscribed {
		c.warn(CodeNotSubscribed, "no member subscribes to the topic")
	}
}

func equal[T comparable](a, b *T) bool { return a == b || a != nil && b != nil && *a == *b }

func ptr[T any](v T) *T { return &v }
