// Package produce writes records to a topic and tells where they went.
package produce

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Options says how to write.
type Options struct {
	Topic string
	// Partition writes all records to one partition; nil lets the key decide,
	// as the Java client does (murmur2; without a key, batch by batch).
	Partition *int32
	// Acks is all, 1 or 0.
	Acks string
	// Compression is none, gzip, snappy, lz4 or zstd.
	Compression string
	// DisableIdempotence allows duplicates on retries. Acks other than all
	// need it.
	DisableIdempotence bool
	// Delivery bounds how long one record may take.
	Delivery time.Duration
	// Transactions, if it has an id, groups the records into transactions.
	Transactions Transactions
	// Delivered, if set, is called for every record that a broker has
	// acknowledged, one call at a time.
	Delivered func(*kgo.Record)
}

// PartitionSummary is what one partition got.
type PartitionSummary struct {
	Topic       string `json:"topic"`
	Partition   int32  `json:"partition"`
	Records     int64  `json:"records"`
	FirstOffset int64  `json:"first_offset"`
	LastOffset  int64  `json:"last_offset"`
}

// Summary is what was acknowledged.
type Summary struct {
	Topic      string
	Records    int64
	Partitions []PartitionSummary // sorted
	// Transactions is nil without a transactional id.
	Transactions *TransactionSummary
}

// ErrNoTopic means that the topic does not exist. Nothing was written.
var ErrNoTopic = errors.New("the topic does not exist")

// DeliveryError: a record was not delivered.
type DeliveryError struct {
	Record  int64 // the first one's number, from 1: of lines, the line
	Lost    int64 // how many were not delivered
	Written int64 // how many were, before and after it
	// Largest is the number of the largest of them: brokers refuse a batch for it.
	Largest int64
	Size    int // its bytes of key and value
	Err     error
}

func (e *DeliveryError) Error() string {
	if e.Lost > 1 {
		return fmt.Sprintf("record %d and %d more were not delivered: %v; %d others were written", e.Record, e.Lost-1, e.Err, e.Written)
	}
	return fmt.Sprintf("record %d was not delivered: %v; %d others were written", e.Record, e.Err, e.Written)
}

func (e *DeliveryError) Unwrap() error { return e.Err }

// CompressionNames are the values of [Options.Compression].
func CompressionNames() []string { return []string{"none", "gzip", "snappy", "lz4", "zstd"} }

// leastDelivery is the shortest delivery timeout that the client accepts.
const leastDelivery = time.Second

func (o Options) clientOptions() ([]kgo.Opt, error) {
	codecs := map[string]kgo.CompressionCodec{
		"": kgo.NoCompression(), "none": kgo.NoCompression(), "gzip": kgo.GzipCompression(),
		"snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}
	codec, ok := codecs[o.Compression]
	if !ok {
		return nil, fmt.Errorf("unknown compression %q: want %s", o.Compression, strings.Join(CompressionNames(), ", "))
	}
	opts := []kgo.Opt{kgo.ProducerBatchCompression(codec), kgo.RecordDeliveryTimeout(max(o.Delivery, leastDelivery)), kgo.ProducerLinger(time.Millisecond)}
	switch o.Acks {
	case "", "all", "-1":
	case "1":
		opts = append(opts, kgo.RequiredAcks(kgo.LeaderAck()))
	case "0":
		opts = append(opts, kgo.RequiredAcks(kgo.NoAck()))
	default:
		return nil, fmt.Errorf("unknown acks %q: want all, 1 or 0", o.Acks)
	}
	if o.DisableIdempotence {
		opts = append(opts, kgo.DisableIdempotentWrite())
	} else if o.Acks == "0" || o.Acks == "1" {
		return nil, fmt.Errorf("acks %s needs --no-idempotence: only acks all is without duplicates", o.Acks)
	}
	if err := o.Transactions.validate(); err != nil {
		return nil, err
	}
	if id := o.Transactions.ID; id != "" {
		if o.DisableIdempotence {
			return nil, errors.New("transactions need idempotence, and --acks all")
		}
		opts = append(opts, kgo.TransactionalID(id), kgo.TransactionTimeout(o.Transactions.timeout()))
	}
	if o.Partition != nil {
		opts = append(opts, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	}
	return opts, nil
}

// Validate says what is wrong with the options, before anything is connected.
func (o Options) Validate() error {
	_, err := o.clientOptions()
	return err
}

// Run writes the records until they end, one cannot be delivered, or the
// context is done; then it waits for what is on its way. The summary is right
// in every case. Its topic is never created by accident: see [Create].
//
// cl is an open client whose connection options are used for the writing one.
func Run(ctx context.Context, cl *kgo.Client, o Options, records iter.Seq2[*kgo.Record, error]) (Summary, error) {
	opts, err := o.clientOptions()
	if err != nil {
		return Summary{Topic: o.Topic}, err
	}
	if err := checkTopic(ctx, cl, o); err != nil {
		return Summary{Topic: o.Topic}, err
	}
	producer, err := kgo.NewClient(append(cl.Opts(), opts...)...)
	if err != nil {
		return Summary{Topic: o.Topic}, err
	}
	defer producer.Close()
	t := &tally{byPartition: map[int32]*PartitionSummary{}, delivered: o.Delivered}
	// Records on their way outlive an interrupt: they may arrive anyway, and
	// the summary shall say so. Their own limit is Delivery, or stopLimit.
	background, abandon := context.WithCancel(context.WithoutCancel(ctx))
	defer abandon()
	stopping := context.AfterFunc(ctx, func() {
		timer := time.AfterFunc(stopLimit, abandon)
		context.AfterFunc(background, func() { timer.Stop() })
	})
	defer stopping()
	n := int64(0)
	write := func(r *kgo.Record) {
		r.Topic = o.Topic
		if o.Partition != nil {
			r.Partition = *o.Partition
		}
		n++
		number := n
		producer.Produce(background, r, func(r *kgo.Record, err error) { t.done(number, r, err) })
	}
	if o.Transactions.ID != "" {
		x := transactor{Transactions: o.Transactions, producer: producer, write: write, failed: t.failed,
			summary: TransactionSummary{ID: o.Transactions.ID},
			limited: func() (context.Context, context.CancelFunc) {
				return context.WithTimeout(background, max(o.Delivery, leastDelivery))
			}}
		err := x.run(ctx, records)
		summary := t.summary(o.Topic)
		summary.Transactions = &x.summary
		if ctx.Err() != nil {
			err = errors.Join(context.Cause(ctx), err)
		}
		return summary, err
	}
	err = func() error {
		for r, err := range records {
			if err != nil {
				return err
			}
			if ctx.Err() != nil || t.failed() != nil {
				break
			}
			write(r)
		}
		return nil
	}()
	flushErr := producer.Flush(background)
	if ctx.Err() != nil {
		err = errors.Join(err, context.Cause(ctx))
		if flushErr != nil {
			summary := t.summary(o.Topic)
			return summary, errors.Join(err, fmt.Errorf("%d records were not acknowledged within %s: they may have been written", n-summary.Records, stopLimit))
		}
	}
	return t.summary(o.Topic), errors.Join(err, t.failed(), flushErr)
}

// stopLimit bounds how long records that are on their way are waited for when a
// stop is asked for.
const stopLimit = 3 * time.Second

func checkTopic(ctx context.Context, cl *kgo.Client, o Options) error {
	topics, err := kadm.NewClient(cl).ListTopicsWithInternal(ctx, o.Topic)
	if err != nil {
		return err
	}
	t := topics[o.Topic]
	if errors.Is(t.Err, kerr.UnknownTopicOrPartition) {
		return fmt.Errorf("%s: %w", o.Topic, ErrNoTopic)
	}
	if t.Err != nil {
		return fmt.Errorf("topic %s: %w", o.Topic, t.Err)
	}
	if t.IsInternal {
		return fmt.Errorf("%s is an internal topic, which only brokers write", o.Topic)
	}
	if o.Partition != nil {
		if _, ok := t.Partitions[*o.Partition]; !ok {
			return fmt.Errorf("topic %s has no partition %d, only %d partitions", o.Topic, *o.Partition, len(t.Partitions))
		}
	}
	return nil
}

// Create creates the topic if it does not exist, and returns when its
// partitions have leaders. replication -1 takes the broker's default.
func Create(ctx context.Context, cl *kgo.Client, topic string, partitions int32, replication int16) error {
	adm := kadm.NewClient(cl)
	if _, err := adm.CreateTopic(ctx, partitions, replication, nil, topic); err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
		return fmt.Errorf("creating topic %s: %w", topic, err)
	}
	for {
		topics, err := adm.ListTopicsWithInternal(ctx, topic)
		if err == nil && topics[topic].Err == nil && len(topics[topic].Partitions) > 0 && led(topics[topic]) {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func led(t kadm.TopicDetail) bool {
	for _, p := range t.Partitions {
		if p.Leader < 0 {
			return false
		}
	}
	return true
}

// tally counts acknowledged records.
type tally struct {
	delivered func(*kgo.Record)

	mu          sync.Mutex
	byPartition map[int32]*PartitionSummary
	written     int64          // acknowledged
	lost        int64          // failed
	err         *DeliveryError // of the first that failed
}

func (t *tally) done(number int64, r *kgo.Record, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		if t.err == nil || number < t.err.Record {
			largest, size := int64(0), -1
			if t.err != nil {
				largest, size = t.err.Largest, t.err.Size
			}
			t.err = &DeliveryError{Record: number, Largest: largest, Size: size, Err: err}
		}
		t.lost++
		if size := len(r.Key) + len(r.Value); size > t.err.Size {
			t.err.Largest, t.err.Size = number, size
		}
		return
	}
	p := t.byPartition[r.Partition]
	if p == nil {
		p = &PartitionSummary{Topic: r.Topic, Partition: r.Partition, FirstOffset: r.Offset}
		t.byPartition[r.Partition] = p
	}
	p.Records++
	t.written++
	p.FirstOffset = min(p.FirstOffset, r.Offset)
	p.LastOffset = max(p.LastOffset, r.Offset)
	if t.delivered != nil {
		t.delivered(r)
	}
}

func (t *tally) failed() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err == nil {
		return nil
	}
	e := *t.err
	e.Written, e.Lost = t.written, t.lost
	return &e
}

func (t *tally) summary(topic string) Summary {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := Summary{Topic: topic}
	for _, p := range t.byPartition {
		s.Records += p.Records
		s.Partitions = append(s.Partitions, *p)
	}
	slices.SortFunc(s.Partitions, func(a, b PartitionSummary) int { return int(a.Partition - b.Partition) })
	return s
}
