//go:build unix

package main

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Users that are neither root nor whoever runs the tests.
const somebody, other = 65533, 65534

// asUser lets the program run as another user from now on, who owns its folder. It
// skips the test where that takes rights that are not there.
func (w *fileWorld) asUser(uid uint32) {
	w.t.Helper()
	if os.Geteuid() != 0 {
		w.t.Skip("only root can become another user")
	}
	for dir := w.dir; strings.HasPrefix(dir, os.TempDir()+"/"); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			w.t.Fatal(err)
		}
	}
	link := filepath.Join(w.dir, "offsets")
	if info, err := os.Lstat(link); err == nil && info.Mode()&fs.ModeSymlink != 0 { // to a folder that is root's alone
		from, err := os.Open(link)
		if err != nil {
			w.t.Fatal(err)
		}
		defer from.Close()
		if err := os.Remove(link); err != nil {
			w.t.Fatal(err)
		}
		to, err := os.OpenFile(link, os.O_CREATE|os.O_WRONLY, 0o755)
		if err != nil {
			w.t.Fatal(err)
		}
		if _, err := io.Copy(to, from); err != nil || to.Close() != nil {
			w.t.Fatal(err)
		}
	}
	if err := os.Lchown(w.dir, int(uid), int(uid)); err != nil {
		w.t.Fatal(err)
	}
	w.uid = uid
}

// runAs is run as another user.
func (w fileWorld) runAs(uid uint32, args ...string) (code int, stdout, stderr string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(w.dir, "offsets"), args...)
	cmd.Dir, cmd.Env = w.dir, w.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); cmd.ProcessState == nil {
		w.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// receipt makes a change as the user, and returns its receipt's file.
func (w fileWorld) receipt(from, to string) string {
	w.t.Helper()
	w.want(0, "reset", "g", "--to", from, "--execute", "--settle", "0s", "--no-receipt")
	stdout, _ := w.want(0, "reset", "g", "--to", to, "--execute", "--settle", "0s", "-o", "json")
	return w.shown(stdout).Receipt
}

// TestPlantedReceipts: what somebody else could have written among the receipts is
// nothing that undo carries out, and where somebody else could write, no receipt
// is put.
func TestPlantedReceipts(t *testing.T) {
	for name, c := range map[string]struct {
		// spoil makes something of the receipt, and returns what must be named.
		spoil func(t *testing.T, receipt string) string
		// folder: it holds for changes, too.
		folder bool
		root   bool
	}{
		"the receipt is another user's":         {func(t *testing.T, r string) string { chown(t, r); return r }, false, true},
		"the cluster's folder is":               {func(t *testing.T, r string) string { chown(t, filepath.Dir(r)); return filepath.Dir(r) }, true, true},
		"the state folder is":                   {func(t *testing.T, r string) string { d := filepath.Dir(filepath.Dir(r)); chown(t, d); return d }, true, true},
		"others can write the receipt":          {func(t *testing.T, r string) string { chmod(t, r, 0o606); return r }, false, false},
		"the group can write the receipt":       {func(t *testing.T, r string) string { chmod(t, r, 0o620); return r }, false, false},
		"others can write the cluster's folder": {func(t *testing.T, r string) string { chmod(t, filepath.Dir(r), 0o702); return filepath.Dir(r) }, true, false},
		"the group can write the state folder":  {func(t *testing.T, r string) string { d := filepath.Dir(filepath.Dir(r)); chmod(t, d, 0o770); return d }, true, false},
		"a state folder as /tmp is": {func(t *testing.T, r string) string {
			d := filepath.Dir(filepath.Dir(r))
			chmod(t, d, 0o777|fs.ModeSticky)
			return d
		}, true, false},
		"the receipt is a link to somewhere else": {moveAway, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newFileWorld(t)
			if os.Geteuid() == 0 {
				w.asUser(somebody)
			} else if c.root {
				t.Skip("only root can give files away")
			}
			w.commit("g", 40, "")
			receipt := w.receipt("30", "20")
			path := c.spoil(t, receipt)
			_, stderr := w.want(4, "undo", "g", "--execute", "--settle", "0s")
			if !strings.Contains(stderr, path+" is not trusted") || !strings.Contains(stderr, "--receipt FILE") {
				t.Errorf("%s is not named: %s", path, stderr)
			}
			w.want(4, "undo", "g")
			w.run("undo", "*", "--expect-groups", "1", "--execute", "--settle", "0s")
			w.run("undo", "--execute", "--settle", "0s")
			if at := w.committed("g"); at != 20 {
				t.Fatalf("committed is %d: undone by what is not trusted", at)
			}
			if !c.folder {
				w.want(0, "reset", "g", "--to", "10", "--execute", "--settle", "0s")
				return
			}
			_, stderr = w.want(1, "reset", "g", "--to", "10", "--execute", "--settle", "20s")
			if w.committed("g") != 20 || strings.Contains(stderr, "watching") || !strings.Contains(stderr, path+" is not trusted") || !strings.Contains(stderr, "--receipt FILE") {
				t.Errorf("committed is %d: %s", w.committed("g"), stderr)
			}
			w.want(0, "reset", "g", "--to", "10", "--execute", "--settle", "0s", "--receipt", "mine.json")
		})
	}
}

func chown(t *testing.T, path string) {
	t.Helper()
	chmod(t, path, 0o755) // else the program could not read it at all
	if err := os.Lchown(path, other, other); err != nil {
		t.Fatal(err)
	}
}

func chmod(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func moveAway(t *testing.T, receipt string) string {
	t.Helper()
	if err := os.Rename(receipt, receipt+".away"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(receipt+".away", receipt); err != nil {
		t.Fatal(err)
	}
	return receipt
}

// TestReceiptThatIsNamed: it is the user's own choice, who is told once if
// somebody else may have written it.
func TestReceiptThatIsNamed(t *testing.T) {
	w := newFileWorld(t)
	w.commit("g", 40, "")
	receipt := w.receipt("30", "20")
	if _, stderr := w.want(0, "undo", "g", "--receipt", receipt); strings.Contains(stderr, "taken as it is") {
		t.Error(stderr)
	}
	chmod(t, receipt, 0o666)
	_, stderr := w.want(0, "undo", "g", "--receipt", receipt, "--execute", "--settle", "0s")
	if strings.Count(stderr, "other users can write it") != 1 || w.committed("g") != 30 {
		t.Errorf("committed is %d: %s", w.committed("g"), stderr)
	}
	if os.Geteuid() == 0 {
		chown(t, receipt)
		if _, stderr := w.want(0, "undo", "g", "--receipt", receipt, "--even-if-moved"); strings.Count(stderr, "belongs to another user (uid 65534)") != 1 {
			t.Error(stderr)
		}
	}
}

// TestFolderThatCannotBeWritten: it is noticed before the group is watched.
func TestFolderThatCannotBeWritten(t *testing.T) {
	w := newFileWorld(t)
	w.asUser(somebody)
	w.commit("g", 10, "")
	if err := os.Mkdir(filepath.Join(w.dir, "state"), 0o755); err != nil { // root's
		t.Fatal(err)
	}
	_, stderr := w.want(1, "reset", "g", "--to", "5", "--execute", "--settle", "20s")
	if strings.Contains(stderr, "watching") || !strings.Contains(stderr, "permission denied") || w.committed("g") != 10 {
		t.Error(stderr)
	}
}
