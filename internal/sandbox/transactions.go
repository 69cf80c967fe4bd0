package sandbox

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"offsets/inspect/commitlog"
)

// sequenceKey is what a broker counts a producer's batches by.
type sequenceKey struct {
	producerID int64
	epoch      int16
	partition  int32
}

// transactionalCommits writes the accepted commits of a transaction as part of
// that transaction: as a batch of its producer, which makes the commit log's
// partition one of the transaction's, so that kfake itself writes the marker
// there when the transaction ends.
func (l *commitLog) transactionalCommits(req *kmsg.TxnOffsetCommitRequest, resp *kmsg.TxnOffsetCommitResponse) error {
	accepted := acceptance{}
	for _, t := range resp.Topics {
		topic, _ := l.topic(t.Topic, t.TopicID)
		for _, p := range t.Partitions {
			accepted.note(topic, p.Partition, p.ErrorCode)
		}
	}
	now := time.Now().UnixMilli()
	var entries []entry
	for _, t := range req.Topics {
		topic, _ := l.topic(t.Topic, t.TopicID)
		for _, p := range t.Partitions {
			if !accepted.has(topic, p.Partition) {
				continue
			}
			// Brokers up to 4.3 leave the topic id out of these.
			value := commitlog.OffsetCommitValue{Version: 4, Offset: p.Offset, LeaderEpoch: p.LeaderEpoch, CommitTimestamp: now}
			if p.Metadata != nil {
				value.Metadata = *p.Metadata
			}
			entries = append(entries, entry{req.Group, commitlog.OffsetCommitKey{Group: req.Group, Topic: topic, Partition: p.Partition}.Encode(), value.Encode()})
		}
	}
	if len(entries) == 0 {
		return nil
	}
	partition := commitlog.PartitionOf(req.Group, l.partitions)
	key := sequenceKey{req.ProducerID, req.ProducerEpoch, partition}
	l.mu.Lock()
	defer l.mu.Unlock()
	batch := transactionalBatch(req.ProducerID, req.ProducerEpoch, l.sequences[key], now, entries)
	if err := l.produceRaw(req.TransactionalID, partition, batch); err != nil {
		return err
	}
	l.sequences[key] += int32(len(entries))
	return nil
}

// produceRaw sends a finished batch. From Produce v12 on a broker adds the
// partition to the producer's transaction by itself (KIP-890).
func (l *commitLog) produceRaw(transactionalID string, partition int32, batch []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), writeLimit)
	defer cancel()
	req := kmsg.NewPtrProduceRequest()
	req.TransactionID, req.Acks, req.TimeoutMillis = &transactionalID, -1, int32(writeLimit.Milliseconds())
	t := kmsg.NewProduceRequestTopic()
	t.Topic = commitlog.Topic
	if info := l.cluster.TopicInfo(commitlog.Topic); info != nil {
		t.TopicID = info.TopicID
	}
	p := kmsg.NewProduceRequestTopicPartition()
	p.Partition, p.Records = partition, batch
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	resp, err := req.RequestWith(ctx, l.client)
	if err == nil {
		err = kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode)
	}
	if err != nil {
		return fmt.Errorf("writing %s in a transaction: %w", commitlog.Topic, err)
	}
	return nil
}

// transactionalBatch is a record batch (format v2) with the transactional bit.
func transactionalBatch(producerID int64, epoch int16, sequence int32, now int64, entries []entry) []byte {
	const transactional = 0x10
	var records []byte
	for i, e := range entries {
		r := kmsg.Record{OffsetDelta: int32(i), Key: e.key, Value: e.value}
		body := r.AppendTo(nil)
		// The length in front counts what follows it; a zero takes one byte.
		r.Length = int32(len(body) - 1)
		records = r.AppendTo(records)
	}
	b := kmsg.RecordBatch{
		Magic: 2, Attributes: transactional, LastOffsetDelta: int32(len(entries) - 1),
		FirstTimestamp: now, MaxTimestamp: now, ProducerID: producerID, ProducerEpoch: epoch, FirstSequence: sequence,
		NumRecords: int32(len(entries)), Records: records, PartitionLeaderEpoch: -1,
	}
	out := b.AppendTo(nil)
	binary.BigEndian.PutUint32(out[8:], uint32(len(out)-12))
	binary.BigEndian.PutUint32(out[17:], crc32.Checksum(out[21:], crc32.MakeTable(crc32.Castagnoli)))
	return out
}
