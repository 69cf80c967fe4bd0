package inspect

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"offsets/inspect/commitlog/segment"
)

// Where timestamps come from.
const (
	createTime    = "create_time"
	logAppendTime = "log_append_time"
)

// unread is a stretch of a partition that a group has not read.
type unread struct {
	group string
	row   *Partition
	end   int64
}

// unreadOf are the partitions that are behind, in the order of rows.
func unreadOf(groups []Group) (out []unread) {
	for i := range groups {
		for j := range groups[i].Partitions {
			p := &groups[i].Partitions[j]
			if p.Lag == nil || p.LogEnd == nil || *p.Lag == 0 {
				continue
			}
			end := p.readableEnd()
			if u := (unread{groups[i].Group, p, end}); p.shareLag == nil || *p.shareLag >= end-u.from() {
				out = append(out, u)
			} // else it is not known which records are acknowledged above the start offset
		}
	}
	return out
}

func (u *unread) from() int64 { return max(*u.row.Committed, *u.row.LogStart) }

// behind fills in how old the next unread record of each partition is. What
// cannot be read stays unknown, and is a problem: nothing is interpolated.
func (c *Cluster) behind(ctx context.Context, topics kadm.TopicDetails, groups []Group, now time.Time) []Problem {
	for i := range groups {
		for j := range groups[i].Partitions {
			if p := &groups[i].Partitions[j]; p.Lag != nil && *p.Lag == 0 {
				p.BehindSeconds = new(float64)
			}
		}
	}
	// All that is wanted of one partition is searched for together: groups often
	// wait in the same batch.
	byPartition := map[TopicPartition]*nextRecord{}
	for _, u := range unreadOf(groups) {
		tp := TopicPartition{u.row.Topic, u.row.Partition}
		w := byPartition[tp]
		if w == nil {
			w = &nextRecord{TopicPartition: tp, limit: firstLimit, now: now, unpacked: c.unpacked}
			byPartition[tp] = w
		}
		w.unread = append(w.unread, u)
	}
	byBroker := map[int32][]*nextRecord{}
	for tp, w := range byPartition {
		slices.SortFunc(w.unread, func(a, b unread) int { return cmp.Compare(a.from(), b.from()) })
		w.offset = w.unread[0].from()
		leader := topics[tp.Topic].Partitions[tp.Partition].Leader
		byBroker[leader] = append(byBroker[leader], w)
	}
	var wg sync.WaitGroup
	for leader, wanted := range byBroker {
		if leader >= 0 {
			wg.Go(func() { c.nextRecords(ctx, leader, topics, wanted) })
		}
	}
	wg.Wait()
	if ctx.Err() != nil {
		return []Problem{problem("age of the next unread records", context.Cause(ctx))}
	}
	return notRead(slices.Collect(maps.Values(byPartition)))
}

// notRead has one problem for each reason why next records could not be read.
func notRead(wanted []*nextRecord) (out []Problem) {
	wanted = slices.DeleteFunc(wanted, func(w *nextRecord) bool { return w.err == nil })
	slices.SortFunc(wanted, func(a, b *nextRecord) int {
		return cmp.Or(strings.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	seen := map[string]int{}
	for _, w := range wanted {
		seen[w.err.Error()]++
	}
	for _, w := range wanted {
		n := seen[w.err.Error()]
		if n == 0 {
			continue
		}
		delete(seen, w.err.Error())
		if n == 1 && len(w.unread) > 0 {
			out = append(out, ProblemOf(w.unread[0].group, w.unread[0].row, fmt.Errorf("age of the next unread record: %w", w.err)))
			continue
		}
		out = append(out, problem(fmt.Sprintf("age of the next unread records of %s-%d and %d more", w.Topic, w.Partition, n-1), w.err))
	}
	return out
}

// nextRecord is a partition of which the first records from some offsets on are
// wanted.
type nextRecord struct {
	TopicPartition
	unread []unread // by offset; those found are taken off
	offset int64    // where to fetch from
	limit  int32    // bytes to ask for
	now    time.Time

	unpacked int   // see [Cluster]
	err      error // why unread is not known
}

// Limits of fetches for single records, in bytes. A broker gives a whole batch
// of the first partition of a request only; others that do not fit come empty,
// and are asked for again with more.
const (
	firstLimit   = 4 << 10
	greatestOne  = 8 << 20
	wholeRequest = 8 << 20
)

// nextRecords reads from one broker, some partitions a request, until every
// record is found or known not to be there.
func (c *Cluster) nextRecords(ctx context.Context, broker int32, topics kadm.TopicDetails, wanted []*nextRecord) {
	for len(wanted) > 0 && ctx.Err() == nil {
		n, size := 0, int32(0)
		for n < len(wanted) && (n == 0 || size+wanted[n].limit <= wholeRequest) {
			size += wanted[n].limit
			n++
		}
		rest, err := c.fetchNext(ctx, broker, topics, wanted[:n])
		if err != nil {
			for _, w := range wanted {
				w.err = err
			}
			return
		}
		// Who came away empty is asked again behind the others.
		wanted = append(append([]*nextRecord{}, wanted[n:]...), rest...)
	}
}

// fetchNext sends one request, and returns those that are still to be found.
func (c *Cluster) fetchNext(ctx context.Context, broker int32, topics kadm.TopicDetails, asked []*nextRecord) (rest []*nextRecord, err error) {
	var wanted []fetchFrom
	for _, w := range asked {
		wanted = append(wanted, fetchFrom{w.TopicPartition, w.offset, w.limit})
	}
	got, err := c.fetchPieces(ctx, broker, topics, wanted)
	if err != nil {
		return nil, err
	}
	for _, w := range asked {
		piece, ok := got[w.TopicPartition]
		switch {
		case !ok:
			w.err = errors.New("the broker's answer lacks the partition")
		case piece.err != nil:
			w.err = piece.err
		case w.look(piece.batches):
			rest = append(rest, w)
		}
	}
	return rest, nil
}

// fetchFrom is a place of a partition from which some bytes are wanted.
type fetchFrom struct {
	TopicPartition
	offset int64
	limit  int32
}

// piece is what came for one partition.
type piece struct {
	batches []byte
	err     error
}

// fetchPieces sends one request for pieces of several partitions.
func (c *Cluster) fetchPieces(ctx context.Context, broker int32, topics kadm.TopicDetails, wanted []fetchFrom) (map[TopicPartition]piece, error) {
	req := kmsg.NewPtrFetchRequest()
	req.ReplicaID, req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.SessionEpoch = -1, 0, 1, wholeRequest, -1
	index := map[string]int{}
	names := map[[16]byte]string{}
	for _, w := range wanted {
		i, known := index[w.Topic]
		if !known {
			i = len(req.Topics)
			index[w.Topic] = i
			t := kmsg.NewFetchRequestTopic()
			t.Topic, t.TopicID = w.Topic, topics[w.Topic].ID
			names[t.TopicID] = w.Topic
			req.Topics = append(req.Topics, t)
		}
		p := kmsg.NewFetchRequestTopicPartition()
		p.Partition, p.FetchOffset, p.PartitionMaxBytes, p.CurrentLeaderEpoch = w.Partition, w.offset, w.limit, -1
		req.Topics[i].Partitions = append(req.Topics[i].Partitions, p)
	}
	answer, err := c.cl.Broker(int(broker)).RetriableRequest(ctx, req)
	resp, _ := answer.(*kmsg.FetchResponse)
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	if err != nil {
		return nil, err
	}
	out := make(map[TopicPartition]piece, len(wanted))
	for _, t := range resp.Topics {
		name := t.Topic
		if name == "" {
			name = names[t.TopicID]
		}
		for i := range t.Partitions {
			p := &t.Partitions[i]
			out[TopicPartition{name, p.Partition}] = piece{p.RecordBatches, kerr.ErrorForCode(p.ErrorCode)}
		}
	}
	return out, nil
}

// look searches fetched bytes; it returns whether more are needed.
func (w *nextRecord) look(batches []byte) (more bool) {
	before := w.offset
	r := segment.NewReader(bytes.NewReader(batches))
	r.OfTopic(w.unpacked)
	for len(w.unread) > 0 {
		b, err := r.Next()
		if err != nil {
			break // the end of what was fetched, or damage: unknown
		}
		if !b.IsControl() {
			err = b.Records(func(rec segment.Record) error {
				w.pass(rec, b.LogAppendTime())
				return nil
			})
			if err != nil {
				w.err = fmt.Errorf("batch at offset %d: %w", b.BaseOffset, err)
				return false
			}
		}
		w.offset = max(w.offset, b.NextOffset())
		// What ends here has nothing but markers, or was emptied by compaction.
		w.unread = slices.DeleteFunc(w.unread, func(u unread) bool { return u.end <= w.offset })
	}
	switch {
	case len(w.unread) == 0:
		return false
	case w.offset > before:
		w.offset = max(w.offset, w.unread[0].from())
		return true
	case w.limit >= greatestOne:
		w.err = fmt.Errorf("at offset %d: damaged batch", w.offset)
		return false
	}
	w.limit = min(4*w.limit, greatestOne)
	return true
}

// pass notes a record for those who wait at or before it.
func (w *nextRecord) pass(rec segment.Record, appendTime bool) {
	for len(w.unread) > 0 && w.unread[0].from() <= rec.Offset {
		u := w.unread[0]
		w.unread = w.unread[1:]
		if rec.Offset >= u.end || rec.Timestamp < 0 {
			continue
		}
		kind := createTime
		if appendTime {
			kind = logAppendTime
		}
		seconds := max(0, float64(w.now.UnixMilli()-rec.Timestamp)/1000)
		u.row.BehindSeconds, u.row.TimestampType = &seconds, &kind
	}
}
