package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"offsets/internal/sandbox"
)

// TestReadmeTour runs the tour of the README in one sandbox, and compares what
// is printed with what the README shows: stdout, then stderr, then the exit
// code if it is not 0.
func TestReadmeTour(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, tour, ok := strings.Cut(string(text), "\n## Tour\n")
	if !ok {
		t.Fatal("the README has no tour")
	}
	tour, _, _ = strings.Cut(tour, "\n## ")
	runConsole(t, tour)
}

// TestRecipes runs docs/recipes.md in the same way.
func TestRecipes(t *testing.T) {
	text, err := os.ReadFile("../../docs/recipes.md")
	if err != nil {
		t.Fatal(err)
	}
	runConsole(t, string(text))
}

func runConsole(t *testing.T, text string) {
	t.Helper()
	s, err := sandbox.Start(sandbox.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	bin := t.TempDir()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// The test binary runs as the program under the program's name.
	if err := os.Symlink(exe, filepath.Join(bin, "offsets")); err != nil {
		t.Fatal(err)
	}
	env := childEnv(map[string]string{
		"PATH": bin + string(os.PathListSeparator) + os.Getenv("PATH"), "OFFSETS_BOOTSTRAP_SERVER": s.Addr, "OFFSETS_COMMAND_CONFIG": "", "OFFSETS_GROUP": "",
		"OFFSETS_STATE_DIR": t.TempDir(),
	})
	dir := t.TempDir()
	commands := 0
	for _, block := range regexp.MustCompile("(?s)```console\n(.*?)```").FindAllStringSubmatch(text, -1) {
		for _, part := range strings.Split("\n"+block[1], "\n$ ")[1:] {
			command, want, _ := strings.Cut(part, "\n")
			commands++
			got := runShell(dir, env, command)
			want = strings.ReplaceAll(strings.TrimSpace(want), "$BROKER", s.Addr)
			// What is different each time is written as ….
			pattern := strings.ReplaceAll(regexp.QuoteMeta(want), "…", `\S+`)
			if ok, err := regexp.MatchString("^"+pattern+"$", strings.TrimSpace(got)); err != nil || !ok {
				t.Errorf("$ %s\nprints:\n%s\nthe document says:\n%s", command, got, want)
			}
		}
	}
	if commands < 10 {
		t.Errorf("only %d commands found: does the test see the document?", commands)
	}
}

func runShell(dir string, env []string, command string) string {
	cmd := exec.Command("sh", "-c", command)
	cmd.Dir, cmd.Env = dir, env
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	out := stdout.String() + stderr.String()
	if err != nil {
		out += fmt.Sprintf("[exit %d]\n", cmd.ProcessState.ExitCode())
	}
	return out
}
