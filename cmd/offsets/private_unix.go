//go:build unix

package main

import (
	"io/fs"
	"os"
	"syscall"
)

// openToOthers says whether other users can read a file, or what is in a folder.
// What does not exist is open to nobody.
func openToOthers(path string) (mode fs.FileMode, open bool) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, false
	}
	mode = info.Mode().Perm()
	if info.IsDir() {
		return mode, mode&0o077 != 0
	}
	return mode, mode&0o044 != 0
}

// keepPrivate makes the files that the process makes from now on this user's
// alone. outside runs something, such as the start of a command, as before.
func keepPrivate() (outside func(func() error) error, undo func()) {
	const private = 0o077
	before := syscall.Umask(private)
	outside = func(run func() error) error {
		syscall.Umask(before)
		defer syscall.Umask(private)
		return run()
	}
	return outside, func() { syscall.Umask(before) }
}
