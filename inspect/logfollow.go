package inspect

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"

	"offsets/inspect/commitlog"
	"offsets/inspect/commitlog/segment"
)

// followInterval is how often the ends of the log are looked at.
const followInterval = 300 * time.Millisecond

// follow goes on where readLog ended, until the context is done: it looks where
// the log ends, and reads what has come. The state of a transaction is what was
// known when its record is yielded.
func (c *Cluster) follow(ctx context.Context, topics kadm.TopicDetails, positions map[TopicPartition]int64, sinks func(partition *int32) sink, yield func(chunk) bool) {
	wanted := make([]TopicPartition, 0, len(positions))
	readers := map[TopicPartition]*partitionReader{}
	ended := map[TopicPartition]*segment.Transactions{}
	goOn := true
	for tp := range positions {
		wanted = append(wanted, tp)
		ended[tp] = &segment.Transactions{}
		readers[tp] = &partitionReader{
			c: c, topic: topics[commitlog.Topic], partition: tp.Partition, sink: sinks(&tp.Partition),
			send: func(ch chunk) bool { goOn = goOn && yield(ch); return goOn },
		}
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(followInterval):
		}
		for tp, e := range c.logEnds(ctx, topics, wanted) {
			// A broker that is away for a while is asked again.
			if e.status != "" || *e.end <= positions[tp] {
				continue
			}
			p, from := readers[tp], positions[tp]
			err := p.fetchRange(ctx, from, *e.end, 0, func(b *segment.Batch, _ []kmsg.FetchResponseTopicPartitionAbortedTransaction) error {
				if err := ended[tp].Add(b); err != nil {
					return err
				}
				if err := p.sink.batch(b, from, *e.end, ended[tp].State, func() error { return p.pass(false) }); err != nil {
					return err
				}
				// After a failure reading goes on behind what was taken.
				positions[tp] = min(b.NextOffset(), *e.end)
				return p.pass(false)
			}, p.sink.damaged)
			if err == nil {
				err = p.pass(true)
			}
			if err != nil && ctx.Err() == nil && goOn {
				goOn = yield(chunk{err: fmt.Errorf("partition %d of %s: %w", tp.Partition, commitlog.Topic, err)})
			}
			if !goOn {
				return
			}
			if err == nil {
				positions[tp] = *e.end
			}
		}
	}
}
