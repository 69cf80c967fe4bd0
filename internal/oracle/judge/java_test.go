package judge

import (
	"slices"
	"strings"
	"testing"

	"offsets/internal/oracle/record"
	"offsets/internal/oracle/steps"
)

// produced is a step that writes 20 records into each partition.
func produced() *record.Entry {
	e := entry(1, steps.Step{Kind: "topic.produce"}, nil, nil, "", 0)
	for _, tp := range []record.TP{tp0, tp1} {
		op := record.Op{Kind: "produce", TP: tp}
		for at := range int64(20) {
			op.Records = append(op.Records, record.Record{TP: tp, Offset: at, Key: tp.String() + "@" + string(rune('a'+at))})
		}
		e.Ops = append(e.Ops, op)
	}
	return e
}

// read is a step in which a Java client reads the records of partition 0 from an
// offset on.
func read(second int, kind string, groups map[string]record.Group, from int64, err string) *record.Entry {
	e := entry(second, steps.Step{Kind: kind}, groups, groups, "", 0)
	op := record.Op{Kind: kind, Group: "o-g1", Err: err}
	op.Records = append(op.Records, produced().Ops[0].Records[from:]...)
	e.Ops = []record.Op{op}
	return e
}

// TestJavaReads plants what a Java client is given after a change.
func TestJavaReads(t *testing.T) {
	group := map[string]record.Group{"o-g1": shares(map[record.TP]int64{tp0: 4})}
	classic := map[string]record.Group{"o-g1": commits(map[record.TP]int64{tp0: 4})}
	reset := func(groups map[string]record.Group) *record.Entry {
		return entry(2, steps.Step{Kind: "do.reset", Form: "json", Execute: true, Flags: []string{}}, groups, groups,
			`{"groups":[{"group":"o-g1","applied":true,"partitions":[{"topic":"o-t1","partition":0,"from":4,"to":4,"action":"none"}]}]}`, 0)
	}
	for _, c := range []struct {
		name string
		read *record.Entry
		want string
	}{
		{"all is delivered", read(3, "java.share", group, 4, ""), ""},
		{"too little", read(3, "java.share", group, 5, ""), "share-delivered"},
		{"too much", read(3, "java.share", group, 3, ""), "share-delivered"},
		{"nothing", read(3, "java.share", group, 20, ""), "share-delivered"},
		{"no share group any more", read(3, "java.share", classic, 20, "poll: GroupIdNotFoundException: Group o-g1 is not a share group."), "share-unusable"},
	} {
		j := New("4.3.1")
		j.Take(produced())
		j.Take(reset(group))
		if got := rules(j.Take(c.read)); c.want == "" && len(got) > 0 || c.want != "" && !slices.Equal(got, []string{c.want}) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
	for from, want := range map[int64][]string{4: nil, 5: {"import-unread"}, 0: nil} {
		j := New("4.3.1")
		j.Take(produced())
		export := entry(2, steps.Step{Kind: "ask.export", Form: "json"}, classic, classic, `{"groups":[{"group":"o-g1","type":"classic","partitions":[{"topic":"o-t1","partition":0,"committed":4,"metadata":""}]}]}`, 0)
		j.Take(export)
		change := entry(3, steps.Step{Kind: "do.import", Form: "json", Execute: true, Flags: []string{"--translate-by", "time"}}, classic, classic, `{"groups":[{"group":"o-g1","applied":true,"partitions":[]}]}`, 0)
		change.From = 2
		j.Take(change)
		if got := rules(j.Take(read(4, "java.drain", classic, from, ""))); !slices.Equal(got, want) {
			t.Errorf("an import after which Java reads from %d: got %q, want %q", from, got, want)
		}
	}
}

// TestMembers holds describe against tables as 3.6.0 and 4.3.1 print them.
func TestMembers(t *testing.T) {
	live := commits(nil)
	live.State, live.Members = "Stable", 2
	groups := map[string]record.Group{"o-g1": live}
	tables := map[string]string{
		"3.6.0": "\nGROUP           CONSUMER-ID     GROUP-INSTANCE-ID HOST            CLIENT-ID       #PARTITIONS     ASSIGNMENT\n" +
			"o-g1            m-1             i1                /127.0.0.1      java-1          2               o-t1(0), o-t2(1)\n" +
			"o-g1            m-2                               /127.0.0.1      java-2          0               -\n",
		"4.3.1": "GROUP           CONSUMER-ID     GROUP-INSTANCE-ID HOST            CLIENT-ID       #PARTITIONS     CURRENT-EPOCH   CURRENT-ASSIGNMENT   TARGET-EPOCH    TARGET-ASSIGNMENT\n" +
			"o-g1            m-1             i1                /127.0.0.1      java-1          2               3               o-t1:0;o-t2:1        3               o-t1:0;o-t2:1\n" +
			"o-g1            m-2                               /127.0.0.1      java-2          0               3               -                    3               -\n",
	}
	ours := `{"groups":[{"group":"o-g1","members":[
		{"member_id":"m-1","instance_id":"i1","client_id":"java-1","host":"/127.0.0.1","assignment":[{"topic":"o-t1","partitions":[0]},{"topic":"o-t2","partitions":[PARTITION]}]},
		{"member_id":"m-2","instance_id":null,"client_id":"java-2","host":"/127.0.0.1","assignment":[]}]}]}`
	for release, table := range tables {
		for partition, want := range map[string][]string{"1": nil, "2": {"members"}} {
			e := entry(2, steps.Step{Kind: "tool.members"}, groups, groups, "", 0)
			e.Runs = []record.Run{{Tool: true, Stdout: table}, {Argv: []string{"offsets"}, Stdout: strings.ReplaceAll(ours, "PARTITION", partition)}, {Tool: true, Stdout: table}}
			if got := rules(New(release).Take(e)); !slices.Equal(got, want) {
				t.Errorf("%s, partition %s: got %q, want %q", release, partition, got, want)
			}
		}
	}
}
