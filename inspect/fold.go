package inspect

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// How much of a list of partitions is told: a sentence stays one that people
// read, whatever the size of the cluster.
const (
	foldRanges = 12 // of a topic
	foldTopics = 8
	foldCount  = 6 // from so many partitions on, their number is told
)

// Fold writes partitions down as ranges, by topic: big-0..99,101. Of very many
// scattered ones it tells the first, and how many there are.
func Fold(partitions []TopicPartition) string {
	text, n, cut := fold(partitions)
	if cut {
		text += fmt.Sprintf(" (%d partitions)", n)
	}
	return text
}

// FoldReason says once what holds for partitions; from a handful on with how
// many they are: "big-0..99,101: has no leader (101 partitions)".
func FoldReason(partitions []TopicPartition, reason string) string {
	text, n, _ := fold(partitions)
	if n == 0 {
		return reason
	}
	text += ": " + reason
	if n >= foldCount {
		text += fmt.Sprintf(" (%d partitions)", n)
	}
	return text
}

func fold(partitions []TopicPartition) (text string, n int, cut bool) {
	all := slices.Clone(partitions)
	slices.SortFunc(all, func(a, b TopicPartition) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	all = slices.Compact(all)
	var topics []string
	for i := 0; i < len(all); {
		end := i
		for end < len(all) && all[end].Topic == all[i].Topic {
			end++
		}
		numbers, more := ranges(all[i:end])
		topics = append(topics, all[i].Topic+"-"+numbers)
		cut = cut || more
		i = end
	}
	if len(topics) > foldTopics {
		topics, cut = append(topics[:foldTopics], "…"), true
	}
	return strings.Join(topics, ", "), len(all), cut
}

// ranges writes the numbers of one topic's partitions, which are sorted.
func ranges(partitions []TopicPartition) (text string, more bool) {
	var out []string
	for i := 0; i < len(partitions); {
		if len(out) == foldRanges {
			return strings.Join(out, ",") + ",…", true
		}
		first, end := partitions[i].Partition, i+1
		for end < len(partitions) && partitions[end].Partition == first+int32(end-i) {
			end++
		}
		if end-i < 3 {
			end = i + 1
			out = append(out, fmt.Sprint(first))
		} else {
			out = append(out, fmt.Sprintf("%d..%d", first, partitions[end-1].Partition))
		}
		i = end
	}
	return strings.Join(out, ","), false
}
