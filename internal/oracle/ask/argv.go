package ask

import (
	"fmt"
	"strings"
	"time"

	"offsets/internal/oracle/record"
	"offsets/internal/oracle/steps"
)

// Timeout is what every command gets; none may take much longer.
const Timeout = 8 * time.Second

// Given is what a step's command line needs besides the step.
type Given struct {
	Group, Group2, Topic string
	World                *record.World
	Moment               time.Time // of as-of
	Base                 time.Time // of record timestamps
	PlanFile             string
	ExportFile           string
	Segments             string // a copy of a broker's data folder
}

const stamp = "2006-01-02T15:04:05.000Z07:00"

// Argv is the command line of a step; nil where the step has none.
func Argv(s steps.Step, g Given) []string {
	verb, _ := strings.CutPrefix(s.Kind, "ask.")
	verb, _ = strings.CutPrefix(verb, "do.")
	var args []string
	switch verb {
	case "list":
		args = []string{"list"}
	case "lag":
		args = []string{"list", "--lag"}
	case "describe", "check", "policy", "history", "export":
		args = []string{verb, g.Group}
	case "decode":
		args = []string{"decode", "--group", g.Group}
	case "files":
		args = []string{"decode", g.Segments, "--group", g.Group}
	case "state":
		args = []string{"decode", "--state", "--group", g.Group}
		if !g.Moment.IsZero() {
			args = append(args, "--as-of", g.Moment.UTC().Format(stamp))
		}
	case "plan", "reset", "planfile":
		args = []string{"reset", g.Group, "--to", Position(s, g)}
		if verb == "planfile" {
			args = append(args, "--plan-file", g.PlanFile)
		}
		args = append(args, selection(s, g)...)
	case "apply":
		args = []string{"apply", g.PlanFile}
	case "undo":
		args = []string{"undo", g.Group}
	case "import":
		args = []string{"import", g.ExportFile, "--to-group", g.Group}
	case "copy":
		args = []string{"copy", g.Group, g.Group2}
	case "delete":
		args = append([]string{"delete", g.Group}, selection(s, g)...)
	case "consume.start":
		args = []string{"consume", g.Topic, "--group", g.Group, "--from-beginning", "-o", "jsonl"}
		if s.N > 0 {
			args = append(args, "--processing-time", fmt.Sprintf("%dms", 2*s.N))
		}
		return append(args, s.Flags...)
	default:
		return nil
	}
	args = append(args, s.Flags...)
	if s.Execute {
		args = append(args, "--execute")
	}
	if s.Form != "" {
		args = append(args, "-o", s.Form)
	}
	return append(args, "--timeout", Timeout.String())
}

// Position is a step's position as the program reads it.
func Position(s steps.Step, g Given) string {
	switch s.Position {
	case "number":
		return fmt.Sprint(s.N)
	case "+", "-":
		return fmt.Sprintf("%s%d", s.Position, s.N)
	case "time":
		return g.Base.Add(time.Duration(s.N) * time.Millisecond).UTC().Format(stamp)
	case "duration":
		return fmt.Sprintf("PT%dM", s.N)
	case "as-of":
		return "as-of:" + g.Moment.UTC().Format(stamp)
	}
	return s.Position
}

func selection(s steps.Step, g Given) []string {
	if s.Topic == 0 {
		return nil
	}
	t := g.Topic
	if len(s.Partitions) > 0 {
		var list []string
		for _, p := range s.Partitions {
			list = append(list, fmt.Sprint(p))
		}
		t += ":" + strings.Join(list, ",")
	}
	return []string{"--topic", t}
}
