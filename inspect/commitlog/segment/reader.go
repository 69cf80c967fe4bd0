package segment

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// DamageError is a stretch of bytes that is no readable batch. Reading may go
// on behind it.
type DamageError struct {
	Position   int64
	Size       int64
	BaseOffset int64 // as the bytes say, which may be wrong
	Err        error
}

func (e *DamageError) Error() string {
	return fmt.Sprintf("batch at position %d (%d bytes): %v", e.Position, e.Size, e.Err)
}

func (e *DamageError) Unwrap() error { return e.Err }

// maxBatch is the largest batch taken for real: brokers allow 1 MiB unless
// configured otherwise.
const maxBatch = 64 << 20

// Reader reads batch after batch. It holds no more than one batch and its read
// buffer in memory.
type Reader struct {
	src      io.Reader
	buf      []byte // unread bytes
	start    int    // of the unread part
	position int64  // of start, in the source
	eof      bool
	crc      *crc32.Table
	markers  bool // step over everything else
	unpack   unpacker
}

// NewReader returns a reader of batches.
func NewReader(src io.Reader) *Reader {
	return &Reader{src: src, crc: crc32.MakeTable(crc32.Castagnoli)}
}

// OfTopic is for batches that are not of the offsets topic: they may unpack to so
// many bytes; 0 is [MaxUnpackedOfTopics].
func (r *Reader) OfTopic(limit int) { r.unpack.limit = cmp.Or(limit, MaxUnpackedOfTopics) }

// Reset goes on with another source. What was allocated for the last one is used
// again, so its batches are not valid any more.
func (r *Reader) Reset(src io.Reader) {
	r.src, r.buf, r.start, r.position, r.eof = src, r.buf[:0], 0, 0, false
}

// OnlyMarkers makes Next return control batches only. Others are stepped over
// by their headers, unchecked: that is several times as fast.
func (r *Reader) OnlyMarkers() { r.markers = true }

// readSize is how much is read at once.
const readSize = 256 << 10

// fill makes n unread bytes available, if there are so many.
func (r *Reader) fill(n int) ([]byte, error) {
	for len(r.buf)-r.start < n && !r.eof {
		if r.start > 0 {
			r.buf = append(r.buf[:0], r.buf[r.start:]...)
			r.start = 0
		}
		have := len(r.buf)
		// A length that makes no sense must not cost its memory: grow with what
		// has really been read.
		want := max(min(n-have, have), readSize)
		if cap(r.buf) < have+want {
			grown := make([]byte, have, have+want)
			copy(grown, r.buf)
			r.buf = grown
		}
		m, err := io.ReadAtLeast(r.src, r.buf[have:have+want], min(want, n-have))
		r.buf = r.buf[:have+m]
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			r.eof = true
		} else if err != nil {
			return nil, err
		}
	}
	return r.buf[r.start:min(len(r.buf), r.start+n)], nil
}

func (r *Reader) skip(n int) {
	r.start += n
	r.position += int64(n)
}

// Next returns the next batch, which is valid until the next call. At the end
// it returns [io.EOF]; a [*DamageError] is followed by what lies behind.
func (r *Reader) Next() (*Batch, error) {
	for {
		b, err := r.next()
		if b != nil || err != nil {
			return b, err
		}
	}
}

// next returns neither a batch nor an error where it stepped over one.
func (r *Reader) next() (*Batch, error) {
	head, err := r.fill(headerSize)
	if err != nil {
		return nil, err
	}
	switch {
	case len(head) == 0:
		return nil, io.EOF
	case len(head) <= magicOffset || allZero(head):
		return nil, r.tail(ErrTruncated)
	case int64(len(head)) < minSize(head[magicOffset]):
		return nil, r.tail(ErrTruncated)
	}
	position := r.position
	base := int64(binary.BigEndian.Uint64(head))
	size := int64(int32(binary.BigEndian.Uint32(head[8:]))) + lengthOffset
	if size < max(minSize(head[magicOffset]), magicOffset+1) || size > maxBatch || base < 0 {
		return nil, r.resync(base, ErrLength)
	}
	body, err := r.fill(int(size))
	if err != nil {
		return nil, err
	}
	if int64(len(body)) < size {
		return nil, r.resync(base, ErrTruncated)
	}
	if r.markers && plausible(head) && !mayBeMarker(head) && r.plausibleAt(int(size)) {
		r.skip(int(size))
		return nil, nil
	}
	b, err := parse(body, position, r.crc)
	if err != nil {
		damage := &DamageError{Position: position, Size: size, BaseOffset: base, Err: err}
		// A wrong checksum may come from a wrong length: believe the length
		// only if another batch follows it.
		if !r.plausibleAt(int(size)) {
			return nil, r.resync(base, err)
		}
		r.skip(int(size))
		return nil, damage
	}
	r.skip(int(size))
	b.unpack = &r.unpack
	return b, nil
}

// plausibleAt says whether a batch may begin so many bytes ahead, or the
// source ends there.
func (r *Reader) plausibleAt(ahead int) bool {
	b, err := r.fill(ahead + headerSize)
	if err != nil || len(b) < ahead+headerSize {
		return err == nil // the end, or a tail that is looked at next
	}
	return plausible(b[ahead:])
}

// plausible looks at a header only: a format that there is, a length and an
// offset that can be.
func plausible(head []byte) bool {
	if len(head) <= magicOffset {
		return false
	}
	least := minSize(head[magicOffset])
	size := int64(int32(binary.BigEndian.Uint32(head[8:]))) + lengthOffset
	return least > 0 && size >= least && size <= maxBatch && int64(binary.BigEndian.Uint64(head)) >= 0
}

// mayBeMarker: transactions came with format v2.
func mayBeMarker(head []byte) bool {
	return head[magicOffset] == 2 && binary.BigEndian.Uint16(head[21:])&0x20 != 0
}

// A search for the next batch may checksum so many bytes to begin with, and so
// many more for each byte that it has come on. Without that bound, bytes made for
// it cost the square of the file's size; what lies in true files is told apart by
// its headers and needs a fraction.
const (
	resyncAllowance = 2 * maxBatch
	resyncPerByte   = 16
)

// resync steps over bytes until a batch with a right checksum begins.
func (r *Reader) resync(base int64, why error) error {
	damage := &DamageError{Position: r.position, BaseOffset: base, Err: why}
	r.skip(1)
	for checked := int64(0); ; r.skip(1) {
		head, err := r.fill(headerSize)
		if err != nil {
			return err
		}
		if len(head) < legacyV0Size {
			r.skip(len(head))
			break
		}
		if !looksWhole(head) {
			continue
		}
		size := int(binary.BigEndian.Uint32(head[8:])) + lengthOffset
		if checked+int64(size) > resyncAllowance+resyncPerByte*(r.position-damage.Position) {
			continue
		}
		body, err := r.fill(size)
		if err != nil {
			return err
		}
		if len(body) == size {
			checked += int64(size)
			if _, err := parse(body, 0, r.crc); err == nil {
				break
			}
		}
	}
	damage.Size = r.position - damage.Position
	return damage
}

// looksWhole is plausible for who has no reason to believe that a batch begins
// here: every field of the header that can be wrong is looked at.
func looksWhole(head []byte) bool {
	if !plausible(head) {
		return false
	}
	size := int64(binary.BigEndian.Uint32(head[8:])) + lengthOffset
	switch head[magicOffset] {
	case 0:
		return legacyLooksWhole(head[17:], size-legacyV0Size)
	case 1:
		return len(head) >= legacyV1Size && legacyLooksWhole(head[25:], size-legacyV1Size)
	}
	if len(head) < headerSize {
		return false
	}
	attributes := binary.BigEndian.Uint16(head[21:])
	lastDelta := int32(binary.BigEndian.Uint32(head[23:]))
	count := int32(binary.BigEndian.Uint32(head[57:]))
	const known, codec, leastRecord = 0x7f, 0x07, 7
	return attributes&^known == 0 && attributes&codec <= 4 &&
		lastDelta >= 0 && count >= 0 && int64(count) <= int64(lastDelta)+1 &&
		(attributes&codec != 0 || int64(count)*leastRecord <= size-headerSize)
}

// legacyLooksWhole looks at a message from its key's length on: of the bytes
// that its size leaves for key and value, each has some or is null.
func legacyLooksWhole(src []byte, left int64) bool {
	if len(src) < 4 {
		return false
	}
	key := int64(int32(binary.BigEndian.Uint32(src)))
	return key >= -1 && key <= left
}

// tail takes what is left as one damaged stretch. Brokers preallocate files
// with zeros; those are no damage, just the end.
func (r *Reader) tail(why error) error {
	damage := &DamageError{Position: r.position, BaseOffset: -1, Err: why}
	zero := true
	for {
		b, err := r.fill(readSize)
		if err != nil {
			return err
		}
		if len(b) == 0 {
			break
		}
		if len(b) >= 8 && damage.BaseOffset < 0 {
			damage.BaseOffset = int64(binary.BigEndian.Uint64(b))
		}
		zero = zero && allZero(b)
		r.skip(len(b))
	}
	if zero {
		return io.EOF
	}
	damage.Size = r.position - damage.Position
	return damage
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
