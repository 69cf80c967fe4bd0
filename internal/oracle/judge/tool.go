package judge

import (
	"strconv"
	"strings"

	"offsets/internal/oracle/record"
)

// tool compares the program's describe with that of Kafka's own tool: the first
// run is the tool's, the second ours.
func (j *Judge) tool(e *record.Entry) {
	if len(e.Runs) < 2 || e.Runs[0].Killed || e.Runs[1].Killed || j.running(e.Group) {
		return
	}
	var doc struct {
		Groups []describedGroup `json:"groups"`
	}
	there, sure := exists(e, e.Group)
	if !sure || !there || !j.read(e.Runs[1], &doc) || len(doc.Groups) != 1 {
		return
	}
	if _, sure := j.rows(e, e.Group, false); !sure {
		return
	}
	ours := map[record.TP]describedRow{}
	for _, row := range doc.Groups[0].Partitions {
		ours[record.TP{Topic: row.Topic, Partition: row.Partition}] = row
	}
	share := isShare(e, e.Group)
	for tp, theirs := range toolRows(e.Runs[0].Stdout) {
		row, ok := ours[tp]
		if !ok {
			if theirs["CURRENT-OFFSET"] != "-" && theirs["CURRENT-OFFSET"] != "" || theirs["START-OFFSET"] != "-" && theirs["START-OFFSET"] != "" {
				j.fault(e, e.Runs[1], "tool", "%s: Kafka's tool shows %v, describe has no such row", tp, theirs)
			}
			continue
		}
		current := theirs["CURRENT-OFFSET"]
		if share {
			current = theirs["START-OFFSET"]
		}
		if number(row.Committed) != current {
			j.fault(e, e.Runs[1], "tool", "%s: committed %s, Kafka's tool says %s", tp, number(row.Committed), current)
		}
		if end := theirs["LOG-END-OFFSET"]; !share && end != "" && number(row.LogEnd) != end {
			j.fault(e, e.Runs[1], "tool", "%s: log end %s, Kafka's tool says %s", tp, number(row.LogEnd), end)
		}
		// Kafka's lag counts deleted records, and is negative past the end:
		// compared where both mean the same.
		if row.Status == "behind" || row.Status == "caught_up" || share {
			if lag := theirs["LAG"]; number(row.Lag) != lag && !(share && countsDeleted(e, tp)) {
				j.fault(e, e.Runs[1], "tool", "%s: lag %s, Kafka's tool says %s", tp, number(row.Lag), lag)
			}
		}
	}
}

func number(n *int64) string {
	if n == nil {
		return "-"
	}
	return strconv.FormatInt(*n, 10)
}

// toolRows reads the table of kafka-consumer-groups or kafka-share-groups.
func toolRows(text string) map[record.TP]map[string]string {
	rows := map[record.TP]map[string]string{}
	var header []string
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if words[0] == "GROUP" {
			header = words
			continue
		}
		if header == nil || len(words) < 4 {
			continue
		}
		row := map[string]string{}
		for i, name := range header {
			if i < len(words) {
				row[name] = words[i]
			}
		}
		p, err := strconv.ParseInt(row["PARTITION"], 10, 32)
		if err == nil {
			rows[record.TP{Topic: row["TOPIC"], Partition: int32(p)}] = row
		}
	}
	return rows
}
