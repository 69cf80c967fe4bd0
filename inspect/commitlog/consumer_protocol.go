package commitlog

import (
	"encoding/json"
	"fmt"
)

// Subscription is what a classic consumer sends when it joins (schema
// ConsumerProtocolSubscription, versions 0 to 3).
type Subscription struct {
	Version         int16
	Topics          []string
	UserData        []byte
	OwnedPartitions []OwnedPartitions // version 1+
	GenerationID    int32             // version 2+; -1: none
	RackID          *string           // version 3+
}

// OwnedPartitions is some partitions of a topic.
type OwnedPartitions struct {
	Topic      string  `json:"topic"`
	Partitions []int32 `json:"partitions"`
}

// Assignment is what a classic consumer was given (schema
// ConsumerProtocolAssignment, versions 0 to 3).
type Assignment struct {
	Version            int16
	AssignedPartitions []OwnedPartitions
	UserData           []byte
}

// newestProtocol is the last version with a layout of its own; Kafka reads
// anything newer as if it were this.
const newestProtocol = 3

func blobReader(b []byte) (*reader, int16, error) {
	r := &reader{src: b}
	version := r.int16()
	if r.bad != nil {
		return nil, 0, r.bad
	}
	if version < 0 {
		return nil, 0, fmt.Errorf("%w %d", ErrUnknownVersion, version)
	}
	return r, version, nil
}

// DecodeSubscription decodes the bytes of a member's subscription. Bytes
// behind the last field are ignored, as Kafka does.
func DecodeSubscription(b []byte) (*Subscription, error) {
	r, version, err := blobReader(b)
	if err != nil {
		return nil, err
	}
	s := &Subscription{Version: min(version, newestProtocol), GenerationID: -1}
	s.Topics = r.strings()
	s.UserData = r.bytes()
	if s.Version >= 1 {
		s.OwnedPartitions = r.owned()
	}
	if s.Version >= 2 {
		s.GenerationID = r.int32()
	}
	if s.Version >= 3 {
		s.RackID = r.nullableString()
	}
	return s, r.bad
}

// DecodeAssignment decodes the bytes of a member's assignment.
func DecodeAssignment(b []byte) (*Assignment, error) {
	r, version, err := blobReader(b)
	if err != nil {
		return nil, err
	}
	a := &Assignment{Version: min(version, newestProtocol)}
	a.AssignedPartitions = r.owned()
	a.UserData = r.bytes()
	return a, r.bad
}

func (r *reader) owned() []OwnedPartitions {
	n := r.count()
	out := make([]OwnedPartitions, 0, min(n, 1000))
	for range n {
		if r.bad != nil {
			break
		}
		out = append(out, OwnedPartitions{Topic: r.string(), Partitions: r.int32s()})
	}
	return out
}

// MarshalJSON writes the fields of the version under their schema names.
func (s *Subscription) MarshalJSON() ([]byte, error) {
	f := map[string]any{"topics": s.Topics, "userData": s.UserData}
	if s.Version >= 1 {
		f["ownedPartitions"] = s.OwnedPartitions
	}
	if s.Version >= 2 {
		f["generationId"] = s.GenerationID
	}
	if s.Version >= 3 {
		f["rackId"] = s.RackID
	}
	return json.Marshal(f)
}

// MarshalJSON writes the fields under their schema names.
func (a *Assignment) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]any{"assignedPartitions": a.AssignedPartitions, "userData": a.UserData})
}
