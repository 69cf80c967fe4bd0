package inspect_test

import (
	"testing"

	"offsets/inspect"
	"offsets/inspect/commitlog"
)

// Gaps count in the group's own partition of the log only: files have others
// behind it, and a change of partition is no gap.
func TestHistoryIsCompleteSinceItsOwnGap(t *testing.T) {
	row := func(partition int32, offset int64, at, group string) inspect.LogRecord {
		return inspect.LogRecord{Partition: &partition, Offset: offset, Timestamp: &at, Kind: "offset_commit", Record: commitlog.Record{
			Kind: commitlog.KindOffsetCommit, Key: commitlog.OffsetCommitKey{Group: group, Topic: "t"}, Value: &commitlog.OffsetCommitValue{Offset: offset, LeaderEpoch: -1},
		}}
	}
	rows := []inspect.LogRecord{
		row(0, 0, "2026-11-23T09:00:00.000Z", "g"),
		row(0, 5, "2026-11-23T09:01:00.000Z", "other"), // a gap
		row(0, 6, "2026-11-23T09:02:00.000Z", "g"),
		row(1, 0, "2026-11-23T09:03:00.000Z", "other"),
		row(1, 7, "2026-11-23T09:04:00.000Z", "other"),
	}
	h := inspect.NewHistory("g")
	events := 0
	for _, err := range h.Events(func(yield func(inspect.LogRecord, error) bool) {
		for _, r := range rows {
			if !yield(r, nil) {
				return
			}
		}
	}) {
		if err != nil {
			t.Fatal(err)
		}
		events++
	}
	if want := "2026-11-23T09:01:00.000Z"; events != 2 || h.CompleteSince == nil || *h.CompleteSince != want {
		t.Errorf("%d events, complete since %v; want 2 and %s", events, h.CompleteSince, want)
	}
}
