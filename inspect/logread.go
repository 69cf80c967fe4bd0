package inspect

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"offsets/inspect/commitlog"
)

// LogRecord is one record of the commit log.
type LogRecord struct {
	Partition *int32 `json:"partition"`
	Offset    int64  `json:"offset"`
	Timestamp string `json:"timestamp"` // RFC 3339, UTC, the coordinator's clock
	Kind      string `json:"kind"`
	Type      *int16 `json:"type"`    // number at the start of the key
	Version   *int16 `json:"version"` // of the value
	Key       any    `json:"key"`     // fields of Kafka's schema
	Value     any    `json:"value"`
	Tombstone bool   `json:"tombstone"`
	// Transaction is set on records that were committed in a transaction, and
	// on its marker.
	Transaction *Transaction `json:"transaction"`
	// RawKey and RawValue are what could not be decoded; Error says why.
	RawKey   []byte  `json:"raw_key"`
	RawValue []byte  `json:"raw_value"`
	Error    *string `json:"error"`
}

// Transaction is the producer behind a record, and what became of it.
type Transaction struct {
	ProducerID    int64   `json:"producer_id"`
	ProducerEpoch int16   `json:"producer_epoch"`
	State         *string `json:"state"` // nil: not looked up
}

// ReadLog reads the live commit log, partition by partition, from its start to
// where it ended when reading began. Records that cannot be decoded are rows
// too. It needs the right to read the topic.
func (c *Cluster) ReadLog(ctx context.Context) iter.Seq2[LogRecord, error] {
	return func(yield func(LogRecord, error) bool) {
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
		topic := topics[commitlog.Topic]
		partitions := slices.Sorted(maps.Keys(topic.Partitions))
		var wanted []TopicPartition
		for _, p := range partitions {
			wanted = append(wanted, TopicPartition{commitlog.Topic, p})
		}
		found := c.logEnds(ctx, topics, wanted)
		for _, tp := range wanted {
			e := found[tp]
			if e.status != "" {
				if !yield(LogRecord{}, fmt.Errorf("partition %d of %s: %w", tp.Partition, commitlog.Topic, e.err)) {
					return
				}
				continue
			}
			if !c.readPartition(ctx, topic, tp.Partition, *e.start, *e.end, yield) {
				return
			}
		}
	}
}

// readPartition yields one partition's records. The end is reached by the
// fetch position: the last offsets of a compacted log may never come as
// records.
func (c *Cluster) readPartition(ctx context.Context, topic kadm.TopicDetail, partition int32, offset, end int64, yield func(LogRecord, error) bool) bool {
	for offset < end {
		rp, err := c.fetch(ctx, topic, partition, offset)
		if err != nil {
			return yield(LogRecord{}, fmt.Errorf("reading partition %d of %s at offset %d: %w", partition, commitlog.Topic, offset, err))
		}
		next := positionAfter(rp.RecordBatches, offset)
		fetched, _ := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{
			KeepControlRecords: true, Topic: topic.Topic, Partition: partition, Offset: offset,
		}, rp, kgo.DefaultDecompressor(), nil)
		for _, r := range fetched.Records {
			if r.Offset >= end {
				return true
			}
			if !yield(logRecord(r), nil) {
				return false
			}
			next = max(next, r.Offset+1)
		}
		if fetched.Err != nil {
			return yield(LogRecord{}, fmt.Errorf("partition %d of %s at offset %d: %w", partition, commitlog.Topic, offset, fetched.Err))
		}
		if next == offset && len(rp.RecordBatches) > 0 {
			return yield(LogRecord{}, fmt.Errorf("partition %d of %s: nothing readable at offset %d", partition, commitlog.Topic, offset))
		}
		offset = next
	}
	return true
}

// fetchBytes is how much one request asks for; a larger batch comes anyway.
const fetchBytes = 8 << 20

func (c *Cluster) fetch(ctx context.Context, topic kadm.TopicDetail, partition int32, offset int64) (*kmsg.FetchResponseTopicPartition, error) {
	req := kmsg.NewPtrFetchRequest()
	req.ReplicaID, req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.SessionEpoch = -1, 500, 1, fetchBytes, -1
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

// positionAfter walks the headers of complete batches: base offset (8 bytes),
// length (4), and the last offset's distance at byte 23. An empty batch that
// compaction left moves the position too.
func positionAfter(batches []byte, offset int64) int64 {
	const header = 61
	for len(batches) >= header {
		size := 12 + int(binary.BigEndian.Uint32(batches[8:]))
		if magic := batches[16]; magic != 2 || size > len(batches) || size < header {
			break
		}
		last := int64(binary.BigEndian.Uint64(batches)) + int64(int32(binary.BigEndian.Uint32(batches[23:])))
		offset = max(offset, last+1)
		batches = batches[size:]
	}
	return offset
}

// TimeFormat is how times are written: RFC 3339 with milliseconds.
const TimeFormat = "2006-01-02T15:04:05.000Z07:00"

func logRecord(r *kgo.Record) LogRecord {
	out := LogRecord{Partition: &r.Partition, Offset: r.Offset, Timestamp: r.Timestamp.UTC().Format(TimeFormat)}
	if r.Attrs.IsTransactional() {
		out.Transaction = &Transaction{ProducerID: r.ProducerID, ProducerEpoch: r.ProducerEpoch}
	}
	if r.Attrs.IsControl() {
		controlRecord(&out, r)
		return out
	}
	d := commitlog.Decode(r.Key, r.Value)
	out.Kind, out.Type, out.Version, out.Tombstone = string(d.Kind), d.Type, d.Version, d.Tombstone
	out.Key, out.Value, out.RawKey, out.RawValue = d.Key, d.Value, d.RawKey, d.RawValue
	if d.Err != nil {
		out.Error = nonEmpty(d.Err.Error())
	}
	return out
}

// controlRecord decodes a transaction marker: its key is version and type, its
// value version and coordinator epoch.
func controlRecord(out *LogRecord, r *kgo.Record) {
	out.Kind = string(commitlog.KindControl)
	if len(r.Key) < 4 {
		out.RawKey, out.RawValue, out.Error = r.Key, r.Value, nonEmpty("marker: "+commitlog.ErrTruncated.Error())
		return
	}
	names := map[uint16]string{0: "abort", 1: "commit"}
	typ := binary.BigEndian.Uint16(r.Key[2:])
	name, ok := names[typ]
	if !ok {
		name = fmt.Sprintf("type %d", typ)
	}
	out.Key = map[string]any{"marker": name}
	if len(r.Value) >= 6 {
		out.Value = map[string]any{"coordinatorEpoch": int32(binary.BigEndian.Uint32(r.Value[2:]))}
	}
}
