package inspect_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"offsets/inspect"
	"offsets/internal/sandbox"
)

// manyGroups is a sandbox with groups that have committed some partitions each.
func manyGroups(t testing.TB, groups, partitions int, refuse func(kmsg.Key) error) *inspect.Cluster {
	t.Helper()
	s, err := sandbox.Start(sandbox.Options{Topics: map[string]int32{"t": int32(partitions), "u": int32(partitions)}, Refuse: refuse})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	cl, err := kgo.NewClient(kgo.SeedBrokers(s.Addr))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	adm := kadm.NewClient(cl)
	work := make(chan int)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for g := range work {
				var os kadm.Offsets
				for p := range int32(partitions) {
					os.Add(kadm.Offset{Topic: []string{"t", "u"}[g%2], Partition: p, LeaderEpoch: -1})
				}
				if err := adm.CommitAllOffsets(t.Context(), fmt.Sprintf("group-%05d", g), os); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for g := range groups {
		work <- g
	}
	close(work)
	wg.Wait()
	return inspect.New(cl)
}

func describeAll(t testing.TB, c *inspect.Cluster) (groups, rows int) {
	t.Helper()
	known, err := c.Groups(t.Context())
	if err != nil || len(known.Problems) > 0 {
		t.Fatal(err, known.Problems)
	}
	d, err := c.Describe(t.Context(), known.Names, inspect.DescribeOptions{Known: known})
	if err != nil {
		t.Fatal(err)
	}
	before := ""
	for g, err := range d.Groups {
		if err != nil {
			t.Fatal(err)
		}
		if g.Group <= before {
			t.Fatalf("group %s comes behind %s", g.Group, before)
		}
		before = g.Group
		groups++
		rows += len(g.Partitions)
	}
	if len(d.Problems) > 0 {
		t.Fatal(d.Problems)
	}
	return groups, rows
}

// Thousands of groups take a request for every 500 of them, not one each; log
// ends are asked for once a chunk, for all its partitions together.
func TestRequestsAreBatched(t *testing.T) {
	var mu sync.Mutex
	requests := map[kmsg.Key]int{}
	c := manyGroups(t, 1100, 3, func(key kmsg.Key) error {
		mu.Lock()
		defer mu.Unlock()
		requests[key]++
		return nil
	})
	mu.Lock()
	clear(requests)
	mu.Unlock()
	if groups, rows := describeAll(t, c); groups != 1100 || rows != 3300 {
		t.Errorf("%d groups, %d rows", groups, rows)
	}
	mu.Lock()
	defer mu.Unlock()
	const chunks = 3
	for key, most := range map[kmsg.Key]int{
		kmsg.ListGroups: 2, kmsg.DescribeGroups: chunks, kmsg.OffsetFetch: chunks, kmsg.ListOffsets: 3 * chunks, kmsg.Metadata: chunks + 2,
		kmsg.FindCoordinator: 2 * chunks, kmsg.ConsumerGroupDescribe: 0, kmsg.ShareGroupDescribe: 0,
	} {
		if requests[key] > most {
			t.Errorf("%d %s requests, want at most %d", requests[key], key.Name(), most)
		}
	}
	t.Logf("requests: %v", requests)
}

// BenchmarkDescribeAll: OFFSETS_BENCH_GROUPS and OFFSETS_BENCH_PARTITIONS make
// it larger.
func BenchmarkDescribeAll(b *testing.B) {
	size := func(name string, otherwise int) int {
		if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
			return n
		}
		return otherwise
	}
	groups, partitions := size("OFFSETS_BENCH_GROUPS", 1000), size("OFFSETS_BENCH_PARTITIONS", 20)
	c := manyGroups(b, groups, partitions, nil)
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	before := m.HeapAlloc
	for b.Loop() {
		if _, rows := describeAll(b, c); rows != groups*partitions {
			b.Fatalf("%d rows", rows)
		}
	}
	b.ReportMetric(float64(groups*partitions)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
	runtime.ReadMemStats(&m)
	b.ReportMetric(float64(m.HeapSys-min(m.HeapSys, before))/(1<<20), "MiB-beyond-the-broker")
}

// Who stops reading, or gives up, leaves no goroutine behind.
func TestStoppedReadersLeaveNothing(t *testing.T) {
	c := manyGroups(t, 2600, 1, nil) // more chunks than are read ahead
	known, err := c.Groups(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	before := 0
	for round := range 20 {
		if round == 10 { // by now all connections are there, which stay
			time.Sleep(200 * time.Millisecond)
			before = runtime.NumGoroutine()
		}
		ctx, cancel := context.WithCancel(t.Context())
		d, err := c.Describe(ctx, known.Names, inspect.DescribeOptions{Known: known})
		if err != nil {
			t.Fatal(err)
		}
		for range d.Groups {
			break
		}
		cancel()
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		after := runtime.NumGoroutine()
		if after <= before {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines before, %d after", before, after)
		}
	}
}

// A description that ends with its context says so: an end without an error would
// be an answer with nothing in it.
func TestADoneContextIsNoEmptyAnswer(t *testing.T) {
	c := manyGroups(t, 3, 1, nil)
	ctx, cancel := context.WithCancel(t.Context())
	d, err := c.Describe(ctx, []string{"group-00000"}, inspect.DescribeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	failed := 0
	for _, err := range d.Groups {
		if err != nil {
			failed++
		}
	}
	if failed != 1 {
		t.Errorf("%d errors, want 1", failed)
	}
}
