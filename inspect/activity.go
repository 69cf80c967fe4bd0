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
	// was read.
	LastCommit time.Time
	// StateSince is when a classic group entered its state; zero if unknown.
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
	dec := commitlog.NewDecoder()
	from := max(*e.start, *e.end-activityOffsets)
	err = r.fetchRange(ctx, from, *e.end, 0, func(b *segment.Batch, _ []kmsg.FetchResponseTopicPartitionAbortedTransaction) error {
		if b.IsControl() {
			return nil
		}
		return b.Records(func(rec segment.Record) error {
			a.note(dec, group, rec)
			return nil
		})
	}, nil)
	return a, err
}

func (a *Activity) note(dec *commitlog.Decoder, group string, rec segment.Record) {
	var ref commitlog.CommitRef
	if ref.DecodeRef(rec.Key, rec.Value) {
		if !ref.Tombstone && string(ref.Group) == group {
			a.LastCommit = time.UnixMilli(ref.CommitTimestamp)
		}
		return
	}
	r := dec.Decode(rec.Key, rec.Value)
	if name, known := r.Group(); !known || name != group {
		return
	}
	switch v := r.Value.(type) {
	case *commitlog.OffsetCommitValue:
		a.LastCommit = time.UnixMilli(v.CommitTimestamp)
	case *commitlog.GroupMetadataValue:
		if v.CurrentStateTimestamp > 0 {
			a.StateSince = time.UnixMilli(v.CurrentStateTimestamp)
		}
	}
}
