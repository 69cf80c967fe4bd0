package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// commandLine runs the program in a folder of its own.
type commandLine struct {
	t   *testing.T
	dir string
	env []string
}

func newCommandLine(t *testing.T, addr string) commandLine {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(exe, filepath.Join(dir, "offsets")); err != nil {
		t.Fatal(err)
	}
	return commandLine{t, dir, childEnv(map[string]string{"OFFSETS_BOOTSTRAP_SERVER": addr, "OFFSETS_COMMAND_CONFIG": "", "OFFSETS_CONTEXT": "", "OFFSETS_GROUP": "", "OFFSETS_STATE_DIR": filepath.Join(dir, "state")})}
}

func (c commandLine) run(args ...string) (code int, stdout, stderr string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(c.dir, "offsets"), args...)
	cmd.Dir, cmd.Env = c.dir, c.env
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	_ = cmd.Run() // the exit code tells
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}
