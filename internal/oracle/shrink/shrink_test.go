package shrink

import (
	"testing"
	"time"

	"offsets/internal/oracle/steps"
)

// TestShort: of forty steps two make it fail, and those are found.
func TestShort(t *testing.T) {
	var script steps.Script
	for i := 1; i <= 40; i++ {
		script.Steps = append(script.Steps, steps.Step{ID: i, Kind: "commit"})
	}
	played := 0
	fails := func(s steps.Script) bool {
		played++
		seen := map[int]bool{}
		for _, step := range s.Steps {
			seen[step.ID] = true
		}
		return seen[7] && seen[30]
	}
	short, ok := Short(script, 30, fails, time.Now().Add(time.Minute))
	if !ok || len(short.Steps) != 2 || short.Steps[0].ID != 7 || short.Steps[1].ID != 30 {
		t.Errorf("got %v, %v after %d playings, want steps 7 and 30", short.Steps, ok, played)
	}
}

// TestShortChance: what fails once and never again is not called short.
func TestShortChance(t *testing.T) {
	script := steps.Script{Steps: []steps.Step{{ID: 1, Kind: "commit"}, {ID: 2, Kind: "ask.list"}}}
	if short, ok := Short(script, 2, func(steps.Script) bool { return false }, time.Now().Add(time.Minute)); ok {
		t.Errorf("got %v, which never failed", short.Steps)
	}
}
