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
			r.Record(&commitlog.Record{Key: key, Value: &commitlog.OffsetCommitValue{Offset: offset}}, at, at, producer)
		}
	}
	tombstone := func(r *commitlog.Replay, at int64) {
		r.Record(&commitlog.Record{Key: key, Tombstone: true}, at, at, -1)
	}
	marker := func(producer int64, commit bool) step {
		return func(r *commitlog.Replay, at int64) { r.Marker(producer, commit, at) }
	}
	other := func(r *commitlog.Replay, at int64) {
		r.Record(&commitlog.Record{Key: commitlog.GroupMetadataKey{Group: "g"}, Value: &commitlog.GroupMetadataValue{}}, at, at, -1)
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
		if c, ok := r.Committed()[commitlog.CommitKey(key)]; ok {
			got, effective = c.Offset, c.EffectiveAt
		}
		if got != tt.committed || effective != tt.effective || len(r.Pending()[commitlog.CommitKey(key)]) != tt.pending {
			t.Errorf("%s: committed %d at %d, %d pending; want %d at %d, %d", tt.name, got, effective, len(r.Pending()), tt.committed, tt.effective, tt.pending)
		}
	}
}
