package judge

import (
	"encoding/csv"
	"maps"
	"slices"
	"strconv"
	"strings"

	"offsets/internal/oracle/record"
)

type groupRow struct {
	Group   string  `json:"group"`
	Type    string  `json:"type"`
	State   string  `json:"state"`
	Members *int    `json:"members"`
	Total   *totals `json:"total"`
}

type totals struct {
	Lag        int64 `json:"lag"`
	Lost       int64 `json:"lost"`
	Partitions int   `json:"partitions"`
	NoCommit   int   `json:"no_commit"`
	Unknown    int   `json:"unknown"`
}

// prefix is what the names of this playing begin with.
func prefix(e *record.Entry) string {
	for _, names := range [][]string{slices.Collect(maps.Keys(e.Before.Groups)), slices.Collect(maps.Keys(e.Before.Topics))} {
		for _, n := range names {
			if i := strings.LastIndex(n, "-"); i > 0 {
				return n[:i+1]
			}
		}
	}
	return "no such prefix"
}

func (j *Judge) groupRows(e *record.Entry, r record.Run) ([]groupRow, bool) {
	switch e.Step.Form {
	case "json":
		var doc struct {
			Groups []groupRow `json:"groups"`
		}
		if !j.read(r, &doc) {
			return nil, false
		}
		return doc.Groups, true
	case "jsonl":
		rows, err := lines[groupRow](r.Stdout)
		return rows, err == nil
	}
	return nil, false
}

func (j *Judge) list(e *record.Entry, r record.Run) {
	if e.Step.Form == "csv" {
		j.csv(e, r)
	}
	rows, ok := j.groupRows(e, r)
	if r.Exit != 0 && r.Exit != 5 {
		j.fault(e, r, "list", "exit %d: %s", r.Exit, head(r.Stderr, 200))
		return
	}
	if !ok {
		return
	}
	got := map[string]groupRow{}
	for _, row := range rows {
		if strings.HasPrefix(row.Group, prefix(e)) {
			if _, twice := got[row.Group]; twice {
				j.fault(e, r, "list", "%s appears twice", row.Group)
			}
			got[row.Group] = row
		}
	}
	for name, b := range e.Before.Groups {
		a, still := e.After.Groups[name]
		if !still || a.State != b.State || a.Members != b.Members || a.Type != b.Type {
			continue
		}
		row, there := got[name]
		switch {
		case !there:
			j.fault(e, r, "list", "%s (%s, %s) is missing", name, b.Type, b.State)
		case row.Type != b.Type || row.State != b.State || row.Members == nil || *row.Members != b.Members:
			j.fault(e, r, "list", "%s is %s, %s, %s members; Kafka says %s, %s, %d", name, row.Type, row.State, show(row.Members), b.Type, b.State, b.Members)
		}
	}
	for name := range got {
		_, b := e.Before.Groups[name]
		_, a := e.After.Groups[name]
		if !a && !b {
			j.fault(e, r, "list", "%s is shown and does not exist", name)
		}
	}
}

// lag judges list --lag. In the table a group with an unknown row must not show
// a bare 0.
func (j *Judge) lag(e *record.Entry, r record.Run) {
	if e.Step.Form == "csv" {
		j.csv(e, r)
	}
	if e.Step.Form == "table" {
		j.lagTable(e, r)
		return
	}
	rows, ok := j.groupRows(e, r)
	if !ok {
		return
	}
	for _, row := range rows {
		want, sure := j.rows(e, row.Group, false)
		if _, ours := e.Before.Groups[row.Group]; !ours || !sure || row.Total == nil || isShare(e, row.Group) || j.running(row.Group) {
			continue
		}
		lag, unknown := total(want)
		if row.Total.Lag != lag || row.Total.Unknown != unknown || row.Total.Partitions != len(want) {
			j.fault(e, r, "list-lag", "%s: lag %d, unknown %d of %d partitions; true: lag %d, unknown %d of %d",
				row.Group, row.Total.Lag, row.Total.Unknown, row.Total.Partitions, lag, unknown, len(want))
		}
	}
}

func (j *Judge) lagTable(e *record.Entry, r record.Run) {
	text := strings.Split(r.Stdout, "\n")
	end := strings.Index(text[0], " LAG ") + len(" LAG")
	if end < len(" LAG") {
		return
	}
	for _, line := range text[1:] {
		name, _, _ := strings.Cut(line, " ")
		if _, ours := e.Before.Groups[name]; !ours || len(line) < end || isShare(e, name) || j.running(name) {
			continue
		}
		rows, sure := j.rows(e, name, false)
		if !sure {
			continue
		}
		shown := line[strings.LastIndex(line[:end], " ")+1 : end]
		if _, unknown := total(rows); unknown > 0 && shown == "0" && (end == len(line) || line[end] == ' ') {
			// What follows the number may say it, too.
			if rest := strings.TrimSpace(line[end:]); !strings.Contains(rest, "unknown") {
				j.fault(e, r, "list-lag-bare-zero", "%s shows LAG 0; %d of its %d partitions have no known lag: %s", name, unknown, len(rows), describeRows(rows))
			}
		}
	}
}

func describeRows(rows map[record.TP]truth) string {
	var out []string
	for _, tp := range sorted(slices.Collect(maps.Keys(rows))) {
		out = append(out, tp.String()+" "+rows[tp].status)
	}
	return strings.Join(out, ", ")
}

func (j *Judge) csv(e *record.Entry, r record.Run) [][]string {
	if r.Exit != 0 && r.Exit != 5 && r.Exit != 3 {
		return nil
	}
	rows, err := csv.NewReader(strings.NewReader(r.Stdout)).ReadAll()
	if err != nil {
		j.fault(e, r, "csv", "%v", err)
	}
	return rows
}

type describedRow struct {
	Topic      string  `json:"topic"`
	Partition  int32   `json:"partition"`
	Committed  *int64  `json:"committed"`
	Epoch      *int32  `json:"leader_epoch"`
	Metadata   *string `json:"metadata"`
	LogStart   *int64  `json:"log_start"`
	LogEnd     *int64  `json:"log_end"`
	LastStable *int64  `json:"last_stable"`
	Lag        *int64  `json:"lag"`
	Lost       int64   `json:"lost"`
	Status     string  `json:"status"`
	Error      *string `json:"error"`
}

type describedGroup struct {
	Group      string         `json:"group"`
	Type       string         `json:"type"`
	State      string         `json:"state"`
	Total      *totals        `json:"total"`
	Partitions []describedRow `json:"partitions"`
}

func (j *Judge) describe(e *record.Entry, r record.Run) {
	there, sure := exists(e, e.Group)
	if sure && !there && r.Exit != 1 {
		j.fault(e, r, "describe-exit", "exit %d for a group that does not exist", r.Exit)
	}
	if !sure || !there {
		return
	}
	var g describedGroup
	switch {
	case e.Step.Form == "csv":
		j.csv(e, r)
		return
	case e.Step.Form == "json":
		var doc struct {
			Groups []describedGroup `json:"groups"`
		}
		if !j.read(r, &doc) || len(doc.Groups) != 1 {
			j.fault(e, r, "describe-exit", "exit %d, no group in the answer: %s", r.Exit, head(r.Stderr, 200))
			return
		}
		g = doc.Groups[0]
		if g.Type != e.Before.Groups[e.Group].Type {
			j.fault(e, r, "describe-type", "type %s, Kafka says %s", g.Type, e.Before.Groups[e.Group].Type)
		}
	case e.Step.Form == "jsonl" && !slices.Contains(e.Step.Flags, "--state"):
		rows, err := lines[describedRow](r.Stdout)
		if err != nil {
			return
		}
		g.Partitions = rows
	default:
		return
	}
	if isShare(e, e.Group) {
		j.describedShare(e, r, g)
		return
	}
	want, sure := j.rows(e, e.Group, slices.Contains(e.Step.Flags, "read_committed"))
	if !sure || j.running(e.Group) {
		return
	}
	j.described(e, r, g, want)
}

func (j *Judge) described(e *record.Entry, r record.Run, g describedGroup, want map[record.TP]truth) {
	got := map[record.TP]bool{}
	for _, row := range g.Partitions {
		tp := record.TP{Topic: row.Topic, Partition: row.Partition}
		t, known := want[tp]
		got[tp] = true
		if !known {
			if slices.Contains(e.Step.Flags, "--all-partitions") && row.Committed == nil {
				continue
			}
			j.fault(e, r, "describe-rows", "%s is shown, and has neither commit nor owner", tp)
			continue
		}
		var committed *int64
		if t.committed != nil {
			committed = &t.committed.Offset
			if row.Metadata == nil || *row.Metadata != t.committed.Metadata {
				j.fault(e, r, "describe-metadata", "%s: metadata %s, true %q", tp, show(row.Metadata), t.committed.Metadata)
			}
			if epoch := int32(-1); row.Epoch != nil && *row.Epoch != t.committed.Epoch || row.Epoch == nil && t.committed.Epoch != epoch {
				j.fault(e, r, "describe-epoch", "%s: leader epoch %s, true %d", tp, show(row.Epoch), t.committed.Epoch)
			}
		}
		if !same(row.Committed, committed) {
			j.fault(e, r, "describe-committed", "%s: committed %s, true %s", tp, show(row.Committed), show(committed))
			continue
		}
		if t.gone {
			continue
		}
		if !same(row.LogStart, &t.ends.Start) || !same(row.LogEnd, &t.ends.End) {
			j.fault(e, r, "describe-ends", "%s: log %s to %s, true %d to %d", tp, show(row.LogStart), show(row.LogEnd), t.ends.Start, t.ends.End)
			continue
		}
		if !same(row.Lag, t.lag) || row.Lost != t.lost || row.Status != t.status {
			j.fault(e, r, "describe-lag", "%s: lag %s, lost %d, %s; true: lag %s, lost %d, %s (committed %s, log %d to %d, stable %d)", tp, show(row.Lag), row.Lost, row.Status,
				show(t.lag), t.lost, t.status, show(committed), t.ends.Start, t.ends.End, t.ends.Stable)
		}
	}
	for tp := range want {
		if !got[tp] {
			j.fault(e, r, "describe-rows", "%s is missing", tp)
		}
	}
	if lag, unknown := total(want); g.Total != nil && (g.Total.Lag != lag || !slices.Contains(e.Step.Flags, "--all-partitions") && g.Total.Unknown != unknown) {
		j.fault(e, r, "describe-total", "total lag %d, unknown %d; true %d, %d", g.Total.Lag, g.Total.Unknown, lag, unknown)
	}
}

// describedShare holds start offsets and lag against the broker's own.
func (j *Judge) describedShare(e *record.Entry, r record.Run, g describedGroup) {
	before, after := e.Before.Groups[e.Group].Shares, e.After.Groups[e.Group].Shares
	if !maps.Equal(before, after) {
		return
	}
	got := map[record.TP]bool{}
	for _, row := range g.Partitions {
		tp := record.TP{Topic: row.Topic, Partition: row.Partition}
		got[tp] = true
		t, ok := before[tp]
		if !ok {
			continue
		}
		if t.Start >= 0 && (row.Committed == nil || *row.Committed != t.Start) {
			j.fault(e, r, "describe-share", "%s: start offset %s, Kafka says %d", tp, show(row.Committed), t.Start)
		}
		if ends, sure := settled(e, tp); !sure {
			continue
		} else if lag := waiting(ends, t); t.Start >= 0 && t.Lag >= 0 && (row.Lag == nil || *row.Lag != lag) && !slices.Contains(e.Step.Flags, "read_committed") {
			j.fault(e, r, "describe-share", "%s: lag %s, Kafka says %d, of which %d can be read", tp, show(row.Lag), t.Lag, lag)
		}
	}
	for tp, t := range before {
		if _, here := e.Before.Topics[tp.Topic]; here && t.Start >= 0 && !got[tp] {
			j.fault(e, r, "describe-share", "%s (start offset %d) is missing", tp, t.Start)
		}
	}
}

// running says whether the program runs as a consumer of the group right now:
// then it commits whenever it likes.
func (j *Judge) running(group string) bool { return j.live[group] != nil }

func flagNumber(flags []string, name string) (int64, bool) {
	i := slices.Index(flags, name)
	if i < 0 || i+1 >= len(flags) {
		return 0, false
	}
	n, err := strconv.ParseInt(flags[i+1], 10, 64)
	return n, err == nil
}
