package segment

import (
	"encoding/binary"
	"fmt"
	"sort"
)

// The types of markers that end transactions.
const (
	CommitMarker = "commit"
	AbortMarker  = "abort"
)

// Marker is what ends a transaction.
type Marker struct {
	// Type is CommitMarker or AbortMarker, or "type N" for one that is not known.
	Type             string
	CoordinatorEpoch int32
}

// ParseMarker reads the record of a control batch: its key is version and
// type, its value version and coordinator epoch.
func ParseMarker(r Record) (Marker, error) {
	if len(r.Key) < 4 || len(r.Value) < 6 {
		return Marker{}, ErrRecords
	}
	m := Marker{CoordinatorEpoch: int32(binary.BigEndian.Uint32(r.Value[2:]))}
	switch typ := binary.BigEndian.Uint16(r.Key[2:]); typ {
	case 0:
		m.Type = AbortMarker
	case 1:
		m.Type = CommitMarker
	default:
		m.Type = fmt.Sprintf("type %d", typ)
	}
	return m, nil
}

// The states of a transaction.
const (
	Open      = "open"
	Committed = "committed"
	Aborted   = "aborted"
)

// Transactions knows how the transactions of one partition ended. It is filled
// with the markers of the partition first, and then asked.
//
// Markers are matched by producer id alone: with transaction.version 2
// (KIP-890) a marker's epoch is one above that of its data.
type Transactions struct {
	ends map[int64][]end // by producer id, offsets ascending
}

type end struct {
	offset int64
	state  string
}

// Add notes the marker in a control batch; other batches are ignored.
func (t *Transactions) Add(b *Batch) error {
	if !b.IsControl() {
		return nil
	}
	return b.Records(func(r Record) error {
		m, err := ParseMarker(r)
		if err != nil {
			return err
		}
		state := map[string]string{CommitMarker: Committed, AbortMarker: Aborted}[m.Type]
		if state == "" {
			return nil
		}
		if t.ends == nil {
			t.ends = map[int64][]end{}
		}
		t.ends[b.ProducerID] = append(t.ends[b.ProducerID], end{r.Offset, state})
		return nil
	})
}

// State is how the transaction ended that a producer had open at an offset;
// [Open] if no marker followed.
func (t *Transactions) State(producerID, offset int64) string {
	ends := t.ends[producerID]
	i := sort.Search(len(ends), func(i int) bool { return ends[i].offset >= offset })
	if i == len(ends) {
		return Open
	}
	return ends[i].state
}
