package reset

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

// Whatever is typed: a position is refused, or means the same when it is
// printed and read again; never an offset below 0.
func FuzzParsePosition(f *testing.F) {
	for _, s := range []string{"earliest", "1500", "-100", "+0", "2h", "PT2H", "1d12h", "2026-11-23T09:00:00+01:00", "as-of:2026-11-23T08:00:00.123Z", "9223372036854775808", "P1DT0.5S", "as-of:", ""} {
		f.Add(s)
	}
	now := time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParsePosition(s)
		if err != nil {
			return
		}
		if p.IsZero() || p.kind == at && p.offset < 0 || p.back < 0 {
			t.Fatalf("%q: %+v", s, p)
		}
		again, err := ParsePosition(p.String())
		if err != nil || again.kind != p.kind || again.offset != p.offset || again.back != p.back || !again.time.Equal(p.time) {
			t.Fatalf("%q is %+v, printed %q is %+v, %v", s, p, p, again, err)
		}
		if fixed, err := p.fixed(now); err == nil && (fixed.kind == since || fixed.kind == asOf) && fixed.time.After(now) {
			t.Fatalf("%q: in the future: %+v", s, fixed)
		}
	})
}

// Whatever a file has in it: it is refused, or its rows are sane and come back
// when they are written.
func FuzzReadCSV(f *testing.F) {
	for _, s := range []string{"t,0,5\nt,1,7\n\n", "g,t,0,5\r\nh,t,0,5", `"a ""g"", b",t,0,5`, "t,0\n", "t,0,-1", "\"", "t,,", "topic,partition,offset"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		rows, err := ReadCSV(strings.NewReader(s))
		if err != nil {
			return
		}
		oneGroup := true
		for i, r := range rows {
			if r.Topic == "" || r.Partition < 0 || r.Offset < 0 || r.Line < 1 {
				t.Fatalf("%q: %+v", s, r)
			}
			oneGroup = oneGroup && r.Group == rows[0].Group
			rows[i].Line = 0
		}
		var out strings.Builder
		if err := WriteCSV(&out, rows); err != nil {
			t.Fatal(err)
		}
		again, err := ReadCSV(strings.NewReader(out.String()))
		if err != nil {
			t.Fatalf("%q, written as %q: %v", s, out.String(), err)
		}
		for i := range again {
			again[i].Line = 0
			if oneGroup {
				again[i].Group = rows[0].Group // not written where there is one
			}
		}
		if !reflect.DeepEqual(rows, again) {
			t.Fatalf("%q: %+v, written and read %+v", s, rows, again)
		}
	})
}

// Files that were edited by hand, or are of something else: refused, or safe to
// carry out.
func FuzzReadFiles(f *testing.F) {
	for _, s := range []string{
		`{"format":"offsets-plan","version":1,"groups":[{"group":"g","kind":"reset","partitions":[{"topic":"t","partition":0,"action":"write","from":5,"to":3,"log_start":0,"log_end":9}]}]}`,
		`{"format":"offsets-receipt","version":1,"state":"done","plan":{"group":"g","kind":"undo","partitions":[{"topic":"t","partition":0,"action":"delete","from":5,"written":true}]}}`,
		`{"format":"offsets-export","version":1,"groups":[{"group":"g","partitions":[{"topic":"t","partition":0,"committed":5,"timestamp_before":"2026-11-23T08:00:00.000Z"}]}]}`,
		`{"format":"offsets-plan","version":2}`, `[]`, `{`, `g,t,0,5`, `null`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if p, err := parsePlanFile(text); err == nil {
			for i := range p.Plans {
				sane(t, &p.Plans[i])
			}
		}
		if r, err := parseReceipt(text); err == nil {
			sane(t, &r.Plan)
			for _, w := range r.Undo() {
				if w.Commit != nil && w.Commit.Offset < 0 || w.Partition < 0 {
					t.Fatalf("%+v", w)
				}
			}
		}
		if e, err := ReadExport(text, "g"); err == nil {
			for _, g := range e.Groups {
				for _, p := range g.Partitions {
					if p.Partition < 0 || p.Committed != nil && *p.Committed < 0 {
						t.Fatalf("%+v", p)
					}
				}
			}
			if _, err := json.Marshal(e); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func sane(t *testing.T, p *Plan) {
	for _, c := range p.moving() {
		if c.Action == ActionWrite && (c.To == nil || *c.To < 0) || c.Action == ActionDelete && c.To != nil || c.Partition < 0 || c.Topic == "" {
			t.Fatalf("%+v", c)
		}
	}
}

// Arguments that name times, partitions and settings: refused, or of this world.
func FuzzParseArguments(f *testing.F) {
	for _, s := range []string{
		"2026-11-23T09:00:00+01:00", "2026-11-23T09:00:00", "@1795557110", "t", "t:0", "t:0,2-5", "t:0-2147483647", "t:5-2", "t:-1", "orders:0=1500", "t:0=earliest",
		"a:b:0=+9223372036854775807", "t:0=as-of:2026-11-23T09:00:00Z", "t:0-99999999999", "t:,,", "t:0=", "=", ":", "9999-12-31T23:59:59.999999999+14:00", "0000-01-01T00:00:00-14:00",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if at, err := ParseTime(s); err == nil {
			if _, err := at.MarshalText(); err != nil {
				t.Errorf("%q is %v: %v", s, at, err)
			}
		}
		if topics, err := ParseTopics([]string{s}); err == nil {
			for _, topic := range topics {
				if topic.Topic == "" {
					t.Errorf("%q names no topic: %+v", s, topic)
				}
				for _, p := range topic.Partitions {
					if p < 0 {
						t.Errorf("%q: partition %d", s, p)
					}
				}
			}
		}
		if settings, err := ParseSettings([]string{s}); err == nil {
			for _, set := range settings {
				if set.Topic == "" || set.Partition < 0 {
					t.Errorf("%q: %+v", s, set)
				}
			}
		}
	})
}
