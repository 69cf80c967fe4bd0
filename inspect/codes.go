package inspect

import (
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"
)

// Code says in one word why something could not be read, or why a change is
// refused or warned of. Scripts rely on them: words may be added, never renamed.
type Code string

// The codes of what could not be read.
const (
	CodeTopicGone     Code = "topic_gone"     // no such topic or partition in this cluster
	CodeNoLeader      Code = "no_leader"      // no broker leads the partition
	CodeNotAuthorized Code = "not_authorized" // this user lacks a right
	CodeNoAnswer      Code = "no_answer"      // nothing came in time
	CodeNoCoordinator Code = "no_coordinator" // no broker coordinates the group now
	CodeUnknownGroup  Code = "unknown_group"  // no such group, or hidden from this user
	CodeNotSupported  Code = "not_supported"  // the brokers are too old for it
	CodeUnreadable    Code = "unreadable"     // anything else that kept it from being read
)

// Codes are all codes of what could not be read.
func Codes() []Code {
	return []Code{CodeTopicGone, CodeNoLeader, CodeNotAuthorized, CodeNoAnswer, CodeNoCoordinator, CodeUnknownGroup, CodeNotSupported, CodeUnreadable}
}

// CodeOf is the code of an error.
func CodeOf(err error) Code {
	for _, c := range []struct {
		code Code
		errs []error
	}{
		{CodeUnknownGroup, []error{ErrUnknownGroup, kerr.GroupIDNotFound}},
		{CodeNotAuthorized, []error{kerr.TopicAuthorizationFailed, kerr.GroupAuthorizationFailed, kerr.ClusterAuthorizationFailed, kerr.TransactionalIDAuthorizationFailed}},
		{CodeTopicGone, []error{kerr.UnknownTopicOrPartition, kerr.UnknownTopicID, kerr.InvalidTopicException}},
		{CodeNoLeader, []error{kerr.LeaderNotAvailable, kerr.NotLeaderForPartition}},
		{CodeNoCoordinator, []error{kerr.CoordinatorNotAvailable, kerr.CoordinatorLoadInProgress, kerr.NotCoordinator, errNoCoordinatorAnswer}},
		{CodeNotSupported, []error{kerr.UnsupportedVersion}},
		{CodeNoAnswer, []error{context.DeadlineExceeded}},
	} {
		for _, is := range c.errs {
			if errors.Is(err, is) {
				return c.code
			}
		}
	}
	var silent *NoAnswerError
	switch {
	case errors.As(err, &silent):
		return CodeNoAnswer
	case err != nil && tooOld(err):
		return CodeNotSupported
	}
	return CodeUnreadable
}

// Code is why the partition could not be read; "" where it could.
func (p *Partition) Code() Code {
	switch p.Status {
	case TopicGone:
		return CodeTopicGone
	case NoLeader:
		return CodeNoLeader
	case NotAuthorized:
		return CodeNotAuthorized
	case Failed:
		return CodeUnreadable
	}
	return ""
}
