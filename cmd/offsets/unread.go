package main

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"

	"offsets/inspect"
)

// Partitions that could not be read: equal reasons are said once, with how
// many partitions they hold for.

// partitionsOf names partitions of a topic.
func partitionsOf(topic string, partitions []int32) string {
	if len(partitions) == 1 {
		return fmt.Sprintf("%s-%d", topic, partitions[0])
	}
	var all []inspect.TopicPartition
	for _, p := range partitions {
		all = append(all, inspect.TopicPartition{Topic: topic, Partition: p})
	}
	return fmt.Sprintf("%d partitions (%s)", len(partitions), inspect.Fold(all))
}

// unreadWords is why a partition could not be read.
func unreadWords(p *inspect.Partition) string {
	why := string(p.Status)
	if p.Error != nil {
		why += ": " + *p.Error
	}
	return why
}

// noteUnread adds a problem for each group, and reason, with partitions that
// could not be read: their rows say why, and the exit code must not say that
// all is well.
func noteUnread(d *inspect.Description) iter.Seq2[inspect.Group, error] {
	groups := d.Groups
	return func(yield func(inspect.Group, error) bool) {
		var unknown []string
		var pending error
		defer func() {
			if len(unknown) > 0 { // most often it is the same with all of them
				d.Problems = append(d.Problems, inspect.Problem{What: "pending commits of " + someGroups(unknown), Error: pending.Error(), Code: inspect.CodeNoAnswer, Err: pending})
			}
		}()
		for g, err := range groups {
			if g.PendingUnknown != nil {
				unknown, pending = append(unknown, g.Group), g.PendingUnknown
			}
			count, code := map[string]int{}, map[string]inspect.Code{}
			for _, p := range g.Unread() {
				why := unreadWords(p)
				count[why]++
				code[why] = p.Code()
			}
			for _, why := range slices.Sorted(maps.Keys(count)) {
				d.Problems = append(d.Problems, told(fmt.Sprintf("group %s: %d of %d partitions", g.Group, count[why], len(g.Partitions)), why, code[why]))
			}
			if !yield(g, err) {
				return
			}
		}
	}
}

// unreadProblems is a problem for each topic and reason, whatever number of
// groups it is in the way of.
func unreadProblems(unread []inspect.UnreadPartition) (out []inspect.Problem) {
	type key struct{ topic, why string }
	type found struct {
		groups     map[string]bool
		partitions map[int32]bool
		code       inspect.Code
	}
	byKey := map[key]*found{}
	for _, u := range unread {
		k := key{u.Topic, unreadWords(u.Partition)}
		f := byKey[k]
		if f == nil {
			f = &found{map[string]bool{}, map[int32]bool{}, u.Partition.Code()}
			byKey[k] = f
		}
		f.groups[u.Group], f.partitions[u.Partition.Partition] = true, true
	}
	order := func(a, b key) int { return cmp.Or(cmp.Compare(a.topic, b.topic), cmp.Compare(a.why, b.why)) }
	for _, k := range slices.SortedFunc(maps.Keys(byKey), order) {
		f := byKey[k]
		of := plural(len(f.groups), "group")
		if len(f.groups) == 1 {
			of = "group " + slices.Collect(maps.Keys(f.groups))[0]
		}
		out = append(out, told(fmt.Sprintf("lag of %s on %s", of, partitionsOf(k.topic, slices.Sorted(maps.Keys(f.partitions)))), k.why, f.code))
	}
	return out
}

func told(what, why string, code inspect.Code) inspect.Problem {
	return inspect.Problem{What: what, Error: why, Code: code, Err: errors.New(why)}
}
