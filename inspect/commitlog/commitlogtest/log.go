package commitlogtest

import (
	"encoding/binary"
	"hash/crc32"
	"maps"
	"slices"

	"offsets/inspect/commitlog"
)

// Op is what an entry of a [Log] does.
type Op int

// What entries do.
const (
	Commit   Op = iota // of an offset, plain or in a transaction
	Delete             // of a commit: a tombstone
	Marker             // the end of a transaction
	Members            // a record of a classic group with so many members
	Disband            // the tombstone of the group
	Stranger           // a record of another group
)

// Entry is one record of a Log.
type Entry struct {
	Offset, At int64 // At in ms
	Op         Op
	Partition  int32 // of what is committed or deleted
	Value      int64 // the offset that is committed, or the number of members
	Producer   int64 // of a transaction; else -1
	Committed  bool  // of a marker
	Batch      int   // entries of one batch have the same number
}

// Plain says whether the entry is outside of transactions.
func (e *Entry) Plain() bool { return e.Producer < 0 }

// Log is a commit log partition with one group in it, for tests of what is
// claimed about its past. It is made of bytes that choose.
type Log struct {
	Group   string
	Entries []Entry
	End     int64         // the offset behind the last record
	ends    map[int]int64 // of the batches
}

// partitions and producers are few, so that they meet.
const (
	partitions = 3
	producers  = 3
)

// Choices are bytes that decide what happens; when they are used up, it is
// always the first.
type Choices struct{ Bytes []byte }

// Of chooses one of n.
func (c *Choices) Of(n int) int {
	if len(c.Bytes) == 0 {
		return 0
	}
	b := c.Bytes[0]
	c.Bytes = c.Bytes[1:]
	return int(b) % n
}

// NewLog makes a whole log of so many entries or a few more. Times do not run
// backwards.
func NewLog(group string, c *Choices, size int) *Log {
	l := &Log{Group: group, ends: map[int]int64{}}
	open := map[int64]bool{}
	batch, at := 0, int64(1000)
	for len(l.Entries) < size {
		batch++
		at += int64(c.Of(3))
		add := func(e Entry) {
			e.Offset, e.At, e.Batch = l.End, at, batch
			l.Entries = append(l.Entries, e)
			l.End++
			l.ends[batch] = l.End
		}
		producer := int64(c.Of(producers))
		commit := func(producer int64) Entry {
			return Entry{Op: Commit, Partition: int32(c.Of(partitions)), Value: int64(c.Of(20)), Producer: producer}
		}
		switch c.Of(10) {
		case 0, 1, 2:
			for range 1 + c.Of(3) {
				add(commit(-1))
			}
		case 3, 4, 5:
			open[producer] = true
			for range 1 + c.Of(2) {
				add(commit(producer))
			}
		case 6, 7:
			if open[producer] {
				add(Entry{Op: Marker, Producer: producer, Committed: c.Of(3) > 0})
				delete(open, producer)
			}
		case 8:
			add(Entry{Op: Delete, Partition: int32(c.Of(partitions)), Producer: -1})
		case 9:
			switch c.Of(4) {
			case 0:
				add(Entry{Op: Stranger, Producer: -1})
			case 1:
				for p := range int32(partitions) {
					add(Entry{Op: Delete, Partition: p, Producer: -1})
				}
				add(Entry{Op: Disband, Producer: -1})
			default:
				add(Entry{Op: Members, Value: int64(c.Of(3)), Producer: -1})
			}
		}
	}
	return l
}

// Ended is how the transaction of a transactional entry ended before an offset:
// its marker, or nil.
func (l *Log) Ended(e *Entry, before int64) *Entry {
	for i := range l.Entries {
		m := &l.Entries[i]
		if m.Op == Marker && m.Producer == e.Producer && m.Offset > e.Offset && m.Offset < before {
			return m
		}
	}
	return nil
}

// InForce is the entry that is the commit of a partition at a position, by the
// rules of the group coordinator, said without replaying: of the commits that
// count there, and that no tombstone follows, the one with the highest offset.
func (l *Log) InForce(partition int32, position int64) *Entry {
	deleted := int64(-1)
	for i := range l.Entries {
		if e := &l.Entries[i]; e.Op == Delete && e.Partition == partition && e.Offset < position {
			deleted = e.Offset
		}
	}
	var found *Entry
	for i := range l.Entries {
		e := &l.Entries[i]
		if e.Op != Commit || e.Partition != partition || e.Offset >= position || e.Offset < deleted {
			continue
		}
		if m := l.Ended(e, position); e.Plain() || m != nil && m.Committed {
			found = e
		}
	}
	return found
}

// Waiting are the commits of a partition, by producer, that are in transactions
// which are open at a position.
func (l *Log) Waiting(partition int32, position int64) map[int64]int64 {
	out := map[int64]int64{}
	for i := range l.Entries {
		e := &l.Entries[i]
		switch {
		case e.Partition != partition || e.Offset >= position:
		case e.Op == Delete:
			clear(out)
		case e.Op == Commit && !e.Plain() && l.Ended(e, position) == nil:
			out[e.Producer] = e.Value
		}
	}
	return out
}

// Position is that of the first record that was written after a time.
func (l *Log) Position(at int64) int64 {
	for i := range l.Entries {
		if l.Entries[i].At > at {
			return l.Entries[i].Offset
		}
	}
	return l.End
}

// Compacted is what cleaners may leave of the log. They may do less than those
// of Kafka, and in any order: take away what the same key was written after,
// what was aborted, tombstones of which nothing older is left, markers of
// transactions of which nothing is left; and never anything behind the begin of
// an open transaction. DeleteRecords may take away all that lies before an
// offset.
func (l *Log) Compacted(c *Choices) *Log {
	out := &Log{Group: l.Group, Entries: slices.Clone(l.Entries), End: l.End, ends: l.ends}
	end := int64(c.Of(int(l.End) + 1))
	for i := range l.Entries {
		if e := &l.Entries[i]; e.Op == Commit && !e.Plain() && l.Ended(e, l.End) == nil {
			end = min(end, e.Offset)
		}
	}
	for range len(l.Entries) * c.Of(5) {
		if i := c.Of(len(out.Entries) + 1); i < len(out.Entries) && out.Entries[i].Offset < end && out.removable(l, i, end) {
			out.Entries = slices.Delete(out.Entries, i, i+1)
		}
	}
	if c.Of(8) == 1 {
		start := int64(c.Of(int(l.End)))
		out.Entries = slices.DeleteFunc(out.Entries, func(e Entry) bool { return e.Offset < start })
	}
	return out
}

func (e *Entry) sameKey(o *Entry) bool {
	switch e.Op {
	case Commit, Delete:
		return (o.Op == Commit || o.Op == Delete) && o.Partition == e.Partition
	case Members, Disband:
		return o.Op == Members || o.Op == Disband
	}
	return e.Op == o.Op
}

func (l *Log) removable(whole *Log, i int, end int64) bool {
	e := &l.Entries[i]
	aborted := func(e *Entry) bool {
		m := whole.Ended(e, whole.End)
		return e.Op == Commit && !e.Plain() && (m == nil || !m.Committed)
	}
	if e.Op == Marker {
		return !slices.ContainsFunc(l.Entries[:i], func(o Entry) bool {
			m := whole.Ended(&o, whole.End)
			return o.Op == Commit && !o.Plain() && m != nil && m.Offset == e.Offset
		})
	}
	if aborted(e) {
		return true
	}
	same := func(o Entry) bool { return o.Op != Marker && e.sameKey(&o) && !aborted(&o) }
	if slices.ContainsFunc(l.Entries[i+1:], func(o Entry) bool { return o.Offset < end && same(o) }) {
		return true
	}
	return (e.Op == Delete || e.Op == Disband) && !slices.ContainsFunc(l.Entries[:i], same)
}

// Segment is the log as a broker's file. Batches of which nothing is left are
// in it, empty, or not.
func (l *Log) Segment(c *Choices) []byte {
	var out []byte
	for _, batch := range slices.Sorted(maps.Keys(l.ends)) {
		var in []Entry
		for _, e := range l.Entries {
			if e.Batch == batch {
				in = append(in, e)
			}
		}
		if len(in) == 0 && (c.Of(2) == 0 || len(l.Entries) == 0 || l.ends[batch] <= l.Entries[0].Offset) {
			continue
		}
		out = append(out, l.batch(in, l.ends[batch])...)
	}
	return out
}

func (l *Log) batch(in []Entry, end int64) []byte {
	base, at, attributes, producer := end-1, int64(1000), uint16(0), int64(-1)
	if len(in) > 0 {
		base, at, producer = in[0].Offset, in[0].At, in[0].Producer
	}
	var body []byte
	for i := range in {
		key, value := l.encode(&in[i])
		rec := binary.AppendVarint([]byte{0}, in[i].At-at)
		rec = binary.AppendVarint(rec, in[i].Offset-base)
		for _, field := range [][]byte{key, value} {
			if field == nil {
				rec = binary.AppendVarint(rec, -1)
				continue
			}
			rec = append(binary.AppendVarint(rec, int64(len(field))), field...)
		}
		rec = append(rec, 0)
		body = append(binary.AppendVarint(body, int64(len(rec))), rec...)
		if in[i].Op == Marker {
			attributes |= 0x20
		}
	}
	if producer >= 0 {
		attributes |= 0x10
	}
	tail := binary.BigEndian.AppendUint16(nil, attributes)
	tail = binary.BigEndian.AppendUint32(tail, uint32(end-1-base))
	tail = binary.BigEndian.AppendUint64(tail, uint64(at))
	tail = binary.BigEndian.AppendUint64(tail, uint64(at))
	tail = binary.BigEndian.AppendUint64(tail, uint64(producer))
	tail = append(tail, 0, 0, 255, 255, 255, 255)
	tail = append(binary.BigEndian.AppendUint32(tail, uint32(len(in))), body...)
	out := binary.BigEndian.AppendUint64(nil, uint64(base))
	out = binary.BigEndian.AppendUint32(out, uint32(9+len(tail)))
	out = append(out, 0, 0, 0, 0, 2)
	out = binary.BigEndian.AppendUint32(out, crc32.Checksum(tail, crc32.MakeTable(crc32.Castagnoli)))
	return append(out, tail...)
}

func (l *Log) encode(e *Entry) (key, value []byte) {
	key = commitlog.OffsetCommitKey{Group: l.Group, Topic: "t", Partition: e.Partition}.Encode()
	switch e.Op {
	case Commit:
		v := commitlog.OffsetCommitValue{Version: 3, Offset: e.Value, LeaderEpoch: -1, CommitTimestamp: e.At}
		if e.Value%3 == 0 {
			v.LeaderEpoch, v.Metadata = 1, "m"
		}
		return key, v.Encode()
	case Delete:
		return key, nil
	case Marker:
		kind := byte(0)
		if e.Committed {
			kind = 1
		}
		return []byte{0, 0, 0, kind}, make([]byte, 6)
	case Members:
		v := commitlog.GroupMetadataValue{Version: 3, ProtocolType: "consumer", Members: make([]commitlog.GroupMember, e.Value)}
		return commitlog.GroupMetadataKey{Group: l.Group}.Encode(), v.Encode()
	case Disband:
		return commitlog.GroupMetadataKey{Group: l.Group}.Encode(), nil
	}
	return commitlog.GroupMetadataKey{Group: "stranger"}.Encode(), (&commitlog.GroupMetadataValue{Version: 3}).Encode()
}
