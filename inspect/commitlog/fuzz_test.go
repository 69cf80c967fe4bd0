package commitlog_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"offsets/inspect/commitlog"
)

// Whatever the bytes: decoding does not panic, keeps what it cannot read, and
// what it can read means the same when it is written and read again.
func FuzzDecode(f *testing.F) {
	key := commitlog.OffsetCommitKey{Group: "g", Topic: "t", Partition: 3}.Encode()
	gkey := commitlog.GroupMetadataKey{Group: "g"}.Encode()
	for version := int16(0); version <= 4; version++ {
		f.Add(key, commit(version).Encode(), false)
		f.Add(gkey, group(version).Encode(), false)
	}
	f.Add(key, []byte{}, true)
	f.Add([]byte{0, 3, 0, 1, 'g'}, []byte{0, 0, 1, 2}, false)
	f.Fuzz(func(t *testing.T, key, value []byte, tombstone bool) {
		if tombstone {
			value = nil
		} else if value == nil {
			value = []byte{}
		}
		r := commitlog.NewDecoder().Decode(key, value)
		if r.Tombstone != tombstone {
			t.Fatalf("tombstone: got %v", r.Tombstone)
		}
		if _, err := json.Marshal(r.Value); err != nil {
			t.Fatalf("no JSON: %v", err)
		}
		// The fast way takes the same bytes to the same JSON, or leaves them alone.
		var ref commitlog.CommitRef
		if ref.DecodeRef(key, value) {
			if r.Err != nil || r.Kind != ref.Kind() || r.Tombstone != ref.Tombstone {
				t.Fatalf("the fast way reads what the other does not: %v", r.Err)
			}
			d := commitlog.NewDecoder()
			if got, want := string(ref.AppendKeyJSON(nil)), string(d.AppendJSON(nil, r.Key)); got != want {
				t.Fatalf("key: %s, want %s", got, want)
			}
			if got, want := string(ref.AppendValueJSON(nil)), string(d.AppendJSON(nil, r.Value)); got != want {
				t.Fatalf("value: %s, want %s", got, want)
			}
		}
		if r.Err != nil {
			if r.Value != nil || string(r.RawValue) != string(value) || r.Key == nil && string(r.RawKey) != string(key) {
				t.Fatalf("not kept: %+v", r)
			}
			return
		}
		var again []byte
		switch v := r.Value.(type) {
		case *commitlog.OffsetCommitValue:
			again = v.Encode()
		case *commitlog.GroupMetadataValue:
			again = v.Encode()
		default:
			return
		}
		if second := commitlog.NewDecoder().Decode(key, again); second.Err != nil || !reflect.DeepEqual(second.Value, r.Value) {
			t.Fatalf("read %+v, wrote it, read %+v (%v)", r.Value, second.Value, second.Err)
		}
	})
}

// plainCommit is a commit as consumers write it.
func plainCommit() []byte {
	v := commit(4)
	v.Metadata = ""
	return v.Encode()
}

func BenchmarkDecodeOffsetCommit(b *testing.B) {
	key := commitlog.OffsetCommitKey{Group: "group_1", Topic: "offset_commit", Partition: 3}.Encode()
	value := plainCommit()
	d := commitlog.NewDecoder()
	b.ReportAllocs()
	for b.Loop() {
		if r := d.Decode(key, value); r.Err != nil {
			b.Fatal(r.Err)
		}
	}
}

func BenchmarkCommitRef(b *testing.B) {
	key := commitlog.OffsetCommitKey{Group: "group_1", Topic: "offset_commit", Partition: 3}.Encode()
	value := plainCommit()
	var c commitlog.CommitRef
	var out []byte
	b.ReportAllocs()
	for b.Loop() {
		if !c.DecodeRef(key, value) {
			b.Fatal("not read")
		}
		out = c.AppendValueJSON(c.AppendKeyJSON(out[:0]))
	}
}

func BenchmarkReplay(b *testing.B) {
	key := commitlog.OffsetCommitKey{Group: "group_1", Topic: "offset_commit", Partition: 3}.Encode()
	value := plainCommit()
	r := commitlog.NewReplay(commitlog.AtTheEnd)
	b.ReportAllocs()
	for b.Loop() {
		r.Record(key, value, 1, 1, -1)
	}
}
