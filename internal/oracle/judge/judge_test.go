package judge

import (
	"slices"
	"testing"
	"time"

	"offsets/internal/oracle/record"
	"offsets/internal/oracle/steps"
)

var (
	start = time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)
	tp0   = record.TP{Topic: "o-t1", Partition: 0}
	tp1   = record.TP{Topic: "o-t1", Partition: 1}
)

// world is a broker with one topic of 20 records in each of two partitions.
func world(second int, groups map[string]record.Group) *record.World {
	at := start.Add(time.Duration(second) * time.Second)
	ends := record.Partition{End: 20, Stable: 20}
	return &record.World{Begin: at, End: at.Add(100 * time.Millisecond), Groups: groups,
		Topics: map[string]record.Topic{"o-t1": {ID: "id", Partitions: []record.Partition{ends, ends}}}}
}

func commits(of map[record.TP]int64) record.Group {
	g := record.Group{Type: "classic", State: "Empty", Commits: map[record.TP]record.Commit{}}
	for tp, at := range of {
		g.Commits[tp] = record.Commit{Offset: at, Epoch: -1}
	}
	return g
}

func shares(of map[record.TP]int64) record.Group {
	g := record.Group{Type: "share", State: "Empty", Shares: map[record.TP]record.ShareStart{}}
	for tp, at := range of {
		g.Shares[tp] = record.ShareStart{Start: at, Lag: 20 - at}
	}
	return g
}

// entry is a step at some second of the script, with what the program said.
func entry(second int, s steps.Step, before, after map[string]record.Group, stdout string, exit int) *record.Entry {
	s.ID = second
	e := &record.Entry{Step: s, Before: world(10*second, before), After: world(10*second+5, after), Group: "o-g1", Topic: "o-t1"}
	e.Begin, e.End = e.Before.End, e.After.Begin
	if s.Asks() || s.Changes() {
		e.Runs = []record.Run{{Argv: []string{"offsets"}, Stdout: stdout, Exit: exit}}
	}
	return e
}

func rules(faults []Fault) []string {
	var out []string
	for _, f := range faults {
		out = append(out, f.Rule)
	}
	return out
}

// TestLies plants one lie of each kind, beside the same answer without it.
func TestLies(t *testing.T) {
	five := map[string]record.Group{"o-g1": commits(map[record.TP]int64{tp0: 5})}
	seven := map[string]record.Group{"o-g1": commits(map[record.TP]int64{tp0: 7})}
	both := map[string]record.Group{"o-g1": commits(map[record.TP]int64{tp0: 7, tp1: 1})}
	shared := map[string]record.Group{"o-g1": shares(map[record.TP]int64{tp0: 3, tp1: 4})}
	onlyOne := map[string]record.Group{"o-g1": shares(map[record.TP]int64{tp0: 3})}
	huge := map[string]record.Group{"o-g1": commits(map[record.TP]int64{tp0: 1 << 60})}
	describe := steps.Step{Kind: "ask.describe", Form: "json"}
	asOf := steps.Step{Kind: "ask.state", Form: "json", AsOf: 1}
	row := func(body string) string {
		return `{"groups":[{"group":"o-g1","type":"classic","partitions":[` + body + `]}]}`
	}
	plan := func(body string) string {
		return `{"groups":[{"group":"o-g1","applied":true,"receipt":"r","partitions":[` + body + `]}]}`
	}
	for _, c := range []struct {
		name string
		e    *record.Entry
		want string
	}{
		{"describe, true", entry(2, describe, five, five, row(`{"topic":"o-t1","partition":0,"committed":5,"leader_epoch":null,"metadata":"","log_start":0,"log_end":20,"lag":15,"lost":0,"status":"behind"}`), 0), ""},
		{"describe, wrong lag", entry(2, describe, five, five, row(`{"topic":"o-t1","partition":0,"committed":5,"leader_epoch":null,"metadata":"","log_start":0,"log_end":20,"lag":14,"lost":0,"status":"behind"}`), 0), "describe-lag"},
		{"describe, a row too few", entry(2, describe, five, five, row(``), 0), "describe-rows"},
		{"as of, true", entry(2, asOf, five, five, `{"groups":[{"group":"o-g1","partitions":[{"topic":"o-t1","partition":0,"committed":5,"certain":true}]}],"complete_since":[]}`, 0), ""},
		{"as of, another value", entry(2, asOf, five, five, `{"groups":[{"group":"o-g1","partitions":[{"topic":"o-t1","partition":0,"committed":4,"certain":true}]}],"complete_since":[]}`, 0), "as-of-value"},
		{"as of, another value that is not certain", entry(2, asOf, five, five, `{"groups":[{"group":"o-g1","partitions":[{"topic":"o-t1","partition":0,"committed":4,"certain":false}]}],"complete_since":[]}`, 0), ""},
		{"as of, absent", entry(2, asOf, five, five, `{"groups":[],"complete_since":[]}`, 0), "as-of-absent"},
		{"as of, absent before the log is complete", entry(2, asOf, five, five, `{"groups":[],"complete_since":[{"partition":0,"time":"2026-11-25T01:00:00Z"}]}`, 0), ""},
		{"reset, true", entry(2, steps.Step{Kind: "do.reset", Form: "json", Position: "number", N: 7, Execute: true}, five, seven, plan(`{"topic":"o-t1","partition":0,"from":5,"to":7,"reread":0,"skipped":2,"action":"write","written":true}`), 0), ""},
		{"reset, more moved", entry(2, steps.Step{Kind: "do.reset", Form: "json", Position: "number", N: 7, Execute: true}, five, both, plan(`{"topic":"o-t1","partition":0,"from":5,"to":7,"reread":0,"skipped":2,"action":"write","written":true}`), 0), "moved-outside"},
		{"reset, not done", entry(2, steps.Step{Kind: "do.reset", Form: "json", Position: "number", N: 7, Execute: true}, five, five, plan(`{"topic":"o-t1","partition":0,"from":5,"to":7,"reread":0,"skipped":2,"action":"write","written":true}`), 0), "not-done"},
		{"reset, wrong cost", entry(2, steps.Step{Kind: "do.reset", Form: "json", Position: "number", N: 7, Execute: true}, five, seven, plan(`{"topic":"o-t1","partition":0,"from":5,"to":7,"reread":2,"skipped":0,"action":"write","written":true}`), 0), "plan-cost"},
		{"a plan that moves", entry(2, steps.Step{Kind: "ask.plan", Form: "json", Position: "number", N: 7}, five, seven, ``, 4), "changed-by-refusal"},
		{"undo, a sibling goes", entry(2, steps.Step{Kind: "do.undo", Form: "json", Execute: true}, shared, onlyOne, plan(``), 0), "moved-outside"},
		{"undo, 5 and a row that it says it wrote is not there", entry(2, steps.Step{Kind: "do.undo", Form: "json", Execute: true}, five, five, plan(`{"topic":"o-t1","partition":0,"from":5,"to":7,"action":"write","written":true}`), 5), "not-done"},
		{"check of a share group, over the limit", entry(2, steps.Step{Kind: "ask.check", Form: "json", Flags: []string{"--max-lag", "32"}}, shared, shared, `{}`, 0), "check-verdict"},
		{"check of a share group, within it", entry(2, steps.Step{Kind: "ask.check", Form: "json", Flags: []string{"--max-lag", "33"}}, shared, shared, `{}`, 0), ""},
		{"share group becomes classic", entry(2, steps.Step{Kind: "do.undo", Form: "json", Execute: true}, shared, five, plan(`{"topic":"o-t1","partition":0,"from":null,"to":5,"action":"write","written":true}`), 0), "type-changed"},
		{"check, past the end", entry(2, steps.Step{Kind: "ask.check", Form: "json", Flags: []string{"--max-lag", "100"}}, huge, huge, `{}`, 0), "check-verdict"},
	} {
		j := New("4.3.1")
		j.Take(entry(1, steps.Step{Kind: "commit"}, nil, c.e.Before.Groups, "", 0))
		if c.e.Step.AsOf != 0 {
			c.e.Moment = c.e.Before.Begin.Add(-time.Second)
		}
		got := rules(j.Take(c.e))
		if c.want == "" && len(got) > 0 || c.want != "" && !slices.Contains(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// TestNoEnd: a program that had to be killed is a fault, whatever it printed.
func TestNoEnd(t *testing.T) {
	e := entry(1, steps.Step{Kind: "ask.export", Form: "json"}, nil, nil, "{}", 0)
	e.Runs[0].Killed = true
	if got := rules(New("4.3.1").Take(e)); !slices.Equal(got, []string{"hang"}) {
		t.Errorf("got %q, want hang", got)
	}
}

// TestStoppedConsumer: what was printed is committed, and no member stays.
func TestStoppedConsumer(t *testing.T) {
	for committed, want := range map[int64]string{3: "", 2: "stop-uncommitted"} {
		after := map[string]record.Group{"o-g1": commits(map[record.TP]int64{tp0: committed})}
		j := New("4.3.1")
		j.Take(entry(1, steps.Step{Kind: "consume.start"}, nil, nil, "", 0))
		e := entry(2, steps.Step{Kind: "consume.stop"}, nil, after, "", 0)
		e.Runs = []record.Run{{Argv: []string{"offsets"}, Exit: 130, Stdout: `{"topic":"o-t1","partition":0,"offset":2}` + "\n"}}
		if got := rules(j.Take(e)); want == "" && len(got) > 0 || want != "" && !slices.Contains(got, want) {
			t.Errorf("committed %d: got %q, want %q", committed, got, want)
		}
	}
}

// TestWhoIsLeft: members of other clients, however many, are not the program's;
// and none of them hides one of the program's.
func TestWhoIsLeft(t *testing.T) {
	for _, c := range []struct {
		started, left int
		want          []string
	}{{0, 0, nil}, {0, 1, []string{"stop-member-left"}}, {1, 1, nil}} {
		group := func(program int) map[string]record.Group {
			g := commits(nil)
			g.State, g.Members, g.Program = "Stable", 2+program, program
			return map[string]record.Group{"o-g1": g}
		}
		j := New("4.3.1")
		j.Take(entry(1, steps.Step{Kind: "consume.start"}, group(c.started), group(c.started+1), "", 0))
		e := entry(2, steps.Step{Kind: "consume.stop"}, group(c.started+1), group(c.left), "", 0)
		e.Runs = []record.Run{{Argv: []string{"offsets"}, Exit: 130}}
		if got := rules(j.Take(e)); !slices.Equal(got, c.want) {
			t.Errorf("%d of its members before it, %d left: got %q, want %q", c.started, c.left, got, c.want)
		}
	}
}

// TestUndoneInPart: 0 says that all is back.
func TestUndoneInPart(t *testing.T) {
	were := map[string]record.Group{"o-g1": commits(map[record.TP]int64{tp0: 5, tp1: 1})}
	moved := map[string]record.Group{"o-g1": commits(map[record.TP]int64{tp0: 7, tp1: 2})}
	half := map[string]record.Group{"o-g1": commits(map[record.TP]int64{tp0: 5, tp1: 2})}
	answer := `{"groups":[{"group":"o-g1","applied":true,"receipt":"r","partitions":[
		{"topic":"o-t1","partition":0,"from":7,"to":5,"action":"write","written":true},{"topic":"o-t1","partition":1,"from":2,"to":null,"action":"none","note":"left alone"}]}]}`
	for exit, want := range map[int][]string{0: {"undo-partial"}, 5: nil} {
		j := New("4.3.1")
		j.changes["o-g1"] = []change{{before: were["o-g1"], had: true, after: moved["o-g1"]}}
		if got := rules(j.Take(entry(2, steps.Step{Kind: "do.undo", Form: "json", Execute: true}, moved, half, answer, exit))); !slices.Equal(got, want) {
			t.Errorf("exit %d: got %q, want %q", exit, got, want)
		}
	}
}

// TestFirstFetch: a start offset that a live member's fetch sets is not the
// program's doing; one that moves, or one of a group without members, is.
func TestFirstFetch(t *testing.T) {
	for _, c := range []struct {
		members int
		was     int64
		want    []string
	}{{1, -1, nil}, {1, 3, []string{"moved-outside"}}, {0, -1, []string{"moved-outside"}}} {
		before, after := shares(map[record.TP]int64{tp0: c.was}), shares(map[record.TP]int64{tp0: 4})
		before.Members, after.Members = c.members, c.members
		e := entry(1, steps.Step{Kind: "do.delete", Form: "json", Execute: true}, map[string]record.Group{"o-g2": before}, map[string]record.Group{"o-g2": after}, `{"groups":[]}`, 0)
		if got := rules(New("4.3.1").Take(e)); !slices.Equal(got, c.want) {
			t.Errorf("%d members, from %d: got %q, want %q", c.members, c.was, got, c.want)
		}
	}
}
