package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"offsets/internal/kafkatest"
)

// The shape of a platform: many groups with some partitions each, on fewer
// topics; and one group that reads a large topic.
const (
	lagTopics       = 50
	groupPartitions = 20
	largePartitions = 1000
	largeGroup      = "bench-large"
	smallGroup      = "bench-lag-0"
)

// benchLag measures the lag of all groups, of a large and of a small one.
func benchLag(ctx context.Context, tool string, groups int) error {
	fmt.Fprintln(os.Stderr, "starting Kafka 4.3.1")
	k, err := kafkatest.Start(ctx, kafkatest.Config{Version: kafkatest.V440, Mode: kafkatest.Require, OffsetsPartitions: 50})
	if err != nil {
		return err
	}
	defer k.Stop()
	fmt.Fprintf(os.Stderr, "writing %d groups\n", groups)
	if err := fillGroups(ctx, k.Bootstrap, groups); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	offsets := func(args ...string) func() *exec.Cmd {
		return func() *exec.Cmd { return exec.CommandContext(ctx, tool, append(args, "-b", k.Bootstrap)...) }
	}
	kafka := func(args ...string) func() *exec.Cmd {
		return func() *exec.Cmd { return k.ConsumerGroups(ctx, args...) }
	}
	rows := groups * groupPartitions
	fmt.Printf("%d groups x %d partitions, and one x %d\n\n", groups, groupPartitions, largePartitions)
	report("All groups, to the null device", []result{
		best(3, "offsets describe --all -o json", rows, offsets("describe", "--all", "-o", "json")),
		best(3, "offsets describe --all -o jsonl", rows, offsets("describe", "--all", "-o", "jsonl")),
		best(3, "offsets list --lag", rows, offsets("list", "--lag")),
		best(3, "offsets check --all --max-lag 1000000", rows, offsets("check", "--all", "--max-lag", "1000000")),
		best(3, "offsets describe --all --time -o json", rows, offsets("describe", "--all", "--time", "-o", "json")),
		best(3, "the fewest requests (no output)", rows, func() *exec.Cmd { return exec.CommandContext(ctx, self, "-yardstick", k.Bootstrap) }),
		best(1, "kafka-consumer-groups --describe --all-groups", rows, kafka("--describe", "--all-groups")),
	})
	report("One group, 1000 partitions", []result{
		best(5, "offsets describe bench-large -o json", largePartitions, offsets("describe", largeGroup, "-o", "json")),
		best(5, "offsets describe bench-large", largePartitions, offsets("describe", largeGroup)),
		best(2, "kafka-consumer-groups --describe --group bench-large", largePartitions, kafka("--describe", "--group", largeGroup)),
	})
	report("One group, 20 partitions", []result{
		best(10, "offsets describe bench-lag-0 -o json", groupPartitions, offsets("describe", smallGroup, "-o", "json")),
		best(10, "offsets describe bench-lag-0", groupPartitions, offsets("describe", smallGroup)),
		best(10, "offsets check bench-lag-0 --max-lag 1000000", groupPartitions, offsets("check", smallGroup, "--max-lag", "1000000")),
		best(10, "offsets list", groups, offsets("list")),
		best(2, "kafka-consumer-groups --describe --group bench-lag-0", groupPartitions, kafka("--describe", "--group", smallGroup)),
	})
	return nil
}

func fillGroups(ctx context.Context, addr string, groups int) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		return err
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	topics := []string{"large"}
	if _, err := adm.CreateTopic(ctx, largePartitions, 1, nil, "large"); err != nil {
		return err
	}
	for t := range lagTopics {
		topics = append(topics, fmt.Sprintf("topic-%d", t))
		if _, err := adm.CreateTopic(ctx, groupPartitions, 1, nil, topics[t+1]); err != nil {
			return err
		}
	}
	time.Sleep(3 * time.Second) // thousands of partitions take a moment
	for i, topic := range topics {
		partitions := groupPartitions
		if i == 0 {
			partitions = largePartitions
		}
		var records []*kgo.Record
		for p := range partitions {
			for range 10 {
				records = append(records, &kgo.Record{Topic: topic, Partition: int32(p), Value: []byte("some value")})
			}
		}
		if err := cl.ProduceSync(ctx, records...).FirstErr(); err != nil {
			return fmt.Errorf("filling %s: %w", topic, err)
		}
	}
	var wg sync.WaitGroup
	work := make(chan int)
	errs := make(chan error, 8)
	for range 8 {
		wg.Go(func() {
			for g := range work {
				var os kadm.Offsets
				for p := range int32(groupPartitions) {
					os.Add(kadm.Offset{Topic: fmt.Sprintf("topic-%d", g%lagTopics), Partition: p, At: int64(g % 11), LeaderEpoch: 0})
				}
				if err := commit(ctx, adm, fmt.Sprintf("bench-lag-%d", g), os); err != nil {
					select {
					case errs <- err:
					default:
					}
				}
			}
		})
	}
	for g := range groups {
		work <- g
	}
	close(work)
	wg.Wait()
	select {
	case err := <-errs:
		return err
	default:
	}
	var os kadm.Offsets
	for p := range int32(largePartitions) {
		os.Add(kadm.Offset{Topic: "large", Partition: p, At: 3, LeaderEpoch: 0})
	}
	return commit(ctx, adm, largeGroup, os)
}

// measureYardstick asks what the lag of all groups needs, in as few requests as
// there can be, and does nothing with the answers.
func measureYardstick(ctx context.Context, addr string) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr))
	if err != nil {
		return err
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	listed, err := adm.ListGroups(ctx)
	if err != nil {
		return err
	}
	names := listed.Groups()
	var wg sync.WaitGroup
	wg.Go(func() { _, err = adm.DescribeGroups(ctx, names...) })
	commits := adm.FetchManyOffsets(ctx, names...)
	wg.Wait()
	if err != nil {
		return err
	}
	set := map[string]bool{}
	commits.EachError(func(r kadm.FetchOffsetsResponse) { err = r.Err })
	for _, g := range commits {
		for topic := range g.Fetched {
			set[topic] = true
		}
	}
	var topics []string
	for t := range set {
		topics = append(topics, t)
	}
	var errEnd error
	wg.Go(func() { _, errEnd = adm.ListEndOffsets(ctx, topics...) })
	_, errStart := adm.ListStartOffsets(ctx, topics...)
	wg.Wait()
	for _, e := range []error{err, errEnd, errStart} {
		if e != nil {
			return e
		}
	}
	return nil
}
