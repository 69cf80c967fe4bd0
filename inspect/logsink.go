package inspect

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"offsets/inspect/commitlog"
	"offsets/inspect/commitlog/segment"
)

// sink takes the batches of one commit log partition, in order, and makes
// something of them.
type sink interface {
	// batch takes a batch's records from offset from on, and below end. Within a
	// batch that is large, full is called where take has something to pass on; its
	// error ends the batch, and is returned.
	batch(b *segment.Batch, from, end int64, state states, full func() error) error
	damaged(d *segment.DamageError)
	// ended: there is nothing more below an offset; or the error kept what lies
	// there from being read.
	ended(offset int64, err error)
	// looksAhead: states must be known when a batch comes, before its marker.
	looksAhead() bool
	// take returns what has come together, if it is enough to be passed on; all
	// of it if it is the last time.
	take(last bool) (chunk, bool)
}

// chunk is a piece of what one partition's sink made.
type chunk struct {
	rows   []LogRecord
	lines  []byte // JSON lines
	count  int    // of rows, lines or keys
	replay *partitionState
	err    error
}

// LogLines is some rows as JSON lines.
type LogLines struct {
	JSON  []byte
	Count int
}

// states tells how the transaction of a producer at an offset ended.
type states func(producerID, offset int64) string

// chunkRows and chunkBytes are when a piece is passed on.
const (
	chunkRows  = 1000
	chunkBytes = 256 << 10
)

// rowSink makes rows.
type rowSink struct {
	make      rowMaker
	partition *int32
	place     *placement
	rows      []LogRecord
}

func (s *rowSink) batch(b *segment.Batch, from, end int64, state states, full func() error) error {
	return s.whole(b, b.Records(func(r segment.Record) error {
		if r.Offset < from || r.Offset >= end {
			return nil
		}
		if row, at := s.make.row(b, r, s.partition, state); s.make.filter.takes(&row, at) {
			if group, known := row.Record.Group(); known {
				s.place.check(group, s.partition)
			}
			s.rows = append(s.rows, row)
		}
		if len(s.rows) >= chunkRows {
			return full()
		}
		return nil
	}))
}

// whole makes a row of the damage in a batch; other errors end the reading.
func (s *rowSink) whole(b *segment.Batch, err error) error {
	if errors.Is(err, segment.ErrRecords) {
		s.damaged(batchDamage(b, err))
		return nil
	}
	return err
}

func (s *rowSink) looksAhead() bool { return true }

func (s *rowSink) ended(int64, error) {}

func (s *rowSink) damaged(d *segment.DamageError) {
	if row := damagedRow(d, s.partition); s.make.filter.takes(&row, time.Time{}) {
		s.rows = append(s.rows, row)
	}
}

func (s *rowSink) take(last bool) (chunk, bool) {
	if len(s.rows) == 0 || !last && len(s.rows) < chunkRows {
		return chunk{}, false
	}
	ch := chunk{rows: s.rows, count: len(s.rows)}
	s.rows = nil
	return ch, true
}

// lineSink makes JSON lines. Plain offset commits, which are almost all
// records, go from bytes to bytes; the others become rows first.
type lineSink struct {
	rowSink
	buf   []byte
	count int
	ref   commitlog.CommitRef
	group []byte // of the record before
	stamp stamp
	fast  bool // the filter takes all records
}

func (s *lineSink) batch(b *segment.Batch, from, end int64, state states, full func() error) error {
	if b.IsTransactional() || b.IsControl() || !s.fast || s.partition == nil {
		err := s.rowSink.batch(b, from, end, state, func() error {
			s.drain()
			return full()
		})
		s.drain()
		return err
	}
	err := s.whole(b, b.Records(func(r segment.Record) error {
		if r.Offset < from || r.Offset >= end {
			return nil
		}
		if r.Timestamp == segment.NoTimestamp || !s.ref.DecodeRef(r.Key, r.Value) {
			row, _ := s.make.row(b, r, s.partition, nil)
			s.append(&row)
			return nil
		}
		if !bytes.Equal(s.group, s.ref.Group) {
			s.group = append(s.group[:0], s.ref.Group...)
			s.place.check(string(s.group), s.partition)
		}
		s.count++
		out := strconv.AppendInt(append(s.buf, `{"partition":`...), int64(*s.partition), 10)
		out = strconv.AppendInt(append(out, `,"offset":`...), r.Offset, 10)
		out = s.stamp.append(append(out, `,"timestamp":"`...), r.Timestamp)
		out = append(append(out, `","kind":"`...), s.ref.Kind()...)
		out = strconv.AppendInt(append(out, `","type":`...), int64(s.ref.Type), 10)
		out = append(out, `,"version":`...)
		if s.ref.Tombstone {
			out = append(out, "null"...)
		} else {
			out = strconv.AppendInt(out, int64(s.ref.Version), 10)
		}
		out = s.ref.AppendKeyJSON(append(out, `,"key":`...))
		out = s.ref.AppendValueJSON(append(out, `,"value":`...))
		out = strconv.AppendBool(append(out, `,"tombstone":`...), s.ref.Tombstone)
		s.buf = append(out, `,"transaction":null,"raw_key":null,"raw_value":null,"position":null,"size":null,"error":null}`+"\n"...)
		if len(s.buf) >= chunkBytes {
			return full()
		}
		return nil
	}))
	s.drain()
	return err
}

func (s *lineSink) damaged(d *segment.DamageError) {
	s.rowSink.damaged(d)
	s.drain()
}

// drain turns the rows into lines.
func (s *lineSink) drain() {
	for i := range s.rows {
		s.append(&s.rows[i])
	}
	s.rows = s.rows[:0]
}

func (s *lineSink) append(row *LogRecord) {
	out := bytes.NewBuffer(s.buf)
	enc := json.NewEncoder(out) // ends each value with a line break
	enc.SetEscapeHTML(false)
	if err := enc.Encode(row); err != nil { // never for these types; but never lose a row
		_ = enc.Encode(map[string]string{"error": err.Error()})
	}
	s.buf = out.Bytes()
	s.count++
}

func (s *lineSink) take(last bool) (chunk, bool) {
	if s.count == 0 || !last && len(s.buf) < chunkBytes {
		return chunk{}, false
	}
	ch := chunk{lines: s.buf, count: s.count}
	s.buf, s.count = nil, 0
	if !last {
		s.buf = make([]byte, 0, cap(ch.lines)) // of the size that it grew to
	}
	return ch, true
}

// stamp writes timestamps; records of one second share most of theirs.
type stamp struct {
	second int64
	prefix []byte // up to the dot
}

func (s *stamp) append(b []byte, ms int64) []byte {
	second := ms / 1000
	rest := ms - second*1000
	if rest < 0 {
		second, rest = second-1, rest+1000
	}
	if s.prefix == nil || second != s.second {
		s.second = second
		s.prefix = time.Unix(second, 0).UTC().AppendFormat(s.prefix[:0], "2006-01-02T15:04:05.")
	}
	b = append(b, s.prefix...)
	return append(b, byte('0'+rest/100), byte('0'+rest/10%10), byte('0'+rest%10), 'Z')
}

// stateSink replays; markers come in their place.
type stateSink struct {
	p      *partitionState
	groups func(string) bool // wanted; nil: all
}

func (s *stateSink) batch(b *segment.Batch, from, end int64, _ states, _ func() error) error {
	err := b.Records(func(r segment.Record) error {
		if r.Offset >= from && r.Offset < end {
			s.p.apply(b, r)
		}
		return nil
	})
	if err != nil {
		s.p.replay.Damaged()
	}
	s.p.replay.Reached(min(b.NextOffset(), end))
	return nil
}

func (s *stateSink) looksAhead() bool { return false }

func (s *stateSink) damaged(*segment.DamageError) { s.p.replay.Damaged() }

func (s *stateSink) ended(offset int64, err error) {
	if err != nil {
		s.p.replay.Damaged()
		return
	}
	s.p.replay.Reached(offset)
}

func (s *stateSink) take(last bool) (chunk, bool) {
	if !last {
		return chunk{}, false
	}
	return chunk{replay: s.p, count: s.p.finish(s.groups)}, true
}

// batchDamage is a batch of which the records turned out unreadable.
func batchDamage(b *segment.Batch, err error) *segment.DamageError {
	return &segment.DamageError{Position: b.Position, Size: int64(b.Size), BaseOffset: b.BaseOffset, Err: err}
}
