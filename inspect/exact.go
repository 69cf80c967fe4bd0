package inspect

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"

	"offsets/inspect/commitlog/segment"
)

// count reads all that is unread, and counts the records: the lag counts
// offsets, of which transaction markers and compaction leave some without a
// record. Who reads committed records does not see those of aborted
// transactions; they are not counted then.
//
// A batch that unpacks to more than it may is a problem.
func (c *Cluster) count(ctx context.Context, topics kadm.TopicDetails, groups []Group) (problems []Problem) {
	for i := range groups {
		for j := range groups[i].Partitions {
			if p := &groups[i].Partitions[j]; p.Lag != nil && *p.Lag == 0 {
				p.RecordsBehind = new(int64)
			}
		}
	}
	slots := make(chan struct{}, parallelPartitions)
	var wg sync.WaitGroup
	var mu sync.Mutex
	for _, u := range unreadOf(groups) {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			n, err := c.countRecords(ctx, topics[u.row.Topic], u)
			if err == nil {
				u.row.RecordsBehind = &n
			}
			if _, tooLarge := errors.AsType[*segment.TooLargeError](err); tooLarge {
				mu.Lock()
				defer mu.Unlock()
				problems = append(problems, ProblemOf(u.group, u.row, fmt.Errorf("counting records: %w", err)))
			}
		})
	}
	wg.Wait()
	return problems
}

func (c *Cluster) countRecords(ctx context.Context, topic kadm.TopicDetail, u unread) (int64, error) {
	s := countSink{}
	p := partitionReader{c: c, topic: topic, partition: u.row.Partition, sink: &s, send: func(chunk) bool { return true }}
	from, end := u.from(), u.end
	if u.row.readCommitted {
		s.committed = true
		_, err := p.readCommitted(ctx, from, end)
		return s.n, err
	}
	err := p.fetchRange(ctx, from, end, 0, func(b *segment.Batch, _ []kmsg.FetchResponseTopicPartitionAbortedTransaction) error {
		return s.batch(b, from, end, nil, nil)
	}, s.damaged)
	return s.n, err
}

// countSink counts records that a consumer would be given.
type countSink struct {
	n         int64
	committed bool // without those of aborted transactions
}

func (s *countSink) batch(b *segment.Batch, from, end int64, state states, _ func() error) error {
	if b.IsControl() || s.committed && b.IsTransactional() && state(b.ProducerID, b.BaseOffset) == segment.Aborted {
		return nil
	}
	if b.BaseOffset >= from && b.NextOffset() <= end && b.Counted() {
		s.n += int64(b.NumRecords)
		return nil
	}
	err := b.Records(func(r segment.Record) error {
		if r.Offset >= from && r.Offset < end {
			s.n++
		}
		return nil
	})
	if _, tooLarge := errors.AsType[*segment.TooLargeError](err); tooLarge {
		return fmt.Errorf("batch at offset %d: %w", b.BaseOffset, err)
	}
	return nil // what is damaged is no record
}

func (s *countSink) ended(int64, error) {}

func (s *countSink) damaged(*segment.DamageError) {}
func (s *countSink) looksAhead() bool             { return false }
func (s *countSink) take(bool) (chunk, bool)      { return chunk{}, false }
