package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.yaml.in/yaml/v3"

	"offsets/internal/sandbox"
)

// hostileNames are names of groups that Kafka takes, and that break something
// where they are not expected.
func hostileNames() []string {
	return []string{
		"with space", " lead", "trail ", " ", `quo"te`, "apo'strophe", `back\slash`, "tab\there", "new\nline", "esc\x1b[31mred\x1b[0m", "bell\a", "del\x7f", "c1\u009b31m",
		"rtl\u202eabc", "ünïcode-日本", "e\u0301", "😀", "comma,semi;", "-dash", "--execute", "star*", "*", "?", "[a", "[a]", "$(touch pwned)", "`touch pwned`", `{"json":1}`,
		"=1+1", "..", "../../escape", "/etc/passwd", "%s%n", "yes", "12", "~", "- x", "a: b", "#c", "null", strings.Repeat("x", 10_000), strings.Repeat("long name ", 100),
	}
}

// TestHostileNames plans, changes, shows and takes back commits of groups with
// such names, on the sandbox and on the real brokers: the right group is meant,
// tables are safe, JSON, CSV and YAML are valid and have the name as it is.
func TestHostileNames(t *testing.T) {
	t.Run("sandbox", func(t *testing.T) {
		s, err := sandbox.Start(sandbox.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		checkHostileNames(t, s.Addr)
	})
	for _, b := range brokers() {
		t.Run("kafka-"+string(b.config.Version), func(t *testing.T) {
			t.Parallel()
			checkHostileNames(t, b.get(t).Bootstrap)
		})
	}
}

// succeeds runs the program, which must exit 0 and print nothing that a terminal
// obeys, and returns its output.
func (c commandLine) succeeds(args ...string) string {
	c.t.Helper()
	code, stdout, stderr := c.run(args...)
	if code != exitDone {
		c.t.Errorf("%.200q: exit %d, %.500s", args, code, stderr)
	}
	csv := slices.Contains(args, "csv")
	for _, text := range []string{stdout, stderr} {
		if i := strings.IndexFunc(text, func(r rune) bool { return r != '\n' && unicode.IsControl(r) }); i >= 0 && !csv || !utf8.ValidString(text) {
			c.t.Errorf("%.200q prints %q", args, text[max(0, i-50):min(len(text), i+50)])
		}
	}
	return stdout
}

func checkHostileNames(t *testing.T, addr string) {
	c := newCommandLine(t, addr)
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	for _, step := range []string{"topic hostile 2", "records hostile 0 10", "records hostile 1 10"} {
		if err := given(t.Context(), cl, strings.Split(step, " ")); err != nil {
			t.Fatal(err)
		}
	}
	names := hostileNames()
	defer func() { _, _ = kadm.NewClient(cl).DeleteGroups(context.Background(), names...) }()
	escape := func(name string) string {
		for _, meta := range []string{"*", "?", "["} {
			name = strings.ReplaceAll(name, meta, `\`+meta)
		}
		return name
	}
	for _, name := range names {
		arg := escape(name)
		c.succeeds("reset", "--group", arg, "--topic", "hostile", "--to", "4", "--create-group", "--execute", "--settle", "0s")
		var doc struct{ Groups []struct{ Group string } }
		if err := json.Unmarshal([]byte(c.succeeds("describe", "--group", arg, "-o", "json")), &doc); err != nil || len(doc.Groups) != 1 || doc.Groups[0].Group != name {
			t.Errorf("JSON of %.50q: %v", name, err)
		}
		doc.Groups = nil
		if err := yaml.Unmarshal([]byte(c.succeeds("describe", "--group", arg, "-o", "yaml")), &doc); err != nil || len(doc.Groups) != 1 || doc.Groups[0].Group != name {
			t.Errorf("YAML of %.50q: %v", name, err)
		}
		rows, err := csv.NewReader(strings.NewReader(c.succeeds("describe", "--group", arg, "-o", "csv"))).ReadAll()
		if err != nil || len(rows) != 3 || rows[1][0] != name {
			t.Errorf("CSV of %.50q: %d rows, %v", name, len(rows), err)
		}
		for line := range strings.Lines(c.succeeds("describe", "--group", arg)) {
			if n := utf8.RuneCountInString(line); n > maxLine {
				t.Errorf("a line of %d characters for %.50q", n, name)
			}
		}
		c.succeeds("history", "--group", name)
		c.succeeds("policy", "--group", arg)
		c.succeeds("undo", "--group", name, "--execute", "--settle", "0s")
		if code, _, stderr := c.run("describe", "--group", arg); code != exitFailed && strings.Contains(stderr, "\x1b") {
			t.Errorf("after undo: exit %d, %q", code, stderr)
		}
		c.succeeds("reset", "--group", arg, "--topic", "hostile", "--to", "4", "--create-group", "--execute", "--settle", "0s", "-o", "json")
	}
	var listed struct{ Groups []struct{ Group string } }
	if err := json.Unmarshal([]byte(c.succeeds("list", "-o", "json")), &listed); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if !slices.ContainsFunc(listed.Groups, func(g struct{ Group string }) bool { return g.Group == name }) {
			t.Errorf("list has no %.50q", name)
		}
	}
	for _, args := range [][]string{{"list"}, {"describe", "--all"}, {"decode"}, {"decode", "-o", "table"}, {"decode", "--state", "-o", "json"}, {"export", "--all"}, {"undo", "--list"}} {
		c.succeeds(args...)
	}
	if code, _, stderr := c.run("describe", "--group", "bad\xff"); code != exitUsage || !strings.Contains(stderr, "UTF-8") || !utf8.ValidString(stderr) {
		t.Errorf("an argument that is not UTF-8: exit %d, %q", code, stderr)
	}
	entries, err := os.ReadDir(c.dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("the folder has %v besides the program and its state (%v)", entries, err)
	}
}

// maxLine: a long name in a title is cut; what is left leaves room for the rest.
const maxLine = 1000

// A client names itself as it likes, and is shown in tables.
func TestHostileClients(t *testing.T) {
	s, err := sandbox.Start(sandbox.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c := newCommandLine(t, s.Addr)
	for i, id := range []string{"esc\x1b[2J", "new\nline", "c1\u009b31m", strings.Repeat("i", 250)} {
		group := fmt.Sprint("clients-", i)
		cl, err := kgo.NewClient(kgo.SeedBrokers(s.Addr), kgo.ClientID(id), kgo.ConsumerGroup(group), kgo.ConsumeTopics("hostile"), kgo.AllowAutoTopicCreation(), kgo.InstanceID(id))
		if err != nil {
			t.Fatal(err)
		}
		defer cl.Close()
		go cl.PollFetches(t.Context())
		wait(t, func() bool {
			_, stdout, _ := c.run("describe", group, "--state", "-o", "json")
			return strings.Contains(stdout, `"Stable"`)
		})
		c.succeeds("describe", group, "--members")
		c.succeeds("describe", group)
		if code, _, stderr := c.run("reset", group, "--to", "earliest", "--topic", "hostile", "--execute"); code != exitRefused || strings.ContainsAny(stderr, "\x1b\u009b") {
			t.Errorf("a reset beside client %.20q: exit %d, %.300q", id, code, stderr)
		}
	}
}

// A broker that answers with wrong lengths, huge counts or noise costs an error,
// and no memory.
func TestHostileBroker(t *testing.T) {
	noise := bytes.Repeat([]byte{0x7f, 0xff, 0xff, 0xff}, 256)
	for _, c := range []struct {
		name   string
		answer func(key int16, version int16, correlation []byte) []byte // with its length
	}{
		{"a length of 2 GiB", func(int16, int16, []byte) []byte { return []byte{0x7f, 0xff, 0xff, 0xff, 0} }},
		{"a negative length", func(int16, int16, []byte) []byte { return []byte{0xff, 0xff, 0xff, 0xff} }},
		{"HTTP", func(int16, int16, []byte) []byte { return []byte("HTTP/1.1 400 Bad Request\r\n\r\n") }},
		{"huge counts", func(_, _ int16, correlation []byte) []byte { return framed(correlation, noise) }},
		{"huge counts after a good beginning", func(key, version int16, correlation []byte) []byte {
			if key != int16(kmsg.ApiVersions) {
				return framed(correlation, noise)
			}
			resp := kmsg.NewPtrApiVersionsResponse()
			resp.Version = min(version, 3)
			for k := range int16(30) {
				resp.ApiKeys = append(resp.ApiKeys, kmsg.ApiVersionsResponseApiKey{ApiKey: k, MaxVersion: 4})
			}
			return framed(correlation, resp.AppendTo(nil))
		}},
		{"the wrong correlation", func(int16, int16, []byte) []byte { return framed([]byte{1, 2, 3, 4}, noise) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			go func() {
				for {
					conn, err := l.Accept()
					if err != nil {
						return
					}
					go answerAll(conn, c.answer)
				}
			}()
			line := newCommandLine(t, l.Addr().String())
			cmd := exec.CommandContext(t.Context(), filepath.Join(line.dir, "offsets"), "list", "--timeout", "3s")
			cmd.Env = line.env
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			_ = cmd.Run() // the exit code tells
			if code := cmd.ProcessState.ExitCode(); code != exitFailed || stdout.Len() > 0 || stderr.Len() == 0 {
				t.Errorf("exit %d, %q, %q", code, stdout.String(), stderr.String())
			}
			// A child's maximum begins with what its parent had.
			var own syscall.Rusage
			if err := syscall.Getrusage(syscall.RUSAGE_SELF, &own); err != nil {
				t.Fatal(err)
			}
			const limit = 300 << 10 // KiB
			if used := cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss; used > own.Maxrss+limit {
				t.Errorf("%d MiB of memory, %d in the test", used>>10, own.Maxrss>>10)
			}
			t.Log(stderr.String())
		})
	}
}

func framed(correlation, body []byte) []byte {
	frame := binary.BigEndian.AppendUint32(nil, uint32(len(correlation)+len(body)))
	return append(append(frame, correlation...), body...)
}

// answerAll gives an answer to each request on a connection.
func answerAll(conn net.Conn, answer func(key, version int16, correlation []byte) []byte) {
	defer conn.Close()
	for {
		head := make([]byte, 12)
		if _, err := io.ReadFull(conn, head); err != nil {
			return
		}
		rest := int64(binary.BigEndian.Uint32(head)) - 8
		if _, err := io.CopyN(io.Discard, conn, rest); err != nil {
			return
		}
		key, version := int16(binary.BigEndian.Uint16(head[4:])), int16(binary.BigEndian.Uint16(head[6:]))
		if _, err := conn.Write(answer(key, version, head[8:12])); err != nil {
			return
		}
	}
}
