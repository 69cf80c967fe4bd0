package consume

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// A consumer that exits at the end must not take the time before it has its
// partitions for the end.
func TestReached(t *testing.T) {
	p := newPositions()
	tp := topicPartition{"t", 0}
	if p.reached() {
		t.Error("before any assignment")
	}
	p.adopt(map[topicPartition]kgo.EpochOffset{tp: {Offset: 3}}, map[topicPartition]int64{tp: 5}, nil)
	if p.reached() {
		t.Error("at 3 of 5")
	}
	p.advance(tp, kgo.EpochOffset{Offset: 5})
	if !p.reached() {
		t.Error("at 5 of 5")
	}
	p.adopt(nil, map[topicPartition]int64{tp: 9}, nil)
	if !p.reached() {
		t.Error("the target is the end at the first assignment")
	}
}
