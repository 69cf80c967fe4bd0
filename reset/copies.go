package reset

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"time"

	"offsets/inspect"
)

// Export is what groups have committed, with what another place needs to find
// it again.
type Export struct {
	Format     string          `json:"format"` // exportFormat
	Version    int             `json:"version"`
	ClusterID  string          `json:"cluster_id"`
	ExportedAt string          `json:"exported_at"`
	Groups     []ExportedGroup `json:"groups"`
}

// What an export says that it is.
const (
	ExportFormat  = "offsets-export"
	ExportVersion = 1
)

// ExportedGroup is one group's commits.
type ExportedGroup struct {
	Group        string              `json:"group"`
	Type         string              `json:"type"`
	State        string              `json:"state"`
	ProtocolType string              `json:"protocol_type"`
	Partitions   []ExportedPartition `json:"partitions"`
}

// ExportedPartition is one commit.
type ExportedPartition struct {
	Topic       string  `json:"topic"`
	TopicID     *string `json:"topic_id"`
	Partition   int32   `json:"partition"`
	Committed   *int64  `json:"committed"` // nil: could not be read, see error
	LeaderEpoch *int32  `json:"leader_epoch"`
	Metadata    *string `json:"metadata"`
	CommitTime  *string `json:"commit_time"` // nil: not found in the commit log
	LogStart    *int64  `json:"log_start"`
	LogEnd      *int64  `json:"log_end"`
	LastStable  *int64  `json:"last_stable"`
	// TimestampBefore is the time of the last record below committed,
	// TimestampAfter of the first at or above it; nil where there is none, or
	// where it was not found.
	TimestampBefore *string `json:"timestamp_before"`
	TimestampAfter  *string `json:"timestamp_after"`
	Error           *string `json:"error"`
	// ByTime is where --translate-by time leads in this very log: to committed,
	// or before it where the timestamps do not tell more. nil where that was not
	// looked up.
	ByTime *int64 `json:"by_time"`

	status inspect.Status
}

// Problem is why the commit, or the log's ends, could not be read.
func (p *ExportedPartition) Problem(group string) inspect.Problem {
	return inspect.ProblemOf(group, &inspect.Partition{Topic: p.Topic, Partition: p.Partition, Status: p.status}, errors.New(text(p.Error)))
}

// ExportOptions says what to look up beyond the commits.
type ExportOptions struct {
	// CommitTimes are read from the commit log.
	CommitTimes bool
	// Times of the records next to the commits are read from the topics.
	Times bool
	// Topics selects; none means all that have a commit.
	Topics []TopicSelection
	// Problem is told what could not be looked up; the commits are there all the
	// same. nil does not want to know.
	Problem func(inspect.Problem)
}

// Limits of what is looked up together, and in memory, in groups and rows.
const (
	exportGroupsAtOnce = 1000
	exportRowsAtOnce   = 50_000
)

// Export reads what described groups have committed, some hundred groups at a
// time, in their order. It ends at the first error of groups.
func (c *Changer) Export(ctx context.Context, groups iter.Seq2[inspect.Group, error], o ExportOptions) iter.Seq2[ExportedGroup, error] {
	return func(yield func(ExportedGroup, error) bool) {
		var batch []ExportedGroup
		rows := 0
		done := func() bool {
			err := c.lookUp(ctx, batch, o)
			for i := range batch {
				if err == nil && !yield(batch[i], nil) {
					return false
				}
			}
			if err != nil {
				yield(ExportedGroup{}, err)
			}
			batch, rows = nil, 0
			return err == nil
		}
		for g, err := range groups {
			if err != nil {
				if done() {
					yield(ExportedGroup{}, err)
				}
				return
			}
			x := exported(g, o)
			batch, rows = append(batch, x), rows+len(x.Partitions)
			if (len(batch) == exportGroupsAtOnce || rows >= exportRowsAtOnce) && !done() {
				return
			}
		}
		done()
	}
}

// exported is a group without its times.
func exported(g inspect.Group, o ExportOptions) ExportedGroup {
	out := ExportedGroup{Group: g.Group, Type: g.Type, State: g.State, ProtocolType: g.ProtocolType, Partitions: []ExportedPartition{}}
	for i := range g.Partitions {
		row := &g.Partitions[i]
		failed := row.Committed == nil && row.Error != nil
		if row.Committed == nil && !failed || len(o.Topics) > 0 && !selects(o.Topics, row.Topic, row.Partition) {
			continue
		}
		out.Partitions = append(out.Partitions, ExportedPartition{
			Topic: row.Topic, TopicID: row.TopicID, Partition: row.Partition, Committed: row.Committed, LeaderEpoch: row.LeaderEpoch, Metadata: row.Metadata,
			LogStart: row.LogStart, LogEnd: row.LogEnd, LastStable: row.LastStable, Error: row.Error, status: row.Status,
		})
	}
	return out
}

// lookUp fills in the times of some groups; its error is that of the context.
func (c *Changer) lookUp(ctx context.Context, groups []ExportedGroup, o ExportOptions) error {
	problem := func(what string, err error) {
		if o.Problem != nil && ctx.Err() == nil { // else that is all there is to say
			o.Problem(inspect.Problem{What: what, Error: err.Error(), Err: err})
		}
	}
	if o.CommitTimes {
		var names []string
		for i := range groups {
			if groups[i].Type != inspect.Share {
				names = append(names, groups[i].Group)
			}
		}
		state, _, failed := c.stateOf(ctx, names, time.Time{})
		for _, err := range failed {
			problem("times of commits", err)
		}
		for i := range groups {
			groups[i].commitTimes(state[groups[i].Group])
		}
	}
	if o.Times {
		if err := c.recordTimes(ctx, groups, problem); err != nil {
			problem("times of records", err)
		}
	}
	return context.Cause(ctx)
}

func (g *ExportedGroup) commitTimes(state map[inspect.TopicPartition]inspect.StatePartition) {
	for i := range g.Partitions {
		p := &g.Partitions[i]
		// The log was read after the commit: only if it says the same does its
		// time belong to it.
		if was, ok := state[p.place()]; ok && equal(was.Committed, p.Committed) {
			p.CommitTime = was.CommitTime
		}
	}
}

func (p *ExportedPartition) place() inspect.TopicPartition {
	return inspect.TopicPartition{Topic: p.Topic, Partition: p.Partition}
}

// recordTimes reads the records next to all the groups' commits together: many
// groups are often at the same places.
func (c *Changer) recordTimes(ctx context.Context, groups []ExportedGroup, problem func(string, error)) error {
	var places []inspect.Place
	for i := range groups {
		for j := range groups[i].Partitions {
			if place, ok := groups[i].Partitions[j].readAt(); ok {
				places = append(places, place)
			}
		}
	}
	times, err := c.cluster.TimesAround(ctx, places)
	if err != nil {
		return err
	}
	var rows []timedPlace
	var of []*ExportedPartition
	for i := range groups {
		var failed []error
		for j := range groups[i].Partitions {
			p := &groups[i].Partitions[j]
			place, ok := p.readAt()
			if !ok {
				continue
			}
			a := times[place]
			p.TimestampBefore, p.TimestampAfter = timeText(a.Before), timeText(a.After)
			if a.Err != nil {
				failed = append(failed, fmt.Errorf("%s-%d: %w", p.Topic, p.Partition, a.Err))
				continue
			}
			rows, of = append(rows, timedPlace{place.TopicPartition, neighbours{known(a.Before), known(a.After)}}), append(of, p)
		}
		if err := errors.Join(failed...); err != nil {
			problem("group "+groups[i].Group, fmt.Errorf("times of records of group %s: %w", groups[i].Group, err))
		}
	}
	found, err := c.placesByTime(ctx, rows, exportTimesAtOnce)
	if err != nil {
		return err
	}
	for i, at := range found {
		if at.err == nil {
			of[i].ByTime = &at.offset
		}
	}
	return nil
}

// exportTimesAtOnce is for how many times a partition is asked where an export
// leads by time: each is a request. What is left out has no by_time.
const exportTimesAtOnce = 20

// readAt is where the records of a commit are.
func (p *ExportedPartition) readAt() (place inspect.Place, ok bool) {
	if p.Committed == nil || p.LogStart == nil || p.LogEnd == nil {
		return place, false
	}
	return inspect.Place{TopicPartition: p.place(), Offset: min(*p.Committed, *p.LogEnd), LogStart: *p.LogStart, LogEnd: *p.LogEnd}, true
}

// known: records of the oldest format have no time, which is below 0.
func known(ms *int64) *int64 {
	if ms == nil || *ms < 0 {
		return nil
	}
	return ms
}

func timeText(ms *int64) *string {
	if ms = known(ms); ms == nil {
		return nil
	}
	return ptr(time.UnixMilli(*ms).UTC().Format(inspect.TimeFormat))
}

// ReadExport reads what export wrote: its JSON, or the CSV of Kafka's tool, of
// which lines without a group are the given group's.
func ReadExport(text []byte, group string) (*Export, error) {
	if trimmed := bytes.TrimSpace(text); len(trimmed) == 0 || trimmed[0] != '{' {
		return exportOfCSV(text, group)
	}
	var e Export
	if err := json.Unmarshal(text, &e); err != nil {
		return nil, fmt.Errorf("not an export: %w", err)
	}
	if err := checkFormat("an export", e.Format, ExportFormat, e.Version, ExportVersion); err != nil {
		return nil, err
	}
	for _, g := range e.Groups {
		seen := map[inspect.TopicPartition]bool{}
		for i := range g.Partitions {
			p := &g.Partitions[i]
			switch {
			case p.Topic == "" || p.Partition < 0 || p.Committed != nil && *p.Committed < 0:
				return nil, fmt.Errorf("group %s, %s-%d: no such partition or offset", g.Group, p.Topic, p.Partition)
			case seen[p.place()]:
				return nil, fmt.Errorf("group %s, %s-%d: it is there twice", g.Group, p.Topic, p.Partition)
			}
			seen[p.place()] = true
		}
	}
	return &e, nil
}

func exportOfCSV(text []byte, group string) (*Export, error) {
	rows, err := ReadCSV(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	e := &Export{}
	index := map[string]int{}
	for _, r := range rows {
		name := r.Group
		if name == "" {
			name = group
		}
		if name == "" {
			return nil, errors.New("the file does not name a group: say --group")
		}
		i, known := index[name]
		if !known {
			i = len(e.Groups)
			index[name] = i
			e.Groups = append(e.Groups, ExportedGroup{Group: name})
		}
		e.Groups[i].Partitions = append(e.Groups[i].Partitions, ExportedPartition{Topic: r.Topic, Partition: r.Partition, Committed: &r.Offset})
	}
	return e, nil
}

// Copy says what commits of a described group another one shall have.
func Copy(from inspect.Group, topics []TopicSelection) (out []Wanted) {
	for i := range from.Partitions {
		row := &from.Partitions[i]
		if row.Committed == nil || len(topics) > 0 && !selects(topics, row.Topic, row.Partition) {
			continue
		}
		out = append(out, Wanted{
			TopicPartition: inspect.TopicPartition{Topic: row.Topic, Partition: row.Partition}, TopicID: row.TopicID,
			Commit: commitOf(row.Committed, row.LeaderEpoch, row.Metadata),
		})
	}
	return out
}
