package inspect_test

import (
	"math/rand/v2"
	"reflect"
	"testing"

	"offsets/inspect"
)

func ptr[T any](v T) *T { return &v }

func TestAssess(t *testing.T) {
	for _, tt := range []struct {
		name                  string
		committed, start, end *int64
		preset                inspect.Status
		lag, lost             *int64
		want                  inspect.Status
	}{
		{"caught up", ptr[int64](50), ptr[int64](0), ptr[int64](50), "", ptr[int64](0), ptr[int64](0), inspect.CaughtUp},
		{"behind", ptr[int64](16), ptr[int64](0), ptr[int64](50), "", ptr[int64](34), ptr[int64](0), inspect.Behind},
		{"at the start", ptr[int64](20), ptr[int64](20), ptr[int64](50), "", ptr[int64](30), ptr[int64](0), inspect.Behind},
		{"below the start", ptr[int64](5), ptr[int64](20), ptr[int64](50), "", ptr[int64](30), ptr[int64](15), inspect.Lost},
		{"below the start of an empty log", ptr[int64](5), ptr[int64](50), ptr[int64](50), "", ptr[int64](0), ptr[int64](45), inspect.Lost},
		{"past the end", ptr[int64](51), ptr[int64](0), ptr[int64](50), "", nil, ptr[int64](0), inspect.PastEnd},
		{"no commit", nil, ptr[int64](0), ptr[int64](50), "", nil, ptr[int64](0), inspect.NoCommit},
		{"empty and new", ptr[int64](0), ptr[int64](0), ptr[int64](0), "", ptr[int64](0), ptr[int64](0), inspect.CaughtUp},
		{"no leader", ptr[int64](5), nil, nil, inspect.NoLeader, nil, nil, inspect.NoLeader},
		{"unread for no known reason", ptr[int64](5), nil, nil, "", nil, nil, inspect.Failed},
	} {
		p := inspect.Partition{Committed: tt.committed, LogStart: tt.start, LogEnd: tt.end, Status: tt.preset}
		p.Assess()
		if p.Status != tt.want || !reflect.DeepEqual(p.Lag, tt.lag) || !reflect.DeepEqual(p.Lost, tt.lost) {
			t.Errorf("%s: got %s lag %v lost %v, want %s lag %v lost %v", tt.name, p.Status, show(p.Lag), show(p.Lost), tt.want, show(tt.lag), show(tt.lost))
		}
	}
}

func show(n *int64) any {
	if n == nil {
		return nil
	}
	return *n
}

// Whatever the numbers: a lag is never negative and never counts records that
// do not exist, and lost and lag together cover what lies between the commit
// and the end.
func TestAssessProperties(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 10_000 {
		start := r.Int64N(100)
		end := start + r.Int64N(100)
		committed := r.Int64N(250)
		p := inspect.Partition{Committed: &committed, LogStart: &start, LogEnd: &end}
		p.Assess()
		switch {
		case committed > end:
			if p.Lag != nil || p.Status != inspect.PastEnd {
				t.Fatalf("committed %d, log %d to %d: lag %v, status %s", committed, start, end, show(p.Lag), p.Status)
			}
		case *p.Lag < 0 || *p.Lag > end-start || *p.Lost < 0 || *p.Lag+*p.Lost != end-committed:
			t.Fatalf("committed %d, log %d to %d: lag %d, lost %d", committed, start, end, *p.Lag, *p.Lost)
		}
	}
}

func TestMove(t *testing.T) {
	for _, tt := range []struct {
		from            *int64
		to, start, end  int64
		reread, skipped *int64
	}{
		{ptr[int64](16), 0, 0, 50, ptr[int64](16), ptr[int64](0)},
		{ptr[int64](16), 50, 0, 50, ptr[int64](0), ptr[int64](34)},
		{ptr[int64](16), 16, 0, 50, ptr[int64](0), ptr[int64](0)},
		{ptr[int64](30), 0, 20, 50, ptr[int64](10), ptr[int64](0)}, // what is deleted is not read again
		{ptr[int64](5), 40, 20, 50, ptr[int64](0), ptr[int64](20)}, // nor skipped
		{nil, 50, 20, 50, nil, ptr[int64](30)},
		{nil, 20, 20, 50, nil, ptr[int64](0)},
		{ptr[int64](51), 0, 0, 50, nil, nil},
	} {
		reread, skipped := inspect.Move(tt.from, tt.to, tt.start, tt.end)
		if !reflect.DeepEqual(reread, tt.reread) || !reflect.DeepEqual(skipped, tt.skipped) {
			t.Errorf("Move(%v, %d, %d, %d) = %v, %v; want %v, %v", show(tt.from), tt.to, tt.start, tt.end, show(reread), show(skipped), show(tt.reread), show(tt.skipped))
		}
	}
}

func TestPredict(t *testing.T) {
	policy, truncation := ptr(inspect.CausePolicy), ptr(inspect.CauseTruncation)
	for _, tt := range []struct {
		name                   string
		s                      inspect.Standing
		situation              inspect.Situation
		cause                  *string
		earliest, latest, none any // a start, or an exception
	}{
		{"valid", inspect.Standing{Committed: ptr[int64](30), LogStart: 20, LogEnd: 50}, inspect.Valid, nil, int64(30), int64(30), int64(30)},
		{"valid at the end", inspect.Standing{Committed: ptr[int64](50), LogStart: 20, LogEnd: 50}, inspect.Valid, nil, int64(50), int64(50), int64(50)},
		{"no commit", inspect.Standing{LogStart: 20, LogEnd: 50}, inspect.WithoutCommit, policy, int64(20), int64(50), "NoOffsetForPartitionException"},
		{"below start", inspect.Standing{Committed: ptr[int64](19), LogStart: 20, LogEnd: 50}, inspect.BelowStart, policy, int64(20), int64(50), "OffsetOutOfRangeException"},
		{"below start with an epoch", inspect.Standing{Committed: ptr[int64](5), LeaderEpoch: ptr[int32](0), LogStart: 20, LogEnd: 50}, inspect.BelowStart, policy, int64(20), int64(50), "OffsetOutOfRangeException"},
		{"past end without an epoch", inspect.Standing{Committed: ptr[int64](51), LogStart: 20, LogEnd: 50}, inspect.BeyondEnd, policy, int64(20), int64(50), "OffsetOutOfRangeException"},
		{"past end with an epoch", inspect.Standing{Committed: ptr[int64](80), LeaderEpoch: ptr[int32](3), Divergence: ptr[int64](44), LogStart: 20, LogEnd: 50}, inspect.BeyondEnd, truncation, int64(44), int64(44), "LogTruncationException"},
		{"past end, epoch unknown to the leader", inspect.Standing{Committed: ptr[int64](80), LeaderEpoch: ptr[int32](3), LogStart: 20, LogEnd: 50}, inspect.BeyondEnd, policy, int64(20), int64(50), "LogTruncationException"},
	} {
		situation, cause, p := inspect.Predict(tt.s)
		if situation != tt.situation || !reflect.DeepEqual(cause, tt.cause) {
			t.Errorf("%s: got %s by %v, want %s by %v", tt.name, situation, cause, tt.situation, tt.cause)
		}
		for _, o := range []struct {
			policy string
			got    inspect.Outcome
			want   any
		}{{"earliest", p.Earliest, tt.earliest}, {"latest", p.Latest, tt.latest}, {"none", p.None, tt.none}} {
			var got any = show(o.got.Start)
			if o.got.Error != nil {
				got = *o.got.Error
			}
			if got != o.want {
				t.Errorf("%s, %s: got %v, want %v", tt.name, o.policy, got, o.want)
			}
		}
	}
}

func TestCheckWithoutCommits(t *testing.T) {
	member := ptr("m")
	empty := inspect.Partition{Topic: "t", Partition: 0, LogStart: ptr[int64](5), LogEnd: ptr[int64](5), MemberID: member}
	full := inspect.Partition{Topic: "t", Partition: 1, LogStart: ptr[int64](5), LogEnd: ptr[int64](9), MemberID: member}
	nobodys := full
	nobodys.MemberID = nil
	for _, tt := range []struct {
		name  string
		p     inspect.Partition
		l     inspect.Limits
		check string // "": none
	}{
		{"owned, with records", full, inspect.Limits{}, inspect.CheckStatus},
		{"owned, with records, allowed", full, inspect.Limits{Allow: []inspect.Status{inspect.NoCommit}}, ""},
		{"owned, with records, required", full, inspect.Limits{RequireCommit: true}, inspect.CheckRequireCommit},
		{"owned, empty", empty, inspect.Limits{}, ""},
		{"owned, empty, required", empty, inspect.Limits{RequireCommit: true}, inspect.CheckRequireCommit},
		{"without an owner", nobodys, inspect.Limits{}, ""},
		{"without an owner, required", nobodys, inspect.Limits{RequireCommit: true}, inspect.CheckRequireCommit},
	} {
		tt.p.Assess()
		for _, kind := range inspect.Types() {
			v := inspect.Check(&inspect.Group{Type: kind, Partitions: []inspect.Partition{tt.p}, Total: inspect.Total{Partitions: 1, Unknown: 1}}, tt.l)
			got := ""
			if len(v.Breaches) > 0 {
				got = v.Breaches[0].Check
			}
			want := tt.check
			if kind == inspect.Share && want == inspect.CheckStatus {
				want = "" // it gets a start offset with its first record
			}
			if got != want || v.Holds != (want == "") || v.Unknown != 1 {
				t.Errorf("%s, %s group: %q, holds %v, unknown %d; want %q", tt.name, kind, got, v.Holds, v.Unknown, want)
			}
		}
	}
}
