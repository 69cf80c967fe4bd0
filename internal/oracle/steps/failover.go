package steps

// failover takes away the broker that coordinates a group right before the
// program is asked about the group or changes it, asks more while it is down,
// and brings it back.
func (g *generator) failover() {
	group := g.simple()
	g.commit(group)
	s := Step{Kind: pick(g, "ask.describe", "ask.lag", "ask.export", "do.reset", "do.reset"), Group: group, Form: "json", Fail: pick(g, "kill", "kill", "clean")}
	if s.Changes() {
		s.Position, s.Execute, s.Flags = pick(g, "earliest", "latest"), true, g.settle(nil)
		g.changes = append(g.changes, group)
	}
	g.add(s)
	for range 2 + g.IntN(4) {
		if g.chance(70) {
			g.question()
		} else {
			g.change()
		}
	}
	g.add(Step{Kind: "broker.heal"})
}
