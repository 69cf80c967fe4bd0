package consume

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Policy is a value of the Java consumer's auto.offset.reset: what a consumer
// does where it has no valid position.
type Policy struct {
	name string
	back time.Duration // of by_duration
}

// The policies without a parameter. Latest is the Java default.
func Earliest() Policy { return Policy{name: "earliest"} }

// Latest starts at the end of the log.
func Latest() Policy { return Policy{name: "latest"} }

// None fails instead of choosing.
func None() Policy { return Policy{name: "none"} }

const byDuration = "by_duration"

// ParsePolicy parses earliest, latest, none or by_duration:<ISO-8601>, in the
// spelling that the Java client accepts (KIP-1106): lower case, and a duration
// that is not negative.
func ParsePolicy(s string) (Policy, error) {
	switch s {
	case "earliest", "latest", "none":
		return Policy{name: s}, nil
	}
	if text, ok := strings.CutPrefix(s, byDuration+":"); ok {
		d, err := parseISODuration(text)
		if err != nil {
			return Policy{}, err
		}
		return Policy{name: byDuration, back: d}, nil
	}
	return Policy{}, fmt.Errorf("unknown policy %q: want earliest, latest, none or by_duration:PT1H", s)
}

func (p Policy) String() string { return p.name }

// isoDuration is the grammar of java.time.Duration: days, hours, minutes and
// seconds, no weeks, months or years.
var isoDuration = regexp.MustCompile(`(?i)^P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:\.(\d{1,9}))?S)?)?$`)

func parseISODuration(s string) (time.Duration, error) {
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
