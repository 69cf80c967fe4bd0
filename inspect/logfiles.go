package inspect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"offsets/inspect/commitlog"
	"offsets/inspect/commitlog/segment"
)

// logFolder is how brokers name the folder of a commit log partition.
var logFolder = regexp.MustCompile(`^` + commitlog.Topic + `-(\d+)$`)

// logPart is the files of one partition, in the order of their offsets.
type logPart struct {
	partition *int32 // nil: not known
	files     []string
	err       error // instead of files: why they are left out
}

// ReadLogFiles reads segment files of the commit log, of a broker that need
// not run: single files under any name, or folders. Of a broker's data folder
// it reads every __consumer_offsets-N in it. Damage is rows; an error about one
// file is followed by the rows of the next.
//
// Files are read twice, with bounded memory: first for the markers that tell how
// transactions ended.
func ReadLogFiles(ctx context.Context, paths []string, f LogFilter) iter.Seq2[LogRecord, error] {
	return rowsOf(readFiles(ctx, paths, f, rowSinks(f)))
}

// ReadLogFileLines is ReadLogFiles for who wants JSON lines, and many of them.
func ReadLogFileLines(ctx context.Context, paths []string, f LogFilter) iter.Seq2[LogLines, error] {
	return linesOf(readFiles(ctx, paths, f, lineSinks(f)))
}

func readFiles(ctx context.Context, paths []string, f LogFilter, sinks sinkMaker) iter.Seq[chunk] {
	return func(yield func(chunk) bool) {
		files, cleanUp, err := regularFiles(ctx, paths)
		defer cleanUp()
		if err != nil {
			yield(chunk{err: err})
			return
		}
		parts, err := logParts(files)
		if err != nil {
			yield(chunk{err: err})
			return
		}
		var reads []func(context.Context, func(chunk) bool)
		for _, part := range parts {
			if part.err != nil && !yield(chunk{err: part.err}) {
				return
			}
			if f.Partitions == nil || part.partition != nil && slices.Contains(f.Partitions, *part.partition) {
				reads = append(reads, func(ctx context.Context, send func(chunk) bool) { part.read(ctx, sinks(part.partition, nil), send) })
			}
		}
		for ch := range inOrder(ctx, reads) {
			if !yield(ch) {
				return
			}
		}
	}
}

// read gives the sink one partition's files.
func (part logPart) read(ctx context.Context, s sink, send func(chunk) bool) {
	var tx segment.Transactions
	for _, file := range part.files {
		if !s.looksAhead() {
			break
		}
		// Errors come again when the file is read for its rows.
		_ = eachBatch(ctx, file, true, tx.Add, func(*segment.DamageError) error { return nil })
	}
	pass := func(last bool) error {
		if ch, ok := s.take(last); ok && !send(ch) {
			return errStopped
		}
		return nil
	}
	for _, file := range part.files {
		err := eachBatch(ctx, file, false,
			func(b *segment.Batch) error {
				if err := s.batch(b, 0, math.MaxInt64, tx.State, func() error { return pass(false) }); err != nil {
					return err
				}
				return pass(false)
			},
			func(d *segment.DamageError) error { s.damaged(d); return pass(false) })
		if errors.Is(err, errStopped) || ctx.Err() != nil {
			return
		}
		if err != nil {
			s.ended(0, err)
			if !send(chunk{err: fmt.Errorf("%s: %w", file, err)}) {
				return
			}
		}
	}
	_ = pass(true)
}

// eachBatch reads a file; only its markers if the rest is not needed.
func eachBatch(ctx context.Context, file string, markers bool, batch func(*segment.Batch) error, damaged func(*segment.DamageError) error) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	r := segment.NewReader(untilDone{ctx, f})
	if markers {
		r.OnlyMarkers()
	}
	for {
		b, err := r.Next()
		d, isDamage := asDamage(err)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case isDamage:
			err = damaged(d)
		case err == nil:
			err = batch(b)
		}
		if err != nil {
			return err
		}
	}
}

// logParts finds the files, grouped by partition.
func logParts(paths []string) ([]logPart, error) {
	var parts []logPart
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			parts = append(parts, logPart{partition: partitionOf(filepath.Dir(path)), files: []string{path}})
			continue
		}
		found, err := folderParts(path)
		if err != nil {
			return nil, err
		}
		if len(found) == 0 {
			return nil, fmt.Errorf("%s: no .log files and no %s-N folders: %w", path, commitlog.Topic, fs.ErrNotExist)
		}
		parts = append(parts, found...)
	}
	return merged(parts), nil
}

// merged puts the files of one partition together, so that a transaction may
// begin in one file and end in the next.
func merged(parts []logPart) []logPart {
	var out []logPart
	for _, p := range parts {
		i := slices.IndexFunc(out, func(o logPart) bool {
			return o.partition != nil && o.err == nil && p.err == nil && p.partition != nil && *o.partition == *p.partition && filepath.Dir(o.files[0]) == filepath.Dir(p.files[0])
		})
		if i < 0 {
			out = append(out, p)
			continue
		}
		out[i].files = append(out[i].files, p.files...)
		sortSegments(out[i].files)
	}
	return out
}

// folderParts is the partitions in a folder: it is a partition's own, or holds
// such folders.
func folderParts(dir string) ([]logPart, error) {
	segments, err := filepath.Glob(filepath.Join(globEscape(dir), "*.log"))
	if err != nil {
		return nil, err
	}
	if len(segments) > 0 {
		sortSegments(segments)
		return regularParts(partitionOf(dir), segments), nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var parts []logPart
	for _, e := range entries {
		if !e.IsDir() || !logFolder.MatchString(e.Name()) {
			continue
		}
		found, err := folderParts(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		parts = append(parts, found...)
	}
	slices.SortStableFunc(parts, func(a, b logPart) int { return cmp.Compare(*a.partition, *b.partition) })
	return parts, nil
}

// regularParts leaves out of a folder what is no file: a link there may lead to a
// device that never ends, or to a pipe that nobody writes to.
func regularParts(partition *int32, files []string) []logPart {
	parts := []logPart{{partition: partition}}
	for _, file := range files {
		info, err := os.Stat(file)
		if err == nil && !info.Mode().IsRegular() {
			err = fmt.Errorf("%s: left out: it is not a regular file", file)
		}
		if err != nil {
			parts = append(parts, logPart{partition: partition, err: err})
			continue
		}
		parts[0].files = append(parts[0].files, file)
	}
	return parts
}

func globEscape(dir string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(dir)
}

// sortSegments orders files by the base offset that their names tell.
func sortSegments(files []string) {
	slices.SortFunc(files, func(a, b string) int {
		na, erra := strconv.ParseInt(strings.TrimSuffix(filepath.Base(a), ".log"), 10, 64)
		nb, errb := strconv.ParseInt(strings.TrimSuffix(filepath.Base(b), ".log"), 10, 64)
		if erra != nil || errb != nil {
			return strings.Compare(a, b)
		}
		return cmp.Compare(na, nb)
	})
}

func partitionOf(dir string) *int32 {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil
	}
	m := logFolder.FindStringSubmatch(filepath.Base(abs))
	if m == nil {
		return nil
	}
	n, err := strconv.ParseInt(m[1], 10, 32)
	if err != nil {
		return nil
	}
	p := int32(n)
	return &p
}
