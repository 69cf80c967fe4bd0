package reset_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"offsets/inspect"
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
