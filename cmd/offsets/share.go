package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"offsets/inspect"
	"offsets/internal/render"
)

// What is said of share groups in other words than of groups that commit: their
// start offsets are not in the offsets topic, and no auto.offset.reset counts.

// noteNotInLog says where the start offsets of a share group are.
func (e *env) noteNotInLog(group string, connection []word) {
	text := fmt.Sprintf("group %s is a share group: its start offsets are not in the offsets topic (brokers keep them in __share_group_state); to see them", group)
	e.noteSuggestion(suggest(text, append([]word{"describe", groupWord(group)}, connection...)...))
}

// explainHistory says what the offsets topic cannot tell of the group. A group
// that exists is not unknown because nothing of it is in the log.
func (e *env) explainHistory(ctx context.Context, cluster *inspect.Cluster, h *inspect.History, o historyOptions, err error) error {
	var unknown bool
	if unknown = errors.Is(err, inspect.ErrUnknownGroup); err != nil && !unknown {
		return err
	}
	share := h.IsShare()
	if unknown && cluster != nil {
		groupType, typeErr := cluster.GroupType(ctx, o.group)
		if typeErr != nil {
			return err
		}
		share, err = groupType == inspect.Share, nil
		e.note("group %s exists, but the offsets topic shows no commit and no member of it", o.group)
	}
	if share {
		e.noteNotInLog(o.group, o.connection)
	}
	return err
}

// nextOfShare is nextCommand for a share group.
func nextOfShare(g *inspect.Group, connection []word) suggestion {
	to := func(text string, words ...word) suggestion { return suggest(text, append(words, connection...)...) }
	name := groupWord(g.Group)
	seen := map[inspect.Status]bool{}
	for i := range g.Partitions {
		seen[g.Partitions[i].Status] = true
	}
	switch {
	case seen[inspect.NoLeader], seen[inspect.Failed], seen[inspect.NotAuthorized], seen[inspect.TopicGone]:
		return suggestion{}
	case seen[inspect.PastEnd], seen[inspect.Lost], seen[inspect.NoCommit]:
		return to("to see from where on records are delivered", "policy", name)
	case len(g.Members) == 0 && seen[inspect.Behind]:
		return to("no active members; to see when members came and went", "history", name)
	case seen[inspect.Behind]:
		return to("to see whether it catches up", "describe", name, "--watch")
	}
	return suggestion{}
}

// shareLines are what is configured for a share group, below its partitions.
func shareLines(g *inspect.Group) string {
	switch {
	case g.ShareUnknown != nil:
		return "\nconfiguration of the share group not known: " + g.ShareUnknown.Error()
	case g.Share == nil:
		return ""
	}
	s := g.Share
	var parts []string
	say := func(format, value string) {
		if value != "" {
			parts = append(parts, fmt.Sprintf(format, value))
		}
	}
	say("share.auto.offset.reset %s", text(s.AutoOffsetReset))
	say("delivered at most %s times", number(s.DeliveryCountLimit))
	if ms := s.RecordLockDuration; ms != nil {
		say("locked for %s each time", ago(time.Duration(*ms)*time.Millisecond))
	}
	say("%s", text(s.IsolationLevel))
	out := ""
	if len(parts) > 0 {
		out = "\nrecords: " + strings.Join(parts, ", ")
	}
	return out + deadLetterLine(s.DeadLetter)
}

// deadLetterLine says where records go that are given up. Records are not read, so
// offsets are counted.
func deadLetterLine(d *inspect.DeadLetter) string {
	if d == nil {
		return ""
	}
	out := "\ndead letters: "
	if d.Offsets != nil {
		out += plural(int(*d.Offsets), "offset") + " in "
	}
	out += "topic " + d.Topic
	switch {
	case d.CopyRecord != nil && *d.CopyRecord:
		out += ", with keys and values"
	case d.CopyRecord != nil:
		out += ", without keys and values"
	}
	if d.Unknown != nil {
		out += "; how many is not known: " + d.Unknown.Error()
	}
	return out
}

// sharePolicySection is policySection for a share group.
func sharePolicySection(g inspect.PolicyGroup) render.Section {
	return render.Section{
		Title: g.Group + ": from where on records are delivered to the share group",
		Columns: []render.Column{
			{Name: "TOPIC"}, {Name: "PARTITION", Right: true}, {Name: "START-OFFSET", Right: true}, {Name: "LOG-START", Right: true}, {Name: "LOG-END", Right: true}, {Name: "LAG", Right: true},
			{Name: "SITUATION"}, {Name: "DELIVERS-FROM"}, {Name: "NOTE", Optional: true}, {Name: "ERROR", Optional: true},
		},
		Empty: "no partitions: nobody has read with it yet",
		Rows: cells(slices.Values(g.Partitions), func(p inspect.PolicyPartition) []string {
			return []string{
				p.Topic, number(&p.Partition), number(p.Committed), number(p.LogStart), number(p.LogEnd), number(p.Lag),
				string(p.Situation), byDurationCell(shareOutcome(p)), shareNote(g, p), text(p.Error),
			}
		}),
		Footer: func() string { return policyFooter(g) },
	}
}

func shareOutcome(p inspect.PolicyPartition) *inspect.Outcome {
	if p.Share == nil {
		return &inspect.Outcome{}
	}
	return p.Share
}

// shareNote says why delivery begins there, and what is left out above.
func shareNote(g inspect.PolicyGroup, p inspect.PolicyPartition) string {
	var notes []string
	if p.Situation == inspect.WithoutCommit {
		notes = append(notes, "no start offset: share.auto.offset.reset "+text(g.ShareReset))
	}
	if p.Committed != nil && p.LogStart != nil && p.LogEnd != nil && p.Lag != nil {
		if done := *p.LogEnd - max(*p.Committed, *p.LogStart) - *p.Lag; done > 0 {
			notes = append(notes, fmt.Sprintf("%d above it are acknowledged", done))
		}
	}
	return strings.Join(notes, "; ")
}
