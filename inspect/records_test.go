package inspect

import (
	"math"
	"testing"
)

// A search back reaches the start of any log, in few steps.
func TestASearchBackEnds(t *testing.T) {
	for _, distance := range []int64{1, 2, 15, 16, 17, 1000, 1 << 60, 1<<60 + 14, math.MaxInt64 - 1, math.MaxInt64} {
		back, steps := int64(1), 0
		for ; back < distance; steps++ {
			further := furtherBack(back, distance)
			if further <= back || steps > 20 {
				t.Fatalf("distance %d: from %d back to %d after %d steps", distance, back, further, steps)
			}
			back = further
		}
	}
}
