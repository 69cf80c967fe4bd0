package reset

import (
	"context"
	"errors"
	"fmt"
	"time"

	"offsets/inspect"
)

// Translation is how offsets of an export are found in this cluster.
type Translation string

// The translations. Unsaid takes offsets as they are where the topic is the
// same one, and refuses others.
const (
	TranslateUnsaid Translation = ""
	TranslateOffset Translation = "offset" // the number as it is
	TranslateTime   Translation = "time"   // by the times of the records around it
)

// Import says what commits of an exported group are wanted here.
func (c *Changer) Import(ctx context.Context, e *Export, g *ExportedGroup, topics []TopicSelection, t Translation) ([]Wanted, error) {
	var out []Wanted
	var rows []timedPlace
	exported := map[int]*ExportedPartition{} // by index in out
	for i := range g.Partitions {
		p := &g.Partitions[i]
		if len(topics) > 0 && !selects(topics, p.Topic, p.Partition) {
			continue
		}
		w := Wanted{TopicPartition: p.place(), TopicID: p.TopicID, Commit: commitOf(p.Committed, p.LeaderEpoch, p.Metadata)}
		switch {
		case p.Committed == nil:
			w.Error, w.Code = "it could not be read when it was exported: "+text(p.Error), CodeNotExported
		case t == TranslateOffset:
			w.TopicID = nil // another topic of that name will do
		case t == TranslateTime:
			w.TopicID, w.Commit.LeaderEpoch = nil, -1
			n, err := p.neighbours()
			if err != nil {
				w.Error, w.Code = err.Error(), CodeNoTime
				break
			}
			rows, exported[len(out)] = append(rows, timedPlace{w.TopicPartition, n}), p
		case p.TopicID == nil && e.ClusterID != "":
			w.Error, w.Code = "the export has no topic id: --translate-by time finds the place, --translate-by offset takes the number as it is", CodeNoTopicID
		}
		out = append(out, w)
	}
	found, err := c.placesByTime(ctx, rows, 0)
	if err != nil {
		return nil, err
	}
	n := 0
	for i := range out {
		if p := exported[i]; p != nil {
			out[i].translate(p, rows[n].neighbours, found[n])
			n++
		}
	}
	return out, ctx.Err()
}

// neighbours are the times, in ms, of the last record that was read and of the
// first that was not, in the log that a commit comes from; nil where there was
// none. The same place is found by them in another log that has the same
// records in the same order at other offsets.
//
// Times need not rise with offsets (several producers, a clock set back), and
// many records may have the same. A broker finds the first record with a time
// or a later one. That record lies at or before every one that has this time;
// so what is found by the time of the next record is never behind it, and what
// is found by the time of the last one read is never behind that.
type neighbours struct{ before, after *int64 }

// neighbours reads them from the export.
func (p *ExportedPartition) neighbours() (n neighbours, err error) {
	for name, of := range map[string]struct {
		text *string
		ms   **int64
	}{"timestamp_before": {p.TimestampBefore, &n.before}, "timestamp_after": {p.TimestampAfter, &n.after}} {
		if of.text == nil {
			continue
		}
		at, err := time.Parse(time.RFC3339, *of.text)
		if err != nil {
			return n, fmt.Errorf("%s %q is no time", name, *of.text)
		}
		*of.ms = ptr(at.UnixMilli())
	}
	empty := p.LogStart != nil && equal(p.LogStart, p.LogEnd)
	if n == (neighbours{}) && !empty {
		return n, errors.New("the export has no time for it: there was no record next to it")
	}
	return n, nil
}

// unordered: the times around the place do not rise.
func (n neighbours) unordered() bool {
	return n.before != nil && n.after != nil && *n.after <= *n.before
}

// times are those of which the first record has to be known.
func (n neighbours) times() []int64 {
	switch {
	case n.before != nil && n.after != nil:
		return []int64{min(*n.before+1, *n.after), *n.before}
	case n.after != nil:
		return []int64{*n.after}
	case n.before != nil:
		return []int64{*n.before, *n.before + 1}
	}
	return []int64{0} // for where the log begins
}

// place is where to read on in a log from start to end, of which first has the
// offsets of the first record at each of the times, or a later one; nil where
// there is none. It may lie before the right place, and never behind it; where it
// might, it is not ok: a log of which older records were deleted may lack the last
// one that was read, and what is left of it with older times may be unread.
func (n neighbours) place(first []*int64, start, end int64) (offset int64, ok bool) {
	whole := start == 0 || start == end
	at := first[0]
	switch {
	case n == (neighbours{}):
		return start, true // the log was empty there: what is here may have come since
	case at != nil && (n.after != nil || equal(at, first[1])):
		return *at, true
	case n.before != nil && n.after != nil: // the next record is not here; the last one that was read?
		at = first[1]
	}
	switch {
	case at == nil: // all that is here is older
		return end, whole
	case *at == start:
		// It has the time of the last record that was read, and may be one behind it.
		return *at, true
	}
	// It has the very time of the last record that was read: it is that one, or one
	// before it.
	return *at + 1, true
}

// errNoPlace: records of the target that would tell where to read on are gone.
var errNoPlace = errors.New("neither its last read record nor its next one is here, and older records were deleted: nothing tells where to read on; 'offsets reset' with --set puts the partition where you say")

// foundByTime is where a place was found.
type foundByTime struct {
	offset int64
	none   bool // no record is so young
	err    error
}

// timedPlace is a place in a partition, by the times of the records around it.
type timedPlace struct {
	inspect.TopicPartition
	neighbours
}

// errNotAskedFor: there were too many times to ask for.
var errNotAskedFor = errors.New("not looked up")

// placesByTime finds places by the times of the records around them, each time of
// a partition with one question: many groups are often at the same places. most,
// if not 0, is for how many times a partition is asked; the places of others have
// an error.
func (c *Changer) placesByTime(ctx context.Context, places []timedPlace, most int) ([]foundByTime, error) {
	type question struct {
		inspect.TopicPartition
		ms int64
	}
	answers := map[question]inspect.AtTime{}
	var rounds []map[inspect.TopicPartition]time.Time
	asked := map[inspect.TopicPartition]int{}
	for _, p := range places {
		for _, ms := range p.times() {
			q := question{p.TopicPartition, ms}
			if _, known := answers[q]; known || most > 0 && asked[p.TopicPartition] == most {
				continue
			}
			answers[q] = inspect.AtTime{}
			round := asked[p.TopicPartition]
			asked[p.TopicPartition]++
			if round == len(rounds) {
				rounds = append(rounds, map[inspect.TopicPartition]time.Time{})
			}
			rounds[round][p.TopicPartition] = time.UnixMilli(ms)
		}
	}
	// The ends that were read first: what has come since is not passed over.
	ends := map[inspect.TopicPartition]inspect.AtTime{}
	for _, ask := range rounds {
		found, err := c.cluster.OffsetsAt(ctx, ask)
		if err != nil {
			return nil, err
		}
		for tp, at := range ask {
			answers[question{tp, at.UnixMilli()}] = found[tp]
			if _, known := ends[tp]; !known {
				ends[tp] = found[tp]
			}
		}
	}
	out := make([]foundByTime, len(places))
	for i, p := range places {
		var first []*int64
		var failed error
		for _, ms := range p.times() {
			a, known := answers[question{p.TopicPartition, ms}]
			if !known {
				a.Err = errNotAskedFor
			}
			first, failed = append(first, a.Offset), errors.Join(failed, a.Err)
		}
		if failed != nil {
			out[i] = foundByTime{err: failed}
			continue
		}
		log := ends[p.TopicPartition]
		at, ok := p.place(first, log.LogStart, log.LogEnd)
		if !ok {
			out[i] = foundByTime{err: errNoPlace}
			continue
		}
		out[i] = foundByTime{offset: at, none: first[0] == nil && p.neighbours != neighbours{}}
	}
	return out, nil
}

// translate puts the offset that was found by time in the place of the one of
// the other cluster.
func (w *Wanted) translate(p *ExportedPartition, n neighbours, found foundByTime) {
	switch {
	case errors.Is(found.err, errNoPlace):
		w.Error, w.Code = found.err.Error(), CodeNoTime
		return
	case found.err != nil:
		w.Error, w.Code = "looking for the time: "+found.err.Error(), inspect.CodeOf(found.err)
		return
	}
	w.Note = fmt.Sprintf("by time, from offset %d there", w.Commit.Offset)
	w.Commit.Offset = found.offset
	again := p.rereadByTime()
	w.Unsharp = n.unordered() || again != nil && *again > 0
	if w.Unsharp {
		w.ReadAgain = again
	}
	switch {
	case n == (neighbours{}):
		w.Note += ": no record there, so all that is here"
	case found.none && p.TimestampAfter != nil:
		w.Note += fmt.Sprintf(": its next record, of %s, is not here", *p.TimestampAfter)
	case found.none:
		w.Note += ": no record since"
	case n.unordered() && *n.before == *n.after:
		w.Note += ": the records around it have the same timestamp"
	case n.unordered():
		w.Note += ": the timestamps around it are out of order"
	}
	if again != nil && *again > 0 && !found.none {
		w.Note += fmt.Sprintf("; %d that were read are read again", *again)
	}
}

// rereadByTime is how many offsets the translation reads again that were read
// already, as the log of the export shows; nil where that was not looked up.
func (p *ExportedPartition) rereadByTime() *int64 {
	if p.ByTime == nil || p.Committed == nil || p.LogEnd == nil {
		return nil
	}
	return ptr(max(0, min(*p.Committed, *p.LogEnd)-*p.ByTime))
}
