package commitlog

import (
	"encoding/binary"
	"math"
)

// CommitKey names what is committed.
type CommitKey struct {
	Group     string
	Topic     string
	Partition int32
}

// Commit is what a replay says of one key.
type Commit struct {
	// Value is nil where nothing was committed, and where the record's value
	// cannot be decoded.
	Value *OffsetCommitValue
	// EffectiveAt is the time, in ms, of its record, or of the marker that
	// committed its transaction.
	EffectiveAt int64
	// Certain: no record that is missing can make it untrue (see [Replay]).
	Certain bool
	// Absent: nothing was committed.
	Absent bool
	// DeletedSince: a tombstone was written behind the time that was asked about.
	// The topic may have been deleted then, and created again.
	DeletedSince bool
	// Pending are the commits of open transactions that would replace it.
	Pending []Pending
}

// Pending is a commit of a transaction that is still open.
type Pending struct {
	Value      *OffsetCommitValue
	ProducerID int64
	Since      int64 // ms
}

// AtTheEnd asks a [Replay] for what is committed behind the last record.
const AtTheEnd = math.MaxInt64

// Replay turns the records of one commit log partition, in order, into what was
// committed at a time, by the rules of the 4.x group coordinator. Its memory
// grows with the keys that are alive, not with the log: it keeps raw bytes, and
// decodes what is left at the end. (A question about a time also keeps the keys
// that were deleted since the last gap, and those that were changed since.)
//
// A transactional commit counts from its marker on, unless a plain commit, or
// one of another transaction that counts already, was written after it; a
// tombstone drops it.
//
// A time T means a position P: that of the first record with a later timestamp.
// Where the clocks of coordinators differ, records of up to T may follow; a key
// that was changed between P and the last of them is not certain.
//
// Compaction takes records away, and leaves a gap in the offsets. A gap right
// before P counts as one before T. Let r be the record that is in force at P. It
// is certain that it was if
//   - no offset is missing between r and P: then every record that may have
//     replaced it is there; or
//   - no later record of the key counts, before P or behind it: cleaners keep the
//     newest record of each key, and take away its tombstone only when nothing
//     older is left, so that the gaps hold none that is newer. What was aborted
//     or is still open does not count. This needs gaps that are the work of
//     compaction: it does not hold across bytes that could not be read.
//
// That nothing was committed is certain if no offset is missing between the
// key's tombstone and P, or none from offset 0 on. At the end of the log (not of
// a time) what has no record is not committed, whatever is missing.
//
// What waited in transactions is complete only where no offset is missing.
type Replay struct {
	committed map[string]*cell
	pending   map[int64]map[string]*cell // by producer id
	asOf      int64                      // ms

	next    int64 // the offset expected
	run     int64 // no offset is missing from here to next
	since   int64 // ms, of the first record of the run; valid if begun
	begun   bool
	damaged bool  // what comes next could not be read
	broken  int64 // below this offset records were lost otherwise than by compaction
	past    *past // nil at the end
}

// past is what a question about a time needs beyond the replay.
type past struct {
	reached bool  // P is
	run     int64 // no offset is missing from here to P
	late    int64 // the last offset behind P with a timestamp of up to T; -1: none
	// deleted are the tombstones at or before P that no gap follows, with their
	// offsets.
	deleted map[string]int64
	untimed int64 // the first of the records right before P without a time; -1: none
	// changed are the keys of which later records count, with the first offset
	// behind P that changed them.
	changed map[string]int64
	// buried are those of which a tombstone is behind P.
	buried map[string]bool
	// written are the keys and record offsets of transactions behind P.
	written map[int64]map[string]int64
	ended   map[int64]bool // producers of which the transactions open at P have ended
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

// NewReplay returns the state before the first record, for a question about a
// time in ms, or AtTheEnd.
func NewReplay(asOf int64) *Replay {
	r := &Replay{committed: map[string]*cell{}, pending: map[int64]map[string]*cell{}, asOf: asOf}
	if asOf != AtTheEnd {
		r.past = &past{
			late: -1, untimed: -1, deleted: map[string]int64{}, changed: map[string]int64{}, buried: map[string]bool{},
			written: map[int64]map[string]int64{}, ended: map[int64]bool{},
		}
	}
	return r
}

// NoTime is the timestamp of records that have none: tombstones of message
// format v0.
const NoTime = -1

// step takes note of a record's place and time. It returns false for a record
// that was there before.
func (r *Replay) step(offset, at int64) bool {
	if offset < r.next {
		return false
	}
	if offset > r.next {
		r.gap(offset)
	}
	if !r.begun && at != NoTime {
		r.begun, r.since = true, at
	}
	r.next, r.damaged = offset+1, false
	if p := r.past; p != nil {
		p.step(offset, at, r)
	}
	return true
}

func (p *past) step(offset, at int64, r *Replay) {
	switch {
	case at == NoTime: // as old as the one before, perhaps
		if !p.reached && p.untimed < 0 {
			p.untimed = offset
		}
	case at > r.asOf:
		if !p.reached {
			p.reached, p.run = true, r.run
		}
	case p.reached:
		p.late, p.run = offset, r.run
	default:
		p.untimed = -1
	}
}

// gap: the offsets from next on, below to, have no records.
func (r *Replay) gap(to int64) {
	if r.damaged {
		r.broken, r.damaged = r.next, false
	}
	r.next, r.run, r.begun = to, to, false
	if r.past != nil && !r.past.reached {
		clear(r.past.deleted)
	}
}

// Reached says that the log goes on at an offset: what is missing below it is
// gone.
func (r *Replay) Reached(offset int64) {
	if offset > r.next {
		r.gap(offset)
	}
}

// Damaged says that what follows could not be read. It is a loss if offsets are
// missing then, or nothing follows.
func (r *Replay) Damaged() { r.damaged = true }

// finish ends the replay.
func (r *Replay) finish() {
	if r.damaged {
		r.gap(r.next + 1) // nobody knows how many
	}
	if p := r.past; p != nil && !p.reached {
		p.reached, p.run = true, r.run
	}
}

// Since is the time, in ms, of the first record behind the last gap; false if
// there is none.
func (r *Replay) Since() (int64, bool) { return r.since, r.begun }

// Record applies a data record at its timestamp in ms, or NoTime; a nil value is
// a tombstone. producerID is -1 outside of transactions. Records that are no
// offset commits only count as being there.
func (r *Replay) Record(key, value []byte, offset, at, producerID int64) {
	if !r.step(offset, at) || len(key) < 2 || key[0] != 0 || key[1] > TypeOffsetCommit {
		return
	}
	if key[1] == TypeLegacyOffsetCommit {
		// The same thing under another key: types 0 and 1 mean one commit.
		key = append([]byte{0, TypeOffsetCommit}, key[2:]...)
	}
	if r.past != nil && r.past.reached {
		r.past.record(key, value, offset, producerID)
		return
	}
	switch {
	case value == nil:
		delete(r.committed, string(key))
		for _, commits := range r.pending {
			delete(commits, string(key))
		}
		if r.past != nil {
			r.past.deleted[string(key)] = offset
		}
	case producerID < 0:
		put(r.committed, key, value, offset, at)
		if r.past != nil && len(r.past.deleted) > 0 {
			delete(r.past.deleted, string(key))
		}
	default:
		if r.pending[producerID] == nil {
			r.pending[producerID] = map[string]*cell{}
		}
		put(r.pending[producerID], key, value, offset, at)
	}
}

// record takes a record behind P: only its key matters.
func (p *past) record(key, value []byte, offset, producerID int64) {
	if value == nil {
		p.buried[string(key)] = true
	}
	if producerID < 0 {
		p.change(string(key), offset)
		return
	}
	if p.written[producerID] == nil {
		p.written[producerID] = map[string]int64{}
	}
	p.written[producerID][string(key)] = offset
}

func (p *past) change(key string, offset int64) {
	if _, known := p.changed[key]; !known {
		p.changed[key] = offset
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

// Marker ends a producer's transaction, at the marker's offset and timestamp in
// ms. A marker that is neither commit nor abort is none.
func (r *Replay) Marker(producerID int64, commit bool, offset, at int64) {
	if !r.step(offset, at) {
		return
	}
	if r.past != nil && r.past.reached {
		r.markerBehind(producerID, commit, offset)
		return
	}
	if commit {
		for key, p := range r.pending[producerID] {
			if c, ok := r.committed[key]; !ok || p.logOffset > c.logOffset {
				p.at = at
				r.committed[key] = p
				if r.past != nil {
					delete(r.past.deleted, key)
				}
			}
		}
	}
	delete(r.pending, producerID)
}

// markerBehind is a marker behind P: what was open there stays so in the answer,
// but what counts now was changed.
func (r *Replay) markerBehind(producerID int64, commit bool, offset int64) {
	p := r.past
	if commit {
		if !p.ended[producerID] {
			for key, c := range r.pending[producerID] {
				if was, ok := r.committed[key]; !ok || c.logOffset > was.logOffset {
					p.change(key, offset)
				}
			}
		}
		for key := range p.written[producerID] {
			p.change(key, offset)
		}
	}
	p.ended[producerID] = true
	delete(p.written, producerID)
}

// Place says that a record is there which says nothing.
func (r *Replay) Place(offset, at int64) { r.step(offset, at) }

// Complete ends the replay. It says whether nothing was committed, with
// certainty, of keys that are not among the commits.
func (r *Replay) Complete() bool {
	r.finish()
	if r.past == nil {
		return r.broken == 0
	}
	return r.past.run == 0
}

// Commits ends the replay, and decodes what is left: what was committed, or may
// have been. Keys that cannot be decoded are left out.
func (r *Replay) Commits() map[CommitKey]Commit {
	r.finish()
	out := make(map[CommitKey]Commit, len(r.committed))
	get := func(raw string) (CommitKey, bool) {
		kr := &reader{src: []byte(raw)[2:]}
		k := decodeOffsetCommitKey(kr).(OffsetCommitKey)
		return CommitKey(k), kr.done() == nil
	}
	for raw, c := range r.committed {
		if key, ok := get(raw); ok {
			v := decodeCell(c)
			out[key] = Commit{Value: v, EffectiveAt: c.at, Certain: v != nil && r.certain(raw, c), DeletedSince: r.past != nil && r.past.buried[raw]}
		}
	}
	absent := func(raw string) {
		if key, ok := get(raw); ok && r.committed[raw] == nil {
			row, known := out[key]
			if !known {
				row = Commit{Absent: true, Certain: r.certainlyAbsent(raw)}
			}
			out[key] = row
		}
	}
	for producer, commits := range r.pending {
		for raw, c := range commits {
			absent(raw)
			if key, ok := get(raw); ok {
				row := out[key]
				row.Pending = append(row.Pending, Pending{decodeCell(c), producer, c.at})
				out[key] = row
			}
		}
	}
	if r.past != nil {
		for raw := range r.past.changed {
			absent(raw)
		}
		for raw := range r.past.deleted {
			absent(raw)
		}
	}
	return out
}

// certain: that c was in force at P (see [Replay]).
func (r *Replay) certain(key string, c *cell) bool {
	if r.past == nil {
		return c.logOffset >= r.broken
	}
	first, changed := r.past.changed[key]
	if changed && first <= r.past.late {
		return false
	}
	return c.logOffset >= r.past.run || !changed && c.logOffset >= r.broken
}

func (r *Replay) certainlyAbsent(key string) bool {
	p := r.past
	if p == nil {
		return r.broken == 0
	}
	first, changed := p.changed[key]
	if changed && first <= p.late {
		return false
	}
	at, deleted := p.deleted[key]
	if deleted && p.untimed >= 0 && at >= p.untimed {
		return false // written at a time that nobody knows
	}
	return p.run == 0 || deleted && (at >= p.run || !changed && at >= r.broken)
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
