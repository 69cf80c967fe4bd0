package commitlog_test

import (
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
		return func(r *commitlog.Replay, at int64) { r.Marker(producer, commit, at) }
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
		r := commitlog.NewReplay()
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

// Behind the time that is asked about only the writing itself counts.
func TestReplayFrozen(t *testing.T) {
	key := func(p int32) commitlog.OffsetCommitKey {
		return commitlog.OffsetCommitKey{Group: "g", Topic: "t", Partition: p}
	}
	v := (&commitlog.OffsetCommitValue{Version: 3, Offset: 5}).Encode()
	later := (&commitlog.OffsetCommitValue{Version: 3, Offset: 9}).Encode()
	r := commitlog.NewReplay()
	r.Record(key(0).Encode(), v, 0, 0, -1)
	r.Record(key(1).Encode(), v, 1, 1, -1)
	r.Freeze()
	r.Record(key(1).Encode(), later, 2, 2, -1)
	r.Record(key(2).Encode(), nil, 3, 3, -1)
	got := r.Commits()
	if c := got[commitlog.CommitKey(key(0))]; c.Touched || c.Missing || c.Value.Offset != 5 {
		t.Errorf("untouched: %+v", c)
	}
	if c := got[commitlog.CommitKey(key(1))]; !c.Touched || c.Missing || c.Value.Offset != 5 {
		t.Errorf("written again: %+v", c)
	}
	if c := got[commitlog.CommitKey(key(2))]; !c.Touched || !c.Missing || c.Value != nil {
		t.Errorf("only written later: %+v", c)
	}
}

// Types 0 and 1 are one commit.
func TestReplayLegacyKey(t *testing.T) {
	key := commitlog.OffsetCommitKey{Group: "g", Topic: "t"}.Encode()
	legacy := append([]byte{0, 0}, key[2:]...)
	r := commitlog.NewReplay()
	r.Record(legacy, (&commitlog.OffsetCommitValue{Version: 1, Offset: 5}).Encode(), 0, 0, -1)
	r.Record(key, (&commitlog.OffsetCommitValue{Version: 3, Offset: 6}).Encode(), 1, 1, -1)
	if got := r.Commits(); len(got) != 1 || got[commitlog.CommitKey{Group: "g", Topic: "t"}].Value.Offset != 6 {
		t.Errorf("got %+v", got)
	}
}
