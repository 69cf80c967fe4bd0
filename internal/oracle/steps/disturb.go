package steps

import (
	"math"
	"strconv"
)

// disturb adds a step of traffic: what happens to the broker without the
// program.
func (g *generator) disturb() {
	weights := map[string]int{
		"commit": 34, "txn": 10, "txn.end": 10, "produce": 8, "trim": 4, "recreate": 3, "grow": 2,
		"join": 8, "poll": 5, "leave": 8, "group.delete": 2, "offsets.delete": 3, "compact": 4, "consume": 6,
		"share": 0, "restart": 0, "topic.delete": 4,
	}
	if g.f.Share {
		weights["share"] = 20
	}
	if g.f.Restart {
		weights["restart"] = 2
	}
	switch g.weighted(weights, []string{"commit", "txn", "txn.end", "produce", "trim", "recreate", "grow", "join", "poll", "leave",
		"group.delete", "offsets.delete", "compact", "consume", "share", "restart", "topic.delete"}) {
	case "commit":
		g.commit(g.simple())
	case "txn":
		g.begin()
	case "txn.end":
		g.endTxn()
	case "produce":
		g.produce(g.topic(), 1+g.IntN(25))
	case "trim":
		t := g.topic()
		g.add(Step{Kind: "topic.trim", Topic: t, Partitions: g.somePart(t), Places: []Place{{From: "share", Part: g.Float64()}}})
	case "recreate":
		g.recreate()
	case "grow":
		t := g.topic()
		if g.parts[t] < 4 {
			g.parts[t]++
			g.add(Step{Kind: "topic.grow", Topic: t, N: int(g.parts[t])})
		}
	case "join":
		g.join()
	case "poll":
		g.poll()
	case "leave":
		g.leave()
	case "group.delete":
		g.add(Step{Kind: "group.delete", Group: g.simple()})
	case "offsets.delete":
		t := g.topic()
		g.add(Step{Kind: "offsets.delete", Group: g.simple(), Topic: t, Partitions: g.somePart(t)})
	case "compact":
		g.compaction = g.add(Step{Kind: "compact"}).ID
		for group := range SimpleGroups { // what it took away mattered then
			g.add(Step{Kind: "ask.state", Group: 1 + group, Form: "json", AsOf: max(1, g.id-1-g.IntN(25))})
		}
	case "consume":
		if g.live == 0 {
			g.startConsume()
		} else {
			g.stopConsume(0)
		}
	case "share":
		g.shareStep()
	case "restart":
		if g.chance(60) { // half a minute, for all lanes
			return
		}
		g.add(Step{Kind: "restart", How: pick(g, "clean", "kill")})
	case "topic.delete":
		t := topics
		g.add(Step{Kind: "topic.delete", Topic: t})
		g.create(t)
	}
}

// place is an offset: mostly inside the log, sometimes where nothing is, and
// now and then where only a broken tool puts one.
func (g *generator) place() Place {
	switch n := g.IntN(100); {
	case n < 70:
		return Place{From: "share", Part: g.Float64()}
	case n < 78:
		return Place{From: "end"}
	case n < 84:
		return Place{From: "start"}
	case n < 89:
		return Place{From: "end", N: 1 + g.Int64N(50)}
	case n < 94:
		return Place{From: "start", N: -1 - g.Int64N(10)}
	case n < 96:
		return Place{From: "number", N: pick[int64](g, math.MaxInt64, 1<<60, 1<<60+14, 1<<62, 1<<60-1, math.MaxInt64-1)}
	}
	return Place{From: "share", Part: g.Float64()}
}

func (g *generator) places(n int) []Place {
	out := make([]Place, n)
	for i := range out {
		out[i] = g.place()
	}
	return out
}

func (g *generator) commit(group int) {
	t := g.topic()
	parts := g.somePart(t)
	s := Step{Kind: "commit", Group: group, Topic: t, Partitions: parts, Places: g.places(len(parts)), Epoch: g.chance(30)}
	if g.chance(40) {
		s.Metadata = pick(g, "m", "note, with comma", "ключ", `"quoted"`, "x y z")
	}
	g.add(s)
	// A consumer that commits again and again, as most of them do: without it
	// compaction has nothing to take away.
	if g.chance(35) {
		for range 1 + g.IntN(4) {
			again := s
			again.Partitions, again.Places = parts[:1], []Place{{From: "share", Part: g.Float64()}}
			g.add(again)
		}
	}
}

func (g *generator) begin() {
	if len(g.txns) >= 3 {
		g.endTxn()
		return
	}
	g.nextTxn++
	t := g.topic()
	parts := g.somePart(t)
	s := g.add(Step{Kind: "txn.begin", Txn: g.nextTxn, Group: g.simple(), Topic: t, Partitions: parts,
		Places: []Place{{From: "share", Part: g.Float64()}}, How: pick(g, "minute", "minute", "minute", "short")})
	g.txns[s.Txn] = s.Group
	switch {
	case g.chance(35): // a plain commit of the same place, while the transaction is open
		g.add(Step{Kind: "commit", Group: s.Group, Topic: t, Partitions: parts[:1], Places: []Place{{From: "share", Part: g.Float64()}}})
		if g.chance(60) {
			g.endTxn()
		}
	case g.chance(50):
		g.endTxn()
	}
}

func (g *generator) endTxn() {
	for txn := 1; txn <= g.nextTxn; txn++ { // in order: maps have none
		group, open := g.txns[txn]
		if !open || g.chance(30) {
			continue
		}
		delete(g.txns, txn)
		g.add(Step{Kind: "txn.end", Txn: txn, Group: group, How: pick(g, "commit", "abort")})
		return
	}
}

// recreate deletes a topic and creates it again: empty, with other records, or
// as a copy whose offsets are shifted, as a mirror's are.
func (g *generator) recreate() {
	t := g.topic()
	how := pick(g, "new", "copy", "copy")
	if !g.plain[t] {
		how = "new"
	}
	s := Step{Kind: "topic.recreate", Topic: t, N: int(g.parts[t]), How: how}
	for range g.IntN(6) {
		s.Records = append(s.Records, Record{Partition: g.Int32N(g.parts[t]), At: -60_000 - int64(g.IntN(10_000))})
	}
	g.add(s)
	if how == "new" {
		g.produce(t, 5+g.IntN(20))
	}
}

func (g *generator) join() {
	if len(g.members) >= 3 {
		g.leave()
		return
	}
	g.nextMem++
	s := Step{Kind: "member.join", Member: g.nextMem, Group: g.memberGrp(), Topic: g.topic(), Protocol: "classic"}
	if g.f.NextGen && s.Group == firstMember+1 {
		s.Protocol = "consumer"
	}
	if g.chance(20) {
		s.Instance = pick(g, "i1", "i2")
	}
	g.members[s.Member] = g.add(s)
	if g.chance(60) {
		g.poll()
	}
}

func (g *generator) member() (Step, bool) {
	for i := 1; i <= g.nextMem; i++ {
		if s, ok := g.members[i]; ok && (g.chance(60) || len(g.members) == 1) {
			return s, true
		}
	}
	for i := 1; i <= g.nextMem; i++ {
		if s, ok := g.members[i]; ok {
			return s, true
		}
	}
	return Step{}, false
}

func (g *generator) poll() {
	if m, ok := g.member(); ok {
		g.add(Step{Kind: "member.poll", Member: m.Member, Group: m.Group, N: 1 + g.IntN(10)})
	}
}

func (g *generator) leave() {
	if m, ok := g.member(); ok {
		delete(g.members, m.Member)
		g.add(Step{Kind: "member.leave", Member: m.Member, Group: m.Group})
	}
}

// startConsume starts the program itself as a consumer, with records to read
// while it is stopped.
func (g *generator) startConsume() {
	t := g.topic()
	g.live = g.memberGrp()
	flags := []string{}
	if g.f.NextGen && g.chance(25) {
		flags = append(flags, "--group-protocol", "consumer")
	}
	g.add(Step{Kind: "consume.start", Group: g.live, Topic: t, Flags: flags, N: g.IntN(3)})
	if g.chance(30) {
		g.add(Step{Kind: "topic.recreate", Topic: t, N: int(g.parts[t]), How: "new"})
		g.plain[t] = true
		g.produce(t, 30)
		g.stopConsume(3000)
		return
	}
	if g.chance(70) {
		g.stopConsume(0)
	}
}

// stopConsume stops it after some milliseconds. Twice means two signals right
// after each other, as timeout(1) sends them, with so many microseconds between.
func (g *generator) stopConsume(after int) {
	s := Step{Kind: "consume.stop", Group: g.live, How: pick(g, "int", "term", "twice", "twice", "twice"), N: after + g.IntN(1200)}
	if s.How == "twice" && g.chance(70) {
		s.Flags = []string{strconv.Itoa(g.IntN(3000))}
	}
	g.add(s)
	g.live = 0
}

func (g *generator) shareStep() {
	group, t := g.share(), g.topic()
	switch pick(g, "alter", "alter", "consume", "consume", "consume", "delete") {
	case "alter":
		parts := g.somePart(t)
		g.add(Step{Kind: "share.alter", Group: group, Topic: t, Partitions: parts, Places: []Place{{From: "share", Part: g.Float64()}}})
	case "consume":
		g.shared[group] = t
		g.add(Step{Kind: "share.consume", Group: group, Topic: t, N: pick(g, 3, 10, 1000, 1000)})
	case "delete":
		g.add(Step{Kind: "share.delete", Group: group, Topic: t})
	}
}
