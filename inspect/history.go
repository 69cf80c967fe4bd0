package inspect

import (
	"context"
	"iter"
	"slices"
	"time"

	"offsets/inspect/commitlog"
	"offsets/inspect/commitlog/segment"
)

// Kinds of events in a group's history.
const (
	EventCommit       = "commit"
	EventTombstone    = "tombstone"     // a commit was deleted: expiry, a tool, or a deleted topic
	EventRebalance    = "rebalance"     // a new generation, with or without members
	EventGroupDeleted = "group_deleted" // or converted to another protocol
	EventTxnCommit    = "txn_commit"    // the marker that made a transactional commit count
	EventTxnAbort     = "txn_abort"
)

// Signs that an event shows. They are what the log says, no more: it does not
// know who committed.
const (
	SignRewind          = "rewind"           // below what was committed before
	SignNoMembers       = "no_members"       // committed while the group had none: a tool, or assign()
	SignEpochDropped    = "epoch_dropped"    // the commit before had a leader epoch
	SignMetadataDropped = "metadata_dropped" // the commit before had metadata
	SignTransactional   = "transactional"
)

// Event is one thing that happened to a group.
type Event struct {
	Time        string   `json:"time"`
	Event       string   `json:"event"`
	Topic       *string  `json:"topic"`
	Partition   *int32   `json:"partition"`
	Committed   *int64   `json:"committed"`
	Previous    *int64   `json:"previous"`
	Metadata    *string  `json:"metadata"`
	LeaderEpoch *int32   `json:"leader_epoch"`
	Generation  *int32   `json:"generation"` // of a rebalance
	Members     *int     `json:"members"`    // after a rebalance; nil where the record does not say
	Signs       []string `json:"signs"`
	// LogPartition and LogOffset are where the log says so.
	LogPartition *int32 `json:"log_partition"`
	LogOffset    int64  `json:"log_offset"`
}

// HistorySummary is a history in numbers.
type HistorySummary struct {
	Commits          int      `json:"commits"`
	CommitsPerMinute *float64 `json:"commits_per_minute"` // nil for fewer than two
	LongestSilence   *float64 `json:"longest_silence_seconds"`
	Rewinds          int      `json:"rewinds"`
	Rebalances       int      `json:"rebalances"`
	LastCommit       *string  `json:"last_commit"`
}

// History follows one group through the commit log.
type History struct {
	group string
	// Summary is complete when the events have been ranged over.
	Summary HistorySummary
	// CompleteSince is the time of the first record behind the last gap in the
	// log: what happened before may be missing.
	CompleteSince *string

	last    map[TopicPartition]*commitlog.OffsetCommitValue
	pending map[int64][]pendingEvent
	members map[string]bool // of a group that is not classic
	share   bool            // it is a share group
	// count of members of a classic group; nil while the log has not said.
	count *int
	logs  map[int32]*logPosition // by log partition; -1 where files do not tell
	first time.Time
	prev  time.Time
}

// logPosition is how far one log partition was followed, and since when it has
// no gap.
type logPosition struct {
	next     int64 // expected offset; -1: any
	complete *string
	own      bool // the group's records are in it
}

type pendingEvent struct {
	tp    TopicPartition
	value *commitlog.OffsetCommitValue
}

// NewHistory returns the history of a group, without events.
func NewHistory(group string) *History {
	return &History{group: group, last: map[TopicPartition]*commitlog.OffsetCommitValue{}, pending: map[int64][]pendingEvent{}, members: map[string]bool{}, logs: map[int32]*logPosition{}}
}

// Events turns rows of the log, in order, into the group's events. Errors are
// passed on.
func (h *History) Events(rows iter.Seq2[LogRecord, error]) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		for row, err := range rows {
			if err != nil {
				if !yield(Event{}, err) {
					return
				}
				continue
			}
			for _, e := range h.row(&row) {
				h.sum(&e)
				if !yield(e, nil) {
					return
				}
			}
		}
	}
}

// History reads a group's history from the live log: from the group's own
// partition, whole, or from all if it is not there. With follow it goes on at
// the end.
func (c *Cluster) History(ctx context.Context, h *History, follow bool, misplaced func(Misplaced)) iter.Seq2[Event, error] {
	own := LogFilter{OnlyGroups: []string{h.group}, Follow: follow, Misplaced: func(m Misplaced) {
		if m.Group == h.group {
			misplaced(m)
		}
	}}
	return func(yield func(Event, error) bool) {
		events := 0
		for e, err := range h.Events(c.ReadLog(ctx, own)) {
			events++
			if !yield(e, err) {
				return
			}
		}
		if events > 0 || follow || ctx.Err() != nil {
			return
		}
		all := own
		all.OnlyGroups = nil
		h.Events(c.ReadLog(ctx, all))(yield)
	}
}

// HistoryOfFiles reads a group's history from segment files.
func HistoryOfFiles(ctx context.Context, paths []string, h *History) iter.Seq2[Event, error] {
	return h.Events(ReadLogFiles(ctx, paths, LogFilter{}))
}

func (h *History) row(row *LogRecord) []Event {
	log := h.log(row)
	at := row.Timestamp
	if v, ok := row.Record.Value.(*commitlog.OffsetCommitValue); ok && at == nil {
		at = nonEmpty(millisText(v.CommitTimestamp)) // message format v0 has no other
	}
	if at == nil {
		log.next = -1
		return nil
	}
	if row.Offset != log.next {
		log.complete = at
	}
	log.next = row.Offset + 1
	if group, known := row.Record.Group(); known && group == h.group {
		log.own = true
	}
	if log.own {
		h.CompleteSince = log.complete
	}
	event := func(kind string) Event {
		return Event{Time: *at, Event: kind, Signs: []string{}, LogPartition: row.Partition, LogOffset: row.Offset}
	}
	if row.Kind == string(commitlog.KindControl) {
		return h.marker(row, event)
	}
	group, known := row.Record.Group()
	if !known || group != h.group {
		return nil
	}
	if key, ok := row.Record.Key.(commitlog.OffsetCommitKey); ok {
		return h.commit(row, TopicPartition{key.Topic, key.Partition}, event)
	}
	return h.groupRecord(row, event)
}

func (h *History) log(row *LogRecord) *logPosition {
	id := int32(-1)
	if row.Partition != nil {
		id = *row.Partition
	}
	if h.logs[id] == nil {
		h.logs[id] = &logPosition{next: -1}
	}
	return h.logs[id]
}

func (h *History) commit(row *LogRecord, tp TopicPartition, event func(string) Event) []Event {
	if row.Tombstone {
		e := event(EventTombstone)
		e.Topic, e.Partition = &tp.Topic, &tp.Partition
		if was := h.last[tp]; was != nil {
			e.Previous = &was.Offset
		}
		delete(h.last, tp)
		return []Event{e}
	}
	v, ok := row.Record.Value.(*commitlog.OffsetCommitValue)
	if !ok {
		return nil
	}
	if row.Transaction != nil {
		h.pending[row.Transaction.ProducerID] = append(h.pending[row.Transaction.ProducerID], pendingEvent{tp, v})
		return nil
	}
	return []Event{h.committed(event(EventCommit), tp, v)}
}

// committed completes the event of a commit that counts from now on.
func (h *History) committed(e Event, tp TopicPartition, v *commitlog.OffsetCommitValue) Event {
	e.Topic, e.Partition, e.Committed, e.Metadata = &tp.Topic, &tp.Partition, &v.Offset, &v.Metadata
	if v.LeaderEpoch >= 0 {
		e.LeaderEpoch = &v.LeaderEpoch
	}
	if was := h.last[tp]; was != nil {
		e.Previous = &was.Offset
		if v.Offset < was.Offset {
			e.Signs = append(e.Signs, SignRewind)
		}
		if was.LeaderEpoch >= 0 && v.LeaderEpoch < 0 {
			e.Signs = append(e.Signs, SignEpochDropped)
		}
		if was.Metadata != "" && v.Metadata == "" {
			e.Signs = append(e.Signs, SignMetadataDropped)
		}
	}
	if len(h.members) == 0 && (h.count == nil || *h.count == 0) {
		e.Signs = append(e.Signs, SignNoMembers)
	}
	h.last[tp] = v
	return e
}

func (h *History) marker(row *LogRecord, event func(string) Event) []Event {
	if row.Transaction == nil {
		return nil
	}
	waiting := h.pending[row.Transaction.ProducerID]
	delete(h.pending, row.Transaction.ProducerID)
	var out []Event
	for _, w := range waiting {
		e := event(EventTxnAbort)
		if row.Transaction.State == segment.Committed {
			e = h.committed(event(EventTxnCommit), w.tp, w.value)
		} else {
			e.Topic, e.Partition, e.Committed, e.Metadata = &w.tp.Topic, &w.tp.Partition, &w.value.Offset, &w.value.Metadata
		}
		e.Signs = append(e.Signs, SignTransactional)
		out = append(out, e)
	}
	return out
}

// groupRecord follows members and generations.
func (h *History) groupRecord(row *LogRecord, event func(string) Event) []Event {
	switch v := row.Record.Value.(type) {
	case *commitlog.GroupMetadataValue:
		n := len(v.Members)
		h.count = &n
		e := event(EventRebalance)
		e.Generation, e.Members = &v.Generation, &n
		return []Event{e}
	}
	h.share = h.stillShare(row)
	if epoch := groupEpoch(row.Record.Value); epoch != nil {
		e := event(EventRebalance)
		e.Generation = epoch
		return []Event{e}
	}
	if key, ok := row.Record.Key.(commitlog.MemberKey); ok && isMember(row.Record.Kind) {
		if row.Tombstone {
			delete(h.members, key.MemberID)
		} else {
			h.members[key.MemberID] = true
		}
	}
	gone := []commitlog.Kind{commitlog.KindGroupMetadata, "consumer_group_metadata", "share_group_metadata", "streams_group_metadata"}
	if row.Tombstone && slices.Contains(gone, row.Record.Kind) {
		h.count = nil
		return []Event{event(EventGroupDeleted)}
	}
	return nil
}

// sum keeps the numbers.
func (h *History) sum(e *Event) {
	at, err := time.Parse(TimeFormat, e.Time)
	if err != nil {
		return // written by this package
	}
	s := &h.Summary
	switch e.Event {
	case EventRebalance:
		s.Rebalances++
	case EventCommit, EventTxnCommit:
		s.Commits++
		if slices.Contains(e.Signs, SignRewind) {
			s.Rewinds++
		}
		if h.first.IsZero() {
			h.first = at
		} else {
			silence := at.Sub(h.prev).Seconds()
			if s.LongestSilence == nil || silence > *s.LongestSilence {
				s.LongestSilence = &silence
			}
		}
		h.prev = at
		s.LastCommit = &e.Time
		if minutes := at.Sub(h.first).Minutes(); minutes > 0 {
			rate := float64(s.Commits) / minutes
			s.CommitsPerMinute = &rate
		}
	}
}
