package consume

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Handler takes the records.
type Handler struct {
	// Record is called for each record, in order of its partition.
	Record func(*kgo.Record) error
	// Flush is called behind each batch of records; only what is flushed
	// counts as processed, and is ever committed.
	Flush func() error
}

// consumer is one run.
type consumer struct {
	Options
	admin  *kgo.Client // for questions; owned by the caller
	client *kgo.Client // for records
	// opened is closed when client is set: the group's goroutine starts with
	// the client, and calls back before its constructor returns.
	opened    chan struct{}
	own       context.Context // of client
	abandon   func()          // ends it
	unwatch   func() bool     // see open
	positions *positions
	read      int64
	idle      bool      // the last poll had no records
	failing   bool      // it had an error that goes on
	lastTick  time.Time // of the last commit
	lastRetry time.Time // of waiting partitions
	lastLook  time.Time // at the topic's id
	topicID   kadm.TopicID

	mu      sync.Mutex // guards the events, and:
	closing bool       // the final commit is done elsewhere
	waiting map[topicPartition]bool
	warned  map[string]time.Time // by subject
}

// pollWait is how long one poll may take; commits and limits are looked at in
// between.
const pollWait = 100 * time.Millisecond

// maxPoll is how many records are handled between two looks at commits, as in
// the Java client (max.poll.records).
const maxPoll = 500

// Run reads until the context is done or the options say enough, and then
// stops cleanly: it commits what was processed and leaves the group. It returns
// the number of records handled.
//
// Errors: the context's cause, [*PolicyError] under the policy none,
// [ErrNoTopic], [ErrNoConsumerProtocol], [*RecreatedError], [*TooLargeError], an error of the handler (then nothing is committed that was not
// flushed), or what a broker refused.
func Run(ctx context.Context, cl *kgo.Client, o Options, h Handler) (int64, error) {
	if err := o.Validate(); err != nil {
		return 0, err
	}
	c := &consumer{Options: o, admin: cl, opened: make(chan struct{}), positions: newPositions(), waiting: map[topicPartition]bool{}, warned: map[string]time.Time{}}
	partitions, err := c.wanted(ctx)
	if err != nil {
		return 0, err
	}
	if o.member() && o.ConsumerProtocol {
		if err := checkProtocol(ctx, cl); err != nil {
			return 0, err
		}
	}
	if o.member() {
		err = c.join(ctx)
	} else {
		err = c.assign(ctx, partitions)
	}
	if err != nil {
		return 0, err
	}
	c.lastTick, c.lastLook = time.Now(), time.Now()
	runErr := c.loop(ctx, h)
	var recreated *RecreatedError
	stopErr := c.stop(!errors.As(runErr, &recreated))
	return c.read, errors.Join(runErr, stopErr)
}

// join starts a member of the group.
func (c *consumer) join(ctx context.Context) error {
	opts := []kgo.Opt{
		kgo.ConsumerGroup(c.Group),
		kgo.ConsumeTopics(c.Topic),
		kgo.DisableAutoCommit(),
		kgo.BlockRebalanceOnPoll(),
		kgo.FetchIsolationLevel(c.isolation()),
		kgo.FetchMaxWait(500 * time.Millisecond),
		// Markers move the position, as they do in the Java client.
		kgo.KeepControlRecords(),
		// Never let the library choose an offset.
		kgo.ConsumeResetOffset(kgo.NewOffset().AtCommitted()),
		kgo.AdjustFetchOffsetsFn(c.adjust),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, added map[string][]int32) {
			if len(added) == 0 {
				c.positions.adopt(nil, nil, nil)
			}
		}),
		kgo.OnPartitionsRevoked(c.revoked),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, lost map[string][]int32) {
			c.drop(lost)
			c.event(Event{What: "lost", Positions: named(lost)})
		}),
	}
	if c.ConsumerProtocol {
		opts = append(opts, kgo.ServerSideBalancer())
	} else {
		// The Java client's default, so that both can share a group.
		opts = append(opts, kgo.Balancers(kgo.RangeBalancer(), kgo.CooperativeStickyBalancer()))
	}
	if c.SessionTimeout > 0 {
		opts = append(opts, kgo.SessionTimeout(c.SessionTimeout), kgo.HeartbeatInterval(min(3*time.Second, c.SessionTimeout/3)))
	}
	if c.InstanceID != "" {
		opts = append(opts, kgo.InstanceID(c.InstanceID))
	}
	return c.open(ctx, opts...)
}

// assign starts reading partitions without membership.
func (c *consumer) assign(ctx context.Context, partitions []int32) error {
	committed, err := c.committed(ctx, partitions)
	if err != nil {
		return err
	}
	if c.Offset != nil {
		for tp := range committed {
			committed[tp] = kgo.EpochOffset{Epoch: -1, Offset: *c.Offset}
		}
	}
	from, err := c.start(ctx, committed)
	if err != nil {
		return err
	}
	consume := map[string]map[int32]kgo.Offset{c.Topic: {}}
	for tp, at := range from {
		consume[c.Topic][tp.partition] = kgo.NewOffset().At(at.Offset).WithEpoch(at.Epoch)
	}
	err = c.open(ctx,
		kgo.ConsumePartitions(consume),
		kgo.FetchIsolationLevel(c.isolation()),
		kgo.FetchMaxWait(500*time.Millisecond),
		kgo.KeepControlRecords(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtCommitted()),
	)
	if err != nil {
		return err
	}
	c.pauseWaiting()
	c.event(Event{What: "assigned", Positions: list(c.positions.all())})
	return nil
}

// adjust is called with the commits of newly assigned partitions, and returns
// where to start.
func (c *consumer) adjust(ctx context.Context, offsets map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	committed := map[topicPartition]kgo.EpochOffset{}
	for topic, partitions := range offsets {
		for partition, o := range partitions {
			committed[topicPartition{topic, partition}] = o.EpochOffset()
		}
	}
	from, err := c.start(ctx, committed)
	if err != nil {
		return nil, err
	}
	for tp, at := range from {
		offsets[tp.topic][tp.partition] = kgo.NewOffset().At(at.Offset).WithEpoch(at.Epoch)
	}
	<-c.opened
	c.pauseWaiting()
	// Partitions that wait have no position, whatever the client library needs.
	for topic, partitions := range c.waitingPartitions() {
		for _, p := range partitions {
			delete(from, topicPartition{topic, p})
		}
	}
	c.event(Event{What: "assigned", Positions: list(from)})
	return offsets, nil
}

// revoked commits before another member takes the partitions over.
func (c *consumer) revoked(ctx context.Context, _ *kgo.Client, lost map[string][]int32) {
	c.mu.Lock()
	closing := c.closing
	c.mu.Unlock()
	if !closing && c.commits() {
		if err := c.commit(ctx); err != nil {
			c.warn("commit before a rebalance", "commit before a rebalance failed: %v", err)
		}
	}
	c.drop(lost)
	if len(lost) > 0 {
		c.event(Event{What: "revoked", Positions: named(lost)})
	}
}

func (c *consumer) loop(ctx context.Context, h Handler) error {
	for {
		if err := c.tick(ctx); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if c.ExitAtEnd && c.positions.reached() {
			return nil
		}
		done, err := c.poll(ctx, h)
		if err != nil || done {
			return err
		}
	}
}

// poll takes and handles one batch. It is done when MaxMessages is reached.
func (c *consumer) poll(ctx context.Context, h Handler) (done bool, err error) {
	pollCtx, cancel := context.WithTimeout(ctx, pollWait)
	defer cancel()
	limit := maxPoll
	if c.MaxMessages > 0 {
		limit = int(min(maxPoll, c.MaxMessages-c.read))
	}
	c.failing = false
	fetches := c.client.PollRecords(pollCtx, limit)
	defer c.client.AllowRebalance()
	processed := map[topicPartition]kgo.EpochOffset{}
	// Errors are looked at behind the records: those came first.
	defer func() {
		if err == nil {
			err = c.fetchErrors(ctx, fetches)
		}
		c.idle = fetches.NumRecords() == 0
		if err == nil && c.failing && c.idle {
			<-pollCtx.Done() // the library reports the same again at once
		}
	}()
	var failure error
	fetches.EachRecord(func(r *kgo.Record) {
		if failure != nil || ctx.Err() != nil {
			return
		}
		if !r.Attrs.IsControl() {
			if failure = h.Record(r); failure != nil {
				return
			}
			c.read++
		}
		processed[topicPartition{r.Topic, r.Partition}] = kgo.EpochOffset{Epoch: r.LeaderEpoch, Offset: r.Offset + 1}
	})
	if flushErr := h.Flush(); flushErr != nil {
		return false, errors.Join(failure, flushErr)
	}
	for tp, at := range processed {
		c.positions.advance(tp, at)
	}
	return c.MaxMessages > 0 && c.read >= c.MaxMessages, failure
}

// fetchErrors deals with what a poll reported beside records.
func (c *consumer) fetchErrors(ctx context.Context, fetches kgo.Fetches) error {
	var fatal error
	fetches.EachError(func(topic string, partition int32, err error) {
		if fatal == nil {
			fatal = c.fetchError(ctx, topicPartition{topic, partition}, err)
		}
	})
	return fatal
}

func (c *consumer) fetchError(ctx context.Context, tp topicPartition, err error) error {
	var policy *PolicyError
	var loss *kgo.ErrDataLoss
	var session *kgo.ErrGroupSession
	var tooLarge *kgo.ErrDecompressTooLarge
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled), errors.Is(err, kgo.ErrClientClosed):
		return nil // the poll's own limit, or the loop sees it
	case errors.As(err, &policy):
		return policy
	case errors.As(err, &tooLarge):
		limit, _ := c.client.OptValue(kgo.MaxDecompressBatchBytes).(int)
		return &TooLargeError{Topic: tp.topic, Partition: tp.partition, Offset: tooLarge.Offset, Next: tooLarge.NextOffset, Limit: limit}
	case errors.As(err, &loss):
		return c.truncated(tp, loss)
	case errors.Is(err, kerr.OffsetOutOfRange):
		return c.outOfRange(ctx, tp)
	case errors.As(err, &session):
		if kerr.IsRetriable(session.Err) || isTransient(session.Err) {
			c.warn("group session", "group session: %v", session.Err)
			return nil
		}
		return fmt.Errorf("group %s: %w", c.Group, session.Err)
	case errors.Is(err, kerr.TopicAuthorizationFailed), errors.Is(err, kerr.GroupAuthorizationFailed):
		return fmt.Errorf("%s-%d: %w", tp.topic, tp.partition, err)
	}
	c.warn(tp.topic, "%s-%d: %v", tp.topic, tp.partition, err)
	if errors.Is(err, kerr.UnknownTopicID) {
		if err := c.lookAtID(ctx, tp.topic); err != nil {
			return err
		}
	}
	c.failing = true
	return nil
}

// isTransient: the library joins again by itself.
func isTransient(err error) bool {
	var k *kerr.Error
	if !errors.As(err, &k) {
		return true // a connection, not a refusal
	}
	return errors.Is(err, kerr.UnknownMemberID) || errors.Is(err, kerr.IllegalGeneration) || errors.Is(err, kerr.RebalanceInProgress) || errors.Is(err, kerr.StaleMemberEpoch) || errors.Is(err, kerr.FencedMemberEpoch)
}

// truncated: the log was cut below the position. No policy but none has a say.
func (c *consumer) truncated(tp topicPartition, loss *kgo.ErrDataLoss) error {
	if c.Policy == None() {
		return &PolicyError{Exception: LogTruncation, Partitions: []InvalidPosition{{
			Topic: tp.topic, Partition: tp.partition, Position: &loss.ConsumedTo, Divergence: &loss.ResetTo,
		}}}
	}
	at := kgo.EpochOffset{Epoch: loss.ResetToEpoch, Offset: loss.ResetTo}
	c.positions.advance(tp, at)
	c.event(Event{What: "truncated", Positions: list(map[topicPartition]kgo.EpochOffset{tp: at}), Text: fmt.Sprintf("the log was truncated below position %d", loss.ConsumedTo)})
	return nil
}

// outOfRange: the log start moved past a running consumer, or the log was cut.
// The library would ask for the same offset some ten thousand times a second.
func (c *consumer) outOfRange(ctx context.Context, tp topicPartition) error {
	at, ours := c.positions.get(tp)
	if !ours {
		return nil
	}
	at.Epoch = -1
	from, err := c.start(ctx, map[topicPartition]kgo.EpochOffset{tp: at})
	if err != nil {
		return err
	}
	c.client.SetOffsets(map[string]map[int32]kgo.EpochOffset{tp.topic: {tp.partition: from[tp]}})
	c.pauseWaiting()
	return nil
}

func (c *consumer) event(e Event) {
	if c.Events == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.Events(e)
}

func named(partitions map[string][]int32) []Position {
	at := map[topicPartition]kgo.EpochOffset{}
	for topic, ps := range partitions {
		for _, p := range ps {
			at[topicPartition{topic, p}] = kgo.EpochOffset{Epoch: -1, Offset: -1}
		}
	}
	return list(at)
}
