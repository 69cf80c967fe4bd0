package inspect

import "testing"

// Records that a share group had acknowledged above its start offset are not lost
// when they are deleted.
func TestAcknowledgedRecordsAreNotLost(t *testing.T) {
	for _, tt := range []struct {
		committed, start, end, told int64
		lost, lag                   int64
		status                      Status
	}{
		{0, 1, 9, 0, 0, 0, CaughtUp},  // all acknowledged: an idle group's start offset stays
		{0, 4, 9, 2, 0, 2, Behind},    // seven acknowledged
		{0, 4, 9, 6, 1, 5, Lost},      // three acknowledged, four deleted
		{0, 4, 9, 9, 4, 5, Lost},      // none
		{5, 4, 9, 4, 0, 4, Behind},    // nothing deleted behind the start offset
		{9, 9, 9, 0, 0, 0, CaughtUp},  // an empty log
		{12, 4, 9, 0, 0, -1, PastEnd}, // set there
		{0, 4, 9, 20, 4, 5, Lost},     // a lag that cannot be
	} {
		p := Partition{Committed: &tt.committed, LogStart: &tt.start, LogEnd: &tt.end, shareLag: &tt.told}
		p.Assess()
		if p.Lost == nil || *p.Lost != tt.lost || p.Status != tt.status {
			t.Errorf("%+v: lost %v, %s", tt, p.Lost, p.Status)
		}
		// Until a member reads, brokers count deleted records as lag.
		if lag := p.Lag; lag == nil && tt.lag >= 0 || lag != nil && *lag != tt.lag {
			t.Errorf("%+v: lag %v", tt, lag)
		}
	}
}
