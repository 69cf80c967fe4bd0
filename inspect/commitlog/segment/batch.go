package segment

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Sizes in bytes. A length field counts what follows byte 12; the format's
// number (magic) is at byte 16 in every format.
const (
	headerSize   = 61 // of a v2 batch without records
	lengthOffset = 12
	magicOffset  = 16
)

// minSize is the least that a batch of a format takes, or a message of the
// formats before batches; 0 for a format that does not exist.
func minSize(magic byte) int64 {
	switch magic {
	case 0:
		return legacyV0Size
	case 1:
		return legacyV1Size
	case 2:
		return headerSize
	}
	return 0
}

// Errors of a batch; a [*DamageError] wraps them.
var (
	ErrCRC       = errors.New("the checksum does not match")
	ErrTruncated = errors.New("the bytes end inside of the batch")
	ErrLength    = errors.New("the length makes no sense")
	ErrMagic     = errors.New("unknown message format")
	ErrRecords   = errors.New("the records cannot be read")
)

// Batch is one record batch. It shares memory with what it was read from.
//
// In the message formats v0 and v1, which brokers wrote before 0.11 or as long
// as they were configured to, a batch is one message, or some that were
// compressed together; its BaseOffset is then that of the last one.
type Batch struct {
	Position        int64 // in the file or the fetched bytes
	Size            int   // in bytes, all of it
	BaseOffset      int64
	LeaderEpoch     int32
	Attributes      int16
	LastOffsetDelta int32
	BaseTimestamp   int64 // ms
	MaxTimestamp    int64 // ms
	ProducerID      int64 // -1: none
	ProducerEpoch   int16
	BaseSequence    int32
	NumRecords      int32

	records []byte // compressed, if it is
	legacy  []byte // the whole of it in format v0 or v1; else nil
	unpack  *unpacker
}

// IsTransactional says whether the batch was written in a transaction.
func (b *Batch) IsTransactional() bool { return b.Attributes&0x10 != 0 }

// IsControl says whether the batch is a transaction marker.
func (b *Batch) IsControl() bool { return b.Attributes&0x20 != 0 }

// LogAppendTime says whether timestamps are the broker's.
func (b *Batch) LogAppendTime() bool { return b.Attributes&0x08 != 0 }

// Counted says whether NumRecords is known without unpacking: not in formats v0
// and v1.
func (b *Batch) Counted() bool { return b.legacy == nil }

// NextOffset is the offset behind the batch, also where compaction has taken
// its records away.
func (b *Batch) NextOffset() int64 { return b.BaseOffset + int64(b.LastOffsetDelta) + 1 }

// parse reads a complete batch. crcTable is the Castagnoli polynomial's.
func parse(src []byte, position int64, crcTable *crc32.Table) (*Batch, error) {
	switch src[magicOffset] {
	case 0, 1:
		return parseLegacy(src, position)
	case 2:
	default:
		return nil, fmt.Errorf("%w %d", ErrMagic, src[magicOffset])
	}
	if crc32.Checksum(src[21:], crcTable) != binary.BigEndian.Uint32(src[17:]) {
		return nil, ErrCRC
	}
	b := &Batch{
		Position: position, Size: len(src),
		BaseOffset:      int64(binary.BigEndian.Uint64(src)),
		LeaderEpoch:     int32(binary.BigEndian.Uint32(src[12:])),
		Attributes:      int16(binary.BigEndian.Uint16(src[21:])),
		LastOffsetDelta: int32(binary.BigEndian.Uint32(src[23:])),
		BaseTimestamp:   int64(binary.BigEndian.Uint64(src[27:])),
		MaxTimestamp:    int64(binary.BigEndian.Uint64(src[35:])),
		ProducerID:      int64(binary.BigEndian.Uint64(src[43:])),
		ProducerEpoch:   int16(binary.BigEndian.Uint16(src[51:])),
		BaseSequence:    int32(binary.BigEndian.Uint32(src[53:])),
		NumRecords:      int32(binary.BigEndian.Uint32(src[57:])),
		records:         src[headerSize:],
	}
	if b.NumRecords < 0 || b.LastOffsetDelta < 0 || b.BaseOffset > math.MaxInt64-1-int64(b.LastOffsetDelta) {
		return nil, fmt.Errorf("%w: %d of them up to %d behind offset %d", ErrRecords, b.NumRecords, b.LastOffsetDelta, b.BaseOffset)
	}
	return b, nil
}

// Record is one record. It shares memory with its batch.
type Record struct {
	Offset    int64
	Timestamp int64  // ms; NoTimestamp in format v0
	Key       []byte // nil: null
	Value     []byte // nil: null
}

// Records calls f for each record, in order. The error wraps [ErrRecords]
// where the batch turns out to be damaged behind its checksum, or is f's own.
func (b *Batch) Records(f func(Record) error) error {
	if b.legacy != nil {
		return b.legacyRecords(f)
	}
	src := b.records
	if codec := b.Attributes & 7; codec != 0 {
		plain, err := b.unpack.unpack(src, kgo.CompressionCodecType(codec))
		if err != nil {
			return err
		}
		src = plain
	}
	r := &varReader{src: src}
	for range b.NumRecords {
		size := r.varint()
		body := &varReader{src: r.take(size)}
		body.take(1) // attributes, unused
		rec := Record{Timestamp: b.BaseTimestamp + body.varint()}
		rec.Offset = b.BaseOffset + body.varint()
		rec.Key = body.bytes()
		rec.Value = body.bytes()
		if b.LogAppendTime() {
			rec.Timestamp = b.MaxTimestamp
		}
		// Headers follow, which no record of the commit log has.
		if r.bad || body.bad {
			return fmt.Errorf("%w: record at offset %d", ErrRecords, rec.Offset)
		}
		if err := f(rec); err != nil {
			return err
		}
	}
	return nil
}

// varReader takes zigzag varints and bytes off a slice.
type varReader struct {
	src []byte
	bad bool
}

func (r *varReader) varint() int64 {
	// Nearly all of them take one byte.
	if len(r.src) > 0 && r.src[0] < 0x80 {
		u := r.src[0]
		r.src = r.src[1:]
		return int64(u>>1) ^ -int64(u&1)
	}
	v, n := binary.Varint(r.src)
	if n <= 0 {
		r.bad = true
		r.src = nil
		return 0
	}
	r.src = r.src[n:]
	return v
}

func (r *varReader) take(n int64) []byte {
	if n < 0 || n > int64(len(r.src)) {
		r.bad = true
		r.src = nil
		return nil
	}
	b := r.src[:n:n]
	r.src = r.src[n:]
	return b
}

func (r *varReader) bytes() []byte {
	n := r.varint()
	if n < 0 || r.bad {
		return nil
	}
	return r.take(n)
}
