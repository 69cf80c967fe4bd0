package segment

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"
)

// How many bytes the records of one batch may unpack to. Brokers take batches of
// 1 MiB unless configured otherwise, but what a megabyte unpacks to is decided by
// whoever may produce.
const (
	// MaxUnpacked is for the offsets topic, whose coordinators make small batches.
	MaxUnpacked = 32 << 20
	// MaxUnpackedOfTopics is for topics that anybody writes, unless the caller knows
	// better.
	MaxUnpackedOfTopics = 64 << 20
	// maxUnpackedLegacy is for formats v0 and v1, of which all messages are in
	// memory at once, each in a struct of its own.
	maxUnpackedLegacy = 8 << 20
)

// TooLargeError is a batch whose records unpack to more than they may.
type TooLargeError struct{ Limit int }

func (e *TooLargeError) Error() string {
	if e.Limit%(1<<20) == 0 {
		return fmt.Sprintf("they unpack to more than %d MiB", e.Limit>>20)
	}
	return fmt.Sprintf("they unpack to more than %d bytes", e.Limit)
}

// unpacker decompresses batches, one at a time, into one buffer. The zero value
// is ready.
type unpacker struct {
	limit int                      // bytes; 0: MaxUnpacked
	by    map[int]kgo.Decompressor // by limit
	buf   []byte
}

func (u *unpacker) most() int { return cmp.Or(u.limit, MaxUnpacked) }

// GetDecompressBytes and PutDecompressBytes make the unpacker a pool of one
// buffer for the client library. A buffer that grows is there twice while it
// does, so for what may become large it has the full size from the start: memory
// that is never touched costs nothing.
func (u *unpacker) GetDecompressBytes(src []byte, _ kgo.CompressionCodecType) []byte {
	const small = 4 << 10 // unpacks to 4 MiB and a bit at the very most
	if cap(u.buf) == 0 {
		u.buf = make([]byte, 0, 1<<20)
	}
	if len(src) > small && cap(u.buf) < MaxUnpacked { // a larger limit grows on
		u.buf = make([]byte, 0, MaxUnpacked+1024)
	}
	return u.buf[:0]
}

// PutDecompressBytes does nothing: the buffer stays here.
func (u *unpacker) PutDecompressBytes([]byte) {}

// decompressor is the client library's, for all of Kafka's codecs. It is bounded
// only where a client was told the bound, so one is asked for it.
func (u *unpacker) decompressor(limit int) kgo.Decompressor {
	if d := u.by[limit]; d != nil {
		return d
	}
	if u.by == nil {
		u.by = map[int]kgo.Decompressor{}
	}
	cl, err := kgo.NewClient(kgo.MaxDecompressBatchBytes(limit), kgo.WithPools(u))
	if err != nil {
		return failing{err}
	}
	defer cl.Close()
	d, ok := cl.OptValue(kgo.WithDecompressor).(kgo.Decompressor)
	if !ok {
		return failing{errors.New("the client library has no decompressor")}
	}
	u.by[limit] = d
	return d
}

// unpack returns the records of a batch, which are valid until the next call.
func (u *unpacker) unpack(src []byte, codec kgo.CompressionCodecType) ([]byte, error) {
	limit := u.most()
	plain, err := u.decompressor(limit).Decompress(src, codec)
	if errors.Is(err, kgo.ErrMaxDecompress) {
		return nil, fmt.Errorf("%w: %w", ErrRecords, &TooLargeError{limit})
	}
	if err != nil {
		return nil, fmt.Errorf("%w: decompressing: %w", ErrRecords, err)
	}
	return plain, nil
}

// failing is a decompressor that cannot be had.
type failing struct{ err error }

func (f failing) Decompress([]byte, kgo.CompressionCodecType) ([]byte, error) { return nil, f.err }
