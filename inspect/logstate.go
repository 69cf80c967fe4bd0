package inspect

import (
	"cmp"
	"context"
	"iter"
	"maps"
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
	// Certain: no record that is missing in the log can make it untrue.
	Certain bool `json:"certain"`
	// DeletedSince: the commit was deleted after the time that is asked about,
	// maybe with its topic.
	DeletedSince bool `json:"-"`
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
	// ShareGroups are those of the wanted groups that the log shows to be share
	// groups: their start offsets are not in it.
	ShareGroups []string
	// Complete: of what is not listed it is certain that nothing was committed.
	// Else compaction may have taken away all records of a key.
	Complete bool

	logs []groupsOfLog
}

// groupsOfLog is which of the wanted groups one log partition has, and whether it
// is complete.
type groupsOfLog struct {
	groups   map[string]bool
	complete bool
}

// CompleteFor is Complete for one of the groups that were named in the filter: one
// that was found in a log partition is nowhere else.
func (s *LogState) CompleteFor(group string) bool {
	all, found := true, false
	for _, l := range s.logs {
		if l.groups[group] {
			if !l.complete {
				return false
			}
			found = true
		}
		all = all && l.complete
	}
	return len(s.logs) > 0 && (found || all)
}

// partitionState replays one log partition.
type partitionState struct {
	partition *int32
	place     *placement
	shares    sharesOf
	replay    *commitlog.Replay                        // nil when it is finished
	commits   map[commitlog.CommitKey]commitlog.Commit // of the groups wanted
	complete  bool
	since     int64 // ms
	any       bool  // since is valid
}

// finish decodes what is left, and counts it.
func (p *partitionState) finish(groups func(string) bool) int {
	p.commits, p.complete = p.replay.Commits(), p.replay.Complete()
	p.since, p.any = p.replay.Since()
	p.replay = nil
	if groups != nil {
		maps.DeleteFunc(p.commits, func(key commitlog.CommitKey, _ commitlog.Commit) bool { return !groups(key.Group) })
	}
	return len(p.commits)
}

// StateOptions says which state is wanted.
type StateOptions struct {
	// AsOf is the time; zero is the end of the log.
	AsOf time.Time
	// Groups are the names wanted; nil takes all.
	Groups func(string) bool
	// Filter may name partitions, and groups whose partitions alone are read.
	Filter LogFilter
	// Absent also lists keys of which it is certain that nothing was committed,
	// as far as the log has records of them.
	Absent bool
	// Problem is told of what could not be read.
	Problem func(error)
}

// State replays the live log into what was committed at a time, by the rules of
// [commitlog.Replay]: they say what of it is certain.
func (c *Cluster) State(ctx context.Context, o StateOptions) *LogState {
	return state(c.readLog(ctx, o.Filter, o.sinks()), o)
}

// StateOfFiles is State for segment files.
func StateOfFiles(ctx context.Context, paths []string, o StateOptions) *LogState {
	return state(readFiles(ctx, paths, o.Filter, o.sinks()), o)
}

func (o StateOptions) sinks() sinkMaker {
	asOf := int64(commitlog.AtTheEnd)
	if !o.AsOf.IsZero() {
		asOf = o.AsOf.UnixMilli()
	}
	return func(partition *int32, place *placement) sink {
		return &stateSink{&partitionState{partition: partition, place: place, replay: commitlog.NewReplay(asOf), shares: sharesOf{}}, o.Groups}
	}
}

func state(chunks iter.Seq[chunk], o StateOptions) *LogState {
	var parts []*partitionState
	failed := false
	for ch := range chunks {
		if ch.err != nil {
			failed = true
			o.Problem(ch.err)
		}
		if ch.replay != nil {
			parts = append(parts, ch.replay)
		}
	}
	s := conclude(parts, o)
	if failed { // what could not be read may have anything
		s.logs = append(s.logs, groupsOfLog{})
	}
	if len(o.Filter.OnlyGroups) == 1 {
		s.Complete = s.CompleteFor(o.Filter.OnlyGroups[0])
	}
	s.Complete = s.Complete && !failed
	return s
}

func (p *partitionState) apply(b *segment.Batch, r segment.Record) {
	r.Timestamp = writtenAt(r)
	if b.IsControl() {
		if m, err := segment.ParseMarker(r); err == nil && (m.Type == segment.CommitMarker || m.Type == segment.AbortMarker) {
			p.replay.Marker(b.ProducerID, m.Type == segment.CommitMarker, r.Offset, r.Timestamp)
		} else {
			p.replay.Place(r.Offset, r.Timestamp)
		}
		return
	}
	producer := int64(-1)
	if b.IsTransactional() {
		producer = b.ProducerID
	}
	p.shares.record(r.Key, r.Value)
	p.replay.Record(r.Key, r.Value, r.Offset, r.Timestamp, producer)
}

// conclude collects the partitions' states by group.
func conclude(parts []*partitionState, o StateOptions) *LogState {
	out := &LogState{Complete: true, ShareGroups: shareGroups(parts, o.Groups)}
	byGroup := map[string]*StateGroup{}
	for _, p := range parts {
		out.Complete = out.Complete && p.complete
		if len(o.Filter.OnlyGroups) > 0 {
			l := groupsOfLog{map[string]bool{}, p.complete}
			for key := range p.commits {
				l.groups[key.Group] = true
			}
			out.logs = append(out.logs, l)
		}
		if p.any {
			out.CompleteSince = append(out.CompleteSince, CompleteSince{p.partition, millisText(p.since)})
		}
		for key, c := range p.commits {
			p.place.check(key.Group, p.partition)
			if c.Absent && c.Certain && len(c.Pending) == 0 && !o.Absent {
				continue // certainly nothing
			}
			g := byGroup[key.Group]
			if g == nil {
				g = &StateGroup{Group: key.Group}
				byGroup[key.Group] = g
			}
			g.Partitions = append(g.Partitions, statePartition(key, c))
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

func millisText(ms int64) string { return time.UnixMilli(ms).UTC().Format(TimeFormat) }

func statePartition(key commitlog.CommitKey, c commitlog.Commit) StatePartition {
	row := StatePartition{Topic: key.Topic, Partition: key.Partition, Pending: []StatePending{}, Certain: c.Certain, DeletedSince: c.DeletedSince}
	for _, w := range c.Pending {
		if w.Value != nil {
			row.Pending = append(row.Pending, StatePending{Offset: w.Value.Offset, ProducerID: w.ProducerID, Since: millisText(w.Since)})
		}
	}
	slices.SortFunc(row.Pending, func(a, b StatePending) int { return cmp.Compare(a.ProducerID, b.ProducerID) })
	v := c.Value
	if v == nil {
		return row
	}
	at := millisText(v.CommitTimestamp)
	row.Committed, row.Metadata, row.CommitTime = &v.Offset, &v.Metadata, &at
	if v.LeaderEpoch >= 0 {
		row.LeaderEpoch = &v.LeaderEpoch
	}
	if v.TopicID != (commitlog.UUID{}) {
		row.TopicID = nonEmpty(v.TopicID.String())
	}
	return row
}
