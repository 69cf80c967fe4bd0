package reset_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"offsets/inspect"
	"offsets/internal/sandbox"
	"offsets/reset"
)

// TestConfirmedRightBeforeTheWrite: what somebody commits after the plan was
// checked, and before it is written, is not overwritten, and leaves no receipt of
// a change that was not made.
func TestConfirmedRightBeforeTheWrite(t *testing.T) {
	w := newWorld(t)
	w.commit("g", "t", 0, 5, -1, "")
	p := plan(t, w.changer, reset.Options{To: mustPosition(t, "earliest"), Now: time.Now()})
	r := w.receipts()
	r.Now = func() time.Time { // the receipt is begun behind the last check
		w.commit("g", "t", 0, 7, -1, "")
		return time.Now()
	}
	err := w.changer.Apply(t.Context(), &p, reset.ApplyOptions{Receipts: r, Settle: new(time.Duration)})
	var refused *reset.RefusedError
	if !errors.As(err, &refused) || !strings.Contains(err.Error(), "committed was 5 and is 7") {
		t.Errorf("got %v, want a refusal because of 7", err)
	}
	if at := w.commits("g")["g"][inspect.TopicPartition{Topic: "t", Partition: 0}].Offset; at != 7 {
		t.Errorf("committed is %d, want 7, which somebody has committed", at)
	}
	if p.Applied || p.Receipt != nil {
		t.Errorf("applied %v, receipt %v", p.Applied, p.Receipt)
	}
	err = filepath.WalkDir(w.dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			t.Errorf("%s was left behind", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestNothingToMoveIsConfirmed: a group that is where the plan wants it may be
// moved before its turn comes.
func TestNothingToMoveIsConfirmed(t *testing.T) {
	w := newWorld(t)
	const last = "g9" // more groups than are written at once, so that its turn comes later
	var groups []string
	for n := 1; n <= 9; n++ {
		group := fmt.Sprintf("g%d", n)
		groups = append(groups, group)
		at := int64(5)
		if group == last {
			at = 0
		}
		w.commit(group, "t", 0, at, -1, "")
	}
	plans, problems, err := w.changer.Plans(t.Context(), groups, reset.Options{To: mustPosition(t, "earliest"), Now: time.Now()}, false)
	if err != nil || len(problems) > 0 {
		t.Fatal(err, problems)
	}
	var all []*reset.Plan
	for i := range plans {
		all = append(all, &plans[i])
	}
	var once sync.Once
	err = w.changer.ApplyAll(t.Context(), all, reset.ApplyOptions{Receipts: w.receipts(), Settle: new(time.Duration), Progress: func(p reset.Progress) {
		if p.Stage == reset.StageWriting {
			once.Do(func() { w.commit(last, "t", 0, 7, -1, "") })
		}
	}})
	var refused *reset.RefusedError
	if !errors.As(err, &refused) || refused.Group != last {
		t.Errorf("got %v, want a refusal of %s, which is at 7 by now", err, last)
	}
	if p := plans[8]; p.Group != last || p.Applied {
		t.Errorf("%s: applied %v", p.Group, p.Applied)
	}
}

func mustPosition(t *testing.T, text string) reset.Position {
	t.Helper()
	p, err := reset.ParsePosition(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestDeletionOfWhatCameSince: a group is deleted with what the plan shows, and not
// with what was committed since.
func TestDeletionOfWhatCameSince(t *testing.T) {
	w := newWorld(t)
	w.commit("g", "t", 0, 5, -1, "")
	plans, _, err := w.changer.DeletePlans(t.Context(), []string{"g"}, reset.DeleteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w.commit("g", "t", 2, 3, -1, "")
	err = w.changer.Apply(t.Context(), &plans[0], reset.ApplyOptions{NoReceipt: true, Settle: new(time.Duration)})
	var refused *reset.RefusedError
	if !errors.As(err, &refused) || !strings.Contains(err.Error(), "committed 3 since") {
		t.Errorf("got %v, want a refusal because of t-2", err)
	}
	if n := len(w.commits("g")["g"]); n != 2 {
		t.Errorf("%d commits are left, want 2", n)
	}
}

// TestGroupOfAnotherTypeSince: a plan is for the group that it saw.
func TestGroupOfAnotherTypeSince(t *testing.T) {
	w := newWorld(t)
	w.commit("g", "t", 0, 5, -1, "")
	p := plan(t, w.changer, reset.Options{To: mustPosition(t, "earliest"), Now: time.Now()})
	p.Type = inspect.Consumer
	err := w.changer.Apply(t.Context(), &p, reset.ApplyOptions{NoReceipt: true, Settle: new(time.Duration)})
	if err == nil || !strings.Contains(err.Error(), "its type was consumer and is classic") {
		t.Errorf("got %v, want a refusal because of the type", err)
	}
}

// TestCommittedAgainSince: the same offset with other metadata is another commit.
func TestCommittedAgainSince(t *testing.T) {
	w := newWorld(t)
	w.commit("g", "t", 0, 5, -1, "")
	p := plan(t, w.changer, reset.Options{To: mustPosition(t, "earliest"), Now: time.Now()})
	w.commit("g", "t", 0, 5, -1, "note")
	err := w.changer.Apply(t.Context(), &p, reset.ApplyOptions{NoReceipt: true, Settle: new(time.Duration)})
	if err == nil || !strings.Contains(err.Error(), "committed again, with other metadata") {
		t.Errorf("got %v, want a refusal because of the metadata", err)
	}
}

// TestUndoExpectsTheMetadata: whoever commits the same offset with metadata of its
// own has been there since.
func TestUndoExpectsTheMetadata(t *testing.T) {
	w := newWorld(t)
	w.commit("g", "t", 0, 5, -1, "")
	p := plan(t, w.changer, reset.Options{To: mustPosition(t, "9"), Now: time.Now()})
	if err := w.changer.Apply(t.Context(), &p, reset.ApplyOptions{Receipts: w.receipts(), Settle: new(time.Duration)}); err != nil {
		t.Fatal(err)
	}
	w.commit("g", "t", 0, 9, -1, "mine")
	if _, err := w.undo("g", false); err == nil || !strings.Contains(err.Error(), "somebody has moved it since") {
		t.Errorf("got %v, want a refusal", err)
	}
}

// TestOverwrittenWhileReadBack: a commit that comes between a write and its
// read-back is seen.
func TestOverwrittenWhileReadBack(t *testing.T) {
	var writing atomic.Bool
	var commitOther func()
	var once sync.Once
	s, err := sandbox.Start(sandbox.Options{Topics: map[string]int32{"t": 1}, Silent: func(req kmsg.Request) bool {
		// The first look at the commits behind the write.
		if _, ok := req.(*kmsg.OffsetFetchRequest); ok && writing.Load() {
			once.Do(func() { commitOther() })
		}
		return false
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	client := func() *kgo.Client {
		cl, err := kgo.NewClient(kgo.SeedBrokers(s.Addr))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(cl.Close)
		return cl
	}
	w := &world{t, client(), nil, t.TempDir()}
	w.changer = reset.New(w.cl)
	if err := w.cl.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Value: []byte("a")}, &kgo.Record{Topic: "t", Value: []byte("b")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	w.commit("g", "t", 0, 2, -1, "")
	p := plan(t, w.changer, reset.Options{To: mustPosition(t, "earliest"), Now: time.Now()})
	other := &world{t, client(), nil, ""}
	commitOther = func() { other.commit("g", "t", 0, 1, -1, "") }
	err = w.changer.Apply(t.Context(), &p, reset.ApplyOptions{NoReceipt: true, Settle: new(time.Duration), Progress: func(p reset.Progress) {
		if p.Stage == reset.StageWriting {
			writing.Store(true)
		}
	}})
	if err != nil {
		t.Error(err)
	}
	if p.Verified == nil || *p.Verified != reset.Overwritten {
		t.Errorf("verified %v, want overwritten", p.Verified)
	}
}

// TestRestoredLeaderEpoch: a commit keeps its leader epoch only where that is sure
// to be right: too high a one hangs Java consumers.
func TestRestoredLeaderEpoch(t *testing.T) {
	id := ptr("id")
	for _, tt := range []struct {
		name        string
		sameCluster bool
		topicID     *string // of the commit
		current     *int32
		end         int64 // where the epoch ended; -1: the leader does not know it
		want        *int32
		offset      int64
	}{
		{"all is known", true, id, ptr[int32](3), 50, ptr[int32](3), 20},
		{"an earlier epoch", true, id, ptr[int32](7), 20, ptr[int32](3), 20},
		{"another cluster", false, id, ptr[int32](3), 50, nil, 20},
		{"no topic id", true, nil, ptr[int32](3), 50, nil, 20},
		{"current epoch unknown", true, id, nil, 50, nil, 20},
		{"above the current", true, id, ptr[int32](2), 50, nil, 20},
		{"unknown to the leader", true, id, ptr[int32](7), -1, nil, 0},
		{"ended before the offset", true, id, ptr[int32](7), 19, nil, 20},
	} {
		r := row(0, ptr[int64](30), 0, 50)
		r.TopicID, r.CurrentEpoch = id, tt.current
		tp := inspect.TopicPartition{Topic: r.Topic, Partition: 0}
		ends := map[inspect.TopicPartition]int64{}
		if tt.end >= 0 {
			ends[tp] = tt.end
		}
		p := reset.Restore(inspect.Group{Group: "g", Type: inspect.Classic, State: "Empty", Partitions: []inspect.Partition{r}},
			[]reset.Wanted{{TopicPartition: tp, TopicID: tt.topicID, Commit: &inspect.Commit{Offset: tt.offset, LeaderEpoch: 3}}},
			reset.RestoreOptions{Kind: reset.KindUndo, SameCluster: tt.sameCluster, Outside: true}, ends)
		got := p.Partitions[0].ToEpoch
		if (got == nil) != (tt.want == nil) || got != nil && *got != *tt.want {
			t.Errorf("%s: epoch %v, want %v (%v)", tt.name, got, tt.want, p.Partitions[0].Note)
		}
	}
}

// TestLookedAtAgainAfterTheWatch: the log goes on while the commits are watched.
func TestLookedAtAgainAfterTheWatch(t *testing.T) {
	w := newWorld(t)
	w.commit("g", "t", 0, 25, -1, "")
	p := plan(t, w.changer, reset.Options{To: mustPosition(t, "5"), Now: time.Now()})
	settle := 50 * time.Millisecond
	err := w.changer.Apply(t.Context(), &p, reset.ApplyOptions{NoReceipt: true, Settle: &settle, Progress: func(p reset.Progress) {
		if p.Stage == reset.StageSettling {
			var os kadm.Offsets
			os.Add(kadm.Offset{Topic: "t", Partition: 0, At: 20})
			if _, err := kadm.NewClient(w.cl).DeleteRecords(t.Context(), os); err != nil {
				t.Error(err)
			}
		}
	}})
	if err == nil || !strings.Contains(err.Error(), "the log now starts at 20") {
		t.Errorf("got %v, want a refusal because of the log's start", err)
	}
}

// TestUndoOfWhatMayHaveBeenWritten: of a change that did not end either state may
// be there, and what is put back is written also where it is there still, because
// the change may take effect yet.
func TestUndoOfWhatMayHaveBeenWritten(t *testing.T) {
	r := reset.Receipt{State: reset.ReceiptStarted, Plan: reset.Plan{Partitions: []reset.Change{{Topic: "t", Action: reset.ActionWrite, From: ptr[int64](5), FromMetadata: ptr(""), To: ptr[int64](0), ToMetadata: ptr("")}}}}
	committed := func(at int64) inspect.Partition {
		p := row(0, &at, 0, 50)
		p.Metadata = ptr("")
		return p
	}
	before := inspect.Group{Group: "g", Type: inspect.Classic, State: "Empty", Partitions: []inspect.Partition{committed(5)}}
	p := reset.Restore(before, r.Undo(), reset.RestoreOptions{Kind: reset.KindUndo, SameCluster: true, Outside: true}, nil)
	if c := p.Partitions[0]; c.Error != nil || c.Action != reset.ActionWrite || *c.To != 5 {
		t.Errorf("where nothing seems to have happened: %+v", c)
	}
	after := before
	after.Partitions = []inspect.Partition{committed(0)}
	p = reset.Restore(after, r.Undo(), reset.RestoreOptions{Kind: reset.KindUndo, SameCluster: true, Outside: true}, nil)
	if c := p.Partitions[0]; c.Error != nil || c.Action != reset.ActionWrite || *c.To != 5 {
		t.Errorf("where it was written: %+v", c)
	}
}

// TestEditedPlanFiles: files are edited by hand, and some edits make another change
// of a plan than it says.
func TestEditedPlanFiles(t *testing.T) {
	w := newWorld(t)
	w.commit("g", "t", 0, 5, -1, "")
	for name, edit := range map[string]func(*reset.Plan){
		"a leader epoch that a reset never writes": func(p *reset.Plan) { p.Partitions[0].ToEpoch = ptr[int32](50) },
		"the group is deleted":                     func(p *reset.Plan) { p.Deletes = true },
	} {
		p := plan(t, w.changer, reset.Options{To: mustPosition(t, "earliest"), Now: time.Now()})
		edit(&p)
		file := filepath.Join(t.TempDir(), "plan.json")
		if err := reset.WritePlanFile(file, reset.PlanFile{Plans: []reset.Plan{p}}); err != nil {
			t.Fatal(err)
		}
		if _, err := reset.ReadPlanFile(file); err == nil {
			t.Errorf("%s: it was read", name)
		}
	}
}
