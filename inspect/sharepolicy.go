package inspect

import (
	"context"
	"fmt"
	"strings"
	"time"

	"offsets/internal/duration"
)

// A consumer's auto.offset.reset means nothing to a share group (KIP-932). A
// configuration of the group stands in its place, and counts only where a
// partition has no start offset: the broker itself chooses one then. There is no
// none, and records that were deleted before they were delivered are stepped over.

// NoteNoSuchPolicy is the note of a policy that share groups do not have.
const NoteNoSuchPolicy = "no_such_policy"

// PredictShare says from where on records are delivered to a share group, by the
// value of its share.auto.offset.reset. It is pure.
func PredictShare(s Standing) (Situation, *string, Policies) {
	noSuch, waits := NoteNoSuchPolicy, NoteWaits
	start := func(at int64) Outcome {
		o := Outcome{Start: &at}
		o.Reread, o.Skipped = Move(s.Committed, at, s.LogStart, s.LogEnd)
		return o
	}
	with := func(earliest, latest, byDuration Outcome) Policies {
		p := Policies{Earliest: earliest, Latest: latest, None: Outcome{Note: &noSuch}}
		if s.ByDuration {
			p.ByDuration = &byDuration
		}
		return p
	}
	switch {
	case s.Committed == nil:
		cause, since := CausePolicy, Outcome{Note: &waits}
		if s.Since != nil {
			since = start(*s.Since)
		}
		return WithoutCommit, &cause, with(start(s.LogStart), start(s.LogEnd), since)
	case *s.Committed < s.LogStart:
		o := start(s.LogStart)
		return BelowStart, nil, with(o, o, o)
	case *s.Committed > s.LogEnd:
		return BeyondEnd, nil, with(Outcome{}, Outcome{}, Outcome{})
	}
	o := start(*s.Committed)
	return Valid, nil, with(o, o, o)
}

// sharePolicies is Policies for a share group.
func (c *Cluster) sharePolicies(ctx context.Context, group Group, o PolicyOptions) (out PolicyGroup, problems []Problem, err error) {
	out = PolicyGroup{Group: group.Group, Type: group.Type, Partitions: []PolicyPartition{}}
	if out.ShareReset, err = c.shareReset(ctx, group.Group); err != nil {
		problems = append(problems, problem("share.auto.offset.reset of group "+group.Group, err))
	}
	since, err := c.sinceOffsets(ctx, group.Partitions, o.Since)
	if err != nil {
		return out, nil, err
	}
	own, err := c.sinceOffsets(ctx, group.Partitions, shareSince(out.ShareReset, o.Now))
	if err != nil {
		return out, nil, err
	}
	for i := range group.Partitions {
		p := &group.Partitions[i]
		row := PolicyPartition{
			Topic: p.Topic, Partition: p.Partition, Committed: p.Committed, LogStart: p.LogStart, LogEnd: p.LogEnd,
			Situation: UnknownSituation, Error: p.Error, Lag: p.Lag,
		}
		if p.LogStart != nil && p.LogEnd != nil {
			tp := TopicPartition{p.Topic, p.Partition}
			s := Standing{Committed: p.Committed, LogStart: *p.LogStart, LogEnd: *p.LogEnd, ByDuration: !o.Since.IsZero(), Since: since[tp].Offset}
			row.Situation, row.Cause, row.Policies = PredictShare(s)
			row.Share = ownOutcome(out.ShareReset, s, own[tp].Offset)
		} else if row.Error == nil {
			row.Error = nonEmpty(string(p.Status))
		}
		out.Partitions = append(out.Partitions, row)
	}
	out.Verdict = out.shareVerdict()
	return out, problems, nil
}

const shareByDuration = "by_duration:"

// shareSince is the time that the group's own by_duration goes back to; zero
// where it has another value.
func shareSince(reset *string, now time.Time) time.Time {
	if reset == nil {
		return time.Time{}
	}
	text, is := strings.CutPrefix(*reset, shareByDuration)
	d, err := duration.ParseISO(text)
	if !is || err != nil {
		return time.Time{}
	}
	return now.Add(-d)
}

// ownOutcome is what happens under the group's own configuration; nil where that
// counts and is not known.
func ownOutcome(reset *string, s Standing, since *int64) *Outcome {
	s.ByDuration, s.Since = true, since
	situation, _, policies := PredictShare(s)
	switch {
	case situation != WithoutCommit || reset != nil && *reset == "earliest":
		return &policies.Earliest
	case reset != nil && *reset == "latest":
		return &policies.Latest
	case reset != nil && strings.HasPrefix(*reset, shareByDuration):
		return policies.ByDuration
	}
	return nil
}

// shareVerdict says in words what the configuration means now.
func (g *PolicyGroup) shareVerdict() string {
	reset := "share.auto.offset.reset"
	if g.ShareReset != nil {
		reset += " " + *g.ShareReset
	}
	var without, below, beyond int
	var skipped, lag int64
	for i := range g.Partitions {
		p := &g.Partitions[i]
		switch p.Situation {
		case WithoutCommit:
			without++
			if p.Share != nil && p.Share.Skipped != nil {
				skipped += *p.Share.Skipped
			}
		case BelowStart:
			below++
		case BeyondEnd:
			beyond++
		}
		if p.Lag != nil {
			lag += *p.Lag
		}
	}
	partitions := func(n int) string {
		if n == 1 {
			return "1 partition"
		}
		return fmt.Sprintf("%d partitions", n)
	}
	var parts []string
	switch {
	case len(g.Partitions) == 0:
		return "no partitions: nobody has read with it yet"
	case without == 0:
		parts = append(parts, "every partition has a start offset: "+reset+" does not count")
	default:
		parts = append(parts, fmt.Sprintf("%s decides on %s without a start offset, and skips %d offsets there", reset, partitions(without), skipped))
	}
	if below > 0 {
		parts = append(parts, fmt.Sprintf("on %s records were deleted before they were delivered: delivery begins at the log start", partitions(below)))
	}
	if beyond > 0 {
		parts = append(parts, fmt.Sprintf("on %s the start offset is past the log end", partitions(beyond)))
	}
	return strings.Join(append(parts, fmt.Sprintf("%d records wait to be delivered", lag)), "; ")
}
