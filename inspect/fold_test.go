package inspect_test

import (
	"testing"

	"offsets/inspect"
)

func TestFold(t *testing.T) {
	of := func(topic string, partitions ...int32) (out []inspect.TopicPartition) {
		for _, p := range partitions {
			out = append(out, inspect.TopicPartition{Topic: topic, Partition: p})
		}
		return out
	}
	var hundred, even []int32
	for p := range int32(100) {
		hundred, even = append(hundred, p), append(even, 2*p)
	}
	many := []inspect.TopicPartition{}
	for _, topic := range []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"} {
		many = append(many, of(topic, 0)...)
	}
	for _, c := range []struct {
		partitions []inspect.TopicPartition
		want       string
	}{
		{nil, ""},
		{of("t", 3), "t-3"},
		{of("t", 1, 0), "t-0,1"},
		{of("t", 2, 0, 1, 1), "t-0..2"},
		{append(of("u", 8), of("t", 0, 1, 2, 4)...), "t-0..2,4, u-8"},
		{of("big", append(hundred, 101)...), "big-0..99,101"},
		{of("big", even...), "big-0,2,4,6,8,10,12,14,16,18,20,22,… (100 partitions)"},
		{many, "a-0, b-0, c-0, d-0, e-0, f-0, g-0, h-0, … (10 partitions)"},
		{of("t", 1<<31-3, 1<<31-2, 1<<31-1), "t-2147483645..2147483647"},
	} {
		if got := inspect.Fold(c.partitions); got != c.want {
			t.Errorf("%v: %q, want %q", c.partitions, got, c.want)
		}
	}
	for want, got := range map[string]string{
		"it is late":         inspect.FoldReason(nil, "it is late"),
		"t-3: has no leader": inspect.FoldReason(of("t", 3), "has no leader"),
		"big-0..99,101: has no leader (101 partitions)": inspect.FoldReason(of("big", append(hundred, 101)...), "has no leader"),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
