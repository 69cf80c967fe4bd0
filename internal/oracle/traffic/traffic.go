// Package traffic plays steps on a broker as clients of all kinds do, and
// writes down what was asked and answered, with the client's clock around it.
// It knows nothing of what should be true.
package traffic

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"offsets/internal/oracle/record"
	"offsets/internal/oracle/steps"
)

// Names are the names of one playing of a script.
type Names struct{ Prefix string }

// Topic is the name of the script's topic n.
func (n Names) Topic(i int) string { return fmt.Sprintf("%st%d", n.Prefix, i) }

// Group is the name of the script's group n.
func (n Names) Group(i int) string {
	if i >= steps.FirstShare && i < steps.NewGroups {
		return fmt.Sprintf("%ss%d", n.Prefix, i)
	}
	return fmt.Sprintf("%sg%d", n.Prefix, i)
}

// Player plays the steps of one script.
type Player struct {
	Names
	bootstrap []string
	cl        *kgo.Client
	adm       *kadm.Client
	base      time.Time // of record timestamps

	members map[int]*member
	txns    map[int]*txn
	// produced is what a topic holds in its present life, for the copy of it.
	produced map[string][]record.Record
	serial   int
	rolls    int
}

// New returns a player; base is the time that record timestamps count from.
func New(bootstrap string, names Names, base time.Time) (*Player, error) {
	p := &Player{Names: names, bootstrap: strings.Split(bootstrap, ","), base: base,
		members: map[int]*member{}, txns: map[int]*txn{}, produced: map[string][]record.Record{}}
	var err error
	if p.cl, err = p.client(); err != nil {
		return nil, err
	}
	p.adm = kadm.NewClient(p.cl)
	return p, nil
}

func (p *Player) client(opts ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(p.bootstrap...), kgo.MetadataMinAge(10 * time.Millisecond)}, opts...)...)
}

// Close ends all clients that still run.
func (p *Player) Close() {
	for _, m := range p.members {
		m.close()
	}
	for _, t := range p.txns {
		t.cl.Close()
	}
	p.cl.Close()
}

// CleanUp deletes the script's groups and topics, so that the broker stays
// small through an hour of scripts.
func (p *Player) CleanUp(ctx context.Context, w *record.World) {
	var names []string
	for n := range p.rolls {
		names = append(names, p.rollGroup(n+1))
	}
	for name := range w.Groups {
		names = append(names, name)
	}
	if len(names) > 0 {
		_, _ = p.adm.DeleteGroups(ctx, names...)
	}
	for name := range w.Topics {
		_, _ = p.adm.DeleteTopics(ctx, name)
	}
}

// Play plays a step of traffic; world is what stood right before.
func (p *Player) Play(ctx context.Context, s steps.Step, world *record.World) ([]record.Op, error) {
	switch s.Kind {
	case "topic.create":
		return p.create(ctx, p.Topic(s.Topic), s.N, s.How)
	case "topic.produce":
		return p.produce(ctx, p.Topic(s.Topic), p.records(s.Records))
	case "topic.trim":
		return p.trim(ctx, s, world)
	case "topic.recreate":
		return p.recreate(ctx, s)
	case "topic.grow":
		return p.op("topic.grow", func() error {
			r, err := p.adm.UpdatePartitions(ctx, s.N, p.Topic(s.Topic))
			return errors.Join(err, r.Error(), p.ready(ctx, p.Topic(s.Topic), s.N))
		})
	case "topic.delete":
		return p.remove(ctx, p.Topic(s.Topic))
	case "commit":
		return p.commit(ctx, s, world)
	case "txn.begin":
		return p.begin(ctx, s, world)
	case "txn.end":
		return p.endTxn(ctx, s)
	case "member.join":
		return p.join(ctx, s)
	case "member.poll":
		return p.poll(ctx, s)
	case "member.leave":
		return p.leave(ctx, s)
	case "group.delete", "share.delete.group":
		return p.op("group.delete", func() error {
			r, err := p.adm.DeleteGroups(ctx, p.Group(s.Group))
			return errors.Join(err, r.Error())
		})
	case "offsets.delete":
		return p.op("offsets.delete", func() error {
			set := kadm.TopicsSet{}
			set.Add(p.Topic(s.Topic), s.Partitions...)
			r, err := p.adm.DeleteOffsets(ctx, p.Group(s.Group), set)
			return errors.Join(err, r.Error())
		})
	case "share.alter":
		return p.alterShare(ctx, s, world)
	case "share.consume":
		return p.consumeShare(ctx, s)
	case "share.delete":
		return p.op("share.delete", func() error {
			r, err := p.adm.DeleteShareGroupOffsets(ctx, p.Group(s.Group), p.Topic(s.Topic))
			return errors.Join(err, r.Error())
		})
	case "compact":
		return p.compact(ctx)
	}
	return nil, fmt.Errorf("no such step: %s", s.Kind)
}

// op is an operation without details. What the broker refuses is no error of
// the script: scripts play blindly.
func (p *Player) op(kind string, do func() error) ([]record.Op, error) {
	o := record.Op{Kind: kind, Begin: time.Now()}
	err := do()
	o.End = time.Now()
	if err != nil {
		o.Err = err.Error()
		var code *kerr.Error
		o.Unknown = !errors.As(err, &code) || code == kerr.RequestTimedOut
	}
	return []record.Op{o}, nil
}

func (p *Player) commit(ctx context.Context, s steps.Step, world *record.World) ([]record.Op, error) {
	topic := p.Topic(s.Topic)
	info, err := p.adm.ListTopics(ctx, topic)
	if err != nil {
		return nil, err
	}
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group, req.Generation = p.Group(s.Group), -1
	t := kmsg.NewOffsetCommitRequestTopic()
	t.Topic, t.TopicID = topic, info[topic].ID
	var ops []record.Op
	for i, n := range s.Partitions {
		tp := record.TP{Topic: topic, Partition: n}
		ends, ok := world.Partition(tp)
		if !ok {
			continue
		}
		c := record.Commit{Offset: s.Places[min(i, len(s.Places)-1)].In(ends.Start, ends.End), Epoch: -1, Metadata: s.Metadata}
		if s.Epoch {
			c.Epoch = ends.Epoch
		}
		rp := kmsg.NewOffsetCommitRequestTopicPartition()
		rp.Partition, rp.Offset, rp.LeaderEpoch, rp.Metadata = n, c.Offset, c.Epoch, kmsg.StringPtr(c.Metadata)
		t.Partitions = append(t.Partitions, rp)
		ops = append(ops, record.Op{Kind: "commit", Group: req.Group, TP: tp, Commit: &c})
	}
	if len(ops) == 0 {
		return nil, nil
	}
	req.Topics = append(req.Topics, t)
	begin := time.Now()
	resp, err := req.RequestWith(ctx, p.cl)
	end := time.Now()
	for i := range ops {
		ops[i].Begin, ops[i].End = begin, end
		switch {
		case err != nil:
			ops[i].Err, ops[i].Unknown = err.Error(), true
		default:
			if code := kerr.ErrorForCode(resp.Topics[0].Partitions[i].ErrorCode); code != nil {
				ops[i].Err = code.Error()
			}
		}
	}
	return ops, nil
}
