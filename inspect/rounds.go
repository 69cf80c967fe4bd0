package inspect

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
)

// roundWithoutLimit bounds a round of work that has no limit of its own.
const roundWithoutLimit = 15 * time.Second

// round bounds one round of requests by half of the time that is left: a broker
// that does not answer shall cost its own part of a result, and not the rest.
func round(ctx context.Context) (context.Context, context.CancelFunc) {
	limit := roundWithoutLimit
	if deadline, ok := ctx.Deadline(); ok {
		limit = time.Until(deadline) / 2
	}
	return context.WithTimeoutCause(ctx, limit, &NoAnswerError{After: limit.Round(100 * time.Millisecond)})
}

// untilAnswered calls ask until it has what it wants; then the error is nil.
func untilAnswered(ctx context.Context, ask func() bool) error {
	for pause := 100 * time.Millisecond; !ask(); pause = min(2*pause, time.Second) {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause):
		}
	}
	return nil
}

// NoAnswerError is a broker that was asked and kept silent.
type NoAnswerError struct {
	After time.Duration // 0: not known
}

func (e *NoAnswerError) Error() string {
	if e.After == 0 {
		return "no answer in time"
	}
	return fmt.Sprintf("no answer within %s", e.After)
}

// explain gives the end of a round its own words.
func explain(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return &NoAnswerError{}
	}
	return err
}

// mayPass: the same question may be answered otherwise in a moment, because a
// coordinator or leader is gone, has moved, or has just come.
func mayPass(err error) bool {
	var k *kerr.Error
	if !errors.As(err, &k) {
		return !tooOld(err) // no answer at all
	}
	switch k {
	case kerr.CoordinatorNotAvailable, kerr.CoordinatorLoadInProgress, kerr.NotCoordinator,
		kerr.NotLeaderForPartition, kerr.FencedLeaderEpoch, kerr.UnknownLeaderEpoch, kerr.ReplicaNotAvailable, kerr.OffsetNotAvailable, kerr.KafkaStorageError:
		return true
	}
	return false
}
