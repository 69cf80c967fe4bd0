package sandbox

import (
	"context"
	"strconv"
	"sync"
	"time"

	"offsets/inspect/commitlog"
)

// expiry notices offsets that the broker let expire: no request tells.
type expiry struct {
	interval time.Duration

	mu sync.Mutex // held while writing, so that the log has the order of events
	// live are the commits in the log, by group and key.
	live map[string]map[string]bool
}

// newExpiry returns nil where the broker keeps offsets for Kafka's week.
func newExpiry(configs map[string]string) *expiry {
	_, minutes := configs["offsets.retention.minutes"]
	_, ms := configs["offset.retention.ms"]
	if !minutes && !ms {
		return nil
	}
	interval, err := strconv.Atoi(configs["offsets.retention.check.interval.ms"])
	if err != nil || interval <= 0 {
		interval = 600_000 // Kafka's default
	}
	return &expiry{interval: time.Duration(interval) * time.Millisecond, live: map[string]map[string]bool{}}
}

// note follows what is written; the caller holds the lock.
func (x *expiry) note(entries []entry) {
	for _, e := range entries {
		if len(e.key) < 2 || e.key[1] != commitlog.TypeOffsetCommit {
			continue
		}
		if e.value == nil {
			delete(x.live[e.group], string(e.key))
			continue
		}
		if x.live[e.group] == nil {
			x.live[e.group] = map[string]bool{}
		}
		x.live[e.group][string(e.key)] = true
	}
}

// watchExpiry writes tombstones of commits that are gone, and of a group that
// went with the last of them.
func (l *commitLog) watchExpiry(ctx context.Context) {
	tick := time.NewTicker(l.expiry.interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			_ = l.expire() // a failed write is tried again at the next tick
		}
	}
}

func (l *commitLog) expire() error {
	x := l.expiry
	x.mu.Lock()
	defer x.mu.Unlock()
	var out []entry
	for group, keys := range x.live {
		info := l.cluster.GroupInfo(group)
		there := map[string]bool{}
		for _, e := range commitTombstones(group, info) {
			there[string(e.key)] = true
		}
		for key := range keys {
			if !there[key] {
				out = append(out, entry{group, []byte(key), nil})
			}
		}
		if info == nil && len(keys) > 0 {
			out = append(out, entry{group, commitlog.GroupMetadataKey{Group: group}.Encode(), nil})
		}
	}
	if err := l.produce(out); err != nil {
		return err
	}
	x.note(out)
	return nil
}
