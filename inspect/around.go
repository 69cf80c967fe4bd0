package inspect

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"offsets/inspect/commitlog/segment"
)

// Place is an offset in a log of which the ends are known.
type Place struct {
	TopicPartition
	Offset   int64
	LogStart int64
	LogEnd   int64
}

// inside is the place in the log that is nearest: a commit may be anywhere, up
// to 2^63-1.
func (p *Place) inside() int64 { return min(max(p.Offset, p.LogStart), p.LogEnd) }

// Around is the times of the records next to a place, in ms: the last one below
// its offset, and the first at or above it. nil where there is none, or none
// was found.
type Around struct {
	Before, After *int64
	Err           error
}

// TimesAround reads the records next to each place. Markers and records that
// compaction has taken away are stepped over. Places that several groups share
// are read once, neighbouring ones from the same fetch, and the partitions of a
// broker together.
func (c *Cluster) TimesAround(ctx context.Context, places []Place) (map[Place]Around, error) {
	out := make(map[Place]Around, len(places))
	logs := map[TopicPartition]*logSearch{}
	var names []string
	for _, p := range places {
		if _, known := out[p]; known {
			continue
		}
		out[p] = Around{}
		l := logs[p.TopicPartition]
		if l == nil {
			l = &logSearch{TopicPartition: p.TopicPartition, limit: firstAround, position: -1, unpacked: c.unpacked}
			logs[p.TopicPartition] = l
			names = append(names, p.Topic)
		}
		l.places = append(l.places, &placeSearch{Place: p, back: 2}) // a marker is often next to a commit
	}
	var mu sync.Mutex
	found := func(p *placeSearch) {
		mu.Lock()
		defer mu.Unlock()
		out[p.Place] = p.Around
	}
	for _, l := range logs {
		l.found = found
		slices.SortFunc(l.places, func(a, b *placeSearch) int { return cmp.Compare(a.inside(), b.inside()) })
	}
	pending := slices.Collect(maps.Values(logs))
	for deadline := time.Now().Add(leaderPatience); ; {
		topics, err := c.topicDetails(ctx, names)
		if err != nil {
			return nil, err
		}
		pending = c.searchLogs(ctx, topics, pending)
		if len(pending) == 0 || ctx.Err() != nil {
			return out, context.Cause(ctx)
		}
		if time.Now().After(deadline) {
			for _, l := range pending {
				l.fail(l.moved)
			}
			return out, nil
		}
		select {
		case <-ctx.Done():
			return out, context.Cause(ctx)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// searchLogs searches logs at their leaders, and returns those whose leader has
// moved or is away.
func (c *Cluster) searchLogs(ctx context.Context, topics kadm.TopicDetails, logs []*logSearch) (moved []*logSearch) {
	byBroker := map[int32][]*logSearch{}
	for _, l := range logs {
		d, known := topics[l.Topic].Partitions[l.Partition]
		switch err := topics[l.Topic].Err; {
		case err != nil || !known:
			l.fail(cmp.Or(err, error(kerr.UnknownTopicOrPartition)))
		case d.Leader < 0:
			l.moved = kerr.LeaderNotAvailable
			moved = append(moved, l)
		default:
			byBroker[d.Leader] = append(byBroker[d.Leader], l)
		}
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for broker, of := range byBroker {
		wg.Go(func() {
			away := c.searchAt(ctx, broker, topics, of)
			mu.Lock()
			defer mu.Unlock()
			moved = append(moved, away...)
		})
	}
	wg.Wait()
	return moved
}

// searchAt searches logs at one broker, some a request, until every place is
// answered.
func (c *Cluster) searchAt(ctx context.Context, broker int32, topics kadm.TopicDetails, logs []*logSearch) (moved []*logSearch) {
	for ctx.Err() == nil {
		// Who came away empty is asked again behind the others.
		logs = slices.DeleteFunc(logs, func(l *logSearch) bool { return !l.aim() })
		if len(logs) == 0 {
			break
		}
		n, size := 0, int32(0)
		for n < len(logs) && (n == 0 || size+logs[n].limit <= wholeRequest) {
			size += logs[n].limit
			n++
		}
		asked, rest := logs[:n], logs[n:]
		var wanted []fetchFrom
		for _, l := range asked {
			wanted = append(wanted, fetchFrom{l.TopicPartition, l.position, l.limit})
		}
		got, err := c.fetchPieces(ctx, broker, topics, wanted)
		var again []*logSearch
		for _, l := range asked {
			piece, ok := got[l.TopicPartition]
			switch why := cmp.Or(err, piece.err); {
			case why != nil && mayHaveMoved(why):
				l.moved = why
				moved = append(moved, l)
			case why != nil:
				l.fail(why)
			case !ok:
				l.fail(errors.New("the broker's answer lacks the partition"))
			default:
				l.look(piece.batches)
				again = append(again, l)
			}
		}
		logs = append(slices.Clone(rest), again...)
	}
	return moved
}

// placeSearch is a place of which the neighbours are wanted.
type placeSearch struct {
	Place
	Around
	// back is how far before the place reading begins. Behind a gap the record
	// before may be far: each time it is further.
	back int64
}

// from is where reading begins.
func (p *placeSearch) from() int64 {
	if at := p.inside(); at-p.LogStart > p.back {
		return at - p.back
	}
	return p.LogStart
}

// logSearch is a partition of which the records next to some places are wanted.
type logSearch struct {
	TopicPartition
	places []*placeSearch // those not answered yet, by offset
	later  []*placeSearch // those that need a look further back
	found  func(*placeSearch)
	moved  error // why the leader could not be asked

	// All records from begun to position have been seen; last is the time of the
	// last one of them. position is -1 before the first fetch.
	begun, position int64
	last            *int64
	limit           int32 // bytes to ask for
	unpacked        int   // see [Cluster]
}

// firstAround is how many bytes are asked for first: some hundred small records,
// so that neighbouring places come together.
const firstAround = 32 << 10

// fail answers all places that are left.
func (l *logSearch) fail(err error) {
	for _, p := range slices.Concat(l.places, l.later) {
		l.failOne(p, err)
	}
	l.places, l.later = nil, nil
}

func (l *logSearch) failOne(p *placeSearch, err error) {
	p.Around = Around{Err: fmt.Errorf("at offset %d: %w", p.inside(), err)}
	l.found(p)
}

// aim goes to where the next place needs it; false if there is none left.
func (l *logSearch) aim() bool {
	if len(l.places) == 0 {
		l.places, l.later = l.later, nil
	}
	l.places = slices.DeleteFunc(l.places, func(p *placeSearch) bool {
		if p.LogStart >= p.LogEnd { // nothing there
			l.found(p)
			return true
		}
		return false
	})
	if len(l.places) == 0 {
		return len(l.later) > 0 && l.aim()
	}
	if from := l.places[0].from(); l.position < from || l.begun > from {
		l.begun, l.position, l.last = from, from, nil
	}
	return true
}

// look takes a fetched piece of the log. A place is answered by the first record
// at or behind it, or when the end of its log is reached.
func (l *logSearch) look(batches []byte) {
	before := l.position
	r := segment.NewReader(bytes.NewReader(batches))
	r.OfTopic(l.unpacked)
	for len(l.places) > 0 {
		b, err := r.Next()
		if d, ok := asDamage(err); ok && !errors.Is(d, segment.ErrTruncated) {
			l.position = max(l.position+1, d.BaseOffset+1)
			continue
		}
		if err != nil {
			break // the end of the piece, maybe inside of a batch
		}
		if !b.IsControl() {
			if err := b.Records(func(rec segment.Record) error { l.pass(rec); return nil }); err != nil {
				l.unreadable(b.NextOffset(), fmt.Errorf("batch at offset %d: %w", b.BaseOffset, err))
			}
		}
		l.position = max(l.position, b.NextOffset())
		l.ended()
	}
	switch {
	case len(l.places) == 0 || l.position > before:
	case l.limit < greatestOne:
		l.limit = min(4*l.limit, greatestOne)
	default:
		l.fail(fmt.Errorf("nothing readable at offset %d", l.position))
	}
}

// pass notes a record.
func (l *logSearch) pass(rec segment.Record) {
	for len(l.places) > 0 && l.places[0].inside() <= rec.Offset {
		p := l.places[0]
		if rec.Offset < p.LogEnd {
			p.After = &rec.Timestamp
		}
		l.answer()
	}
	if len(l.places) > 0 && rec.Offset >= l.places[0].LogStart {
		l.last = &rec.Timestamp
	}
}

// ended answers places behind which there is no record any more.
func (l *logSearch) ended() {
	for len(l.places) > 0 && l.places[0].LogEnd <= l.position {
		l.answer()
	}
}

// answer ends the first place's search, or if no record was seen before it, lets
// it begin further back.
func (l *logSearch) answer() {
	p := l.places[0]
	l.places = l.places[1:]
	if p.Before = l.last; p.Before != nil || l.begun <= p.LogStart {
		l.found(p)
		return
	}
	p.After = nil // it is found again
	length := p.inside() - p.LogStart
	if p.back = 16 * min(p.back, length/16); p.from() >= l.begun {
		p.back = length
	}
	l.later = append(l.later, p)
}

// unreadable gives up the places that need a batch to be read which cannot be.
func (l *logSearch) unreadable(end int64, err error) {
	l.places = slices.DeleteFunc(l.places, func(p *placeSearch) bool {
		hit := p.from() < end
		if hit {
			l.failOne(p, err)
		}
		return hit
	})
}
