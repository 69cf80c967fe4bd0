package inspect

import (
	"context"
	"time"

	"offsets/inspect/commitlog"
	"offsets/inspect/commitlog/segment"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Activity is what the end of the commit log says of a group.
type Activity struct {
	// LastCommit is when it last committed; zero if that is longer ago than what
	// was read. Commits of transactions count from the marker on, if they do.
	LastCommit time.Time
	// StateSince is when a classic group entered its state; zero if unknown, and
	// for groups of other types.
	StateSince time.Time
}

// activityOffsets is how far back the log is read: some hundred KiB.
const activityOffsets = 5000

// Activity reads the last records of the group's own commit log partition. It
// needs the right to read the topic.
func (c *Cluster) Activity(ctx context.Context, group string) (a Activity, err error) {
	topics, err := c.topicDetails(ctx, []string{commitlog.Topic})
	if err != nil {
		return a, err
	}
	topic := topics[commitlog.Topic]
	if topic.Err != nil {
		return a, topic.Err
	}
	tp := TopicPartition{commitlog.Topic, commitlog.PartitionOf(group, int32(len(topic.Partitions)))}
	e := c.logEnds(ctx, topics, []TopicPartition{tp})[tp]
	if e.status != "" {
		return a, e.err
	}
	r := partitionReader{c: c, topic: topic, partition: tp.Partition, maxBytes: 1 << 20}
	w := newActivityWatch(group)
	from := max(*e.start, *e.end-activityOffsets)
	err = r.fetchRange(ctx, from, *e.end, 0, func(b *segment.Batch, _ []kmsg.FetchResponseTopicPartitionAbortedTransaction) error {
		return b.Records(func(rec segment.Record) error {
			w.note(b, rec)
			return nil
		})
	}, nil)
	return w.activity(), err
}

// activityWatch follows a group through the end of the log.
type activityWatch struct {
	group   string
	dec     *commitlog.Decoder
	state   time.Time                          // since when
	commits map[TopicPartition]noted           // those that count
	pending map[int64]map[TopicPartition]noted // by producer id
	last    time.Time                          // of commits that were deleted since
}

type noted struct {
	offset int64 // of the record
	at     time.Time
}

func newActivityWatch(group string) *activityWatch {
	return &activityWatch{group: group, dec: commitlog.NewDecoder(), commits: map[TopicPartition]noted{}, pending: map[int64]map[TopicPartition]noted{}}
}

// activity is what has come together.
func (w *activityWatch) activity() Activity {
	a := Activity{LastCommit: w.last, StateSince: w.state}
	for _, c := range w.commits {
		a.LastCommit = later(a.LastCommit, c.at)
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func (w *activityWatch) note(b *segment.Batch, rec segment.Record) {
	if b.IsControl() {
		if m, err := segment.ParseMarker(rec); err == nil {
			w.marker(b.ProducerID, m, time.UnixMilli(rec.Timestamp))
		}
		return
	}
	var ref commitlog.CommitRef
	if ref.DecodeRef(rec.Key, rec.Value) && string(ref.Group) != w.group {
		return // almost all
	}
	r := w.dec.Decode(rec.Key, rec.Value)
	if name, known := r.Group(); !known || name != w.group {
		return
	}
	if key, ok := r.Key.(commitlog.OffsetCommitKey); ok {
		w.commit(b, TopicPartition{key.Topic, key.Partition}, rec.Offset, r)
		return
	}
	if v, ok := r.Value.(*commitlog.GroupMetadataValue); ok {
		w.state = time.Time{}
		if v.CurrentStateTimestamp > 0 {
			w.state = time.UnixMilli(v.CurrentStateTimestamp)
		}
	}
	if r.Tombstone && isGroup(r.Kind) {
		// It was deleted, with its commits; or converted, without them. What comes
		// next is another group.
		w.state, w.last = time.Time{}, time.Time{}
	}
}

func (w *activityWatch) commit(b *segment.Batch, tp TopicPartition, offset int64, r commitlog.Record) {
	v, ok := r.Value.(*commitlog.OffsetCommitValue)
	switch {
	case r.Tombstone:
		w.last = later(w.last, w.commits[tp].at)
		delete(w.commits, tp)
		for _, waiting := range w.pending {
			delete(waiting, tp)
		}
	case !ok: // it cannot be read
	case b.IsTransactional():
		if w.pending[b.ProducerID] == nil {
			w.pending[b.ProducerID] = map[TopicPartition]noted{}
		}
		w.pending[b.ProducerID][tp] = noted{offset: offset}
	default:
		w.commits[tp] = noted{offset, time.UnixMilli(v.CommitTimestamp)}
	}
}

func (w *activityWatch) marker(producerID int64, m segment.Marker, at time.Time) {
	if m.Type == segment.CommitMarker {
		for tp, c := range w.pending[producerID] {
			if was, known := w.commits[tp]; !known || c.offset > was.offset {
				w.commits[tp] = noted{c.offset, at}
			}
		}
	}
	delete(w.pending, producerID)
}
