package inspect

import (
	"slices"

	"offsets/inspect/commitlog"
	"offsets/inspect/commitlog/segment"
)

// groupLog is what one log partition has said of the group so far.
type groupLog struct {
	next     int64   // expected offset
	run      int64   // no offset is missing from here to next
	at       *string // the time of the last record that had one
	complete *string // the time of the first record of the run
	own      bool    // the group's records are in it

	// last are the commits in force, and tombstones, that no gap follows.
	last    map[TopicPartition]lastCommit
	pending map[int64][]pendingCommit // by producer id
	members memberCount
}

type lastCommit struct {
	value   *commitlog.OffsetCommitValue // nil: deleted
	offset  int64                        // of its record
	unknown bool                         // it may be another, or cannot be read
}

// pendingCommit is a commit of a transaction that may be open.
type pendingCommit struct {
	tp      TopicPartition
	value   *commitlog.OffsetCommitValue // nil: it cannot be read
	offset  int64                        // of its record
	dropped bool                         // by a tombstone, or by another commit of the same transaction
	alone   bool                         // the group had no members
}

func newGroupLog() *groupLog {
	g := &groupLog{last: map[TopicPartition]lastCommit{}, pending: map[int64][]pendingCommit{}}
	g.members.know() // nobody is in it before the first record
	return g
}

// step takes note of where a row lies, and when it was written; false for rows
// that say no more, and for those that were there before.
func (g *groupLog) step(row *LogRecord) bool {
	if row.Kind == string(commitlog.KindDamagedBatch) || row.Offset < g.next {
		return false // if it was a loss, the next offset shows it
	}
	at := row.Timestamp
	if v, ok := row.Record.Value.(*commitlog.OffsetCommitValue); ok && at == nil {
		at = nonEmpty(millisText(v.CommitTimestamp)) // message format v0 has no other
	}
	if row.Offset > g.next {
		g.run, g.complete = row.Offset, nil
		clear(g.last)
		g.members.forget()
	}
	g.next = row.Offset + 1
	if at != nil {
		g.at = at
	}
	if g.complete == nil {
		g.complete = at
	}
	return true
}

// event is at the time of the row; where that has none, of the one before.
func (g *groupLog) event(row *LogRecord, kind string) Event {
	e := Event{Event: kind, Signs: []string{}, LogPartition: row.Partition, LogOffset: row.Offset}
	if g.at != nil {
		e.Time = *g.at
	}
	return e
}

// before completes an event with what was committed before, and returns it; nil
// where there was nothing, or nobody knows.
func (g *groupLog) before(e *Event, tp TopicPartition) *commitlog.OffsetCommitValue {
	was, known := g.last[tp]
	e.Topic, e.Partition = &tp.Topic, &tp.Partition
	e.PreviousKnown = known && !was.unknown || !known && g.run == 0
	if was.value == nil || was.unknown {
		return nil
	}
	e.Previous = &was.value.Offset
	return was.value
}

func (g *groupLog) commit(row *LogRecord, tp TopicPartition) []Event {
	if row.Tombstone {
		e := g.event(row, EventTombstone)
		g.before(&e, tp)
		g.last[tp] = lastCommit{offset: row.Offset}
		for _, waiting := range g.pending {
			drop(waiting, tp)
		}
		return []Event{e}
	}
	v, _ := row.Record.Value.(*commitlog.OffsetCommitValue)
	commit := pendingCommit{tp: tp, value: v, offset: row.Offset, alone: g.members.none()}
	if row.Transaction == nil {
		return g.committed(g.event(row, EventCommit), commit)
	}
	producer := row.Transaction.ProducerID
	drop(g.pending[producer], tp)
	g.pending[producer] = append(g.pending[producer], commit)
	if row.Transaction.State != segment.Open || v == nil {
		return nil
	}
	e := g.event(row, EventTxnPending)
	g.before(&e, tp)
	e.take(v)
	e.Signs = append(e.Signs, SignTransactional)
	return []Event{e}
}

func drop(waiting []pendingCommit, tp TopicPartition) {
	for i := range waiting {
		waiting[i].dropped = waiting[i].dropped || waiting[i].tp == tp
	}
}

// take fills in what was committed.
func (e *Event) take(v *commitlog.OffsetCommitValue) {
	e.Committed, e.Metadata = &v.Offset, &v.Metadata
	if v.LeaderEpoch >= 0 {
		e.LeaderEpoch = &v.LeaderEpoch
	}
}

// committed is the event of a commit that counts from now on; none where it
// cannot be read.
func (g *groupLog) committed(e Event, w pendingCommit) []Event {
	was := g.before(&e, w.tp)
	// What is missing behind the record may have been newer.
	doubtful := w.offset < g.run
	g.last[w.tp] = lastCommit{w.value, w.offset, w.value == nil || doubtful}
	if w.value == nil {
		return nil
	}
	e.take(w.value)
	if was != nil && w.value.Offset < was.Offset {
		e.Signs = append(e.Signs, SignRewind)
	}
	if was != nil && was.LeaderEpoch >= 0 && w.value.LeaderEpoch < 0 {
		e.Signs = append(e.Signs, SignEpochDropped)
	}
	if was != nil && was.Metadata != "" && w.value.Metadata == "" {
		e.Signs = append(e.Signs, SignMetadataDropped)
	}
	if w.alone && !doubtful {
		e.Signs = append(e.Signs, SignNoMembers)
	}
	return []Event{e}
}

func (g *groupLog) marker(row *LogRecord) []Event {
	if row.Transaction == nil {
		return nil
	}
	waiting := g.pending[row.Transaction.ProducerID]
	delete(g.pending, row.Transaction.ProducerID)
	var out []Event
	for _, w := range waiting {
		out = append(out, g.decided(row, w)...)
	}
	for i := range out {
		out[i].Signs = append(out[i].Signs, SignTransactional)
	}
	return out
}

// decided is the event of a commit whose transaction ends.
func (g *groupLog) decided(row *LogRecord, w pendingCommit) []Event {
	kind, superseded := EventTxnAbort, false
	if row.Transaction.State == segment.Committed {
		kind, superseded = EventTxnCommit, w.dropped || g.last[w.tp].offset > w.offset
	}
	e := g.event(row, kind)
	switch {
	case kind == EventTxnCommit && !superseded:
		return g.committed(e, w)
	case w.value == nil:
		return nil
	case superseded:
		g.before(&e, w.tp)
		e.Signs = append(e.Signs, SignSuperseded)
	}
	e.Topic, e.Partition = &w.tp.Topic, &w.tp.Partition
	e.take(w.value)
	return []Event{e}
}

// groupRecord follows members and generations.
func (g *groupLog) groupRecord(row *LogRecord) []Event {
	g.members.note(row)
	if v, ok := row.Record.Value.(*commitlog.GroupMetadataValue); ok {
		n := len(v.Members)
		e := g.event(row, EventRebalance)
		e.Generation, e.Members = &v.Generation, &n
		return []Event{e}
	}
	if epoch := groupEpoch(row.Record.Value); epoch != nil {
		e := g.event(row, EventRebalance)
		e.Generation = epoch
		return []Event{e}
	}
	if row.Tombstone && isGroup(row.Record.Kind) {
		return []Event{g.event(row, EventGroupDeleted)}
	}
	return nil
}

// isGroup says whether a tombstone of the kind deletes a group as such, or
// converts it.
func isGroup(kind commitlog.Kind) bool {
	return slices.Contains([]commitlog.Kind{commitlog.KindGroupMetadata, "consumer_group_metadata", "share_group_metadata", "streams_group_metadata"}, kind)
}

// memberCount follows how many members a group has.
type memberCount struct {
	known   bool // what is counted is all
	classic int
	ids     map[string]bool // of a group that is not classic
}

// know: nobody is in it now.
func (m *memberCount) know() { *m = memberCount{known: true, ids: map[string]bool{}} }

// forget: what comes next may have changed it.
func (m *memberCount) forget() { *m = memberCount{ids: map[string]bool{}} }

func (m *memberCount) none() bool { return m.known && m.classic == 0 && len(m.ids) == 0 }

// note takes a record of the group. One of a classic group says all, and the end
// of a group, too: of a conversion the tombstone comes before what follows.
func (m *memberCount) note(row *LogRecord) {
	if v, ok := row.Record.Value.(*commitlog.GroupMetadataValue); ok {
		m.know()
		m.classic = len(v.Members)
		return
	}
	key, ok := row.Record.Key.(commitlog.MemberKey)
	switch {
	case row.Tombstone && isGroup(row.Record.Kind):
		m.know()
	case !ok || !isMember(row.Record.Kind):
		if row.Record.Kind == commitlog.KindGroupMetadata {
			m.forget() // its value cannot be read
		}
	case row.Tombstone:
		delete(m.ids, key.MemberID)
	default:
		m.ids[key.MemberID] = true
	}
}
