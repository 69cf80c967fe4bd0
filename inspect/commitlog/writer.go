package commitlog

import "encoding/binary"

// writer puts Kafka's primitive types behind each other.
type writer struct {
	b        []byte
	flexible bool
}

func (w *writer) int16(v int16) { w.b = binary.BigEndian.AppendUint16(w.b, uint16(v)) }
func (w *writer) int32(v int32) { w.b = binary.BigEndian.AppendUint32(w.b, uint32(v)) }
func (w *writer) int64(v int64) { w.b = binary.BigEndian.AppendUint64(w.b, uint64(v)) }

func (w *writer) length(n, bits int) {
	switch {
	case w.flexible:
		w.b = binary.AppendUvarint(w.b, uint64(n+1))
	case bits == 16:
		w.int16(int16(n))
	default:
		w.int32(int32(n))
	}
}

func (w *writer) string(s string) {
	w.length(len(s), 16)
	w.b = append(w.b, s...)
}

func (w *writer) nullableString(s *string) {
	if s == nil {
		w.length(-1, 16)
		return
	}
	w.string(*s)
}

func (w *writer) bytes(b []byte) {
	if b == nil {
		w.length(-1, 32)
		return
	}
	w.length(len(b), 32)
	w.b = append(w.b, b...)
}

func (w *writer) tag(tag uint32, data []byte) {
	w.b = binary.AppendUvarint(w.b, uint64(tag))
	w.b = binary.AppendUvarint(w.b, uint64(len(data)))
	w.b = append(w.b, data...)
}
