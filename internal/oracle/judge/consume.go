package judge

import (
	"strings"

	"offsets/internal/oracle/record"
)

type consumed struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
}

// stopped judges a consumer of the program that was told to stop: it leaves the
// group, and what it has printed it has committed.
func (j *Judge) stopped(e *record.Entry, r record.Run) {
	start := j.live[e.Group]
	defer delete(j.live, e.Group)
	if r.Killed {
		return
	}
	after := e.After.Groups[e.Group]
	others := after.Members - after.Program
	// An earlier one that had to be killed stays until its session ends.
	earlier := 0
	if start != nil {
		earlier = start.Before.Groups[e.Group].Program
	}
	if after.Program > earlier {
		j.fault(e, r, "stop-member-left", "exit %d, and its member is still in %s (%s, %d members)", r.Exit, e.Group, after.State, after.Members)
	}
	last := map[record.TP]int64{}
	for line := range strings.Lines(r.Stdout) {
		if rows, err := lines[consumed](line); err == nil && len(rows) == 1 {
			last[record.TP{Topic: rows[0].Topic, Partition: rows[0].Partition}] = rows[0].Offset
		}
	}
	for tp, at := range last {
		if start == nil || j.Model.Recreated(tp.Topic, start.Begin) || r.Exit == 1 || others > 0 {
			continue
		}
		if c, ok := after.Commits[tp]; !ok || c.Offset < at+1 {
			j.fault(e, r, "stop-uncommitted", "exit %d: %s was processed up to %d, committed is %s", r.Exit, tp, at, commitText(c, ok))
		}
	}
}
