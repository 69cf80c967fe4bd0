package reset

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"offsets/inspect"
)

// Changer plans and applies changes on one cluster.
type Changer struct {
	adm     *kadm.Client
	cluster *inspect.Cluster
}

// New returns a changer that uses the given client, which stays the caller's.
func New(cl *kgo.Client) *Changer {
	return &Changer{adm: kadm.NewClient(cl), cluster: inspect.New(cl)}
}

// Plans describes the groups and makes a plan for each. Groups that could not
// be described are in the problems. createGroup plans for groups that do not
// exist.
func (c *Changer) Plans(ctx context.Context, groups []string, o Options, createGroup bool) ([]Plan, []inspect.Problem, error) {
	d, err := c.cluster.Describe(ctx, groups, inspect.DescribeOptions{AllPartitions: true, Topics: names(o.Topics), CreateMissing: createGroup})
	if err != nil {
		return nil, nil, err
	}
	var plans []Plan
	for g, err := range d.Groups {
		if err != nil {
			return nil, nil, err
		}
		p, err := Build(g, o)
		if err != nil {
			return nil, nil, err
		}
		plans = append(plans, p)
	}
	return plans, d.Problems, nil
}

func names(topics []TopicSelection) []string {
	var out []string
	for _, t := range topics {
		out = append(out, t.Topic)
	}
	return out
}

// maxWrite is how many partitions go into one commit request. A broker refuses
// a request as a whole when its records do not fit into one batch (1 MiB by
// default); a partition with the longest names takes about 600 bytes.
const maxWrite = 400

// Apply writes the plan, after it has looked once more whether it still holds,
// and reads back what it wrote. The plan's rows carry the errors of single
// partitions.
//
// Errors: [*RefusedError], then nothing was written; [*IncompleteError].
func (c *Changer) Apply(ctx context.Context, p *Plan, o Options) error {
	if err := p.Refused(); err != nil {
		return err
	}
	if err := c.check(ctx, p, o); err != nil {
		return err
	}
	var moving []*Change
	for i := range p.Partitions {
		if ch := &p.Partitions[i]; ch.moves(o) {
			moving = append(moving, ch)
		}
	}
	if len(moving) == 0 {
		p.Applied = true
		return nil
	}
	// From here to the read-back nothing but the broker ends the work: half a
	// change that nobody looks at again is the worst of all outcomes.
	ctx = context.WithoutCancel(ctx)
	for chunk := range slices.Chunk(moving, maxWrite) {
		c.write(ctx, p.Group, chunk)
	}
	c.readBack(ctx, p, moving)
	failed := 0
	for _, ch := range moving {
		if !ch.written {
			failed++
		}
	}
	p.Applied = failed < len(moving)
	if failed > 0 {
		return &IncompleteError{Group: p.Group, Failed: failed, Written: len(moving) - failed}
	}
	return nil
}

// IncompleteError means that some or all partitions were not written; the rows
// say which, and why.
type IncompleteError struct {
	Group           string
	Failed, Written int
}

func (e *IncompleteError) Error() string {
	return fmt.Sprintf("group %s: %d of %d partitions were not written", e.Group, e.Failed, e.Failed+e.Written)
}

// check looks again right before the write.
func (c *Changer) check(ctx context.Context, p *Plan, o Options) error {
	d, err := c.cluster.Describe(ctx, []string{p.Group}, inspect.DescribeOptions{AllPartitions: true, Topics: names(o.Topics), CreateMissing: true})
	if err != nil {
		return err
	}
	var now inspect.Group
	for g, err := range d.Groups {
		if err != nil {
			return err
		}
		now = g
	}
	if len(d.Problems) > 0 {
		return fmt.Errorf("looking again before the write: %w", d.Problems[0].Err)
	}
	p.Blocked, p.state = append([]inspect.Member{}, now.Members...), now.State
	if err := p.Active(); err != nil {
		return err
	}
	var stale []string
	if p.typ != now.Type {
		stale = append(stale, fmt.Sprintf("its type was %s and is %s", p.typ, now.Type))
	}
	for i := range p.Partitions {
		if ch := &p.Partitions[i]; ch.moves(o) {
			if why := ch.staleSince(now); why != "" {
				stale = append(stale, fmt.Sprintf("%s-%d: %s", ch.Topic, ch.Partition, why))
			}
		}
	}
	if len(stale) > 0 {
		return &RefusedError{Group: p.Group, Reasons: append([]string{"the plan is stale, make it again"}, stale...)}
	}
	return nil
}

// staleSince says what has changed since the plan was made.
func (c *Change) staleSince(now inspect.Group) string {
	i := slices.IndexFunc(now.Partitions, func(r inspect.Partition) bool { return r.Topic == c.Topic && r.Partition == c.Partition })
	if i < 0 {
		return "it is gone"
	}
	row := &now.Partitions[i]
	switch {
	case row.TopicID != nil && *row.TopicID != c.topicID:
		return "the topic was deleted and created again"
	case !equal(row.Committed, c.From):
		return fmt.Sprintf("committed was %s and is %s", show(c.From), show(row.Committed))
	case row.LogStart == nil:
		return "it cannot be read: " + string(row.Status)
	case *c.To < *row.LogStart && c.LogStart != nil && *c.To >= *c.LogStart:
		return fmt.Sprintf("the log now starts at %d", *row.LogStart)
	}
	return ""
}

func equal(a, b *int64) bool { return a == b || a != nil && b != nil && *a == *b }

func show(n *int64) string {
	if n == nil {
		return "nothing"
	}
	return fmt.Sprint(*n)
}

// write commits some partitions without membership; the broker itself refuses
// that while the group has members.
func (c *Changer) write(ctx context.Context, group string, changes []*Change) {
	var offsets kadm.Offsets
	for _, ch := range changes {
		offsets.Add(kadm.Offset{Topic: ch.Topic, TopicID: parseTopicID(ch.topicID), Partition: ch.Partition, At: *ch.To, LeaderEpoch: -1})
	}
	resp, err := c.adm.CommitOffsets(ctx, group, offsets)
	for _, ch := range changes {
		r, ok := resp.Lookup(ch.Topic, ch.Partition)
		switch {
		case err != nil:
			ch.Error = ptr(err.Error())
		case !ok:
			ch.Error = ptr("the broker did not answer for this partition")
		case r.Err != nil:
			ch.Error = ptr(r.Err.Error())
		default:
			ch.written = true
		}
	}
}

// readBack compares what is committed now with what was written. A write whose
// answer was lost counts as done if it is there.
func (c *Changer) readBack(ctx context.Context, p *Plan, moving []*Change) {
	verified := VerifiedYes
	resp, err := c.adm.FetchOffsets(ctx, p.Group)
	if err != nil {
		verified = NotChecked
	}
	for _, ch := range moving {
		if err != nil {
			break
		}
		r, ok := resp.Lookup(ch.Topic, ch.Partition)
		there := ok && r.Err == nil && r.At == *ch.To
		switch {
		case there:
			ch.written, ch.Error = true, nil
		case ch.written:
			verified = Overwritten
			ch.Note = ptr("overwritten: committed is " + committedText(r, ok) + " now, somebody else commits to this group")
		}
	}
	p.Verified = &verified
}

func committedText(r kadm.OffsetResponse, ok bool) string {
	switch {
	case !ok || r.At < 0:
		return "nothing"
	case r.Err != nil:
		return r.Err.Error()
	}
	return fmt.Sprint(r.At)
}

// parseTopicID reads an id as inspect prints it; a zero id lets the broker go
// by name.
func parseTopicID(s string) (id kadm.TopicID) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err == nil && len(b) == len(id) {
		copy(id[:], b)
	}
	return id
}
