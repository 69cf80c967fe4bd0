//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"offsets/internal/sandbox"
)

// fileWorld is a sandbox with topic t, 50 records of which 2 are deleted, and
// what a test writes into files.
type fileWorld struct {
	commandLine
	adm *kadm.Client
	uid uint32 // who runs the program; 0 is whoever runs the tests
}

func (w fileWorld) run(args ...string) (code int, stdout, stderr string) {
	w.t.Helper()
	if w.uid != 0 {
		return w.runAs(w.uid, args...)
	}
	return w.commandLine.run(args...)
}

func newFileWorld(t *testing.T) fileWorld {
	t.Helper()
	s, err := sandbox.Start(sandbox.Options{Topics: map[string]int32{"t": 2}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	cl, err := kgo.NewClient(kgo.SeedBrokers(s.Addr), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	for n := range 50 {
		if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Value: fmt.Append(nil, n)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	w := fileWorld{commandLine: newCommandLine(t, s.Addr), adm: kadm.NewClient(cl)}
	var start kadm.Offsets
	start.Add(kadm.Offset{Topic: "t", At: 2})
	if _, err := w.adm.DeleteRecords(t.Context(), start); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w fileWorld) commit(group string, at int64, metadata string) {
	w.t.Helper()
	var os kadm.Offsets
	os.Add(kadm.Offset{Topic: "t", At: at, LeaderEpoch: -1, Metadata: metadata})
	if err := w.adm.CommitAllOffsets(w.t.Context(), group, os); err != nil {
		w.t.Fatal(err)
	}
}

func (w fileWorld) committed(group string) int64 {
	w.t.Helper()
	offsets, err := w.adm.FetchOffsets(w.t.Context(), group)
	if err != nil {
		w.t.Fatal(err)
	}
	o, ok := offsets.Lookup("t", 0)
	if !ok {
		return -1
	}
	return o.At
}

// export writes export.json.
func (w fileWorld) export(group string) {
	w.t.Helper()
	stdout, _ := w.want(0, "export", group, "-o", "json")
	w.write("export.json", stdout, 0o600)
}

// want runs the program, and fails unless it exits so.
func (w fileWorld) want(code int, args ...string) (stdout, stderr string) {
	w.t.Helper()
	got, stdout, stderr := w.run(args...)
	if got != code {
		w.t.Errorf("offsets %s: exit %d, want %d\n%s%s", strings.Join(args, " "), got, code, stdout, stderr)
	}
	return stdout, stderr
}

// planFile makes a plan with a command, edits it, and returns the file's name.
func (w fileWorld) planFile(edit func(plan, row map[string]any), args ...string) string {
	w.t.Helper()
	made, edited := filepath.Join(w.t.TempDir(), "made.json"), filepath.Join(w.t.TempDir(), "plan.json")
	w.run(append(args, "--plan-file", made)...)
	text, err := os.ReadFile(made)
	if err != nil {
		w.t.Fatal(err)
	}
	var f map[string]any
	if err := json.Unmarshal(text, &f); err != nil {
		w.t.Fatal(err)
	}
	plan := f["groups"].([]any)[0].(map[string]any)
	edit(plan, plan["partitions"].([]any)[0].(map[string]any))
	if text, err = json.Marshal(f); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(edited, text, 0o600); err != nil {
		w.t.Fatal(err)
	}
	return edited
}

type shownPlan struct {
	Group        string `json:"group"`
	Type         string `json:"type"`
	ProtocolType string `json:"protocol_type"`
	State        string `json:"state"`
	Creates      bool   `json:"creates_group"`
	Blocked      []any  `json:"blocked"`
	Receipt      string `json:"receipt"`
	Warnings     []string
	Partitions   []struct {
		From, To              *int64
		LogStart              *int64 `json:"log_start"`
		LogEnd                *int64 `json:"log_end"`
		Reread, Skipped, Lost *int64
		Note, Error           *string
		FromTime              *string `json:"from_time"`
	}
	Total struct{ Reread, Skipped, Lost int64 }
}

func (w fileWorld) shown(stdout string) shownPlan {
	w.t.Helper()
	var out struct{ Groups []shownPlan }
	if err := json.Unmarshal([]byte(stdout), &out); err != nil || len(out.Groups) != 1 {
		w.t.Fatalf("%v: %s", err, stdout)
	}
	return out.Groups[0]
}

// numbers are everything in a plan that is computed.
func (p shownPlan) numbers() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s %v blocked %d total %v", p.Type, p.ProtocolType, p.State, p.Creates, len(p.Blocked), p.Total)
	for _, c := range p.Partitions {
		for _, n := range []*int64{c.From, c.To, c.LogStart, c.LogEnd, c.Reread, c.Skipped, c.Lost} {
			if n == nil {
				b.WriteString(" null")
			} else {
				fmt.Fprintf(&b, " %d", *n)
			}
		}
		fmt.Fprintf(&b, " %v", c.FromTime)
	}
	return b.String()
}

// TestEditedNumbersAreComputedAgain: what a plan file says of how much is read
// again, skipped and lost, and of the group, is not what apply shows, nor what
// the receipt says afterwards.
func TestEditedNumbersAreComputedAgain(t *testing.T) {
	w := newFileWorld(t)
	w.commit("g", 1, "m")
	honest, _ := w.want(0, "reset", "g", "--to", "40", "-o", "json")
	want := w.shown(honest).numbers()
	file := w.planFile(func(plan, row map[string]any) {
		plan["total"] = map[string]any{"reread": 1000, "skipped": 0, "lost": 7}
		plan["protocol_type"], plan["state"], plan["creates_group"] = "connect", "Stable", true
		plan["blocked"] = []any{map[string]any{"member_id": "x", "client_id": "nobody", "host": "h", "assignment": []any{}}}
		plan["warnings"] = []any{"all is well"}
		row["reread"], row["skipped"], row["lost"], row["log_start"], row["log_end"] = 1000, 0, 7, 0, 1000
		row["note"], row["from_time"] = "checked by everybody", "1999-01-01T00:00:00.000Z"
	}, "reset", "g", "--to", "40")

	stdout, stderr := w.want(0, "apply", file, "-o", "json")
	p := w.shown(stdout)
	p.Partitions[0].FromTime = nil // asked for by the file, and read from the topic
	if got := p.numbers(); got != want {
		t.Errorf("shown:\n%s\nwant:\n%s", got, want)
	}
	if note := text(p.Partitions[0].Note); !strings.Contains(note, "the file says: checked by everybody") || !strings.Contains(note, `erases the metadata "m"`) {
		t.Errorf("note %q", note)
	}
	if strings.Contains(stdout, "1999") {
		t.Error("the file's time is shown")
	}
	if !slices.Contains(p.Warnings, "the file says: all is well") {
		t.Errorf("warnings %q", p.Warnings)
	}
	if !strings.Contains(stderr, "the file says: plan of ") {
		t.Errorf("the command is not told as the file's: %s", stderr)
	}

	stdout, _ = w.want(0, "apply", file, "--execute", "--settle", "0s", "-o", "json")
	receipt, err := os.ReadFile(w.shown(stdout).Receipt)
	if err != nil {
		t.Fatal(err)
	}
	var r struct{ Plan shownPlan }
	if err := json.Unmarshal(receipt, &r); err != nil {
		t.Fatal(err)
	}
	r.Plan.Partitions[0].FromTime = nil
	if got := r.Plan.numbers(); got != want {
		t.Errorf("the receipt says:\n%s\nwant:\n%s", got, want)
	}
}

// TestPlanFilesAsTheyWereMade: what nobody has edited is shown as it was planned.
func TestPlanFilesAsTheyWereMade(t *testing.T) {
	w := newFileWorld(t)
	w.commit("g", 10, "m")
	w.commit("other", 20, "")
	w.commit("past", 60, "")
	w.export("other")
	w.want(0, "reset", "past", "--to", "5", "--execute", "--settle", "0s")
	w.want(0, "reset", "other", "--to", "30", "--execute", "--settle", "0s")
	for _, args := range [][]string{
		{"reset", "g", "--to", "40"},
		{"reset", "g", "--to", "earliest", "--topic", "t"},
		{"reset", "g", "--to", "1000", "--clamp"},
		{"reset", "g", "--to", "current"},
		{"reset", "nobody", "--to", "latest", "--topic", "t", "--create-group"},
		{"undo", "other"},
		{"undo", "past"},
		{"import", "export.json"},
		{"copy", "g", "new"},
		{"copy", "g", "other"},
		{"delete", "g"},
		{"delete", "g", "--topic", "t"},
	} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			w.t = t
			honest, _ := w.want(0, append(args, "-o", "json")...)
			again, _ := w.want(0, "apply", w.planFile(func(_, _ map[string]any) {}, args...), "-o", "json")
			if got, want := w.shown(again).numbers(), w.shown(honest).numbers(); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			for i, c := range w.shown(again).Partitions {
				rest := text(w.shown(honest).Partitions[i].Note)
				for part := range strings.SplitSeq(text(c.Note), "; ") {
					if part = strings.TrimPrefix(part, "the file says: "); !strings.Contains(rest, part) {
						t.Errorf("note %q, was %q", text(c.Note), rest)
					}
				}
			}
		})
	}
}

// TestPlansOutsideTheLog: where an edited plan goes outside of the log, its row has
// an error, and nothing is written, whatever kind it says that it is of.
func TestPlansOutsideTheLog(t *testing.T) {
	w := newFileWorld(t)
	w.commit("g", 10, "")
	w.commit("other", 20, "")
	w.export("other")
	w.want(0, "reset", "other", "--to", "30", "--execute", "--settle", "0s")
	for name, args := range map[string][]string{
		"reset": {"reset", "other", "--to", "5"}, "undo": {"undo", "other"}, "import": {"import", "export.json"}, "copy": {"copy", "g", "other"},
	} {
		for _, kind := range []string{name, "undo"} {
			for _, to := range []int64{1, 51, 1 << 40} {
				t.Run(fmt.Sprint(name, " as ", kind, " to ", to), func(t *testing.T) {
					w.t = t
					file := w.planFile(func(plan, row map[string]any) {
						plan["kind"] = kind
						row["to"], row["log_start"], row["log_end"], row["note"] = to, 0, int64(1)<<50, "outside the log (2 to 50)"
					}, args...)
					stdout, _ := w.want(4, "apply", file, "-o", "json")
					if e := text(w.shown(stdout).Partitions[0].Error); !strings.Contains(e, fmt.Sprintf("offset %d is outside the log (2 to 50)", to)) && e != "the log now starts at 2" {
						t.Errorf("the row's error is %q", e)
					}
					w.want(4, "apply", file, "--execute", "--settle", "0s")
					w.want(4, "apply", file, "--execute", "--settle", "0s", "--partial")
					if at := w.committed("other"); at != 30 {
						t.Fatalf("committed is %d, want 30", at)
					}
				})
			}
		}
	}
}

// TestUndoPlanPastTheEnd: what an undo may put back outside of the log, it may by
// way of a plan file, too, as long as the receipt is there to show it.
func TestUndoPlanPastTheEnd(t *testing.T) {
	w := newFileWorld(t)
	w.commit("g", 70, "m")
	w.want(0, "reset", "g", "--to", "5", "--execute", "--settle", "0s")
	file := w.planFile(func(_, _ map[string]any) {}, "undo", "g")
	away := filepath.Join(w.dir, "away")
	if err := os.Rename(filepath.Join(w.dir, "state"), away); err != nil {
		t.Fatal(err)
	}
	_, stderr := w.want(4, "apply", file, "--execute", "--settle", "0s")
	if !strings.Contains(stderr, "no receipt of this user") {
		t.Error(stderr)
	}
	if err := os.Rename(away, filepath.Join(w.dir, "state")); err != nil {
		t.Fatal(err)
	}
	w.want(4, "apply", w.planFile(func(_, row map[string]any) { row["to"] = 71 }, "undo", "g"), "--execute", "--settle", "0s")
	stdout, _ := w.want(0, "apply", file, "--execute", "--settle", "0s")
	if !strings.Contains(stdout, "outside the log (2 to 50)") || w.committed("g") != 70 {
		t.Errorf("committed is %d\n%s", w.committed("g"), stdout)
	}
}

// TestPlansThatWereNeverMade: an edit that makes no plan of a file is the caller's
// mistake.
func TestPlansThatWereNeverMade(t *testing.T) {
	w := newFileWorld(t)
	w.commit("g", 10, "")
	for name, edit := range map[string]func(plan, row map[string]any){
		"an unknown kind":            func(plan, _ map[string]any) { plan["kind"] = "restore" },
		"a reset that deletes":       func(_, row map[string]any) { row["action"], row["to"] = "delete", nil },
		"a delete that writes":       func(plan, _ map[string]any) { plan["kind"] = "delete" },
		"left alone, and goes":       func(_, row map[string]any) { row["action"] = "none" },
		"a reset deletes its group":  func(plan, _ map[string]any) { plan["deletes_group"] = true },
		"the same, without a commit": func(plan, _ map[string]any) { plan["deletes_group"], plan["partitions"] = true, []any{} },
	} {
		t.Run(name, func(t *testing.T) {
			w.t = t
			w.want(2, "apply", w.planFile(edit, "reset", "g", "--to", "5"), "--execute", "--settle", "0s")
			if at := w.committed("g"); at != 10 {
				t.Errorf("committed is %d", at)
			}
		})
	}
}

// TestPlanWithoutTopicID: whether the topic is the same is not known, and that is
// the reason that is told.
func TestPlanWithoutTopicID(t *testing.T) {
	w := newFileWorld(t)
	w.commit("g", 10, "")
	file := w.planFile(func(_, row map[string]any) { row["topic_id"] = nil }, "reset", "g", "--to", "5")
	for _, args := range [][]string{{"apply", file}, {"apply", file, "--execute", "--settle", "0s"}} {
		_, stderr := w.want(4, args...)
		if !strings.Contains(stderr, "no topic id") || strings.Contains(stderr, "is nothing") {
			t.Error(stderr)
		}
	}
}

// TestPlanFileIsThere: the message names the file, and no other.
func TestPlanFileIsThere(t *testing.T) {
	w := newFileWorld(t)
	w.commit("g", 10, "")
	for _, args := range [][]string{
		{"--plan-file", "there.json"}, {"--plan-file", "none/plan.json"},
		{"--execute", "--settle", "0s", "--receipt", "there.json"}, {"--execute", "--settle", "0s", "--receipt", "there.json/r.json"},
	} {
		if err := os.WriteFile(filepath.Join(w.dir, "there.json"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		_, stderr := w.want(1, append([]string{"reset", "g", "--to", "5"}, args...)...)
		if strings.Contains(stderr, ".partial") || !strings.Contains(stderr, filepath.Dir(args[len(args)-1])) {
			t.Error(stderr)
		}
	}
}

// TestReceiptIsTriedBeforeTheWatch: where no receipt can be written nobody waits to
// hear it.
func TestReceiptIsTriedBeforeTheWatch(t *testing.T) {
	w := newFileWorld(t)
	w.commit("g", 10, "")
	if err := os.WriteFile(filepath.Join(w.dir, "state"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	_, stderr := w.want(1, "reset", "g", "--to", "5", "--execute", "--settle", "20s")
	if d := time.Since(begun); d > 10*time.Second || strings.Contains(stderr, "watching") || !strings.Contains(stderr, "--no-receipt") {
		t.Errorf("after %s: %s", d, stderr)
	}
}

// TestGivenTwice: a flag that has one value is not given two.
func TestGivenTwice(t *testing.T) {
	w := newFileWorld(t)
	w.commit("g", 10, "")
	for args, flag := range map[string]string{
		"reset g --to 5 --to 6":                      "--to",
		"reset g --to 5 --to=6":                      "--to",
		"reset --to 5 g -to 6":                       "--to",
		"reset g --to 5 --plan-file a --plan-file b": "--plan-file",
		"-o json list -o table":                      "--output",
		"list --output json -o csv":                  "--output",
		"-b x:1 list --bootstrap-server y:2":         "--bootstrap-server",
		"list --timeout 5s --timeout 6s":             "--timeout",
		"consume t --offset 1 --offset 2":            "--offset",
		"produce t --partition 0 --partition 1":      "--partition",
		"sandbox --data a --data b -- true":          "--data",
		"undo g --expect-groups 1 --expect-groups 2": "--expect-groups",
	} {
		_, stderr := w.want(2, strings.Fields(args)...)
		if !strings.Contains(stderr, flag+" is given twice") {
			t.Errorf("%s: %s", args, stderr)
		}
	}
	for _, args := range []string{
		"reset g --set t:0=5 --set t:1=0",
		"reset g --to latest --topic t:0 --topic t:1",
		"reset g --to 5 --execute=false --dry-run --dry-run",
		"describe --group g --group g",
		"consume t --partition 0 --partition 1 --exit-at-end --from-beginning",
		"sandbox --topic a:1 --topic b:1 -- true --data a --data b",
		"list --state Empty --state Stable -o json",
	} {
		w.want(0, strings.Fields(args)...)
	}
}

func (w fileWorld) write(name, content string, mode os.FileMode) string {
	w.t.Helper()
	file := filepath.Join(w.dir, name)
	if err := os.WriteFile(file, []byte(content), mode); err != nil {
		w.t.Fatal(err)
	}
	if err := os.Chmod(file, mode); err != nil {
		w.t.Fatal(err)
	}
	return file
}

// TestSecretsThatOthersCanRead: one note, and nothing else changes.
func TestSecretsThatOthersCanRead(t *testing.T) {
	w := newFileWorld(t)
	w.commit("g", 10, "")
	const jaas = "sasl.mechanism=PLAIN\nsecurity.protocol=SASL_PLAINTEXT\n" + `sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required username="u" password="hush";`
	for _, c := range []struct {
		name, content string
		mode          os.FileMode
		notes         int
	}{
		{"open", jaas, 0o644, 1}, {"group", jaas, 0o640, 1}, {"own", jaas, 0o600, 0}, {"no secret", "client.id=x\n", 0o644, 0},
	} {
		file := w.write(c.name+".properties", c.content, c.mode)
		_, stderr := w.want(0, "config", "--command-config", file)
		if n := strings.Count(stderr, "chmod 600"); n != c.notes || strings.Contains(stderr, "hush") {
			t.Errorf("%s: %d notes, want %d: %s", c.name, n, c.notes, stderr)
		}
	}
	if err := os.MkdirAll(filepath.Join(w.dir, "conf", "contexts"), 0o700); err != nil {
		t.Fatal(err)
	}
	w.write("conf/contexts/prod.properties", "bootstrap.servers=localhost:1\n"+jaas, 0o644)
	w.env = append(w.env, "OFFSETS_CONFIG_DIR="+filepath.Join(w.dir, "conf"))
	if _, stderr := w.want(0, "config", "--context", "prod"); strings.Count(stderr, "chmod 600") != 1 {
		t.Error(stderr)
	}
}

// TestSandboxIsThisUsersOwn: its files are, its command knows nothing of it, and
// who opens it to others is told.
func TestSandboxIsThisUsersOwn(t *testing.T) {
	w := newFileWorld(t)
	stdout, stderr := w.want(0, "sandbox", "--data", "new/data", "--topic", "orders:2", "--", "sh", "-c", "umask; offsets produce orders --count 3 > /dev/null; offsets consume orders --group g --from-beginning --exit-at-end > /dev/null")
	if strings.Contains(stderr, "other users") {
		t.Error(stderr)
	}
	if umask, _ := os.ReadFile("/proc/self/status"); !strings.Contains(string(umask), "Umask:\t"+strings.TrimSpace(stdout)) && len(umask) > 0 {
		t.Errorf("the command's umask is %s", stdout)
	}
	files := 0
	err := filepath.WalkDir(filepath.Join(w.dir, "new", "data"), func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %04o", path, info.Mode().Perm())
		}
		files++
		return err
	})
	if err != nil || files < 5 {
		t.Errorf("%v, %d files", err, files)
	}
	if err := os.Mkdir(filepath.Join(w.dir, "open"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, stderr := w.want(0, "sandbox", "--data", "open", "--", "true"); strings.Count(stderr, "chmod 700 open") != 1 {
		t.Error(stderr)
	}
	for listen, notes := range map[string]int{"0.0.0.0:0": 1, "[::]:0": 1, ":0": 1, "127.0.0.1:0": 0, "localhost:0": 0, "127.0.0.2:0": 0} {
		if _, stderr := w.want(0, "sandbox", "--listen", listen, "--", "true"); strings.Count(stderr, "asks for no password") != notes {
			t.Errorf("%s: %s", listen, stderr)
		}
	}
}
