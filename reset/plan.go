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

// Options says what to change.
type Options struct {
	To Position
	// Topics selects partitions; none means those that have a commit.
	Topics []TopicSelection
	// Clamp moves a target outside the log inside, instead of refusing it.
	Clamp bool
	// Touch also writes what does not move.
	Touch     bool
	Isolation Isolation
}

// Verified says whether a read-back saw what was written.
type Verified string

// The values of verified.
const (
	VerifiedYes Verified = "yes"
	Overwritten Verified = "overwritten" // somebody else committed in between
	NotChecked  Verified = "not_checked" // the read-back failed
)

// Plan is what a change would do to one group, and when it is applied, what it
// did.
type Plan struct {
	Group    string    `json:"group"`
	Applied  bool      `json:"applied"`
	Verified *Verified `json:"verified"` // nil while nothing is written
	// Blocked are the members that must stop before the plan can be applied.
	Blocked    []inspect.Member `json:"blocked"`
	Receipt    *string          `json:"receipt"`
	Partitions []Change         `json:"partitions"`
	Total      Total            `json:"total"`

	refusals []string
	// Left are partitions of the same topics without a commit: the policy
	// decides about them, not this plan.
	left []inspect.TopicPartition
	// create: the group does not exist yet.
	state string
	typ   string
}

// Change is what happens to one partition.
type Change struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	From      *int64 `json:"from"` // nil: no commit
	To        *int64 `json:"to"`   // nil: left alone
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

	topicID string
	written bool
}

// Total sums up a plan's changes.
type Total struct {
	Reread  int64 `json:"reread"`
	Skipped int64 `json:"skipped"`
	Lost    int64 `json:"lost"`
}

// ErrNothingSelected means that the selection has no partition.
var ErrNothingSelected = errors.New("nothing selected")

// RefusedError means that a change would be unsafe. Nothing was written.
type RefusedError struct {
	Group   string
	Reasons []string
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("refused for group %s: %s", e.Group, strings.Join(e.Reasons, "; "))
}

// Build makes the plan for one group, of which all partitions of the topics
// concerned were described.
func Build(g inspect.Group, o Options) (Plan, error) {
	p := Plan{Group: g.Group, Blocked: append([]inspect.Member{}, g.Members...), Partitions: []Change{}, state: g.State, typ: g.Type}
	for i := range g.Partitions {
		row := &g.Partitions[i]
		switch selected(o.Topics, row) {
		case yes:
			p.Partitions = append(p.Partitions, change(row, o))
		case sibling:
			p.left = append(p.left, inspect.TopicPartition{Topic: row.Topic, Partition: row.Partition})
		}
	}
	if err := missing(g, o.Topics); err != nil {
		return p, err
	}
	if len(p.Partitions) == 0 {
		return p, fmt.Errorf("group %s: %w: it has no commits; name topics with --topic", g.Group, ErrNothingSelected)
	}
	for i := range p.Partitions {
		c := &p.Partitions[i]
		if c.Error != nil {
			p.refusals = append(p.refusals, fmt.Sprintf("%s-%d: %s", c.Topic, c.Partition, *c.Error))
		}
	}
	p.Total = sum(p.Partitions)
	return p, nil
}

type match int

const (
	no match = iota
	yes
	sibling
)

func selected(topics []TopicSelection, row *inspect.Partition) match {
	if len(topics) == 0 {
		switch {
		case row.Committed != nil:
			return yes
		case row.Status == inspect.NoCommit:
			return sibling
		}
		return no
	}
	for _, t := range topics {
		if t.Topic == row.Topic && (t.Partitions == nil || slices.Contains(t.Partitions, row.Partition)) {
			return yes
		}
	}
	return no
}

// missing finds selected topics and partitions that do not exist.
func missing(g inspect.Group, topics []TopicSelection) error {
	have := map[inspect.TopicPartition]bool{}
	known := map[string]bool{}
	for i := range g.Partitions {
		row := &g.Partitions[i]
		if row.Status != inspect.TopicGone {
			have[inspect.TopicPartition{Topic: row.Topic, Partition: row.Partition}] = true
			known[row.Topic] = true
		}
	}
	for _, t := range topics {
		if !known[t.Topic] {
			return fmt.Errorf("topic %s: %w", t.Topic, ErrNoTopic)
		}
		for _, p := range t.Partitions {
			if !have[inspect.TopicPartition{Topic: t.Topic, Partition: p}] {
				return fmt.Errorf("topic %s has no partition %d: %w", t.Topic, p, ErrNoTopic)
			}
		}
	}
	return nil
}

// ErrNoTopic means that a selected topic or partition does not exist, or may
// not be seen.
var ErrNoTopic = errors.New("it does not exist, or this user may not see it")

// change plans one partition.
func change(row *inspect.Partition, o Options) Change {
	c := Change{Topic: row.Topic, Partition: row.Partition, From: row.Committed, LogStart: row.LogStart, LogEnd: row.LogEnd, Lost: row.Lost}
	if row.TopicID != nil {
		c.topicID = *row.TopicID
	}
	var notes []string
	if row.LogStart == nil || row.LogEnd == nil {
		reason := string(row.Status)
		if row.Error != nil {
			reason += ": " + *row.Error
		}
		if row.Status == inspect.TopicGone && len(o.Topics) == 0 {
			c.Note = ptr("the topic is gone: left alone")
			return c
		}
		c.Error = ptr("cannot be planned: " + reason)
		return c
	}
	to, err := target(row, o)
	if err != "" {
		c.Error = &err
		return c
	}
	if to == nil {
		c.Note = ptr("no commit: left to the policy")
		return c
	}
	c.To = to
	if o.To.kind != current && (*to < *row.LogStart || *to > *row.LogEnd) && !o.Clamp {
		c.Error = ptr(fmt.Sprintf("offset %d is outside the log (%d to %d); --clamp moves it inside", *to, *row.LogStart, *row.LogEnd))
		return c
	}
	if inside := min(max(*to, *row.LogStart), *row.LogEnd); inside != *to && o.Clamp {
		notes = append(notes, fmt.Sprintf("clamped from %d", *to))
		*to = inside
	}
	if o.To.kind == latest && row.LastStable != nil && *row.LastStable < *row.LogEnd && o.Isolation != ReadCommitted {
		notes = append(notes, fmt.Sprintf("open transaction: last stable offset is %d", *row.LastStable))
		if o.Isolation == Unstated {
			c.Error = ptr(fmt.Sprintf("a transaction is open from offset %d on: say --isolation read_committed to stop there, or read_uncommitted to skip it", *row.LastStable))
		}
	}
	if row.Committed == nil {
		notes = append(notes, "creates a commit")
	} else if *row.Committed == *to && !o.Touch {
		notes = append(notes, "does not move")
	}
	if row.Metadata != nil && *row.Metadata != "" && c.moves(o) {
		notes = append(notes, fmt.Sprintf("erases the metadata %q", *row.Metadata))
	}
	if len(notes) > 0 {
		c.Note = ptr(strings.Join(notes, "; "))
	}
	c.Reread, c.Skipped = inspect.Move(c.From, *to, *row.LogStart, *row.LogEnd)
	return c
}

// target is where the position lies on a partition; nil leaves it alone.
func target(row *inspect.Partition, o Options) (to *int64, err string) {
	switch o.To.kind {
	case earliest:
		return ptr(*row.LogStart), ""
	case latest:
		if o.Isolation == ReadCommitted && row.LastStable != nil {
			return ptr(*row.LastStable), ""
		}
		return ptr(*row.LogEnd), ""
	case at:
		return ptr(o.To.offset), ""
	}
	if row.Committed == nil {
		if o.To.kind == shift {
			return nil, "no commit to shift from"
		}
		return nil, ""
	}
	if o.To.kind == current {
		return ptr(*row.Committed), ""
	}
	return ptr(saturated(*row.Committed, o.To.offset)), ""
}

// saturated adds without wrapping around: offsets reach up to 2^63-1.
func saturated(a, b int64) int64 {
	sum := a + b
	if b > 0 && sum < a {
		return 1<<63 - 1
	}
	return sum
}

// moves says whether the change is written.
func (c *Change) moves(o Options) bool {
	return c.To != nil && (c.From == nil || *c.From != *c.To || o.Touch)
}

func sum(changes []Change) Total {
	var t Total
	for _, c := range changes {
		if c.Reread != nil {
			t.Reread += *c.Reread
		}
		if c.Skipped != nil {
			t.Skipped += *c.Skipped
		}
		if c.Lost != nil {
			t.Lost += *c.Lost
		}
	}
	return t
}

// Left are the uncommitted partitions of the same topics, about which the
// policy decides.
func (p *Plan) Left() []inspect.TopicPartition { return p.left }

// Refused says why the plan cannot be carried out as it stands; nil if it can.
// Members do not count: they may be gone when it is applied.
func (p *Plan) Refused() error {
	if len(p.refusals) == 0 {
		return nil
	}
	return &RefusedError{Group: p.Group, Reasons: p.refusals}
}

// Active says who must stop before the plan can be applied; nil if nobody.
func (p *Plan) Active() error {
	var reasons []string
	for i := range p.Blocked {
		m := &p.Blocked[i]
		who := fmt.Sprintf("client %s on %s", m.ClientID, m.Host)
		if m.InstanceID != nil {
			who += " (static member " + *m.InstanceID + ")"
		}
		reasons = append(reasons, who)
	}
	switch {
	case len(reasons) > 0:
		return &RefusedError{Group: p.Group, Reasons: []string{"it has members that must stop first: " + strings.Join(reasons, ", ")}}
	case p.state != "" && p.state != "Empty" && p.state != "Dead":
		return &RefusedError{Group: p.Group, Reasons: []string{"its state is " + p.state}}
	case p.typ != inspect.Classic && p.typ != inspect.Consumer:
		return &RefusedError{Group: p.Group, Reasons: []string{"groups of type " + p.typ + " are not changed"}}
	}
	return nil
}

func ptr[T any](v T) *T { return &v }
