// Package shrink makes a failing script short: steps are left out, and the rest
// is played again. It knows how to play nothing: whoever calls it does.
package shrink

import (
	"slices"
	"time"

	"offsets/internal/oracle/steps"
)

// Fails plays a script and says whether it fails as the first one did.
type Fails func(steps.Script) bool

// Short returns the shortest script it finds until the deadline that fails two
// times of three; ok is false where not even the whole one does.
//
// failed is the id of the step at which it failed: what comes after it goes
// first, then the questions in between, then ever smaller pieces.
func Short(script steps.Script, failed int, fails Fails, deadline time.Time) (_ steps.Script, ok bool) {
	late := func() bool { return time.Now().After(deadline) }
	with := func(s []steps.Step) steps.Script {
		out := script
		out.Steps = s
		return out
	}
	best := slices.DeleteFunc(slices.Clone(script.Steps), func(s steps.Step) bool { return s.ID > failed })
	shorter := [][]steps.Step{best} // each failed once; the last is the shortest
	try := func(candidate []steps.Step) bool {
		if len(candidate) == len(best) || len(candidate) == 0 || late() || !fails(with(candidate)) {
			return false
		}
		best = candidate
		shorter = append(shorter, best)
		return true
	}
	try(slices.DeleteFunc(slices.Clone(best), func(s steps.Step) bool {
		return s.ID != failed && (s.Asks() && s.Kind != "ask.export" || s.Kind == "tool.describe")
	}))
	try(related(best, failed))
	for size := max(1, len(best)/2); size >= 1 && !late(); size /= 2 {
		for at := len(best) - size; at >= 0; at -= size {
			try(append(slices.Clone(best[:at]), best[min(len(best), at+size):]...))
			at = min(at, len(best))
		}
	}
	for i := len(shorter) - 1; i >= 0; i-- {
		if i < len(shorter)-3 { // by then it is chance, not the script
			break
		}
		n := 0
		for round := range 3 {
			if fails(with(shorter[i])) {
				n++
			}
			if n == 2 || round-n == 1 {
				break
			}
		}
		if n >= 2 {
			return with(shorter[i]), true
		}
	}
	return with(best), false
}

// related leaves out what is about other groups than the failed step's.
func related(all []steps.Step, failed int) []steps.Step {
	i := slices.IndexFunc(all, func(s steps.Step) bool { return s.ID == failed })
	if i < 0 || all[i].Group == 0 {
		return all
	}
	groups := map[int]bool{all[i].Group: true, all[i].Group2: true}
	from := all[i].N // of an import or a plan file
	return slices.DeleteFunc(slices.Clone(all), func(s steps.Step) bool {
		return s.ID != failed && s.ID != from && s.Group != 0 && !groups[s.Group] && !groups[s.Group2]
	})
}
