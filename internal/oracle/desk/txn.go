package desk

import (
	"context"
	"fmt"
	"time"
)

// Txn is a transactional producer.
type Txn struct{ client }

// Txn makes a transactional producer; that fences earlier ones of the same id,
// and aborts what they left open. The timeout is how long the coordinator lets
// a transaction be open.
func (d *Desk) Txn(ctx context.Context, id string, timeout time.Duration) (*Txn, error) {
	t := &Txn{client{desk: d}}
	if err := d.call(ctx, "txn", values{"transactional_id": id, "timeout": millis(timeout)}, &t.handle); err != nil {
		return nil, fmt.Errorf("transactional id %s: %w", id, err)
	}
	return t, nil
}

// Begin begins a transaction.
func (t *Txn) Begin(ctx context.Context) error { return t.call(ctx, "begin", nil, nil) }

// Send writes records and returns them with their offsets.
func (t *Txn) Send(ctx context.Context, records ...Record) ([]Record, error) {
	var sent []Record
	err := t.call(ctx, "send", values{"records": list(records)}, &sent)
	for i := range min(len(sent), len(records)) {
		sent[i].Key, sent[i].Value = records[i].Key, records[i].Value
	}
	return sent, err
}

// SendOffsets commits offsets of a group within the transaction.
func (t *Txn) SendOffsets(ctx context.Context, group string, offsets ...Offset) error {
	return t.call(ctx, "sendOffsets", values{"group": group, "offsets": list(offsets)}, nil)
}

// Commit commits the transaction.
func (t *Txn) Commit(ctx context.Context) error { return t.call(ctx, "commitTxn", nil, nil) }

// Abort aborts the transaction.
func (t *Txn) Abort(ctx context.Context) error { return t.call(ctx, "abortTxn", nil, nil) }

// Close closes the producer.
func (t *Txn) Close(ctx context.Context) error { return t.call(ctx, "close", nil, nil) }

// Abandon closes the producer and leaves its transaction open, until the
// coordinator aborts it after its timeout.
func (t *Txn) Abandon(ctx context.Context) error { return t.call(ctx, "abandon", nil, nil) }
