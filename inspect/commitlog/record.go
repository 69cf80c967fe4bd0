package commitlog

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Record types: the number at the start of each key.
const (
	TypeLegacyOffsetCommit = 0
	TypeOffsetCommit       = 1
	TypeGroupMetadata      = 2
)

// Kind is a record's schema name in snake case.
type Kind string

// The kinds of records.
const (
	KindLegacyOffsetCommit Kind = "legacy_offset_commit"
	KindOffsetCommit       Kind = "offset_commit"
	KindGroupMetadata      Kind = "group_metadata"
	KindControl            Kind = "control" // a transaction marker; not made by Decode
	KindUnknown            Kind = "unknown"
)

// Record is one decoded record.
type Record struct {
	Kind Kind
	// Type is the number at the start of the key; nil where the key is too
	// short to have one.
	Type *int16
	// Version is the value's version; nil for tombstones and values too short.
	Version *int16
	// Key is an OffsetCommitKey or GroupMetadataKey, nil where RawKey is kept.
	Key any
	// Value is an *OffsetCommitValue or *GroupMetadataValue; nil for
	// tombstones, and where RawValue is kept.
	Value any
	// Tombstone: the value is null, so the key is deleted.
	Tombstone bool
	// RawKey and RawValue are the bytes of what could not be decoded.
	RawKey, RawValue []byte
	// Err says why something was kept raw.
	Err error
}

// Errors of records that are kept raw; Err wraps them.
var (
	ErrUnknownType    = errors.New("unknown record type")
	ErrUnknownVersion = errors.New("unknown value version")
	ErrTruncated      = errors.New("the bytes end too early")
	ErrTrailing       = errors.New("bytes are left over")
	ErrNoKey          = errors.New("the record has no key")
)

// Decode decodes one record. A nil value is a tombstone. The record shares no
// memory with key and value, except RawKey and RawValue.
//
// Control records (transaction markers) must be told apart before, by their
// batch: their keys look like those of type 0.
func Decode(key, value []byte) Record {
	r := Record{Kind: KindUnknown, Tombstone: value == nil}
	raw := func(err error) Record {
		r.Err = err
		if r.Key == nil {
			r.RawKey = key
		}
		r.RawValue = value
		return r
	}
	if len(value) >= 2 {
		v := int16(binary.BigEndian.Uint16(value))
		r.Version = &v
	}
	if key == nil {
		return raw(ErrNoKey)
	}
	if len(key) < 2 {
		return raw(fmt.Errorf("key: %w", ErrTruncated))
	}
	typ := int16(binary.BigEndian.Uint16(key))
	r.Type = &typ
	var decodeKey func(*reader) any
	var decodeValue func(int16, *reader) (any, error)
	switch typ {
	case TypeLegacyOffsetCommit, TypeOffsetCommit:
		r.Kind = KindOffsetCommit
		if typ == TypeLegacyOffsetCommit {
			r.Kind = KindLegacyOffsetCommit
		}
		decodeKey, decodeValue = decodeOffsetCommitKey, decodeOffsetCommitValue
	case TypeGroupMetadata:
		r.Kind = KindGroupMetadata
		decodeKey, decodeValue = decodeGroupMetadataKey, decodeGroupMetadataValue
	default:
		return raw(fmt.Errorf("%w %d", ErrUnknownType, typ))
	}
	kr := &reader{src: key[2:]}
	k := decodeKey(kr)
	if err := kr.done(); err != nil {
		return raw(fmt.Errorf("key: %w", err))
	}
	r.Key = k
	if value == nil {
		return r
	}
	if r.Version == nil {
		return raw(fmt.Errorf("value: %w", ErrTruncated))
	}
	vr := &reader{src: value[2:]}
	v, err := decodeValue(*r.Version, vr)
	if err == nil {
		err = vr.done()
	}
	if err != nil {
		return raw(fmt.Errorf("value: %w", err))
	}
	r.Value = v
	return r
}
