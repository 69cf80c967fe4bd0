package consume

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

type topicPartition struct {
	topic     string
	partition int32
}

// positions is where the consumer stands on each partition that it has. It is
// shared with the callbacks of the group's goroutine.
type positions struct {
	mu sync.Mutex
	at map[topicPartition]kgo.EpochOffset
	// target is the log end when the partition was first assigned.
	target map[topicPartition]int64
	// unchecked are past the end, with a leader epoch: whether the log was cut below
	// them is being asked. Until when that may be waited for.
	unchecked map[topicPartition]time.Time
	// known: an assignment has come, if only an empty one.
	known bool
}

func newPositions() *positions {
	return &positions{at: map[topicPartition]kgo.EpochOffset{}, target: map[topicPartition]int64{}, unchecked: map[topicPartition]time.Time{}}
}

func (p *positions) set(tp topicPartition, at kgo.EpochOffset) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at[tp] = at
	delete(p.unchecked, tp)
}

// advance moves a position forward, if the partition is still ours.
func (p *positions) advance(tp topicPartition, at kgo.EpochOffset) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ours := p.at[tp]; ours {
		p.at[tp] = at
		delete(p.unchecked, tp)
	}
}

func (p *positions) get(tp topicPartition) (kgo.EpochOffset, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	at, ok := p.at[tp]
	return at, ok
}

// checkPatience is how long the answer may take whether a log was cut below a
// position. A leader that does not know the epoch gives none.
const checkPatience = 10 * time.Second

// adopt takes newly assigned partitions over, all at once: in between the
// consumer would look as if it had nothing left to read. unchecked are among them.
func (p *positions) adopt(at map[topicPartition]kgo.EpochOffset, targets map[topicPartition]int64, unchecked []topicPartition) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.known = true
	for _, tp := range unchecked {
		p.unchecked[tp] = time.Now().Add(checkPatience)
	}
	maps.Copy(p.at, at)
	for tp, end := range targets {
		if _, ok := p.target[tp]; !ok {
			p.target[tp] = end
		}
	}
}

func (p *positions) drop(lost map[string][]int32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for topic, partitions := range lost {
		for _, partition := range partitions {
			delete(p.at, topicPartition{topic, partition})
			delete(p.unchecked, topicPartition{topic, partition})
		}
	}
}

// reached says whether every partition is read up to its target.
func (p *positions) reached() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.known {
		return false
	}
	for tp, at := range p.at {
		if at.Offset < p.target[tp] || time.Now().Before(p.unchecked[tp]) {
			return false
		}
	}
	return true
}

func (p *positions) all() map[topicPartition]kgo.EpochOffset {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.at)
}

// list is the positions in order.
func list(at map[topicPartition]kgo.EpochOffset) []Position {
	out := make([]Position, 0, len(at))
	for tp, o := range at {
		out = append(out, Position{Topic: tp.topic, Partition: tp.partition, Offset: o.Offset, LeaderEpoch: o.Epoch})
	}
	slices.SortFunc(out, func(a, b Position) int {
		if c := strings.Compare(a.Topic, b.Topic); c != 0 {
			return c
		}
		return int(a.Partition - b.Partition)
	})
	return out
}
