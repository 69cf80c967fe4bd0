package consume

import (
	"fmt"
	"strings"
	"time"

	"offsets/internal/duration"
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

// ParsePolicy parses earliest, latest, none or by_duration:DURATION, in lower case
// as the Java client does (KIP-1106). It takes ISO-8601 only; here a duration is
// written as everywhere else, too (1h, 1d12h).
func ParsePolicy(s string) (Policy, error) {
	switch s {
	case "earliest", "latest", "none":
		return Policy{name: s}, nil
	}
	if text, ok := strings.CutPrefix(s, byDuration+":"); ok {
		d, err := duration.Parse(text)
		if err != nil {
			return Policy{}, err
		}
		return Policy{name: byDuration, back: d}, nil
	}
	return Policy{}, fmt.Errorf("unknown policy %q: want earliest, latest, none or by_duration:1h", s)
}

func (p Policy) String() string { return p.name }
