package reset

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// UnsafeError means that somebody else may have written what undo would believe:
// a folder of receipts, or one of them.
type UnsafeError struct {
	Path string
	Why  string
	// ByMode: what it takes is that others may not write it any more.
	ByMode bool
	// Folder: it is about all receipts in it.
	Folder bool

	group *string // that the receipt is of, as far as it can be read
}

func (e *UnsafeError) Error() string {
	what := "receipt"
	if e.Folder {
		what = "folder of receipts"
	}
	return fmt.Sprintf("%s %s is not trusted: %s", what, e.Path, e.Why)
}

// Concerns says whether the receipt may be one of the group.
func (e *UnsafeError) Concerns(group string) bool {
	return e.group != nil && *e.group == group || strings.HasSuffix(e.Path, "-"+groupHash(group)+".json")
}

// checkFolders refuses folders that somebody else could put receipts into. Those
// that do not exist yet are made for this user alone.
func (r *Receipts) checkFolders(cluster string) error {
	for _, dir := range []string{r.Dir, r.clusterDir(cluster)} {
		info, err := os.Stat(dir)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil // nor is what is below it
		case err != nil:
			return err
		}
		if why, byMode := distrust(info); why != "" {
			return &UnsafeError{Path: dir, Why: why, ByMode: byMode, Folder: true}
		}
	}
	return nil
}

// ready says whether a receipt can be written, before anybody waits for a
// change that could not be made.
func (r *Receipts) ready(cluster string) error {
	if r == nil {
		return nil
	}
	dir := r.clusterDir(cluster)
	switch {
	case r.File != "":
		if _, err := os.Lstat(r.File); err == nil {
			return &fs.PathError{Op: "create", Path: r.File, Err: syscall.EEXIST}
		}
		dir = filepath.Dir(r.File)
	case r.Dir == "":
		return ErrNoFolder
	default:
		if err := r.makeFolders(cluster); err != nil {
			return err
		}
	}
	tmp, err := writePartial(filepath.Join(dir, "receipt"), nil)
	if err != nil {
		return named(err, dir)
	}
	return os.Remove(tmp)
}

// makeFolders makes the folders of a cluster's receipts where there are none.
func (r *Receipts) makeFolders(cluster string) error {
	if err := r.checkFolders(cluster); err != nil {
		return err
	}
	if err := os.MkdirAll(r.clusterDir(cluster), 0o700); err != nil {
		return err
	}
	return r.checkFolders(cluster)
}

// readOwn reads a receipt that this user has written, and nobody else.
func readOwn(file string) (*Receipt, error) {
	f, err := openNoFollow(file)
	if err != nil {
		if info, statErr := os.Lstat(file); statErr == nil && info.Mode()&fs.ModeSymlink != 0 {
			return nil, &UnsafeError{Path: file, Why: "it is a symbolic link, which is not followed"}
		}
		return nil, err
	}
	defer f.Close()
	r, info, err := readFrom(f, file)
	if info == nil {
		return nil, err
	}
	why, byMode := distrustFile(info)
	if why == "" {
		return r, err
	}
	unsafe := &UnsafeError{Path: file, Why: why, ByMode: byMode}
	if err == nil {
		unsafe.group = &r.Plan.Group
	}
	return nil, unsafe
}

// readFrom reads a receipt, and says what file it is.
func readFrom(f *os.File, file string) (*Receipt, fs.FileInfo, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, info, fmt.Errorf("%s: not a regular file", file)
	}
	text, err := io.ReadAll(f)
	if err != nil {
		return nil, info, named(err, file)
	}
	r, err := parseReceipt(text)
	if err != nil {
		return nil, info, fmt.Errorf("%s: %w", file, err)
	}
	r.file = file
	return r, info, nil
}

// named gives an error the name of the file that was meant, and not that of one
// beside it.
func named(err error, file string) error {
	var link *os.LinkError
	var path *fs.PathError
	switch {
	case errors.As(err, &link):
		return &fs.PathError{Op: "create", Path: file, Err: link.Err}
	case errors.As(err, &path):
		return &fs.PathError{Op: "create", Path: file, Err: path.Err}
	}
	return err
}
