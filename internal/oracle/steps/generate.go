package steps

import (
	"math/rand/v2"
)

// Features says what a release has.
type Features struct {
	Release string
	// NextGen: KIP-848 members; Share: share groups.
	NextGen, Share bool
	// Restart: the broker may be restarted.
	Restart bool
	// Java: Java's clients play along; JavaOnly: and nobody else.
	Java, JavaOnly bool
	// Failover: there are several brokers, one of which may be down.
	Failover bool
}

// The groups of a script have parts to play: those whose offsets are set from
// outside, those with members, and share groups.
const (
	SimpleGroups = 4 // 1 to 4: commits without members
	MemberGroups = 2 // 5 and 6
	ShareGroups  = 2 // 11 and 12
	firstMember  = SimpleGroups + 1
	FirstShare   = 11
	// NewGroups is where names begin that nothing was committed to: for import
	// and copy.
	NewGroups = 21
	topics    = 3
)

// generator knows roughly what stands after the steps so far, so that most
// steps have something to work on. What it does not know the steps find out
// when they are played.
type generator struct {
	*rand.Rand
	f     Features
	steps []Step
	id    int

	parts   [topics + 1]int32
	plain   [topics + 1]bool // not compacted, no retention: what was produced stays
	clock   int64            // ms: time of the last record
	members map[int]Step
	javas   map[int]Step
	live    int // consume program: its group
	nextMem int
	txns    map[int]int // open transactions: group
	nextTxn int
	changes []int // groups that the program changed
	exports []int // ids of export steps
	focus   int   // the group that was touched last
	// compaction is the id of the last step that forced one, shared what each
	// share group has read last.
	compaction int
	shared     map[int]int
}

// Generate makes the script of a seed.
func Generate(seed int64, f Features, length int) Script {
	g := &generator{
		Rand:    rand.New(rand.NewPCG(uint64(seed), 0x0ff5e75)),
		f:       f,
		members: map[int]Step{},
		javas:   map[int]Step{},
		txns:    map[int]int{},
		shared:  map[int]int{},
	}
	for t := 1; t <= topics; t++ {
		g.create(t)
	}
	if f.Share { // something that a share group has read
		g.shared[FirstShare] = g.topic()
		g.add(Step{Kind: "share.consume", Group: FirstShare, Topic: g.shared[FirstShare], N: 1000})
	}
	for g.id < length {
		g.one()
	}
	g.end()
	return Script{Seed: seed, Release: f.Release, Steps: g.steps}
}

func (g *generator) add(s Step) Step {
	g.id++
	s.ID = g.id
	if s.Group != 0 {
		g.focus = s.Group
	}
	g.steps = append(g.steps, s)
	return s
}

func (g *generator) chance(percent int) bool { return g.IntN(100) < percent }

func pick[T any](g *generator, of ...T) T { return of[g.IntN(len(of))] }

func (g *generator) create(t int) {
	g.parts[t] = 1 + g.Int32N(3)
	how := ""
	switch {
	case t == topics && g.chance(40):
		how = pick(g, "compact", "retention")
	}
	g.plain[t] = how == ""
	g.add(Step{Kind: "topic.create", Topic: t, N: int(g.parts[t]), How: how})
	g.produce(t, 10+g.IntN(30))
}

// produce writes records with timestamps of one of several kinds: rising, all
// the same (one batch of one millisecond), or out of order (several producers).
func (g *generator) produce(t, n int) {
	var rs []Record
	kind := pick(g, "rising", "rising", "equal", "mixed", "mixed")
	for range n {
		at := g.clock
		switch kind {
		case "rising":
			g.clock += int64(g.IntN(1500))
			at = g.clock
		case "mixed":
			g.clock += int64(g.IntN(1500))
			at = max(0, g.clock-int64(g.IntN(4))*int64(g.IntN(4000)))
		}
		rs = append(rs, Record{Partition: g.Int32N(g.parts[t]), At: at})
	}
	g.clock += 2000
	g.add(Step{Kind: "topic.produce", Topic: t, Records: rs})
}

// one adds one step, or a few that belong together.
func (g *generator) one() {
	type choice struct {
		weight int
		do     func()
	}
	choices := []choice{
		{34, g.disturb},
		{60, g.question},
		{26, g.change},
	}
	switch {
	case g.f.JavaOnly:
		choices = []choice{{8, g.java}, {2, g.disturb}, {2, g.question}}
	case g.f.Java:
		choices = append(choices, choice{12, g.java})
	}
	if g.f.Failover {
		choices = append(choices, choice{6, g.failover})
	}
	total := 0
	for _, c := range choices {
		total += c.weight
	}
	n := g.IntN(total)
	for _, c := range choices {
		if n -= c.weight; n < 0 {
			c.do()
			return
		}
	}
}

func (g *generator) weighted(all map[string]int, order []string) string {
	total := 0
	for _, name := range order {
		total += all[name]
	}
	n := g.IntN(total)
	for _, name := range order {
		if n -= all[name]; n < 0 {
			return name
		}
	}
	return order[0]
}

// committed is a group whose commits are in the offsets topic.
func (g *generator) committed() int {
	if g.focus != 0 && g.focus <= SimpleGroups && g.chance(60) {
		return g.focus
	}
	return g.simple()
}

// end stops what still runs.
func (g *generator) end() {
	if g.live != 0 {
		g.stopConsume(0)
	}
	for len(g.members) > 0 {
		g.leave()
	}
	g.endJava()
}

func (g *generator) topic() int     { return 1 + g.IntN(topics) }
func (g *generator) simple() int    { return 1 + g.IntN(SimpleGroups) }
func (g *generator) memberGrp() int { return firstMember + g.IntN(MemberGroups) }
func (g *generator) share() int     { return FirstShare + g.IntN(ShareGroups) }
func (g *generator) somePart(t int) []int32 {
	if g.chance(60) {
		return []int32{g.Int32N(g.parts[t])}
	}
	var out []int32
	for p := range g.parts[t] {
		if g.chance(70) {
			out = append(out, p)
		}
	}
	if len(out) == 0 {
		out = append(out, 0)
	}
	return out
}

// anyGroup is a group of any part that is likely to be there, and often the one
// that something has just happened to.
func (g *generator) anyGroup() int {
	switch {
	case g.focus != 0 && g.chance(45):
		return g.focus
	case g.f.Share && g.chance(22):
		return g.share()
	case g.live != 0 && g.chance(10):
		return g.live
	case len(g.members)+len(g.javas) > 0 && g.chance(45):
		return g.memberGrp()
	case g.chance(12):
		return g.memberGrp()
	}
	return g.simple()
}
