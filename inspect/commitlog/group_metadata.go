package commitlog

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
)

// GroupMetadataKey is the key of type 2 (schema GroupMetadataKey).
type GroupMetadataKey struct {
	Group string `json:"group"`
}

// GroupMetadataValue is a classic group after a completed rebalance (schema
// GroupMetadataValue, versions 0 to 4). Its members are those of that
// generation, not those alive now.
type GroupMetadataValue struct {
	Version               int16
	ProtocolType          string
	Generation            int32
	Protocol              *string
	Leader                *string
	CurrentStateTimestamp int64 // ms, version 2+; -1: unknown
	Members               []GroupMember
	Tags                  []Tag
}

// GroupMember is one member of a classic group.
type GroupMember struct {
	MemberID         string
	GroupInstanceID  *string // version 3+
	ClientID         string
	ClientHost       string
	RebalanceTimeout int32 // ms, version 1+; -1: as the session timeout
	SessionTimeout   int32 // ms
	Subscription     []byte
	Assignment       []byte
	Tags             []Tag
}

// Encode returns the key's bytes.
func (k GroupMetadataKey) Encode() []byte {
	w := &writer{}
	w.int16(TypeGroupMetadata)
	w.string(k.Group)
	return w.b
}

// Encode returns the value's bytes in its version.
func (v *GroupMetadataValue) Encode() []byte {
	w := &writer{flexible: v.Version >= 4}
	w.int16(v.Version)
	w.string(v.ProtocolType)
	w.int32(v.Generation)
	w.nullableString(v.Protocol)
	w.nullableString(v.Leader)
	if v.Version >= 2 {
		w.int64(v.CurrentStateTimestamp)
	}
	w.length(len(v.Members), 32)
	for i := range v.Members {
		m := &v.Members[i]
		w.string(m.MemberID)
		if v.Version >= 3 {
			w.nullableString(m.GroupInstanceID)
		}
		w.string(m.ClientID)
		w.string(m.ClientHost)
		if v.Version >= 1 {
			w.int32(m.RebalanceTimeout)
		}
		w.int32(m.SessionTimeout)
		w.bytes(m.Subscription)
		w.bytes(m.Assignment)
		w.unknownTags(m.Tags)
	}
	w.unknownTags(v.Tags)
	return w.b
}

func (w *writer) unknownTags(tags []Tag) {
	if !w.flexible {
		return
	}
	w.b = binary.AppendUvarint(w.b, uint64(len(tags)))
	for _, t := range tags {
		w.tag(t.Tag, t.Data)
	}
}

func decodeGroupMetadataKey(r *reader) any { return GroupMetadataKey{Group: r.string()} }

func decodeGroupMetadataValue(version int16, r *reader) (any, error) {
	if version < 0 || version > 4 {
		return nil, fmt.Errorf("%w %d of group metadata", ErrUnknownVersion, version)
	}
	r.flexible = version >= 4
	v := &GroupMetadataValue{Version: version, CurrentStateTimestamp: -1}
	v.ProtocolType = r.string()
	v.Generation = r.int32()
	v.Protocol = r.nullableString()
	v.Leader = r.nullableString()
	if version >= 2 {
		v.CurrentStateTimestamp = r.int64()
	}
	n := r.count()
	v.Members = make([]GroupMember, 0, min(n, 1000))
	for range n {
		if r.bad != nil {
			break
		}
		m := GroupMember{RebalanceTimeout: -1}
		m.MemberID = r.string()
		if version >= 3 {
			m.GroupInstanceID = r.nullableString()
		}
		m.ClientID = r.string()
		m.ClientHost = r.string()
		if version >= 1 {
			m.RebalanceTimeout = r.int32()
		}
		m.SessionTimeout = r.int32()
		m.Subscription = r.bytes()
		m.Assignment = r.bytes()
		m.Tags = r.tags(nil)
		v.Members = append(v.Members, m)
	}
	v.Tags = r.tags(nil)
	return v, nil
}

// MarshalJSON writes the fields of the value's version under their schema
// names. Subscriptions and assignments of consumers are decoded in place, as
// kafka-dump-log does; those of other protocols stay bytes.
func (v *GroupMetadataValue) MarshalJSON() ([]byte, error) {
	type member struct {
		MemberID         string  `json:"memberId"`
		GroupInstanceID  *string `json:"groupInstanceId"`
		ClientID         string  `json:"clientId"`
		ClientHost       string  `json:"clientHost"`
		RebalanceTimeout *int32  `json:"rebalanceTimeout,omitempty"`
		SessionTimeout   int32   `json:"sessionTimeout"`
		Subscription     any     `json:"subscription"`
		Assignment       any     `json:"assignment"`
		Tags             []Tag   `json:"unknownTags,omitempty"`
	}
	type oldMember struct { // before version 3, without groupInstanceId
		member
		GroupInstanceID *string `json:"groupInstanceId,omitempty"`
	}
	f := struct {
		ProtocolType          string  `json:"protocolType"`
		Generation            int32   `json:"generation"`
		Protocol              *string `json:"protocol"`
		Leader                *string `json:"leader"`
		CurrentStateTimestamp *int64  `json:"currentStateTimestamp,omitempty"`
		Members               []any   `json:"members"`
		Tags                  []Tag   `json:"unknownTags,omitempty"`
	}{ProtocolType: v.ProtocolType, Generation: v.Generation, Protocol: v.Protocol, Leader: v.Leader, Members: []any{}, Tags: v.Tags}
	if v.Version >= 2 {
		f.CurrentStateTimestamp = &v.CurrentStateTimestamp
	}
	for i := range v.Members {
		m := &v.Members[i]
		out := member{
			MemberID: m.MemberID, GroupInstanceID: m.GroupInstanceID, ClientID: m.ClientID, ClientHost: m.ClientHost,
			SessionTimeout: m.SessionTimeout, Subscription: m.Subscription, Assignment: m.Assignment, Tags: m.Tags,
		}
		if v.Version >= 1 {
			out.RebalanceTimeout = &m.RebalanceTimeout
		}
		if v.ProtocolType == "consumer" {
			if s, err := DecodeSubscription(m.Subscription); err == nil {
				out.Subscription = s
			}
			if a, err := DecodeAssignment(m.Assignment); err == nil {
				out.Assignment = a
			}
		}
		if v.Version >= 3 {
			f.Members = append(f.Members, out)
		} else {
			f.Members = append(f.Members, oldMember{member: out})
		}
	}
	return json.Marshal(f)
}
