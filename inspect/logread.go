package inspect

import (
	"bytes"
	"cmp"
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

// sinkMaker makes the sink of one partition; nil is a partition without number.
// The placement is nil where nobody wants to know, or files do not tell.
type sinkMaker func(partition *int32, place *placement) sink

func rowSinks(f LogFilter) sinkMaker {
	m := rowMaker{dec: commitlog.NewDecoder(), filter: f}
	return func(partition *int32, place *placement) sink {
		return &rowSink{make: m, partition: partition, place: place}
	}
}

func lineSinks(f LogFilter) sinkMaker {
	m := rowMaker{dec: commitlog.NewDecoder(), filter: f}
	return func(partition *int32, place *placement) sink {
		return &lineSink{rowSink: rowSink{make: m, partition: partition, place: place}, fast: f.takesAll()}
	}
}

// ReadLog reads the live commit log, partition by partition, from its start to
// where it ended when reading began. What cannot be decoded is a row too. It
// needs the right to read the topic. An error about one partition is followed
// by the rows of the next.
func (c *Cluster) ReadLog(ctx context.Context, f LogFilter) iter.Seq2[LogRecord, error] {
	return rowsOf(c.readLog(ctx, f, rowSinks(f)))
}

// ReadLogLines is ReadLog for who wants JSON lines, and many of them.
func (c *Cluster) ReadLogLines(ctx context.Context, f LogFilter) iter.Seq2[LogLines, error] {
	return linesOf(c.readLog(ctx, f, lineSinks(f)))
}

func rowsOf(chunks iter.Seq[chunk]) iter.Seq2[LogRecord, error] {
	return func(yield func(LogRecord, error) bool) {
		for ch := range chunks {
			for i := range ch.rows {
				if !yield(ch.rows[i], nil) {
					return
				}
			}
			if ch.err != nil && !yield(LogRecord{}, ch.err) {
				return
			}
		}
	}
}

func linesOf(chunks iter.Seq[chunk]) iter.Seq2[LogLines, error] {
	return func(yield func(LogLines, error) bool) {
		for ch := range chunks {
			if ch.count > 0 && !yield(LogLines{ch.lines, ch.count}, nil) {
				return
			}
			if ch.err != nil && !yield(LogLines{}, ch.err) {
				return
			}
		}
	}
}

// inOrder runs the reads side by side, a few at a time, and yields their
// chunks in the order of the reads. Reads ahead of the one that is yielded wait
// when they have some chunks ready, so that memory stays bounded.
func inOrder(ctx context.Context, reads []func(ctx context.Context, send func(chunk) bool)) iter.Seq[chunk] {
	return func(yield func(chunk) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		out := make([]chan chunk, len(reads))
		for i := range out {
			out[i] = make(chan chunk, 2)
		}
		slots := make(chan struct{}, parallelPartitions)
		go func() {
			for i, read := range reads {
				select {
				case slots <- struct{}{}:
				case <-ctx.Done():
					close(out[i])
					continue
				}
				go func() {
					defer func() { <-slots }()
					defer close(out[i])
					read(ctx, func(ch chunk) bool {
						select {
						case out[i] <- ch:
							return true
						case <-ctx.Done():
							return false
						}
					})
				}()
			}
		}()
		for i := range out {
			for ch := range out[i] {
				if !yield(ch) {
					return
				}
			}
		}
	}
}

// readLog reads the live log into sinks.
func (c *Cluster) readLog(ctx context.Context, f LogFilter, sinks sinkMaker) iter.Seq[chunk] {
	return func(yield func(chunk) bool) {
		topics, err := c.topicDetails(ctx, []string{commitlog.Topic})
		if err == nil {
			err = topics[commitlog.Topic].Err
		}
		if errors.Is(err, kerr.UnknownTopicOrPartition) {
			return // nobody has ever committed
		}
		if errors.Is(err, kerr.TopicAuthorizationFailed) {
			yield(chunk{err: fmt.Errorf("this user may not read %s: the rights to describe and to read the topic are needed: %w", commitlog.Topic, err)})
			return
		}
		if err != nil {
			yield(chunk{err: fmt.Errorf("reading the metadata of %s: %w", commitlog.Topic, err)})
			return
		}
		topic := topics[commitlog.Topic]
		wanted, rest := f.partitions(topic)
		if len(rest) > 0 && c.livesElsewhere(ctx, f.OnlyGroups, topic) {
			wanted, rest = append(wanted, rest...), nil
		}
		r := logReader{
			c: c, filter: f, topics: topics, sinks: sinks, yield: yield,
			place: newPlacement(int32(len(topic.Partitions)), f.Misplaced), positions: map[TopicPartition]int64{},
		}
		if !r.read(ctx, wanted) {
			return
		}
		// A name that is found nowhere may have its records elsewhere: only who
		// has looked everywhere knows that there are none.
		if len(rest) > 0 && r.rows == 0 && f.Groups != nil && f.takesAllOfGroups() && !r.read(ctx, rest) {
			return
		}
		if f.Follow {
			c.follow(ctx, topics, r.positions, func(partition *int32) sink { return sinks(partition, r.place) }, yield)
		}
	}
}

// logReader reads partitions of the live log, and counts what it passes on.
type logReader struct {
	c      *Cluster
	filter LogFilter
	topics kadm.TopicDetails
	sinks  sinkMaker
	place  *placement
	yield  func(chunk) bool

	rows      int
	positions map[TopicPartition]int64 // where reading ended
}

// read returns false if nobody wants the rest.
func (r *logReader) read(ctx context.Context, wanted []TopicPartition) bool {
	found := r.c.logEnds(ctx, r.topics, wanted)
	since, err := r.c.offsetsSince(ctx, r.filter, wanted)
	if err != nil {
		r.yield(chunk{err: err})
		return false
	}
	var reads []func(context.Context, func(chunk) bool)
	for _, tp := range wanted {
		reads = append(reads, func(ctx context.Context, send func(chunk) bool) {
			p := partitionReader{c: r.c, topic: r.topics[commitlog.Topic], partition: tp.Partition, sink: r.sinks(&tp.Partition, r.place), send: send}
			p.run(ctx, found[tp], since[tp])
		})
	}
	for ch := range inOrder(ctx, reads) {
		r.rows += ch.count
		if !r.yield(ch) {
			return false
		}
	}
	for _, tp := range wanted {
		if e := found[tp]; e.end != nil {
			r.positions[tp] = *e.end
		}
	}
	return true
}

// partitions are those that can hold what the filter takes by the hash of the
// groups' names, and those that the hash rules out.
func (f *LogFilter) partitions(topic kadm.TopicDetail) (own, rest []TopicPartition) {
	for _, p := range slices.Sorted(maps.Keys(topic.Partitions)) {
		if f.Partitions != nil && !slices.Contains(f.Partitions, p) {
			continue
		}
		tp := TopicPartition{commitlog.Topic, p}
		if len(f.OnlyGroups) == 0 || slices.ContainsFunc(f.OnlyGroups, func(g string) bool {
			return commitlog.PartitionOf(g, int32(len(topic.Partitions))) == p
		}) {
			own = append(own, tp)
		} else {
			rest = append(rest, tp)
		}
	}
	return own, rest
}

// livesElsewhere: a group is coordinated by the leader of its partition. Where
// that is another broker than the one that leads the partition of the name's
// hash, this cluster counts otherwise.
func (c *Cluster) livesElsewhere(ctx context.Context, groups []string, topic kadm.TopicDetail) bool {
	resp := c.adm.FindGroupCoordinators(ctx, groups...)
	return slices.ContainsFunc(groups, func(g string) bool {
		r, ok := resp[g]
		own := topic.Partitions[commitlog.PartitionOf(g, int32(len(topic.Partitions)))]
		return ok && r.Err == nil && own.Leader >= 0 && r.NodeID != own.Leader
	})
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
	c.listOffsets(ctx, ask, func(TopicPartition) int64 { return f.Since.UnixMilli() }, 0, func(tp TopicPartition, offset int64, err error) {
		if err != nil {
			failed = fmt.Errorf("looking for the time %s: %w", f.Since.Format(TimeFormat), err)
		}
		out[tp] = offset // -1: nothing so young
	})
	return out, failed
}

// partitionReader reads one partition of the live log.
type partitionReader struct {
	c         *Cluster
	topic     kadm.TopicDetail
	partition int32
	sink      sink
	send      func(chunk) bool
	maxBytes  int32 // of one fetch; 0: fetchBytes
}

// errStopped: nobody wants the rest.
var errStopped = errors.New("stopped")

// pass passes on what the sink has, if it is enough.
func (p *partitionReader) pass(last bool) error {
	if ch, ok := p.sink.take(last); ok && !p.send(ch) {
		return errStopped
	}
	return nil
}

// run reads up to the last stable offset with the broker's own list of aborted
// transactions, and what lies behind it with markers that it looks up first.
func (p *partitionReader) run(ctx context.Context, e *ends, since int64) {
	fail := func(err error) {
		p.send(chunk{err: fmt.Errorf("partition %d of %s: %w", p.partition, commitlog.Topic, err)})
	}
	if e.status != "" {
		fail(e.err)
		return
	}
	if since < 0 {
		return // nothing so young
	}
	from, end, stable := max(*e.start, since), *e.end, *e.end
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
	p.sink.ended(end, err)
	if passErr := p.pass(true); err == nil {
		err = passErr
	}
	if err != nil && !errors.Is(err, errStopped) && ctx.Err() == nil {
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
				return cmp.Compare(a.FirstOffset, b.FirstOffset)
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

// read gives the sink a range of offsets.
func (p *partitionReader) read(ctx context.Context, from, end int64, isolation int8, aborted func([]kmsg.FetchResponseTopicPartitionAbortedTransaction), state func(*segment.Batch) states) error {
	return p.fetchRange(ctx, from, end, isolation, func(b *segment.Batch, list []kmsg.FetchResponseTopicPartitionAbortedTransaction) error {
		if list != nil {
			aborted(list)
		}
		// A batch may begin before the range, or reach beyond it.
		if err := p.sink.batch(b, from, end, state(b), func() error { return p.pass(false) }); err != nil {
			return err
		}
		return p.pass(false)
	}, p.sink.damaged)
}

// fetchRange fetches a range of offsets, batch by batch. The end is reached by
// the fetch position: the last offsets of a compacted log may never come as
// records. The list of aborted transactions comes with the first batch of each
// response.
func (p *partitionReader) fetchRange(ctx context.Context, offset, end int64, isolation int8, each func(*segment.Batch, []kmsg.FetchResponseTopicPartitionAbortedTransaction) error, damaged func(*segment.DamageError)) error {
	r := segment.NewReader(nil)
	if p.topic.Topic != commitlog.Topic {
		r.OfTopic(p.c.unpacked)
	}
	for offset < end {
		rp, err := p.fetch(ctx, offset, isolation)
		if err != nil {
			return fmt.Errorf("at offset %d: %w", offset, err)
		}
		next, list := offset, rp.AbortedTransactions
		if list == nil {
			list = []kmsg.FetchResponseTopicPartitionAbortedTransaction{}
		}
		r.Reset(bytes.NewReader(rp.RecordBatches))
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

// leaderPatience is how long a partition may be without a leader that answers.
const leaderPatience = 15 * time.Second

// fetch asks the partition's leader, and looks for the new one when that has
// moved or is away.
func (p *partitionReader) fetch(ctx context.Context, offset int64, isolation int8) (*kmsg.FetchResponseTopicPartition, error) {
	deadline := time.Now().Add(leaderPatience)
	for {
		rp, err := p.c.fetch(ctx, p.topic, p.partition, offset, isolation, cmp.Or(p.maxBytes, fetchBytes))
		if err == nil || !mayHaveMoved(err) || time.Now().After(deadline) || ctx.Err() != nil {
			return rp, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(200 * time.Millisecond):
		}
		if topics, err := p.c.topicDetails(ctx, []string{p.topic.Topic}); err == nil && topics[p.topic.Topic].Err == nil {
			p.topic = topics[p.topic.Topic]
		}
	}
}

// mayHaveMoved: the broker says so, or there was none that said anything.
func mayHaveMoved(err error) bool {
	var said *kerr.Error
	return !errors.As(err, &said) || said.Retriable
}

func (c *Cluster) fetch(ctx context.Context, topic kadm.TopicDetail, partition int32, offset int64, isolation int8, maxBytes int32) (*kmsg.FetchResponseTopicPartition, error) {
	req := kmsg.NewPtrFetchRequest()
	req.ReplicaID, req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.SessionEpoch = -1, 500, 1, maxBytes, -1
	req.IsolationLevel = isolation
	rt := kmsg.NewFetchRequestTopic()
	rt.Topic, rt.TopicID = topic.Topic, topic.ID
	rtp := kmsg.NewFetchRequestTopicPartition()
	rtp.Partition, rtp.FetchOffset, rtp.PartitionMaxBytes, rtp.CurrentLeaderEpoch = partition, offset, maxBytes, -1
	rt.Partitions = append(rt.Partitions, rtp)
	req.Topics = append(req.Topics, rt)
	leader := topic.Partitions[partition].Leader
	if leader < 0 {
		return nil, kerr.LeaderNotAvailable
	}
	resp, err := req.RequestWith(ctx, c.cl.Broker(int(leader)))
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
