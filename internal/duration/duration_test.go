package duration_test

import (
	"testing"
	"time"

	"offsets/internal/duration"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"90s": 90 * time.Second, "30m": 30 * time.Minute, "2h": 2 * time.Hour, "1h30m": 90 * time.Minute, "1d": 24 * time.Hour, "1d12h": 36 * time.Hour,
		"250ms": 250 * time.Millisecond, "PT2H": 2 * time.Hour, "P1DT12H": 36 * time.Hour, "pt0.5s": 500 * time.Millisecond, "P2D": 48 * time.Hour, "0s": 0,
	} {
		if got, err := duration.Parse(text); err != nil || got != want {
			t.Errorf("%s: %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "2", "-2h", "+2h", "2x", "d", "-1d", "1d-2h", "P", "PT", "P1W", "P1M", "P1Y", "-PT1H", "PT-1H", "1w", "99999d99999999h", "P99999999999999D", "h"} {
		if got, err := duration.Parse(text); err == nil {
			t.Errorf("%q: %v, want an error", text, got)
		}
	}
}
