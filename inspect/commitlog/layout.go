package commitlog

import (
	"encoding/binary"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"
)

// layout is a struct type, taken apart once.
type layout struct {
	fields []layoutField
	tagged []layoutField // by their tags, ascending
	tags   int           // index of the field with unknown tags; -1 in keys
}

type layoutField struct {
	index    int
	name     string // JSON
	tag      uint32
	fallback int64 // the default of a tagged integer
	// subscription: bytes that JSON shows decoded.
	subscription bool
}

// layoutCache holds each layout once; it grows with the code, not with data.
type layoutCache struct{ byType sync.Map }

func (c *layoutCache) of(t reflect.Type) *layout {
	if l, ok := c.byType.Load(t); ok {
		return l.(*layout)
	}
	l := &layout{tags: -1}
	for i := range t.NumField() {
		f := t.Field(i)
		name := f.Tag.Get("json")
		if name == "unknownTags" {
			l.tags = i
			continue
		}
		field := layoutField{index: i, name: name}
		tagged := false
		for option := range strings.SplitSeq(f.Tag.Get("kafka"), ",") {
			key, value, _ := strings.Cut(option, "=")
			switch key {
			case "tag":
				n, _ := strconv.ParseUint(value, 10, 32) // written in this package
				field.tag, tagged = uint32(n), true
			case "default":
				field.fallback, _ = strconv.ParseInt(value, 10, 64)
			case "subscription":
				field.subscription = true
			}
		}
		if tagged {
			l.tagged = append(l.tagged, field)
		} else {
			l.fields = append(l.fields, field)
		}
	}
	c.byType.Store(t, l)
	return l
}

// isDefault says whether a tagged field is left out.
func (f *layoutField) isDefault(v reflect.Value) bool {
	if v.CanInt() {
		return v.Int() == f.fallback
	}
	return v.IsZero()
}

// readStruct reads a struct and its tag section.
func (c *layoutCache) readStruct(r *reader, v reflect.Value) {
	l := c.of(v.Type())
	for i := range l.fields {
		c.readField(r, v.Field(l.fields[i].index))
	}
	for i := range l.tagged {
		if f := &l.tagged[i]; f.fallback != 0 {
			v.Field(f.index).SetInt(f.fallback)
		}
	}
	if l.tags < 0 {
		return
	}
	unknown := r.tags(func(tag uint32, data *reader) bool {
		for i := range l.tagged {
			if f := &l.tagged[i]; f.tag == tag {
				field := v.Field(f.index)
				c.readField(data, field)
				// A null that was written although it is the default is kept with
				// the unknown tags, so that it is not lost: see appendStruct.
				return field.Kind() != reflect.Pointer || !field.IsNil() || data.done() != nil
			}
		}
		return false
	})
	if unknown != nil {
		v.Field(l.tags).Set(reflect.ValueOf(unknown))
	}
}

func (c *layoutCache) readField(r *reader, v reflect.Value) {
	switch p := v.Addr().Interface().(type) {
	case *int8:
		*p = r.int8()
	case *int16:
		*p = r.int16()
	case *uint16:
		*p = uint16(r.int16())
	case *int32:
		*p = r.int32()
	case *int64:
		*p = r.int64()
	case *string:
		*p = r.string()
	case **string:
		*p = r.nullableString()
	case *[]byte:
		*p = r.bytes()
	case *UUID:
		copy(p[:], r.take(len(p)))
	case *[]int32:
		*p = r.int32s()
	case *[]string:
		*p = r.strings()
	default:
		c.readNested(r, v)
	}
}

func (c *layoutCache) readNested(r *reader, v reflect.Value) {
	if v.Kind() == reflect.Pointer {
		// A nullable struct: 1 and its fields. Null is -1, but 0 inside of a
		// tagged field: brokers write a null ClassicMemberMetadata like that.
		if r.int8() <= 0 {
			return
		}
		v.Set(reflect.New(v.Type().Elem()))
		c.readStruct(r, v.Elem())
		return
	}
	n := r.count()
	out := reflect.MakeSlice(v.Type(), 0, min(n, 64))
	for range n {
		if r.bad != nil {
			break
		}
		e := reflect.New(v.Type().Elem()).Elem()
		if e.Kind() == reflect.Struct {
			c.readStruct(r, e)
		} else {
			c.readField(r, e)
		}
		out = reflect.Append(out, e)
	}
	v.Set(out)
}

// writeStruct is the reverse of readStruct.
func (c *layoutCache) writeStruct(w *writer, v reflect.Value) {
	l := c.of(v.Type())
	for i := range l.fields {
		c.writeField(w, v.Field(l.fields[i].index))
	}
	if l.tags < 0 {
		return
	}
	unknown := v.Field(l.tags).Interface().([]Tag)
	known := make([]Tag, 0, len(l.tagged))
	for i := range l.tagged {
		f := &l.tagged[i]
		if field := v.Field(f.index); !f.isDefault(field) {
			data := &writer{flexible: true}
			c.writeField(data, field)
			known = append(known, Tag{Tag: f.tag, Data: data.b})
		}
	}
	// Known tags have the lowest numbers, so the order is ascending.
	w.b = binary.AppendUvarint(w.b, uint64(len(known)+len(unknown)))
	for _, t := range append(known, unknown...) {
		w.tag(t.Tag, t.Data)
	}
}

func (c *layoutCache) writeField(w *writer, v reflect.Value) {
	switch p := v.Interface().(type) {
	case int8:
		w.b = append(w.b, byte(p))
	case int16:
		w.int16(p)
	case uint16:
		w.int16(int16(p))
	case int32:
		w.int32(p)
	case int64:
		w.int64(p)
	case string:
		w.string(p)
	case *string:
		w.nullableString(p)
	case []byte:
		w.bytes(append([]byte{}, p...))
	case UUID:
		w.b = append(w.b, p[:]...)
	default:
		if v.Kind() == reflect.Pointer {
			if v.IsNil() {
				w.b = append(w.b, 0xff)
				return
			}
			w.b = append(w.b, 1)
			c.writeStruct(w, v.Elem())
			return
		}
		w.length(v.Len(), 32)
		for i := range v.Len() {
			if e := v.Index(i); e.Kind() == reflect.Struct {
				c.writeStruct(w, e)
			} else {
				c.writeField(w, e)
			}
		}
	}
}

// decodeByLayout reads a value with each layout in turn; only one that takes
// all bytes fits.
func (d *Decoder) decodeByLayout(t recordType, value []byte) (any, error) {
	version := int16(binary.BigEndian.Uint16(value))
	if version != 0 {
		return nil, fmt.Errorf("%w %d", ErrUnknownVersion, version)
	}
	var first error
	for _, layout := range t.values {
		r := &reader{src: value[2:], flexible: true}
		v := reflect.New(layout)
		d.layouts.readStruct(r, v.Elem())
		err := r.done()
		if err == nil {
			return v.Interface(), nil
		}
		if first == nil {
			first = err
		}
	}
	if len(t.values) > 1 {
		return nil, fmt.Errorf("none of %d known layouts fits: %w", len(t.values), first)
	}
	return nil, first
}

// Encode returns the bytes of a record of the types 3 to 23: key is a GroupKey,
// MemberKey or RegularExpressionKey, value a pointer to one of the structs, or
// nil for a tombstone.
func (d *Decoder) Encode(typ int16, key, value any) (k, v []byte) {
	w := &writer{}
	w.int16(typ)
	d.layouts.writeStruct(w, reflect.ValueOf(key))
	if value == nil {
		return w.b, nil
	}
	wv := &writer{flexible: true}
	wv.int16(0)
	d.layouts.writeStruct(wv, reflect.ValueOf(value).Elem())
	return w.b, wv.b
}

// New returns pointers to an empty key and value of a type from 3 on, in the
// newest layout.
func (d *Decoder) New(typ int16) (key, value any, ok bool) {
	t, ok := d.types[typ]
	if !ok {
		return nil, nil, false
	}
	return reflect.New(t.key).Interface(), reflect.New(t.values[0]).Interface(), true
}
