package inspect

import (
	"errors"
	"time"

	"offsets/inspect/commitlog"
	"offsets/inspect/commitlog/segment"
)

// TimeFormat is how times are written: RFC 3339 with milliseconds.
const TimeFormat = "2006-01-02T15:04:05.000Z07:00"

// LogRecord is one record of the commit log, or a stretch of it that cannot be
// read.
type LogRecord struct {
	Partition *int32 `json:"partition"` // nil where a file does not tell
	Offset    int64  `json:"offset"`
	// Timestamp is RFC 3339, UTC, by the coordinator's clock; nil in message
	// format v0.
	Timestamp *string `json:"timestamp"`
	Kind      string  `json:"kind"`
	Type      *int16  `json:"type"`    // number at the start of the key
	Version   *int16  `json:"version"` // of the value
	Key       any     `json:"key"`     // fields of Kafka's schema
	Value     any     `json:"value"`
	Tombstone bool    `json:"tombstone"`
	// Transaction is set on records that were committed in a transaction, and
	// on its marker.
	Transaction *Transaction `json:"transaction"`
	// RawKey and RawValue are what could not be decoded; Error says why.
	RawKey   []byte `json:"raw_key"`
	RawValue []byte `json:"raw_value"`
	// Position and Size are of a damaged batch, in bytes.
	Position *int64  `json:"position"`
	Size     *int64  `json:"size"`
	Error    *string `json:"error"`

	// Record is what Key and Value are made of, with its typed structs.
	Record commitlog.Record `json:"-"`
}

// Transaction is the producer behind a record, and what became of it by the
// end of what was read.
type Transaction struct {
	ProducerID    int64  `json:"producer_id"`
	ProducerEpoch int16  `json:"producer_epoch"`
	State         string `json:"state"` // open, committed, aborted
}

// LogFilter selects records. The zero filter takes all.
type LogFilter struct {
	// Groups are the names wanted; nil takes all. Records of which the group
	// is not known are taken if they could not be decoded.
	Groups func(string) bool
	// OnlyGroups are the names, where there is no pattern among them: only
	// their own partitions of the live log are read.
	OnlyGroups []string
	// Topics are the topics of offset commits; nil takes all records.
	Topics func(string) bool
	Kinds  func(string) bool
	// Partitions of the live log; nil takes all.
	Partitions []int32
	// Since and Until bound the record's time, both included; zero is open.
	Since, Until time.Time
	// Follow goes on at the end of the live log with what is written then.
	Follow bool
	// Misplaced, if set, is told once of every group of which records of the
	// live log lie outside of the partition that its name says.
	Misplaced func(Misplaced)
}

// Misplaced is a group whose records are not where Kafka would write them now:
// the topic's partition count was changed, or it is not Apache Kafka that
// writes it.
type Misplaced struct {
	Group     string
	Partition int32 // where a record lies
	Own       int32 // where it would be written
}

// takesAll says whether no record is left out because of what it says.
func (f *LogFilter) takesAll() bool { return f.Groups == nil && f.takesAllOfGroups() }

// takesAllOfGroups: none is left out but for its group.
func (f *LogFilter) takesAllOfGroups() bool {
	return f.Topics == nil && f.Kinds == nil && f.Since.IsZero() && f.Until.IsZero()
}

func (f *LogFilter) takes(r *LogRecord, at time.Time) bool {
	if f.Kinds != nil && !f.Kinds(r.Kind) {
		return false
	}
	if !at.IsZero() && (!f.Since.IsZero() && at.Before(f.Since) || !f.Until.IsZero() && at.After(f.Until)) {
		return false
	}
	if f.Groups != nil {
		if group, known := r.Record.Group(); known && !f.Groups(group) || !known && r.Error == nil {
			return false
		}
	}
	if f.Topics != nil {
		if topic, known := r.Record.Topic(); known && !f.Topics(topic) || !known && r.Error == nil {
			return false
		}
	}
	return true
}

// rowMaker turns batches into rows.
type rowMaker struct {
	dec    *commitlog.Decoder
	filter LogFilter
}

// row makes the row of one record.
func (m *rowMaker) row(b *segment.Batch, r segment.Record, partition *int32, state states) (LogRecord, time.Time) {
	row := LogRecord{Partition: partition, Offset: r.Offset}
	at := time.UnixMilli(writtenAt(r)).UTC()
	if r.Timestamp != segment.NoTimestamp {
		row.Timestamp = nonEmpty(at.Format(TimeFormat))
	}
	if b.IsTransactional() {
		row.Transaction = &Transaction{ProducerID: b.ProducerID, ProducerEpoch: b.ProducerEpoch, State: state(b.ProducerID, r.Offset)}
	}
	if b.IsControl() {
		controlRow(&row, r)
	} else {
		m.decode(&row, r)
	}
	return row, at
}

// writtenAt is when a record was written, in ms. Those of message format v0 do
// not say, but a commit has a time of its own, by the same clock.
func writtenAt(r segment.Record) int64 {
	if r.Timestamp != segment.NoTimestamp {
		return r.Timestamp
	}
	var c commitlog.CommitRef
	if c.DecodeRef(r.Key, r.Value) && !c.Tombstone {
		return c.CommitTimestamp
	}
	return r.Timestamp
}

func (m *rowMaker) decode(row *LogRecord, r segment.Record) {
	d := m.dec.Decode(r.Key, r.Value)
	row.Record = d
	row.Kind, row.Type, row.Version, row.Tombstone = string(d.Kind), d.Type, d.Version, d.Tombstone
	if d.Key != nil {
		row.Key = decoded{m.dec, d.Key}
	}
	if d.Value != nil {
		row.Value = decoded{m.dec, d.Value}
	}
	if d.Err != nil {
		text := d.Err.Error()
		// The bytes belong to a buffer that is used again.
		row.RawKey, row.RawValue, row.Error = clone(d.RawKey), clone(d.RawValue), &text
	}
}

func clone(b []byte) []byte {
	if b == nil {
		return nil
	}
	return append([]byte{}, b...)
}

// decoded is a key or value as JSON shows it.
type decoded struct {
	dec *commitlog.Decoder
	v   any
}

// MarshalJSON writes the schema's fields.
func (d decoded) MarshalJSON() ([]byte, error) { return d.dec.AppendJSON(nil, d.v), nil }

func controlRow(row *LogRecord, r segment.Record) {
	row.Kind = string(commitlog.KindControl)
	m, err := segment.ParseMarker(r)
	if err != nil {
		text := "marker: " + err.Error()
		row.RawKey, row.RawValue, row.Error = clone(r.Key), clone(r.Value), &text
		return
	}
	row.Key = markerKey{m.Type}
	row.Value = markerValue{m.CoordinatorEpoch}
}

type markerKey struct {
	Marker string `json:"marker"` // commit or abort
}

type markerValue struct {
	CoordinatorEpoch int32 `json:"coordinatorEpoch"`
}

func damagedRow(d *segment.DamageError, partition *int32) LogRecord {
	text := d.Err.Error()
	return LogRecord{
		Partition: partition, Offset: d.BaseOffset, Kind: string(commitlog.KindDamagedBatch),
		Position: &d.Position, Size: &d.Size, Error: &text,
	}
}

// asDamage takes a damaged batch out of an error.
func asDamage(err error) (*segment.DamageError, bool) {
	var d *segment.DamageError
	ok := errors.As(err, &d)
	return d, ok
}
