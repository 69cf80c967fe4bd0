package consume

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ErrNoConsumerProtocol means that the cluster does not have the group protocol
// that was asked for.
var ErrNoConsumerProtocol = errors.New("the cluster does not support the consumer group protocol (KIP-848)")

// checkProtocol asks for the consumer protocol before anything joins: the client
// library would join as a classic member where there is none.
func checkProtocol(ctx context.Context, cl *kgo.Client) error {
	resp, err := kmsg.NewPtrApiVersionsRequest().RequestWith(ctx, cl)
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	if err != nil {
		return fmt.Errorf("asking which protocols the brokers have: %w", err)
	}
	if !hasConsumerProtocol(resp) {
		return ErrNoConsumerProtocol
	}
	return nil
}

// hasConsumerProtocol: version 0 of the heartbeat was an early access of Kafka 3.7,
// and in later releases the feature may be turned off. Who tells of no features at
// all is believed by the version.
func hasConsumerProtocol(resp *kmsg.ApiVersionsResponse) bool {
	heartbeat := false
	for _, k := range resp.ApiKeys {
		heartbeat = heartbeat || k.ApiKey == kmsg.ConsumerGroupHeartbeat.Int16() && k.MaxVersion >= 1
	}
	levels := map[string]int16{}
	for _, f := range resp.FinalizedFeatures {
		levels[f.Name] = f.MaxVersionLevel
	}
	return heartbeat && (levels["metadata.version"] == 0 || levels["group.version"] > 0)
}

// RecreatedError means that the topic was deleted and created again while it was
// read. What is known of positions is of another log then, so nothing is committed.
type RecreatedError struct{ Topic string }

func (e *RecreatedError) Error() string {
	return fmt.Sprintf("topic %s was deleted and created again while it was read: the positions were those of the deleted topic, and are not committed", e.Topic)
}

// lookEvery is how often a consumer that reads nothing looks at its topic's id.
const lookEvery = 5 * time.Second

// lookAtID asks whether the topic still has the id that it had at the start. Else
// the library would ask for the old one for ever, and not always with an error.
func (c *consumer) lookAtID(ctx context.Context, topic string) error {
	if time.Since(c.lastLook) < time.Second {
		return nil
	}
	c.lastLook = time.Now()
	ctx, cancel := context.WithTimeout(ctx, stopLimit)
	defer cancel()
	topics, err := kadm.NewClient(c.admin).ListTopicsWithInternal(ctx, topic)
	if err != nil {
		return nil // it is asked again
	}
	if t := topics[topic]; t.Err == nil && t.ID != (kadm.TopicID{}) && t.ID != c.topicID {
		return &RecreatedError{topic}
	}
	return nil
}

// warnEvery is the least time between two warnings of one kind.
const warnEvery = time.Minute

// warn tells of something that may happen again and again, once a minute for each
// subject.
func (c *consumer) warn(subject, format string, args ...any) {
	c.mu.Lock()
	last, before := c.warned[subject]
	silent := before && time.Since(last) < warnEvery
	if !silent {
		c.warned[subject] = time.Now()
	}
	c.mu.Unlock()
	if !silent {
		c.event(Event{What: "warning", Text: fmt.Sprintf(format, args...)})
	}
}
