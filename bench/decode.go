package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"offsets/internal/kafkatest"
)

// The shape of the data: as many keys as a platform with some thousand busy
// groups has.
const (
	groups     = 40
	partitions = 1000
	topic      = "bench"
)

// benchDecode measures decode beside Kafka's own decoders, on a log of some
// million commits.
func benchDecode(ctx context.Context, tool string, commits int) error {
	fmt.Fprintln(os.Stderr, "starting Kafka 4.3.1")
	k, err := kafkatest.Start(ctx, kafkatest.Config{Version: kafkatest.V440, Mode: kafkatest.Require, OffsetsPartitions: 50})
	if err != nil {
		return err
	}
	defer k.Stop()
	fmt.Fprintf(os.Stderr, "writing %d commits\n", commits)
	n, err := fill(ctx, k.Bootstrap, commits)
	if err != nil {
		return err
	}
	logs, err := filepath.Glob(filepath.Join(k.DataDir(), "__consumer_offsets-*", "*.log"))
	if err != nil {
		return err
	}
	var size int64
	for _, file := range logs {
		if info, err := os.Stat(file); err == nil {
			size += info.Size()
		}
	}
	fmt.Printf("%d commits, %d keys, %d MB in %d files\n\n", n, groups*partitions, size>>20, len(logs))

	offsets := func(args ...string) *exec.Cmd {
		return exec.CommandContext(ctx, tool, append(args, "-b", k.Bootstrap)...)
	}
	files := []result{
		measure("offsets decode FILES -o jsonl", n, offsets("decode", k.DataDir(), "-o", "jsonl")),
		measure("offsets decode FILES --state -o json", n, offsets("decode", k.DataDir(), "--state", "-o", "json")),
		measure("kafka-dump-log --offsets-decoder", n, k.DumpLog(ctx, "--offsets-decoder", "--files", strings.Join(logs, ","))),
	}
	report("From segment files, to the null device", files)
	live := []result{
		measure("offsets decode -o jsonl", n, offsets("decode", "-o", "jsonl")),
		measure("offsets decode --state -o json", n, offsets("decode", "--state", "-o", "json")),
		measure("kafka-console-consumer, OffsetsMessageFormatter", n, k.ConsoleConsumer(ctx, "--topic", "__consumer_offsets", "--from-beginning",
			"--max-messages", fmt.Sprint(n), "--formatter", "org.apache.kafka.tools.consumer.OffsetsMessageFormatter")),
	}
	report("From the broker, to the null device", live)
	return nil
}

// fill commits round after round, every group's whole topic at a time.
func fill(ctx context.Context, addr string, commits int) (int, error) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr))
	if err != nil {
		return 0, err
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	if _, err := adm.CreateTopic(ctx, partitions, 1, nil, topic); err != nil {
		return 0, err
	}
	time.Sleep(2 * time.Second) // a thousand partitions take a moment
	rounds := (commits + groups*partitions - 1) / (groups * partitions)
	var wg sync.WaitGroup
	errs := make(chan error, groups)
	const writers = 8
	work := make(chan int, groups)
	for g := range groups {
		work <- g
	}
	close(work)
	for range writers {
		wg.Go(func() {
			for g := range work {
				for round := range rounds {
					var os kadm.Offsets
					for p := range int32(partitions) {
						os.Add(kadm.Offset{Topic: topic, Partition: p, At: int64(round), LeaderEpoch: 0})
					}
					if err := commit(ctx, adm, fmt.Sprintf("bench-group-%d", g), os); err != nil {
						errs <- err
						return
					}
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	return rounds * groups * partitions, <-errs
}
