package reset

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Position says where a reset shall go.
type Position struct {
	kind   positionKind
	offset int64 // of at and shift
}

type positionKind string

const (
	earliest positionKind = "earliest"
	latest   positionKind = "latest"
	current  positionKind = "current"
	at       positionKind = "at"
	shift    positionKind = "shift"
)

// Earliest is the start of the log.
func Earliest() Position { return Position{kind: earliest} }

// Latest is the end of the log.
func Latest() Position { return Position{kind: latest} }

// Current is what is committed now.
func Current() Position { return Position{kind: current} }

// At is an offset.
func At(offset int64) Position { return Position{kind: at, offset: offset} }

// Shift moves what is committed forward, or back where by is negative.
func Shift(by int64) Position { return Position{kind: shift, offset: by} }

// ParsePosition parses earliest, latest, current, an offset such as 1500, or a
// shift such as +100 or -100.
func ParsePosition(s string) (Position, error) {
	switch s {
	case "earliest", "latest", "current":
		return Position{kind: positionKind(s)}, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	switch {
	case err != nil:
		return Position{}, fmt.Errorf("unknown position %q: want earliest, latest, current, an offset such as 1500, or a shift such as +100 or -100", s)
	case s[0] == '+' || s[0] == '-':
		return Shift(n), nil
	}
	return At(n), nil
}

// String is the position as ParsePosition reads it.
func (p Position) String() string {
	switch p.kind {
	case at:
		return strconv.FormatInt(p.offset, 10)
	case shift:
		return fmt.Sprintf("%+d", p.offset)
	}
	return string(p.kind)
}

// TopicSelection selects partitions of one topic.
type TopicSelection struct {
	Topic      string
	Partitions []int32 // nil: all
}

// ParseTopics parses TOPIC, or TOPIC:0,2-5 for some partitions. A topic given
// twice is selected with both sets of partitions.
func ParseTopics(args []string) ([]TopicSelection, error) {
	var out []TopicSelection
	for _, arg := range args {
		s, err := parseTopic(arg)
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(out, func(o TopicSelection) bool { return o.Topic == s.Topic })
		switch {
		case i < 0:
			out = append(out, s)
		case s.Partitions == nil || out[i].Partitions == nil:
			out[i].Partitions = nil
		default:
			all := append(out[i].Partitions, s.Partitions...)
			slices.Sort(all)
			out[i].Partitions = slices.Compact(all)
		}
	}
	return out, nil
}

// maxPartitions bounds a range: Kafka has no topics with more.
const maxPartitions = 1_000_000

func parseTopic(arg string) (TopicSelection, error) {
	fail := func() (TopicSelection, error) {
		return TopicSelection{}, fmt.Errorf("topic %q: want TOPIC, or TOPIC:0,2-5 for some partitions", arg)
	}
	topic, list, some := strings.Cut(arg, ":") // Kafka allows no colon in names
	if topic == "" {
		return fail()
	}
	s := TopicSelection{Topic: topic}
	if !some {
		return s, nil
	}
	for item := range strings.SplitSeq(list, ",") {
		from, to, isRange := strings.Cut(item, "-")
		first, err := strconv.ParseUint(from, 10, 31)
		if err != nil {
			return fail()
		}
		last := first
		if isRange {
			if last, err = strconv.ParseUint(to, 10, 31); err != nil || last < first || last-first > maxPartitions {
				return fail()
			}
		}
		for p := first; p <= last; p++ {
			s.Partitions = append(s.Partitions, int32(p))
		}
	}
	slices.Sort(s.Partitions)
	s.Partitions = slices.Compact(s.Partitions)
	return s, nil
}
