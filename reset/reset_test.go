package reset_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"offsets/inspect"
	"offsets/internal/sandbox"
	"offsets/reset"
)

func TestParsePosition(t *testing.T) {
	for s, want := range map[string]reset.Position{
		"earliest": reset.Earliest(), "latest": reset.Latest(), "current": reset.Current(),
		"0": reset.At(0), "1500": reset.At(1500), "+100": reset.Shift(100), "-100": reset.Shift(-100), "+0": reset.Shift(0),
		"9223372036854775807": reset.At(1<<63 - 1),
		"2h":                  reset.Ago(2 * time.Hour), "PT2H": reset.Ago(2 * time.Hour), "1d12h": reset.Ago(36 * time.Hour), "P1DT12H": reset.Ago(36 * time.Hour),
	} {
		got, err := reset.ParsePosition(s)
		if err != nil || got != want {
			t.Errorf("ParsePosition(%q) = %v, %v; want %v", s, got, err, want)
		}
		if again, err := reset.ParsePosition(got.String()); err != nil || again != got {
			t.Errorf("%q prints as %q, which reads as %v, %v", s, got, again, err)
		}
	}
	at := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	for _, s := range []string{"2026-11-23T09:00:00+01:00", "2026-11-23T08:00:00Z", "2026-11-23T08:00Z", "2026-11-23T09:00:00.000+0100", "2026-11-23T03:00:00-05"} {
		for prefix, want := range map[string]reset.Position{"": reset.Since(at), "as-of:": reset.AsOf(at)} {
			got, err := reset.ParsePosition(prefix + s)
			if err != nil || got.String() != want.String() && !strings.Contains(got.String(), "T0") {
				t.Errorf("ParsePosition(%q) = %v, %v; want %v", prefix+s, got, err, want)
			}
		}
		if got, err := reset.ParseTime(s); err != nil || !got.Equal(at) {
			t.Errorf("ParseTime(%q) = %v, %v; want %v", s, got, err, at)
		}
	}
	if got, err := reset.ParseTime("2026-11-23T08:00:00.6Z"); err != nil || got.Nanosecond() != 600_000_000 {
		t.Errorf("a fraction: %v, %v", got, err) // Kafka's tool takes .6 for 6 ms
	}
	for _, s := range []string{"2026-11-23T09:00:00", "2026-11-23", "2026-11-23T09:00"} {
		if _, err := reset.ParsePosition(s); err == nil || !strings.Contains(err.Error(), "zone") {
			t.Errorf("ParsePosition(%q): %v, want a word about the zone", s, err)
		}
	}
	for _, s := range []string{"", "Earliest", "1.5", "1e3", "0x10", "--5", "9223372036854775808", "-9223372036854775809", "10 ", "offset", "as-of:", "as-of:2h", "as-of:2026-11-23", "-2h", "P1M", "2026-13-23T09:00:00Z", "PT-1H"} {
		if got, err := reset.ParsePosition(s); err == nil {
			t.Errorf("ParsePosition(%q) = %v, want an error", s, got)
		}
	}
}

func TestParseSettings(t *testing.T) {
	got, err := reset.ParseSettings([]string{"a:0=1500", "a:1=latest", "b=c:2=-5", "d:0=2h"})
	if err == nil {
		t.Errorf("a topic with an equals sign: %v", got)
	}
	got, err = reset.ParseSettings([]string{"a:0=1500", "a:1=latest", "d.e:0=-5"})
	want := []reset.Setting{{"a", 0, reset.At(1500)}, {"a", 1, reset.Latest()}, {"d.e", 0, reset.Shift(-5)}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
	for _, s := range []string{"", "a", "a:0", "a:0=", "a=5", ":0=5", "a:x=5", "a:-1=5", "a:0-3=5", "a:0,1=5"} {
		if got, err := reset.ParseSettings([]string{s}); err == nil {
			t.Errorf("ParseSettings(%q) = %v, want an error", s, got)
		}
	}
	if _, err := reset.ParseSettings([]string{"a:0=1", "a:0=1"}); err == nil {
		t.Error("a partition set twice")
	}
}

func TestReadCSV(t *testing.T) {
	for text, want := range map[string][]reset.FileRow{
		"t,0,5\nt,1,7\n\n":   {{Topic: "t", Offset: 5, Line: 1}, {Topic: "t", Partition: 1, Offset: 7, Line: 2}}, // Kafka's own trailing line
		"\ufefft,0,5\r\n":    {{Topic: "t", Offset: 5, Line: 1}},                                                 // of a spreadsheet
		"g,t,0,5\r\nh,t,0,5": {{Group: "g", Topic: "t", Offset: 5, Line: 1}, {Group: "h", Topic: "t", Offset: 5, Line: 2}},
		`"a ""g"", b",t,0,5`: {{Group: `a "g", b`, Topic: "t", Offset: 5, Line: 1}},
		`"a-topic-longer-than-24-characters",12,9223372036854775807`: {{Topic: "a-topic-longer-than-24-characters", Partition: 12, Offset: 1<<63 - 1, Line: 1}},
	} {
		got, err := reset.ReadCSV(strings.NewReader(text))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %v, %v; want %v", text, got, err, want)
			continue
		}
		var again strings.Builder
		if err := reset.WriteCSV(&again, got); err != nil {
			t.Fatal(err)
		}
		if back, err := reset.ReadCSV(strings.NewReader(again.String())); err != nil || len(back) != len(got) {
			t.Errorf("%q was written as %q, which reads as %v, %v", text, again.String(), back, err)
		}
	}
	for text, want := range map[string]string{
		"": "no lines", "t,0": "line 1", "t,0,5\nt,1": "line 2", "t,0,5\ng,t,1,5": "line 2", "t,1,5\nt,1,6": "line 2", "topic,partition,offset\nt,0,5": "header",
		"t,0,-5": "line 1", "t,-1,5": "line 1", "t,0,x": "line 1", ",0,5": "topic is empty", ",t,0,5": "group is empty", "t,0,5,6,7": "5 columns", "t,0,9223372036854775808": "no offset", "\"t,0,5": "line 1", "t,0,5\xff": "UTF-8",
	} {
		if got, err := reset.ReadCSV(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v; want an error with %q", text, got, err, want)
		}
	}
}

func TestParseTopics(t *testing.T) {
	got, err := reset.ParseTopics([]string{"a", "b:3,0-2,2", "c:1", "c:0", "d:1", "d"})
	want := []reset.TopicSelection{{Topic: "a"}, {Topic: "b", Partitions: []int32{0, 1, 2, 3}}, {Topic: "c", Partitions: []int32{0, 1}}, {Topic: "d"}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
	for _, s := range []string{"", ":1", "a:", "a:x", "a:-1", "a:2-1", "a:1,", "a:0-4294967295", "a:1:2"} {
		if got, err := reset.ParseTopics([]string{s}); err == nil {
			t.Errorf("ParseTopics(%q) = %v, want an error", s, got)
		}
	}
}

func ptr[T any](v T) *T { return &v }

// row is a readable partition of topic t.
func row(partition int32, committed *int64, start, end int64) inspect.Partition {
	p := inspect.Partition{Topic: "t", Partition: partition, Committed: committed, LogStart: &start, LogEnd: &end, LastStable: &end}
	p.Assess()
	return p
}

func build(t *testing.T, o reset.Options, rows ...inspect.Partition) reset.Plan {
	t.Helper()
	p, err := reset.Build(inspect.Group{Group: "g", Type: inspect.Classic, State: "Empty", Partitions: rows}, o, reset.Known{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// A transaction is open: whether latest skips it must be said.
func TestLatestWithAnOpenTransaction(t *testing.T) {
	r := row(0, ptr[int64](10), 0, 50)
	r.LastStable = ptr[int64](40)
	if p := build(t, reset.Options{To: reset.Latest()}, r); p.Refused() == nil || !strings.Contains(*p.Partitions[0].Error, "--isolation") {
		t.Errorf("unstated: %v, want a refusal", p.Refused())
	}
	if p := build(t, reset.Options{To: reset.Latest(), Isolation: reset.ReadCommitted}, r); p.Refused() != nil || *p.Partitions[0].To != 40 {
		t.Errorf("read_committed: to %d, %v; want 40", *p.Partitions[0].To, p.Refused())
	}
	if p := build(t, reset.Options{To: reset.Latest(), Isolation: reset.ReadUncommitted}, r); p.Refused() != nil || *p.Partitions[0].To != 50 {
		t.Errorf("read_uncommitted: to %d, %v; want 50", *p.Partitions[0].To, p.Refused())
	}
}

// Partitions that cannot be planned are rows, and refuse the whole plan; a
// deleted topic among the commits is left alone.
func TestUnreadablePartitions(t *testing.T) {
	good := row(0, ptr[int64](10), 0, 50)
	leaderless := inspect.Partition{Topic: "t", Partition: 1, Committed: ptr[int64](5), Status: inspect.NoLeader}
	if p := build(t, reset.Options{To: reset.Earliest()}, good, leaderless); p.Refused() == nil || p.Partitions[1].Error == nil {
		t.Errorf("leaderless: %+v, want a refusal", p.Partitions[1])
	}
	gone := inspect.Partition{Topic: "gone", Committed: ptr[int64](5), Status: inspect.TopicGone}
	if p := build(t, reset.Options{To: reset.Earliest()}, good, gone); p.Refused() != nil || p.Partitions[1].To != nil || p.Partitions[1].Note == nil {
		t.Errorf("gone: %+v, %v", p.Partitions[1], p.Refused())
	}
}

func TestSelection(t *testing.T) {
	_, err := reset.Build(inspect.Group{Group: "g", Partitions: []inspect.Partition{row(0, nil, 0, 50)}}, reset.Options{To: reset.Earliest()}, reset.Known{})
	if !errors.Is(err, reset.ErrNothingSelected) {
		t.Errorf("nothing committed: %v, want ErrNothingSelected", err)
	}
	_, err = reset.Build(inspect.Group{Group: "g", Partitions: []inspect.Partition{row(0, nil, 0, 50)}}, reset.Options{To: reset.Earliest(), Topics: []reset.TopicSelection{{Topic: "u"}}}, reset.Known{})
	if !errors.Is(err, reset.ErrNoTopic) {
		t.Errorf("unknown topic: %v, want ErrNoTopic", err)
	}
	p := build(t, reset.Options{To: reset.Earliest()}, row(0, ptr[int64](3), 0, 50), row(1, nil, 0, 50))
	if len(p.Partitions) != 1 || len(p.Warnings) != 1 || !strings.Contains(p.Warnings[0], "no commit on t-1: left to the policy") {
		t.Errorf("siblings: %v, warned of %v", p.Partitions, p.Warnings)
	}
}

// Whatever is asked for: without --clamp a plan that is not refused stays in
// the log, with it every target does, and no offset is ever negative.
func TestTargetsStayInTheLog(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 20_000 {
		start := r.Int64N(100)
		end := start + r.Int64N(100)
		committed := ptr(r.Int64N(300))
		if r.IntN(5) == 0 {
			committed = nil
		}
		to := []reset.Position{reset.Earliest(), reset.Latest(), reset.Current(), reset.At(r.Int64N(300)), reset.Shift(r.Int64N(400) - 200), reset.Shift(1<<63 - 1), reset.Shift(-1 << 63)}[r.IntN(7)]
		o := reset.Options{To: to, Clamp: r.IntN(2) == 0, Topics: []reset.TopicSelection{{Topic: "t"}}}
		p := build(t, o, row(0, committed, start, end))
		c := p.Partitions[0]
		if p.Refused() != nil || c.To == nil {
			continue
		}
		moved := committed == nil || *committed != *c.To
		if *c.To < 0 || (moved || o.Clamp) && (*c.To < start || *c.To > end) {
			t.Fatalf("from %v to %s in %d to %d: %d", committed, to, start, end, *c.To)
		}
	}
}

func sandboxWith(t *testing.T, records int) *kgo.Client {
	t.Helper()
	s, err := sandbox.Start(sandbox.Options{Topics: map[string]int32{"t": 1, "u": 1}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	cl, err := kgo.NewClient(kgo.SeedBrokers(s.Addr), kgo.DefaultProduceTopic("t"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	for n := range records {
		if err := cl.ProduceSync(t.Context(), &kgo.Record{Value: fmt.Append(nil, n)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	return cl
}

func commit(ctx context.Context, t *testing.T, cl *kgo.Client, topic string, at int64) {
	t.Helper()
	var os kadm.Offsets
	os.Add(kadm.Offset{Topic: topic, At: at, LeaderEpoch: -1})
	if err := kadm.NewClient(cl).CommitAllOffsets(ctx, "g", os); err != nil {
		t.Fatal(err)
	}
}

func plan(t *testing.T, c *reset.Changer, o reset.Options) reset.Plan {
	t.Helper()
	plans, problems, err := c.Plans(t.Context(), []string{"g"}, o, false)
	if err != nil || len(problems) > 0 || len(plans) != 1 {
		t.Fatalf("Plans: %v, %v, %v", plans, problems, err)
	}
	return plans[0]
}

// Between plan and change somebody commits, deletes records, recreates the
// topic or joins: the change is refused, and nothing is written.
func TestStalePlans(t *testing.T) {
	o := reset.Options{To: reset.At(4)}
	for name, interfere := range map[string]func(t *testing.T, cl *kgo.Client){
		"committed was 7": func(t *testing.T, cl *kgo.Client) { commit(t.Context(), t, cl, "t", 8) },
		"the log now starts at 6": func(t *testing.T, cl *kgo.Client) {
			var os kadm.Offsets
			os.Add(kadm.Offset{Topic: "t", At: 6})
			if _, err := kadm.NewClient(cl).DeleteRecords(t.Context(), os); err != nil {
				t.Fatal(err)
			}
		},
		"the topic was deleted and created again": func(t *testing.T, cl *kgo.Client) {
			adm := kadm.NewClient(cl)
			if _, err := adm.DeleteTopic(t.Context(), "t"); err != nil {
				t.Fatal(err)
			}
			if _, err := adm.CreateTopic(t.Context(), 1, 1, nil, "t"); err != nil {
				t.Fatal(err)
			}
			fresh, err := kgo.NewClient(cl.Opts()...) // the other one still knows the old topic's id
			if err != nil {
				t.Fatal(err)
			}
			defer fresh.Close()
			commit(t.Context(), t, fresh, "t", 7)
		},
		"members that must stop first": func(t *testing.T, cl *kgo.Client) {
			member, err := kgo.NewClient(append(cl.Opts(), kgo.ConsumerGroup("g"), kgo.ConsumeTopics("t"), kgo.DisableAutoCommit())...)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(member.Close)
			deadline := time.Now().Add(20 * time.Second)
			for time.Now().Before(deadline) {
				d, err := kadm.NewClient(cl).DescribeGroups(t.Context(), "g")
				if err == nil && len(d["g"].Members) > 0 {
					return
				}
				time.Sleep(50 * time.Millisecond)
			}
			t.Fatal("the member did not join")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cl := sandboxWith(t, 10)
			commit(t.Context(), t, cl, "t", 7)
			c := reset.New(cl)
			p := plan(t, c, o)
			interfere(t, cl)
			err := c.Apply(t.Context(), &p, reset.ApplyOptions{NoReceipt: true, Settle: new(time.Duration)})
			var refused *reset.RefusedError
			if !errors.As(err, &refused) || !strings.Contains(err.Error(), name) || p.Applied || p.Verified != nil {
				t.Fatalf("got %v, applied %v; want a refusal: %s", err, p.Applied, name)
			}
			if again := plan(t, c, o); *again.Partitions[0].From == 4 {
				t.Error("it was written all the same")
			}
		})
	}
}

// Nothing outside the selection ever moves.
func TestOnlyTheSelectionMoves(t *testing.T) {
	cl := sandboxWith(t, 10)
	commit(t.Context(), t, cl, "t", 7)
	commit(t.Context(), t, cl, "u", 0)
	c := reset.New(cl)
	o := reset.Options{To: reset.At(3), Topics: []reset.TopicSelection{{Topic: "t"}}}
	p := plan(t, c, o)
	if err := c.Apply(t.Context(), &p, reset.ApplyOptions{NoReceipt: true, Settle: new(time.Duration)}); err != nil || !p.Applied || *p.Verified != reset.VerifiedYes {
		t.Fatalf("Apply: %v, %+v", err, p)
	}
	os, err := kadm.NewClient(cl).FetchOffsets(t.Context(), "g")
	if err != nil {
		t.Fatal(err)
	}
	a, _ := os.Lookup("t", 0)
	b, _ := os.Lookup("u", 0)
	if a.At != 3 || b.At != 0 {
		t.Errorf("committed %d and %d, want 3 and 0", a.At, b.At)
	}
}
