// Package steps makes the oracle's scripts: what is done to a broker, and what
// the program is asked in between, all out of one seed.
//
// A step holds all that is needed to play it. Names are numbers and offsets are
// relative to what the log holds when the step is played, so that a script with
// some of its steps deleted still plays, on names that nobody used before.
package steps

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Step is one thing that is done or asked. Which fields count depends on Kind.
type Step struct {
	ID   int    `json:"id"`
	Kind string `json:"kind"`

	Group      int      `json:"group,omitempty"`
	Group2     int      `json:"group2,omitempty"`
	Topic      int      `json:"topic,omitempty"`
	Partitions []int32  `json:"partitions,omitempty"`
	Places     []Place  `json:"places,omitempty"` // one for each of Partitions, or one for all
	Records    []Record `json:"records,omitempty"`
	Metadata   string   `json:"metadata,omitempty"`
	Epoch      bool     `json:"epoch,omitempty"` // commit with the partition's leader epoch
	Txn        int      `json:"txn,omitempty"`
	Member     int      `json:"member,omitempty"`
	Protocol   string   `json:"protocol,omitempty"` // of a member: classic or consumer
	Instance   string   `json:"instance,omitempty"` // of a static member
	N          int      `json:"n,omitempty"`
	How        string   `json:"how,omitempty"`
	Position   string   `json:"position,omitempty"`
	// AsOf is a step's id: the moment right after it. With one that is not in
	// the script any more it is the moment after the one before that.
	AsOf  int      `json:"as_of,omitempty"`
	Flags []string `json:"flags,omitempty"`
	Form  string   `json:"form,omitempty"` // -o
	// Fail takes away the coordinator of the group right before: kill or clean.
	Fail string `json:"fail,omitempty"`
	// Execute makes a change; else it is a plan.
	Execute bool `json:"execute,omitempty"`
}

// Place is an offset in words: N from the start or the end of the log, or a
// share of what is between them, or the number itself.
type Place struct {
	From string  `json:"from"` // start, end, share, number
	N    int64   `json:"n,omitempty"`
	Part float64 `json:"part,omitempty"`
}

// In is the offset for a log that begins at start and ends at end.
func (p Place) In(start, end int64) int64 {
	switch p.From {
	case "start":
		return max(0, start+p.N)
	case "end":
		return max(0, end+p.N)
	case "share":
		return start + int64(p.Part*float64(end-start))
	}
	return p.N
}

// Record is what one produced record is to be: its partition and its timestamp,
// in milliseconds after the script's base time.
type Record struct {
	Partition int32 `json:"p"`
	At        int64 `json:"at"`
}

// Changes says whether the step has the program change something.
func (s Step) Changes() bool { return strings.HasPrefix(s.Kind, "do.") }

// Asks says whether the step only asks the program.
func (s Step) Asks() bool { return strings.HasPrefix(s.Kind, "ask.") }

func (s Step) String() string {
	b, err := json.Marshal(s)
	if err != nil {
		return fmt.Sprintf("step %d %s: %v", s.ID, s.Kind, err)
	}
	return string(b)
}

// Script is a seed's steps, or some of them.
type Script struct {
	Seed    int64  `json:"seed"`
	Release string `json:"release"`
	Steps   []Step `json:"steps"`
}
