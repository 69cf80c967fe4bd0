package reset

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"offsets/internal/duration"
)

// Position says where a reset shall go. The zero position is none.
type Position struct {
	kind   positionKind
	offset int64         // of at and shift
	time   time.Time     // of since and asOf
	back   time.Duration // of ago
}

type positionKind string

const (
	earliest positionKind = "earliest"
	latest   positionKind = "latest"
	current  positionKind = "current"
	at       positionKind = "at"
	shift    positionKind = "shift"
	since    positionKind = "since" // a time
	ago      positionKind = "ago"   // a duration back from now
	asOf     positionKind = "as-of" // where the group was at a time
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

// Since is the first record with the time or a later one.
func Since(t time.Time) Position { return Position{kind: since, time: t} }

// Ago is Since for a time that lies back from now.
func Ago(d time.Duration) Position { return Position{kind: ago, back: d} }

// AsOf is what the group itself had committed at a time, out of the commit log.
func AsOf(t time.Time) Position { return Position{kind: asOf, time: t} }

// IsZero says whether it is no position.
func (p Position) IsZero() bool { return p.kind == "" }

const positionWords = "earliest, latest, current, an offset such as 1500, a shift such as +100 or -100, a time with its zone such as 2026-11-23T09:00:00+01:00, a duration back from now such as 2h or PT2H, or as-of:TIME"

// ParsePosition parses a position as users write it.
func ParsePosition(s string) (Position, error) {
	switch s {
	case "earliest", "latest", "current":
		return Position{kind: positionKind(s)}, nil
	}
	if text, ok := strings.CutPrefix(s, "as-of:"); ok {
		t, err := ParseTime(text)
		return AsOf(t), err
	}
	n, err := strconv.ParseInt(s, 10, 64)
	switch {
	case err == nil && (s[0] == '+' || s[0] == '-'):
		return Shift(n), nil
	case err == nil:
		return At(n), nil
	case errors.Is(err, strconv.ErrRange):
		return Position{}, fmt.Errorf("position %q is larger than an offset can be", s)
	case looksLikeTime(s):
		t, err := ParseTime(s)
		return Since(t), err
	}
	if d, err := duration.Parse(s); err == nil {
		return Ago(d), nil
	}
	return Position{}, fmt.Errorf("unknown position %q: want %s", s, positionWords)
}

// looksLikeTime: it begins with a date.
func looksLikeTime(s string) bool {
	if len(s) < 10 || s[4] != '-' || s[7] != '-' {
		return false
	}
	_, err := strconv.Atoi(s[:4])
	return err == nil
}

// ParseTime parses RFC 3339, with a few spellings of the zone that Kafka's
// tools take, too. Without a zone nobody knows which is meant, so one is
// required.
func ParseTime(s string) (time.Time, error) {
	for _, zone := range []string{"Z07:00", "Z0700", "Z07"} {
		for _, clock := range []string{"2006-01-02T15:04:05", "2006-01-02T15:04"} {
			if t, err := time.Parse(clock+zone, s); err == nil {
				return t, nil
			}
		}
	}
	for _, layout := range []string{"2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02"} {
		if _, err := time.Parse(layout, s); err == nil {
			return time.Time{}, fmt.Errorf("time %q has no zone: say which is meant, as in %sZ (UTC) or 2026-11-23T09:00:00+01:00", s, s)
		}
	}
	return time.Time{}, fmt.Errorf("time %q: want a time with its zone, such as 2026-11-23T09:00:00+01:00 or 2026-11-23T08:00:00Z", s)
}

// fixed turns a duration into the time it means now, and refuses times that
// have not come yet: what they mean would change until they have.
func (p Position) fixed(now time.Time) (Position, error) {
	if p.kind == ago {
		p = Since(now.Add(-p.back))
	}
	if (p.kind == since || p.kind == asOf) && p.time.After(now) {
		return p, fmt.Errorf("%w: %s is in the future (it is %s now)", ErrFuture, p.time.Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	return p, nil
}

// ErrFuture means that a position names a time that has not come yet.
var ErrFuture = errors.New("no such time yet")

// String is the position as ParsePosition reads it.
func (p Position) String() string {
	switch p.kind {
	case at:
		return strconv.FormatInt(p.offset, 10)
	case shift:
		return fmt.Sprintf("%+d", p.offset)
	case since:
		return p.time.Format(time.RFC3339Nano)
	case asOf:
		return "as-of:" + p.time.Format(time.RFC3339Nano)
	case ago:
		return p.back.String()
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

// Setting is a position for one partition.
type Setting struct {
	Topic     string
	Partition int32
	To        Position
}

// ParseSettings parses TOPIC:PARTITION=POSITION. Each partition may be given
// once.
func ParseSettings(args []string) ([]Setting, error) {
	var out []Setting
	for _, arg := range args {
		place, position, ok := strings.Cut(arg, "=")
		topic, number, some := strings.Cut(place, ":")
		p, err := strconv.ParseUint(number, 10, 31)
		if !ok || !some || topic == "" || err != nil {
			return nil, fmt.Errorf("setting %q: want TOPIC:PARTITION=POSITION, such as orders:0=1500", arg)
		}
		to, err := ParsePosition(position)
		if err != nil {
			return nil, fmt.Errorf("setting %q: %w", arg, err)
		}
		if slices.ContainsFunc(out, func(s Setting) bool { return s.Topic == topic && s.Partition == int32(p) }) {
			return nil, fmt.Errorf("setting %q: %s:%d is set twice", arg, topic, p)
		}
		out = append(out, Setting{topic, int32(p), to})
	}
	return out, nil
}
