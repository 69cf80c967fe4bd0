package commitlog_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"offsets/inspect/commitlog"
)

// Results of Java's String.hashCode and Kafka's Utils.abs, run on Kafka 4.3.1.
func TestPartitionOf(t *testing.T) {
	for _, tt := range []struct {
		group   string
		of50    int32
		ofSeven int32
	}{
		{"", 0, 0}, {"g", 3, 5}, {"my-group", 12, 1}, {"console-consumer-12345", 6, 6}, {"payments", 13, 0},
		{"polygenelubricants", 0, 0}, {"grün", 49, 4}, {"😀group", 32, 2},
	} {
		if got := commitlog.PartitionOf(tt.group, 50); got != tt.of50 {
			t.Errorf("PartitionOf(%q, 50) = %d, want %d", tt.group, got, tt.of50)
		}
		if got := commitlog.PartitionOf(tt.group, 7); got != tt.ofSeven {
			t.Errorf("PartitionOf(%q, 7) = %d, want %d", tt.group, got, tt.ofSeven)
		}
	}
}

func ptr[T any](v T) *T { return &v }

func commit(version int16) *commitlog.OffsetCommitValue {
	v := &commitlog.OffsetCommitValue{Version: version, Offset: 1<<53 + 1, LeaderEpoch: -1, Metadata: "größe", CommitTimestamp: 1_700_000_000_000, ExpireTimestamp: -1}
	if version == 1 {
		v.ExpireTimestamp = 99
	}
	if version >= 3 {
		v.LeaderEpoch = 7
	}
	if version >= 4 {
		v.TopicID = commitlog.UUID{1, 2, 3}
	}
	return v
}

func group(version int16) *commitlog.GroupMetadataValue {
	v := &commitlog.GroupMetadataValue{
		Version: version, ProtocolType: "consumer", Generation: 4, Protocol: ptr("range"), Leader: ptr("m-1"), CurrentStateTimestamp: -1,
		Members: []commitlog.GroupMember{
			{MemberID: "m-1", ClientID: "c", ClientHost: "/127.0.0.1", RebalanceTimeout: -1, SessionTimeout: 45000, Subscription: []byte{0, 0}, Assignment: []byte{}},
			{MemberID: "m-2", ClientID: "c", ClientHost: "/127.0.0.1", RebalanceTimeout: -1, SessionTimeout: 45000, Subscription: []byte{1}, Assignment: []byte{2}},
		},
	}
	if version >= 2 {
		v.CurrentStateTimestamp = 1_700_000_000_000
	}
	for i := range v.Members {
		if version >= 1 {
			v.Members[i].RebalanceTimeout = 300000
		}
		if version >= 3 {
			v.Members[i].GroupInstanceID = ptr("static")
		}
	}
	return v
}

// Every version survives being written and read, and another implementation
// reads the same.
func TestEveryVersionRoundTrips(t *testing.T) {
	key := commitlog.OffsetCommitKey{Group: "g", Topic: "t", Partition: 3}
	gkey := commitlog.GroupMetadataKey{Group: "g"}
	for version := int16(0); version <= 4; version++ {
		c := commit(version)
		r := commitlog.NewDecoder().Decode(key.Encode(), c.Encode())
		if r.Err != nil || r.Kind != commitlog.KindOffsetCommit || r.Key != key || !reflect.DeepEqual(r.Value, c) || *r.Version != version {
			t.Errorf("offset commit v%d: got %+v (%v), want %+v", version, r.Value, r.Err, c)
		}
		var k kmsg.OffsetCommitValue
		if err := k.ReadFrom(c.Encode()); err != nil || k.Offset != c.Offset || k.Metadata != c.Metadata || k.CommitTimestamp != c.CommitTimestamp {
			t.Errorf("offset commit v%d: kmsg reads %+v (%v)", version, k, err)
		}
		if version >= 4 && k.TopicID != c.TopicID {
			t.Errorf("offset commit v%d: kmsg reads topic id %x", version, k.TopicID)
		}
		g := group(version)
		r = commitlog.NewDecoder().Decode(gkey.Encode(), g.Encode())
		if r.Err != nil || r.Kind != commitlog.KindGroupMetadata || r.Key != gkey || !reflect.DeepEqual(r.Value, g) {
			t.Errorf("group metadata v%d: got %+v (%v), want %+v", version, r.Value, r.Err, g)
		}
		var m kmsg.GroupMetadataValue
		if err := m.ReadFrom(g.Encode()); err != nil || m.Generation != 4 || len(m.Members) != 2 || m.Members[1].MemberID != "m-2" {
			t.Errorf("group metadata v%d: kmsg reads %+v (%v)", version, m, err)
		}
	}
}

// What cannot be read is kept, with the reason; nothing is dropped.
func TestKeptRaw(t *testing.T) {
	key := commitlog.OffsetCommitKey{Group: "g", Topic: "t"}.Encode()
	value := commit(3).Encode()
	for _, tt := range []struct {
		name       string
		key, value []byte
		kind       commitlog.Kind
		err        error
		keyKept    bool
	}{
		{"no key", nil, value, commitlog.KindUnknown, commitlog.ErrNoKey, false},
		{"key too short", []byte{0}, value, commitlog.KindUnknown, commitlog.ErrTruncated, true},
		{"unknown type", []byte{0, 99, 1}, value, commitlog.KindUnknown, commitlog.ErrUnknownType, true},
		{"negative type", []byte{255, 255}, value, commitlog.KindUnknown, commitlog.ErrUnknownType, true},
		{"key cut", key[:len(key)-1], value, commitlog.KindOffsetCommit, commitlog.ErrTruncated, true},
		{"key too long", append(append([]byte{}, key...), 0), value, commitlog.KindOffsetCommit, commitlog.ErrTrailing, true},
		{"unknown version", key, append([]byte{0, 9}, value[2:]...), commitlog.KindOffsetCommit, commitlog.ErrUnknownVersion, false},
		{"value cut", key, value[:len(value)-1], commitlog.KindOffsetCommit, commitlog.ErrTruncated, false},
		{"value too long", key, append(append([]byte{}, value...), 0), commitlog.KindOffsetCommit, commitlog.ErrTrailing, false},
		{"empty value", key, []byte{}, commitlog.KindOffsetCommit, commitlog.ErrTruncated, false},
	} {
		r := commitlog.NewDecoder().Decode(tt.key, tt.value)
		if r.Kind != tt.kind || !errors.Is(r.Err, tt.err) || r.Value != nil || r.Tombstone {
			t.Errorf("%s: got %+v, want kind %s and %v", tt.name, r, tt.kind, tt.err)
		}
		if string(r.RawValue) != string(tt.value) || tt.keyKept != (r.RawKey != nil) {
			t.Errorf("%s: bytes are not kept: %x %x", tt.name, r.RawKey, r.RawValue)
		}
	}
	r := commitlog.NewDecoder().Decode(key, nil)
	if !r.Tombstone || r.Err != nil || r.Version != nil || r.Key == nil {
		t.Errorf("tombstone: got %+v", r)
	}
}

// Tagged fields that are not known are kept and shown.
func TestUnknownTagsAreKept(t *testing.T) {
	v := commit(4)
	v.Tags = []commitlog.Tag{{Tag: 5, Data: []byte("new")}}
	r := commitlog.NewDecoder().Decode(commitlog.OffsetCommitKey{Group: "g", Topic: "t"}.Encode(), v.Encode())
	if r.Err != nil || !reflect.DeepEqual(r.Value, v) {
		t.Fatalf("got %+v (%v), want %+v", r.Value, r.Err, v)
	}
	b, err := json.Marshal(r.Value)
	if err != nil || !strings.Contains(string(b), `"unknownTags":[{"tag":5,"data":"bmV3"}]`) {
		t.Errorf("JSON: %s, %v", b, err)
	}
}

// The fields are those of the value's version, under their schema names.
func TestJSONHasTheVersionsFields(t *testing.T) {
	for _, tt := range []struct {
		value any
		want  string
	}{
		{commit(0), `{"offset":9007199254740993,"metadata":"größe","commitTimestamp":1700000000000}`},
		{commit(1), `{"offset":9007199254740993,"metadata":"größe","commitTimestamp":1700000000000,"expireTimestamp":99}`},
		{commit(3), `{"offset":9007199254740993,"leaderEpoch":7,"metadata":"größe","commitTimestamp":1700000000000}`},
		{commit(4), `{"offset":9007199254740993,"leaderEpoch":7,"metadata":"größe","commitTimestamp":1700000000000,"topicId":"AQIDAAAAAAAAAAAAAAAAAA"}`},
	} {
		b, err := json.Marshal(tt.value)
		if err != nil || string(b) != tt.want {
			t.Errorf("got  %s (%v)\nwant %s", b, err, tt.want)
		}
	}
	g := group(3)
	sub := kmsg.ConsumerMemberMetadata{Version: 1, Topics: []string{"t"}, OwnedPartitions: []kmsg.ConsumerMemberMetadataOwnedPartition{{Topic: "t", Partitions: []int32{0, 2}}}}
	g.Members[0].Subscription = sub.AppendTo(nil)
	assigned := kmsg.ConsumerMemberAssignment{Version: 0, Topics: []kmsg.ConsumerMemberAssignmentTopic{{Topic: "t", Partitions: []int32{0, 2}}}}
	g.Members[0].Assignment = assigned.AppendTo(nil)
	b, err := json.Marshal(g)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"subscription":{"ownedPartitions":[{"topic":"t","partitions":[0,2]}],"topics":["t"],"userData":null}`,
		`"assignment":{"assignedPartitions":[{"topic":"t","partitions":[0,2]}],"userData":null}`,
		`"subscription":"AQ=="`, // not a subscription: bytes
		`"groupInstanceId":"static"`,
	} {
		if !strings.Contains(string(b), want) {
			t.Errorf("%s lacks %s", b, want)
		}
	}
	if b, _ := json.Marshal(group(2)); strings.Contains(string(b), "groupInstanceId") {
		t.Errorf("version 2 has no groupInstanceId: %s", b)
	}
}
