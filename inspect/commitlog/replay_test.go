package commitlog_test

import (
	"fmt"
	"strings"
	"testing"

	"offsets/inspect/commitlog"
)

// The rules of the coordinator, each confirmed against a broker's OffsetFetch.
func TestReplay(t *testing.T) {
	key := commitlog.OffsetCommitKey{Group: "g", Topic: "t", Partition: 0}
	type step func(r *commitlog.Replay, at int64)
	commit := func(producer, offset int64) step {
		return func(r *commitlog.Replay, at int64) {
			v := &commitlog.OffsetCommitValue{Version: 4, Offset: offset}
			r.Record(key.Encode(), v.Encode(), at, at, producer)
		}
	}
	tombstone := func(r *commitlog.Replay, at int64) {
		r.Record(key.Encode(), nil, at, at, -1)
	}
	marker := func(producer int64, commit bool) step {
		return func(r *commitlog.Replay, at int64) { r.Marker(producer, commit, at, at) }
	}
	other := func(r *commitlog.Replay, at int64) {
		r.Record(commitlog.GroupMetadataKey{Group: "g"}.Encode(), (&commitlog.GroupMetadataValue{Version: 3}).Encode(), at, at, -1)
	}
	for _, tt := range []struct {
		name      string
		steps     []step
		committed int64 // -1: nothing
		effective int64
		pending   int
	}{
		{"the last one counts", []step{commit(-1, 5), commit(-1, 3), other}, 3, 1, 0},
		{"a tombstone deletes", []step{commit(-1, 5), tombstone}, -1, 0, 0},
		{"a tombstone of nothing", []step{tombstone}, -1, 0, 0},
		{"pending does not count", []step{commit(-1, 5), commit(7, 8)}, 5, 0, 1},
		{"committed counts from its marker", []step{commit(-1, 5), commit(7, 8), marker(7, true)}, 8, 2, 0},
		{"aborted never counts", []step{commit(-1, 5), commit(7, 8), marker(7, false)}, 5, 0, 0},
		{"a later plain commit wins", []step{commit(7, 8), commit(-1, 6), marker(7, true)}, 6, 1, 0},
		{"a tombstone drops what is pending", []step{commit(7, 9), tombstone, marker(7, true)}, -1, 0, 0},
		{"other producers' markers", []step{commit(7, 8), marker(6, true)}, -1, 0, 1},
		{"two transactions of one producer", []step{commit(7, 8), marker(7, false), commit(7, 9), marker(7, true)}, 9, 3, 0},
		{"two producers", []step{commit(7, 8), commit(6, 9), marker(6, true), marker(7, true)}, 9, 2, 0},
	} {
		r := commitlog.NewReplay(commitlog.AtTheEnd)
		for at, s := range tt.steps {
			s(r, int64(at))
		}
		got, effective := int64(-1), int64(0)
		c := r.Commits()[commitlog.CommitKey(key)]
		if c.Value != nil {
			got, effective = c.Value.Offset, c.EffectiveAt
		}
		if got != tt.committed || effective != tt.effective || len(c.Pending) != tt.pending {
			t.Errorf("%s: committed %d at %d, %d pending; want %d at %d, %d", tt.name, got, effective, len(c.Pending), tt.committed, tt.effective, tt.pending)
		}
	}
}

// What a gap in the offsets leaves certain of a time. The time asked about is
// 100; records without one of their own are written at their offset.
func TestReplayCertain(t *testing.T) {
	const asOf = 100
	key := commitlog.OffsetCommitKey{Group: "g", Topic: "t"}
	value := (&commitlog.OffsetCommitValue{Version: 3, Offset: 5}).Encode()
	type record struct {
		offset, at int64
		what       string
	}
	apply := func(r *commitlog.Replay, s record) {
		var producer int64 = -1
		if strings.HasPrefix(s.what, "txn") {
			producer = 7
		}
		switch s.what {
		case "commit", "txn":
			r.Record(key.Encode(), value, s.offset, s.at, producer)
		case "tombstone":
			r.Record(key.Encode(), nil, s.offset, s.at, -1)
		case "txn committed", "txn aborted":
			r.Marker(producer, s.what == "txn committed", s.offset, s.at)
		case "other":
			r.Place(s.offset, s.at)
		case "damage":
			r.Damaged()
		case "end":
			r.Reached(s.offset)
		}
	}
	for _, tt := range []struct {
		name    string
		records []record
		want    string // committed, absent or nothing, and whether certain
	}{
		{"no gap", []record{{0, 0, "commit"}, {1, 200, "commit"}}, "committed true"},
		{"a gap before", []record{{5, 5, "commit"}, {6, 200, "commit"}}, "committed true"},
		{"a gap between, written again", []record{{0, 0, "commit"}, {5, 5, "other"}, {6, 200, "commit"}}, "committed false"},
		{"a gap right before the time", []record{{0, 0, "commit"}, {6, 200, "commit"}}, "committed false"},
		{"a gap between, never written again", []record{{0, 0, "commit"}, {5, 5, "other"}, {6, 200, "other"}}, "committed true"},
		{"a gap behind the time", []record{{0, 0, "commit"}, {1, 200, "other"}, {5, 300, "commit"}}, "committed true"},
		{"deleted later, behind a gap", []record{{0, 0, "commit"}, {5, 200, "tombstone"}}, "committed false"},
		{"absent, no gap", []record{{0, 0, "other"}, {1, 200, "commit"}}, "absent true"},
		{"absent behind a gap", []record{{0, 0, "other"}, {5, 5, "other"}, {6, 200, "commit"}}, "absent false"},
		{"absent, the log starts late", []record{{5, 5, "other"}, {6, 200, "commit"}}, "absent false"},
		{"deleted behind the gap", []record{{5, 5, "tombstone"}, {6, 200, "commit"}}, "absent true"},
		{"deleted before the gap", []record{{0, 0, "tombstone"}, {5, 5, "other"}, {6, 200, "commit"}}, "absent false"},
		{"a transaction that commits later", []record{{0, 0, "commit"}, {5, 5, "txn"}, {6, 200, "txn committed"}}, "committed false"},
		{"a transaction that aborts later", []record{{0, 0, "commit"}, {5, 5, "txn"}, {6, 200, "txn aborted"}}, "committed true"},
		{"a transaction that stays open", []record{{0, 0, "commit"}, {5, 5, "txn"}, {6, 200, "other"}}, "committed true"},
		{"a transaction that is superseded", []record{{0, 0, "txn"}, {1, 1, "commit"}, {5, 5, "other"}, {6, 200, "txn committed"}}, "committed true"},
		{"a later transaction that commits", []record{{0, 0, "commit"}, {5, 5, "other"}, {6, 200, "txn"}, {7, 200, "txn committed"}}, "committed false"},
		{"a later transaction that aborts", []record{{0, 0, "commit"}, {5, 5, "other"}, {6, 200, "txn"}, {7, 200, "txn aborted"}}, "committed true"},
		{"bytes that cannot be read", []record{{0, 0, "commit"}, {0, 0, "damage"}, {5, 5, "other"}, {6, 200, "other"}}, "committed false"},
		{"bytes that cannot be read, nothing is missing", []record{{0, 0, "commit"}, {0, 0, "damage"}, {1, 5, "other"}, {6, 200, "other"}}, "committed true"},
		{"the end cannot be read", []record{{0, 0, "commit"}, {0, 0, "damage"}}, "committed false"},
		{"the clock ran ahead", []record{{0, 0, "commit"}, {1, 200, "commit"}, {2, 50, "other"}}, "committed false"},
		{"the clock ran ahead, with another key", []record{{0, 0, "commit"}, {1, 200, "other"}, {2, 50, "other"}, {3, 300, "commit"}}, "committed true"},
		{"the clock ran ahead, with a gap", []record{{0, 0, "commit"}, {1, 200, "other"}, {5, 50, "other"}, {6, 300, "commit"}}, "committed false"},
		{"a tombstone without a time", []record{{0, 0, "commit"}, {1, commitlog.NoTime, "tombstone"}, {2, 200, "commit"}}, "absent false"},
		{"a tombstone without a time, dated by the next record", []record{{0, 0, "commit"}, {1, commitlog.NoTime, "tombstone"}, {2, 50, "other"}, {3, 200, "commit"}}, "absent true"},
		{"a record that was there before", []record{{0, 0, "other"}, {1, 1, "commit"}, {0, 0, "other"}, {2, 200, "other"}}, "committed true"},
	} {
		r := commitlog.NewReplay(asOf)
		for _, s := range tt.records {
			apply(r, s)
		}
		c, listed := r.Commits()[commitlog.CommitKey(key)]
		got := "committed"
		if !listed {
			got = "nothing"
		} else if c.Absent {
			got = "absent"
		}
		if got = fmt.Sprint(got, " ", c.Certain); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
}

// What has no record is not committed only where none is missing.
func TestReplayComplete(t *testing.T) {
	for _, tt := range []struct {
		name       string
		asOf       int64
		start, end int64
		want       bool
	}{
		{"whole", 100, 0, 1, true},
		{"the last offsets are gone", 100, 0, 3, false},
		{"the first offsets are gone", 100, 2, 3, false},
		{"at the end", commitlog.AtTheEnd, 2, 5, true},
	} {
		r := commitlog.NewReplay(tt.asOf)
		r.Place(tt.start, 0)
		r.Reached(tt.end)
		if got := r.Complete(); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

// Types 0 and 1 are one commit.
func TestReplayLegacyKey(t *testing.T) {
	key := commitlog.OffsetCommitKey{Group: "g", Topic: "t"}.Encode()
	legacy := append([]byte{0, 0}, key[2:]...)
	r := commitlog.NewReplay(commitlog.AtTheEnd)
	r.Record(legacy, (&commitlog.OffsetCommitValue{Version: 1, Offset: 5}).Encode(), 0, 0, -1)
	r.Record(key, (&commitlog.OffsetCommitValue{Version: 3, Offset: 6}).Encode(), 1, 1, -1)
	if got := r.Commits(); len(got) != 1 || got[commitlog.CommitKey{Group: "g", Topic: "t"}].Value.Offset != 6 {
		t.Errorf("got %+v", got)
	}
}
