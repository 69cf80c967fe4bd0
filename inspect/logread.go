package inspect

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"offsets/inspect/commitlog"
	"offsets/inspect/commitlog/segment"
)

// parallelPartitions is how many partitions are read at once; rows come out
// in the order of partitions all the same.
const parallelPartitions = 4

// fetchBytes is how much one request asks for; a larger batch comes anyway.
const fetchBytes = 4 << 20

// ReadLog reads the live commit log, partition by partition, from its start to
// where it ended when reading began. What cannot be decoded is a row too. It
// needs the right to read the topic. An error about one partition is followed
// by the rows of the next.
func (c *Cluster) ReadLog(ctx context.Context, f LogFilter) iter.Seq2[LogRecord, error] {
	return func(yield func(LogRecord, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		topics, err := c.topicDetails(ctx, []string{commitlog.Topic})
		if err == nil {
			err = topics[commitlog.Topic].Err
		}
		if errors.Is(err, kerr.UnknownTopicOrPartition) {
			return // nobody has ever committed
		}
		if err != nil {
			yield(LogRecord{}, fmt.Errorf("reading the metadata of %s: %w", commitlog.Topic, err))
			return
		}
		wanted := f.partitions(topics[commitlog.Topic])
		if f.Since.IsZero() && len(wanted) == 0 {
			return
		}
		found := c.logEnds(ctx, topics, wanted)
		since, err := c.offsetsSince(ctx, f, wanted)
		if err != nil {
			yield(LogRecord{}, err)
			return
		}
		reads := make([]chan chunk, len(wanted))
		slots := make(chan struct{}, parallelPartitions)
		for i := range wanted {
			reads[i] = make(chan chunk, 2)
		}
		go func() {
			for i, tp := range wanted {
				select {
				case slots <- struct{}{}:
				case <-ctx.Done():
					close(reads[i])
					continue
				}
				go func() {
					defer func() { <-slots }()
					defer close(reads[i])
					p := partitionReader{c: c, topic: topics[commitlog.Topic], partition: tp.Partition, make: rowMaker{commitlog.NewDecoder(), f}, out: reads[i]}
					p.run(ctx, found[tp], since[tp])
				}()
			}
		}()
		for i := range reads {
			for ch := range reads[i] {
				for _, row := range ch.rows {
					if !yield(row, nil) {
						return
					}
				}
				if ch.err != nil && !yield(LogRecord{}, ch.err) {
					return
				}
			}
		}
	}
}

// partitions are those that can hold what the filter takes.
func (f *LogFilter) partitions(topic kadm.TopicDetail) []TopicPartition {
	var out []TopicPartition
	for _, p := range slices.Sorted(maps.Keys(topic.Partitions)) {
		own := len(f.OnlyGroups) == 0 || slices.ContainsFunc(f.OnlyGroups, func(g string) bool {
			return commitlog.PartitionOf(g, int32(len(topic.Partitions))) == p
		})
		if own && (f.Partitions == nil || slices.Contains(f.Partitions, p)) {
			out = append(out, TopicPartition{commitlog.Topic, p})
		}
	}
	return out
}

// offsetsSince finds where each partition's records of the wanted time begin.
func (c *Cluster) offsetsSince(ctx context.Context, f LogFilter, wanted []TopicPartition) (map[TopicPartition]int64, error) {
	out := map[TopicPartition]int64{}
	if f.Since.IsZero() || len(wanted) == 0 {
		return out, nil
	}
	ask := map[string][]int32{}
	for _, tp := range wanted {
		ask[tp.Topic] = append(ask[tp.Topic], tp.Partition)
	}
	var failed error
	c.listOffsets(ctx, ask, f.Since.UnixMilli(), 0, func(tp TopicPartition, offset int64, err error) {
		if err != nil {
			failed = fmt.Errorf("looking for the time %s: %w", f.Since.Format(TimeFormat), err)
		}
		out[tp] = offset // -1: nothing so young
	})
	return out, failed
}

// chunk is some rows of one partition, and perhaps what ended them.
type chunk struct {
	rows []LogRecord
	err  error
}

// partitionReader reads one partition of the live log.
type partitionReader struct {
	c         *Cluster
	topic     kadm.TopicDetail
	partition int32
	make      rowMaker
	out       chan<- chunk
}

func (p *partitionReader) send(ctx context.Context, ch chunk) bool {
	select {
	case p.out <- ch:
		return true
	case <-ctx.Done():
		return false
	}
}

// run reads up to the last stable offset with the broker's own list of aborted
// transactions, and what lies behind it with markers that it looks up first.
func (p *partitionReader) run(ctx context.Context, e *ends, since int64) {
	fail := func(err error) {
		p.send(ctx, chunk{err: fmt.Errorf("partition %d of %s: %w", p.partition, commitlog.Topic, err)})
	}
	if e.status != "" {
		fail(e.err)
		return
	}
	from, end, stable := max(*e.start, since), *e.end, *e.end
	if since < 0 {
		return
	}
	if e.stable != nil {
		stable = min(*e.stable, end)
	}
	from, err := p.readCommitted(ctx, from, stable)
	if err == nil && from < end {
		var tx segment.Transactions
		if err = p.fetchRange(ctx, from, end, 0, func(b *segment.Batch, _ []kmsg.FetchResponseTopicPartitionAbortedTransaction) error {
			return tx.Add(b)
		}, nil); err == nil {
			err = p.read(ctx, from, end, 0, func([]kmsg.FetchResponseTopicPartitionAbortedTransaction) {}, func(*segment.Batch) states { return tx.State })
		}
	}
	if err != nil && ctx.Err() == nil {
		fail(err)
	}
}

// readCommitted reads what is decided: a transactional record is aborted if
// its producer is on the broker's list of aborted transactions there.
func (p *partitionReader) readCommitted(ctx context.Context, from, stable int64) (int64, error) {
	if from >= stable {
		return from, nil
	}
	var aborted []kmsg.FetchResponseTopicPartitionAbortedTransaction
	open := map[int64]bool{}
	err := p.read(ctx, from, stable, 1,
		func(list []kmsg.FetchResponseTopicPartitionAbortedTransaction) {
			aborted = append(aborted, list...)
			slices.SortFunc(aborted, func(a, b kmsg.FetchResponseTopicPartitionAbortedTransaction) int {
				return int(a.FirstOffset - b.FirstOffset)
			})
		},
		func(b *segment.Batch) states {
			for len(aborted) > 0 && aborted[0].FirstOffset <= b.NextOffset()-1 {
				open[aborted[0].ProducerID] = true
				aborted = aborted[1:]
			}
			state := segment.Committed
			if open[b.ProducerID] {
				state = segment.Aborted
			}
			if b.IsControl() {
				var tx segment.Transactions
				if tx.Add(b) == nil {
					state = tx.State(b.ProducerID, b.BaseOffset)
				}
				delete(open, b.ProducerID)
			}
			return func(int64, int64) string { return state }
		})
	return stable, err
}

// read sends the rows of a range of offsets.
func (p *partitionReader) read(ctx context.Context, from, end int64, isolation int8, aborted func([]kmsg.FetchResponseTopicPartitionAbortedTransaction), state func(*segment.Batch) states) error {
	var rows []LogRecord
	flush := func() bool {
		if len(rows) == 0 {
			return true
		}
		ok := p.send(ctx, chunk{rows: rows})
		rows = nil
		return ok
	}
	err := p.fetchRange(ctx, from, end, isolation, func(b *segment.Batch, list []kmsg.FetchResponseTopicPartitionAbortedTransaction) error {
		if list != nil {
			aborted(list)
		}
		before := len(rows)
		rows = p.make.batch(rows, b, &p.partition, state(b))
		// A batch may begin before the range, or reach beyond it.
		rows = append(rows[:before], slices.DeleteFunc(rows[before:], func(r LogRecord) bool { return r.Offset < from || r.Offset >= end })...)
		if len(rows) >= 1000 && !flush() {
			return context.Cause(ctx)
		}
		return nil
	}, func(d *segment.DamageError) {
		if row := damagedRow(d, &p.partition); p.make.filter.takes(&row, time.Time{}) {
			rows = append(rows, row)
		}
	})
	if !flush() {
		return context.Cause(ctx)
	}
	return err
}

// fetchRange fetches a range of offsets, batch by batch. The end is reached by
// the fetch position: the last offsets of a compacted log may never come as
// records. The list of aborted transactions comes with the first batch of each
// response.
func (p *partitionReader) fetchRange(ctx context.Context, offset, end int64, isolation int8, each func(*segment.Batch, []kmsg.FetchResponseTopicPartitionAbortedTransaction) error, damaged func(*segment.DamageError)) error {
	for offset < end {
		rp, err := p.c.fetch(ctx, p.topic, p.partition, offset, isolation)
		if err != nil {
			return fmt.Errorf("at offset %d: %w", offset, err)
		}
		next, list := offset, rp.AbortedTransactions
		if list == nil {
			list = []kmsg.FetchResponseTopicPartitionAbortedTransaction{}
		}
		r := segment.NewReader(bytes.NewReader(rp.RecordBatches))
		for next < end {
			b, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if d, ok := asDamage(err); ok {
				if errors.Is(d, segment.ErrTruncated) && next > offset {
					break // a response may end inside of a batch
				}
				if damaged != nil {
					damaged(d)
				}
				next = max(next+1, d.BaseOffset+1)
				continue
			}
			if err != nil {
				return err
			}
			if err := each(b, list); err != nil {
				return err
			}
			list = nil
			next = max(next, b.NextOffset())
		}
		if next == offset && isolation == 1 {
			return nil // nothing decided is left
		}
		if next == offset && len(rp.RecordBatches) > 0 {
			return fmt.Errorf("nothing readable at offset %d", offset)
		}
		offset = next
	}
	return nil
}

func (c *Cluster) fetch(ctx context.Context, topic kadm.TopicDetail, partition int32, offset int64, isolation int8) (*kmsg.FetchResponseTopicPartition, error) {
	req := kmsg.NewPtrFetchRequest()
	req.ReplicaID, req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.SessionEpoch = -1, 500, 1, fetchBytes, -1
	req.IsolationLevel = isolation
	rt := kmsg.NewFetchRequestTopic()
	rt.Topic, rt.TopicID = topic.Topic, topic.ID
	rtp := kmsg.NewFetchRequestTopicPartition()
	rtp.Partition, rtp.FetchOffset, rtp.PartitionMaxBytes, rtp.CurrentLeaderEpoch = partition, offset, fetchBytes, -1
	rt.Partitions = append(rt.Partitions, rtp)
	req.Topics = append(req.Topics, rt)
	resp, err := req.RequestWith(ctx, c.cl.Broker(int(topic.Partitions[partition].Leader)))
	if err != nil {
		return nil, err
	}
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return nil, err
	}
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		return nil, errors.New("the broker's answer lacks the partition")
	}
	rp := &resp.Topics[0].Partitions[0]
	return rp, kerr.ErrorForCode(rp.ErrorCode)
}
