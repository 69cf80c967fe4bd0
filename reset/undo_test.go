package reset_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"offsets/inspect"
	"offsets/internal/sandbox"
	"offsets/reset"
)

// world is a sandbox with some topics and groups, full of odd commits.
type world struct {
	t       *testing.T
	cl      *kgo.Client
	changer *reset.Changer
	dir     string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	s, err := sandbox.Start(sandbox.Options{Topics: map[string]int32{"t": 4, "u": 2, "v": 1}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	cl, err := kgo.NewClient(kgo.SeedBrokers(s.Addr), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	w := &world{t, cl, reset.New(cl), filepath.Join(t.TempDir(), "state")}
	var records []*kgo.Record
	for n := range 30 {
		for topic, partitions := range map[string]int32{"t": 4, "u": 2, "v": 1} {
			for p := range partitions {
				records = append(records, &kgo.Record{Topic: topic, Partition: p, Value: fmt.Append(nil, n)})
			}
		}
	}
	if err := cl.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	var os kadm.Offsets
	os.Add(kadm.Offset{Topic: "t", Partition: 1, At: 10})
	if _, err := kadm.NewClient(cl).DeleteRecords(t.Context(), os); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) receipts() *reset.Receipts {
	return &reset.Receipts{Dir: w.dir, Command: []string{"test"}, Now: time.Now}
}

func (w *world) commit(group string, topic string, partition int32, at int64, epoch int32, metadata string) {
	w.t.Helper()
	var os kadm.Offsets
	os.Add(kadm.Offset{Topic: topic, Partition: partition, At: at, LeaderEpoch: epoch, Metadata: metadata})
	if err := kadm.NewClient(w.cl).CommitAllOffsets(w.t.Context(), group, os); err != nil {
		w.t.Fatal(err)
	}
}

// commits are everything that the groups have committed.
func (w *world) commits(groups ...string) map[string]map[inspect.TopicPartition]inspect.Commit {
	w.t.Helper()
	out := map[string]map[inspect.TopicPartition]inspect.Commit{}
	for _, g := range groups {
		commits, failed, err := inspect.New(w.cl).Commits(w.t.Context(), g, inspect.Classic)
		if err != nil || len(failed) > 0 {
			w.t.Fatal(err, failed)
		}
		out[g] = commits
	}
	return out
}

func (w *world) last(group string) *reset.Receipt {
	w.t.Helper()
	cluster, err := inspect.New(w.cl).ClusterID(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	all, unreadable, err := w.receipts().List(cluster)
	if err != nil || len(unreadable) > 0 {
		w.t.Fatal(err, unreadable)
	}
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].Plan.Group == group {
			return all[i]
		}
	}
	w.t.Fatalf("no receipt of %s", group)
	return nil
}

func (w *world) undo(group string, even bool) (reset.Plan, error) {
	w.t.Helper()
	p, err := w.changer.RestorePlan(w.t.Context(), group, w.last(group).Undo(), reset.RestoreOptions{Kind: reset.KindUndo, SameCluster: true, Outside: true, EvenIfMoved: even})
	if err != nil {
		w.t.Fatal(err)
	}
	return p, w.changer.Apply(w.t.Context(), &p, reset.ApplyOptions{Receipts: w.receipts(), Settle: new(time.Duration)})
}

// Any plan that is applied and then undone leaves every commit as it was:
// offset, metadata, and leader epoch where it is safe. Nothing outside of the
// selection moves, in between or after; undoing the undo brings the change back.
func TestUndoLeavesEverythingAsItWas(t *testing.T) {
	w := newWorld(t)
	r := rand.New(rand.NewPCG(1, 2))
	const group, other = "g", "other"
	w.commit(other, "t", 0, 7, 0, "other")
	for round := range 120 {
		for _, tp := range []inspect.TopicPartition{{Topic: "t"}, {Topic: "t", Partition: 1}, {Topic: "t", Partition: 2}, {Topic: "u"}, {Topic: "u", Partition: 1}, {Topic: "v"}} {
			switch r.IntN(6) {
			case 0: // as it is
			case 1:
				if _, err := kadm.NewClient(w.cl).DeleteOffsets(t.Context(), group, kadm.TopicsSet{tp.Topic: {tp.Partition: {}}}); err != nil {
					t.Fatal(err)
				}
			default:
				w.commit(group, tp.Topic, tp.Partition, r.Int64N(40), int32(r.IntN(2))-1, []string{"", "m", "größer"}[r.IntN(3)])
			}
		}
		w.commit(group, "v", 0, r.Int64N(30), -1, "keep")
		o := reset.Options{
			To:     []reset.Position{reset.Earliest(), reset.Latest(), reset.Current(), reset.At(r.Int64N(30)), reset.Shift(r.Int64N(20) - 10)}[r.IntN(5)],
			Topics: [][]reset.TopicSelection{nil, {{Topic: "t"}}, {{Topic: "t", Partitions: []int32{0, 3}}, {Topic: "u"}}}[r.IntN(3)],
			Clamp:  r.IntN(2) == 0, Touch: r.IntN(4) == 0, Now: time.Now(),
		}
		before := w.commits(group, other)
		plans, _, err := w.changer.Plans(t.Context(), []string{group}, o, true)
		if err != nil {
			t.Fatal(err)
		}
		p := plans[0]
		err = w.changer.Apply(t.Context(), &p, reset.ApplyOptions{Receipts: w.receipts(), Settle: new(time.Duration)})
		after := w.commits(group, other)
		var refused *reset.RefusedError
		if errors.As(err, &refused) {
			if !reflect.DeepEqual(before, after) {
				t.Fatalf("round %d: refused, but it changed:\n%v\n%v", round, before, after)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		checkSelection(t, &p, before[group], after[group])
		if !reflect.DeepEqual(before[other], after[other]) {
			t.Fatalf("round %d: another group moved", round)
		}
		if p.Receipt == nil {
			continue // nothing had to move
		}
		if _, err := w.undo(group, false); err != nil {
			t.Fatalf("round %d: undo: %v", round, err)
		}
		if undone := w.commits(group, other); !sameButEpochs(before[group], undone[group]) || !reflect.DeepEqual(before[other], undone[other]) {
			t.Fatalf("round %d, %+v: before\n%v\nundone\n%v", round, o, before, undone)
		}
		if round%10 == 0 {
			if _, err := w.undo(group, false); err != nil {
				t.Fatalf("round %d: undo of the undo: %v", round, err)
			}
			if again := w.commits(group); !sameButEpochs(after[group], again[group]) {
				t.Fatalf("round %d: changed\n%v\nundone twice\n%v", round, after, again)
			}
		}
	}
}

// checkSelection: what is no row of the plan is as before, and what is, went
// where the plan says.
func checkSelection(t *testing.T, p *reset.Plan, before, after map[inspect.TopicPartition]inspect.Commit) {
	t.Helper()
	rows := map[inspect.TopicPartition]bool{}
	for _, c := range p.Partitions {
		tp := inspect.TopicPartition{Topic: c.Topic, Partition: c.Partition}
		rows[tp] = true
		is, committed := after[tp]
		switch c.Action {
		case reset.ActionWrite:
			if !committed || is.Offset != *c.To || is.LeaderEpoch != -1 || is.Offset < 0 || is.Offset < *c.LogStart || is.Offset > *c.LogEnd {
				if c.From == nil || *c.From != *c.To {
					t.Fatalf("%v: committed %+v, the plan says %+v", tp, is, c)
				}
			}
		default:
			if is != before[tp] {
				t.Fatalf("%v: not written, but %+v became %+v", tp, before[tp], is)
			}
		}
	}
	for tp, was := range before {
		if !rows[tp] && after[tp] != was {
			t.Fatalf("%v: not selected, but %+v became %+v", tp, was, after[tp])
		}
	}
	for tp := range after {
		if _, had := before[tp]; !had && !rows[tp] {
			t.Fatalf("%v: not selected, but committed", tp)
		}
	}
}

// sameButEpochs allows a restored commit to have lost its epoch: where it lies
// past the end of its epoch.
func sameButEpochs(a, b map[inspect.TopicPartition]inspect.Commit) bool {
	if len(a) != len(b) {
		return false
	}
	for tp, x := range a {
		y, ok := b[tp]
		if !ok || x.Offset != y.Offset || x.Metadata != y.Metadata || y.LeaderEpoch != x.LeaderEpoch && (y.LeaderEpoch != -1 || x.Offset <= 30) {
			return false
		}
	}
	return true
}

// A receipt that cannot be written stops the change before it begins: no
// folder, a folder that is a file, a full disk.
func TestNoReceiptNoChange(t *testing.T) {
	w := newWorld(t)
	w.commit("g", "t", 0, 5, -1, "")
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, receipts := range map[string]*reset.Receipts{
		"nowhere":    nil,
		"no folder":  {Now: time.Now},
		"a file":     {Dir: file, Now: time.Now},
		"is there":   {File: file, Now: time.Now},
		"full disk":  {Dir: fullDisk(t), Now: time.Now},
		"not a path": {File: "/proc/no/such/folder/receipt.json", Now: time.Now},
	} {
		if name == "full disk" && receipts.Dir == "" {
			continue
		}
		plans, _, err := w.changer.Plans(t.Context(), []string{"g"}, reset.Options{To: reset.Earliest()}, false)
		if err != nil {
			t.Fatal(err)
		}
		err = w.changer.Apply(t.Context(), &plans[0], reset.ApplyOptions{Receipts: receipts, Settle: new(time.Duration)})
		var failed *reset.ReceiptError
		if !errors.As(err, &failed) || plans[0].Applied || plans[0].Receipt != nil {
			t.Errorf("%s: %v, applied %v, receipt %v", name, err, plans[0].Applied, plans[0].Receipt)
		}
		if got := w.commits("g")["g"][inspect.TopicPartition{Topic: "t"}].Offset; got != 5 {
			t.Fatalf("%s: it was changed all the same, to %d", name, got)
		}
	}
}
