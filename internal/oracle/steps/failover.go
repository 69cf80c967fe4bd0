package steps

// failover takes away the broker that coordinates a group right before the
// program is asked about the group or changes it, asks more while it is down,
// and brings it back.
func (g *generator) failover() {
	how := pick(g, "kill", "kill", "clean")
	first := len(g.steps)
	switch pick(g, "describe", "list", "change", "change", "export") {
	case "describe":
		g.add(Step{Kind: "ask.describe", Group: g.simple(), Form: "json"})
	case "list":
		g.add(Step{Kind: "ask.lag", Group: g.simple(), Form: "json"})
	case "export":
		g.add(Step{Kind: "ask.export", Group: g.simple(), Form: "json"})
	case "change":
		g.add(Step{Kind: "do.reset", Group: g.simple(), Position: pick(g, "earliest", "latest"), Execute: true, Form: "json", Flags: g.settle(nil)})
	}
	s := &g.steps[first]
	s.Fail = how
	if s.Changes() {
		g.changes = append(g.changes, s.Group)
	}
	for range 2 + g.IntN(4) {
		if g.chance(70) {
			g.question()
		} else {
			g.change()
		}
	}
	g.add(Step{Kind: "broker.heal"})
}
