package judge

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"offsets/internal/oracle/record"
)

// java judges by what Java's clients read, and by what Kafka's own tool says of
// members.
func (j *Judge) java(e *record.Entry) {
	switch e.Step.Kind {
	case "java.drain":
		j.drained(e)
	case "java.share":
		j.delivered(e)
	case "tool.members":
		j.membersOf(e)
	}
}

// op is the operation of a step that has one only, if the broker answered.
func op(e *record.Entry) (record.Op, bool) {
	if len(e.Ops) != 1 {
		return record.Op{}, false
	}
	return e.Ops[0], true
}

// lastChange is the last step in which the program changed the group and said
// that it was done, if nothing but questions came in between.
func (j *Judge) lastChange(e *record.Entry, group string) (*record.Entry, planGroup) {
	for id := e.Step.ID - 1; id > 0; id-- {
		c := j.entries[id]
		switch {
		case c == nil || c.Step.Asks() || strings.HasPrefix(c.Step.Kind, "tool."):
			continue
		case c.Group == group && c.Step.Changes() && c.Step.Execute:
			var doc planDoc
			if len(c.Runs) == 0 || c.Runs[0].Exit != 0 || !j.read(c.Runs[0], &doc) || len(doc.Groups) != 1 || !doc.Groups[0].Applied {
				return nil, planGroup{}
			}
			return c, doc.Groups[0]
		case c.Group == group || c.Group2 == group || c.Topic == e.Topic:
			return nil, planGroup{}
		}
	}
	return nil, planGroup{}
}

// drained: after an import by time a Java consumer reads all that was not read
// where the export was made.
func (j *Judge) drained(e *record.Entry) {
	read, ok := op(e)
	change, _ := j.lastChange(e, e.Group)
	if !ok || read.Err != "" || change == nil || change.Step.Kind != "do.import" || !has(change.Step.Flags, "time") {
		return
	}
	source := j.entries[change.From]
	var doc exportDoc
	if source == nil || len(source.Runs) == 0 || !j.read(source.Runs[0], &doc) || len(doc.Groups) != 1 || doc.Groups[0].Type == "share" {
		return
	}
	got := map[string]bool{}
	for _, r := range read.Records {
		got[r.Key] = true
	}
	for _, row := range doc.Groups[0].Partitions {
		tp := record.TP{Topic: row.Topic, Partition: row.Partition}
		ends, here := settled(e, tp)
		if tp.Topic != e.Topic || row.Committed == nil || !here || j.odd[tp.Topic] {
			continue
		}
		there := map[string]bool{}
		for _, r := range j.Model.Records(tp) {
			there[r.Key] = r.Offset >= ends.Start
		}
		var never []string
		for _, r := range j.sources[change.From][tp] {
			if r.Offset >= *row.Committed && there[r.Key] && !got[r.Key] {
				never = append(never, r.Key)
			}
		}
		if len(never) > 0 {
			j.fault(e, change.Runs[0], "import-unread", "%s: exported at %d; after the import a Java consumer does not read %d records that were never read: %s",
				tp, *row.Committed, len(never), head(strings.Join(never, " "), 100))
		}
	}
}

// delivered: what a share group is given after a change is all that lies behind
// where the program says that it set the start offset.
func (j *Judge) delivered(e *record.Entry) {
	read, ok := op(e)
	change, plan := j.lastChange(e, e.Group)
	if !ok || change == nil {
		return
	}
	r := change.Runs[0]
	if read.Err != "" {
		if strings.Contains(read.Err, "is not a share group") || strings.Contains(read.Err, "GroupIdNotFound") {
			j.fault(e, r, "share-unusable", "after it a share consumer ends with %s; Kafka says that the group is %q", head(read.Err, 200), e.Before.Groups[e.Group].Type)
		}
		return
	}
	got := map[record.TP]map[int64]bool{}
	for _, rec := range read.Records {
		if got[rec.TP] == nil {
			got[rec.TP] = map[int64]bool{}
		}
		got[rec.TP][rec.Offset] = true
	}
	for _, row := range plan.Partitions {
		tp := row.tp()
		ends, here := settled(e, tp)
		if tp.Topic != e.Topic || !here || j.odd[tp.Topic] || row.Error != nil || row.To == nil {
			continue
		}
		var missing, extra int
		for _, rec := range j.Model.Records(tp) {
			switch wanted := rec.Offset >= *row.To && rec.Offset >= ends.Start; {
			case wanted && !got[tp][rec.Offset]:
				missing++
			case !wanted && got[tp][rec.Offset]:
				extra++
			}
		}
		if missing+extra > 0 {
			j.fault(e, r, "share-delivered", "%s: %s to %d (log %d to %d), action %s, reread %s: a Java consumer was given %d records; %d are missing, %d too many",
				tp, change.Step.Kind, *row.To, ends.Start, ends.End, row.Action, show(row.Reread), len(got[tp]), missing, extra)
		}
	}
}

type describedMember struct {
	MemberID   string  `json:"member_id"`
	InstanceID *string `json:"instance_id"`
	ClientID   string  `json:"client_id"`
	Host       string  `json:"host"`
	Assignment []struct {
		Topic      string  `json:"topic"`
		Partitions []int32 `json:"partitions"`
	} `json:"assignment"`
}

// membersOf compares describe's members with those of Kafka's own tool: its run
// comes first, then ours, then its again.
func (j *Judge) membersOf(e *record.Entry) {
	if len(e.Runs) < 3 || e.Runs[0].Stdout != e.Runs[2].Stdout || e.Runs[1].Killed || j.running(e.Group) {
		return
	}
	var doc struct {
		Groups []struct {
			describedGroup
			Members []describedMember `json:"members"`
		} `json:"groups"`
	}
	before, after := e.Before.Groups[e.Group], e.After.Groups[e.Group]
	steady := before.State == after.State && (before.State == "Stable" || before.State == "Empty") && before.Members == after.Members &&
		slices.Equal(sorted(before.Owned), sorted(after.Owned))
	if there, sure := exists(e, e.Group); !sure || !there || !steady {
		return
	}
	r := e.Runs[1]
	if !j.read(r, &doc) || len(doc.Groups) != 1 {
		j.fault(e, r, "members", "exit %d, no group in the answer: %s", r.Exit, head(r.Stderr, 200))
		return
	}
	theirs := toolMembers(e.Runs[0].Stdout)
	ours := map[string]describedMember{}
	for _, m := range doc.Groups[0].Members {
		ours[m.MemberID] = m
	}
	if !slices.Equal(slices.Sorted(maps.Keys(ours)), slices.Sorted(maps.Keys(theirs))) {
		j.fault(e, r, "members", "%v, Kafka's tool says %v", slices.Sorted(maps.Keys(ours)), slices.Sorted(maps.Keys(theirs)))
		return
	}
	for id, t := range theirs {
		m := ours[id]
		instance := ""
		if m.InstanceID != nil {
			instance = *m.InstanceID
		}
		if strings.Trim(t["GROUP-INSTANCE-ID"], "-") != instance || m.ClientID != t["CLIENT-ID"] || m.Host != t["HOST"] {
			j.fault(e, r, "members", "%s: instance %s, client %s, host %s; Kafka's tool says %v", id, instance, m.ClientID, m.Host, t)
		}
		var owned []record.TP
		for _, a := range m.Assignment {
			for _, p := range a.Partitions {
				owned = append(owned, record.TP{Topic: a.Topic, Partition: p})
			}
		}
		if n, err := strconv.Atoi(t["#PARTITIONS"]); err != nil || n != len(owned) {
			j.fault(e, r, "members", "%s: %d partitions, Kafka's tool says %s", id, len(owned), t["#PARTITIONS"])
			continue
		}
		text := t["ASSIGNMENT"]
		if text == "" {
			text = t["CURRENT-ASSIGNMENT"]
		}
		if want := assignment(text); !slices.Equal(sorted(owned), sorted(want)) {
			j.fault(e, r, "members", "%s: %v, Kafka's tool says %s", id, sorted(owned), text)
		}
	}
}

// toolMembers reads the table of --members, by the member's id. A cell begins
// under its heading and may be empty; a long one moves those behind it, which
// are of no interest here.
func toolMembers(text string) map[string]map[string]string {
	members := map[string]map[string]string{}
	columns := map[string]int{}
	for line := range strings.Lines(strings.ReplaceAll(text, "), ", "),")) {
		line = strings.TrimRight(line, "\n ")
		if strings.HasPrefix(line, "GROUP ") {
			for _, name := range strings.Fields(line) {
				columns[name] = strings.Index(" "+line+" ", " "+name+" ")
			}
			continue
		}
		row := map[string]string{}
		for name, at := range columns {
			if at < len(line) {
				row[name], _, _ = strings.Cut(line[at:], " ")
			}
		}
		if id := row["CONSUMER-ID"]; id != "" {
			members[id] = row
		}
	}
	return members
}

// assignment reads both "t(0,1),u(0)" and "t:0,1;u:0".
func assignment(text string) []record.TP {
	var out []record.TP
	topics := strings.Split(text, ";")
	if strings.Contains(text, "(") {
		topics = strings.Split(strings.TrimSuffix(text, ")"), "),")
	}
	for _, t := range topics {
		i := strings.LastIndexAny(t, ":(")
		if i < 0 {
			continue
		}
		for p := range strings.SplitSeq(t[i+1:], ",") {
			if n, err := strconv.ParseInt(p, 10, 32); err == nil {
				out = append(out, record.TP{Topic: t[:i], Partition: int32(n)})
			}
		}
	}
	return out
}
