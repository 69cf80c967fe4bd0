package traffic

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"offsets/internal/oracle/record"
	"offsets/internal/oracle/steps"
)

// txn is a transaction that is open, with the producer that may end it.
type txn struct {
	cl    *kgo.Client
	id    string
	pid   int64
	epoch int16
}

// begin commits offsets in a transaction and leaves it open. A short one is
// aborted by the broker, if nobody ends it before.
func (p *Player) begin(ctx context.Context, s steps.Step, world *record.World) ([]record.Op, error) {
	group, topic := p.Group(s.Group), p.Topic(s.Topic)
	timeout := time.Minute
	if s.How == "short" {
		timeout = 3 * time.Second
	}
	t := &txn{id: fmt.Sprintf("%stx%d", p.Prefix, s.Txn)}
	var err error
	if t.cl, err = p.client(kgo.TransactionalID(t.id), kgo.TransactionTimeout(timeout)); err != nil {
		return nil, err
	}
	if t.pid, t.epoch, err = t.cl.ProducerID(ctx); err != nil {
		t.cl.Close()
		return nil, err
	}
	p.txns[s.Txn] = t
	info, err := p.adm.ListTopics(ctx, topic)
	if err != nil {
		return nil, err
	}
	add := kmsg.NewPtrAddOffsetsToTxnRequest()
	add.TransactionalID, add.ProducerID, add.ProducerEpoch, add.Group = t.id, t.pid, t.epoch, group
	commit := kmsg.NewPtrTxnOffsetCommitRequest()
	commit.TransactionalID, commit.ProducerID, commit.ProducerEpoch, commit.Group, commit.Generation = t.id, t.pid, t.epoch, group, -1
	rt := kmsg.NewTxnOffsetCommitRequestTopic()
	rt.Topic, rt.TopicID = topic, info[topic].ID
	var ops []record.Op
	for _, n := range s.Partitions {
		tp := record.TP{Topic: topic, Partition: n}
		ends, ok := world.Partition(tp)
		if !ok {
			continue
		}
		c := record.Commit{Offset: s.Places[0].In(ends.Start, ends.End), Epoch: -1, Metadata: "txn"}
		rp := kmsg.NewTxnOffsetCommitRequestTopicPartition()
		rp.Partition, rp.Offset, rp.LeaderEpoch, rp.Metadata = n, c.Offset, -1, kmsg.StringPtr(c.Metadata)
		rt.Partitions = append(rt.Partitions, rp)
		ops = append(ops, record.Op{Kind: "txn.commit", Group: group, TP: tp, Commit: &c, Txn: s.Txn})
	}
	if len(ops) == 0 {
		return nil, nil
	}
	commit.Topics = append(commit.Topics, rt)
	begin := time.Now()
	err = again(ctx, func() error {
		resp, err := add.RequestWith(ctx, t.cl)
		if err == nil {
			err = kerr.ErrorForCode(resp.ErrorCode)
		}
		return err
	})
	if err == nil {
		err = again(ctx, func() error {
			resp, err := commit.RequestWith(ctx, t.cl)
			if err == nil {
				err = kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode)
			}
			return err
		})
	}
	for i := range ops {
		ops[i].Begin, ops[i].End = begin, time.Now()
		if err != nil {
			ops[i].Err, ops[i].Unknown = err.Error(), true
		}
	}
	return ops, nil
}

func (p *Player) endTxn(ctx context.Context, s steps.Step) ([]record.Op, error) {
	t := p.txns[s.Txn]
	if t == nil {
		return nil, nil
	}
	delete(p.txns, s.Txn)
	defer t.cl.Close()
	ops, err := p.op("txn."+s.How, func() error {
		req := kmsg.NewPtrEndTxnRequest()
		req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Commit = t.id, t.pid, t.epoch, s.How == "commit"
		err := again(ctx, func() error {
			resp, err := req.RequestWith(ctx, t.cl)
			if err == nil {
				err = kerr.ErrorForCode(resp.ErrorCode)
			}
			return err
		})
		p.untilEnded(ctx, t.id)
		return err
	})
	for i := range ops {
		ops[i].Txn = s.Txn
	}
	return ops, err
}

// untilEnded waits until a transaction's markers are written: they follow the
// answer, on a busy machine by seconds.
func (p *Player) untilEnded(ctx context.Context, id string) {
	for begun := time.Now(); time.Since(begun) < 15*time.Second; {
		all, err := p.adm.DescribeTransactions(ctx, id)
		if t := all[id]; err == nil && t.Err == nil && t.State != "Ongoing" && !strings.HasPrefix(t.State, "Prepare") {
			break
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
	time.Sleep(100 * time.Millisecond) // until the coordinator of the group has it
}

// again repeats what a coordinator refuses while it is busy with what came
// before.
func again(ctx context.Context, do func() error) error {
	var err error
	for range 40 {
		if err = do(); err == nil || !(errors.Is(err, kerr.ConcurrentTransactions) || errors.Is(err, kerr.CoordinatorLoadInProgress) ||
			errors.Is(err, kerr.NotCoordinator) || errors.Is(err, kerr.CoordinatorNotAvailable)) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(50 * time.Millisecond):
		}
	}
	return err
}
