package reset

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"offsets/inspect"
)

// Receipt is what a change replaced, and what it wrote. It is on disk before
// the first write, so that a change that was killed can be undone, too.
type Receipt struct {
	Format    string   `json:"format"` // receiptFormat
	Version   int      `json:"version"`
	ClusterID string   `json:"cluster_id"`
	Time      string   `json:"time"`
	Command   []string `json:"command"`
	// State is started until the change has been read back, and it is known what
	// became of every partition.
	State ReceiptState `json:"state"`
	Plan  Plan         `json:"plan"`

	file  string
	doubt string
}

// ReceiptState says how far a change came.
type ReceiptState string

// The states of a receipt.
const (
	ReceiptStarted ReceiptState = "started"
	ReceiptDone    ReceiptState = "done"
)

const (
	receiptFormat  = "offsets-receipt"
	receiptVersion = 1
)

// Receipts is where receipts are kept.
type Receipts struct {
	// Dir has a folder for each cluster.
	Dir string
	// File is used instead of a file in Dir; it must not exist yet.
	File string
	// Command is what made the change.
	Command []string
	Now     func() time.Time
}

// ErrNoFolder means that there is no folder for receipts.
var ErrNoFolder = errors.New("there is no state folder")

// ReceiptError means that no receipt can be written, so nothing was changed.
type ReceiptError struct{ Err error }

func (e *ReceiptError) Error() string { return "the receipt cannot be written: " + e.Err.Error() }
func (e *ReceiptError) Unwrap() error { return e.Err }

// begin writes the receipt of a change of a cluster that is about to be made.
func (r *Receipts) begin(cluster string, p *Plan) (*Receipt, error) {
	if r == nil {
		return nil, nil
	}
	now := r.Now().UTC()
	out := &Receipt{
		Format: receiptFormat, Version: receiptVersion, ClusterID: cluster, Time: now.Format(inspect.TimeFormat),
		Command: append([]string{}, r.Command...), State: ReceiptStarted,
	}
	if err := r.create(out, p, now); err != nil {
		p.Receipt = nil
		return nil, &ReceiptError{err}
	}
	return out, nil
}

// create writes a new file: an old receipt is somebody's way back, and is never
// overwritten.
func (r *Receipts) create(out *Receipt, p *Plan, now time.Time) error {
	file, fixed := r.File, r.File != ""
	if !fixed && r.Dir == "" {
		return ErrNoFolder
	}
	for n := 0; ; n++ {
		if !fixed {
			name := fmt.Sprintf("%s-%s.json", now.Add(time.Duration(n)*time.Millisecond).Format("20060102T150405.000Z"), groupHash(p.Group))
			file = filepath.Join(r.clusterDir(out.ClusterID), name)
		}
		abs, err := filepath.Abs(file)
		if err != nil {
			return err
		}
		if fixed {
			_ = os.MkdirAll(filepath.Dir(abs), 0o700) // else writing says it
		} else if err := r.makeFolders(out.ClusterID); err != nil {
			return err
		}
		out.file, p.Receipt = abs, &abs
		text, err := out.encode(p)
		if err != nil {
			return err
		}
		if err := writeNew(abs, text); fixed || !errors.Is(err, fs.ErrExist) || n == 1000 {
			return err
		}
	}
}

func groupHash(group string) string {
	sum := sha256.Sum256([]byte(group))
	return hex.EncodeToString(sum[:6])
}

var plainName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,100}$`)

// clusterDir is the folder of a cluster. Ids are made of letters; anything else
// must not become a path.
func (r *Receipts) clusterDir(cluster string) string {
	if !plainName.MatchString(cluster) {
		cluster = "cluster-" + groupHash(cluster)
	}
	return filepath.Join(r.Dir, cluster)
}

// end writes down what became of the change. Where that is not known, the
// receipt stays "started", and undo finds it out.
func (r *Receipt) end(p *Plan, known bool) error {
	if r == nil {
		return nil
	}
	if known {
		r.State = ReceiptDone
	}
	if err := r.write(p); err != nil {
		// The way back is there: the receipt still says "started".
		return fmt.Errorf("the change was made, but its receipt %s could not be completed (undo can use it all the same): %w", r.file, err)
	}
	return nil
}

// discard takes back a receipt of a change that was not begun.
func (r *Receipt) discard() error {
	if r == nil {
		return nil
	}
	return os.Remove(r.file)
}

// write replaces the file as a whole, and returns when it is on disk.
func (r *Receipt) write(p *Plan) error {
	text, err := r.encode(p)
	if err != nil {
		return err
	}
	tmp, err := writePartial(r.file, text)
	if err != nil {
		return err
	}
	defer os.Remove(tmp) // gone already where all went well
	if err := os.Rename(tmp, r.file); err != nil {
		return named(err, r.file)
	}
	return syncDir(r.file)
}

func (r *Receipt) encode(p *Plan) ([]byte, error) {
	r.Plan = *p
	text, err := json.MarshalIndent(r, "", " ")
	return append(text, '\n'), err
}

// writePartial writes a file beside the one that is meant, and returns when its
// bytes are on disk.
func writePartial(file string, text []byte) (string, error) {
	tmp, err := os.CreateTemp(filepath.Dir(file), ".partial-*")
	if err != nil {
		return "", named(err, file)
	}
	_, err = tmp.Write(text)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		_ = os.Remove(tmp.Name())
		err = named(err, file)
	}
	return tmp.Name(), err
}

// writeNew makes a file that must not exist yet, whole or not at all, and
// returns when it is on disk.
func writeNew(file string, text []byte) error {
	tmp, err := writePartial(file, text)
	if err != nil {
		return err
	}
	defer os.Remove(tmp)
	err = os.Link(tmp, file)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		// A file system without links: reserve the name, then replace it.
		f, openErr := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if openErr != nil {
			return openErr
		}
		err = errors.Join(f.Close(), os.Rename(tmp, file))
	}
	if err != nil {
		return named(err, file)
	}
	return syncDir(file)
}

func syncDir(file string) error {
	dir, err := os.Open(filepath.Dir(file))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// ReadReceipt reads one receipt that the caller has named, whoever wrote it.
func ReadReceipt(file string) (*Receipt, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r, info, err := readFrom(f, file)
	if err != nil {
		return nil, err
	}
	r.doubt, _ = distrustFile(info)
	return r, nil
}

// Doubt is why somebody else may have written the receipt; "" for nobody could.
func (r *Receipt) Doubt() string { return r.doubt }

func parseReceipt(text []byte) (*Receipt, error) {
	var r Receipt
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, fmt.Errorf("not a receipt: %w", err)
	}
	if err := checkFormat("a receipt", r.Format, receiptFormat, r.Version, receiptVersion); err != nil {
		return nil, err
	}
	return &r, r.Plan.valid()
}

// List returns the receipts of a cluster, oldest first, and those files that
// could not be read, or that somebody else may have written ([*UnsafeError]). The
// error is one, too, where that holds for the folder.
func (r *Receipts) List(cluster string) (found []*Receipt, unreadable []error, err error) {
	if r.Dir == "" {
		return nil, nil, ErrNoFolder
	}
	if err := r.checkFolders(cluster); err != nil {
		return nil, nil, err
	}
	dir := r.clusterDir(cluster)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	for _, e := range entries {
		if e.IsDir() || !strings.HasSuffix(e.Name(), ".json") {
			continue
		}
		receipt, err := readOwn(filepath.Join(dir, e.Name()))
		if err != nil {
			unreadable = append(unreadable, err)
			continue
		}
		found = append(found, receipt)
	}
	slices.SortFunc(found, func(a, b *Receipt) int {
		return cmp.Or(cmp.Compare(a.Time, b.Time), cmp.Compare(a.file, b.file))
	})
	return found, unreadable, nil
}

// File is where the receipt was read from.
func (r *Receipt) File() string { return r.file }

// Undo is what was there before the change: of the partitions that it wrote, or
// if it was killed or got no clear answer, may have written or may write yet.
func (r *Receipt) Undo() []Wanted {
	var out []Wanted
	for i := range r.Plan.Partitions {
		c := &r.Plan.Partitions[i]
		open := r.State == ReceiptStarted
		if c.Action == ActionNone || !c.Written && !open {
			continue
		}
		w := Wanted{
			TopicPartition: inspect.TopicPartition{Topic: c.Topic, Partition: c.Partition}, TopicID: c.TopicID,
			Commit: commitOf(c.From, c.FromEpoch, c.FromMetadata),
			Expect: &Expected{Commits: []*inspect.Commit{commitOf(c.To, c.ToEpoch, c.ToMetadata)}},
			Again:  open,
		}
		if open {
			w.Expect.Commits = append(w.Expect.Commits, w.Commit)
		}
		out = append(out, w)
	}
	return out
}

func commitOf(offset *int64, epoch *int32, metadata *string) *inspect.Commit {
	if offset == nil {
		return nil
	}
	c := &inspect.Commit{Offset: *offset, LeaderEpoch: -1, Metadata: text(metadata)}
	if epoch != nil {
		c.LeaderEpoch = *epoch
	}
	return c
}
