// Package duration parses lengths of time as Java's clients and people write
// them.
package duration

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Parse parses an ISO-8601 duration as [ParseISO] does, or a number with a unit
// such as 90s, 30m, 2h, 1d or 1d12h.
func Parse(s string) (time.Duration, error) {
	if s == "" {
		return 0, fmt.Errorf("empty duration")
	}
	if s[0] == 'P' || s[0] == 'p' {
		return ParseISO(s)
	}
	rest := s
	var total time.Duration
	if days, after, ok := strings.Cut(s, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return 0, invalid(s)
		}
		total, rest = time.Duration(n)*24*time.Hour, after
		if rest == "" {
			return total, nil
		}
	}
	if rest[0] < '0' || rest[0] > '9' {
		return 0, invalid(s)
	}
	d, err := time.ParseDuration(rest)
	if err != nil || d < 0 || total+d < total {
		return 0, invalid(s)
	}
	return total + d, nil
}

func invalid(s string) error {
	return fmt.Errorf("duration %q: want a number with a unit (90s, 30m, 2h, 1d), or ISO-8601 such as PT2H or P1DT12H", s)
}

// isoDuration is the grammar of java.time.Duration: days, hours, minutes and
// seconds, no weeks, months or years.
var isoDuration = regexp.MustCompile(`(?i)^P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:\.(\d{1,9}))?S)?)?$`)

// ParseISO parses what java.time.Duration parses, but no negative ones.
func ParseISO(s string) (time.Duration, error) {
	m := isoDuration.FindStringSubmatch(s)
	if m == nil || strings.HasSuffix(strings.ToUpper(s), "T") || strings.EqualFold(s, "P") {
		return 0, fmt.Errorf("duration %q: want ISO-8601 days to seconds, such as PT1H or P1DT12H", s)
	}
	var total time.Duration
	for i, unit := range []time.Duration{24 * time.Hour, time.Hour, time.Minute, time.Second} {
		if m[i+1] == "" {
			continue
		}
		n, err := strconv.ParseInt(m[i+1], 10, 64)
		if err != nil || n > int64((1<<63-1-total)/unit) {
			return 0, fmt.Errorf("duration %q is too long", s)
		}
		total += time.Duration(n) * unit
	}
	if frac := m[5]; frac != "" {
		n, _ := strconv.Atoi(frac + strings.Repeat("0", 9-len(frac))) // digits only
		total += time.Duration(n)
	}
	return total, nil
}

// Short writes an age as people say it: its two greatest units, rounded down.
func Short(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%dms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd%dh", int(d.Hours())/24, int(d.Hours())%24)
}
