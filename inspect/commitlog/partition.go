package commitlog

import (
	"math"
	"unicode/utf16"
)

// Topic is the name of the commit log.
const Topic = "__consumer_offsets"

// PartitionOf returns the commit log partition that holds a group's records:
// the absolute value of Java's String.hashCode, modulo the partition count.
// Java hashes UTF-16 code units, and Kafka's absolute value of the smallest
// int32 is 0.
func PartitionOf(group string, partitions int32) int32 {
	var h int32
	for _, unit := range utf16.Encode([]rune(group)) {
		h = 31*h + int32(unit)
	}
	switch {
	case h == math.MinInt32:
		h = 0
	case h < 0:
		h = -h
	}
	return h % partitions
}
