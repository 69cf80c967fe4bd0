package commitlog

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"reflect"
	"strconv"
	"unicode/utf8"
)

// AppendJSON appends the JSON of a key or value that this decoder made: the
// fields of its version under their schema names, as Kafka's own tools write
// them. Tagged fields at their default are left out; unknown ones are in
// unknownTags. It is what encoding/json makes of the same fields, only faster.
func (d *Decoder) AppendJSON(b []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...)
	case OffsetCommitKey:
		return appendCommitKey(b, v.Group, v.Topic, v.Partition)
	case *OffsetCommitValue:
		return appendCommitValue(b, v, v.Metadata)
	case GroupMetadataKey:
		return append(appendText(append(b, `{"group":`...), v.Group), '}')
	case *GroupMetadataValue:
		return appendPlain(b, v)
	}
	rv := reflect.ValueOf(v)
	if rv.Kind() == reflect.Pointer {
		rv = rv.Elem()
	}
	return d.layouts.appendStruct(b, rv)
}

// text is a string, or bytes that stand for one.
type text interface{ string | []byte }

func appendCommitKey[T text](b []byte, group, topic T, partition int32) []byte {
	b = appendText(append(b, `{"group":`...), group)
	b = appendText(append(b, `,"topic":`...), topic)
	return append(strconv.AppendInt(append(b, `,"partition":`...), int64(partition), 10), '}')
}

// appendCommitValue takes the metadata by itself: who reads millions of
// records has it as bytes.
func appendCommitValue[T text](b []byte, v *OffsetCommitValue, metadata T) []byte {
	b = strconv.AppendInt(append(b, `{"offset":`...), v.Offset, 10)
	if v.Version >= 3 {
		b = strconv.AppendInt(append(b, `,"leaderEpoch":`...), int64(v.LeaderEpoch), 10)
	}
	b = appendText(append(b, `,"metadata":`...), metadata)
	b = strconv.AppendInt(append(b, `,"commitTimestamp":`...), v.CommitTimestamp, 10)
	if v.Version == 1 {
		b = strconv.AppendInt(append(b, `,"expireTimestamp":`...), v.ExpireTimestamp, 10)
	}
	if v.TopicID != (UUID{}) {
		b = appendUUID(append(b, `,"topicId":`...), v.TopicID)
	}
	if len(v.Tags) > 0 {
		b = appendTags(append(b, ','), v.Tags)
	}
	return append(b, '}')
}

// appendStruct appends a struct of a layout.
func (c *layoutCache) appendStruct(b []byte, v reflect.Value) []byte {
	l := c.of(v.Type())
	b = append(b, '{')
	sep := false
	name := func(f *layoutField) {
		if sep {
			b = append(b, ',')
		}
		sep = true
		b = append(append(append(b, '"'), f.name...), '"', ':')
	}
	for i := range l.fields {
		f := &l.fields[i]
		name(f)
		b = c.appendField(b, f, v.Field(f.index))
	}
	for i := range l.tagged {
		f := &l.tagged[i]
		// An empty array counts as its default null: so it does for Kafka's tools.
		if field := v.Field(f.index); !f.isDefault(field) && (field.Kind() != reflect.Slice || field.Len() > 0) {
			name(f)
			b = c.appendField(b, f, field)
		}
	}
	if l.tags < 0 {
		return append(b, '}')
	}
	var unknown []Tag
	for _, t := range v.Field(l.tags).Interface().([]Tag) {
		if f := l.byTag(t.Tag); f != nil { // a known field that was written as null
			name(f)
			b = append(b, "null"...)
			continue
		}
		unknown = append(unknown, t)
	}
	if len(unknown) > 0 {
		if sep {
			b = append(b, ',')
		}
		b = appendTags(b, unknown)
	}
	return append(b, '}')
}

func (l *layout) byTag(tag uint32) *layoutField {
	for i := range l.tagged {
		if l.tagged[i].tag == tag {
			return &l.tagged[i]
		}
	}
	return nil
}

func (c *layoutCache) appendField(b []byte, f *layoutField, v reflect.Value) []byte {
	switch p := v.Interface().(type) {
	case string:
		return appendText(b, p)
	case *string:
		if p == nil {
			return append(b, "null"...)
		}
		return appendText(b, *p)
	case []byte:
		if f.subscription {
			if s, err := DecodeSubscription(p); err == nil {
				return appendPlain(b, s)
			}
		}
		return appendBytes(b, p)
	case UUID:
		return appendUUID(b, p)
	}
	switch {
	case v.CanInt():
		return strconv.AppendInt(b, v.Int(), 10)
	case v.CanUint():
		return strconv.AppendUint(b, v.Uint(), 10)
	case v.Kind() == reflect.Pointer && v.IsNil():
		return append(b, "null"...)
	case v.Kind() == reflect.Pointer:
		return c.appendStruct(b, v.Elem())
	case v.Kind() == reflect.Struct:
		return c.appendStruct(b, v)
	}
	b = append(b, '[')
	for i := range v.Len() {
		if i > 0 {
			b = append(b, ',')
		}
		b = c.appendField(b, f, v.Index(i))
	}
	return append(b, ']')
}

func appendTags(b []byte, tags []Tag) []byte {
	b = append(b, `"unknownTags":[`...)
	for i, t := range tags {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendUint(append(b, `{"tag":`...), uint64(t.Tag), 10)
		b = append(appendBytes(append(b, `,"data":`...), t.Data), '}')
	}
	return append(b, ']')
}

func appendBytes(b, data []byte) []byte {
	if data == nil {
		return append(b, "null"...)
	}
	b = append(b, '"')
	b = base64.StdEncoding.AppendEncode(b, data)
	return append(b, '"')
}

func appendUUID(b []byte, id UUID) []byte {
	b = append(b, '"')
	b = base64.RawURLEncoding.AppendEncode(b, id[:])
	return append(b, '"')
}

// appendText appends a JSON string. Almost all names are plain ASCII; the rest
// is left to the standard library.
func appendText[T text](b []byte, s T) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			return appendPlain(b, string(s))
		}
	}
	return append(append(append(b, '"'), s...), '"')
}

// appendPlain appends what encoding/json makes of v, without escaping for
// HTML. v must be something that it can encode.
func appendPlain(b []byte, v any) []byte {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return strconv.AppendQuote(b, err.Error()) // never for the types of this package
	}
	return append(b, bytes.TrimSuffix(out.Bytes(), []byte("\n"))...)
}
