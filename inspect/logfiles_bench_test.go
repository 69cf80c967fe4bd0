package inspect_test

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"testing"

	"offsets/inspect"
	"offsets/inspect/commitlog"
)

// logFolders writes a commit log of 50 partitions: 40 groups that commit 1000
// partitions each, in turn, until there are enough records.
func logFolders(b *testing.B, records int) (dir string, size int64) {
	b.Helper()
	const groups, partitions = 40, 1000
	dir = b.TempDir()
	logs := map[int32][]byte{}
	next := map[int32]int64{}
	value := commitlog.OffsetCommitValue{Version: 4, LeaderEpoch: 3, CommitTimestamp: 1_700_000_000_000, TopicID: commitlog.UUID{1}}
	for n := 0; n < records; n += partitions {
		group := fmt.Sprintf("bench-group-%d", n/partitions%groups)
		p := commitlog.PartitionOf(group, 50)
		var body []byte
		for i := range partitions {
			value.Offset = int64(n)
			key, v := commitlog.OffsetCommitKey{Group: group, Topic: "bench", Partition: int32(i)}.Encode(), value.Encode()
			rec := binary.AppendVarint([]byte{0, 0}, int64(i))
			rec = append(binary.AppendVarint(rec, int64(len(key))), key...)
			rec = append(binary.AppendVarint(rec, int64(len(v))), v...)
			rec = append(rec, 0)
			body = append(binary.AppendVarint(body, int64(len(rec))), rec...)
		}
		head := make([]byte, 61)
		binary.BigEndian.PutUint64(head, uint64(next[p]))
		binary.BigEndian.PutUint32(head[8:], uint32(49+len(body)))
		head[16] = 2
		binary.BigEndian.PutUint32(head[23:], partitions-1)
		binary.BigEndian.PutUint64(head[27:], 1_700_000_000_000)
		binary.BigEndian.PutUint64(head[35:], 1_700_000_000_000)
		binary.BigEndian.PutUint64(head[43:], ^uint64(0))
		binary.BigEndian.PutUint32(head[57:], partitions)
		batch := append(head, body...)
		binary.BigEndian.PutUint32(batch[17:], crc32.Checksum(batch[21:], crc32.MakeTable(crc32.Castagnoli)))
		logs[p] = append(logs[p], batch...)
		next[p] += partitions
	}
	for p, log := range logs {
		folder := filepath.Join(dir, fmt.Sprintf("%s-%d", commitlog.Topic, p))
		if err := os.Mkdir(folder, 0o755); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, "00000000000000000000.log"), log, 0o644); err != nil {
			b.Fatal(err)
		}
		size += int64(len(log))
	}
	return dir, size
}

const benchRecords = 1_000_000

func BenchmarkStateOfFiles(b *testing.B) {
	dir, size := logFolders(b, benchRecords)
	b.SetBytes(size)
	for b.Loop() {
		s := inspect.StateOfFiles(b.Context(), []string{dir}, inspect.StateOptions{Problem: func(err error) { b.Error(err) }})
		if len(s.Groups) != 40 {
			b.Fatalf("%d groups", len(s.Groups))
		}
	}
	b.ReportMetric(float64(benchRecords)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

func BenchmarkFileLines(b *testing.B) {
	dir, size := logFolders(b, benchRecords)
	b.SetBytes(size)
	for b.Loop() {
		n := 0
		for lines, err := range inspect.ReadLogFileLines(b.Context(), []string{dir}, inspect.LogFilter{}) {
			if err != nil {
				b.Fatal(err)
			}
			n += lines.Count
		}
		if n != benchRecords {
			b.Fatalf("%d lines", n)
		}
	}
	b.ReportMetric(float64(benchRecords)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
}
