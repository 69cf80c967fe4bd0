//go:build !unix

package main

import "io/fs"

// openToOthers knows no modes here.
func openToOthers(string) (mode fs.FileMode, open bool) { return 0, false }

// keepPrivate changes nothing here: the folder's own rights count.
func keepPrivate() (outside func(func() error) error, undo func()) {
	return func(run func() error) error { return run() }, func() {}
}
