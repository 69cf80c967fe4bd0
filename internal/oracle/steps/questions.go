package steps

import "fmt"

// question adds a step that asks the program, and changes nothing.
func (g *generator) question() {
	weights := map[string]int{"list": 6, "lag": 6, "describe": 14, "check": 10, "policy": 7, "decode": 8, "files": 5, "state": 6, "asof": 14,
		"history": 10, "plan": 22, "export": 6, "tool": 12}
	switch g.weighted(weights, []string{"list", "lag", "describe", "check", "policy", "decode", "files", "state", "asof", "history", "plan", "export", "tool"}) {
	case "list":
		g.add(Step{Kind: "ask.list", Form: pick(g, "json", "json", "jsonl", "csv", "table", "yaml")})
	case "lag":
		g.add(Step{Kind: "ask.lag", Form: pick(g, "json", "json", "table", "table", "csv"), Flags: pick(g, nil, []string{"--sort", "lag"})})
	case "describe":
		g.describe()
	case "check":
		g.check()
	case "policy":
		g.add(Step{Kind: "ask.policy", Group: g.anyGroup(), Form: "json"})
	case "decode":
		g.add(Step{Kind: "ask.decode", Group: g.anyGroup(), Form: "jsonl"})
	case "files":
		g.add(Step{Kind: "ask.files", Group: g.anyGroup(), Form: "jsonl"})
	case "state":
		g.add(Step{Kind: "ask.state", Group: g.committed(), Form: "json"})
	case "asof":
		g.add(Step{Kind: "ask.state", Group: g.committed(), Form: "json", AsOf: g.past()})
	case "history":
		g.add(Step{Kind: "ask.history", Group: pick(g, g.committed(), g.committed(), g.anyGroup()), Form: "json"})
	case "plan":
		g.reset("ask.plan")
	case "export":
		s := g.add(Step{Kind: "ask.export", Group: g.anyGroup(), Form: "json"})
		g.exports = append(g.exports, s.ID)
	case "tool":
		g.add(Step{Kind: "tool.describe", Group: g.anyGroup()})
	}
}

// past is a moment of the script; often one shortly before a compaction, where
// what compaction took away mattered.
func (g *generator) past() int {
	if g.compaction > 0 && g.chance(50) {
		return max(1, g.compaction-g.IntN(20))
	}
	return 1 + g.IntN(max(1, g.id))
}

func (g *generator) describe() {
	s := Step{Kind: "ask.describe", Group: g.anyGroup(), Form: pick(g, "json", "json", "json", "jsonl", "csv", "wide", "table")}
	for _, flag := range []string{"--time", "--all-partitions", "--pending", "--exact", "--state"} {
		if g.chance(12) {
			s.Flags = append(s.Flags, flag)
		}
	}
	if g.chance(10) {
		s.Flags = append(s.Flags, "--isolation", "read_committed")
	}
	g.add(s)
}

func (g *generator) check() {
	s := Step{Kind: "ask.check", Group: g.anyGroup(), Form: pick(g, "json", "json", "table")}
	switch g.IntN(4) {
	case 0:
		s.Flags = []string{"--max-lag", fmt.Sprint(g.IntN(60))}
	case 1:
		s.Flags = []string{"--max-partition-lag", fmt.Sprint(g.IntN(40))}
	case 2:
		s.Flags = []string{"--max-lag", "1000000"}
	case 3:
		s.Flags = []string{"--require-commit"}
	}
	g.add(s)
}

// change adds a step in which the program changes offsets.
func (g *generator) change() {
	switch pick(g, "reset", "reset", "reset", "undo", "undo", "undo", "undo", "import", "import", "copy", "copy", "delete", "delete", "plan", "plan", "share", "share", "share", "translate") {
	case "reset":
		g.reset("do.reset")
	case "plan":
		s := g.reset("do.planfile")
		if g.chance(40) {
			g.disturb()
		}
		g.add(Step{Kind: "do.apply", Group: s.Group, N: s.ID, Execute: g.chance(70), Flags: g.settle(nil), Form: "json"})
		g.changes = append(g.changes, s.Group)
	case "undo":
		g.undo()
	case "import":
		if len(g.exports) == 0 {
			s := g.add(Step{Kind: "ask.export", Group: g.anyGroup(), Form: "json"})
			g.exports = append(g.exports, s.ID)
		}
		from := pick(g, g.exports...)
		to := pick(g, g.simple(), NewGroups+g.IntN(4))
		flags := pick(g, nil, []string{"--translate-by", "time"}, []string{"--translate-by", "offset"})
		g.add(Step{Kind: "do.import", N: from, Group: to, Flags: g.settle(flags), Execute: g.chance(70), Form: "json"})
		g.changes = append(g.changes, to)
	case "translate":
		g.translate()
	case "copy":
		from := g.simple()
		to := pick(g, g.simple(), NewGroups+g.IntN(4))
		if from != to {
			g.add(Step{Kind: "do.copy", Group: from, Group2: to, Flags: g.settle(nil), Execute: g.chance(60), Form: "json"})
			g.changes = append(g.changes, to)
		}
	case "delete":
		g.delete()
	case "share":
		if g.f.Share {
			g.shareChange()
		} else {
			g.reset("do.reset")
		}
	}
}

// translate is the way of a migration: written down, the topic made anew with
// the same records elsewhere, and read back by time.
func (g *generator) translate() {
	group := g.simple()
	g.commit(group)
	e := g.add(Step{Kind: "ask.export", Group: group, Form: "json"})
	g.exports = append(g.exports, e.ID)
	if g.chance(40) {
		g.recreate()
	}
	to := NewGroups + g.IntN(4)
	g.add(Step{Kind: "do.import", N: e.ID, Group: to, Flags: g.settle([]string{"--translate-by", "time"}), Execute: g.chance(70), Form: "json"})
	g.changes = append(g.changes, to)
}

func (g *generator) settle(flags []string) []string {
	if g.chance(90) {
		return append(append([]string{}, flags...), "--settle", "0s")
	}
	return flags
}

func (g *generator) reset(kind string) Step {
	s := Step{Kind: kind, Group: g.anyGroup(), Form: "json", Execute: kind == "do.reset" && g.chance(75)}
	s.Position = pick(g, "earliest", "latest", "current", "number", "number", "+", "-", "time", "time", "duration", "as-of", "as-of", "as-of")
	s.N = 1 + g.IntN(30)
	if s.Position == "as-of" {
		s.AsOf = g.past()
	}
	if s.Position == "time" {
		s.N = g.IntN(int(g.clock + 1))
	}
	if g.chance(50) {
		s.Topic = g.topic()
		if g.chance(50) {
			s.Partitions = g.somePart(s.Topic)
		}
	}
	if g.chance(15) && (s.Position == "number" || s.Position == "+" || s.Position == "-") {
		s.Flags = append(s.Flags, "--clamp")
	}
	if kind == "ask.plan" && g.chance(12) {
		s.Flags = append(s.Flags, "--time")
	}
	if kind != "ask.plan" {
		s.Flags = g.settle(s.Flags)
	}
	s = g.add(s)
	if s.Execute {
		g.changes = append(g.changes, s.Group)
	}
	return s
}

func (g *generator) undo() {
	group := g.simple()
	if len(g.changes) > 0 && g.chance(90) {
		group = g.changes[max(0, len(g.changes)-1-g.IntN(3))]
	}
	s := Step{Kind: "do.undo", Group: group, Flags: g.settle(nil), Execute: g.chance(75), Form: "json"}
	if g.chance(15) {
		s.Flags = append(s.Flags, "--even-if-moved")
	}
	g.add(s)
	if g.chance(25) { // undo of the undo
		g.add(s)
	}
}

func (g *generator) delete() {
	s := Step{Kind: "do.delete", Group: g.anyGroup(), Execute: g.chance(65), Form: "json"}
	if g.chance(55) {
		s.Topic = g.topic()
		if g.chance(40) {
			s.Partitions = g.somePart(s.Topic)
		}
	}
	s.Flags = g.settle(nil)
	g.add(s)
	g.changes = append(g.changes, s.Group)
	if g.chance(50) {
		g.undo()
	}
}

func (g *generator) shareChange() {
	group, t := g.share(), g.topic()
	switch pick(g, "set", "set", "set", "to", "to", "to", "delete") {
	case "set": // one partition, or several one after the other; beside one that was there before
		if g.chance(40) {
			g.add(Step{Kind: "share.alter", Group: group, Topic: t, Partitions: []int32{g.Int32N(g.parts[t])}, Places: []Place{{From: "share", Part: g.Float64()}}})
		}
		for range 1 + g.IntN(2) {
			g.add(Step{Kind: "do.reset", Group: group, Position: "number", N: 1 + g.IntN(4), Topic: t, Partitions: []int32{g.Int32N(g.parts[t])}, Execute: true,
				Form: "json", Flags: g.settle(nil)})
		}
	case "to":
		if read := g.shared[group]; read != 0 && g.chance(70) {
			t = read
		}
		g.add(Step{Kind: "do.reset", Group: group, Position: pick(g, "earliest", "earliest", "latest"), Topic: t, Execute: true, Form: "json", Flags: g.settle(nil)})
	case "delete":
		g.add(Step{Kind: "do.delete", Group: group, Execute: true, Form: "json", Flags: g.settle(nil)})
	}
	g.changes = append(g.changes, group)
	if g.chance(55) {
		g.add(Step{Kind: "do.undo", Group: group, Flags: g.settle(nil), Execute: true, Form: "json"})
	}
}
