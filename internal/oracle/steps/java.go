package steps

// java adds a step of Java's clients, or a few that belong together: they join,
// read, commit and die otherwise than the Go client does.
func (g *generator) java() {
	weights := map[string]int{"join": 5, "poll": 6, "leave": 7, "commit": 6, "txn": 3, "drain": 3, "import": 4, "share": 0, "tool": 5}
	if g.f.Share {
		weights["share"] = 7
	}
	switch g.weighted(weights, []string{"join", "poll", "leave", "commit", "txn", "drain", "import", "share", "tool"}) {
	case "join":
		g.javaJoin()
	case "poll":
		g.javaPoll()
	case "leave":
		g.javaLeave()
	case "commit":
		g.javaCommit()
	case "txn":
		g.javaTxn()
	case "drain":
		g.add(Step{Kind: "java.drain", Group: g.simple(), Topic: g.topic()})
	case "import":
		g.javaImport()
	case "share":
		g.javaShare()
	case "tool":
		g.add(Step{Kind: "tool.members", Group: g.anyGroup()})
	}
}

func (g *generator) javaJoin() {
	if len(g.javas) >= 3 {
		g.javaLeave()
		return
	}
	g.nextMem++
	s := Step{Kind: "java.join", Member: g.nextMem, Group: g.memberGrp(), Topic: g.topic(), Protocol: "classic", How: pick(g, "", "read_committed")}
	switch {
	case g.f.NextGen && s.Group == firstMember+1:
		s.Protocol = "consumer"
	case g.f.Share && g.chance(25):
		s.Protocol, s.Group, s.How = "share", g.share(), ""
	}
	if s.Protocol != "share" && g.chance(30) {
		s.Instance = pick(g, "i1", "i2", "i3")
	}
	g.javas[s.Member] = g.add(s)
	if g.chance(60) {
		g.javaPoll()
	}
	if g.chance(50) { // what a live group looks like
		g.add(Step{Kind: "tool.members", Group: s.Group})
	}
}

// javaMember is one of the members, the same for the same seed.
func (g *generator) javaMember() (Step, bool) {
	var all []Step
	for i := 1; i <= g.nextMem; i++ { // in order: maps have none
		if s, ok := g.javas[i]; ok {
			all = append(all, s)
		}
	}
	if len(all) == 0 {
		return Step{}, false
	}
	return pick(g, all...), true
}

func (g *generator) javaPoll() {
	if m, ok := g.javaMember(); ok {
		n := 1 + g.IntN(10)
		if g.chance(25) {
			n = -n // reads, and does not commit
		}
		g.add(Step{Kind: "java.poll", Member: m.Member, Group: m.Group, N: n})
	}
}

func (g *generator) javaLeave() {
	if m, ok := g.javaMember(); ok {
		delete(g.javas, m.Member)
		g.add(Step{Kind: pick(g, "java.leave", "java.crash"), Member: m.Member, Group: m.Group})
	}
}

func (g *generator) javaCommit() {
	t := g.topic()
	parts := g.somePart(t)
	g.add(Step{Kind: "java.commit", Group: g.simple(), Topic: t, Partitions: parts, Places: g.places(len(parts)), Epoch: g.chance(50),
		Metadata: pick(g, "", "", "from java", "日本")})
}

func (g *generator) javaTxn() {
	g.nextTxn++
	t := g.topic()
	g.add(Step{Kind: "java.txn", Txn: g.nextTxn, Group: g.simple(), Topic: t, Partitions: g.somePart(t),
		Places: []Place{{From: "share", Part: g.Float64()}}, How: pick(g, "commit", "commit", "abort", "abandon")})
}

// javaImport is a migration with its proof: a group that read half of a topic is
// written down, the topic is made anew with the same records, and what a Java
// consumer reads after the import is all that was not read before.
func (g *generator) javaImport() {
	from, t := g.simple(), g.topic()
	var parts []int32
	for p := range g.parts[t] {
		parts = append(parts, p)
	}
	places := make([]Place, len(parts))
	for i := range places {
		places[i] = Place{From: "share", Part: g.Float64()}
	}
	g.add(Step{Kind: "commit", Group: from, Topic: t, Partitions: parts, Places: places})
	export := g.add(Step{Kind: "ask.export", Group: from, Form: "json"})
	g.exports = append(g.exports, export.ID)
	if g.plain[t] && g.chance(60) {
		s := Step{Kind: "topic.recreate", Topic: t, N: int(g.parts[t]), How: "copy"}
		for range g.IntN(6) {
			s.Records = append(s.Records, Record{Partition: g.Int32N(g.parts[t]), At: -60_000 - int64(g.IntN(10_000))})
		}
		g.add(s)
	}
	to := NewGroups + g.IntN(4)
	g.add(Step{Kind: "do.import", N: export.ID, Group: to, Flags: g.settle([]string{"--translate-by", "time"}), Execute: true, Form: "json"})
	g.changes = append(g.changes, to)
	g.add(Step{Kind: "java.drain", Group: to, Topic: t})
}

// javaShare moves a share group, or does and undoes that, and then reads what is
// delivered.
func (g *generator) javaShare() {
	group, t := g.share(), g.topic()
	if g.chance(60) {
		g.add(Step{Kind: "java.share", Group: group, Topic: t})
	}
	change := func(s Step) {
		s.Group, s.Flags, s.Execute, s.Form = group, g.settle(nil), true, "json"
		g.add(s)
		g.changes = append(g.changes, group)
	}
	switch pick(g, "to", "to", "set", "delete", "import", "none") {
	case "to":
		change(Step{Kind: "do.reset", Position: pick(g, "earliest", "earliest", "latest"), Topic: t})
	case "set":
		change(Step{Kind: "do.reset", Position: "number", N: g.IntN(10), Topic: t, Partitions: []int32{g.Int32N(g.parts[t])}})
	case "delete":
		change(Step{Kind: "do.delete"})
	case "import":
		export := g.add(Step{Kind: "ask.export", Group: group, Form: "json"})
		if g.chance(50) {
			change(Step{Kind: "do.delete"})
		}
		change(Step{Kind: "do.import", N: export.ID})
	}
	if g.chance(40) {
		change(Step{Kind: "do.undo"})
	}
	g.add(Step{Kind: "tool.members", Group: group})
	g.add(Step{Kind: "java.share", Group: group, Topic: t})
}

// endJava ends the members that are left.
func (g *generator) endJava() {
	for len(g.javas) > 0 {
		g.javaLeave()
	}
}
