//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"offsets/inspect/commitlog"
	"offsets/internal/sandbox"
)

// TestLiveBombs: a batch that unpacks to more than it may, or to more records than
// fit into memory, is an error that says where it is and which flag allows it, with
// every command that reads it, and costs no more memory than 256 MiB.
func TestLiveBombs(t *testing.T) {
	program := filepath.Join(t.TempDir(), "offsets") // without the race detector, which takes memory of its own
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	const mib = 1 << 20
	smallest := []byte("\x0c\x00\x00\x00\x01\x01\x00")
	for _, tt := range []struct {
		name    string
		batch   func(t *testing.T) []byte
		records bool // they are too many for a client, not for who passes them on one by one
	}{
		{"gzip", func(t *testing.T) []byte { return bombBatch(t, kgo.CodecGzip, bombRecord(200*mib), 1) }, false},
		{"snappy", func(t *testing.T) []byte { return bombBatch(t, kgo.CodecSnappy, bombRecord(200*mib), 1) }, false},
		{"lz4", func(t *testing.T) []byte { return bombBatch(t, kgo.CodecLz4, bombRecord(200*mib), 1) }, false},
		{"zstd", func(t *testing.T) []byte { return bombBatch(t, kgo.CodecZstd, bombRecord(200*mib), 1) }, false},
		{"millions of records", func(t *testing.T) []byte {
			return bombBatch(t, kgo.CodecGzip, bytes.Repeat(smallest, 48*mib/len(smallest)), int32(48*mib/len(smallest)))
		}, true},
	} {
		t.Run(strings.ReplaceAll(tt.name, " ", "-"), func(t *testing.T) {
			s, err := sandbox.Start(sandbox.Options{OffsetsPartitions: 1, Topics: map[string]int32{"t": 1}, Configs: map[string]string{"message.max.bytes": "50000000"}})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			line := newCommandLine(t, s.Addr)
			cl, err := kgo.NewClient(kgo.SeedBrokers(s.Addr), kgo.RecordPartitioner(kgo.ManualPartitioner()))
			if err != nil {
				t.Fatal(err)
			}
			defer cl.Close()
			batch := tt.batch(t)
			for _, step := range []string{"records t 0 3", "commit g t 0 3", "commit inside t 0 4"} {
				if err := given(t.Context(), cl, strings.Split(step, " ")); err != nil {
					t.Fatal(err)
				}
			}
			for _, topic := range []string{"t", commitlog.Topic} {
				if err := produceBatch(t, cl, topic, batch); err != nil {
					t.Fatal(err)
				}
			}
			if err := given(t.Context(), cl, []string{"records", "t", "0", "3"}); err != nil {
				t.Fatal(err)
			}
			for _, c := range []struct {
				args    string
				code    int
				says    string
				onlyFor bool // where it is the size, not the number of records
			}{
				{"consume t --from-beginning --exit-at-end -o jsonl", exitFailed, "t-0: the batch at offset 3 unpacks to more than", false},
				{"consume t --group c --from-beginning --exit-at-end -o jsonl", exitFailed, "t-0: the batch at offset 3 unpacks to more than", false},
				{"describe g --time -o json", exitPartial, "batch at offset 3: ", true},
				{"describe g --exact -o json", exitDone, "", true},
				{"export g -o json", exitPartial, "batch at offset 3: ", true},
				{"reset g --to latest --time -o json", exitDone, "", true},
				{"decode -o jsonl", exitDone, "", true},
				{"history g -o json", exitDone, "", true},
			} {
				if c.onlyFor && tt.records {
					continue
				}
				cmd := exec.CommandContext(t.Context(), program, strings.Fields(c.args)...)
				cmd.Dir, cmd.Env = line.dir, line.env
				var stdout, stderr bytes.Buffer
				cmd.Stdout, cmd.Stderr = &stdout, &stderr
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				peak := watchMemory(cmd.Process.Pid)
				_ = cmd.Wait() // the exit code tells
				used := peak() >> 10
				t.Logf("%s: exit %d, %d MiB, %.1f s of CPU: %s", c.args, cmd.ProcessState.ExitCode(), used, (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds(), stderr.String())
				if code := cmd.ProcessState.ExitCode(); code != c.code || !strings.Contains(stderr.String(), c.says) || c.says != "" && !strings.Contains(stderr.String(), "--max-batch-bytes") {
					t.Errorf("offsets %s: exit %d, want %d and %q: %s", c.args, code, c.code, c.says, stderr.String())
				}
				if used > 256 {
					t.Errorf("offsets %s: %d MiB of memory", c.args, used)
				}
				if strings.HasPrefix(c.args, "decode") && !strings.Contains(stdout.String(), "they unpack to more than 32 MiB") {
					t.Errorf("decode does not tell of the batch: %.300s", stdout.String())
				}
			}
			if tt.name == "gzip" { // who has the memory, and says so
				for _, args := range [][]string{{"describe", "g", "--time", "--max-batch-bytes", "256MiB"}, {"consume", "t", "--partition", "0", "--offset", "4", "--exit-at-end"}} {
					if code, _, stderr := line.run(args...); code != exitDone {
						t.Errorf("%q: exit %d, %s", args, code, stderr)
					}
				}
			}
		})
	}
}

// produceBatch appends a batch as it is.
func produceBatch(t *testing.T, cl *kgo.Client, topic string, batch []byte) error {
	t.Helper()
	topics, err := kadm.NewClient(cl).ListTopics(t.Context(), topic)
	if err != nil {
		return err
	}
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis = -1, 10_000
	rt := kmsg.NewProduceRequestTopic()
	rt.Topic, rt.TopicID = topic, topics[topic].ID
	rp := kmsg.NewProduceRequestTopicPartition()
	rp.Records = batch
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	resp, err := req.RequestWith(t.Context(), cl)
	if err != nil {
		return err
	}
	if p := resp.Topics[0].Partitions[0]; p.ErrorCode != 0 {
		return fmt.Errorf("topic %s: error code %d, %v", topic, p.ErrorCode, p.ErrorMessage)
	}
	return nil
}
