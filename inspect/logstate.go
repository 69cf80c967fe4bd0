package inspect

import (
	"cmp"
	"iter"
	"slices"
	"time"

	"offsets/inspect/commitlog"
	"offsets/inspect/commitlog/segment"
)

// StateGroup is what one group had committed.
type StateGroup struct {
	Group      string           `json:"group"`
	Partitions []StatePartition `json:"partitions"`
}

// StatePartition is one committed offset, as the commit log tells it.
type StatePartition struct {
	Topic       string         `json:"topic"`
	Partition   int32          `json:"partition"`
	Committed   *int64         `json:"committed"` // nil: nothing known
	LeaderEpoch *int32         `json:"leader_epoch"`
	Metadata    *string        `json:"metadata"`
	CommitTime  *string        `json:"commit_time"`
	TopicID     *string        `json:"topic_id"`
	Pending     []StatePending `json:"pending"`
	// Certain: compaction cannot have taken away a record that matters.
	Certain bool `json:"certain"`
}

// StatePending is a commit of a transaction that was open.
type StatePending struct {
	Offset     int64  `json:"offset"`
	ProducerID int64  `json:"producer_id"`
	Since      string `json:"since"`
}

// CompleteSince is from when on a log partition has lost no record to
// compaction, as far as gaps in its offsets tell.
type CompleteSince struct {
	Partition *int32 `json:"partition"`
	Time      string `json:"time"`
}

// LogState is what was committed at a time.
type LogState struct {
	Groups        []StateGroup // sorted
	CompleteSince []CompleteSince
}

// partitionState replays one log partition up to a time, and watches the rest
// of it for what compaction may hide.
type partitionState struct {
	partition *int32
	replay    *commitlog.Replay
	next      int64 // expected offset
	complete  time.Time
	after     map[commitlog.CommitKey]bool // written again after the time
}

// State replays log rows (of all kinds, in log order) into what was committed
// at a time; the zero time is the end of the log. groups takes the names
// wanted; nil takes all. problem is told of rows that could not be read.
//
// At a time before the last gap in the offsets the log may have lost the record
// that counted: a key that was written again after the time is then uncertain.
func State(rows iter.Seq2[LogRecord, error], asOf time.Time, groups func(string) bool, problem func(error)) *LogState {
	byPartition := map[int32]*partitionState{}
	var order []*partitionState
	for row, err := range rows {
		if err != nil {
			problem(err)
			continue
		}
		id := int32(-1)
		if row.Partition != nil {
			id = *row.Partition
		}
		p := byPartition[id]
		if p == nil {
			p = &partitionState{partition: row.Partition, replay: commitlog.NewReplay(), next: -1, after: map[commitlog.CommitKey]bool{}}
			byPartition[id] = p
			order = append(order, p)
		}
		p.apply(&row, asOf, groups)
	}
	return conclude(order, asOf)
}

func (p *partitionState) apply(row *LogRecord, asOf time.Time, groups func(string) bool) {
	if row.Timestamp == nil {
		p.next = -1 // a damaged batch is a gap
		return
	}
	at, err := time.Parse(TimeFormat, *row.Timestamp)
	if err != nil {
		return // written by this package
	}
	if row.Offset != p.next {
		p.complete = at
	}
	p.next = row.Offset + 1
	key, isCommit := row.Record.Key.(commitlog.OffsetCommitKey)
	if isCommit && groups != nil && !groups(key.Group) {
		return
	}
	if !asOf.IsZero() && at.After(asOf) {
		if isCommit {
			p.after[commitlog.CommitKey(key)] = true
		}
		return
	}
	producer := int64(-1)
	if row.Transaction != nil {
		producer = row.Transaction.ProducerID
	}
	if row.Kind == string(commitlog.KindControl) {
		if row.Transaction != nil {
			p.replay.Marker(producer, row.Transaction.State == segment.Committed, at.UnixMilli())
		}
		return
	}
	p.replay.Record(&row.Record, row.Offset, at.UnixMilli(), producer)
}

// conclude collects the partitions' states by group.
func conclude(parts []*partitionState, asOf time.Time) *LogState {
	out := &LogState{}
	byGroup := map[string]*StateGroup{}
	add := func(key commitlog.CommitKey, row StatePartition) {
		g := byGroup[key.Group]
		if g == nil {
			g = &StateGroup{Group: key.Group}
			byGroup[key.Group] = g
		}
		row.Topic, row.Partition = key.Topic, key.Partition
		g.Partitions = append(g.Partitions, row)
	}
	for _, p := range parts {
		if !p.complete.IsZero() {
			out.CompleteSince = append(out.CompleteSince, CompleteSince{p.partition, p.complete.UTC().Format(TimeFormat)})
		}
		incomplete := !asOf.IsZero() && asOf.Before(p.complete)
		pending := p.replay.Pending()
		keys := map[commitlog.CommitKey]bool{}
		for key := range p.replay.Committed() {
			keys[key] = true
		}
		for key := range pending {
			keys[key] = true
		}
		if incomplete {
			for key := range p.after {
				keys[key] = true
			}
		}
		for key := range keys {
			add(key, statePartition(p, key, pending[key], !incomplete || !p.after[key]))
		}
	}
	for _, g := range byGroup {
		slices.SortFunc(g.Partitions, func(a, b StatePartition) int {
			return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
		})
		out.Groups = append(out.Groups, *g)
	}
	slices.SortFunc(out.Groups, func(a, b StateGroup) int { return cmp.Compare(a.Group, b.Group) })
	return out
}

func statePartition(p *partitionState, key commitlog.CommitKey, pending []commitlog.Pending, certain bool) StatePartition {
	row := StatePartition{Pending: []StatePending{}, Certain: certain}
	millis := func(ms int64) string { return time.UnixMilli(ms).UTC().Format(TimeFormat) }
	for _, w := range pending {
		row.Pending = append(row.Pending, StatePending{Offset: w.Offset, ProducerID: w.ProducerID, Since: millis(w.Since)})
	}
	slices.SortFunc(row.Pending, func(a, b StatePending) int { return cmp.Compare(a.ProducerID, b.ProducerID) })
	c, ok := p.replay.Committed()[key]
	if !ok {
		return row
	}
	at := millis(c.CommitTimestamp)
	row.Committed, row.Metadata, row.CommitTime = &c.Offset, &c.Metadata, &at
	if c.LeaderEpoch >= 0 {
		row.LeaderEpoch = &c.LeaderEpoch
	}
	if c.TopicID != (commitlog.UUID{}) {
		row.TopicID = nonEmpty(c.TopicID.String())
	}
	return row
}
