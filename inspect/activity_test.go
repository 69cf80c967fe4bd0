package inspect

import (
	"testing"
	"time"

	"offsets/inspect/commitlog"
	"offsets/inspect/commitlog/segment"
)

// What the footer of describe says: only commits that count are commits, and a
// group that was deleted, or converted, says nothing of the one that follows.
func TestActivity(t *testing.T) {
	key := commitlog.OffsetCommitKey{Group: "g", Topic: "t"}.Encode()
	gkey := commitlog.GroupMetadataKey{Group: "g"}.Encode()
	commit := func(ms int64) []byte {
		return (&commitlog.OffsetCommitValue{Version: 3, LeaderEpoch: -1, CommitTimestamp: ms}).Encode()
	}
	state := func(ms int64) []byte {
		return (&commitlog.GroupMetadataValue{Version: 3, CurrentStateTimestamp: ms}).Encode()
	}
	type record struct {
		producer   int64 // -1: plain
		marker     string
		key, value []byte
	}
	for _, tt := range []struct {
		name         string
		records      []record // written at 1000, 1001, …
		last, stable int64    // ms
	}{
		{"a commit", []record{{-1, "", gkey, state(3)}, {-1, "", key, commit(7)}}, 7, 3},
		{"open", []record{{-1, "", key, commit(7)}, {5, "", key, commit(9)}}, 7, 0},
		{"aborted", []record{{-1, "", key, commit(7)}, {5, "", key, commit(9)}, {5, segment.AbortMarker, nil, nil}}, 7, 0},
		{"committed", []record{{-1, "", key, commit(7)}, {5, "", key, commit(9)}, {5, segment.CommitMarker, nil, nil}}, 1002, 0},
		{"superseded", []record{{5, "", key, commit(7)}, {-1, "", key, commit(9)}, {5, segment.CommitMarker, nil, nil}}, 9, 0},
		{"of another producer", []record{{5, "", key, commit(7)}, {6, segment.CommitMarker, nil, nil}}, 0, 0},
		{"deleted", []record{{-1, "", key, commit(7)}, {-1, "", key, nil}}, 7, 0},
		{"deleted while in a transaction", []record{{5, "", key, commit(7)}, {-1, "", key, nil}, {5, segment.CommitMarker, nil, nil}}, 0, 0},
		{"the group is another", []record{{-1, "", gkey, state(3)}, {-1, "", key, commit(7)}, {-1, "", key, nil}, {-1, "", gkey, nil}}, 0, 0},
		{"converted", []record{{-1, "", gkey, state(3)}, {-1, "", key, commit(7)}, {-1, "", gkey, nil}}, 7, 0},
	} {
		w := newActivityWatch("g")
		for i, r := range tt.records {
			b := &segment.Batch{ProducerID: r.producer}
			rec := segment.Record{Offset: int64(i), Timestamp: 1000 + int64(i), Key: r.key, Value: r.value}
			if r.producer >= 0 {
				b.Attributes |= 0x10
			}
			if r.marker != "" {
				b.Attributes |= 0x20
				rec.Key, rec.Value = []byte{0, 0, 0, 0}, make([]byte, 6)
				if r.marker == segment.CommitMarker {
					rec.Key[3] = 1
				}
			}
			w.note(b, rec)
		}
		ms := func(at time.Time) int64 {
			if at.IsZero() {
				return 0
			}
			return at.UnixMilli()
		}
		if a := w.activity(); ms(a.LastCommit) != tt.last || ms(a.StateSince) != tt.stable {
			t.Errorf("%s: last commit %d, state since %d; want %d, %d", tt.name, ms(a.LastCommit), ms(a.StateSince), tt.last, tt.stable)
		}
	}
}

// The retention clock of a group that was deleted, or joined again, is not that
// of the group of now.
func TestEmptiedIsOfTheGroupOfNow(t *testing.T) {
	empty := LogRecord{Record: commitlog.Record{Kind: commitlog.KindGroupMetadata, Key: commitlog.GroupMetadataKey{Group: "g"}, Value: &commitlog.GroupMetadataValue{CurrentStateTimestamp: 5}}}
	joined := LogRecord{Record: commitlog.Record{Kind: commitlog.KindGroupMetadata, Key: commitlog.GroupMetadataKey{Group: "g"}, Value: &commitlog.GroupMetadataValue{CurrentStateTimestamp: 6, Members: make([]commitlog.GroupMember, 1)}}}
	gone := LogRecord{Tombstone: true, Record: commitlog.Record{Kind: commitlog.KindGroupMetadata, Key: commitlog.GroupMetadataKey{Group: "g"}, Tombstone: true}}
	for _, tt := range []struct {
		name string
		rows []LogRecord
		want bool
	}{{"empty", []LogRecord{empty}, true}, {"joined", []LogRecord{empty, joined}, false}, {"deleted", []LogRecord{empty, gone}, false}, {"empty again", []LogRecord{joined, empty}, true}} {
		g := groupTimes{committed: map[TopicPartition]time.Time{}}
		for i := range tt.rows {
			g.note(&tt.rows[i])
		}
		if got := !g.emptied.IsZero(); got != tt.want {
			t.Errorf("%s: emptied %v", tt.name, g.emptied)
		}
	}
}
