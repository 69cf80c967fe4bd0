package inspect

// Status says how a group stands on one partition.
type Status string

// The statuses of a partition.
const (
	CaughtUp      Status = "caught_up"      // committed = log end
	Behind        Status = "behind"         // records wait to be read
	NoCommit      Status = "no_commit"      // the group never committed here, or the commit is gone
	Lost          Status = "lost"           // records were deleted before the group read them
	PastEnd       Status = "past_end"       // committed beyond the log end: truncated or recreated topic
	TopicGone     Status = "topic_gone"     // the topic, or this partition of it, does not exist
	NoLeader      Status = "no_leader"      // no broker leads the partition now
	NotAuthorized Status = "not_authorized" // the topic may not be described by this user
	Failed        Status = "error"          // the partition's offsets could not be read
)

// Partition is what one group has to do with one partition.
type Partition struct {
	Topic     string  `json:"topic"`
	TopicID   *string `json:"topic_id"` // base64url as Kafka prints it; nil before Kafka 2.8
	Partition int32   `json:"partition"`
	// Committed is the next offset the group will read; nil without a commit.
	Committed   *int64  `json:"committed"`
	LeaderEpoch *int32  `json:"leader_epoch"` // stored with the commit
	Metadata    *string `json:"metadata"`     // stored with the commit
	LogStart    *int64  `json:"log_start"`
	LogEnd      *int64  `json:"log_end"` // high watermark: offset of the next record
	LastStable  *int64  `json:"last_stable"`
	// Lag is log_end - max(committed, log_start), in offsets; nil where that
	// has no meaning or is not known. For a reader of committed records it
	// ends at last_stable.
	Lag *int64 `json:"lag"`
	// Lost is how many offsets were deleted before the group read them.
	Lost   *int64 `json:"lost"`
	Status Status `json:"status"`
	// Subscribed says whether a member subscribes to the topic; nil while the
	// group has no members.
	Subscribed *bool `json:"subscribed"`
	// PendingTxn: a transaction that is not decided holds a commit here, and
	// consumers wait for it; nil where it was not asked for.
	PendingTxn *bool `json:"pending_txn"`
	// BehindSeconds is the age of the next unread record, by its own timestamp;
	// 0 when caught up. nil where it was not asked for or cannot be known.
	BehindSeconds *float64 `json:"behind_seconds"`
	MemberID      *string  `json:"member_id"`
	ClientID      *string  `json:"client_id"`
	Host          *string  `json:"host"`
	Error         *string  `json:"error"`
	// CurrentEpoch is the partition's own leader epoch now. A commit with a
	// higher one hangs Java consumers; nil where brokers do not tell.
	CurrentEpoch *int32 `json:"current_leader_epoch"`
	// RecordsBehind counts the records that are really there to be read: lag
	// counts offsets, of which markers and compaction leave some empty. nil where
	// it was not asked for.
	RecordsBehind *int64 `json:"records_behind"`
	// TimestampType tells what behind_seconds goes by: create_time (the
	// producer's clock) or log_append_time (the broker's).
	TimestampType *string `json:"timestamp_type"`

	readCommitted bool   // the lag ends at last_stable
	shareLag      *int64 // of a share group, as its broker counts it
}

// BrokerLag is the lag as the broker counts it, who alone knows what members of a
// share group have acknowledged above the start offset; nil for other groups, and
// where it does not tell.
func (p *Partition) BrokerLag() *int64 { return p.shareLag }

// Unread are the partitions whose commit or log could not be read.
func (g *Group) Unread() (out []*Partition) {
	for i := range g.Partitions {
		switch g.Partitions[i].Status {
		case NoLeader, NotAuthorized, Failed:
			out = append(out, &g.Partitions[i])
		}
	}
	return out
}

// Assess sets status, lag and lost from the committed offset and the log's
// ends. A partition that could not be read keeps the status it has.
//
// A commit below the log start does not count the deleted records as lag:
// nobody can read them any more. They are in lost; of a share group's, those that
// were not acknowledged.
func (p *Partition) Assess() {
	p.Lag, p.Lost = nil, nil
	if p.LogStart == nil || p.LogEnd == nil {
		if p.Status == "" {
			p.Status = Failed
		}
		return
	}
	start, end := *p.LogStart, p.readableEnd()
	if p.Committed == nil {
		p.Status = NoCommit
		p.Lost = new(int64)
		return
	}
	committed := *p.Committed
	lost := max(0, start-committed)
	if p.shareLag != nil {
		// What was acknowledged above the start offset may be what was deleted:
		// only what is more than that is lost for certain.
		lost = max(0, lost-max(0, *p.LogEnd-committed-*p.shareLag))
	}
	p.Lost = &lost
	if committed > *p.LogEnd {
		p.Status = PastEnd
		return
	}
	lag := max(0, end-max(committed, start))
	if p.shareLag != nil {
		// Until a member reads, the broker counts what was deleted meanwhile.
		lag = min(lag, *p.shareLag)
	}
	p.Lag = &lag
	switch {
	case lost > 0:
		p.Status = Lost
	case lag > 0:
		p.Status = Behind
	default:
		p.Status = CaughtUp
	}
}

// readableEnd is where a consumer has read everything. The log end must be
// known.
func (p *Partition) readableEnd() int64 {
	if p.readCommitted && p.LastStable != nil {
		return min(*p.LogEnd, *p.LastStable)
	}
	return *p.LogEnd
}

// Total sums up a group's partitions.
type Total struct {
	Lag        int64 `json:"lag"`        // of the partitions whose lag is known
	Lost       int64 `json:"lost"`       // of the partitions where it is known
	Partitions int   `json:"partitions"` // all rows
	NoCommit   int   `json:"no_commit"`  // rows without a commit
	Unknown    int   `json:"unknown"`    // rows whose lag is not known, no_commit among them
	// RecordsBehind and BehindSeconds are the sum, and the greatest, of the rows
	// where they are known; nil where no row has one. Groups show them.
	RecordsBehind *int64   `json:"-"`
	BehindSeconds *float64 `json:"-"`
	// Uncounted and Undated are the rows without them.
	Uncounted int `json:"-"`
	Undated   int `json:"-"`
}

func total(rows []Partition) Total {
	t := Total{Partitions: len(rows)}
	for i := range rows {
		p := &rows[i]
		if p.Lag != nil {
			t.Lag += *p.Lag
		} else {
			t.Unknown++
		}
		if p.Lost != nil {
			t.Lost += *p.Lost
		}
		if p.Status == NoCommit {
			t.NoCommit++
		}
		if p.RecordsBehind != nil {
			if t.RecordsBehind == nil {
				t.RecordsBehind = new(int64)
			}
			*t.RecordsBehind += *p.RecordsBehind
		} else {
			t.Uncounted++
		}
		if p.BehindSeconds == nil {
			t.Undated++
		}
		if b := p.BehindSeconds; b != nil && (t.BehindSeconds == nil || *b > *t.BehindSeconds) {
			t.BehindSeconds = b
		}
	}
	return t
}
