package reset

import (
	"errors"
	"fmt"
	"slices"

	"offsets/inspect"
)

// The codes of changes, beside those of what could not be read.
const (
	// Of a target, or of a commit to put back.
	CodeOutsideLog      inspect.Code = "outside_log"      // the target is no offset of the log
	CodeClamped         inspect.Code = "clamped"          // it was moved inside
	CodeNoCommit        inspect.Code = "no_commit"        // nothing to go from; or left to the policy
	CodeNotCertain      inspect.Code = "not_certain"      // the offsets topic may have lost what counted
	CodeTopicRecreated  inspect.Code = "topic_recreated"  // it is another topic of that name
	CodeNoTopicID       inspect.Code = "no_topic_id"      // whether it is the same topic is not known
	CodeNoTime          inspect.Code = "no_time"          // the export has no time to find the place by
	CodeInexactTime     inspect.Code = "inexact_time"     // timestamps do not tell what was read: read again
	CodeNotExported     inspect.Code = "not_exported"     // it could not be read when it was exported
	CodeMetadataErased  inspect.Code = "metadata_erased"  // the commit's metadata go
	CodeEpochDropped    inspect.Code = "epoch_dropped"    // the commit comes back without its leader epoch
	CodeEpochTooHigh    inspect.Code = "epoch_too_high"   // which hangs Java consumers
	CodeOpenTransaction inspect.Code = "open_transaction" // of records
	CodePendingCommit   inspect.Code = "pending_transaction"
	CodePendingUnknown  inspect.Code = "pending_unknown" // the coordinator does not answer whether there is one
	CodeNotSubscribed   inspect.Code = "not_subscribed"
	CodeSubscribed      inspect.Code = "subscribed" // brokers keep commits that members use

	// Of the group.
	CodeActiveMembers inspect.Code = "active_members"
	CodeNotEmpty      inspect.Code = "not_empty" // its state, without a member to be named
	CodeStreams       inspect.Code = "streams"
	CodeConnect       inspect.Code = "connect"
	CodeCreatesGroup  inspect.Code = "creates_group"
	CodeInternalTopic inspect.Code = "internal_topic" // of a Streams application: left out
	CodeShareTopics   inspect.Code = "share_topics"   // brokers delete start offsets by whole topics
	CodeGroupType     inspect.Code = "group_type"     // it is of another type than was asked for
	CodeNotRecorded   inspect.Code = "not_recorded"   // where a share group was, the offsets topic does not say
	CodeRedelivered   inspect.Code = "redelivered"    // what was acknowledged comes again
	CodeNothingToUndo inspect.Code = "nothing_to_undo"
	CodePartlyUndone  inspect.Code = "partly_undone"

	// Of the moment of the write.
	CodeMovedSince     inspect.Code = "moved_since"     // something else is committed than before
	CodeStale          inspect.Code = "stale"           // group or log are not what the plan saw
	CodeBeingCommitted inspect.Code = "being_committed" // somebody commits while it is watched
	CodeWriteFailed    inspect.Code = "write_failed"
	CodeUnknownOutcome inspect.Code = "unknown_outcome" // sent, and may take effect yet
	CodeOverwritten    inspect.Code = "overwritten"
	CodeNotReadBack    inspect.Code = "not_read_back"

	// CodeOther is what has no word of its own.
	CodeOther inspect.Code = "other"
)

// Codes are all codes of reasons, those of reading among them.
func Codes() []inspect.Code {
	return append(inspect.Codes(),
		CodeOutsideLog, CodeClamped, CodeNoCommit, CodeNotCertain, CodeTopicRecreated, CodeNoTopicID, CodeNoTime, CodeInexactTime, CodeNotExported,
		CodeMetadataErased, CodeEpochDropped, CodeEpochTooHigh, CodeOpenTransaction, CodePendingCommit, CodePendingUnknown, CodeNotSubscribed, CodeSubscribed,
		CodeActiveMembers, CodeNotEmpty, CodeStreams, CodeConnect, CodeCreatesGroup, CodeInternalTopic, CodeShareTopics, CodeGroupType, CodeNotRecorded, CodeRedelivered, CodeNothingToUndo, CodePartlyUndone,
		CodeMovedSince, CodeStale, CodeBeingCommitted, CodeWriteFailed, CodeUnknownOutcome, CodeOverwritten, CodeNotReadBack, CodeOther)
}

// Severity says whether a reason stands against the change.
type Severity string

// The severities.
const (
	Refusal Severity = "refusal"
	Warning Severity = "warning"
)

// Reason is why a change is refused, or what its reader may not expect.
type Reason struct {
	Code     inspect.Code `json:"code"`
	Severity Severity     `json:"severity"`
	// Topic and Partition are nil where it is about the group.
	Topic     *string `json:"topic"`
	Partition *int32  `json:"partition"`
	Message   string  `json:"message"`

	// general is the message without what differs from partition to partition.
	general string
}

// place is the partition that it is about.
func (r *Reason) place() (tp inspect.TopicPartition, ok bool) {
	if r.Topic == nil || r.Partition == nil {
		return tp, false
	}
	return inspect.TopicPartition{Topic: *r.Topic, Partition: *r.Partition}, true
}

// How many lines of a kind people read.
const (
	likeLines = 3  // that differ only in numbers
	allLines  = 12 // at all
)

// Told says each reason once, with the partitions that it holds for. Many that
// differ only in their numbers are told in general, and the rest is counted: a
// plan's rows have them all.
func Told(reasons []Reason) []string {
	wordings := map[string]map[string]bool{}
	for i := range reasons {
		if r := &reasons[i]; r.general != "" {
			if wordings[r.general] == nil {
				wordings[r.general] = map[string]bool{}
			}
			wordings[r.general][r.Message] = true
		}
	}
	var order []string
	places := map[string][]inspect.TopicPartition{}
	for i := range reasons {
		r := &reasons[i]
		text := r.Message
		if len(wordings[r.general]) > likeLines {
			text = r.general
		}
		if _, known := places[text]; !known {
			order, places[text] = append(order, text), nil
		}
		if tp, ok := r.place(); ok {
			places[text] = append(places[text], tp)
		}
	}
	var out []string
	for i, text := range order {
		if i == allLines && len(order) > allLines+1 {
			return append(out, fmt.Sprintf("and %d more, which the plan's rows tell", len(order)-i))
		}
		out = append(out, inspect.FoldReason(places[text], text))
	}
	return out
}

// refuse stands against the plan as a whole.
func (p *Plan) refuse(code inspect.Code, format string, args ...any) {
	r := Reason{Code: code, Severity: Refusal, Message: fmt.Sprintf(format, args...)}
	p.Refusals, p.Reasons = append(p.Refusals, r.Message), append(p.Reasons, r)
}

// warn says what its reader may not expect.
func (p *Plan) warn(code inspect.Code, format string, args ...any) {
	r := Reason{Code: code, Severity: Warning, Message: fmt.Sprintf(format, args...)}
	p.Warnings, p.Reasons = append(p.Warnings, r.Message), append(p.Reasons, r)
}

// fail stands against the plan, because of this partition.
func (c *Change) fail(code inspect.Code, format string, args ...any) {
	c.Error = ptr(fmt.Sprintf(format, args...))
	c.failedAs = Reason{Code: code, Severity: Refusal, Message: *c.Error}
}

// warn is a note that is more than how things stand.
func (c *Change) warn(code inspect.Code, format string, args ...any) {
	c.note(format, args...)
	c.warned = append(c.warned, Reason{Code: code, Severity: Warning, Message: fmt.Sprintf(format, args...)})
}

// reasons are those of the partition.
func (c *Change) reasons() []Reason {
	out := slices.Clone(c.warned)
	if c.Error != nil {
		r := c.failedAs
		if r.Message != *c.Error {
			r = Reason{Code: c.codeOfError(), Severity: Refusal, Message: *c.Error}
		}
		out = append(out, r)
	}
	for i := range out {
		out[i].Topic, out[i].Partition = &c.Topic, &c.Partition
	}
	return out
}

func (c *Change) codeOfError() inspect.Code {
	switch {
	case c.open:
		return CodeUnknownOutcome
	case c.err == nil:
		return CodeOther
	}
	if code := inspect.CodeOf(c.err); code != inspect.CodeUnreadable {
		return code
	}
	return CodeWriteFailed
}

// explain sums up all reasons, those of the partitions and of err among them.
// What was decided without a code gets the general one.
func (p *Plan) explain(err error) {
	var out []Reason
	for _, r := range p.Reasons {
		if _, ok := r.place(); !ok && r.Severity == Warning && slices.Contains(p.Warnings, r.Message) || slices.Contains(p.Refusals, r.Message) {
			out = append(out, r)
		}
	}
	add := func(severity Severity, messages []string) {
		for _, m := range messages {
			if !slices.ContainsFunc(out, func(r Reason) bool { return r.Severity == severity && r.Message == m }) {
				out = append(out, Reason{Code: CodeOther, Severity: severity, Message: m})
			}
		}
	}
	add(Refusal, p.Refusals)
	add(Warning, p.Warnings)
	var refused *RefusedError
	switch active := p.Active(); {
	case errors.As(active, &refused) && !p.Applied:
		out = append(out, refused.Why...)
	case errors.As(err, &refused):
		// What the plan says already has its place above and below.
		failed := map[inspect.TopicPartition]bool{}
		for i := range p.Partitions {
			c := &p.Partitions[i]
			failed[inspect.TopicPartition{Topic: c.Topic, Partition: c.Partition}] = c.Error != nil
		}
		for _, r := range refused.Why {
			if tp, _ := r.place(); !failed[tp] && !slices.Contains(p.Refusals, r.Message) {
				out = append(out, r)
			}
		}
	}
	for i := range p.Partitions {
		out = append(out, p.Partitions[i].reasons()...)
	}
	p.Reasons = append([]Reason{}, out...)
}

// recall gives the rows of a plan that was read from a file their reasons back.
func (p *Plan) recall() {
	for _, r := range p.Reasons {
		tp, ok := r.place()
		if !ok {
			continue
		}
		for i := range p.Partitions {
			c := &p.Partitions[i]
			switch {
			case c.Topic != tp.Topic || c.Partition != tp.Partition:
			case r.Severity == Warning:
				c.warned = append(c.warned, r)
			case r.Message == text(c.Error):
				c.failedAs = r
			}
		}
	}
	p.explain(nil)
}

// refusedFor is a refusal for reasons.
func refusedFor(group string, why ...Reason) *RefusedError {
	e := &RefusedError{Group: group, Why: why}
	e.Reasons = Told(why)
	return e
}

// refusal is one reason of a refusal.
func refusal(code inspect.Code, format string, args ...any) Reason {
	return Reason{Code: code, Severity: Refusal, Message: fmt.Sprintf(format, args...)}
}

// at is the reason for one partition.
func (r Reason) at(topic string, partition int32) Reason {
	r.Topic, r.Partition = &topic, &partition
	return r
}
