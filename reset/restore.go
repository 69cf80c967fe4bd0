package reset

import (
	"fmt"
	"strings"

	"offsets/inspect"
)

// Wanted is a commit that shall be there: one that was there before, or that
// another group or cluster has.
type Wanted struct {
	inspect.TopicPartition
	// TopicID is the topic's that the commit belongs to; nil: not known.
	TopicID *string
	// Commit is nil where there shall be none.
	Commit *inspect.Commit
	// Expect, if set, is what must be committed now; else somebody has moved
	// the group since.
	Expect *Expected
	// Again writes it also where it is there: an earlier write of something else
	// may take effect yet.
	Again bool
	// Error is why there is no commit to be had; Note is what to know of it.
	Error, Note string
	// Code is the one of Error.
	Code inspect.Code
	// Unsharp: the place was found by time, where that does not tell what was
	// read from what was not, so that records are read again: ReadAgain of them
	// (nil: not known).
	Unsharp   bool
	ReadAgain *int64
}

// Expected is what a change has left behind.
type Expected struct {
	// Either of these: a change that was interrupted may not have written.
	Commits []*inspect.Commit // nil element: no commit
}

func (e *Expected) matches(c *Change) bool {
	for _, want := range e.Commits {
		switch {
		case want == nil && c.From == nil:
			return true
		case want == nil || c.From == nil:
		case *c.From == want.Offset && text(c.FromMetadata) == want.Metadata:
			return true
		}
	}
	return false
}

func (e *Expected) String() string {
	s := ""
	for i, c := range e.Commits {
		if i > 0 {
			s += " or "
		}
		if c == nil {
			s += "nothing"
		} else {
			s += fmt.Sprint(c.Offset)
		}
	}
	return s
}

// RestoreOptions says how commits are put in place.
type RestoreOptions struct {
	Kind Kind
	// Type is that of the group that the commits were of; "" is not known. A
	// share group's start offsets are put back into a share group only.
	Type string
	// SameCluster: the commits come from this cluster, so that their leader
	// epochs may mean something.
	SameCluster bool
	// Outside puts commits back also where they lie outside of the log, and
	// leaves alone what is gone.
	Outside bool
	// EvenIfMoved overwrites what somebody has committed since.
	EvenIfMoved  bool
	Clamp, Touch bool
}

// Restore plans to put commits in place. epochEnds are where the commits'
// leader epochs ended, as far as leaders know them.
func Restore(g inspect.Group, wanted []Wanted, o RestoreOptions, epochEnds map[inspect.TopicPartition]int64) Plan {
	g = asType(g, o.Type)
	p := newPlan(g, o.Kind)
	p.refuseOtherType(o.Type)
	if g.Type == inspect.Share && o.Kind != KindUndo {
		o.Touch = true // what was acknowledged above the start offset is to come again
	}
	rows := map[inspect.TopicPartition]*inspect.Partition{}
	for i := range g.Partitions {
		row := &g.Partitions[i]
		rows[inspect.TopicPartition{Topic: row.Topic, Partition: row.Partition}] = row
	}
	var unsharp []inspect.TopicPartition
	again, known := int64(0), true
	for i := range wanted {
		w := &wanted[i]
		if w.Unsharp {
			unsharp = append(unsharp, w.TopicPartition)
			known = known && w.ReadAgain != nil
			if w.ReadAgain != nil {
				again = saturated(again, *w.ReadAgain)
			}
		}
		row := rows[w.TopicPartition]
		if row == nil {
			row = &inspect.Partition{Topic: w.Topic, Partition: w.Partition, Status: inspect.TopicGone}
		}
		c := p.newChange(row)
		c.seen(row)
		if w.Note != "" {
			c.note("%s", w.Note)
		}
		if w.Unsharp {
			c.warned = append(c.warned, Reason{Code: CodeInexactTime, Severity: Warning, Message: w.Note})
		}
		end, epochKnown := epochEnds[w.TopicPartition]
		c.restore(row, w, o, end, epochKnown)
		p.Partitions = append(p.Partitions, c)
	}
	p.keepSiblings(holders(g))
	p.warnOfNoWayBack(holders(g))
	if len(unsharp) > 0 {
		number := "records that were read are read again"
		if known {
			number = fmt.Sprintf("%d offsets that were read are read again", again)
		}
		p.warn(CodeInexactTime, "timestamps do not tell what was read from what was not: %s; %s", inspect.Fold(unsharp), number)
	}
	if o.Kind == KindUndo {
		p.undoes()
	}
	p.finish()
	return p
}

// undoes holds an undo against what was asked for: who gets nothing back must
// not take it for done.
func (p *Plan) undoes() {
	left := p.NotPutBack()
	switch {
	case len(left) == 0:
	case len(left) == len(p.Partitions):
		p.refuse(CodeNothingToUndo, "nothing can be put back: %s", strings.Join(Told(left), "; "))
	default:
		p.warn(CodePartlyUndone, "not all can be put back: %s", strings.Join(Told(left), "; "))
	}
}

// NotPutBack are the reasons for partitions that an undo leaves alone, because
// what it would put back has no place any more.
func (p *Plan) NotPutBack() (out []Reason) {
	if p.Kind != KindUndo {
		return nil
	}
	for i := range p.Partitions {
		for _, r := range p.Partitions[i].reasons() {
			if r.Severity == Warning && (r.Code == inspect.CodeTopicGone || r.Code == CodeTopicRecreated) {
				out = append(out, r)
				break
			}
		}
	}
	return out
}

func (c *Change) restore(row *inspect.Partition, w *Wanted, o RestoreOptions, epochEnd int64, epochKnown bool) {
	recreated := w.TopicID != nil && row.TopicID != nil && *w.TopicID != *row.TopicID
	switch {
	case row.Status == inspect.TopicGone && !o.Outside && w.Code != CodeNotExported:
		c.fail(inspect.CodeTopicGone, "%s", notHere(row))
		c.failedAs.general = "no such topic or partition in this cluster: create it first"
		return
	case w.Error != "":
		c.fail(w.Code, "%s", w.Error)
		return
	case row.Status == inspect.TopicGone && o.Outside:
		c.warn(inspect.CodeTopicGone, "the topic is gone: left alone")
		return
	case recreated && o.Outside:
		c.warn(CodeTopicRecreated, "the topic was deleted and created again: left alone")
		return
	case recreated:
		c.fail(CodeTopicRecreated, "it is another topic of that name: --translate-by time finds the place, --translate-by offset takes the number as it is")
		return
	case w.Expect != nil && !o.EvenIfMoved && !w.Expect.matches(c):
		c.fail(CodeMovedSince, "committed is %s now, where the change left %s: somebody has moved it since (--even-if-moved overrides)", show(c.From), w.Expect)
		return
	case w.Commit == nil && c.From == nil:
		c.note("no %s, as before", c.what())
		return
	case w.Commit == nil:
		c.Action = ActionDelete
		c.note("deletes the %s: there was none before", c.what())
		return
	}
	if !c.readable(row) {
		return
	}
	to := *w.Commit
	if to.LeaderEpoch >= 0 {
		if why := epochDropped(row, w, o, epochEnd, epochKnown); why != "" {
			c.warn(CodeEpochDropped, "without its leader epoch %d: %s", to.LeaderEpoch, why)
			to.LeaderEpoch = -1
		}
	}
	c.aim(row, to, limits{clamp: o.Clamp, outside: o.Outside, touch: o.Touch || w.Again, exact: true})
	if w.Again && c.Action == ActionWrite && equal(c.From, c.To) {
		c.note("written again, because the change may take effect yet")
	}
}

// notHere says that a commit has no place in this cluster.
func notHere(row *inspect.Partition) string {
	if row.Error != nil && *row.Error == inspect.NoSuchPartition {
		return fmt.Sprintf("topic %s has no partition %d in this cluster: add partitions first", row.Topic, row.Partition)
	}
	return fmt.Sprintf("topic %s does not exist in this cluster, or this user may not see it: create it first", row.Topic)
}

// epochDropped says why a commit cannot keep its leader epoch. A consumer
// checks it against the leader's history: one that is too high hangs Java
// consumers for ever, one that is another log's sends them anywhere.
func epochDropped(row *inspect.Partition, w *Wanted, o RestoreOptions, end int64, known bool) string {
	switch {
	case !o.SameCluster:
		return "it is of another cluster"
	case w.TopicID == nil || row.TopicID == nil:
		return "it is not sure that the topic is the same"
	case row.CurrentEpoch == nil:
		return "the partition's epoch is not known"
	case w.Commit.LeaderEpoch > *row.CurrentEpoch:
		return fmt.Sprintf("it is above the current %d", *row.CurrentEpoch)
	case !known:
		return "the leader does not know it"
	case end < w.Commit.Offset:
		return fmt.Sprintf("the epoch ended at %d", end)
	}
	return ""
}

// DeleteOptions says what to delete.
type DeleteOptions struct {
	// Topics are those of which the commits are deleted; none means the whole
	// group.
	Topics []TopicSelection
	// SkipEmpty: a group without such commits has an empty plan, and is no error.
	SkipEmpty bool
}

// Delete plans to delete a group, or its commits of some topics.
func Delete(g inspect.Group, o DeleteOptions) (Plan, error) {
	p := newPlan(g, KindDelete)
	p.Deletes, p.Creates = len(o.Topics) == 0, false
	found := map[string]bool{}
	for i := range g.Partitions {
		row := &g.Partitions[i]
		if row.Committed == nil || !p.Deletes && !selects(o.Topics, row.Topic, row.Partition) {
			continue
		}
		found[row.Topic] = true
		c := p.newChange(row)
		c.seen(row)
		c.Action = ActionDelete
		if row.Metadata != nil && *row.Metadata != "" {
			c.warn(CodeMetadataErased, "deletes the metadata %q, too", *row.Metadata)
		}
		if p.allowedWhileActive() && row.Subscribed != nil && *row.Subscribed {
			c.fail(CodeSubscribed, "members subscribe to the topic: they must stop first")
		}
		p.Partitions = append(p.Partitions, c)
	}
	for _, t := range o.Topics {
		if !found[t.Topic] && o.SkipEmpty {
			p.warn(CodeNoCommit, "it has no commits for topic %s", t.Topic)
		} else if !found[t.Topic] {
			return p, fmt.Errorf("group %s: %w: it has no commits for topic %s", g.Group, ErrNothingSelected, t.Topic)
		}
	}
	p.keepSiblings(holders(g))
	p.finish()
	return p, nil
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
