package commitlog_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"reflect"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"offsets/inspect/commitlog"
	"offsets/inspect/commitlog/commitlogtest"
)

// Every type survives being written and read, tombstones and unknown tagged
// fields included.
func TestEveryTypeRoundTrips(t *testing.T) {
	d := commitlog.NewDecoder()
	commitlogtest.Samples(200, func(typ int16, key, value any) {
		k, v := d.Encode(typ, key, value)
		r := d.Decode(k, v)
		if r.Err != nil || r.Key != key || *r.Type != typ || r.Kind == commitlog.KindUnknown {
			t.Fatalf("type %d: %+v: %v", typ, r, r.Err)
		}
		if reflect.TypeOf(r.Value) != reflect.TypeOf(value) {
			t.Fatalf("type %d: read as %T, want %T", typ, r.Value, value)
		}
		if got, want := d.AppendJSON(nil, r.Value), d.AppendJSON(nil, value); !bytes.Equal(got, want) || !json.Valid(got) {
			t.Fatalf("type %d: read\n%s\nwrote\n%s", typ, got, want)
		}
		if _, again := d.Encode(typ, r.Key, r.Value); !bytes.Equal(again, v) {
			t.Fatalf("type %d: %x written again is %x", typ, v, again)
		}
		k, v = d.Encode(typ, key, nil)
		if r := d.Decode(k, v); !r.Tombstone || r.Err != nil || r.Key != key {
			t.Fatalf("type %d: tombstone %+v", typ, r)
		}
	})
}

// A value that is cut anywhere, or too long, is kept raw, with its reason.
func TestEveryTypeNoticesDamage(t *testing.T) {
	d := commitlog.NewDecoder()
	commitlogtest.Samples(20, func(typ int16, key, value any) {
		k, v := d.Encode(typ, key, value)
		for n := range len(v) {
			r := d.Decode(k, v[:n])
			if r.Err == nil && reflect.TypeOf(r.Value) == reflect.TypeOf(value) {
				t.Fatalf("type %d: %x cut to %d bytes is read as %+v", typ, v, n, r.Value)
			}
			if r.Err != nil && !bytes.Equal(r.RawValue, v[:n]) {
				t.Fatalf("type %d: not kept", typ)
			}
		}
		if r := d.Decode(k, append(bytes.Clone(v), 7)); r.Err == nil && reflect.TypeOf(r.Value) == reflect.TypeOf(value) {
			t.Fatalf("type %d: a byte too many goes unnoticed", typ)
		}
		v[1] = 9
		if r := d.Decode(k, v); r.Err == nil {
			t.Fatalf("type %d: version 9 is read", typ)
		}
	})
}

// Early-access layouts under the same version.
func TestOldLayouts(t *testing.T) {
	d := commitlog.NewDecoder()
	g, m := commitlog.GroupKey{GroupID: "g"}, commitlog.MemberKey{GroupID: "g", MemberID: "m"}
	topics := []commitlog.TopicMetadata{{TopicID: commitlog.UUID{1}, TopicName: "t", NumPartitions: 3, PartitionMetadata: []commitlog.PartitionRacks{}}}
	tps := []commitlog.TopicPartitions{{TopicID: commitlog.UUID{1}, Partitions: []int32{0, 1}}}
	named := []commitlog.NamedTopicPartitions{{TopicID: commitlog.UUID{1}, TopicName: "t", Partitions: []int32{0}}}
	for _, tt := range []struct {
		typ        int16
		key, value any
	}{
		{4, g, &commitlog.ConsumerGroupPartitionMetadataV36{Epoch: 7, Topics: topics}},
		{5, m, &commitlog.ConsumerGroupMemberMetadataV36{ClientID: "c", ClientHost: "h", SubscribedTopicNames: []string{"t"}, RebalanceTimeoutMs: 5, Assignors: []commitlog.AssignorV36{{Name: "range", Metadata: []byte{1}}}}},
		{7, m, &commitlog.ConsumerGroupTargetAssignmentMemberV36{TopicPartitions: tps, MetadataBytes: []byte{}}},
		{8, m, &commitlog.ConsumerGroupCurrentMemberAssignmentV36{MemberEpoch: 3, PreviousMemberEpoch: 2, TargetMemberEpoch: 3, AssignedPartitions: tps, PartitionsPendingRevocation: []commitlog.TopicPartitions{}, PartitionsPendingAssignment: []commitlog.TopicPartitions{}, MetadataBytes: []byte{}}},
		{9, g, &commitlog.ShareGroupPartitionMetadataV39{InitializedTopics: named, DeletingTopics: []commitlog.NamedTopic{}}},
		{9, g, &commitlog.GroupPartitionMetadata{Topics: topics}},
		{11, g, &commitlog.ShareGroupMetadataV40{Epoch: 5}},
		{15, g, &commitlog.ShareGroupStatePartitionMetadataV40{InitializedTopics: named, DeletingTopics: []commitlog.NamedTopic{}}},
	} {
		k, v := d.Encode(tt.typ, tt.key, tt.value)
		if r := d.Decode(k, v); r.Err != nil || !reflect.DeepEqual(r.Value, tt.value) {
			t.Errorf("type %d: got %T %+v (%v), want %T", tt.typ, r.Value, r.Value, r.Err, tt.value)
		}
	}
}

// Bytes that a 4.3.1 broker wrote of a KIP-848 member: it writes the tagged
// classicMemberMetadata although it is null, as a single 0.
func TestNullInATaggedField(t *testing.T) {
	value, err := base64.StdEncoding.DecodeString("AAAAAAhvZmZzZXRzCy8xMjcuMC4wLjECAnQBAADqYAh1bmlmb3JtAQABAA==")
	if err != nil {
		t.Fatal(err)
	}
	d := commitlog.NewDecoder()
	key, _ := d.Encode(5, commitlog.MemberKey{GroupID: "k", MemberID: "m"}, nil)
	r := d.Decode(key, value)
	want := `{"instanceId":null,"rackId":null,"clientId":"offsets","clientHost":"/127.0.0.1","subscribedTopicNames":["t"],"subscribedTopicRegex":"","rebalanceTimeoutMs":60000,"serverAssignor":"uniform","classicMemberMetadata":null}`
	if got := string(d.AppendJSON(nil, r.Value)); r.Err != nil || got != want {
		t.Errorf("got %s (%v), want %s", got, r.Err, want)
	}
	if _, again := d.Encode(5, r.Key, r.Value); !bytes.Equal(again, value) {
		t.Errorf("written again: %x, was %x", again, value)
	}
}

// The fast JSON writer makes what encoding/json makes.
func FuzzAppendJSON(f *testing.F) {
	f.Add("g", "t", "m", int64(5), int64(1), int32(3), int16(4), []byte{1})
	f.Add("ü\x00\xff\u2028<>&\"\\", "", "\n\t\b\f", int64(-1), int64(1<<53+1), int32(-1), int16(1), []byte(nil))
	d := commitlog.NewDecoder()
	plain := func(v any) string {
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(v); err != nil {
			f.Fatal(err)
		}
		return string(bytes.TrimSpace(b.Bytes()))
	}
	f.Fuzz(func(t *testing.T, group, topic, metadata string, offset, ts int64, n int32, version int16, id []byte) {
		key := commitlog.OffsetCommitKey{Group: group, Topic: topic, Partition: n}
		value := &commitlog.OffsetCommitValue{Version: version & 7, Offset: offset, LeaderEpoch: n, Metadata: metadata, CommitTimestamp: ts, ExpireTimestamp: offset}
		copy(value.TopicID[:], id)
		if len(id) > 16 {
			value.Tags = []commitlog.Tag{{Tag: uint32(n), Data: id}}
		}
		for _, v := range []any{key, value, commitlog.GroupMetadataKey{Group: group}, commitlog.GroupKey{GroupID: group}, commitlog.MemberKey{GroupID: group, MemberID: topic}} {
			if got, want := string(d.AppendJSON(nil, v)), plain(v); got != want {
				t.Fatalf("%T:\n got %s\nwant %s", v, got, want)
			}
		}
	})
}

// The protocol blob of a classic member in a consumer group is shown decoded.
func TestClassicMemberBlob(t *testing.T) {
	d := commitlog.NewDecoder()
	sub := kmsg.ConsumerMemberMetadata{Version: 0, Topics: []string{"t"}}
	v := &commitlog.ConsumerGroupMemberMetadata{ClientID: "c", Classic: &commitlog.ClassicMemberMetadata{SessionTimeoutMs: 9, SupportedProtocols: []commitlog.ClassicProtocol{{Name: "range", Metadata: sub.AppendTo(nil)}}}}
	want := `{"instanceId":null,"rackId":null,"clientId":"c","clientHost":"","subscribedTopicNames":[],"subscribedTopicRegex":null,"rebalanceTimeoutMs":0,"serverAssignor":null,"classicMemberMetadata":{"sessionTimeoutMs":9,"supportedProtocols":[{"name":"range","metadata":{"topics":["t"],"userData":null}}]}}`
	if got := string(d.AppendJSON(nil, v)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
