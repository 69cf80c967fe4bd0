//go:build unix

package reset

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// distrust says who else could put a file into a folder; "" for nobody. What is
// root's is trusted: root can do everything anyway.
func distrust(info fs.FileInfo) (why string, byMode bool) {
	if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Uid == 0 {
		return writable(info)
	}
	return distrustFile(info)
}

// distrustFile says who else could have written a file; "" for nobody.
func distrustFile(info fs.FileInfo) (why string, byMode bool) {
	if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Geteuid() {
		return fmt.Sprintf("it belongs to another user (uid %d)", st.Uid), false
	}
	return writable(info)
}

func writable(info fs.FileInfo) (why string, byMode bool) {
	if info.Mode().Perm()&0o022 != 0 {
		return fmt.Sprintf("other users can write it (mode %04o)", info.Mode().Perm()), true
	}
	return "", false
}

// openNoFollow opens a file, but not where a link leads, and waits for nobody.
func openNoFollow(file string) (*os.File, error) {
	return os.OpenFile(file, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
}
