package connect

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

func TestDecompressorIsBounded(t *testing.T) {
	const limit = 1 << 20
	d, err := newDecompressor(limit)
	if err != nil {
		t.Fatal(err)
	}
	smallest := []byte("\x0c\x00\x00\x00\x01\x01\x00")
	value := func(n int) []byte {
		body := binary.AppendVarint([]byte{0, 0, 0, 1}, int64(n))
		body = append(append(body, make([]byte, n)...), 0)
		return append(binary.AppendVarint(nil, int64(len(body))), body...)
	}
	withHeaders := func(n int) []byte {
		body := append(binary.AppendVarint([]byte{0, 0, 0, 1, 1}, int64(n)), bytes.Repeat([]byte{0, 1}, n)...)
		return append(binary.AppendVarint(nil, int64(len(body))), body...)
	}
	message := make([]byte, 12+14)
	binary.BigEndian.PutUint32(message[8:], 14)
	for name, tt := range map[string]struct {
		plain []byte
		ok    bool
	}{
		"nothing":               {nil, true},
		"one record":            {value(limit - 100), true},
		"too long":              {make([]byte, limit+1), false},
		"records of usual size": {bytes.Repeat(value(100), limit/120), true},
		"the smallest records":  {bytes.Repeat(smallest, limit/len(smallest)), false},
		"some of them":          {bytes.Repeat(smallest, 1000), true},
		"headers":               {withHeaders(limit/2 - 100), false},
		"some headers":          {withHeaders(100), true},
		"old messages":          {bytes.Repeat(message, limit/len(message)), false},
		"some old messages":     {bytes.Repeat(message, 1000), true},
		"noise":                 {bytes.Repeat([]byte{0xff}, 1000), true},
	} {
		for _, codec := range []kgo.CompressionCodec{kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()} {
			c, err := kgo.DefaultCompressor(codec)
			if err != nil {
				t.Fatal(err)
			}
			packed, used := c.Compress(&bytes.Buffer{}, tt.plain)
			got, err := d.Decompress(packed, used)
			if (err == nil) != tt.ok || err != nil && !errors.Is(err, kgo.ErrMaxDecompress) || err == nil && !bytes.Equal(got, tt.plain) {
				t.Errorf("%s with codec %d: %d bytes, %v", name, used, len(got), err)
			}
		}
	}
}

func FuzzDecompress(f *testing.F) {
	for codec := range 6 {
		f.Add([]byte("\x0c\x00\x00\x00\x01\x01\x00"), byte(codec), true)
		f.Add([]byte{0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1, 0x7f, 0xff, 0xff, 0xff}, byte(codec), false)
	}
	const limit = 1 << 20
	d, err := newDecompressor(limit)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte, codec byte, pack bool) {
		kind := kgo.CompressionCodecType(codec % 6)
		if pack && kind >= 1 && kind <= 4 {
			c, err := kgo.DefaultCompressor([]kgo.CompressionCodec{kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()}[kind])
			if err != nil {
				t.Fatal(err)
			}
			packed, used := c.Compress(&bytes.Buffer{}, text)
			got, err := d.Decompress(packed, used)
			if err == nil && !bytes.Equal(got, text) {
				t.Errorf("%q became %q", text, got)
			}
			return
		}
		if got, err := d.Decompress(text, kind); err == nil && kind != 0 && len(got) > limit {
			t.Errorf("%d bytes", len(got))
		}
	})
}
