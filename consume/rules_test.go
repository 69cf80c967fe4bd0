package consume

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

func TestChoose(t *testing.T) {
	since := int64(25)
	log := bounds{start: 20, end: 48, high: 50, endEpoch: 2, since: &since}
	old := bounds{start: 20, end: 48, high: 50}
	at := func(offset int64, epoch int32) kgo.EpochOffset { return kgo.EpochOffset{Offset: offset, Epoch: epoch} }
	duration, err := ParsePolicy("by_duration:PT1H")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name      string
		policy    Policy
		committed kgo.EpochOffset
		log       bounds
		want      choice
	}{
		{"no commit, earliest", Earliest(), at(-1, -1), log, choice{at: at(20, -1), reset: true}},
		{"no commit, latest: the last stable offset", Latest(), at(-1, -1), log, choice{at: at(48, 2), reset: true}},
		{"no commit, as the library says it", Latest(), at(-999, -1), log, choice{at: at(48, 2), reset: true}},
		{"no commit, none", None(), at(-1, -1), log, choice{exception: NoOffsetForPartition}},
		{"no commit, by_duration", duration, at(-1, -1), log, choice{at: at(25, -1), reset: true}},
		{"no commit, by_duration without a record", duration, at(-1, -1), old, choice{at: at(48, -1), waits: true}},
		{"valid", None(), at(30, 1), log, choice{at: at(30, 1)}},
		{"valid between stable and high", None(), at(49, 1), log, choice{at: at(49, 1)}},
		{"below, earliest", Earliest(), at(5, 1), log, choice{at: at(20, -1), reset: true}},
		{"below, latest", Latest(), at(5, 1), log, choice{at: at(48, 2), reset: true}},
		{"below, none", None(), at(5, 1), log, choice{exception: OffsetOutOfRange}},
		{"past without epoch, earliest", Earliest(), at(51, -1), log, choice{at: at(20, -1), reset: true}},
		{"past without epoch, none", None(), at(51, -1), log, choice{exception: OffsetOutOfRange}},
		{"past with epoch: the leader decides", Earliest(), at(51, 1), log, choice{at: at(51, 1)}},
		{"past with epoch, none", None(), at(51, 1), log, choice{at: at(51, 1)}},
	} {
		if got := choose(tt.policy, tt.committed, tt.log); got != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

func TestParsePolicy(t *testing.T) {
	for s, want := range map[string]time.Duration{
		"by_duration:PT1H": time.Hour, "by_duration:P1DT12H": 36 * time.Hour, "by_duration:pt1.5s": 1500 * time.Millisecond,
		"by_duration:PT0.000000001S": 1, "by_duration:P2D": 48 * time.Hour, "by_duration:PT90M": 90 * time.Minute, "by_duration:PT0S": 0, "by_duration:1h": time.Hour, "by_duration:1d12h": 36 * time.Hour,
	} {
		if p, err := ParsePolicy(s); err != nil || p.back != want || p.name != byDuration {
			t.Errorf("ParsePolicy(%q) = %v %s, %v; want %s", s, p, p.back, err, want)
		}
	}
	for _, s := range []string{"", "EARLIEST", "by_duration", "by_duration:", "by_duration:P", "by_duration:PT", "by_duration:-PT1H", "by_duration:P1W", "by_duration:P1M", "by_duration:1w", "by_duration:P99999999999D"} {
		if p, err := ParsePolicy(s); err == nil {
			t.Errorf("ParsePolicy(%q) = %v, want an error", s, p)
		}
	}
}
