package segment

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// The sizes, in bytes, of a message with neither key nor value.
const (
	legacyV0Size = 26
	legacyV1Size = 34 // with a timestamp
)

// NoTimestamp is the timestamp of records of format v0, which has none.
const NoTimestamp = -1

// parseLegacy reads a complete message of format v0 or v1. It may hold others,
// compressed; they are looked at by Records.
func parseLegacy(src []byte, position int64) (*Batch, error) {
	if crc32.ChecksumIEEE(src[16:]) != binary.BigEndian.Uint32(src[12:]) {
		return nil, ErrCRC
	}
	b := &Batch{
		Position: position, Size: len(src),
		BaseOffset:  int64(binary.BigEndian.Uint64(src)),
		LeaderEpoch: -1,
		// The codec and the type of timestamp have the same bits as in v2; there
		// are no transactions.
		Attributes: int16(src[17] & 0x0f),
		ProducerID: -1, ProducerEpoch: -1, BaseSequence: -1, NumRecords: 1,
		BaseTimestamp: NoTimestamp, MaxTimestamp: NoTimestamp,
		legacy: src,
	}
	if src[magicOffset] == 1 {
		b.BaseTimestamp = int64(binary.BigEndian.Uint64(src[18:]))
		b.MaxTimestamp = b.BaseTimestamp
	}
	return b, nil
}

// legacyRecords leaves the unpacking to the client library, which knows all
// the ways in which offsets of compressed messages were counted.
func (b *Batch) legacyRecords(f func(Record) error) error {
	part, _ := kgo.ProcessFetchPartition(
		kgo.ProcessFetchPartitionOpts{},
		&kmsg.FetchResponseTopicPartition{RecordBatches: b.legacy}, b.unpack.decompressor(min(maxUnpackedLegacy, b.unpack.most())), nil)
	for _, r := range part.Records {
		rec := Record{Offset: r.Offset, Timestamp: NoTimestamp, Key: r.Key, Value: r.Value}
		if b.legacy[magicOffset] == 1 {
			rec.Timestamp = r.Timestamp.UnixMilli()
		}
		if err := f(rec); err != nil {
			return err
		}
	}
	if part.Err != nil {
		return fmt.Errorf("%w: %w", ErrRecords, part.Err)
	}
	if len(part.Records) == 0 {
		return fmt.Errorf("%w: a message without records", ErrRecords)
	}
	return nil
}
