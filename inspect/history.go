package inspect

import (
	"context"
	"iter"
	"slices"
	"time"

	"offsets/inspect/commitlog"
)

// Kinds of events in a group's history.
const (
	EventCommit       = "commit"
	EventTombstone    = "tombstone"     // a commit was deleted: expiry, a tool, or a deleted topic
	EventRebalance    = "rebalance"     // a new generation, with or without members
	EventGroupDeleted = "group_deleted" // or converted to another protocol
	EventTxnCommit    = "txn_commit"    // the marker that made a transactional commit count
	EventTxnAbort     = "txn_abort"
	EventTxnPending   = "txn_pending" // a commit of a transaction that was open at the end of what was read
)

// Signs that an event shows. They are what the log says, no more: it does not
// know who committed.
const (
	SignRewind          = "rewind"           // below what was committed before
	SignNoMembers       = "no_members"       // committed while the group had none: a tool, or assign()
	SignEpochDropped    = "epoch_dropped"    // the commit before had a leader epoch
	SignMetadataDropped = "metadata_dropped" // the commit before had metadata
	SignTransactional   = "transactional"
	// SignSuperseded: it did not count. The transaction committed when something
	// newer was committed already, or when a tombstone had dropped the commit.
	SignSuperseded = "superseded"
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
	// PreviousKnown: no record is missing that may have been between; then a nil
	// Previous means that there was no commit. Always false where nothing is
	// committed or deleted.
	PreviousKnown bool `json:"previous_known"`
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
//
// Compaction leaves gaps in the offsets. What was known before a gap may have
// changed in it: the commits that came before, and the members. Signs that need
// them are shown only where they are known.
type History struct {
	group string
	// Summary is complete when the events have been ranged over.
	Summary HistorySummary
	// CompleteSince is the time of the first record behind the last gap in the
	// log: what happened before may be missing.
	CompleteSince *string

	share bool                // it is a share group
	logs  map[int32]*groupLog // by log partition; -1 where files do not tell
	first time.Time
	prev  time.Time
}

// NewHistory returns the history of a group, without events.
func NewHistory(group string) *History { return &History{group: group, logs: map[int32]*groupLog{}} }

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
	id := int32(-1)
	if row.Partition != nil {
		id = *row.Partition
	}
	log := h.logs[id]
	// Of files that do not tell their partition each may be of another.
	if log == nil || row.Partition == nil && row.Offset < log.next {
		log = newGroupLog()
		h.logs[id] = log
	}
	if !log.step(row) {
		return nil
	}
	group, known := row.Record.Group()
	own := known && group == h.group
	log.own = log.own || own
	if log.own {
		h.CompleteSince = log.complete
	}
	var events []Event
	switch key, isCommit := row.Record.Key.(commitlog.OffsetCommitKey); {
	case row.Kind == string(commitlog.KindControl):
		events = log.marker(row)
	case own && isCommit:
		events = log.commit(row, TopicPartition{key.Topic, key.Partition})
	case own:
		h.share = h.stillShare(row)
		events = log.groupRecord(row)
	}
	return events
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
		if slices.Contains(e.Signs, SignSuperseded) {
			return
		}
		s.Commits++
		if slices.Contains(e.Signs, SignRewind) {
			s.Rewinds++
		}
		if h.first.IsZero() {
			h.first = at
		} else {
			silence := max(0, at.Sub(h.prev).Seconds()) // clocks differ
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
