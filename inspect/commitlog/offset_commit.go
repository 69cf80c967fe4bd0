package commitlog

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
)

// OffsetCommitKey is the key of types 0 and 1 (schema OffsetCommitKey).
type OffsetCommitKey struct {
	Group     string `json:"group"`
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
}

// OffsetCommitValue is what was committed (schema OffsetCommitValue, versions
// 0 to 4).
type OffsetCommitValue struct {
	Version int16
	// Offset is the next offset the group will read.
	Offset          int64
	LeaderEpoch     int32 // version 3+; -1: none
	Metadata        string
	CommitTimestamp int64 // ms, the broker's clock
	ExpireTimestamp int64 // ms, version 1 only; -1: none
	TopicID         UUID  // version 4, Kafka 4.1+; zero: none
	Tags            []Tag // version 4: fields that this package does not know
}

// UUID is 16 raw bytes; zero means absent.
type UUID [16]byte

// String is the id as Kafka prints it: base64url without padding.
func (u UUID) String() string { return base64.RawURLEncoding.EncodeToString(u[:]) }

// MarshalText makes the id a string in JSON.
func (u UUID) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// Encode returns the key's bytes as record type 1.
func (k OffsetCommitKey) Encode() []byte {
	w := &writer{}
	w.int16(TypeOffsetCommit)
	w.string(k.Group)
	w.string(k.Topic)
	w.int32(k.Partition)
	return w.b
}

// Encode returns the value's bytes in its version.
func (v *OffsetCommitValue) Encode() []byte {
	w := &writer{flexible: v.Version >= 4}
	w.int16(v.Version)
	w.int64(v.Offset)
	if v.Version >= 3 {
		w.int32(v.LeaderEpoch)
	}
	w.string(v.Metadata)
	w.int64(v.CommitTimestamp)
	if v.Version == 1 {
		w.int64(v.ExpireTimestamp)
	}
	if v.Version >= 4 {
		n := len(v.Tags)
		if v.TopicID != (UUID{}) {
			n++
		}
		w.b = binary.AppendUvarint(w.b, uint64(n))
		if v.TopicID != (UUID{}) {
			w.tag(0, v.TopicID[:])
		}
		for _, t := range v.Tags {
			w.tag(t.Tag, t.Data)
		}
	}
	return w.b
}

func decodeOffsetCommitKey(r *reader) any {
	return OffsetCommitKey{Group: r.string(), Topic: r.string(), Partition: r.int32()}
}

func decodeOffsetCommitValue(version int16, r *reader) (any, error) {
	if version < 0 || version > 4 {
		return nil, fmt.Errorf("%w %d of an offset commit", ErrUnknownVersion, version)
	}
	r.flexible = version >= 4
	v := &OffsetCommitValue{Version: version, LeaderEpoch: -1, ExpireTimestamp: -1}
	v.Offset = r.int64()
	if version >= 3 {
		v.LeaderEpoch = r.int32()
	}
	v.Metadata = r.string()
	v.CommitTimestamp = r.int64()
	if version == 1 {
		v.ExpireTimestamp = r.int64()
	}
	v.Tags = r.tags(func(tag uint32, data *reader) bool {
		if tag != 0 {
			return false
		}
		copy(v.TopicID[:], data.take(len(v.TopicID)))
		return true
	})
	return v, nil
}

// MarshalJSON writes the fields of the value's version under their schema
// names, as Kafka's own tools do: tagged fields only where they are set.
func (v *OffsetCommitValue) MarshalJSON() ([]byte, error) {
	type fields struct {
		Offset          int64  `json:"offset"`
		LeaderEpoch     *int32 `json:"leaderEpoch,omitempty"`
		Metadata        string `json:"metadata"`
		CommitTimestamp int64  `json:"commitTimestamp"`
		ExpireTimestamp *int64 `json:"expireTimestamp,omitempty"`
		TopicID         *UUID  `json:"topicId,omitempty"`
		Tags            []Tag  `json:"unknownTags,omitempty"`
	}
	f := fields{Offset: v.Offset, Metadata: v.Metadata, CommitTimestamp: v.CommitTimestamp, Tags: v.Tags}
	if v.Version >= 3 {
		f.LeaderEpoch = &v.LeaderEpoch
	}
	if v.Version == 1 {
		f.ExpireTimestamp = &v.ExpireTimestamp
	}
	if v.TopicID != (UUID{}) {
		f.TopicID = &v.TopicID
	}
	return json.Marshal(f)
}
