package traffic

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"offsets/internal/oracle/desk"
	"offsets/internal/oracle/record"
	"offsets/internal/oracle/steps"
)

// Java plays the steps of Java's clients, which live in the JVM of the desk
// from one step to another.
type Java struct {
	*Player
	desk    *desk.Desk
	members map[int]*javaMember
}

type javaMember struct {
	*desk.Member
	group string
}

// NewJava returns a player of Java's clients.
func NewJava(p *Player, d *desk.Desk) *Java {
	return &Java{Player: p, desk: d, members: map[int]*javaMember{}}
}

// Close ends the members that are left. They leave their groups, so that nobody
// has to wait for the end of their sessions.
func (j *Java) Close(ctx context.Context) {
	if j == nil {
		return
	}
	for n, m := range j.members {
		_ = m.Close(ctx)
		delete(j.members, n)
	}
}

// javaLimit is for one call; joining a group whose last member was killed takes
// a session.
const javaLimit = 25 * time.Second

// Play plays a step whose kind begins with "java."; world is what stood right
// before.
func (j *Java) Play(ctx context.Context, s steps.Step, world *record.World) ([]record.Op, error) {
	ctx, cancel := context.WithTimeout(ctx, javaLimit)
	defer cancel()
	switch s.Kind {
	case "java.join":
		return j.join(ctx, s)
	case "java.poll":
		return j.poll(ctx, s)
	case "java.leave", "java.crash":
		return j.leave(ctx, s)
	case "java.commit":
		return j.commit(ctx, s, world)
	case "java.txn":
		return j.txn(ctx, s, world)
	case "java.drain":
		return j.op("java.drain", func(op *record.Op) error {
			op.Group = j.Group(s.Group)
			got, err := j.desk.Drain(ctx, op.Group, []string{j.Topic(s.Topic)})
			op.Records = read(got)
			return err
		})
	case "java.share":
		return j.share(ctx, s, world)
	}
	return nil, fmt.Errorf("no such step: %s", s.Kind)
}

// op is an operation that can be filled in. What Java or the broker refuses is
// no error of the script.
func (j *Java) op(kind string, do func(*record.Op) error) ([]record.Op, error) {
	op := record.Op{Kind: kind, Begin: time.Now()}
	err := do(&op)
	op.End = time.Now()
	if err != nil {
		op.Err = err.Error()
		var java *desk.JavaError
		op.Unknown = !errors.As(err, &java) || strings.Contains(java.Name(), "Timeout")
	}
	return []record.Op{op}, nil
}

func read(records []desk.Record) []record.Record {
	out := make([]record.Record, len(records))
	for i, r := range records {
		out[i] = record.Record{TP: record.TP{Topic: r.Topic, Partition: r.Partition}, Offset: r.Offset, Time: r.Timestamp, Key: string(r.Key)}
	}
	return out
}

func (j *Java) join(ctx context.Context, s steps.Step) ([]record.Op, error) {
	return j.op("java.join", func(op *record.Op) error {
		op.Group = j.Group(s.Group)
		o := desk.MemberOptions{
			Group: op.Group, Protocol: desk.Protocol(s.Protocol), InstanceID: s.Instance, ClientID: fmt.Sprintf("java-%d", s.Member),
			Topics: []string{j.Topic(s.Topic)}, Policy: "earliest", Isolation: s.How,
		}
		if s.Protocol == "classic" {
			o.SessionTimeout = 6 * time.Second
			o.Assignor = "org.apache.kafka.clients.consumer.RangeAssignor" // as the other members of these groups
		}
		if s.Protocol == "share" {
			if err := j.fromEarliest(ctx, op.Group); err != nil {
				return err
			}
		}
		m, err := j.desk.Open(ctx, o)
		if err != nil {
			return err
		}
		j.members[s.Member] = &javaMember{m, op.Group}
		if s.Protocol == "share" {
			got, err := m.Poll(ctx, 0, time.Second)
			return errors.Join(err, m.Acknowledge(ctx, desk.AckAll(got, "release")...))
		}
		short, cancel := context.WithTimeout(ctx, 8*time.Second)
		defer cancel()
		_, err = m.Join(short) // there may be fewer partitions than members
		return err
	})
}

// poll reads some records, and commits or accepts them. N below 0 does not
// commit: the member reads and never says so.
func (j *Java) poll(ctx context.Context, s steps.Step) ([]record.Op, error) {
	m := j.members[s.Member]
	if m == nil {
		return nil, nil
	}
	return j.op("java.poll", func(op *record.Op) error {
		op.Group = m.group
		got, err := m.Poll(ctx, max(s.N, -s.N), 1500*time.Millisecond)
		op.Records = read(got)
		if err != nil || len(got) == 0 {
			return err
		}
		if m.Options.Protocol == desk.Share {
			n := min(max(s.N, 0), len(got))
			return m.Acknowledge(ctx, append(desk.AckAll(got[:n], "accept"), desk.AckAll(got[n:], "release")...)...)
		}
		if s.N < 0 {
			return nil
		}
		return m.CommitPolled(ctx)
	})
}

// leave leaves the group, or is gone without a word.
func (j *Java) leave(ctx context.Context, s steps.Step) ([]record.Op, error) {
	m := j.members[s.Member]
	if m == nil {
		return nil, nil
	}
	delete(j.members, s.Member)
	return j.op(s.Kind, func(op *record.Op) error {
		op.Group = m.group
		if s.Kind == "java.crash" {
			return m.Abandon(ctx)
		}
		err := m.Member.Close(ctx)
		time.Sleep(200 * time.Millisecond)
		return err
	})
}

// places are the offsets that a step means.
func (j *Java) places(s steps.Step, world *record.World) []desk.Offset {
	var out []desk.Offset
	for i, n := range s.Partitions {
		ends, ok := world.Partition(record.TP{Topic: j.Topic(s.Topic), Partition: n})
		if !ok {
			continue
		}
		o := desk.Offset{Topic: j.Topic(s.Topic), Partition: n, Offset: s.Places[min(i, len(s.Places)-1)].In(ends.Start, ends.End), Metadata: s.Metadata}
		if s.Epoch {
			o.LeaderEpoch = &ends.Epoch
		}
		out = append(out, o)
	}
	return out
}

// commit is assign() and commitSync, which is how Java programs commit that
// keep away from groups.
func (j *Java) commit(ctx context.Context, s steps.Step, world *record.World) ([]record.Op, error) {
	offsets := j.places(s, world)
	if len(offsets) == 0 {
		return nil, nil
	}
	all, err := j.op("commit", func(op *record.Op) error {
		var assign []desk.TopicPartition
		for _, o := range offsets {
			assign = append(assign, desk.TopicPartition{Topic: o.Topic, Partition: o.Partition})
		}
		m, err := j.desk.Open(ctx, desk.MemberOptions{Group: j.Group(s.Group), ClientID: "java", Assign: assign})
		if err != nil {
			return err
		}
		defer m.Close(ctx)
		op.Begin = time.Now()
		return m.Commit(ctx, offsets...)
	})
	return perOffset(all[0], j.Group(s.Group), offsets), err
}

// perOffset is one operation for each of the offsets that were written together.
func perOffset(op record.Op, group string, offsets []desk.Offset) []record.Op {
	out := make([]record.Op, len(offsets))
	for i, o := range offsets {
		c := record.Commit{Offset: o.Offset, Epoch: -1, Metadata: o.Metadata}
		if o.LeaderEpoch != nil {
			c.Epoch = *o.LeaderEpoch
		}
		out[i] = op
		out[i].Group, out[i].TP, out[i].Commit = group, record.TP{Topic: o.Topic, Partition: o.Partition}, &c
	}
	return out
}

// txn is a Java producer that commits offsets in a transaction and ends it, or
// dies before.
func (j *Java) txn(ctx context.Context, s steps.Step, world *record.World) ([]record.Op, error) {
	offsets := j.places(s, world)
	if len(offsets) == 0 {
		return nil, nil
	}
	all, err := j.op("txn."+s.How, func(*record.Op) error {
		id := fmt.Sprintf("%sjava%d", j.Prefix, s.Txn)
		t, err := j.desk.Txn(ctx, id, 3*time.Second)
		if err != nil {
			return err
		}
		end := t.Commit
		switch s.How {
		case "abort":
			end = t.Abort
		case "abandon":
			end = t.Abandon
		}
		if err := errors.Join(t.Begin(ctx), t.SendOffsets(ctx, j.Group(s.Group), offsets...), end(ctx)); err != nil {
			return errors.Join(err, t.Abandon(ctx))
		}
		if s.How == "abandon" {
			return nil
		}
		j.untilEnded(ctx, id)
		return t.Close(ctx)
	})
	return perOffset(all[0], j.Group(s.Group), offsets), err
}

// share is a share consumer that takes all that is delivered of a topic,
// accepts it, and leaves.
func (j *Java) share(ctx context.Context, s steps.Step, world *record.World) ([]record.Op, error) {
	return j.op("java.share", func(op *record.Op) error {
		op.Group = j.Group(s.Group)
		if err := j.fromEarliest(ctx, op.Group); err != nil {
			return err
		}
		m, err := j.desk.Open(ctx, desk.MemberOptions{Group: op.Group, Protocol: desk.Share, ClientID: "java-share", Topics: []string{j.Topic(s.Topic)}})
		if err != nil {
			return err
		}
		defer m.Close(ctx)
		// It has its partitions after a heartbeat or two.
		quiet, begun := 0, time.Now()
		for quiet < 2 || len(op.Records) == 0 && time.Since(begun) < 4*time.Second {
			got, err := m.Poll(ctx, 1000, 500*time.Millisecond)
			if err != nil {
				return err
			}
			if quiet++; len(got) > 0 {
				quiet = 0
			}
			op.Records = append(op.Records, read(got)...)
			if err := m.Acknowledge(ctx, desk.AckAll(got, "accept")...); err != nil {
				return err
			}
		}
		return nil
	})
}
