//go:build !unix

package reset

import (
	"fmt"
	"io/fs"
	"os"
)

// distrust knows no owners here: the folder is in the user's own profile.
func distrust(fs.FileInfo) (why string, byMode bool) { return "", false }

func distrustFile(fs.FileInfo) (why string, byMode bool) { return "", false }

// openNoFollow opens a file, but not where a link leads.
func openNoFollow(file string) (*os.File, error) {
	info, err := os.Lstat(file)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", file)
	}
	return os.Open(file)
}
