package duration_test

import (
	"strings"
	"testing"

	"offsets/internal/duration"
)

// A length of time is never negative, and what is refused is quoted once at most.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"1d12h", "90s", "PT1H", "P1DT2H3.5S", "-PT1H", "P-1D", "99999999999d", "P99999999999D", "PT9223372036854775807S", "1d1d", "P", "", "0", "1e9s", "pt1m"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for name, parse := range map[string]func(string) (int64, error){
			"Parse":    func(s string) (int64, error) { d, err := duration.Parse(s); return int64(d), err },
			"ParseISO": func(s string) (int64, error) { d, err := duration.ParseISO(s); return int64(d), err },
		} {
			if d, err := parse(s); err == nil && d < 0 {
				t.Errorf("%s(%q) = %d", name, s, d)
			} else if err == nil && strings.TrimSpace(s) == "" {
				t.Errorf("%s took %q", name, s)
			}
		}
	})
}
