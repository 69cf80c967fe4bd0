package inspect

import (
	"context"
	"errors"
	"strconv"
	"time"

	"offsets/inspect/commitlog"
	"offsets/inspect/commitlog/segment"
)

// expiry estimates when a group's commits expire, by the rules of KIP-211 and
// KIP-848: it needs the broker's retention and, out of the commit log, when was
// committed and when the group became empty. Commits that do not expire as
// things are now are left out.
func (c *Cluster) expiry(ctx context.Context, g Group) (map[TopicPartition]time.Time, error) {
	if g.Coordinator == nil {
		return nil, nil
	}
	retention, err := c.offsetsRetention(ctx, g.Coordinator.ID)
	if err != nil {
		return nil, err
	}
	committed, emptied, err := c.commitTimes(ctx, g.Group)
	if err != nil {
		return nil, err
	}
	subscribed := map[string]bool{}
	for _, topic := range g.subscriptions() {
		subscribed[topic] = true
	}
	out := map[TopicPartition]time.Time{}
	for tp, at := range committed {
		if base, expires := expiryBase(&g, subscribed[tp.Topic], at, emptied); expires {
			out[tp] = base.Add(retention)
		}
	}
	return out, nil
}

// expiryBase is from when on the retention of a commit counts.
func expiryBase(g *Group, subscribed bool, committed, emptied time.Time) (time.Time, bool) {
	switch {
	case subscribed:
		return committed, false // somebody reads it
	case g.Type != Classic, g.ProtocolType == "":
		return committed, true // also where the group is empty only since later
	case g.State == "Empty" && !emptied.IsZero():
		return emptied, true
	case g.State == "Empty":
		return committed, true
	case g.State == "Stable" && g.ProtocolType == "consumer":
		return committed, true
	}
	return committed, false // a group that is rebalancing, or of another protocol
}

// offsetsRetention reads offsets.retention.minutes of a broker.
func (c *Cluster) offsetsRetention(ctx context.Context, broker int32) (time.Duration, error) {
	configs, err := c.adm.DescribeBrokerConfigs(ctx, broker)
	if err != nil {
		return 0, err
	}
	for _, r := range configs {
		if r.Err != nil {
			return 0, r.Err
		}
		for _, config := range r.Configs {
			if config.Key != "offsets.retention.minutes" || config.Value == nil {
				continue
			}
			minutes, err := strconv.ParseInt(*config.Value, 10, 64)
			return time.Duration(minutes) * time.Minute, err
		}
	}
	return 0, errors.New("the broker does not tell its offsets.retention.minutes")
}

// commitTimes reads the group's own commit log partition.
func (c *Cluster) commitTimes(ctx context.Context, group string) (map[TopicPartition]time.Time, time.Time, error) {
	t := groupTimes{committed: map[TopicPartition]time.Time{}}
	only := LogFilter{OnlyGroups: []string{group}, Groups: func(name string) bool { return name == group }}
	for row, err := range c.ReadLog(ctx, only) {
		if err != nil {
			return nil, t.emptied, err
		}
		t.note(&row)
	}
	return t.committed, t.emptied, ctx.Err()
}

// groupTimes are when a group committed what is committed, and since when a
// classic group has been empty; zero if it is not, or that is not known.
type groupTimes struct {
	committed map[TopicPartition]time.Time
	emptied   time.Time
}

func (t *groupTimes) note(row *LogRecord) {
	if key, ok := row.Record.Key.(commitlog.OffsetCommitKey); ok {
		tp := TopicPartition{key.Topic, key.Partition}
		v, ok := row.Record.Value.(*commitlog.OffsetCommitValue)
		switch {
		case row.Tombstone:
			delete(t.committed, tp)
		case ok && (row.Transaction == nil || row.Transaction.State == segment.Committed):
			t.committed[tp] = time.UnixMilli(v.CommitTimestamp)
		}
		return
	}
	switch v, ok := row.Record.Value.(*commitlog.GroupMetadataValue); {
	case ok && len(v.Members) == 0 && v.CurrentStateTimestamp > 0:
		t.emptied = time.UnixMilli(v.CurrentStateTimestamp)
	case ok, row.Tombstone && isGroup(row.Record.Kind):
		t.emptied = time.Time{} // not empty, or another group of that name
	}
}
