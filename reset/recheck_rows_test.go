package reset

import (
	"testing"

	"offsets/inspect"
)

// TestWhatPlanFilesMayWrite: an epoch that ended before the offset is not written,
// nor is a commit outside of the log, but by an undo of which there is a receipt.
func TestWhatPlanFilesMayWrite(t *testing.T) {
	tp := inspect.TopicPartition{Topic: "t"}
	row := rowAt("t", 0, 30, 0, 50)
	row.TopicID, row.CurrentEpoch = ptr("id"), ptr[int32](7)
	g := groupOf(row)
	made := func(kind Kind, to int64, epoch *int32) *Plan {
		p := newPlan(g, kind)
		c := p.newChange(&row)
		c.Action, c.To, c.ToEpoch, c.ToMetadata = ActionWrite, &to, epoch, ptr("")
		p.Partitions = []Change{c}
		return &p
	}
	change := made(KindReset, 30, nil).Partitions[0]
	change.From, change.Written = ptr[int64](70), true
	receipt := &Receipt{State: ReceiptDone, Plan: Plan{Group: g.Group, Partitions: []Change{change}}}
	other := &Receipt{State: ReceiptDone, Plan: Plan{Group: "another", Partitions: []Change{change}}}
	for _, c := range []struct {
		name    string
		plan    *Plan
		end     int64 // of the epoch; -1: not known
		receipt *Receipt
		refused bool
	}{
		{"an epoch that reaches the offset", made(KindUndo, 20, ptr[int32](3)), 20, receipt, false},
		{"one that ended before", made(KindUndo, 20, ptr[int32](3)), 19, receipt, true},
		{"one that the leader does not know", made(KindImport, 20, ptr[int32](3)), -1, receipt, true},
		{"outside, as it was", made(KindUndo, 70, nil), -1, receipt, false},
		{"outside, elsewhere", made(KindUndo, 71, nil), -1, receipt, true},
		{"outside, with another group's receipt", made(KindUndo, 70, nil), -1, other, true},
		{"outside, of a reset", made(KindReset, 70, nil), -1, receipt, true},
		{"outside, of an import", made(KindImport, 70, nil), -1, receipt, true},
		{"outside, of a copy", made(KindCopy, 70, nil), -1, receipt, true},
	} {
		ends := map[inspect.TopicPartition]int64{}
		if c.end >= 0 {
			ends[tp] = c.end
		}
		again := c.plan.again(g, ends, RecheckOptions{Receipts: []*Receipt{c.receipt}})
		if err := again.Refused(); (err != nil) != c.refused {
			t.Errorf("%s: %v, want a refusal: %v", c.name, err, c.refused)
		}
	}
}
