package reset_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"offsets/inspect"
	"offsets/reset"
)

// written is a plan that went through a file.
func written(t *testing.T, p reset.Plan) *reset.Plan {
	t.Helper()
	file := filepath.Join(t.TempDir(), "plan.json")
	if err := reset.WritePlanFile(file, reset.PlanFile{Plans: []reset.Plan{p}}); err != nil {
		t.Fatal(err)
	}
	f, err := reset.ReadPlanFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return &f.Plans[0]
}

// TestPlanFileNobodyLookedAt: a plan out of a file is not applied as it stands.
func TestPlanFileNobodyLookedAt(t *testing.T) {
	w := newWorld(t)
	w.commit("g", "t", 0, 5, -1, "")
	p := written(t, plan(t, w.changer, reset.Options{To: mustPosition(t, "earliest"), Now: time.Now()}))
	o := reset.ApplyOptions{NoReceipt: true, Settle: new(time.Duration)}
	if err := w.changer.Apply(t.Context(), p, o); err == nil || !strings.Contains(err.Error(), "comes out of a file") {
		t.Errorf("got %v, want a refusal", err)
	}
	if err := w.changer.Recheck(t.Context(), []*reset.Plan{p}, reset.RecheckOptions{})[0]; err != nil {
		t.Fatal(err)
	}
	if err := w.changer.Apply(t.Context(), p, o); err != nil {
		t.Error(err)
	}
	if at := w.commits("g")["g"][inspect.TopicPartition{Topic: "t"}].Offset; at != 0 {
		t.Errorf("committed is %d", at)
	}
}

// TestLeaderEpochsOfPlanFiles: one that would hang a consumer is not written
// because a file says so.
func TestLeaderEpochsOfPlanFiles(t *testing.T) {
	w := newWorld(t)
	w.commit("g", "t", 0, 5, 0, "")
	p := plan(t, w.changer, reset.Options{To: mustPosition(t, "9"), Now: time.Now()})
	if err := w.changer.Apply(t.Context(), &p, reset.ApplyOptions{Receipts: w.receipts(), Settle: new(time.Duration)}); err != nil {
		t.Fatal(err)
	}
	for epoch, refused := range map[int32]bool{0: false, 1: true, 1000: true} {
		undo, err := w.changer.RestorePlan(t.Context(), "g", w.last("g").Undo(), reset.RestoreOptions{Kind: reset.KindUndo, SameCluster: true, Outside: true})
		if err != nil {
			t.Fatal(err)
		}
		if got := undo.Partitions[0].ToEpoch; got == nil || *got != 0 {
			t.Fatalf("epoch %v in the plan of undo, want 0", got)
		}
		undo.Partitions[0].ToEpoch = &epoch
		again := written(t, undo)
		if err := w.changer.Recheck(t.Context(), []*reset.Plan{again}, reset.RecheckOptions{})[0]; err != nil {
			t.Fatal(err)
		}
		if err := again.Refused(); (err != nil) != refused {
			t.Errorf("epoch %d: %v, want a refusal: %v", epoch, err, refused)
		}
	}
}

// TestStalePlanFiles: what has changed since stands in the plan's rows.
func TestStalePlanFiles(t *testing.T) {
	w := newWorld(t)
	w.commit("g", "t", 0, 5, -1, "")
	w.commit("g", "u", 0, 0, -1, "")
	reset1 := plan(t, w.changer, reset.Options{To: mustPosition(t, "earliest"), Now: time.Now()})
	deletes, _, err := w.changer.DeletePlans(t.Context(), []string{"g"}, reset.DeleteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		plan  reset.Plan
		since func()
		want  string
	}{
		"moved":                      {reset1, func() { w.commit("g", "t", 0, 6, -1, "") }, "committed was 5 and is 6"},
		"moved where it was to stay": {reset1, func() { w.commit("g", "t", 0, 5, -1, ""); w.commit("g", "u", 0, 3, -1, "") }, "committed was 0 and is 3"},
		"more than the plan deletes": {deletes[0], func() { w.commit("g", "u", 0, 0, -1, ""); w.commit("g", "v", 0, 1, -1, "") }, "committed 1 since"},
	} {
		p := written(t, c.plan)
		w.commit("g", "t", 0, 5, -1, "")
		c.since()
		if err := w.changer.Recheck(t.Context(), []*reset.Plan{p}, reset.RecheckOptions{})[0]; err != nil {
			t.Fatal(err)
		}
		if err := p.Refused(); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "plan is stale") {
			t.Errorf("%s: got %v", name, err)
		}
		w.commit("g", "u", 0, 0, -1, "")
	}
}
