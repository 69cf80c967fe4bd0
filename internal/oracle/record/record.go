// Package record holds what happened: the one thing that the oracle's parts
// share. Whoever does something writes entries, whoever judges reads them, also
// long after, out of a kept folder.
package record

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"offsets/internal/oracle/steps"
)

// TP is a partition of a topic.
type TP struct {
	Topic     string
	Partition int32
}

// MarshalText makes a TP a key of JSON objects.
func (tp TP) MarshalText() ([]byte, error) {
	return fmt.Appendf(nil, "%s:%d", tp.Topic, tp.Partition), nil
}

// UnmarshalText reads what MarshalText wrote.
func (tp *TP) UnmarshalText(text []byte) error {
	topic, p, ok := strings.Cut(string(text), ":")
	n, err := strconv.ParseInt(p, 10, 32)
	if !ok || err != nil {
		return fmt.Errorf("%q is no topic:partition", text)
	}
	tp.Topic, tp.Partition = topic, int32(n)
	return nil
}

func (tp TP) String() string { return fmt.Sprintf("%s:%d", tp.Topic, tp.Partition) }

// Commit is a committed offset.
type Commit struct {
	Offset   int64  `json:"offset"`
	Epoch    int32  `json:"epoch"`
	Metadata string `json:"metadata"`
}

// ShareStart is where a share group starts, and what the broker counts behind.
type ShareStart struct {
	Start int64 `json:"start"` // -1: none
	Lag   int64 `json:"lag"`   // -1: unknown
}

// Group is what Kafka said of a group.
type Group struct {
	Type     string `json:"type"`
	State    string `json:"state"`
	Protocol string `json:"protocol"`
	Members  int    `json:"members"`
	Program  int    `json:"program"` // of the members, those with the program's client id
	Owned    []TP   `json:"owned"`

	Commits map[TP]Commit     `json:"commits"`
	Shares  map[TP]ShareStart `json:"shares"`
}

// Partition is a partition's ends.
type Partition struct {
	Start  int64 `json:"start"`
	End    int64 `json:"end"`
	Stable int64 `json:"stable"`
	Epoch  int32 `json:"epoch"`
}

// Topic is what Kafka said of a topic.
type Topic struct {
	ID         string      `json:"id"`
	Partitions []Partition `json:"partitions"`
}

// World is what Kafka's own requests answered of all groups and topics of a
// script at one time. It never comes from the program.
type World struct {
	Begin  time.Time        `json:"begin"`
	End    time.Time        `json:"end"`
	Groups map[string]Group `json:"groups"`
	Topics map[string]Topic `json:"topics"`
}

// Partition returns a partition's ends.
func (w *World) Partition(tp TP) (Partition, bool) {
	t, ok := w.Topics[tp.Topic]
	if !ok || int(tp.Partition) >= len(t.Partitions) {
		return Partition{}, false
	}
	return t.Partitions[tp.Partition], true
}

// Op is one operation on the broker, with the client's clock around it.
type Op struct {
	Kind   string    `json:"kind"`
	Group  string    `json:"group,omitempty"`
	TP     TP        `json:"tp,omitzero"`
	Commit *Commit   `json:"commit,omitempty"`
	Txn    int       `json:"txn,omitempty"`
	Begin  time.Time `json:"begin"`
	End    time.Time `json:"end"`
	// Err is the broker's refusal, or why there is no answer.
	Err string `json:"err,omitempty"`
	// Unknown: no answer came, so that it may have happened or not.
	Unknown bool     `json:"unknown,omitempty"`
	Records []Record `json:"records,omitempty"`
}

// Record is a record that a broker has taken.
type Record struct {
	TP     TP     `json:"tp"`
	Offset int64  `json:"offset"`
	Time   int64  `json:"time"` // ms since 1970
	Key    string `json:"key"`  // what it is, in whichever topic it lies
}

// Run is one program that ran: ours, or one of Kafka's.
type Run struct {
	Argv    []string          `json:"argv"`
	Stdout  string            `json:"stdout"`
	Stderr  string            `json:"stderr"`
	Exit    int               `json:"exit"`
	Begin   time.Time         `json:"begin"`
	End     time.Time         `json:"end"`
	Killed  bool              `json:"killed,omitempty"` // it did not end by itself
	Limit   time.Duration     `json:"limit,omitempty"`
	Tool    bool              `json:"tool,omitempty"`
	Context map[string]string `json:"context,omitempty"`
}

// Command is what to type to run it again.
func (r Run) Command() string {
	words := make([]string, len(r.Argv))
	for i, a := range r.Argv {
		if a == "" || strings.ContainsAny(a, " *\"'$&;|<>()") {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		words[i] = a
	}
	return strings.Join(words, " ")
}

// Entry is one step that was played.
type Entry struct {
	Step   steps.Step `json:"step"`
	Begin  time.Time  `json:"begin"`
	End    time.Time  `json:"end"`
	Ops    []Op       `json:"ops,omitempty"`
	Runs   []Run      `json:"runs,omitempty"`
	Before *World     `json:"before"`
	After  *World     `json:"after"`
	// Moment is the time that an as-of question or a position means.
	Moment time.Time `json:"moment,omitzero"`
	// Group, Group2 and Topic are the names that the step's numbers stand for.
	Group  string `json:"group,omitempty"`
	Group2 string `json:"group2,omitempty"`
	Topic  string `json:"topic,omitempty"`
	// Compacted: the offsets topic may have been compacted since the script
	// began, by whichever script.
	Compacted bool `json:"compacted,omitempty"`
	// From is the entry's id that a plan file or an export comes from.
	From int    `json:"from,omitempty"`
	Err  string `json:"err,omitempty"` // the step could not be played
	// Down: a broker was down, or went down, so that there may be no answer.
	Down bool `json:"down,omitempty"`
}
