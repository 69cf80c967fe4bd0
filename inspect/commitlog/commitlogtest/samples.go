// Package commitlogtest makes commit log records of every type, for tests.
package commitlogtest

import (
	"math/rand/v2"
	"reflect"

	"offsets/inspect/commitlog"
)

// Samples calls f with n random values of each type from 3 on, in the newest
// layout, with every field filled now and then. The same n gives the same
// values.
func Samples(n int, f func(typ int16, key, value any)) {
	r := rand.New(rand.NewPCG(5, 6))
	d := commitlog.NewDecoder()
	for typ := range int16(100) {
		key, value, ok := d.New(typ)
		if !ok {
			continue
		}
		for range n {
			k, v := reflect.ValueOf(key).Elem(), reflect.New(reflect.TypeOf(value).Elem())
			fill(r, k)
			fill(r, v.Elem())
			f(typ, k.Interface(), v.Interface())
		}
	}
}

func fill(r *rand.Rand, v reflect.Value) {
	switch p := v.Addr().Interface().(type) {
	case *string:
		*p = []string{"", "plain", "größe \"\\\n\u2028<&>", "x"}[r.IntN(4)]
		return
	case *commitlog.UUID:
		for i := range p {
			p[i] = byte(r.Uint32())
		}
		return
	case *[]byte:
		*p = make([]byte, r.IntN(5))
		return
	case *[]commitlog.Tag:
		if r.IntN(3) == 0 {
			*p = []commitlog.Tag{{Tag: 100 + r.Uint32N(5), Data: []byte("new")}}
		}
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(r, v.Field(i))
		}
	case reflect.Pointer:
		if r.IntN(2) == 0 {
			v.Set(reflect.New(v.Type().Elem()))
			fill(r, v.Elem())
		}
	case reflect.Slice:
		out := reflect.MakeSlice(v.Type(), 0, 3)
		for range r.IntN(3) {
			e := reflect.New(v.Type().Elem()).Elem()
			fill(r, e)
			out = reflect.Append(out, e)
		}
		v.Set(out)
	case reflect.Uint16:
		v.SetUint(uint64(r.Uint32N(1 << 16)))
	default:
		v.SetInt(int64(int8(r.Uint32())))
	}
}
