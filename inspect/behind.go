package inspect

import (
	"bytes"
	"context"
	"errors"
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
	row *Partition
	end int64
}

// unreadOf are the partitions that are behind, in the order of rows.
func unreadOf(groups []Group) (out []unread) {
	for i := range groups {
		for j := range groups[i].Partitions {
			p := &groups[i].Partitions[j]
			if p.Lag == nil || p.LogEnd == nil || *p.Lag == 0 {
				continue
			}
			end := *p.LogEnd
			if p.readCommitted && p.LastStable != nil {
				end = *p.LastStable
			}
			out = append(out, unread{p, end})
		}
	}
	return out
}

func (u *unread) from() int64 { return max(*u.row.Committed, *u.row.LogStart) }

// behind fills in how old the next unread record of each partition is. What
// cannot be read stays unknown: nothing is interpolated.
func (c *Cluster) behind(ctx context.Context, topics kadm.TopicDetails, groups []Group, now time.Time) {
	for i := range groups {
		for j := range groups[i].Partitions {
			if p := &groups[i].Partitions[j]; p.Lag != nil && *p.Lag == 0 {
				p.BehindSeconds = new(float64)
			}
		}
	}
	// Groups that wait at one place wait for one record.
	type place struct {
		TopicPartition
		offset, end int64
	}
	rows := map[place][]*Partition{}
	byBroker := map[int32][]*nextRecord{}
	for _, u := range unreadOf(groups) {
		at := place{TopicPartition{u.row.Topic, u.row.Partition}, u.from(), u.end}
		if rows[at] == nil {
			leader := topics[at.Topic].Partitions[at.Partition].Leader
			byBroker[leader] = append(byBroker[leader], &nextRecord{TopicPartition: at.TopicPartition, offset: at.offset, end: at.end, limit: firstLimit, found: func(ms int64, kind string) {
				seconds := max(0, float64(now.UnixMilli()-ms)/1000)
				for _, p := range rows[at] {
					p.BehindSeconds, p.TimestampType = &seconds, &kind
				}
			}})
		}
		rows[at] = append(rows[at], u.row)
	}
	var wg sync.WaitGroup
	for leader, wanted := range byBroker {
		if leader >= 0 {
			wg.Go(func() { c.nextRecords(ctx, leader, topics, wanted) })
		}
	}
	wg.Wait()
}

// nextRecord is a partition of which the first record from an offset on is
// wanted.
type nextRecord struct {
	TopicPartition
	offset, end int64
	limit       int32 // bytes to ask for
	found       func(ms int64, kind string)
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
		asked, later := oneRequest(wanted)
		rest, err := c.fetchNext(ctx, broker, topics, asked)
		if err != nil {
			return // unknown
		}
		// Who came away empty is asked again behind the others.
		wanted = append(later, rest...)
	}
}

// oneRequest is what fits into one request: no partition twice, though two
// groups may wait at different places of it.
func oneRequest(wanted []*nextRecord) (asked, later []*nextRecord) {
	size := int32(0)
	in := map[TopicPartition]bool{}
	for _, w := range wanted {
		if in[w.TopicPartition] || len(asked) > 0 && size+w.limit > wholeRequest {
			later = append(later, w)
			continue
		}
		in[w.TopicPartition] = true
		size += w.limit
		asked = append(asked, w)
	}
	return asked, later
}

// fetchNext sends one request, and returns those that are still to be found.
func (c *Cluster) fetchNext(ctx context.Context, broker int32, topics kadm.TopicDetails, asked []*nextRecord) (rest []*nextRecord, err error) {
	req := kmsg.NewPtrFetchRequest()
	req.ReplicaID, req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.SessionEpoch = -1, 0, 1, wholeRequest, -1
	index := map[string]int{}
	names := map[[16]byte]string{}
	byPlace := map[TopicPartition]*nextRecord{}
	for _, w := range asked {
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
		byPlace[w.TopicPartition] = w
	}
	resp, err := req.RequestWith(ctx, c.cl.Broker(int(broker)))
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	if err != nil {
		return nil, err
	}
	for _, t := range resp.Topics {
		name := t.Topic
		if name == "" {
			name = names[t.TopicID]
		}
		for i := range t.Partitions {
			p := &t.Partitions[i]
			w := byPlace[TopicPartition{name, p.Partition}]
			if w == nil || p.ErrorCode != 0 {
				continue // unknown
			}
			if w.look(p.RecordBatches) {
				rest = append(rest, w)
			}
		}
	}
	return rest, nil
}

// look searches fetched bytes; it returns whether more are needed.
func (w *nextRecord) look(batches []byte) (more bool) {
	before := w.offset
	r := segment.NewReader(bytes.NewReader(batches))
	for w.offset < w.end {
		b, err := r.Next()
		if err != nil {
			break // the end of what was fetched, or damage: unknown
		}
		found := false
		if !b.IsControl() {
			err = b.Records(func(rec segment.Record) error {
				if rec.Offset < w.offset || rec.Offset >= w.end {
					return nil
				}
				found = true
				if rec.Timestamp >= 0 {
					kind := createTime
					if b.LogAppendTime() {
						kind = logAppendTime
					}
					w.found(rec.Timestamp, kind)
				}
				return errStopped
			})
		}
		if found || err != nil && !errors.Is(err, errStopped) {
			return false
		}
		w.offset = max(w.offset, b.NextOffset()) // markers, or emptied by compaction
	}
	switch {
	case w.offset >= w.end:
		return false // nothing but markers
	case w.offset > before:
		return true
	case w.limit >= greatestOne:
		return false // damaged
	}
	w.limit = min(4*w.limit, greatestOne)
	return true
}
