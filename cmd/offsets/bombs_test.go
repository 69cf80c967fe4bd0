//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestBombs gives decode files that were made to take memory or time: nothing of
// 16 MiB may take more than 256 MiB. What takes too long fails by the test's own
// limit, which is far above what it takes on a busy machine.
func TestBombs(t *testing.T) {
	program := filepath.Join(t.TempDir(), "offsets") // without the race detector, which takes memory of its own
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	zeros := func(n int) []byte { return make([]byte, n) }
	const mib = 1 << 20
	for _, tt := range []struct {
		name string
		file []byte
		want string // on stdout
	}{
		{"gzip", bombBatch(t, kgo.CodecGzip, zeros(100*mib), 1), "more than 32 MiB"},
		{"snappy", bombBatch(t, kgo.CodecSnappy, zeros(100*mib), 1), "more than 32 MiB"},
		{"lz4", bombBatch(t, kgo.CodecLz4, zeros(100*mib), 1), "more than 32 MiB"},
		{"zstd", bombBatch(t, kgo.CodecZstd, zeros(100*mib), 1), "more than 32 MiB"},
		{"gzip in an old message", bombMessage(t, kgo.CodecGzip, zeros(100*mib)), `"kind":"damaged_batch"`},
		{"snappy that lies about its size", bombBatchOf(kgo.CodecSnappy, binary.AppendUvarint(nil, 1<<32-1), 1), `"kind":"damaged_batch"`},
		{"millions of records", bombBatch(t, kgo.CodecGzip, bytes.Repeat([]byte("\x0c\x00\x00\x00\x01\x01\x00"), 8*mib/7), 8*mib/7), `"kind":"unknown"`},
		{"one record of 30 MiB", bombBatch(t, kgo.CodecGzip, bombRecord(30*mib), 1), `"kind":"unknown"`},
		{"a batch everywhere", bytes.Repeat([]byte("\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80\x00\x00\x00\x00\x00\x00\x02"), 16*mib/17), `"kind":"damaged_batch"`},
		{"a header everywhere", bytes.Repeat(bombHeader(8*mib), 16*mib/61), `"kind":"damaged_batch"`},
		{"more records than bytes", bombBatchOf(kgo.CodecNone, zeros(100), 1<<31-1), `"kind":"damaged_batch"`},
	} {
		t.Run(strings.ReplaceAll(tt.name, " ", "-"), func(t *testing.T) {
			if len(tt.file) > 16*mib {
				t.Fatalf("%d bytes", len(tt.file))
			}
			file := filepath.Join(t.TempDir(), "0.log")
			if err := os.WriteFile(file, tt.file, 0o600); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, program, "decode", file, "-o", "jsonl")
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			cmd.Stderr = os.Stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			peak := watchMemory(cmd.Process.Pid)
			head := &bytes.Buffer{}
			_, _ = io.CopyN(head, out, 64<<10)
			_, _ = io.Copy(io.Discard, out)
			var exit *exec.ExitError
			if err := cmd.Wait(); err != nil && !errors.As(err, &exit) || ctx.Err() != nil {
				t.Fatalf("%v, %v", err, ctx.Err())
			}
			if !strings.Contains(head.String(), tt.want) {
				t.Errorf("want %q in %.300q", tt.want, head)
			}
			took := peak() >> 10
			t.Logf("%d KiB of file: %d MiB, %.1f s of CPU", len(tt.file)>>10, took, (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds())
			if took > 256 {
				t.Errorf("it took %d MiB", took)
			}
		})
	}
}

// watchMemory looks at a process until it ends. What a process says of itself in
// the end counts what its parent had before it began.
func watchMemory(pid int) (peakKiB func() int) {
	done := make(chan int, 1)
	go func() {
		peak := 0
		for {
			status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
			_, rest, found := strings.Cut(string(status), "VmHWM:")
			if err != nil || !found { // it has ended
				done <- peak
				return
			}
			kib := 0
			if _, err := fmt.Sscan(rest, &kib); err == nil {
				peak = max(peak, kib)
			}
			time.Sleep(2 * time.Millisecond)
		}
	}()
	return func() int { return <-done }
}

// bombBatch is a batch with a right checksum, whose records unpack to plain.
func bombBatch(t *testing.T, codec kgo.CompressionCodecType, plain []byte, count int32) []byte {
	return bombBatchOf(codec, squeezed(t, codec, plain), count)
}

func squeezed(t *testing.T, codec kgo.CompressionCodecType, plain []byte) []byte {
	t.Helper()
	c, err := kgo.DefaultCompressor(map[kgo.CompressionCodecType]kgo.CompressionCodec{
		kgo.CodecGzip: kgo.GzipCompression(), kgo.CodecSnappy: kgo.SnappyCompression(), kgo.CodecLz4: kgo.Lz4Compression(), kgo.CodecZstd: kgo.ZstdCompression(),
	}[codec])
	if err != nil {
		t.Fatal(err)
	}
	out, used := c.Compress(&bytes.Buffer{}, plain)
	if used != codec {
		t.Fatalf("codec %d was not used", codec)
	}
	return bytes.Clone(out)
}

func bombBatchOf(codec kgo.CompressionCodecType, records []byte, count int32) []byte {
	b := kmsg.RecordBatch{
		Length: int32(49 + len(records)), Magic: 2, Attributes: int16(codec), LastOffsetDelta: count - 1,
		FirstTimestamp: 1, MaxTimestamp: 1, ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1, NumRecords: count, Records: records,
	}
	out := b.AppendTo(nil)
	binary.BigEndian.PutUint32(out[17:], crc32.Checksum(out[21:], crc32.MakeTable(crc32.Castagnoli)))
	return out
}

// bombRecord is one record with a value of n bytes.
func bombRecord(n int) []byte {
	body := []byte{0, 0, 0, 4, 0, 99} // attributes, deltas, a key of two bytes: type 99
	body = binary.AppendVarint(body, int64(n))
	body = append(append(body, make([]byte, n)...), 0)
	return append(binary.AppendVarint(nil, int64(len(body))), body...)
}

// bombHeader is the header of a batch that cannot be told from a real one, of a
// length that its bytes never make.
func bombHeader(size int32) []byte {
	b := kmsg.RecordBatch{Length: size, Magic: 2, ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1, LastOffsetDelta: 9, NumRecords: 10}
	return b.AppendTo(nil)
}

// bombMessage is a message of format v1 that holds others.
func bombMessage(t *testing.T, codec kgo.CompressionCodecType, plain []byte) []byte {
	m := kmsg.MessageV1{Magic: 1, Attributes: int8(codec), Timestamp: 1, Value: squeezed(t, codec, plain)}
	m.MessageSize = int32(22 + len(m.Value))
	out := m.AppendTo(nil)
	binary.BigEndian.PutUint32(out[12:], crc32.ChecksumIEEE(out[16:]))
	return out
}
