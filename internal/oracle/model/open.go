package model

import (
	"strings"
	"time"

	"offsets/internal/oracle/record"
)

// A transaction has a minute, a short one three seconds, from when the broker
// heard of it: after these, which are counted from before that, it may have been
// aborted.
const (
	minute = 50 * time.Second
	short  = 2500 * time.Millisecond
)

// markers is how long the marker of an end may take to come after its answer.
const markers = 3 * time.Second

// Pending is a commit of a transaction.
type Pending struct {
	Key
	Offset int64
	// Sure: it is open for certain. Else it may be, or may have ended.
	Sure bool
}

// txn is a transaction of the script.
type txn struct {
	commits []Pending
	until   time.Time // open for certain until then
	tried   bool      // somebody has asked for its end
	ended   time.Time // and it was acknowledged then
}

// transaction takes in what a step did to a transaction.
func (m *Model) transaction(e *record.Entry) {
	switch e.Step.Kind {
	case "txn.begin", "java.txn":
		t := &txn{}
		for _, op := range e.Ops {
			if op.Commit == nil || !strings.HasPrefix(op.Kind, "txn.") {
				continue
			}
			t.commits = append(t.commits, Pending{Key: Key{op.Group, op.TP}, Offset: op.Commit.Offset})
			switch {
			case op.Err != "":
				t.tried = true // nobody knows how far it came
			case e.Step.Kind == "java.txn" && e.Step.How != "abandon":
				t.tried, t.ended = true, e.End
			case e.Step.Kind == "txn.begin" && e.Step.How == "short":
				t.until = e.Begin.Add(short)
			case e.Step.Kind == "txn.begin":
				t.until = e.Begin.Add(minute)
			}
		}
		m.txns[e.Step.Txn] = t
	case "txn.end":
		if t := m.txns[e.Step.Txn]; t != nil && len(e.Ops) > 0 {
			t.tried = true
			if e.Err == "" && e.Ops[0].Err == "" {
				t.ended = e.End
			}
		}
	}
}

// Open are the commits to a group of transactions that are, or may be, open from
// one time to another.
func (m *Model) Open(group string, from, to time.Time) []Pending {
	var out []Pending
	for _, t := range m.txns {
		if !t.ended.IsZero() && from.After(t.ended.Add(markers)) {
			continue
		}
		for _, p := range t.commits {
			if p.Group == group {
				p.Sure = !t.tried && to.Before(t.until)
				out = append(out, p)
			}
		}
	}
	return out
}
