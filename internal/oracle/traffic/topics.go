package traffic

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"offsets/internal/oracle/record"
	"offsets/internal/oracle/steps"
)

func (p *Player) create(ctx context.Context, topic string, partitions int, how string) ([]record.Op, error) {
	p.produced[topic] = nil
	return p.op("topic.create", func() error {
		// Records are as old as the script wants them: no retention unless asked for.
		configs := map[string]*string{"retention.ms": kadm.StringPtr("-1")}
		switch how {
		case "compact":
			configs["cleanup.policy"] = kadm.StringPtr("compact")
		case "retention":
			configs["retention.bytes"] = kadm.StringPtr("2000")
			configs["segment.bytes"] = kadm.StringPtr("1048576")
		}
		var err error
		for range 50 { // its predecessor may be on its way out
			if _, err = p.adm.CreateTopic(ctx, int32(partitions), -1, configs, topic); err == nil {
				return p.ready(ctx, topic, partitions)
			}
			time.Sleep(100 * time.Millisecond)
		}
		return err
	})
}

// ready waits until all partitions have leaders that answer.
func (p *Player) ready(ctx context.Context, topic string, partitions int) error {
	var err error
	for range 100 {
		var l kadm.ListedOffsets
		l, err = p.adm.ListEndOffsets(ctx, topic)
		if err == nil {
			err = l.Error()
		}
		if err == nil && len(l[topic]) == partitions {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return errors.Join(fmt.Errorf("%s has no leaders for all of its %d partitions", topic, partitions), err)
}

func (p *Player) remove(ctx context.Context, topic string) ([]record.Op, error) {
	delete(p.produced, topic)
	return p.op("topic.delete", func() error {
		if _, err := p.adm.DeleteTopic(ctx, topic); err != nil {
			return err
		}
		for range 100 { // until nobody knows it
			all, err := p.adm.ListTopics(ctx)
			if err == nil && !all.Has(topic) {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
		// Its commits go a moment later: the coordinator hears of it by itself.
		time.Sleep(700 * time.Millisecond)
		return nil
	})
}

func (p *Player) recreate(ctx context.Context, s steps.Step) ([]record.Op, error) {
	topic := p.Topic(s.Topic)
	old := p.produced[topic]
	ops, err := p.remove(ctx, topic)
	if err != nil {
		return ops, err
	}
	made, err := p.create(ctx, topic, s.N, "")
	ops = append(ops, made...)
	if err != nil || s.How != "copy" {
		return ops, err
	}
	again := p.records(s.Records) // others first, so that the offsets shift
	for _, r := range old {
		if int(r.TP.Partition) < s.N {
			again = append(again, r)
		}
	}
	sent, err := p.produce(ctx, topic, again)
	return append(ops, sent...), err
}

// records are new ones, each with a key of its own.
func (p *Player) records(want []steps.Record) []record.Record {
	out := make([]record.Record, len(want))
	for i, r := range want {
		p.serial++
		out[i] = record.Record{TP: record.TP{Partition: r.Partition}, Time: p.base.UnixMilli() + r.At, Key: fmt.Sprintf("k%d", p.serial)}
	}
	return out
}

func (p *Player) produce(ctx context.Context, topic string, records []record.Record) ([]record.Op, error) {
	op := record.Op{Kind: "produce", TP: record.TP{Topic: topic}, Begin: time.Now()}
	// A client of its own: one that knows a deleted topic's id goes on using it.
	cl, err := p.client(kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(5*time.Millisecond))
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	var all []*kgo.Record
	for _, r := range records {
		all = append(all, &kgo.Record{Topic: topic, Partition: r.TP.Partition, Timestamp: time.UnixMilli(r.Time), Key: []byte(r.Key), Value: []byte("v-" + r.Key)})
	}
	// A limit of the client would count from the records' own timestamps.
	short, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	results := cl.ProduceSync(short, all...)
	op.End = time.Now()
	sent := map[string]record.Record{} // results come as partitions are done
	for _, r := range records {
		sent[r.Key] = r
	}
	for _, res := range results {
		if res.Err != nil {
			op.Err = res.Err.Error()
			continue
		}
		r := sent[string(res.Record.Key)]
		r.TP.Topic, r.Offset = topic, res.Record.Offset
		op.Records = append(op.Records, r)
		p.produced[topic] = append(p.produced[topic], r)
	}
	return []record.Op{op}, nil
}

func (p *Player) trim(ctx context.Context, s steps.Step, world *record.World) ([]record.Op, error) {
	topic := p.Topic(s.Topic)
	offsets := kadm.Offsets{}
	for _, n := range s.Partitions {
		if ends, ok := world.Partition(record.TP{Topic: topic, Partition: n}); ok {
			offsets.Add(kadm.Offset{Topic: topic, Partition: n, At: s.Places[0].In(ends.Start, ends.End), LeaderEpoch: -1})
		}
	}
	return p.op("topic.trim", func() error {
		r, err := p.adm.DeleteRecords(ctx, offsets)
		return errors.Join(err, r.Error())
	})
}

func (p *Player) rollGroup(n int) string { return fmt.Sprintf("roll-%s%d", p.Prefix, n) }

// compact makes the broker compact the offsets topic: short segments for a
// moment, and commits of groups on all of its partitions that make it begin new
// ones. It takes longer than the cleaner sleeps.
func (p *Player) compact(ctx context.Context) ([]record.Op, error) {
	const topic = "__consumer_offsets"
	return p.op("compact", func() error {
		set := func(op kadm.IncrementalOp) error {
			_, err := p.adm.AlterTopicConfigs(ctx, []kadm.AlterConfig{
				{Op: op, Name: "segment.ms", Value: kadm.StringPtr("50")},
				{Op: op, Name: "min.cleanable.dirty.ratio", Value: kadm.StringPtr("0.0001")},
			}, topic)
			return err
		}
		if err := set(kadm.SetConfig); err != nil {
			return err
		}
		time.Sleep(150 * time.Millisecond)
		for range 12 {
			// Each name once: a key that is written again leaves a gap of its
			// own, and the last gap is what the program reasons about.
			p.rolls++
			req := kadm.Offsets{}
			req.Add(kadm.Offset{Topic: p.Topic(1), Partition: 0, At: 0, LeaderEpoch: -1})
			_, _ = p.adm.CommitOffsets(ctx, p.rollGroup(p.rolls), req)
		}
		time.Sleep(2500 * time.Millisecond)
		return set(kadm.DeleteConfig)
	})
}
