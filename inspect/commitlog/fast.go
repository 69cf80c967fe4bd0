package commitlog

import "encoding/binary"

// CommitRef is an offset commit that shares memory with the bytes it was read
// from: for readers of millions of records. It is valid as long as they are.
type CommitRef struct {
	Type            int16 // 0 or 1
	Version         int16 // of the value; -1 for a tombstone
	Group, Topic    []byte
	Partition       int32
	Tombstone       bool
	Offset          int64
	LeaderEpoch     int32
	Metadata        []byte
	CommitTimestamp int64
	ExpireTimestamp int64
	TopicID         UUID
}

// DecodeRef decodes a well-formed offset commit without allocating. It returns
// false for everything else (other types, unknown versions or tagged fields,
// damage), about which [Decoder.Decode] knows more.
func (c *CommitRef) DecodeRef(key, value []byte) bool {
	if len(key) < 2 {
		return false
	}
	c.Type = int16(binary.BigEndian.Uint16(key))
	if c.Type != TypeOffsetCommit && c.Type != TypeLegacyOffsetCommit {
		return false
	}
	var ok bool
	rest := key[2:]
	if c.Group, rest, ok = takeString(rest); !ok {
		return false
	}
	if c.Topic, rest, ok = takeString(rest); !ok || len(rest) != 4 {
		return false
	}
	c.Partition = int32(binary.BigEndian.Uint32(rest))
	c.Tombstone = value == nil
	if c.Tombstone {
		c.Version = -1
		return true
	}
	return c.decodeValue(value)
}

func (c *CommitRef) decodeValue(v []byte) bool {
	if len(v) < 10 {
		return false
	}
	c.Version = int16(binary.BigEndian.Uint16(v))
	if c.Version < 0 || c.Version > 4 {
		return false
	}
	c.Offset = int64(binary.BigEndian.Uint64(v[2:]))
	v = v[10:]
	c.LeaderEpoch, c.ExpireTimestamp, c.TopicID = -1, -1, UUID{}
	if c.Version >= 3 {
		if len(v) < 4 {
			return false
		}
		c.LeaderEpoch = int32(binary.BigEndian.Uint32(v))
		v = v[4:]
	}
	var ok bool
	if c.Version >= 4 {
		n, size := binary.Uvarint(v)
		if size <= 0 || n == 0 || n-1 > uint64(len(v)-size) {
			return false
		}
		end := size + int(n) - 1
		c.Metadata, v = v[size:end], v[end:]
	} else if c.Metadata, v, ok = takeString(v); !ok {
		return false
	}
	if len(v) < 8 {
		return false
	}
	c.CommitTimestamp = int64(binary.BigEndian.Uint64(v))
	v = v[8:]
	switch {
	case c.Version == 1:
		if len(v) != 8 {
			return false
		}
		c.ExpireTimestamp = int64(binary.BigEndian.Uint64(v))
		return true
	case c.Version < 4:
		return len(v) == 0
	case len(v) == 1:
		return v[0] == 0 // no tagged fields
	}
	// One tagged field: number 0, the topic id.
	if len(v) != 3+len(c.TopicID) || v[0] != 1 || v[1] != 0 || int(v[2]) != len(c.TopicID) {
		return false
	}
	copy(c.TopicID[:], v[3:])
	return true
}

// takeString takes a string with a 16 bit length, which must not be null.
func takeString(b []byte) (s, rest []byte, ok bool) {
	if len(b) < 2 {
		return nil, nil, false
	}
	n := int(int16(binary.BigEndian.Uint16(b)))
	if n < 0 || n > len(b)-2 {
		return nil, nil, false
	}
	return b[2 : 2+n], b[2+n:], true
}

// Kind is the kind of the record.
func (c *CommitRef) Kind() Kind {
	if c.Type == TypeLegacyOffsetCommit {
		return KindLegacyOffsetCommit
	}
	return KindOffsetCommit
}

// AppendKeyJSON appends what [Decoder.AppendJSON] appends for the key.
func (c *CommitRef) AppendKeyJSON(b []byte) []byte {
	return appendCommitKey(b, c.Group, c.Topic, c.Partition)
}

// AppendValueJSON appends what [Decoder.AppendJSON] appends for the value; null
// for a tombstone.
func (c *CommitRef) AppendValueJSON(b []byte) []byte {
	if c.Tombstone {
		return append(b, "null"...)
	}
	v := OffsetCommitValue{
		Version: c.Version, Offset: c.Offset, LeaderEpoch: c.LeaderEpoch,
		CommitTimestamp: c.CommitTimestamp, ExpireTimestamp: c.ExpireTimestamp, TopicID: c.TopicID,
	}
	return appendCommitValue(b, &v, c.Metadata)
}
