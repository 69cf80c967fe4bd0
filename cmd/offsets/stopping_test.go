package main

import (
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"offsets/internal/sandbox"
)

// quietBroker is one that, once it is quiet, leaves some requests unanswered,
// with all that comes behind them on their connections.
type quietBroker struct {
	*commitGate
	quiet   atomic.Bool
	left    atomic.Bool   // a LeaveGroup came
	entered chan struct{} // one for each request that is not answered
}

func newQuietBroker(t *testing.T, answers func(kmsg.Request) bool, quiet bool) *quietBroker {
	t.Helper()
	b := &quietBroker{commitGate: &commitGate{}, entered: make(chan struct{}, 1000)}
	s, err := sandbox.Start(sandbox.Options{Topics: map[string]int32{"t": 1}, Silent: func(req kmsg.Request) bool {
		if req.Key() == int16(kmsg.LeaveGroup) {
			b.left.Store(true)
		}
		if !b.quiet.Load() || answers(req) {
			return false
		}
		select {
		case b.entered <- struct{}{}:
		default:
		}
		return true
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	cl, err := kgo.NewClient(kgo.SeedBrokers(s.Addr), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []string{"records t 0 50", "commit g t 0 10", "commit idle t 0 50"} {
		if err := given(t.Context(), cl, strings.Split(step, " ")); err != nil {
			t.Fatal(err)
		}
	}
	cl.Close()
	b.line = newCommandLine(t, s.Addr)
	b.quiet.Store(quiet)
	return b
}

func nothing(kmsg.Request) bool { return false }

// A coordinator holds the answer to JoinGroup back until every member has joined
// again, and LeaveGroup would wait behind it on the same connection.
func TestAMemberThatWaitsInARebalanceStops(t *testing.T) {
	b := newQuietBroker(t, func(req kmsg.Request) bool {
		join, ok := req.(*kmsg.JoinGroupRequest)
		return !ok || join.MemberID == "" // that one asks for a member id
	}, true)
	p := b.start(t, nil, "consume", "t", "--group", "g")
	p.until(b.entered, "its JoinGroup")
	p.signal(syscall.SIGTERM)
	if code := p.wait(); code != exitInterrupted {
		t.Errorf("exit %d: %s", code, p.stderr.String())
	}
	if !b.left.Load() {
		t.Error("it did not leave the group")
	}
	if strings.Contains(p.stderr.String(), "could not leave") {
		t.Errorf("stderr: %s", p.stderr.String())
	}
}

// Whatever the brokers leave unanswered, each command ends soon after it is asked
// to.
func TestARequestToStopIsObeyedOnASilentBroker(t *testing.T) {
	live := []string{"policy", "g", "--live", "--topic", "t"}
	for name, c := range map[string]struct {
		args  []string
		quiet bool // from the start; else once there is a line of output
		says  string
	}{
		"member":              {[]string{"consume", "t", "--group", "g", "-o", "jsonl"}, false, "could not leave group g"},
		"member of KIP-848":   {[]string{"consume", "t", "--group", "n", "--from-beginning", "--group-protocol", "consumer", "-o", "jsonl"}, false, "could not leave group n"},
		"static member":       {[]string{"consume", "t", "--group", "g", "--instance-id", "i", "-o", "jsonl"}, false, ""},
		"without a group":     {[]string{"consume", "t", "--partition", "0", "--from-beginning", "-o", "jsonl"}, false, ""},
		"consume, no contact": {[]string{"consume", "t", "--group", "g"}, true, ""},
		"describe":            {[]string{"describe", "g"}, true, ""},
		"list":                {[]string{"list"}, true, ""},
		"check":               {[]string{"check", "g"}, true, ""},
		"history":             {[]string{"history", "g"}, true, ""},
		"policy --live":       {live, true, ""},
		"wait":                {[]string{"wait", "g"}, true, ""},
		"reset":               {[]string{"reset", "g", "--to", "earliest", "--execute"}, true, ""},
		"produce, no contact": {[]string{"produce", "t", "--template", "x"}, true, ""},
		"describe --watch":    {[]string{"describe", "g", "--watch", "-o", "jsonl"}, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newQuietBroker(t, nothing, c.quiet)
			happens, reads := b.entered, firstLine
			if c.quiet {
				reads = nil
			}
			p := b.start(t, reads, c.args...)
			b.quiet.Store(true)
			p.until(happens, "a request")
			p.signal(syscall.SIGTERM)
			if code := p.wait(); code != exitInterrupted {
				t.Errorf("exit %d: %s", code, p.stderr.String())
			}
			if !strings.Contains(p.stderr.String(), c.says) {
				t.Errorf("stderr: %s", p.stderr.String())
			}
		})
	}
}

// Records that no broker acknowledges are not waited for as long as --timeout.
func TestAProducerOnASilentBrokerStops(t *testing.T) {
	b := newQuietBroker(t, func(req kmsg.Request) bool { return req.Key() != int16(kmsg.Produce) }, true)
	p := b.start(t, nil, "produce", "t", "--template", "x", "--count", "5")
	p.until(b.entered, "its records")
	p.signal(syscall.SIGTERM)
	if code := p.wait(); code != exitInterrupted && code != exitPartial {
		t.Errorf("exit %d: %s", code, p.stderr.String())
	}
	if !strings.Contains(p.stderr.String(), "5 records were not acknowledged within 3s") {
		t.Errorf("stderr: %s", p.stderr.String())
	}
}

// An age that could not be read in time is null, and that is said.
func TestDescribeTimeThatRunsOutOfTimeSaysSo(t *testing.T) {
	b := newQuietBroker(t, func(req kmsg.Request) bool { return req.Key() != int16(kmsg.Fetch) }, true)
	for _, args := range [][]string{{"describe", "g", "--time"}, {"check", "g", "--max-behind", "1h"}} {
		p := b.start(t, nil, append(args, "--timeout", "2s")...)
		if code := p.wait(); code != exitPartial && (args[0] == "describe" || code == exitDone) {
			t.Errorf("%s: exit %d: %s", args[0], code, p.stderr.String())
		}
		for _, text := range []string{"timed out after 2s", "--timeout"} {
			if !strings.Contains(p.stderr.String(), text) {
				t.Errorf("%s: stderr: %s", args[0], p.stderr.String())
			}
		}
	}
}
