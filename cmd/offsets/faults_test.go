package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"offsets/inspect"
	"offsets/internal/kafkatest"
	"offsets/internal/sandbox"
	"offsets/reset"
)

// faultyWorld is a sandbox that can go wrong at any request, with a group whose
// reset takes several requests.
type faultyWorld struct {
	t     *testing.T
	s     *sandbox.Sandbox
	cl    *kgo.Client
	topic string
	env   []string
	dir   string

	mu sync.Mutex
	// requests of the program under test by key, since the last reset.
	requests map[kmsg.Key]int
	refuse   func(key kmsg.Key, n int) error
	lose     func(key kmsg.Key, n int) error
	child    *exec.Cmd
	// awayUntil is for a fault that lasts.
	awayUntil time.Time
}

const faultyPartitions = 1200 // two requests of 256 KiB, with the topic's long name

func newFaultyWorld(t *testing.T) *faultyWorld {
	t.Helper()
	w := &faultyWorld{t: t, topic: strings.Repeat("long-", 40), dir: t.TempDir(), requests: map[kmsg.Key]int{}}
	answers := map[kmsg.Key]int{}
	var err error
	w.s, err = sandbox.Start(sandbox.Options{
		Topics: map[string]int32{w.topic: faultyPartitions},
		Refuse: func(key kmsg.Key) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.child == nil {
				return nil
			}
			w.requests[key]++
			if w.refuse == nil {
				return nil
			}
			return w.refuse(key, w.requests[key])
		},
		Lose: func(key kmsg.Key) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.child == nil || w.lose == nil {
				return nil
			}
			answers[key]++
			return w.lose(key, answers[key])
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.s.Close)
	if w.cl, err = kgo.NewClient(kgo.SeedBrokers(w.s.Addr), kgo.RecordPartitioner(kgo.ManualPartitioner())); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.cl.Close)
	var records []*kgo.Record
	var commits kadm.Offsets
	for p := range int32(faultyPartitions) {
		for range 3 {
			records = append(records, &kgo.Record{Topic: w.topic, Partition: p, Value: []byte("x")})
		}
		commits.Add(kadm.Offset{Topic: w.topic, Partition: p, At: 2, LeaderEpoch: 0, Metadata: fmt.Sprint("m", p)})
	}
	if err := w.cl.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if err := kadm.NewClient(w.cl).CommitAllOffsets(t.Context(), "g", commits); err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(exe, filepath.Join(w.dir, "offsets")); err != nil {
		t.Fatal(err)
	}
	w.env = childEnv(map[string]string{"OFFSETS_BOOTSTRAP_SERVER": w.s.Addr, "OFFSETS_COMMAND_CONFIG": "", "OFFSETS_GROUP": "", "OFFSETS_STATE_DIR": filepath.Join(w.dir, "state")})
	return w
}

// run runs the program, with the faults that are set; killed is exit code -1.
func (w *faultyWorld) run(args ...string) (code int, stdout, stderr string) {
	w.t.Helper()
	cmd := exec.Command(filepath.Join(w.dir, "offsets"), args...)
	cmd.Env = w.env
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	w.mu.Lock()
	w.requests = map[kmsg.Key]int{}
	w.child = cmd
	err := cmd.Start()
	w.mu.Unlock()
	if err != nil {
		w.t.Fatal(err)
	}
	_ = cmd.Wait() // the exit code tells
	w.mu.Lock()
	w.child, w.refuse, w.lose = nil, nil, nil
	w.mu.Unlock()
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// kill ends the program at once. The hooks, which call it, hold the lock.
func (w *faultyWorld) kill() { _ = w.child.Process.Kill() }

func (w *faultyWorld) commits() map[inspect.TopicPartition]inspect.Commit {
	w.t.Helper()
	c, failed, err := inspect.New(w.cl).Commits(w.t.Context(), "g", inspect.Classic)
	if err != nil || len(failed) > 0 {
		w.t.Fatal(err, failed)
	}
	return c
}

// moved is how many partitions are at an offset.
func (w *faultyWorld) at(offset int64) (n int) {
	for _, c := range w.commits() {
		if c.Offset == offset {
			n++
		}
	}
	return n
}

var errCut = errors.New("cut")

// The program is killed at every step of a change: whatever it has done by
// then, undo finds the way back, and nothing claims that it went well.
func TestKilledChanges(t *testing.T) {
	for _, c := range []struct {
		name string
		// kill says at which request it is killed, and whether that one is
		// carried out still.
		refuse  func(w *faultyWorld, key kmsg.Key, n int) error
		written [2]int // how many may be written: from, to
		receipt bool
	}{
		{"while it plans", func(w *faultyWorld, key kmsg.Key, n int) error {
			if key == kmsg.ListOffsets && n == 2 {
				w.kill()
				return errCut
			}
			return nil
		}, [2]int{0, 0}, false},
		{"before the first write arrives", func(w *faultyWorld, key kmsg.Key, n int) error {
			if key == kmsg.OffsetCommit {
				w.kill()
				return errCut
			}
			return nil
		}, [2]int{0, 0}, true},
		{"when the first write has arrived", func(w *faultyWorld, key kmsg.Key, n int) error {
			if key == kmsg.OffsetCommit && n == 1 {
				w.kill()
			}
			return nil
		}, [2]int{1, faultyPartitions - 1}, true},
		{"between two writes", func(w *faultyWorld, key kmsg.Key, n int) error {
			if key == kmsg.OffsetCommit && n == 2 {
				w.kill()
				return errCut
			}
			return nil
		}, [2]int{1, faultyPartitions - 1}, true},
		{"before it reads back", func(w *faultyWorld, key kmsg.Key, n int) error {
			if key == kmsg.OffsetFetch && w.requests[kmsg.OffsetCommit] > 0 {
				w.kill()
				return errCut
			}
			return nil
		}, [2]int{faultyPartitions, faultyPartitions}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newFaultyWorld(t)
			before := w.commits()
			w.refuse = func(key kmsg.Key, n int) error { return c.refuse(w, key, n) }
			if code, out, _ := w.run("reset", "g", "--to", "earliest", "--execute", "--settle", "0s", "-o", "json"); code != -1 || strings.Contains(out, `"applied":true`) {
				t.Fatalf("exit %d, %s; it was to be killed", code, out)
			}
			wait(t, func() bool { n := w.at(0); return n >= c.written[0] })
			if n := w.at(0); n > c.written[1] {
				t.Errorf("%d partitions written, want %v", n, c.written)
			}
			code, out, stderr := w.run("undo", "g", "--execute", "--settle", "0s", "-o", "json")
			if !c.receipt {
				if code != exitFailed || !strings.Contains(stderr, "no receipt") {
					t.Errorf("undo: exit %d, %s", code, stderr)
				}
				return
			}
			if code != exitDone {
				t.Fatalf("undo: exit %d, %s\n%s", code, stderr, lastOf(out))
			}
			if after := w.commits(); !reflect.DeepEqual(before, after) {
				t.Errorf("undo did not bring everything back: %d of %d at their offset", w.at(2), len(before))
			}
		})
	}
}

func wait(t *testing.T, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !done(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not within 10 s")
		}
	}
}

// Answers that are lost, connections that break, a consumer that joins or
// commits in the worst moment: the result is what it says.
func TestFaultsWhileChanging(t *testing.T) {
	all := int64(faultyPartitions)
	for _, c := range []struct {
		name         string
		refuse, lose func(w *faultyWorld, key kmsg.Key, n int) error
		code         int
		zero         func(n int64) bool // partitions at 0 afterwards
		stderr       string
		verified     string
		kept         bool // somebody's commit to the first partition stays, also with undo
	}{
		{name: "connections break", code: exitDone, verified: "yes", zero: func(n int64) bool { return n == all },
			refuse: func(_ *faultyWorld, key kmsg.Key, n int) error {
				if key == kmsg.OffsetCommit && n <= 3 || key == kmsg.OffsetFetch && n%2 == 0 {
					return errCut
				}
				return nil
			}},
		{name: "the broker is away for a while", code: exitDone, verified: "yes", zero: func(n int64) bool { return n == all },
			refuse: func(w *faultyWorld, key kmsg.Key, n int) error {
				if key == kmsg.OffsetCommit && n == 1 {
					w.awayUntil = time.Now().Add(1500 * time.Millisecond)
				}
				if time.Now().Before(w.awayUntil) {
					return errCut
				}
				return nil
			}},
		{name: "the answer to a write is lost", code: exitDone, verified: "yes", zero: func(n int64) bool { return n == all },
			lose: func(_ *faultyWorld, key kmsg.Key, n int) error {
				if key == kmsg.OffsetCommit && n <= 2 {
					return errCut
				}
				return nil
			}},
		{name: "the answer to a write is lost, and somebody commits", code: exitPartial, verified: "yes", kept: true, stderr: "somebody else has committed since", zero: func(n int64) bool { return n == all-1 },
			lose: func(w *faultyWorld, key kmsg.Key, n int) error {
				if key == kmsg.OffsetCommit && n == 1 {
					w.foreignCommit(0, 3)
					return errCut
				}
				return nil
			}},
		{name: "somebody commits right after the write", code: exitPartial, verified: "overwritten", stderr: "overwritten", zero: func(n int64) bool { return n == all-1 },
			refuse: func(w *faultyWorld, key kmsg.Key, n int) error {
				if key == kmsg.OffsetFetch && w.requests[kmsg.OffsetCommit] == 2 {
					w.requests[kmsg.OffsetCommit]++ // once
					w.foreignCommit(0, 3)
				}
				return nil
			}},
		{name: "somebody commits between plan and write", code: exitRefused, stderr: "committed was 2 and is 3", zero: func(n int64) bool { return n == 0 },
			refuse: func(w *faultyWorld, key kmsg.Key, n int) error {
				if key == kmsg.OffsetFetch && n == 3 { // plain and require-stable for the plan, then again
					w.foreignCommit(0, 3)
				}
				return nil
			}},
		{name: "a consumer joins right before the write", code: exitFailed, stderr: "a consumer has joined", zero: func(n int64) bool { return n == 0 },
			refuse: func(w *faultyWorld, key kmsg.Key, n int) error {
				if key == kmsg.OffsetCommit && n == 1 {
					w.join()
				}
				return nil
			}},
		{name: "the read-back fails", code: exitPartial, verified: "not_checked", stderr: "reading back failed", zero: func(n int64) bool { return n == all },
			refuse: func(w *faultyWorld, key kmsg.Key, n int) error {
				if key == kmsg.OffsetFetch && w.requests[kmsg.OffsetCommit] > 0 {
					return errCut
				}
				return nil
			}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newFaultyWorld(t)
			before := w.commits()
			if c.refuse != nil {
				w.refuse = func(key kmsg.Key, n int) error { return c.refuse(w, key, n) }
			}
			if c.lose != nil {
				w.lose = func(key kmsg.Key, n int) error { return c.lose(w, key, n) }
			}
			code, out, stderr := w.run("reset", "g", "--to", "earliest", "--execute", "--settle", "0s", "-o", "json", "--timeout", "5s")
			var doc struct{ Groups []reset.Plan }
			if err := json.Unmarshal([]byte(out), &doc); err != nil || len(doc.Groups) != 1 {
				t.Fatalf("exit %d: %v in %s\n%s", code, err, lastOf(out), lastOf(stderr))
			}
			verified := ""
			if v := doc.Groups[0].Verified; v != nil {
				verified = string(*v)
			}
			if code != c.code || !strings.Contains(stderr, c.stderr) || verified != c.verified {
				t.Errorf("exit %d, verified %q, want %d, %q and %q in %s", code, verified, c.code, c.verified, c.stderr, lastOf(stderr))
			}
			if n := w.at(0); !c.zero(int64(n)) {
				t.Errorf("%d of %d partitions are at 0", n, all)
			}
			if doc.Groups[0].Applied {
				code, _, stderr := w.run("undo", "g", "--execute", "--settle", "0s", "--even-if-moved", "-o", "json")
				if code != exitDone {
					t.Errorf("undo: exit %d, %s", code, lastOf(stderr))
				}
				after := w.commits()
				if first := (inspect.TopicPartition{Topic: w.topic}); c.kept {
					if after[first].Offset != 3 {
						t.Errorf("undo touched what the reset had not written: %+v", after[first])
					}
					delete(before, first)
					delete(after, first)
				}
				if !reflect.DeepEqual(before, after) {
					t.Errorf("undo did not bring everything back")
				}
			}
		})
	}
}

// foreignCommit is called by hooks, which hold the lock: its requests must not
// wait for it.
func (w *faultyWorld) foreignCommit(partition int32, at int64) {
	w.unlocked(func() {
		var os kadm.Offsets
		os.Add(kadm.Offset{Topic: w.topic, Partition: partition, At: at, LeaderEpoch: -1})
		if err := kadm.NewClient(w.cl).CommitAllOffsets(w.t.Context(), "g", os); err != nil {
			w.t.Errorf("foreign commit: %v", err)
		}
	})
}

func (w *faultyWorld) unlocked(f func()) {
	child := w.child
	w.child = nil // its requests are not the program's
	w.mu.Unlock()
	f()
	w.mu.Lock()
	w.child = child
}

// join lets a consumer join the group, and stay.
func (w *faultyWorld) join() {
	w.unlocked(func() {
		member, err := kgo.NewClient(kgo.SeedBrokers(w.s.Addr), kgo.ConsumerGroup("g"), kgo.ConsumeTopics(w.topic), kgo.DisableAutoCommit())
		if err != nil {
			w.t.Errorf("join: %v", err)
			return
		}
		w.t.Cleanup(member.Close)
		wait(w.t, func() bool {
			d, err := kadm.NewClient(w.cl).DescribeGroups(w.t.Context(), "g")
			return err == nil && d["g"].State == "Stable"
		})
	})
}

// Two resets of one group at once: each says what is true, and one of the two
// is what remains.
func TestTwoResetsAtOnce(t *testing.T) {
	w := newFaultyWorld(t)
	codes := make([]int, 2)
	errs := make([]string, 2)
	var wg sync.WaitGroup
	for i, to := range []string{"earliest", "latest"} {
		wg.Go(func() {
			cmd := exec.Command(filepath.Join(w.dir, "offsets"), "reset", "g", "--to", to, "--execute", "--settle", "0s")
			cmd.Env = w.env
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			_ = cmd.Run() // the exit code tells
			codes[i], errs[i] = cmd.ProcessState.ExitCode(), stderr.String()
		})
	}
	wg.Wait()
	n := [2]int{w.at(0), w.at(3)}
	for i := range codes {
		switch codes[i] {
		case exitDone, exitPartial, exitRefused:
		default:
			t.Errorf("exit %d: %s", codes[i], errs[i])
		}
		if codes[i] == exitDone && codes[1-i] == exitRefused && n[i] != faultyPartitions {
			t.Errorf("the only reset that was made left %d of %d partitions where it says", n[i], faultyPartitions)
		}
	}
	if codes[0] == exitRefused && codes[1] == exitRefused {
		t.Errorf("both were refused: %q", errs)
	}
	if n[0]+n[1] != faultyPartitions {
		t.Errorf("%d at the start and %d at the end of %d", n[0], n[1], faultyPartitions)
	}
}
func lastOf(s string) string { return s[max(0, len(s)-2000):] }

// A broker refuses a request as a whole when its records do not fit into one
// batch: it is cut until they do.
func TestRequestsThatAreTooLargeAreSplit(t *testing.T) {
	// 3.6.0 takes commits of any size, whatever message.max.bytes says.
	small := &realBroker{config: kafkatest.Config{Version: kafkatest.V440, OffsetsPartitions: 3, Properties: map[string]string{"message.max.bytes": "3000"}}}
	defer small.stop()
	cluster := small.get(t)
	cl, err := kgo.NewClient(kgo.SeedBrokers(cluster.Bootstrap), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	const partitions = 60
	for _, args := range [][]string{{"topic", "split", fmt.Sprint(partitions)}, {"records", "split", "0", "3"}, {"commit", "g", "split", "0", "2"}} {
		if err := given(t.Context(), cl, args); err != nil {
			t.Fatalf("given %v: %v", args, err)
		}
	}
	c := reset.New(cl)
	plans, problems, err := c.Plans(t.Context(), []string{"g"}, reset.Options{To: reset.Earliest(), Topics: []reset.TopicSelection{{Topic: "split"}}}, false)
	if err != nil || len(problems) > 0 {
		t.Fatal(err, problems)
	}
	if err := c.Apply(t.Context(), &plans[0], reset.ApplyOptions{NoReceipt: true, Settle: new(time.Duration)}); err != nil {
		t.Fatal(err)
	}
	commits, _, err := inspect.New(cl).Commits(t.Context(), "g", inspect.Classic)
	if err != nil || len(commits) != partitions || *plans[0].Verified != reset.VerifiedYes {
		t.Errorf("%d partitions committed, verified %s (%v)", len(commits), *plans[0].Verified, err)
	}
	one := kadm.Offsets{}
	for p := range int32(partitions) {
		one.Add(kadm.Offset{Topic: "split", Partition: p})
	}
	if err := kadm.NewClient(cl).CommitAllOffsets(t.Context(), "g", one); err == nil {
		t.Error("the broker takes all of them in one request: this test tests nothing")
	}
}

// Deletions, too, survive that answers are lost, and are undone.
func TestDeletionsWithLostAnswers(t *testing.T) {
	for _, args := range [][]string{{"delete", "g", "--execute"}, {"delete", "g", "--topic", strings.Repeat("long-", 40), "--execute"}} {
		t.Run(strings.Join(args[:2], " ")+fmt.Sprint(len(args)), func(t *testing.T) {
			w := newFaultyWorld(t)
			before := w.commits()
			w.lose = func(key kmsg.Key, n int) error {
				if (key == kmsg.DeleteGroups || key == kmsg.OffsetDelete) && n == 1 {
					return errCut
				}
				return nil
			}
			if code, _, stderr := w.run(append(args, "--settle", "0s")...); code != exitDone {
				t.Fatalf("exit %d: %s", code, lastOf(stderr))
			}
			if left := w.commits(); len(left) != 0 {
				t.Fatalf("%d commits are left", len(left))
			}
			if code, _, stderr := w.run("undo", "g", "--execute", "--settle", "0s"); code != exitDone {
				t.Fatalf("undo: exit %d: %s", code, lastOf(stderr))
			}
			if after := w.commits(); !reflect.DeepEqual(before, after) {
				t.Error("undo did not bring everything back")
			}
		})
	}
}
