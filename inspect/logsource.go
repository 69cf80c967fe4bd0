package inspect

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// untilDone reads until the context is done: some files never end.
type untilDone struct {
	ctx context.Context
	src io.Reader
}

func (u untilDone) Read(b []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, context.Cause(u.ctx)
	}
	return u.src.Read(b)
}

// maxSpooled is how much of a pipe is copied: the usual size of a segment.
const maxSpooled = 1 << 30

// regularFiles copies the pipes among paths, which can be read only once, into
// files of their own. Who names one means it. Devices are refused: some never end.
// clean removes the copies.
func regularFiles(ctx context.Context, paths []string) (files []string, clean func(), err error) {
	var copies []string
	clean = func() {
		for _, file := range copies {
			_ = os.Remove(file) // a leftover in the temporary folder is no reason to fail
		}
	}
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, clean, err
		}
		if mode := info.Mode(); mode&fs.ModeType != 0 && mode&(fs.ModeDir|fs.ModeNamedPipe) == 0 {
			return nil, clean, fmt.Errorf("%s: it is neither a file nor a folder nor a pipe", path)
		}
		if info.Mode()&fs.ModeNamedPipe != 0 {
			file, err := spool(ctx, path)
			if err != nil {
				return nil, clean, fmt.Errorf("%s: %w", path, err)
			}
			copies = append(copies, file)
			path = file
		}
		files = append(files, path)
	}
	return files, clean, nil
}

// spool copies what a pipe has to give.
func spool(ctx context.Context, path string) (string, error) {
	src, err := open(ctx, path)
	if err != nil {
		return "", err
	}
	defer src.Close()
	// A read that waits for somebody to write ends with the file.
	defer context.AfterFunc(ctx, func() { src.Close() })()
	to, err := os.CreateTemp("", "offsets-decode-*.log")
	if err != nil {
		return "", err
	}
	n, err := io.Copy(to, io.LimitReader(untilDone{ctx, src}, maxSpooled+1))
	if err == nil && n > maxSpooled {
		err = fmt.Errorf("a pipe is read up to %d MiB: name the file itself", maxSpooled>>20)
	}
	if closed := to.Close(); err == nil {
		err = closed
	}
	if err != nil {
		_ = os.Remove(to.Name())
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return "", err
	}
	return to.Name(), nil
}

// open waits for a pipe's writer no longer than the context lasts.
func open(ctx context.Context, path string) (*os.File, error) {
	type opened struct {
		file *os.File
		err  error
	}
	done := make(chan opened, 1)
	go func() {
		f, err := os.Open(path)
		done <- opened{f, err}
	}()
	select {
	case o := <-done:
		return o.file, o.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
