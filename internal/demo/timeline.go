package demo

import (
	"fmt"
	"slices"
	"strings"
)

// timeline draws which offsets two consumers processed, and where the
// committed offset stood between them.
func timeline(first, second []int64, committed int64) []string {
	if len(first) == 0 || len(second) == 0 {
		return nil
	}
	from := min(slices.Min(first), slices.Min(second), committed)
	to := max(slices.Max(first), slices.Max(second))
	const label, cell = "%-12s", "%3s"
	row := func(name string, mark func(offset int64) string) string {
		var b strings.Builder
		fmt.Fprintf(&b, label, name)
		for o := from; o <= to+1; o++ {
			fmt.Fprintf(&b, cell, mark(o))
		}
		return strings.TrimRight(b.String(), " ")
	}
	dot := func(processed []int64, crash bool) func(int64) string {
		return func(o int64) string {
			switch {
			case slices.Contains(processed, o):
				return "●"
			case crash && o == slices.Max(processed)+1:
				return "✗"
			}
			return ""
		}
	}
	return []string{
		row("offset", func(o int64) string {
			if o > to {
				return ""
			}
			return fmt.Sprint(o)
		}),
		row("before", dot(first, true)) + " kill -9",
		row("committed", func(o int64) string {
			if o == committed {
				return "▲"
			}
			return ""
		}),
		row("after", dot(second, false)),
	}
}
