package commitlog

// CommitKey names what is committed.
type CommitKey struct {
	Group     string
	Topic     string
	Partition int32
}

// Commit is a committed offset and where it stands in the log.
type Commit struct {
	OffsetCommitValue
	// LogOffset is the offset of its record.
	LogOffset int64
	// EffectiveAt is when it counted, in ms: the time of its record, or of the
	// marker that committed its transaction.
	EffectiveAt int64
}

// Pending is a commit of a transaction that is still open.
type Pending struct {
	OffsetCommitValue
	ProducerID int64
	LogOffset  int64
	Since      int64 // ms
}

// Replay turns the records of one commit log partition, in order, into what is
// committed, by the rules of the 4.x group coordinator. Its memory grows with
// the keys that are alive, not with the log.
//
// A transactional commit counts from its marker on. A plain commit that was
// written after it, but before the marker, wins.
type Replay struct {
	committed map[CommitKey]Commit
	pending   map[int64]map[CommitKey]Pending // by producer id
}

// NewReplay returns the state before the first record.
func NewReplay() *Replay {
	return &Replay{committed: map[CommitKey]Commit{}, pending: map[int64]map[CommitKey]Pending{}}
}

// Record applies a data record. producerID is -1 outside of transactions, at
// the record's timestamp in ms. Records that are no offset commits are ignored,
// as are values that could not be decoded.
func (r *Replay) Record(rec *Record, logOffset, at, producerID int64) {
	k, ok := rec.Key.(OffsetCommitKey)
	if !ok {
		return
	}
	key := CommitKey(k)
	if rec.Tombstone {
		delete(r.committed, key)
		for _, commits := range r.pending {
			delete(commits, key)
		}
		return
	}
	v, ok := rec.Value.(*OffsetCommitValue)
	switch {
	case !ok:
	case producerID < 0:
		r.committed[key] = Commit{*v, logOffset, at}
	default:
		if r.pending[producerID] == nil {
			r.pending[producerID] = map[CommitKey]Pending{}
		}
		r.pending[producerID][key] = Pending{*v, producerID, logOffset, at}
	}
}

// Marker ends a producer's transaction, at the marker's timestamp in ms.
func (r *Replay) Marker(producerID int64, commit bool, at int64) {
	if commit {
		for key, p := range r.pending[producerID] {
			if c, ok := r.committed[key]; !ok || p.LogOffset > c.LogOffset {
				r.committed[key] = Commit{p.OffsetCommitValue, p.LogOffset, at}
			}
		}
	}
	delete(r.pending, producerID)
}

// Committed is what is committed now. The map is the replay's own.
func (r *Replay) Committed() map[CommitKey]Commit { return r.committed }

// Pending is the open transactions' commits, by what they would replace.
func (r *Replay) Pending() map[CommitKey][]Pending {
	out := map[CommitKey][]Pending{}
	for _, commits := range r.pending {
		for key, p := range commits {
			out[key] = append(out[key], p)
		}
	}
	return out
}
