package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"offsets/internal/sandbox"
)

// runProgram runs the whole program against a broker.
func runProgram(t *testing.T, addr, state string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	var mu sync.Mutex
	code = run(t.Context(), &env{
		Args: append([]string{"offsets"}, args...), Stdin: strings.NewReader(""), Stdout: &out, Stderr: lockedWriter{&mu, &errs}, Now: time.Now,
		Getenv: func(name string) string {
			return map[string]string{"OFFSETS_BOOTSTRAP_SERVER": addr, "OFFSETS_STATE_DIR": state}[name]
		},
	})
	mu.Lock()
	defer mu.Unlock()
	return out.String(), errs.String(), code
}

type lockedWriter struct {
	mu *sync.Mutex
	w  *bytes.Buffer
}

func (l lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// manyGroups starts a sandbox with groups g000, g001, … that have committed 5 on
// some partitions of t, which have 10 records each.
func manyGroups(t *testing.T, o sandbox.Options, groups int, partitions int32) string {
	t.Helper()
	o.Topics = map[string]int32{"t": partitions}
	s, err := sandbox.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	cl, err := kgo.NewClient(kgo.SeedBrokers(s.Addr), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	var commits kadm.Offsets
	for p := range partitions {
		for n := range 10 {
			if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Partition: p, Value: fmt.Append(nil, n)}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		commits.Add(kadm.Offset{Topic: "t", Partition: p, At: 5, LeaderEpoch: -1})
	}
	for n := range groups {
		if err := kadm.NewClient(cl).CommitAllOffsets(t.Context(), fmt.Sprintf("g%03d", n), commits); err != nil {
			t.Fatal(err)
		}
	}
	return s.Addr
}

// A coordinator below min.insync.replicas answers what is committed, but not
// whether commits are pending: that is unknown then, and not no.
func TestPendingCommitsAreUnknownWithoutAnAnswer(t *testing.T) {
	addr := manyGroups(t, sandbox.Options{Silent: func(req kmsg.Request) bool {
		fetch, ok := req.(*kmsg.OffsetFetchRequest)
		return ok && fetch.RequireStable
	}}, 1, 1)
	const sentence = "the coordinator did not answer whether commits are pending; consumers wait in the same request: is the offsets topic below min.insync.replicas?"
	stdout, stderr, code := runProgram(t, addr, t.TempDir(), "describe", "g000")
	if code != exitPartial || !strings.Contains(stdout, "next: "+sentence) || !strings.Contains(stderr, "pending commits of group g000: "+sentence) {
		t.Errorf("describe: exit %d\n%s%s", code, stdout, stderr)
	}
	stdout, _, code = runProgram(t, addr, t.TempDir(), "describe", "g000", "-o", "json")
	var doc struct {
		Groups []struct {
			Partitions []struct {
				Committed  *int64 `json:"committed"`
				PendingTxn *bool  `json:"pending_txn"`
			} `json:"partitions"`
		} `json:"groups"`
		Errors []struct {
			What, Error string
		} `json:"errors"`
	}
	if err := json.Unmarshal([]byte(stdout), &doc); err != nil {
		t.Fatal(err)
	}
	row := doc.Groups[0].Partitions[0]
	if code != exitPartial || row.PendingTxn != nil || row.Committed == nil || *row.Committed != 5 || len(doc.Errors) != 1 || doc.Errors[0].Error != sentence {
		t.Errorf("describe -o json: exit %d\n%s", code, stdout)
	}
	// A plan is possible, and says so, too.
	_, stderr, code = runProgram(t, addr, t.TempDir(), "reset", "g000", "--to", "earliest")
	if code != exitDone || !strings.Contains(stderr, sentence) {
		t.Errorf("reset: exit %d\n%s", code, stderr)
	}
}

// The time is up in the middle of a change of many groups: what has begun is
// brought to its end, and it is said which groups were not begun.
func TestTimeoutOfManyGroupsSaysWhichWereWritten(t *testing.T) {
	const groups = 40
	addr := manyGroups(t, sandbox.Options{Silent: func(req kmsg.Request) bool {
		if c, ok := req.(*kmsg.OffsetCommitRequest); ok && c.Topics[0].Partitions[0].Offset == 0 {
			time.Sleep(300 * time.Millisecond)
		}
		return false
	}}, groups, 1)
	args := []string{"reset", "g*", "--to", "earliest", "--expect-groups", fmt.Sprint(groups), "--settle", "0s", "--timeout", "3s", "-o", "json"}
	stdout, stderr, code := runProgram(t, addr, t.TempDir(), append(args, "--execute")...)
	written := strings.Count(stdout, `"applied":true`)
	if code != exitPartial || written == 0 || written == groups || !strings.Contains(stderr, "timed out after 3s: ") || !strings.Contains(stderr, "of 40 groups were not begun: ") {
		t.Fatalf("exit %d, %d written\n%s", code, written, stderr)
	}
	stdout, _, _ = runProgram(t, addr, t.TempDir(), "describe", "--all", "-o", "jsonl")
	if now := strings.Count(stdout, `"committed":0,`); now != written {
		t.Errorf("%d groups are said to be written, and %d are\n%s", written, now, stderr)
	}
}

// Five hundred groups cost one window in which their commits are watched, and a
// fixed number of requests each.
func TestManyGroupsAreWatchedTogether(t *testing.T) {
	var mu sync.Mutex
	requests := map[kmsg.Key]int{}
	const groups = 60
	addr := manyGroups(t, sandbox.Options{Refuse: func(key kmsg.Key) error {
		mu.Lock()
		defer mu.Unlock()
		requests[key]++
		return nil
	}}, groups, 4)
	state := t.TempDir()
	mu.Lock()
	clear(requests)
	mu.Unlock()
	_, stderr, code := runProgram(t, addr, state, "reset", "g*", "--to", "earliest", "--execute", "--expect-groups", fmt.Sprint(groups), "--settle", "50ms")
	if code != exitDone || strings.Count(stderr, "watching for 50ms") != 1 || !strings.Contains(stderr, "60 groups: watching for 50ms whether somebody commits to them") {
		t.Fatalf("exit %d\n%s", code, stderr)
	}
	mu.Lock()
	defer mu.Unlock()
	// Right before the write and after it each group is asked for its commits; the
	// rest is for all together.
	if got := requests[kmsg.OffsetFetch] - 2*groups; got > 10 {
		t.Errorf("%d OffsetFetch requests beyond two a group", got)
	}
	if requests[kmsg.OffsetCommit] != groups {
		t.Errorf("%d OffsetCommit requests for %d groups", requests[kmsg.OffsetCommit], groups)
	}
	if got := requests[kmsg.ListOffsets] + requests[kmsg.DescribeGroups] + requests[kmsg.ListGroups]; got > 30 {
		t.Errorf("%d requests about logs and groups, want some for all: %v", got, requests)
	}
	if got := requests[kmsg.Metadata] + requests[kmsg.FindCoordinator]; got > 7*groups+40 {
		t.Errorf("%d requests for coordinators of %d groups: %v", got, groups, requests)
	}
	t.Logf("%v", requests)
}

// One that somebody commits to keeps all from being written, and with --partial
// itself alone.
func TestManyGroupsAllOrNoneUnlessPartial(t *testing.T) {
	addr := manyGroups(t, sandbox.Options{}, 5, 1)
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	done, ended := make(chan struct{}), make(chan struct{})
	go func() { // an assign() consumer of one group
		defer close(ended)
		for at := int64(1); ; at = at%4 + 1 {
			var o kadm.Offsets
			o.Add(kadm.Offset{Topic: "t", At: at, LeaderEpoch: -1, Metadata: fmt.Sprint(time.Now().UnixNano())})
			_ = kadm.NewClient(cl).CommitAllOffsets(t.Context(), "g003", o)
			select {
			case <-done:
				return
			case <-time.After(300 * time.Millisecond):
			}
		}
	}()
	defer func() { close(done); <-ended }()
	args := []string{"reset", "g*", "--to", "latest", "--execute", "--expect-groups", "5", "--settle", "1s", "-o", "jsonl"}
	stdout, stderr, code := runProgram(t, addr, t.TempDir(), args...)
	if code != exitRefused || strings.Contains(stdout, `"written":true`) || !strings.Contains(stderr, "g003") {
		t.Errorf("exit %d\n%s%s", code, stdout, stderr)
	}
	stdout, stderr, code = runProgram(t, addr, t.TempDir(), append(args, "--partial")...)
	if code != exitPartial || strings.Count(stdout, `"written":true`) != 4 || !strings.Contains(stderr, "g003") {
		t.Errorf("--partial: exit %d\n%s%s", code, stdout, stderr)
	}
}

// Groups at the same places are read once, and neighbouring places together.
func TestExportOfManyGroupsReadsPlacesOnce(t *testing.T) {
	var mu sync.Mutex
	fetches := 0
	addr := manyGroups(t, sandbox.Options{Refuse: func(key kmsg.Key) error {
		mu.Lock()
		defer mu.Unlock()
		if key == kmsg.Fetch {
			fetches++
		}
		return nil
	}}, 60, 4)
	fetches = 0
	stdout, stderr, code := runProgram(t, addr, t.TempDir(), "export", "--all", "-o", "jsonl")
	if code != exitDone || strings.Count(stdout, "\n") != 240 || strings.Contains(stdout, `"timestamp_before":null`) || strings.Contains(stdout, `"commit_time":null`) {
		t.Errorf("exit %d\n%s%s", code, stderr, stdout[:min(len(stdout), 2000)])
	}
	// The commit log has 50 partitions; the four of the topic are one request.
	mu.Lock()
	defer mu.Unlock()
	if fetches > 2*50+10 {
		t.Errorf("%d fetches", fetches)
	}
}

// What did not fit into the time is told, with the flag that helps.
func TestExportThatTimesOutNamesNoTimes(t *testing.T) {
	addr := manyGroups(t, sandbox.Options{Silent: func(req kmsg.Request) bool { return req.Key() == int16(kmsg.Fetch) }}, 2, 1)
	stdout, stderr, code := runProgram(t, addr, t.TempDir(), "export", "--all", "--timeout", "2s")
	if code != exitFailed || stdout != "" || !strings.Contains(stderr, "timed out after 2s") || !strings.Contains(stderr, "--no-times") {
		t.Errorf("exit %d\n%s%s", code, stdout, stderr)
	}
}
