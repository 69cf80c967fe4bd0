package connect

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
)

// DefaultMaxBatch is how many bytes the records of a batch may unpack to. Brokers
// take batches of 1 MiB unless configured otherwise, and producers fill them with
// not much more than that before they compress; what a megabyte unpacks to is
// decided by whoever may produce.
const DefaultMaxBatch = 64 << 20

// What the client library makes of a record and of a header, in bytes, and how much
// of that a batch may come to, as a multiple of what it may unpack to: a record
// takes 7 bytes at least, and thirty times that in memory.
const (
	recordCost = 256
	headerCost = 40
	costFactor = 4
)

// decompressor unpacks what fits into memory. The client library bounds the bytes,
// not what it makes of them, and on its way to them needs several times as much:
// what may become large is unpacked here in a buffer that has its full size from
// the start, one batch at a time. Memory that is never touched costs nothing.
type decompressor struct {
	small kgo.Decompressor
	most  int64

	mu    sync.Mutex
	large kgo.Decompressor // into scratch
}

// smallBatch unpacks to 4 MiB and a bit at the very most.
const smallBatch = 4 << 10

func newDecompressor(limit int) (kgo.Decompressor, error) {
	small, err := libraryDecompressor(kgo.MaxDecompressBatchBytes(limit))
	if err != nil {
		return nil, err
	}
	large, err := libraryDecompressor(kgo.MaxDecompressBatchBytes(limit), kgo.WithPools(&scratch{size: limit + 1024}))
	if err != nil {
		return nil, err
	}
	return &decompressor{small: small, large: large, most: costFactor * int64(limit)}, nil
}

// libraryDecompressor is the library's own, which is bounded only where a client
// was told the bound: one is asked for it.
func libraryDecompressor(opts ...kgo.Opt) (kgo.Decompressor, error) {
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	d, ok := cl.OptValue(kgo.WithDecompressor).(kgo.Decompressor)
	if !ok {
		return nil, errors.New("the client library has no decompressor")
	}
	return d, nil
}

// Decompress implements [kgo.Decompressor].
func (d *decompressor) Decompress(src []byte, codec kgo.CompressionCodecType) ([]byte, error) {
	if codec == kgo.CodecNone {
		return src, nil
	}
	if len(src) <= smallBatch {
		plain, err := d.small.Decompress(src, codec)
		if err == nil {
			err = d.check(plain)
		}
		return plain, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	plain, err := d.large.Decompress(src, codec)
	if err == nil {
		err = d.check(plain)
	}
	if err != nil {
		return nil, err
	}
	return bytes.Clone(plain), nil
}

func (d *decompressor) check(plain []byte) error {
	if cost(plain) > d.most {
		return fmt.Errorf("%w: so many records", kgo.ErrMaxDecompress)
	}
	return nil
}

// scratch is a pool of one buffer, for one user at a time.
type scratch struct {
	size int
	buf  []byte
}

// GetDecompressBytes implements [kgo.PoolDecompressBytes].
func (s *scratch) GetDecompressBytes([]byte, kgo.CompressionCodecType) []byte {
	if s.buf == nil {
		s.buf = make([]byte, 0, s.size)
	}
	return s.buf[:0]
}

// PutDecompressBytes implements [kgo.PoolDecompressBytes]: the buffer stays here.
func (s *scratch) PutDecompressBytes([]byte) {}

// cost is what the records of a batch take in memory. What is damaged ends the
// count, as it ends the library's reading.
func cost(plain []byte) int64 {
	n := int64(len(plain))
	// Messages of the formats before batches begin with an offset, whose first byte
	// is 0; a record of a batch is never so short.
	if len(plain) > 0 && plain[0] == 0 {
		for len(plain) >= 12 {
			n += recordCost
			size := int64(int32(binary.BigEndian.Uint32(plain[8:])))
			if size < 0 || size > int64(len(plain)-12) {
				break
			}
			plain = plain[12+size:]
		}
		return n
	}
	for len(plain) > 0 {
		size, used := binary.Varint(plain)
		if used <= 0 || size < 0 || size > int64(len(plain)-used) {
			break
		}
		n += recordCost + headerCost*headers(plain[used:used+int(size)])
		plain = plain[used+int(size):]
	}
	return n
}

// headers is how many a record says that it has, as far as there are bytes for
// them.
func headers(record []byte) int64 {
	if len(record) < 1 {
		return 0
	}
	record = record[1:] // attributes
	next := func() int64 {
		n, used := binary.Varint(record)
		if used <= 0 {
			record = nil
			return 0
		}
		record = record[used:]
		return n
	}
	next()        // timestamp
	next()        // offset
	for range 2 { // key, value
		if n := next(); n > int64(len(record)) {
			return 0
		} else if n > 0 {
			record = record[n:]
		}
	}
	return max(0, min(next(), int64(len(record))))
}
