// Bench fills a real Kafka 4.3.1 with commits and measures this tool beside
// Kafka's own tools, on the same data in one run. It prints a table of ratios:
// machines are noisy, so only those mean something.
//
//	go run ./bench [-commits 3000000]
//
// It fetches what it needs (Java 17 and Maven must be there).
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
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

func main() {
	commits := flag.Int("commits", 3_000_000, "offset commits to write")
	flag.Parse()
	if err := run(context.Background(), *commits); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, commits int) error {
	tool, err := build(ctx)
	if err != nil {
		return err
	}
	defer os.Remove(tool)
	fmt.Fprintln(os.Stderr, "starting Kafka 4.3.1")
	k, err := kafkatest.Start(ctx, kafkatest.Config{Version: kafkatest.V431, Mode: kafkatest.Require, OffsetsPartitions: 50})
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

// build makes the program as users have it.
func build(ctx context.Context) (string, error) {
	tool := filepath.Join(os.TempDir(), fmt.Sprintf("offsets-bench-%d", os.Getpid()))
	cmd := exec.CommandContext(ctx, "go", "build", "-o", tool, "offsets/cmd/offsets")
	cmd.Stderr = os.Stderr
	return tool, cmd.Run()
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

// commit retries while the offsets topic is being made.
func commit(ctx context.Context, adm *kadm.Client, group string, os kadm.Offsets) (err error) {
	for range 100 {
		if err = adm.CommitAllOffsets(ctx, group, os); err == nil {
			return nil
		}
		time.Sleep(200 * time.Millisecond)
	}
	return fmt.Errorf("committing: %w", err)
}

// result is one measured run.
type result struct {
	name      string
	records   int
	wall, cpu time.Duration
	peakMiB   int64
	err       error
}

func measure(name string, records int, cmd *exec.Cmd) result {
	fmt.Fprintln(os.Stderr, "running", name)
	cmd.Stdout = io.Discard
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err == nil {
		defer null.Close()
		cmd.Stdout = null
	}
	began := time.Now()
	err = cmd.Run()
	r := result{name: name, records: records, wall: time.Since(began), err: err}
	if cmd.ProcessState != nil {
		r.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
		if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
			r.peakMiB = usage.Maxrss >> 10
		}
	}
	return r
}

// report prints the runs, the last of which is what the others are compared
// with.
func report(title string, results []result) {
	base := results[len(results)-1]
	fmt.Printf("%s:\n\n| | wall s | CPU s | peak MiB | records/s | times as fast |\n|---|---|---|---|---|---|\n", title)
	for _, r := range results {
		if r.err != nil {
			fmt.Printf("| `%s` | failed: %v |\n", r.name, r.err)
			continue
		}
		fmt.Printf("| `%s` | %.2f | %.2f | %d | %.0f | %.1f |\n", r.name, r.wall.Seconds(), r.cpu.Seconds(), r.peakMiB,
			float64(r.records)/r.wall.Seconds(), base.wall.Seconds()/r.wall.Seconds())
	}
	fmt.Println()
}
