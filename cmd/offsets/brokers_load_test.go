package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"

	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"offsets/inspect"
)

// load runs commands side by side, and holds what each says against what is
// known to be true.
type load struct {
	w    *brokersWorld
	stop chan struct{}
	wg   sync.WaitGroup

	mu sync.Mutex
	// by command.
	done, failed map[string]int
	slowest      map[string]time.Duration
}

func (w *brokersWorld) newLoad() *load {
	return &load{w: w, stop: make(chan struct{}), done: map[string]int{}, failed: map[string]int{}, slowest: map[string]time.Duration{}}
}

// startLoad starts one worker a command.
func (w *brokersWorld) startLoad() *load {
	l := w.newLoad()
	for _, work := range []func(){l.describe, l.list, l.decodeState, l.resetAndUndo} {
		l.wg.Go(func() {
			for {
				select {
				case <-l.stop:
					return
				case <-time.After(50 * time.Millisecond):
					work()
				}
			}
		})
	}
	return l
}

// end stops the workers, and asks each once more: all is well again.
func (l *load) end() {
	close(l.stop)
	l.wg.Wait()
	failed := l.failures()
	for _, work := range []func(){l.describe, l.list, l.decodeState, l.resetAndUndo} {
		work()
	}
	if l.failures() > failed {
		l.w.Error("a command fails although all brokers are back")
	}
}

func (l *load) failures() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range l.failed {
		n += f
	}
	return n
}

func (l *load) figures() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var lines []string
	for _, command := range slices.Sorted(maps.Keys(l.done)) {
		lines = append(lines, fmt.Sprintf("%s: %d runs, %d of them not exit 0, the slowest %.1f s", command, l.done[command], l.failed[command], l.slowest[command].Seconds()))
	}
	return strings.Join(lines, "; ")
}

// run runs a command that may fail, but not lie: it has to say why, and what
// exists is not unknown.
func (l *load) run(args ...string) outcome {
	o := l.w.run(append(args, "-o", "json", "--timeout", "30s")...)
	l.mu.Lock()
	defer l.mu.Unlock()
	name := args[0]
	l.done[name]++
	l.slowest[name] = max(l.slowest[name], o.took)
	if o.code == exitDone {
		return o
	}
	l.failed[name]++
	l.w.Log(o)
	stale := o.code == exitRefused && strings.Contains(o.stderr, "the plan is stale")
	if o.code != exitFailed && o.code != exitPartial && !stale || o.stderr == "" || strings.Contains(o.stderr, inspect.ErrUnknownGroup.Error()) {
		l.w.Errorf("a failure that is none, or says the wrong thing: %s", o)
	}
	return o
}

func (l *load) describe() {
	group := fmt.Sprintf("stable-%d", rand.IntN(len(l.w.stable)))
	o := l.run("describe", group)
	var doc struct {
		Groups []inspect.Group `json:"groups"`
	}
	if o.stdout == "" {
		return
	}
	if err := json.Unmarshal([]byte(o.stdout), &doc); err != nil {
		l.w.Errorf("%v: %s", err, o)
		return
	}
	for _, g := range doc.Groups {
		for _, p := range g.Partitions {
			want := l.w.stable[group][inspect.TopicPartition{Topic: p.Topic, Partition: p.Partition}].Offset
			readable := p.Status == inspect.Behind && p.Lag != nil && *p.Lag == brokersRecords-want
			if p.Committed == nil || *p.Committed != want || !readable && (o.code != exitPartial || p.Error == nil) {
				l.w.Errorf("%s-%d: committed %s, lag %s, %s: want %d\n%s", p.Topic, p.Partition, number(p.Committed), number(p.Lag), p.Status, want, o)
			}
		}
		if len(g.Partitions) != brokersPartitions {
			l.w.Errorf("%d partitions: %s", len(g.Partitions), o)
		}
	}
}

func (l *load) list() {
	o := l.run("list")
	if o.code != exitDone {
		return
	}
	for group := range l.w.stable {
		n := strings.Count(o.stdout, `"group":"`+group+`"`)
		if n != 1 {
			l.w.Errorf("%s is listed %d times, exit %d: %s", group, n, o.code, o)
		}
	}
}

func (l *load) decodeState() {
	o := l.run("decode", "--state")
	if o.code != exitDone {
		return
	}
	var doc struct {
		Groups []inspect.StateGroup `json:"groups"`
	}
	if err := json.Unmarshal([]byte(o.stdout), &doc); err != nil {
		l.w.Errorf("%v: %s", err, o)
		return
	}
	found := map[string]commits{}
	for _, g := range doc.Groups {
		found[g.Group] = commits{}
		for _, p := range g.Partitions {
			if p.Committed != nil {
				found[g.Group][inspect.TopicPartition{Topic: p.Topic, Partition: p.Partition}] = inspect.Commit{Offset: *p.Committed, LeaderEpoch: -1, Metadata: *p.Metadata}
			}
		}
	}
	for group, want := range l.w.stable {
		if !reflect.DeepEqual(found[group], want) {
			l.w.Errorf("replayed commits of %s: %v, want %v\n%s", group, found[group], want, o)
		}
	}
}

// resetAndUndo moves a group somewhere, and back, and looks each time whether
// what happened is what was reported.
func (l *load) resetAndUndo() {
	before := l.w.committed(movingGroup)
	to := []string{"earliest", "latest", strconv.Itoa(rand.IntN(brokersRecords)), "+3", "2h"}[rand.IntN(5)]
	o := l.run("reset", movingGroup, "--to", to, "--execute", "--settle", "0s", "--clamp")
	after := l.w.committed(movingGroup)
	plan := l.w.reported(o)
	if plan == nil {
		if !reflect.DeepEqual(before, after) {
			l.w.Errorf("nothing was reported, and commits moved: %v to %v\n%s", before, after, o)
		}
		return
	}
	open := false
	for _, row := range plan.Partitions {
		if o.code == exitRefused { // as stale: it saw what a replaced coordinator had
			row.Error = &o.stderr
		}
		tp := inspect.TopicPartition{Topic: row.Topic, Partition: row.Partition}
		is := after[tp].Offset
		switch {
		case row.Error == nil && is == *row.To:
		case row.Error != nil && strings.Contains(*row.Error, "may take effect yet") && (is == *row.To || is == *row.From):
			open = true
		case row.Error != nil && is == before[tp].Offset:
		default:
			l.w.Errorf("%s-%d is at %d, which is not what was reported\n%s", row.Topic, row.Partition, is, o)
		}
	}
	if plan.Receipt == nil || o.code == exitRefused {
		return
	}
	for range 60 { // the way back works, if not at once
		undone := l.run("undo", movingGroup, "--receipt", *plan.Receipt, "--execute", "--settle", "0s", "--even-if-moved")
		if undone.code == exitDone || open {
			break
		}
		select {
		case <-l.stop:
			time.Sleep(time.Second)
		case <-time.After(time.Second):
		}
	}
	if now := l.w.committed(movingGroup); !reflect.DeepEqual(now, before) && !open {
		l.w.Errorf("after undo: %v, before the reset: %v\n%s", now, before, o)
	}
}

// soak injects faults at random under load, with consumers that come and go, for
// OFFSETS_TEST_SOAK (30s unless set), and looks at the end whether every commit
// is where it must be.
func (w *brokersWorld) soak() {
	limit := 30 * time.Second
	if s := os.Getenv("OFFSETS_TEST_SOAK"); s != "" {
		var err error
		if limit, err = time.ParseDuration(s); err != nil {
			w.Fatal(err)
		}
	}
	live := w.startTraffic()
	l := w.startLoad()
	faults := map[string]int{}
	for end := time.Now().Add(limit); time.Now().Before(end); {
		b := w.cluster.Brokers[rand.IntN(len(w.cluster.Brokers))]
		switch rand.IntN(3) {
		case 0:
			faults["killed"]++
			b.Kill()
		case 1:
			faults["paused"]++
			w.must(b.Pause())
		case 2:
			faults["restarted"]++
			w.must(b.Shutdown())
		}
		time.Sleep(time.Duration(2+rand.IntN(6)) * time.Second)
		w.heal()
		time.Sleep(time.Duration(rand.IntN(3)) * time.Second)
	}
	l.end()
	live.end()
	for group, want := range w.stable {
		if got := w.committed(group); !reflect.DeepEqual(got, want) {
			w.Errorf("%s: %v, want %v", group, got, want)
		}
	}
	w.Logf("%s; faults %v; records written %d, processed %d", l.figures(), faults, live.written, live.processed())
}

// traffic is a producer, and consumers that join and leave a group.
type traffic struct {
	w       *brokersWorld
	stop    context.CancelFunc
	ctx     context.Context
	wg      sync.WaitGroup
	written int64

	mu sync.Mutex
	// seen is how far each partition was processed: the next offset.
	seen map[int32]int64
	n    int64
}

const liveTopic, liveGroup = "traffic", "live"

func (w *brokersWorld) startTraffic() *traffic {
	v := &traffic{w: w, seen: map[int32]int64{}}
	v.ctx, v.stop = context.WithCancel(context.Background())
	if _, err := w.adm.CreateTopic(v.ctx, 4, 3, nil, liveTopic); err != nil {
		w.Fatal(err)
	}
	v.wg.Go(v.produce)
	for range 2 {
		v.wg.Go(func() {
			for v.ctx.Err() == nil {
				v.consume(time.Duration(2+rand.IntN(5)) * time.Second)
			}
		})
	}
	return v
}

func (v *traffic) produce() {
	for v.ctx.Err() == nil {
		r := &kgo.Record{Topic: liveTopic, Partition: int32(rand.IntN(4)), Value: []byte("x")}
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		if err := v.w.cl.ProduceSync(ctx, r).FirstErr(); err == nil {
			v.written++
		}
		cancel()
		time.Sleep(5 * time.Millisecond)
	}
}

// consume is one consumer's life: it commits what it has processed when it
// leaves.
func (v *traffic) consume(life time.Duration) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(v.w.cluster.Bootstrap, ",")...), kgo.ConsumerGroup(liveGroup), kgo.ConsumeTopics(liveTopic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.SessionTimeout(6*time.Second), kgo.RequestTimeoutOverhead(3*time.Second), kgo.AutoCommitInterval(500*time.Millisecond), kgo.BlockRebalanceOnPoll())
	if err != nil {
		v.w.Error(err)
		return
	}
	ctx, cancel := context.WithTimeout(v.ctx, life)
	defer cancel()
	for ctx.Err() == nil {
		cl.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
			v.mu.Lock()
			defer v.mu.Unlock()
			v.n++
			v.seen[r.Partition] = max(v.seen[r.Partition], r.Offset+1)
		})
		cl.AllowRebalance()
	}
	closing, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	_ = cl.CommitUncommittedOffsets(closing) // what is not committed is read again
	cl.CloseAllowingRebalance()
}

func (v *traffic) processed() int64 {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.n
}

// end lets a last consumer read everything, and looks whether describe says so.
func (v *traffic) end() {
	v.stop()
	v.wg.Wait()
	v.w.eventually(func() bool {
		v.ctx = context.Background()
		v.consume(3 * time.Second)
		o := v.w.run("describe", liveGroup, "-o", "json")
		lag, _ := query(o.stdout, "[.groups[0].total.lag, .groups[0].total.lost, .groups[0].total.unknown]")
		return lag == "[0,0,0]"
	})
	committed := v.w.committed(liveGroup)
	ends, err := v.w.adm.ListEndOffsets(context.Background(), liveTopic)
	if err != nil {
		v.w.Fatal(err)
	}
	var total int64
	ends.Each(func(e kadm.ListedOffset) {
		total += e.Offset
		if c := committed[inspect.TopicPartition{Topic: liveTopic, Partition: e.Partition}]; c.Offset != e.Offset || v.seen[e.Partition] != e.Offset {
			v.w.Errorf("%s-%d: committed %d, processed to %d, written to %d", liveTopic, e.Partition, c.Offset, v.seen[e.Partition], e.Offset)
		}
	})
	if total < v.written {
		v.w.Errorf("%d records are there of %d that were acknowledged", total, v.written)
	}
}
