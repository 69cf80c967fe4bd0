package reset_test

import (
	"bytes"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// fullDisk is a folder on a file system without room; "" where none can be
// made.
func fullDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Logf("no full disk to be had: %v", err)
		return ""
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, 0) })
	for i := range 100 {
		if err := os.WriteFile(filepath.Join(dir, string(rune('a'+i%26))+string(rune('a'+i/26))), bytes.Repeat([]byte{1}, 4096), 0o600); err != nil {
			return dir
		}
	}
	t.Fatal("the disk does not become full")
	return ""
}
