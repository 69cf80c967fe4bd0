package commitlog

import (
	"encoding/binary"
	"fmt"
)

// reader takes Kafka's primitive types off a byte slice. After the first
// failure everything reads as zero and done reports it.
type reader struct {
	src      []byte
	flexible bool // compact lengths and tagged fields
	bad      error
}

// done reports a failure, or bytes that no field took.
func (r *reader) done() error {
	if r.bad != nil {
		return r.bad
	}
	if len(r.src) > 0 {
		return fmt.Errorf("%w: %d", ErrTrailing, len(r.src))
	}
	return nil
}

func (r *reader) fail(err error) {
	if r.bad == nil {
		r.bad = err
	}
	r.src = nil
}

func (r *reader) take(n int) []byte {
	if n < 0 || n > len(r.src) {
		r.fail(ErrTruncated)
		return nil
	}
	b := r.src[:n]
	r.src = r.src[n:]
	return b
}

func (r *reader) int8() int8 {
	if b := r.take(1); b != nil {
		return int8(b[0])
	}
	return 0
}

func (r *reader) int16() int16 {
	if b := r.take(2); b != nil {
		return int16(binary.BigEndian.Uint16(b))
	}
	return 0
}

func (r *reader) int32() int32 {
	if b := r.take(4); b != nil {
		return int32(binary.BigEndian.Uint32(b))
	}
	return 0
}

func (r *reader) int64() int64 {
	if b := r.take(8); b != nil {
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}

func (r *reader) uvarint() uint32 {
	v, n := binary.Uvarint(r.src)
	if n <= 0 || n > 5 || v > 1<<32-1 {
		r.fail(ErrTruncated)
		return 0
	}
	r.src = r.src[n:]
	return uint32(v)
}

// length reads a length or count in front of a string (16 bits), or of bytes
// or an array (32 bits); null is -1.
func (r *reader) length(bits int) int {
	n := 0
	switch {
	case r.flexible:
		n = int(r.uvarint()) - 1
	case bits == 16:
		n = int(r.int16())
	default:
		n = int(r.int32())
	}
	if r.bad == nil && (n < -1 || n > len(r.src)) {
		r.fail(ErrTruncated)
	}
	if r.bad != nil {
		return -1
	}
	return n
}

func (r *reader) nullableString() *string {
	n := r.length(16)
	if n < 0 {
		return nil
	}
	s := string(r.take(n))
	return &s
}

func (r *reader) string() string {
	if s := r.nullableString(); s != nil {
		return *s
	}
	r.failNull()
	return ""
}

func (r *reader) bytes() []byte {
	n := r.length(32)
	if n < 0 {
		return nil
	}
	return append([]byte{}, r.take(n)...)
}

// count reads an array's length. Each element takes at least one byte, so a
// count beyond what is left is damage, not a reason to allocate.
func (r *reader) count() int {
	n := r.length(32)
	if n < 0 {
		r.failNull()
		return 0
	}
	return n
}

func (r *reader) failNull() {
	if r.bad == nil {
		r.fail(fmt.Errorf("null in a field that cannot be null"))
	}
}

func (r *reader) int32s() []int32 {
	n := r.count()
	out := make([]int32, 0, n)
	for range n {
		out = append(out, r.int32())
	}
	return out
}

func (r *reader) strings() []string {
	n := r.count()
	out := make([]string, 0, n)
	for range n {
		out = append(out, r.string())
	}
	return out
}

// Tag is a tagged field that this package does not know.
type Tag struct {
	Tag  uint32 `json:"tag"`
	Data []byte `json:"data"`
}

// tags reads the tag section that ends every flexible struct. Fields that
// known takes are not kept.
func (r *reader) tags(known func(tag uint32, data *reader) bool) []Tag {
	if !r.flexible {
		return nil
	}
	var kept []Tag
	for n := r.uvarint(); n > 0 && r.bad == nil; n-- {
		tag := r.uvarint()
		data := r.take(int(r.uvarint()))
		field := &reader{src: data, flexible: true}
		if known != nil && known(tag, field) {
			if err := field.done(); err != nil {
				r.fail(err)
			}
			continue
		}
		kept = append(kept, Tag{Tag: tag, Data: append([]byte{}, data...)})
	}
	return kept
}
