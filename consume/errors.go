package consume

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrNoTopic means that the topic does not exist.
var ErrNoTopic = errors.New("the topic does not exist")

// The exceptions that a Java consumer throws under the policy none.
const (
	NoOffsetForPartition = "NoOffsetForPartitionException"
	OffsetOutOfRange     = "OffsetOutOfRangeException"
	LogTruncation        = "LogTruncationException"
)

// TooLargeError is a batch whose records take more memory than the client allows:
// reading cannot go on by itself.
type TooLargeError struct {
	Topic     string
	Partition int32
	Offset    int64 // of its first record
	Next      int64 // behind its last record
	Limit     int   // the client's MaxDecompressBatchBytes
}

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("%s-%d: the batch at offset %d unpacks to more than %d bytes, or to more records than fit into four times that", e.Topic, e.Partition, e.Offset, e.Limit)
}

// PolicyError is how the policy none ends a consumer: under the name of the
// Java client's exception, with every partition concerned.
type PolicyError struct {
	Exception  string
	Partitions []InvalidPosition
}

// InvalidPosition is one partition without a valid position.
type InvalidPosition struct {
	Topic     string
	Partition int32
	// Position is where the consumer was; nil if it has none.
	Position *int64
	// LogStart and LogEnd are set where the position lies outside of them.
	LogStart, LogEnd int64
	// Divergence is where the log goes on differently; nil if unknown.
	Divergence *int64
}

func (e *PolicyError) Error() string {
	parts := make([]string, len(e.Partitions))
	for i, p := range e.Partitions {
		name := fmt.Sprintf("%s-%d", p.Topic, p.Partition)
		switch {
		case p.Position == nil:
			parts[i] = name
		case p.Divergence != nil:
			parts[i] = fmt.Sprintf("%s (position %d, the log diverges at %d)", name, *p.Position, *p.Divergence)
		default:
			parts[i] = fmt.Sprintf("%s (position %d, log %d to %d)", name, *p.Position, p.LogStart, p.LogEnd)
		}
	}
	why := map[string]string{
		NoOffsetForPartition: "no committed offset, and the policy none forbids to choose one",
		OffsetOutOfRange:     "the position is outside the log, and the policy none forbids to choose another",
		LogTruncation:        "the log was truncated below the position, and the policy none forbids to go on",
	}[e.Exception]
	return fmt.Sprintf("%s: %s: %s", e.Exception, why, strings.Join(parts, ", "))
}

func (e *PolicyError) sort() *PolicyError {
	slices.SortFunc(e.Partitions, func(a, b InvalidPosition) int {
		if c := strings.Compare(a.Topic, b.Topic); c != 0 {
			return c
		}
		return int(a.Partition - b.Partition)
	})
	return e
}
