package inspect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"

	"offsets/inspect/commitlog/segment"
)

// ClusterID is the cluster's own name for itself; "" before Kafka 0.10.1.
func (c *Cluster) ClusterID(ctx context.Context) (string, error) {
	m, err := c.adm.BrokerMetadata(ctx)
	if err != nil {
		return "", fmt.Errorf("asking for the cluster's id: %w", err)
	}
	return m.Cluster, nil
}

// Commit is what a group has committed for a partition.
type Commit struct {
	Offset      int64
	LeaderEpoch int32 // -1: none
	Metadata    string
}

// Commits reads what a group has committed now, without anything about the
// topics; of a share group, its start offsets. Partitions that could not be
// read are in failed.
func (c *Cluster) Commits(ctx context.Context, group, groupType string) (commits map[TopicPartition]Commit, failed map[TopicPartition]error, err error) {
	var resp kadm.FetchOffsetsResponses
	if groupType == Share {
		resp, _ = c.startOffsets(ctx, &listing{}, []string{group})
	} else {
		resp = c.commits(ctx, &listing{}, []string{group})
	}
	g, ok := resp[group]
	if !ok {
		return nil, nil, errNoCoordinatorAnswer
	}
	if g.Err != nil && !isMissing(g.Err) {
		return nil, nil, g.Err
	}
	commits, failed = map[TopicPartition]Commit{}, map[TopicPartition]error{}
	g.Fetched.Each(func(r kadm.OffsetResponse) {
		tp := TopicPartition{r.Topic, r.Partition}
		switch {
		case r.Err != nil:
			failed[tp] = r.Err
		case r.At >= 0:
			commits[tp] = Commit{r.At, r.LeaderEpoch, r.Metadata}
		}
	})
	return commits, failed, nil
}

// AtTime is the answer of [Cluster.OffsetsAt] for one partition.
type AtTime struct {
	Offset   *int64 // nil: no record is so young
	LogStart int64
	LogEnd   int64
	Err      error
}

// OffsetsAt finds, for each partition, the first record with its time or a
// later one.
func (c *Cluster) OffsetsAt(ctx context.Context, times map[TopicPartition]time.Time) (map[TopicPartition]AtTime, error) {
	out := map[TopicPartition]AtTime{}
	var names []string
	for tp := range times {
		names = append(names, tp.Topic)
	}
	topics, err := c.topicDetails(ctx, names)
	if err != nil {
		return nil, err
	}
	ends := c.logEnds(ctx, topics, slices.Collect(maps.Keys(times)))
	ask := map[string][]int32{}
	for tp, e := range ends {
		if e.status != "" {
			out[tp] = AtTime{Err: cmp.Or(e.err, errors.New(string(e.status)))}
			continue
		}
		out[tp] = AtTime{Err: errors.New("the broker did not answer for this partition")}
		ask[tp.Topic] = append(ask[tp.Topic], tp.Partition)
	}
	if len(ask) == 0 {
		return out, nil
	}
	c.listOffsets(ctx, ask, func(tp TopicPartition) int64 { return times[tp].UnixMilli() }, 0, func(tp TopicPartition, offset int64, err error) {
		a := AtTime{Err: err}
		if err == nil && offset >= 0 {
			a.Offset = &offset
		}
		if e := ends[tp]; e != nil && e.end != nil {
			a.LogStart, a.LogEnd = *e.start, *e.end
		}
		out[tp] = a
	})
	return out, nil
}

// EpochEnd asks where leader epochs ended: for each partition, the offset up
// to which the log has records of the epoch, or of earlier ones. Partitions
// whose leader does not know the epoch are left out.
func (c *Cluster) EpochEnd(ctx context.Context, epochs map[TopicPartition]int32) (map[TopicPartition]int64, error) {
	out := map[TopicPartition]int64{}
	if len(epochs) == 0 {
		return out, nil
	}
	ask := kadm.OffsetForLeaderEpochRequest{}
	for tp, epoch := range epochs {
		ask.Add(tp.Topic, tp.Partition, epoch)
	}
	resp, err := c.adm.OffsetForLeaderEpoch(ctx, ask)
	if err != nil {
		return nil, fmt.Errorf("asking where leader epochs ended: %w", err)
	}
	for topic, partitions := range resp {
		for partition, r := range partitions {
			if r.Err == nil && r.EndOffset >= 0 {
				out[TopicPartition{topic, partition}] = r.EndOffset
			}
		}
	}
	return out, nil
}

// Place is an offset in a log of which the ends are known.
type Place struct {
	TopicPartition
	Offset   int64
	LogStart int64
	LogEnd   int64
}

// Around is the times of the records next to a place, in ms: the last one below
// its offset, and the first at or above it. nil where there is none, or none
// was found.
type Around struct {
	Before, After *int64
	Err           error
}

// TimesAround reads the records next to each place. Markers and records that
// compaction has taken away are stepped over.
func (c *Cluster) TimesAround(ctx context.Context, places []Place) (map[Place]Around, error) {
	out := make(map[Place]Around, len(places))
	var names []string
	for _, p := range places {
		names = append(names, p.Topic)
	}
	topics, err := c.topicDetails(ctx, names)
	if err != nil {
		return nil, err
	}
	const parallel = 8
	slots := make(chan struct{}, parallel)
	var wg sync.WaitGroup
	var mu sync.Mutex
	for _, place := range places {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			a := c.timesAround(ctx, topics[place.Topic], place)
			mu.Lock()
			defer mu.Unlock()
			out[place] = a
		})
	}
	wg.Wait()
	return out, ctx.Err()
}

func (c *Cluster) timesAround(ctx context.Context, topic kadm.TopicDetail, place Place) (a Around) {
	r := partitionReader{c: c, topic: topic, partition: place.Partition, maxBytes: 64 << 10}
	// Nothing lies above the log end, wherever the place is. Behind a gap the
	// record before may be far: look further back each time.
	top := min(place.Offset, place.LogEnd)
	for from, back := top, int64(1); from > place.LogStart && a.Before == nil && a.Err == nil; {
		from = place.LogStart
		if distance := top - place.LogStart; back < distance {
			from = top - back
			back = furtherBack(back, distance)
		}
		_, a.Err = r.firstRecord(ctx, from, top, func(rec segment.Record) bool {
			a.Before = &rec.Timestamp
			return false // the last one counts
		})
	}
	if a.Err == nil {
		_, a.Err = r.firstRecord(ctx, max(place.Offset, place.LogStart), place.LogEnd, func(rec segment.Record) bool {
			a.After = &rec.Timestamp
			return true
		})
	}
	return a
}

// furtherBack is the next step of a search back over a distance.
func furtherBack(back, distance int64) int64 {
	const factor = 16
	if back > distance/factor { // factor*back may be more than an int64 holds
		return distance
	}
	return factor * back
}

// firstRecord walks over data records of a range until found is satisfied.
func (p *partitionReader) firstRecord(ctx context.Context, from, end int64, found func(segment.Record) bool) (bool, error) {
	err := p.fetchRange(ctx, from, end, 0, func(b *segment.Batch, _ []kmsg.FetchResponseTopicPartitionAbortedTransaction) error {
		if b.IsControl() {
			return nil
		}
		return b.Records(func(rec segment.Record) error {
			if rec.Offset >= from && rec.Offset < end && found(rec) {
				return errStopped
			}
			return nil
		})
	}, nil)
	if errors.Is(err, errStopped) {
		return true, nil
	}
	return false, err
}
