package commitlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
)

// Record is one decoded record.
type Record struct {
	Kind Kind
	// Type is the number at the start of the key; nil where the key is too
	// short to have one.
	Type *int16
	// Version is the value's version; nil for tombstones and values too short.
	Version *int16
	// Key is an OffsetCommitKey, GroupMetadataKey, GroupKey, MemberKey or
	// RegularExpressionKey; nil where RawKey is kept.
	Key any
	// Value is a pointer to the struct of the type and layout; nil for
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

// Decoder decodes records. It may be used by several goroutines at once.
type Decoder struct {
	types   map[int16]recordType
	layouts layoutCache
}

// NewDecoder returns a decoder of every record type.
func NewDecoder() *Decoder { return &Decoder{types: recordTypes()} }

// Decode decodes one record. A nil value is a tombstone. The record shares no
// memory with key and value, except RawKey and RawValue.
//
// Control records (transaction markers) must be told apart before, by their
// batch: their keys look like those of type 0.
func (d *Decoder) Decode(key, value []byte) Record {
	r := Record{Kind: KindUnknown, Tombstone: value == nil}
	if len(value) >= 2 {
		v := int16(binary.BigEndian.Uint16(value))
		r.Version = &v
	}
	err := d.decodeKey(&r, key)
	if err == nil && value != nil {
		err = d.decodeValue(&r, value)
	}
	if err != nil {
		r.Err = err
		if r.Key == nil {
			r.RawKey = key
		}
		r.RawValue = value
	}
	return r
}

func (d *Decoder) decodeKey(r *Record, key []byte) error {
	if key == nil {
		return ErrNoKey
	}
	if len(key) < 2 {
		return fmt.Errorf("key: %w", ErrTruncated)
	}
	typ := int16(binary.BigEndian.Uint16(key))
	r.Type = &typ
	kr := &reader{src: key[2:]}
	var k any
	switch typ {
	case TypeLegacyOffsetCommit, TypeOffsetCommit:
		r.Kind = KindOffsetCommit
		if typ == TypeLegacyOffsetCommit {
			r.Kind = KindLegacyOffsetCommit
		}
		k = decodeOffsetCommitKey(kr)
	case TypeGroupMetadata:
		r.Kind = KindGroupMetadata
		k = decodeGroupMetadataKey(kr)
	default:
		t, known := d.types[typ]
		if !known {
			return fmt.Errorf("%w %d", ErrUnknownType, typ)
		}
		r.Kind = t.kind
		v := reflect.New(t.key).Elem()
		d.layouts.readStruct(kr, v)
		k = v.Interface()
	}
	if err := kr.done(); err != nil {
		return fmt.Errorf("key: %w", err)
	}
	r.Key = k
	return nil
}

func (d *Decoder) decodeValue(r *Record, value []byte) error {
	if r.Version == nil {
		return fmt.Errorf("value: %w", ErrTruncated)
	}
	vr := &reader{src: value[2:]}
	var v any
	var err error
	switch *r.Type {
	case TypeLegacyOffsetCommit, TypeOffsetCommit:
		v, err = decodeOffsetCommitValue(*r.Version, vr)
	case TypeGroupMetadata:
		v, err = decodeGroupMetadataValue(*r.Version, vr)
	default:
		v, err = d.decodeByLayout(d.types[*r.Type], value)
		vr = &reader{} // it has looked for left-over bytes itself
	}
	if err == nil {
		err = vr.done()
	}
	if err != nil {
		return fmt.Errorf("value: %w", err)
	}
	r.Value = v
	return nil
}

// Group is the group that the record is about; false where that is not known.
func (r *Record) Group() (string, bool) {
	switch k := r.Key.(type) {
	case OffsetCommitKey:
		return k.Group, true
	case GroupMetadataKey:
		return k.Group, true
	case GroupKey:
		return k.GroupID, true
	case MemberKey:
		return k.GroupID, true
	case RegularExpressionKey:
		return k.GroupID, true
	}
	return "", false
}

// Topic is the topic that was committed to; false for other records.
func (r *Record) Topic() (string, bool) {
	k, ok := r.Key.(OffsetCommitKey)
	return k.Topic, ok
}
