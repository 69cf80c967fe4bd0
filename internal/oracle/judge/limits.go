package judge

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"offsets/internal/oracle/record"
)

// check judges the verdict: which conditions do not hold, by section 4 of the
// contract.
func (j *Judge) check(e *record.Entry, r record.Run) {
	there, sure := exists(e, e.Group)
	if !sure {
		return
	}
	if !there {
		if r.Exit != 1 {
			j.fault(e, r, "check-exit", "exit %d for a group that does not exist", r.Exit)
		}
		return
	}
	if isShare(e, e.Group) {
		j.checkShare(e, r)
		return
	}
	rows, sure := j.rows(e, e.Group, false)
	if !sure || j.running(e.Group) {
		return
	}
	var violations []string
	noCommit := "" // the rule that is younger than the others
	lag, _ := total(rows)
	if n, ok := flagNumber(e.Step.Flags, "--max-lag"); ok && lag > n {
		violations = append(violations, fmt.Sprintf("lag %d", lag))
	}
	for tp, t := range rows {
		if n, ok := flagNumber(e.Step.Flags, "--max-partition-lag"); ok && t.lag != nil && *t.lag > n {
			violations = append(violations, fmt.Sprintf("%s lag %d", tp, *t.lag))
		}
		switch {
		case t.status == "past_end" || t.status == "lost" || t.status == "topic_gone":
			violations = append(violations, tp.String()+" "+t.status)
		case t.status == "no_commit" && slices.Contains(e.Step.Flags, "--require-commit"):
			violations = append(violations, tp.String()+" no_commit")
		case t.status == "no_commit" && t.owned && t.ends.End > t.ends.Start:
			noCommit = tp.String()
		}
	}
	switch {
	case len(violations) > 0 && r.Exit != 3:
		j.fault(e, r, "check-verdict", "exit %d; true: %s", r.Exit, strings.Join(violations, ", "))
	case len(violations) == 0 && noCommit != "" && r.Exit != 3:
		j.fault(e, r, "check-no-commit", "exit %d: a live group that never committed passes; %s is owned, has no commit and has records to read", r.Exit, noCommit)
	case len(violations) == 0 && noCommit == "" && r.Exit != 0:
		j.fault(e, r, "check-verdict", "exit %d; all holds: %s; it says: %s", r.Exit, describeRows(rows), head(r.Stdout, 300))
	}
}

// checkShare judges the limits of lag of share groups, by what the broker counts.
// The lag of a partition without a start offset is unknown, which is no violation.
func (j *Judge) checkShare(e *record.Entry, r record.Run) {
	before, after := e.Before.Groups[e.Group], e.After.Groups[e.Group]
	if !maps.Equal(before.Shares, after.Shares) || before.Members != after.Members || j.running(e.Group) {
		return
	}
	var lag, most int64
	lost := false
	for tp, s := range before.Shares {
		ends, here := settled(e, tp)
		if !here {
			return
		}
		if s.Start >= 0 && s.Lag >= 0 { // what was deleted, less what was acknowledged above the start offset
			lost = lost || ends.Start-s.Start > ends.End-s.Start-s.Lag
		}
		lag, most = lag+max(0, waiting(ends, s)), max(most, waiting(ends, s))
	}
	total, limited := flagNumber(e.Step.Flags, "--max-lag")
	each, limits := flagNumber(e.Step.Flags, "--max-partition-lag")
	over := limited && lag > total || limits && most > each || lost
	switch {
	case over && r.Exit != 3:
		j.fault(e, r, "check-verdict", "exit %d; Kafka says: lag %d, the most of a partition %d, lost: %t", r.Exit, lag, most, lost)
	case !over && (limited || limits) && r.Exit != 0:
		j.fault(e, r, "check-verdict", "exit %d; all holds: Kafka says lag %d, the most of a partition %d; it says: %s", r.Exit, lag, most, head(r.Stdout, 300))
	}
}

type policyRow struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Committed *int64 `json:"committed"`
	Situation string `json:"situation"`
	Policies  struct {
		Earliest, Latest, None *policyOutcome
	} `json:"policies"`
	Error *string `json:"error"`
}

type policyOutcome struct {
	Start   *int64  `json:"start"`
	Reread  *int64  `json:"reread"`
	Skipped *int64  `json:"skipped"`
	Error   *string `json:"error"`
}

// policy judges the prediction by section 6 of the contract, where no leader
// epoch makes it a matter of truncation.
func (j *Judge) policy(e *record.Entry, r record.Run) {
	var doc struct {
		Groups []struct {
			Partitions []policyRow `json:"partitions"`
		} `json:"groups"`
	}
	rows, sure := j.rows(e, e.Group, false)
	if isShare(e, e.Group) || !sure || j.running(e.Group) || !j.read(r, &doc) || len(doc.Groups) != 1 {
		return
	}
	for _, row := range doc.Groups[0].Partitions {
		tp := record.TP{Topic: row.Topic, Partition: row.Partition}
		ends, ok := settled(e, tp)
		if !ok || row.Error != nil {
			continue
		}
		var committed *record.Commit
		if t, has := rows[tp]; has {
			committed = t.committed
		}
		var earliest, latest, none *int64
		var exception, situation string
		switch {
		case committed == nil:
			earliest, latest, exception, situation = &ends.Start, &ends.End, "NoOffsetForPartitionException", "no_commit"
		case committed.Offset < ends.Start:
			earliest, latest, exception, situation = &ends.Start, &ends.End, "OffsetOutOfRangeException", "below_start"
		case committed.Offset > ends.End:
			situation = "past_end"
			if committed.Epoch < 0 {
				earliest, latest, exception = &ends.Start, &ends.End, "OffsetOutOfRangeException"
			}
		default:
			earliest, latest, none, situation = &committed.Offset, &committed.Offset, &committed.Offset, "valid"
		}
		if row.Situation != situation {
			j.fault(e, r, "policy", "%s: %s, true %s", tp, row.Situation, situation)
			continue
		}
		if situation == "past_end" && exception == "" {
			continue
		}
		p := row.Policies
		if p.Earliest == nil || p.Latest == nil || p.None == nil {
			continue
		}
		if !same(p.Earliest.Start, earliest) || !same(p.Latest.Start, latest) || !same(p.None.Start, none) {
			j.fault(e, r, "policy", "%s (%s): starts %s, %s, %s; true %s, %s, %s", tp, situation, show(p.Earliest.Start), show(p.Latest.Start), show(p.None.Start), show(earliest), show(latest), show(none))
		}
		if exception != "" && (p.None.Error == nil || *p.None.Error != exception) {
			j.fault(e, r, "policy", "%s (%s): none says %s, true %s", tp, situation, show(p.None.Error), exception)
		}
	}
}
