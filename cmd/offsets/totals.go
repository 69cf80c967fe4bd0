package main

import (
	"fmt"
	"strings"
	"time"

	"offsets/inspect"
	"offsets/internal/duration"
	"offsets/internal/render"
)

// How the totals of a group look. A sum or a maximum over some of the rows is
// never shown as if it were one over all of them: 12+? says that there is more,
// and that nobody knows how much; - says that nothing is known.

func totalColumns() []render.Column {
	var out []render.Column
	for _, name := range []string{"PARTITIONS", "LAG", "NO-COMMIT", "UNKNOWN", "RECORDS", "BEHIND", "LOST"} {
		out = append(out, render.Column{Name: name, Right: true, Optional: true})
	}
	return out
}

// totalCells are empty where there is no total.
func totalCells(t *inspect.Total) []string {
	if t == nil {
		return make([]string, len(totalColumns()))
	}
	records, behind := "", ""
	if t.RecordsBehind != nil {
		records = atLeast(fmt.Sprint(*t.RecordsBehind), t.Partitions, t.Uncounted)
	}
	if t.BehindSeconds != nil {
		behind = atLeast(secondsCell(t.BehindSeconds), t.Partitions, t.Undated)
	}
	return []string{
		fmt.Sprint(t.Partitions), atLeast(fmt.Sprint(t.Lag), t.Partitions, t.Unknown), unlessZero(t.NoCommit), unlessZero(t.Unknown),
		records, behind, lostCell(&t.Lost),
	}
}

// atLeast is a value over some rows, of which some are not known.
func atLeast(value string, rows, unknown int) string {
	switch {
	case rows == unknown:
		return "-"
	case unknown > 0:
		return value + "+?"
	}
	return value
}

func unlessZero(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

func lostCell(lost *int64) string {
	if lost == nil || *lost == 0 {
		return ""
	}
	return fmt.Sprint(*lost)
}

// secondsCell writes an age as people say it.
func secondsCell(s *float64) string {
	if s == nil {
		return ""
	}
	return ago(time.Duration(*s * float64(time.Second)))
}

func ago(d time.Duration) string { return duration.Short(d) }

// totalLine is the totals of one group in words; "" for a group without rows.
func totalLine(t inspect.Total) string {
	if t.Partitions == 0 {
		return ""
	}
	known := t.Partitions - t.Unknown
	var b strings.Builder
	if known == 0 {
		fmt.Fprintf(&b, "lag unknown on %d of %s", t.Unknown, plural(t.Partitions, "partition"))
	} else {
		fmt.Fprintf(&b, "total lag %d on %s", t.Lag, plural(known, "partition"))
		if t.Unknown > 0 {
			fmt.Fprintf(&b, ", unknown on %d", t.Unknown)
		}
	}
	switch {
	case t.NoCommit > 0 && t.NoCommit == t.Unknown:
		b.WriteString(" (no commit)")
	case t.NoCommit > 0:
		fmt.Fprintf(&b, " (%d without a commit)", t.NoCommit)
	}
	if t.RecordsBehind != nil {
		fmt.Fprintf(&b, ", %d records", *t.RecordsBehind)
		if t.Uncounted > 0 {
			fmt.Fprintf(&b, " on %s", plural(t.Partitions-t.Uncounted, "partition"))
		}
	}
	if t.BehindSeconds != nil {
		most := "at most"
		if t.Undated > 0 { // what is not known may be later
			most = "at least"
		}
		fmt.Fprintf(&b, ", %s %s behind", most, secondsCell(t.BehindSeconds))
	}
	if t.Lost > 0 {
		fmt.Fprintf(&b, "; %d lost: deleted before they were read", t.Lost)
	}
	return b.String()
}
