//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"offsets/internal/hostile"
	"offsets/internal/sandbox"
	"offsets/reset"
)

// hostileSeeds are played in every run: each is a broker of its own, and all
// commands.
var hostileSeeds = []uint64{1, 2}

// TestHostileAnswers runs every command against a broker that spoils its answers.
// OFFSETS_TEST_HOSTILE=1h goes on with random seeds for so long, and
// OFFSETS_TEST_HOSTILE_SEED=7 plays one again.
func TestHostileAnswers(t *testing.T) {
	seeds := func(yield func(uint64) bool) {
		for _, seed := range hostileSeeds {
			if !yield(seed) {
				return
			}
		}
	}
	few := 12 // commands a seed
	if text := os.Getenv("OFFSETS_TEST_HOSTILE"); text != "" {
		limit, err := time.ParseDuration(text)
		if err != nil {
			t.Fatal(err)
		}
		few = len(hostileCommands())
		end := time.Now().Add(limit)
		seeds = func(yield func(uint64) bool) {
			for time.Now().Before(end) && yield(uint64(rand.Uint32())) {
			}
		}
	}
	if text := os.Getenv("OFFSETS_TEST_HOSTILE_SEED"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		few = len(hostileCommands())
		seeds = func(yield func(uint64) bool) { yield(seed) }
	}
	program := filepath.Join(t.TempDir(), "offsets") // without the race detector, which takes memory and time of its own
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	total := hostileCounts{exits: map[int]int{}, ways: map[string]int{}, commands: map[string]int{}}
	for seed := range seeds {
		began := time.Now()
		w := newHostileWorld(t, program, seed, &total)
		ready := time.Since(began)
		w.play(few)
		t.Logf("seed %d: %s to prepare, %s in all", seed, ready, time.Since(began))
	}
	t.Log(total.String())
}

// hostileCounts is what a run did.
type hostileCounts struct {
	seeds, programs, changes int
	exits                    map[int]int
	ways, commands           map[string]int
	slowest                  time.Duration
	slow                     string
	peak                     int // KiB
	large                    string
}

func (c *hostileCounts) String() string {
	return fmt.Sprintf("%d seeds, %d programs, %d of them changed commits; exits %v; answers spoilt %v; commands %v; slowest %s (%s); most memory %d MiB (%s)",
		c.seeds, c.programs, c.changes, c.exits, c.ways, c.commands, c.slowest.Round(time.Millisecond), c.slow, c.peak>>10, c.large)
}

// hostileCommand is a command line, and what may come of it.
type hostileCommand struct {
	args    string
	changes bool   // commits, with a receipt
	member  string // the group whose commits it may move without one
	within  time.Duration
	// stopped: it may go on for as long as a broker answers anything; when within is
	// over it is told to stop, and has to.
	stopped bool
	input   string
}

// hostileCommands are all commands that ask a broker. Words in capitals are
// replaced by files.
func hostileCommands() []hostileCommand {
	// Bounded commands have --timeout, and what a change has begun is tried for a
	// minute. What runs on has no limit as long as a broker answers; here it has an
	// end that it must come to.
	const bounded, change, long, join = 10 * time.Second, 75 * time.Second, 45 * time.Second, 20 * time.Second
	return []hostileCommand{
		{args: "list -o json", within: bounded},
		{args: "list --lag -o csv", within: bounded},
		{args: "list --lag -o json --sort lag", within: bounded},
		{args: "describe g -o json --time --exact", within: long},
		{args: "describe --all -o jsonl --time --pending", within: bounded},
		{args: "describe g h --members -o json", within: bounded},
		{args: "describe live", within: bounded},
		{args: "check g h --max-lag 3 --max-behind 1h -o json", within: bounded},
		{args: "check --all --exact -o json", within: bounded},
		{args: "wait g --max-lag 0 --interval 300ms -o json", within: bounded},
		{args: "policy g --by-duration 1h --expiry -o json", within: bounded},
		{args: "policy --all -o jsonl", within: bounded},
		{args: "export g -o json", within: bounded},
		{args: "export --all -o csv", within: bounded},
		{args: "reset g --to earliest -o json", within: bounded},
		{args: "reset g --to latest --time -o json", within: bounded},
		{args: "reset g --to 1h -o json", within: bounded},
		{args: "reset g --to as-of:MOMENT -o json", within: bounded},
		{args: "copy g copied -o json", within: bounded},
		{args: "import EXPORT --translate-by time -o json", within: bounded},
		{args: "delete g --topic t -o json", within: bounded},
		{args: "undo g -o json", within: bounded},
		{args: "decode -o jsonl", within: long},
		{args: "decode --state -o json", within: long},
		{args: "decode --group g -o table", within: long},
		{args: "history g -o json", within: long},
		{args: "history g --summary -o json", within: long},
		{args: "consume t --from-beginning --exit-at-end -o jsonl", within: long},
		{args: "consume t --partition 1 --offset 3 --max-messages 5 -o json", within: long},
		{args: "consume t --from-beginning --exit-at-end --group reader -o jsonl", member: "reader", stopped: true, within: join},
		{args: "consume t --from-beginning --exit-at-end --group reader --group-protocol consumer -o jsonl", member: "reader", stopped: true, within: join},
		{args: "produce t --count 20 --compression zstd", within: long},
		{args: "produce made --create --partitions 2 --key k", input: "a\nb\nc\n", within: long},
		{args: "policy h --live -o json", within: long},
		{args: "reset g --to latest --isolation read_uncommitted --execute --settle 0s -o json", changes: true, within: change},
		{args: "reset g h --to earliest --execute --settle 300ms -o json", changes: true, within: change},
		{args: "reset g --set t:1=2 --execute --settle 0s", changes: true, within: change},
		{args: "undo g --even-if-moved --execute --settle 0s -o json", changes: true, within: change},
		{args: "apply PLAN --execute --settle 0s -o json", changes: true, within: change},
		{args: "copy g copied --execute --settle 0s -o json", changes: true, within: change},
		{args: "import EXPORT --execute --settle 0s -o json", changes: true, within: change},
		{args: "import EXPORT --translate-by time --execute --settle 0s -o json", changes: true, within: change},
		{args: "delete h --topic t:0 --execute --settle 0s -o json", changes: true, within: change},
		{args: "delete h --execute --settle 0s -o json", changes: true, within: change},
	}
}

// hostileWorld is one broker with its groups, and a state folder.
type hostileWorld struct {
	t       *testing.T
	program string
	seed    uint64
	total   *hostileCounts
	broker  *hostile.Broker
	cl      *kgo.Client // to which no answer is spoilt
	dir     string
	env     []string
	words   *strings.Replacer
}

const honestClient = "honest"

func newHostileWorld(t *testing.T, program string, seed uint64, total *hostileCounts) *hostileWorld {
	t.Helper()
	w := &hostileWorld{t: t, program: program, seed: seed, total: total, broker: hostile.New(), dir: t.TempDir()}
	s, err := sandbox.Start(sandbox.Options{OffsetsPartitions: 3, Topics: map[string]int32{"t": 3}, Answer: func(out io.Writer, key kmsg.Key, version int16, client string, frame []byte) error {
		if client == honestClient {
			size := []byte{byte(len(frame) >> 24), byte(len(frame) >> 16), byte(len(frame) >> 8), byte(len(frame))}
			_, err := out.Write(append(size, frame...))
			return err
		}
		return w.broker.Write(out, hostile.Answer{Key: key, Version: version, Frame: frame})
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if w.cl, err = kgo.NewClient(kgo.SeedBrokers(s.Addr), kgo.ClientID(honestClient), kgo.RecordPartitioner(kgo.ManualPartitioner())); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.cl.Close)
	w.env = childEnv(map[string]string{"OFFSETS_BOOTSTRAP_SERVER": s.Addr, "OFFSETS_COMMAND_CONFIG": "", "OFFSETS_CONTEXT": "", "OFFSETS_GROUP": "", "OFFSETS_STATE_DIR": filepath.Join(w.dir, "state")})
	for i, codec := range []kgo.CompressionCodec{kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()} {
		cl, err := kgo.NewClient(append(w.cl.Opts(), kgo.ProducerBatchCompression(codec))...)
		if err != nil {
			t.Fatal(err)
		}
		for p := range 3 {
			if err := given(t.Context(), cl, strings.Split(fmt.Sprintf("records t %d 10 -%dh", p, 5-i), " ")); err != nil {
				t.Fatal(err)
			}
		}
		cl.Close()
	}
	for _, step := range []string{"commit g t 0 20 0 note", "commit g t 1 0", "commit g t 2 50", "commit h t 0 5", "commit h t 1 7", "commit copied t 0 1", "open-transaction t 2 3", "transaction g t 1 4 commit"} {
		if err := given(t.Context(), w.cl, strings.Split(step, " ")); err != nil {
			t.Fatal(err)
		}
	}
	member, err := kgo.NewClient(kgo.SeedBrokers(s.Addr), kgo.ClientID(honestClient), kgo.ConsumerGroup("live"), kgo.ConsumeTopics("t"), kgo.DisableAutoCommit())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(member.Close)
	go member.PollFetches(t.Context())
	moment := time.Now().UTC().Format(time.RFC3339Nano)
	for _, args := range []string{"export g --out export.json", "reset g --to 3 --topic t:0 --plan-file plan.json", "reset h --to earliest --execute --settle 0s"} {
		if args == "export g --out export.json" {
			out, _, code := w.run(t.Context(), hostileCommand{args: "export g -o json"})
			if code != exitDone || os.WriteFile(filepath.Join(w.dir, "export.json"), out, 0o600) != nil {
				t.Fatalf("export: exit %d", code)
			}
			continue
		}
		if _, stderr, code := w.run(t.Context(), hostileCommand{args: args}); code != exitDone {
			t.Fatalf("%s: exit %d, %s", args, code, stderr)
		}
	}
	w.words = strings.NewReplacer("EXPORT", "export.json", "PLAN", "plan.json", "MOMENT", moment)
	total.seeds++
	return w
}

// play runs commands, each with its own way of spoiling.
func (w *hostileWorld) play(few int) {
	rng := rand.New(rand.NewPCG(w.seed, 2))
	commands := hostileCommands()
	rng.Shuffle(len(commands), func(i, j int) { commands[i], commands[j] = commands[j], commands[i] })
	for i, c := range commands[:few] {
		c.args = w.words.Replace(c.args)
		before := w.commits()
		w.broker.Begin(w.seed*1000 + uint64(i))
		w.judge(c)
		w.broker.End()
		w.judgeCommits(c, before, w.commits())
	}
	for way, n := range w.broker.Done() {
		w.total.ways[way] += n
	}
}

const hostileMemory = 256 << 10 // KiB

func (w *hostileWorld) judge(c hostileCommand) {
	limit := c.within
	if c.stopped {
		limit += 15 * time.Second
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), limit)
	defer cancel()
	began := time.Now()
	stdout, stderr, code := w.run(ctx, c)
	took := time.Since(began)
	w.total.programs++
	w.total.exits[code]++
	w.total.commands[strings.Fields(c.args)[0]]++
	if took > w.total.slowest {
		w.total.slowest, w.total.slow = took, c.args
	}
	fault := func(format string, args ...any) {
		w.t.Errorf("seed %d, offsets %s: %s\nexit %d after %s\n%s\n%s", w.seed, c.args, fmt.Sprintf(format, args...), code, took, ends(string(stdout)), ends(string(stderr)))
	}
	if ctx.Err() != nil {
		fault("not done after %s", limit)
		return
	}
	switch code {
	case exitDone, exitFailed, exitUsage, exitCondition, exitRefused, exitPartial:
	case exitInterrupted:
		if !c.stopped {
			fault("it was not interrupted")
		}
	default:
		fault("no exit code of ours")
	}
	if text := string(stderr); strings.Contains(text, "panic:") || strings.Contains(text, "fatal error:") || strings.Contains(text, "goroutine ") {
		fault("it panicked")
	}
	if code != exitDone && code != exitPartial {
		return
	}
	switch {
	case strings.HasSuffix(c.args, "-o json") && !strings.HasPrefix(c.args, "consume"):
		if !json.Valid(stdout) {
			fault("no JSON")
		}
	case strings.HasSuffix(c.args, "-o jsonl"), strings.HasSuffix(c.args, "-o json"):
		for line := range bytes.Lines(stdout) {
			if !json.Valid(line) {
				fault("no JSON line: %.300q", line)
				break
			}
		}
	}
}

// ends are the beginning and the end of a text.
func ends(text string) string {
	const most = 60000
	if len(text) <= 2*most {
		return text
	}
	return text[:most] + "\n…\n" + text[len(text)-most:]
}

// run runs the program. One that does not end is asked for its stacks.
func (w *hostileWorld) run(ctx context.Context, c hostileCommand) (stdout, stderr []byte, code int) {
	args := append(strings.Fields(c.args), "--timeout", "2s")
	cmd := exec.CommandContext(ctx, w.program, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGQUIT) }
	cmd.WaitDelay = 5 * time.Second
	cmd.Dir, cmd.Env = w.dir, w.env
	cmd.Stdin = strings.NewReader(c.input)
	var out, errs limitedBuffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	if c.stopped {
		stop := time.AfterFunc(c.within, func() { _ = cmd.Process.Signal(syscall.SIGTERM) })
		defer stop.Stop()
	}
	peak := watchMemory(cmd.Process.Pid)
	_ = cmd.Wait() // the exit code tells
	if kib := peak(); kib > w.total.peak {
		w.total.peak, w.total.large = kib, c.args
		if kib > hostileMemory {
			w.t.Errorf("seed %d, offsets %s: %d MiB of memory", w.seed, c.args, kib>>10)
		}
	}
	return out.Bytes(), errs.Bytes(), cmd.ProcessState.ExitCode()
}

// limitedBuffer keeps no more than anybody looks at.
type limitedBuffer struct{ bytes.Buffer }

func (b *limitedBuffer) Write(p []byte) (int, error) {
	const most = 64 << 20
	if b.Len() < most {
		_, _ = b.Buffer.Write(p)
	}
	return len(p), nil
}

// commits are those of all groups, as the broker has them.
func (w *hostileWorld) commits() map[string]int64 {
	w.t.Helper()
	adm := kadm.NewClient(w.cl)
	ctx, cancel := context.WithTimeout(w.t.Context(), 20*time.Second)
	defer cancel()
	groups, err := adm.ListGroups(ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	out := map[string]int64{}
	for _, g := range groups.Groups() {
		offsets, err := adm.FetchOffsets(ctx, g)
		if err != nil {
			continue // it was deleted, or has none
		}
		offsets.Each(func(o kadm.OffsetResponse) {
			if o.At >= 0 {
				out[fmt.Sprintf("%s %s-%d", g, o.Topic, o.Partition)] = o.At
			}
		})
	}
	return out
}

// judgeCommits: what has moved is in a receipt.
func (w *hostileWorld) judgeCommits(c hostileCommand, before, after map[string]int64) {
	if maps.Equal(before, after) {
		return
	}
	w.total.changes++
	told := w.receipts()
	for _, what := range slices.Concat(slices.Collect(maps.Keys(before)), slices.Collect(maps.Keys(after))) {
		old, was := before[what]
		now, is := after[what]
		group, partition, _ := strings.Cut(what, " ")
		if was == is && old == now || strings.HasPrefix(group, "offsets-live-") || group == c.member {
			continue
		}
		to := "none"
		if is {
			to = fmt.Sprint(now)
		}
		if !c.changes || !told[group+" "+partition+" "+to] && !(to == "none" && told[group+" deleted"]) {
			w.t.Errorf("seed %d, offsets %s: the commit of %s went from %d (%t) to %s without a receipt", w.seed, c.args, what, old, was, to)
		}
	}
}

// receipts are all targets that are written down.
func (w *hostileWorld) receipts() map[string]bool {
	out := map[string]bool{}
	err := filepath.WalkDir(filepath.Join(w.dir, "state"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".json" {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var r reset.Receipt
		if err := json.Unmarshal(text, &r); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if r.Plan.Deletes {
			out[r.Plan.Group+" deleted"] = true
		}
		for _, p := range r.Plan.Partitions {
			to := "none"
			if p.To != nil {
				to = fmt.Sprint(*p.To)
			}
			out[fmt.Sprintf("%s %s-%d %s", r.Plan.Group, p.Topic, p.Partition, to)] = true
		}
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		w.t.Error(err)
	}
	return out
}
