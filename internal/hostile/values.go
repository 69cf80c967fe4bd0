package hostile

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math/rand/v2"
	"reflect"
	"strings"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// wellFormed is an answer that can be parsed, with other values.
func wellFormed(way string, rng *rand.Rand, a Answer) ([]byte, error) {
	resp := kmsg.ResponseForKey(int16(a.Key))
	if resp == nil {
		return nil, errors.New("hostile: unknown request")
	}
	resp.SetVersion(a.Version)
	r := kbin.Reader{Src: a.Frame}
	head := binary.BigEndian.AppendUint32(nil, uint32(r.Int32()))
	if resp.IsFlexible() && a.Key != kmsg.ApiVersions {
		kmsg.SkipTags(&r)
		head = append(head, 0)
	}
	if err := resp.ReadFrom(r.Src); err != nil {
		return nil, err
	}
	v := reflect.ValueOf(resp).Elem()
	switch way {
	case "errors":
		each(v, "", func(name string, f reflect.Value) {
			if strings.HasSuffix(name, "ErrorCode") && f.Kind() == reflect.Int16 && rng.IntN(3) == 0 {
				f.SetInt(int64(errorCode(rng)))
			}
		})
	case "tags":
		if resp.IsFlexible() { // as a newer broker's answers have them
			each(v, "", func(name string, f reflect.Value) {
				if tags, ok := f.Addr().Interface().(*kmsg.Tags); ok && rng.IntN(2) == 0 {
					tags.Set(uint32(100+rng.IntN(1000)), make([]byte, rng.IntN(300)))
				}
			})
		}
	case "batches":
		each(v, "", func(name string, f reflect.Value) {
			if name == "RecordBatches" && f.Kind() == reflect.Slice && f.Len() > 0 {
				f.SetBytes(spoilBatches(rng, append([]byte{}, f.Bytes()...)))
			}
		})
	default:
		spoilValues(rng, v)
	}
	return resp.AppendTo(head), nil
}

func errorCode(rng *rand.Rand) int16 {
	if rng.IntN(8) == 0 {
		return int16(rng.Uint32())
	}
	return int16(rng.IntN(135)) - 1
}

// each calls f for every field of a message, and of what it holds.
func each(v reflect.Value, name string, f func(string, reflect.Value)) {
	switch v.Kind() {
	case reflect.Struct:
		if _, ok := v.Addr().Interface().(*kmsg.Tags); ok {
			f(name, v)
			return
		}
		for i := range v.NumField() {
			if field := v.Type().Field(i); field.IsExported() && field.Name != "Version" {
				each(v.Field(i), field.Name, f)
			}
		}
	case reflect.Slice:
		f(name, v)
		if v.Type().Elem().Kind() != reflect.Uint8 {
			for i := range v.Len() {
				each(v.Index(i), name, f)
			}
		}
	case reflect.Pointer:
		f(name, v)
		if !v.IsNil() {
			each(v.Elem(), name, f)
		}
	default:
		f(name, v)
	}
}

// spoilValues sets some fields to what no broker sends.
func spoilValues(rng *rand.Rand, v reflect.Value) {
	var fields []reflect.Value
	var names []string
	each(v, "", func(name string, f reflect.Value) {
		if f.CanSet() {
			fields, names = append(fields, f), append(names, name)
		}
	})
	if len(fields) == 0 {
		return
	}
	for range 1 + rng.IntN(4) {
		i := rng.IntN(len(fields))
		spoilValue(rng, names[i], fields[i])
	}
}

func spoilValue(rng *rand.Rand, name string, f reflect.Value) {
	switch f.Kind() {
	case reflect.Bool:
		f.SetBool(!f.Bool())
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		bits := f.Type().Bits()
		if name == "ThrottleMillis" {
			f.SetInt(int64([]int32{-1, 1, 200, 1 << 30, 1<<31 - 1}[rng.IntN(5)]))
			return
		}
		all := []int64{0, 1, -1, -2, 1<<(bits-1) - 1, -1 << (bits - 1), 1<<(bits-2) + 1, f.Int() + 1, f.Int() - 1, f.Int() * 1000, int64(rng.Uint64())}
		f.SetInt(all[rng.IntN(len(all))])
	case reflect.String:
		all := []string{"", "\x00", "\x1b]0;x\a", strings.Repeat("x", 30_000), "../../x", "\xff\xfe", f.String() + "x", "127.0.0.1", "0.0.0.0", "no-such-host.invalid", "user:pw@host"}
		f.SetString(all[rng.IntN(len(all))])
	case reflect.Pointer:
		if f.IsNil() {
			f.Set(reflect.New(f.Type().Elem()))
		} else if rng.IntN(2) == 0 {
			f.SetZero()
		}
	case reflect.Slice:
		if f.Type().Elem().Kind() == reflect.Uint8 {
			noise := make([]byte, rng.IntN(200))
			for i := range noise {
				noise[i] = byte(rng.Uint32())
			}
			f.SetBytes(noise)
			return
		}
		switch rng.IntN(5) {
		case 0:
			f.SetZero()
		case 1:
			f.Set(reflect.MakeSlice(f.Type(), 0, 0))
		case 2:
			f.Set(reflect.AppendSlice(f, f))
		case 3: // things without anything in them
			f.Set(reflect.AppendSlice(f, reflect.MakeSlice(f.Type(), 1+rng.IntN(3), 3)))
		case 4: // many of the same
			for f.Len() > 0 && f.Len() < 10_000 {
				f.Set(reflect.AppendSlice(f, f))
			}
		}
	case reflect.Array:
		for i := range f.Len() {
			if f.Index(i).Kind() == reflect.Uint8 {
				f.Index(i).SetUint(uint64(rng.IntN(256)))
			}
		}
	}
}

// spoilBatches damages record batches of a fetch, often behind a right checksum.
func spoilBatches(rng *rand.Rand, text []byte) []byte {
	if rng.IntN(6) == 0 {
		return append(text, text...)
	}
	type span struct{ from, to int }
	var batches []span
	for at := 0; at+61 <= len(text); {
		size := int(int32(binary.BigEndian.Uint32(text[at+8:]))) + 12
		if size < 61 || at+size > len(text) {
			break
		}
		batches = append(batches, span{at, at + size})
		at += size
	}
	if len(batches) == 0 {
		return text[:rng.IntN(len(text))]
	}
	s := batches[rng.IntN(len(batches))]
	b := text[s.from:s.to]
	switch rng.IntN(8) {
	case 0:
		binary.BigEndian.PutUint32(b[57:], []uint32{1<<31 - 1, 1 << 31, 0, 1 << 20}[rng.IntN(4)]) // how many records
	case 1:
		binary.BigEndian.PutUint32(b[23:], []uint32{1<<31 - 1, 1 << 31, 0}[rng.IntN(3)]) // the last one's delta
	case 2:
		binary.BigEndian.PutUint64(b, []uint64{1<<63 - 1, 1 << 63, 0, 1 << 62}[rng.IntN(4)]) // the first offset
	case 3:
		b[22] = b[22]&^7 | byte(rng.IntN(8)) // another codec
	case 4:
		b[22] ^= 0x30 // transactional, control
	case 5:
		b[16] = byte(rng.IntN(5)) // the format
	case 6:
		binary.BigEndian.PutUint32(b[8:], rng.Uint32()) // the length
	default:
		for range 1 + rng.IntN(6) {
			b[21+rng.IntN(len(b)-21)] ^= 1 << rng.IntN(8)
		}
	}
	if rng.IntN(4) > 0 {
		binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], crc32.MakeTable(crc32.Castagnoli)))
	}
	return text
}

// Requests are some that a client might send, with values that none does.
func Requests(seed uint64) []kmsg.Request {
	rng := rand.New(rand.NewPCG(seed, 3))
	var out []kmsg.Request
	for range 1 + rng.IntN(8) {
		keys := interesting()
		req := kmsg.RequestForKey(int16(keys[rng.IntN(len(keys))]))
		req.SetVersion(int16(rng.IntN(int(req.MaxVersion()) + 1)))
		v := reflect.ValueOf(req).Elem()
		fill(rng, v, 0)
		if rng.IntN(3) > 0 {
			spoilValues(rng, v)
		}
		out = append(out, req)
	}
	return out
}

// fill gives a request something to be about.
func fill(rng *rand.Rand, v reflect.Value, depth int) {
	switch v.Kind() {
	case reflect.Struct:
		if _, ok := v.Addr().Interface().(*kmsg.Tags); ok {
			return
		}
		for i := range v.NumField() {
			if field := v.Type().Field(i); field.IsExported() && field.Name != "Version" {
				fill(rng, v.Field(i), depth+1)
			}
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			v.SetBytes(make([]byte, rng.IntN(40)))
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), rng.IntN(3), 3))
		for i := range v.Len() {
			fill(rng, v.Index(i), depth+1)
		}
	case reflect.Pointer:
		if rng.IntN(2) == 0 {
			v.Set(reflect.New(v.Type().Elem()))
			fill(rng, v.Elem(), depth+1)
		}
	case reflect.String:
		v.SetString([]string{"t", "g", "t", "g", "", "consumer", "range", "__consumer_offsets"}[rng.IntN(8)])
	case reflect.Bool:
		v.SetBool(rng.IntN(2) == 0)
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt([]int64{0, 1, -1, 2, 10, 100}[rng.IntN(6)])
	}
}
