package inspect

import (
	"sync"

	"offsets/inspect/commitlog"
)

// placement notices groups of which records lie where Kafka would not write
// them. A nil placement notices nothing, as does one that has nobody to tell.
type placement struct {
	partitions int32
	tell       func(Misplaced)

	mu   sync.Mutex
	told map[string]bool
}

func newPlacement(partitions int32, tell func(Misplaced)) *placement {
	return &placement{partitions: partitions, tell: tell, told: map[string]bool{}}
}

func (p *placement) check(group string, partition *int32) {
	if p == nil || p.tell == nil || partition == nil {
		return
	}
	own := commitlog.PartitionOf(group, p.partitions)
	if own == *partition {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.told[group] {
		p.told[group] = true
		p.tell(Misplaced{Group: group, Partition: *partition, Own: own})
	}
}
