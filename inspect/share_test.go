package inspect_test

import (
	"slices"
	"testing"

	"offsets/inspect"
	"offsets/inspect/commitlog"
)

// A share group has no none, and no policy where it has a start offset.
func TestPredictShare(t *testing.T) {
	at := func(n int64) *int64 { return &n }
	for _, c := range []struct {
		name                     string
		s                        inspect.Standing
		situation                inspect.Situation
		earliest, latest, by     *int64
		cause                    bool
		skippedLatest, skippedBy *int64
	}{
		{"without", inspect.Standing{LogStart: 3, LogEnd: 20, ByDuration: true, Since: at(10)}, inspect.WithoutCommit, at(3), at(20), at(10), true, at(17), at(7)},
		{"without, nothing so young", inspect.Standing{LogStart: 3, LogEnd: 20, ByDuration: true}, inspect.WithoutCommit, at(3), at(20), nil, true, at(17), nil},
		{"valid", inspect.Standing{Committed: at(5), LogEnd: 20, ByDuration: true}, inspect.Valid, at(5), at(5), at(5), false, at(0), at(0)},
		{"deleted", inspect.Standing{Committed: at(5), LogStart: 8, LogEnd: 20, ByDuration: true}, inspect.BelowStart, at(8), at(8), at(8), false, at(0), at(0)},
		{"past the end", inspect.Standing{Committed: at(50), LogStart: 8, LogEnd: 20, ByDuration: true}, inspect.BeyondEnd, nil, nil, nil, false, nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			situation, cause, p := inspect.PredictShare(c.s)
			same := func(a, b *int64) bool { return a == nil && b == nil || a != nil && b != nil && *a == *b }
			if situation != c.situation || (cause != nil) != c.cause || !same(p.Earliest.Start, c.earliest) || !same(p.Latest.Start, c.latest) || !same(p.ByDuration.Start, c.by) ||
				!same(p.Latest.Skipped, c.skippedLatest) || !same(p.ByDuration.Skipped, c.skippedBy) {
				t.Errorf("got %s, %+v, %+v, %+v", situation, p.Earliest, p.Latest, *p.ByDuration)
			}
			if p.None.Start != nil || p.None.Error != nil || p.None.Note == nil {
				t.Errorf("none: %+v", p.None)
			}
		})
	}
}

// The life of share and streams groups is rebalances; members that commit are no
// tool.
func TestHistoryOfGroupsThatAreNotClassic(t *testing.T) {
	for _, c := range []struct {
		prefix string
		epoch  any
		member any
		share  bool
	}{
		{"share", &commitlog.ShareGroupMetadata{Epoch: 3}, &commitlog.ShareGroupMemberMetadata{}, true},
		{"share", &commitlog.ShareGroupMetadataV40{Epoch: 3}, &commitlog.ShareGroupMemberMetadata{}, true},
		{"streams", &commitlog.StreamsGroupMetadata{Epoch: 3}, &commitlog.StreamsGroupMemberMetadata{}, false},
		{"consumer", &commitlog.ConsumerGroupMetadata{Epoch: 3}, &commitlog.ConsumerGroupMemberMetadata{}, false},
	} {
		t.Run(c.prefix, func(t *testing.T) {
			var rows []inspect.LogRecord
			add := func(kind string, key, value any) {
				at := "2026-11-23T09:00:00.000Z"
				r := inspect.LogRecord{Partition: new(int32), Offset: int64(len(rows)), Timestamp: &at, Kind: kind, Tombstone: value == nil, Record: commitlog.Record{Kind: commitlog.Kind(kind), Key: key, Value: value, Tombstone: value == nil}}
				rows = append(rows, r)
			}
			group := commitlog.GroupKey{GroupID: "g"}
			add(c.prefix+"_group_member_metadata", commitlog.MemberKey{GroupID: "g", MemberID: "m"}, c.member)
			add(c.prefix+"_group_metadata", group, c.epoch)
			add("offset_commit", commitlog.OffsetCommitKey{Group: "g", Topic: "t"}, &commitlog.OffsetCommitValue{Offset: 5, LeaderEpoch: -1})
			var events, signs []string
			h := inspect.NewHistory("g")
			see := func() {
				for ev, err := range h.Events(func(yield func(inspect.LogRecord, error) bool) {
					for _, r := range rows {
						if !yield(r, nil) {
							return
						}
					}
				}) {
					if err != nil {
						t.Fatal(err)
					}
					events, signs = append(events, ev.Event), append(signs, ev.Signs...)
				}
			}
			see()
			if want := []string{"rebalance", "commit"}; !slices.Equal(events, want) || len(signs) > 0 {
				t.Errorf("events %v with signs %v, want %v", events, signs, want)
			}
			rows = rows[:2]
			h = inspect.NewHistory("g")
			see()
			if h.IsShare() != c.share {
				t.Errorf("share: %v", h.IsShare())
			}
			add(c.prefix+"_group_metadata", group, nil)
			h = inspect.NewHistory("g")
			see()
			if h.IsShare() || events[len(events)-1] != inspect.EventGroupDeleted {
				t.Errorf("after its deletion: share %v, events %v", h.IsShare(), events)
			}
		})
	}
}
