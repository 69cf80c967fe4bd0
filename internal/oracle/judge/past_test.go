package judge

import (
	"fmt"
	"slices"
	"testing"

	"offsets/internal/oracle/record"
	"offsets/internal/oracle/steps"
)

// TestLiesAboutTransactions: what is open is told, and nothing else.
func TestLiesAboutTransactions(t *testing.T) {
	groups := map[string]record.Group{"o-g1": commits(nil)}
	begun := func() *record.Entry {
		e := entry(1, steps.Step{Kind: "txn.begin", Txn: 1}, groups, groups, "", 0)
		e.Ops = []record.Op{{Kind: "txn.commit", Group: "o-g1", TP: tp0, Commit: &record.Commit{Offset: 4}}}
		return e
	}
	ended := func() *record.Entry {
		e := entry(2, steps.Step{Kind: "txn.end", Txn: 1, How: "abort"}, groups, groups, "", 0)
		e.Ops = []record.Op{{Kind: "txn.abort"}}
		return e
	}
	none := `{"events":[]}`
	four := `{"events":[{"time":"2026-11-25T00:00:10Z","event":"txn_pending","topic":"o-t1","partition":0,"committed":4}]}`
	five := `{"events":[{"time":"2026-11-25T00:00:10Z","event":"txn_pending","topic":"o-t1","partition":0,"committed":5}]}`
	for _, c := range []struct {
		name    string
		ended   bool
		history string
		want    []string
	}{
		{"open, told", false, four, nil},
		{"open, not told", false, none, []string{"history-pending"}},
		{"open, told of another offset", false, five, []string{"history-pending", "history-pending"}},
		{"ended, not told", true, none, nil},
		{"ended, told", true, four, []string{"history-pending"}},
	} {
		j := New("3.6.0")
		j.Take(begun())
		if c.ended {
			j.Take(ended())
		}
		if got := rules(j.Take(entry(3, steps.Step{Kind: "ask.history", Form: "json"}, groups, groups, c.history, 0))); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// TestLiesAboutWhatWas: the offset that a commit replaced.
func TestLiesAboutWhatWas(t *testing.T) {
	five := map[string]record.Group{"o-g1": commits(map[record.TP]int64{tp0: 5})}
	seven := map[string]record.Group{"o-g1": commits(map[record.TP]int64{tp0: 7})}
	for _, c := range []struct {
		previous string
		known    bool
		want     []string
	}{
		{"5", true, nil},
		{"null", false, nil},
		{"null", true, []string{"history-previous"}},
		{"3", true, []string{"history-previous"}},
	} {
		j := New("3.6.0")
		j.Take(entry(1, steps.Step{Kind: "commit"}, nil, five, "", 0))
		j.Take(entry(2, steps.Step{Kind: "commit"}, five, seven, "", 0))
		told := fmt.Sprintf(`{"events":[{"time":"2026-11-25T00:00:22Z","event":"commit","topic":"o-t1","partition":0,"committed":7,"previous":%s,"previous_known":%t}]}`, c.previous, c.known)
		if got := rules(j.Take(entry(3, steps.Step{Kind: "ask.history", Form: "json"}, seven, seven, told, 0))); !slices.Equal(got, c.want) {
			t.Errorf("%s, known %t: got %q, want %q", c.previous, c.known, got, c.want)
		}
	}
}
