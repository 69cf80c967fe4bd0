package inspect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
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
	got := c.CommitsOf(ctx, map[string]string{group: groupType})[group]
	return got.Commits, got.Failed, got.Err
}

// GroupCommits is what one group has committed.
type GroupCommits struct {
	Commits map[TopicPartition]Commit
	Failed  map[TopicPartition]error // partitions that could not be read
	Err     error                    // why the group could not be
}

// CommitsOf reads what groups have committed now, with few requests a
// coordinator. It takes the types of the groups by name, and has an answer for
// each.
func (c *Cluster) CommitsOf(ctx context.Context, types map[string]string) map[string]GroupCommits {
	var committing, share []string
	for name, groupType := range types {
		if groupType == Share {
			share = append(share, name)
		} else {
			committing = append(committing, name)
		}
	}
	out := make(map[string]GroupCommits, len(types))
	take := func(names []string, resp kadm.FetchOffsetsResponses) {
		for _, name := range names {
			out[name] = groupCommits(resp, name)
		}
	}
	slices.Sort(committing)
	for chunk := range slices.Chunk(committing, chunkSize) {
		take(chunk, c.commits(ctx, &listing{}, chunk))
	}
	if len(share) > 0 {
		starts, _ := c.startOffsets(ctx, &listing{}, share)
		take(share, starts)
	}
	return out
}

func groupCommits(resp kadm.FetchOffsetsResponses, name string) GroupCommits {
	g, ok := resp[name]
	switch {
	case !ok:
		return GroupCommits{Err: errNoCoordinatorAnswer}
	case g.Err != nil && !isMissing(g.Err):
		return GroupCommits{Err: g.Err}
	}
	out := GroupCommits{Commits: map[TopicPartition]Commit{}, Failed: map[TopicPartition]error{}}
	g.Fetched.Each(func(r kadm.OffsetResponse) {
		tp := TopicPartition{r.Topic, r.Partition}
		switch {
		case r.Err != nil:
			out.Failed[tp] = r.Err
		case r.At >= 0:
			out.Commits[tp] = Commit{r.At, r.LeaderEpoch, r.Metadata}
		}
	})
	return out
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
