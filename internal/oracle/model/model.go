// Package model holds what must be true, as far as it is more than the broker's
// answer of this moment: what was committed at any time of the script, and which
// records were ever written where.
//
// It learns from the observer's looks and from the recorder, never from the
// program. Between two looks that differ either state is right, and so a
// question about that time has several right answers.
package model

import (
	"time"

	"offsets/internal/oracle/record"
)

// Key is one committed offset.
type Key struct {
	Group string
	TP    record.TP
}

// Change is a state that a key took on, somewhere between From and To; nil is
// no commit.
type Change struct {
	From, To time.Time
	Commit   *record.Commit
}

// span is a time in which a group commits by itself; no end: still.
type span struct{ from, to time.Time }

// Model is what is known of one script.
type Model struct {
	changes map[Key][]Change
	last    *record.World
	busy    map[string][]span
	records map[string][]record.Record // of a topic's present life
	lives   map[string][]time.Time     // when a topic was deleted
	// pending are the keys of transactions that nobody has ended, cloudy those
	// whose topic or group was deleted meanwhile: 3.6 forgets what was pending without a
	// tombstone, so that the log and the coordinator differ from then on.
	pending map[int]map[Key]bool
	cloudy  map[Key]time.Time
	txns    map[int]*txn
	// Doubts are answers of the broker that are not what the operations
	// before them promised: faults of this model, or of Kafka.
	Doubts []string
}

// New returns a model that knows nothing yet.
func New() *Model {
	return &Model{changes: map[Key][]Change{}, busy: map[string][]span{}, records: map[string][]record.Record{}, lives: map[string][]time.Time{},
		pending: map[int]map[Key]bool{}, cloudy: map[Key]time.Time{}, txns: map[int]*txn{}}
}

// Before takes in what stood before a step.
func (m *Model) Before(e *record.Entry) {
	m.see(e.Before)
	if e.Step.Kind == "consume.start" {
		m.busy[e.Group] = append(m.busy[e.Group], span{from: e.Begin})
	}
}

// After takes in what a step did.
func (m *Model) After(e *record.Entry) {
	m.transaction(e)
	for _, op := range e.Ops {
		switch op.Kind {
		case "topic.delete":
			m.records[e.Topic] = nil
			m.lives[e.Topic] = append(m.lives[e.Topic], op.Begin)
			m.cloud(op.Begin, func(key Key) bool { return key.TP.Topic == e.Topic })
		case "txn.commit":
			if m.pending[op.Txn] == nil {
				m.pending[op.Txn] = map[Key]bool{}
			}
			m.pending[op.Txn][Key{op.Group, op.TP}] = true
		case "produce":
			m.records[op.TP.Topic] = append(m.records[op.TP.Topic], op.Records...)
		case "commit":
			m.promised(e, op)
		}
	}
	if e.Before != nil && e.After != nil {
		m.cloud(e.Begin, func(key Key) bool {
			_, had := e.Before.Groups[key.Group]
			_, has := e.After.Groups[key.Group]
			return had && !has
		})
	}
	m.see(e.After)
	if e.Step.Kind == "consume.stop" {
		spans := m.busy[e.Group]
		if n := len(spans); n > 0 && spans[n-1].to.IsZero() {
			spans[n-1].to = e.End
		}
	}
}

// cloud marks keys with a pending commit whose topic or group was deleted.
func (m *Model) cloud(at time.Time, gone func(Key) bool) {
	for _, keys := range m.pending {
		for key := range keys {
			if _, already := m.cloudy[key]; gone(key) && !already {
				m.cloudy[key] = at
			}
		}
	}
}

func (m *Model) promised(e *record.Entry, op record.Op) {
	if op.Err != "" || e.After == nil {
		return
	}
	if got, ok := e.After.Groups[op.Group].Commits[op.TP]; !ok || got.Offset != op.Commit.Offset {
		m.Doubts = append(m.Doubts, e.Step.String()+": "+op.Group+" "+op.TP.String()+" was committed and acknowledged, and is not there")
	}
}

func (m *Model) see(w *record.World) {
	if w == nil {
		return
	}
	from := w.Begin
	if m.last != nil {
		from = m.last.Begin
	}
	for key, all := range m.changes {
		if _, there := w.Groups[key.Group].Commits[key.TP]; !there && all[len(all)-1].Commit != nil {
			m.changes[key] = append(all, Change{From: from, To: w.End})
		}
	}
	for group, g := range w.Groups {
		for tp, c := range g.Commits {
			key := Key{group, tp}
			all := m.changes[key]
			if len(all) == 0 || all[len(all)-1].Commit == nil || *all[len(all)-1].Commit != c {
				m.changes[key] = append(all, Change{From: from, To: w.End, Commit: &c})
			}
		}
	}
	m.last = w
}

// At is what may have been committed at a time. known is false where the group
// committed by itself then.
func (m *Model) At(key Key, at time.Time) (possible []*record.Commit, known bool) {
	for _, s := range m.busy[key.Group] {
		if !at.Before(s.from) && (s.to.IsZero() || !at.After(s.to)) {
			return nil, false
		}
	}
	if since, ok := m.cloudy[key]; ok && !at.Before(since) {
		return nil, false
	}
	possible = []*record.Commit{nil}
	for _, c := range m.changes[key] {
		switch {
		case !c.To.After(at):
			possible = []*record.Commit{c.Commit}
		case !c.From.After(at):
			possible = append(possible, c.Commit)
		}
	}
	return possible, true
}

// Changes are all states that a key was ever seen in.
func (m *Model) Changes(key Key) []Change { return m.changes[key] }

// Cloudy says whether the log and the coordinator may differ on a key.
func (m *Model) Cloudy(key Key) bool {
	_, ok := m.cloudy[key]
	return ok
}

// Busy says whether the group ever committed by itself.
func (m *Model) Busy(group string) bool { return len(m.busy[group]) > 0 }

// Keys are a group's keys that ever had a commit.
func (m *Model) Keys(group string) []Key {
	var out []Key
	for k := range m.changes {
		if k.Group == group {
			out = append(out, k)
		}
	}
	return out
}

// Records are all records of a partition's present life that were ever
// produced, in the order of offsets; compaction and retention may have taken
// some away.
func (m *Model) Records(tp record.TP) []record.Record {
	var out []record.Record
	for _, r := range m.records[tp.Topic] {
		if r.TP == tp {
			out = append(out, r)
		}
	}
	return out
}

// Recreated says whether the topic was deleted after at.
func (m *Model) Recreated(topic string, at time.Time) bool {
	for _, t := range m.lives[topic] {
		if t.After(at) {
			return true
		}
	}
	return false
}
