package commitlog

import (
	"encoding/binary"
	"maps"
)

// CommitKey names what is committed.
type CommitKey struct {
	Group     string
	Topic     string
	Partition int32
}

// Commit is a committed offset, and since when it counts.
type Commit struct {
	// Value is nil where the record's value cannot be decoded.
	Value *OffsetCommitValue
	// EffectiveAt is the time, in ms, of its record, or of the marker that
	// committed its transaction.
	EffectiveAt int64
	// Touched: written again after the replay was frozen.
	Touched bool
	// DeletedSince: a tombstone was written after the replay was frozen. The topic
	// may have been deleted then, and created again.
	DeletedSince bool
	// Missing: not committed when the replay was frozen, but written since.
	Missing bool
	// Pending are the commits of open transactions that would replace it.
	Pending []Pending
}

// Pending is a commit of a transaction that is still open.
type Pending struct {
	Value      *OffsetCommitValue
	ProducerID int64
	Since      int64 // ms
}

// Replay turns the records of one commit log partition, in order, into what is
// committed, by the rules of the 4.x group coordinator. Its memory grows with
// the keys that are alive, not with the log: it keeps raw bytes, and decodes
// what is left at the end.
//
// A transactional commit counts from its marker on. A plain commit that was
// written after it, but before the marker, wins.
type Replay struct {
	committed map[string]*cell
	pending   map[int64]map[string]*cell // by producer id
	touched   map[string]bool
	deleted   map[string]bool // a tombstone among what touched it
	frozen    bool
}

// cell is one commit in bytes. Those without metadata, which are almost all,
// lie in the cell itself: a pointer that changes with every record would keep
// the garbage collector busy.
type cell struct {
	logOffset int64
	at        int64
	size      int // of the value where it is small
	small     [48]byte
	large     []byte // the value where it is not
}

func (c *cell) set(value []byte, logOffset, at int64) {
	c.logOffset, c.at = logOffset, at
	if c.size = copy(c.small[:], value); c.size < len(value) {
		c.large = append(c.large[:0], value...)
	} else if c.large != nil {
		c.large = nil
	}
}

func (c *cell) value() []byte {
	if c.large != nil {
		return c.large
	}
	return c.small[:c.size]
}

// NewReplay returns the state before the first record.
func NewReplay() *Replay {
	return &Replay{committed: map[string]*cell{}, pending: map[int64]map[string]*cell{}, touched: map[string]bool{}, deleted: map[string]bool{}}
}

// Freeze ends the time that is asked about: what follows only tells which keys
// were written again.
func (r *Replay) Freeze() { r.frozen = true }

// Record applies a data record at its timestamp in ms; a nil value is a
// tombstone. producerID is -1 outside of transactions. Records that are no
// offset commits are ignored.
func (r *Replay) Record(key, value []byte, logOffset, at, producerID int64) {
	if len(key) < 2 || key[0] != 0 || key[1] > TypeOffsetCommit {
		return
	}
	if key[1] == TypeLegacyOffsetCommit {
		// The same thing under another key: types 0 and 1 mean one commit.
		key = append([]byte{0, TypeOffsetCommit}, key[2:]...)
	}
	switch {
	case r.frozen:
		if !r.touched[string(key)] {
			r.touched[string(key)] = true
		}
		if value == nil {
			r.deleted[string(key)] = true
		}
	case value == nil:
		delete(r.committed, string(key))
		for _, commits := range r.pending {
			delete(commits, string(key))
		}
	case producerID < 0:
		put(r.committed, key, value, logOffset, at)
	default:
		if r.pending[producerID] == nil {
			r.pending[producerID] = map[string]*cell{}
		}
		put(r.pending[producerID], key, value, logOffset, at)
	}
}

// put looks up before it stores: only a new key allocates.
func put(m map[string]*cell, key, value []byte, logOffset, at int64) {
	c := m[string(key)]
	if c == nil {
		c = &cell{}
		m[string(key)] = c
	}
	c.set(value, logOffset, at)
}

// Marker ends a producer's transaction, at the marker's timestamp in ms.
func (r *Replay) Marker(producerID int64, commit bool, at int64) {
	if r.frozen {
		return
	}
	if commit {
		for key, p := range r.pending[producerID] {
			if c, ok := r.committed[key]; !ok || p.logOffset > c.logOffset {
				p.at = at
				r.committed[key] = p
			}
		}
	}
	delete(r.pending, producerID)
}

// Commits decodes what is left. Keys that cannot be decoded are left out.
func (r *Replay) Commits() map[CommitKey]Commit {
	out := make(map[CommitKey]Commit, len(r.committed))
	get := func(raw string) (CommitKey, bool) {
		kr := &reader{src: []byte(raw)[2:]}
		k := decodeOffsetCommitKey(kr).(OffsetCommitKey)
		return CommitKey(k), kr.done() == nil
	}
	for raw, c := range r.committed {
		if key, ok := get(raw); ok {
			out[key] = Commit{Value: decodeCell(c), EffectiveAt: c.at, Touched: r.touched[raw], DeletedSince: r.deleted[raw]}
		}
	}
	for producer, commits := range r.pending {
		for raw, c := range commits {
			if key, ok := get(raw); ok {
				row, known := out[key]
				row.Missing = row.Missing || !known
				row.Touched = r.touched[raw]
				row.Pending = append(row.Pending, Pending{decodeCell(c), producer, c.at})
				out[key] = row
			}
		}
	}
	for raw := range maps.Keys(r.touched) {
		if key, ok := get(raw); ok {
			if _, known := out[key]; !known {
				out[key] = Commit{Touched: true, Missing: true}
			}
		}
	}
	return out
}

func decodeCell(c *cell) *OffsetCommitValue {
	value := c.value()
	if len(value) < 2 {
		return nil
	}
	vr := &reader{src: value[2:]}
	v, err := decodeOffsetCommitValue(int16(binary.BigEndian.Uint16(value)), vr)
	if err != nil || vr.done() != nil {
		return nil
	}
	return v.(*OffsetCommitValue)
}
