package segment_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"offsets/inspect/commitlog/segment"
)

// batch writes a v2 record batch, field by field, independently of the reader.
type batch struct {
	base       int64
	attributes int16
	pid        int64
	records    []segment.Record
	last       int32 // offset delta; 0: of the last record
}

func (b batch) bytes(t testing.TB) []byte {
	var body []byte
	for i, r := range b.records {
		var rec []byte
		rec = append(rec, 0)
		rec = binary.AppendVarint(rec, r.Timestamp-1000)
		rec = binary.AppendVarint(rec, int64(i))
		for _, field := range [][]byte{r.Key, r.Value} {
			if field == nil {
				rec = binary.AppendVarint(rec, -1)
				continue
			}
			rec = binary.AppendVarint(rec, int64(len(field)))
			rec = append(rec, field...)
		}
		rec = binary.AppendVarint(rec, 0) // headers
		body = binary.AppendVarint(body, int64(len(rec)))
		body = append(body, rec...)
	}
	if codec := b.attributes & 7; codec != 0 {
		body = compress(t, codec, body)
	}
	last := b.last
	if last == 0 && len(b.records) > 0 {
		last = int32(len(b.records) - 1)
	}
	var tail []byte // from the attributes on
	tail = binary.BigEndian.AppendUint16(tail, uint16(b.attributes))
	tail = binary.BigEndian.AppendUint32(tail, uint32(last))
	tail = binary.BigEndian.AppendUint64(tail, 1000)
	tail = binary.BigEndian.AppendUint64(tail, 2000)
	tail = binary.BigEndian.AppendUint64(tail, uint64(b.pid))
	tail = binary.BigEndian.AppendUint16(tail, 3)
	tail = binary.BigEndian.AppendUint32(tail, uint32(0xffffffff))
	tail = binary.BigEndian.AppendUint32(tail, uint32(len(b.records)))
	tail = append(tail, body...)
	var out []byte
	out = binary.BigEndian.AppendUint64(out, uint64(b.base))
	out = binary.BigEndian.AppendUint32(out, uint32(4+1+4+len(tail)))
	out = binary.BigEndian.AppendUint32(out, 7)
	out = append(out, 2)
	out = binary.BigEndian.AppendUint32(out, crc32.Checksum(tail, crc32.MakeTable(crc32.Castagnoli)))
	return append(out, tail...)
}

func compress(t testing.TB, codec int16, src []byte) []byte {
	choice := map[int16]kgo.CompressionCodec{1: kgo.GzipCompression(), 2: kgo.SnappyCompression(), 3: kgo.Lz4Compression(), 4: kgo.ZstdCompression()}[codec]
	c, err := kgo.DefaultCompressor(choice)
	if err != nil {
		t.Fatal(err)
	}
	var dst bytes.Buffer
	out, got := c.Compress(&dst, src)
	if int16(got) != codec {
		t.Fatalf("codec %d was not used but %d", codec, got)
	}
	return bytes.Clone(out)
}

func records(n int) []segment.Record {
	var out []segment.Record
	for i := range n {
		out = append(out, segment.Record{Timestamp: 1000 + int64(i), Key: fmt.Appendf(nil, "key %d", i), Value: bytes.Repeat([]byte("value "), 20)})
	}
	return out
}

// read walks over bytes and tells in short what it found.
func read(t testing.TB, src io.Reader) (found []string) {
	t.Helper()
	r := segment.NewReader(src)
	for range 10_000 {
		b, err := r.Next()
		var damage *segment.DamageError
		switch {
		case errors.Is(err, io.EOF):
			return found
		case errors.As(err, &damage):
			found = append(found, fmt.Sprintf("damage %d+%d", damage.Position, damage.Size))
			continue
		case err != nil:
			t.Fatal(err)
		}
		n := 0
		if err := b.Records(func(rec segment.Record) error { n++; return nil }); err != nil {
			found = append(found, "bad records")
			continue
		}
		found = append(found, fmt.Sprintf("batch %d: %d, next %d", b.BaseOffset, n, b.NextOffset()))
	}
	t.Fatal("it does not end")
	return nil
}

func TestEveryCodec(t *testing.T) {
	for codec := range int16(5) {
		want := records(50)
		src := batch{base: 100, attributes: codec, pid: -1, records: want}.bytes(t)
		b, err := segment.NewReader(bytes.NewReader(src)).Next()
		if err != nil {
			t.Fatalf("codec %d: %v", codec, err)
		}
		i := 0
		err = b.Records(func(r segment.Record) error {
			if r.Offset != 100+int64(i) || r.Timestamp != want[i].Timestamp || !bytes.Equal(r.Key, want[i].Key) || !bytes.Equal(r.Value, want[i].Value) {
				t.Fatalf("codec %d, record %d: %+v", codec, i, r)
			}
			i++
			return nil
		})
		if err != nil || i != 50 {
			t.Errorf("codec %d: %d records, %v", codec, i, err)
		}
	}
}

// Null keys and values are not empty ones; empty batches and gaps move the
// offset; a file filled with zeros ends there.
func TestOddities(t *testing.T) {
	odd := []segment.Record{{Timestamp: 1000}, {Timestamp: 1000, Key: []byte{}, Value: []byte{}}}
	src := batch{base: 5, pid: -1, records: odd}.bytes(t)
	b, err := segment.NewReader(bytes.NewReader(src)).Next()
	if err != nil {
		t.Fatal(err)
	}
	var got []segment.Record
	if err := b.Records(func(r segment.Record) error { got = append(got, r); return nil }); err != nil {
		t.Fatal(err)
	}
	if got[0].Key != nil || got[0].Value != nil || got[1].Key == nil || got[1].Value == nil {
		t.Errorf("null and empty are mixed up: %+v", got)
	}
	src = append(src, batch{base: 20, pid: -1, last: 9}.bytes(t)...)
	src = append(src, batch{base: 40, pid: -1, records: records(1)}.bytes(t)...)
	src = append(src, make([]byte, 1000)...)
	want := "[batch 5: 2, next 7 batch 20: 0, next 30 batch 40: 1, next 41]"
	if got := fmt.Sprint(read(t, bytes.NewReader(src))); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := fmt.Sprint(read(t, oneByOne{bytes.NewReader(src)})); got != want {
		t.Errorf("byte by byte: got %s, want %s", got, want)
	}
}

type oneByOne struct{ r io.Reader }

func (o oneByOne) Read(p []byte) (int, error) { return o.r.Read(p[:min(1, len(p))]) }

// Damage costs the batch that it hit, and no other.
func TestDamage(t *testing.T) {
	one, two, three := batch{base: 0, pid: -1, records: records(2)}.bytes(t), batch{base: 2, pid: -1, records: records(3)}.bytes(t), batch{base: 5, pid: -1, records: records(1)}.bytes(t)
	whole := func() []byte { return bytes.Join([][]byte{one, two, three}, nil) }
	n1, n2 := len(one), len(two)
	for name, tt := range map[string]struct {
		spoil func([]byte) []byte
		want  string
	}{
		"a flipped bit": {func(b []byte) []byte { b[n1+100] ^= 4; return b },
			fmt.Sprintf("[batch 0: 2, next 2 damage %d+%d batch 5: 1, next 6]", n1, n2)},
		"a wrong length": {func(b []byte) []byte { b[n1+8] = 0x7f; return b },
			fmt.Sprintf("[batch 0: 2, next 2 damage %d+%d batch 5: 1, next 6]", n1, n2)},
		"a length that is a little wrong": {func(b []byte) []byte { b[n1+11] ^= 1; return b },
			fmt.Sprintf("[batch 0: 2, next 2 damage %d+%d batch 5: 1, next 6]", n1, n2)},
		"an old format": {func(b []byte) []byte { b[n1+16] = 1; return b },
			fmt.Sprintf("[batch 0: 2, next 2 damage %d+%d batch 5: 1, next 6]", n1, n2)},
		"rubbish in front": {func(b []byte) []byte { return append(bytes.Repeat([]byte{0xee}, 77), b...) },
			"[damage 0+77 batch 0: 2, next 2 batch 2: 3, next 5 batch 5: 1, next 6]"},
		"a truncated tail": {func(b []byte) []byte { return b[:len(b)-1] },
			fmt.Sprintf("[batch 0: 2, next 2 batch 2: 3, next 5 damage %d+%d]", n1+n2, len(three)-1)},
		"a truncated header": {func(b []byte) []byte { return b[:n1+n2+20] },
			fmt.Sprintf("[batch 0: 2, next 2 batch 2: 3, next 5 damage %d+20]", n1+n2)},
	} {
		if got := fmt.Sprint(read(t, bytes.NewReader(tt.spoil(whole())))); got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, tt.want)
		}
	}
}

func TestTransactions(t *testing.T) {
	marker := func(base, pid int64, typ byte) []byte {
		return batch{base: base, pid: pid, attributes: 0x30, records: []segment.Record{{Timestamp: 1000, Key: []byte{0, 0, 0, typ}, Value: []byte{0, 0, 0, 0, 0, 7}}}}.bytes(t)
	}
	src := bytes.Join([][]byte{marker(5, 1, 0), marker(8, 1, 1), marker(9, 2, 1)}, nil)
	var tx segment.Transactions
	r := segment.NewReader(bytes.NewReader(src))
	for {
		b, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := tx.Add(b); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		pid, offset int64
		want        string
	}{{1, 3, segment.Aborted}, {1, 6, segment.Committed}, {1, 8, segment.Committed}, {1, 9, segment.Open}, {2, 1, segment.Committed}, {3, 1, segment.Open}} {
		if got := tx.State(tt.pid, tt.offset); got != tt.want {
			t.Errorf("producer %d at %d: %s, want %s", tt.pid, tt.offset, got, tt.want)
		}
	}
}

// Whatever the bytes: reading ends, and accounts for every one of them.
func FuzzReader(f *testing.F) {
	good := bytes.Join([][]byte{batch{base: 0, pid: -1, records: records(2)}.bytes(f), batch{base: 2, attributes: 1, pid: -1, records: records(3)}.bytes(f)}, nil)
	f.Add(good, 0, byte(0))
	f.Add(good, 70, byte(9))
	f.Add([]byte("nothing at all"), 3, byte(1))
	old := bytes.Join([][]byte{legacy(0, 0, 1, 0, []byte("a"), []byte("1")), legacy(1, 1, 9, 1600, nil, compress(f, 1, legacy(1, 0, 0, 1500, []byte("e"), nil)))}, nil)
	f.Add(old, 0, byte(0))
	f.Add(append(old, good...), 20, byte(3))
	f.Fuzz(func(t *testing.T, src []byte, at int, with byte) {
		if len(src) > 0 && at >= 0 {
			src[at%len(src)] ^= with
		}
		r := segment.NewReader(bytes.NewReader(src))
		covered := int64(0)
		for {
			b, err := r.Next()
			var damage *segment.DamageError
			switch {
			case errors.Is(err, io.EOF):
				if rest := src[covered:]; len(bytes.Trim(rest, "\x00")) > 0 {
					t.Fatalf("%d bytes are not accounted for", len(rest))
				}
				return
			case errors.As(err, &damage):
				if damage.Position != covered || damage.Size <= 0 {
					t.Fatalf("damage %+v, expected at %d", damage, covered)
				}
				covered += damage.Size
			case err != nil:
				t.Fatal(err)
			default:
				if b.Position != covered || b.Size < 26 {
					t.Fatalf("batch at %d, expected at %d", b.Position, covered)
				}
				covered += int64(b.Size)
				_ = b.Records(func(segment.Record) error { return nil })
			}
		}
	})
}

func BenchmarkWalk(b *testing.B) {
	src := bytes.Repeat(batch{base: 0, pid: -1, records: records(20)}.bytes(b), 500)
	b.SetBytes(int64(len(src)))
	b.ReportAllocs()
	for b.Loop() {
		r := segment.NewReader(bytes.NewReader(src))
		for {
			batch, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				b.Fatal(err)
			}
			if err := batch.Records(func(segment.Record) error { return nil }); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/10_000, "ns/record")
}

// legacy writes a message of format v0 or v1, field by field.
func legacy(magic byte, codec byte, offset, timestamp int64, key, value []byte) []byte {
	body := []byte{magic, codec}
	if magic == 1 {
		body = binary.BigEndian.AppendUint64(body, uint64(timestamp))
	}
	for _, field := range [][]byte{key, value} {
		if field == nil {
			body = binary.BigEndian.AppendUint32(body, 0xffffffff)
			continue
		}
		body = binary.BigEndian.AppendUint32(body, uint32(len(field)))
		body = append(body, field...)
	}
	out := binary.BigEndian.AppendUint64(nil, uint64(offset))
	out = binary.BigEndian.AppendUint32(out, uint32(4+len(body)))
	out = binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(body))
	return append(out, body...)
}

// Message formats v0 and v1, plain and compressed, in one file with v2: each
// record with its offset and time, tombstones, damage in between, a short tail.
func TestMessageFormatsBeforeBatches(t *testing.T) {
	inner0 := append(legacy(0, 0, 5, 0, []byte("c"), []byte("3")), legacy(0, 0, 6, 0, []byte("d"), nil)...)
	// In format v1 the inner offsets count from 0, and the outer one is the last's.
	inner1 := append(legacy(1, 0, 0, 1500, []byte("e"), []byte("5")), legacy(1, 0, 2, 1600, []byte("f"), []byte("6"))...)
	damaged := legacy(1, 0, 10, 1700, []byte("x"), []byte("y"))
	damaged[len(damaged)-1]++
	file := bytes.Join([][]byte{
		legacy(0, 0, 1, 0, []byte("a"), []byte("1")),
		legacy(1, 0, 3, 1400, []byte("b"), nil),
		legacy(0, 1, 6, 0, nil, compress(t, 1, inner0)),
		legacy(1, 1, 9, 1600, nil, compress(t, 1, inner1)),
		damaged,
		batch{base: 11, pid: -1, records: records(2)}.bytes(t),
		legacy(0, 0, 13, 0, nil, nil),
	}, nil)
	var got []string
	r := segment.NewReader(bytes.NewReader(file))
	for {
		b, err := r.Next()
		var damage *segment.DamageError
		if errors.As(err, &damage) {
			got = append(got, fmt.Sprintf("damage %d bytes", damage.Size))
			continue
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Records(func(rec segment.Record) error {
			value := "null"
			if rec.Value != nil {
				value = string(rec.Value[:1])
			}
			got = append(got, fmt.Sprintf("%d@%d %s=%s", rec.Offset, rec.Timestamp, rec.Key, value))
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"1@-1 a=1", "3@1400 b=null", "5@-1 c=3", "6@-1 d=null", "7@1500 e=5", "9@1600 f=6", fmt.Sprintf("damage %d bytes", len(damaged)), "11@1000 key 0=v", "12@1001 key 1=v", "13@-1 =null"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	r = segment.NewReader(bytes.NewReader(file))
	r.OnlyMarkers()
	if b, err := r.Next(); err == nil {
		t.Errorf("a marker in formats that have none: %+v", b)
	}
}

// FuzzRecords: whatever the records of a batch are, packed or not: reading them
// ends, passes on no more than there is, and holds no more than it may.
func FuzzRecords(f *testing.F) {
	plain := []byte("\x0c\x00\x00\x00\x01\x01\x00")
	for codec := range byte(6) {
		f.Add(plain, codec, true, int32(1), byte(2))
		f.Add(bytes.Repeat(plain, 500), codec, true, int32(1<<31-1), byte(2))
		f.Add([]byte{0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1, 0x7f, 0xff, 0xff, 0xff}, codec, false, int32(1), byte(2))
		f.Add(legacy(1, 0, 3, 1500, []byte("e"), nil), codec, true, int32(1), byte(1))
	}
	const limit = 1 << 20
	f.Fuzz(func(t *testing.T, body []byte, codec byte, pack bool, count int32, magic byte) {
		codec %= 6
		if pack && codec >= 1 && codec <= 4 {
			body = compress(t, int16(codec), body)
		}
		var src []byte
		if magic < 2 {
			src = legacy(magic, codec, 1, 1600, nil, body)
		} else {
			src = batch{pid: -1}.bytes(t)
			src = append(src[:61:61], body...)
			binary.BigEndian.PutUint32(src[8:], uint32(len(src)-12))
			binary.BigEndian.PutUint16(src[21:], uint16(codec))
			binary.BigEndian.PutUint32(src[57:], uint32(count))
			binary.BigEndian.PutUint32(src[17:], crc32.Checksum(src[21:], crc32.MakeTable(crc32.Castagnoli)))
		}
		r := segment.NewReader(bytes.NewReader(src))
		r.OfTopic(limit)
		began := time.Now()
		n, held := 0, 0
		for {
			b, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				continue // damage
			}
			_ = b.Records(func(rec segment.Record) error { // an error is an answer, too
				n++
				held += len(rec.Key) + len(rec.Value)
				return nil
			})
		}
		if n > limit || held > 2*limit {
			t.Errorf("%d records of %d bytes out of %d", n, held, len(body))
		}
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("it took %s", took)
		}
	})
}
