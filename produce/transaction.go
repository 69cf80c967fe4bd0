package produce

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Transactions says how records are grouped into transactions. The zero value is
// none.
type Transactions struct {
	// ID is the transactional.id; another producer that uses it is fenced off.
	ID string
	// Records ends a transaction after so many records; 0 does not.
	Records int64
	// Duration ends a transaction so long after it began; 0 does not.
	Duration time.Duration
	// Timeout is transaction.timeout.ms: brokers abort what is open longer. 0 is
	// a minute, as of the Java client.
	Timeout time.Duration
	// Abort ends each transaction by aborting it.
	Abort bool
	// LeaveOpen does not end the last one.
	LeaveOpen bool
}

// timeout is the transaction timeout.
func (t Transactions) timeout() time.Duration {
	if t.Timeout > 0 {
		return t.Timeout
	}
	return time.Minute
}

func (t Transactions) validate() error {
	switch set := t.Records != 0 || t.Duration != 0 || t.Timeout != 0 || t.Abort || t.LeaveOpen; {
	case t.ID == "" && set:
		return errors.New("transactions need a transactional id (--transactional-id)")
	case t.Records < 0:
		return fmt.Errorf("a transaction of %d records: want 1 or more", t.Records)
	case t.Duration < 0:
		return fmt.Errorf("a transaction of %s: want more than nothing", t.Duration)
	case t.Timeout != 0 && t.Timeout < time.Second:
		return fmt.Errorf("a transaction timeout of %s: want at least 1s", t.Timeout)
	case t.Abort && t.LeaveOpen:
		return errors.New("to abort and to leave open exclude each other")
	}
	return nil
}

// TransactionSummary is what became of the transactions.
type TransactionSummary struct {
	ID        string `json:"transactional_id"`
	Committed int64  `json:"committed"`
	Aborted   int64  `json:"aborted"`
	Open      int64  `json:"open"`
	Unknown   int64  `json:"unknown"` // whose end was asked for and not confirmed
	// Records of each kind of end.
	CommittedRecords int64 `json:"committed_records"`
	AbortedRecords   int64 `json:"aborted_records"`
	OpenRecords      int64 `json:"open_records"`
	UnknownRecords   int64 `json:"unknown_records"`
}

// FencedError: the brokers do not take anything from this producer any more, and
// have aborted its transaction.
type FencedError struct {
	ID       string
	Records  int64         // of the transaction
	TimedOut time.Duration // the transaction's timeout, if that is why; else another producer took the id over
	Err      error
}

func (e *FencedError) Error() string {
	if e.TimedOut > 0 {
		return fmt.Sprintf("transactional id %s: the transaction was open for more than %s, and the brokers aborted it with its %d records", e.ID, e.TimedOut, e.Records)
	}
	return fmt.Sprintf("transactional id %s: another producer has taken it over (fenced), and the transaction of %d records was aborted", e.ID, e.Records)
}

func (e *FencedError) Unwrap() error { return e.Err }

// EndError: a transaction was to be ended, and no broker confirmed it.
type EndError struct {
	ID      string
	Records int64
	Abort   bool
	Err     error
}

func (e *EndError) Error() string {
	what := "committed"
	if e.Abort {
		what = "aborted"
	}
	return fmt.Sprintf("transactional id %s: it is not known whether the last transaction, of %d records, was %s: %v", e.ID, e.Records, what, e.Err)
}

func (e *EndError) Unwrap() error { return e.Err }

// transactor writes records in transactions.
type transactor struct {
	Transactions
	producer *kgo.Client
	// limited bounds what ends a transaction.
	limited func() (context.Context, context.CancelFunc)
	write   func(*kgo.Record)
	failed  func() error // of a record

	begun   time.Time // of the open transaction
	records int64     // in it
	open    bool
	summary TransactionSummary
}

// run writes the records until they end, one cannot be delivered, or ctx is done;
// then what is open is aborted.
func (x *transactor) run(ctx context.Context, records iter.Seq2[*kgo.Record, error]) error {
	type item struct {
		record *kgo.Record
		err    error
	}
	// Takes the id over from whoever used it before.
	if _, _, err := x.producer.ProducerID(ctx); err != nil {
		return fmt.Errorf("transactional id %s: %w", x.ID, err)
	}
	// A transaction also ends while no record comes.
	items, left := make(chan item), make(chan struct{})
	defer close(left)
	go func() {
		defer close(items)
		for r, err := range records {
			select {
			case items <- item{r, err}:
			case <-left:
				return
			}
		}
	}()
	var due <-chan time.Time
	for {
		var err error
		select {
		case it, more := <-items:
			switch {
			case ctx.Err() != nil:
				return x.end(dropped)
			case !more:
				return x.finish()
			case it.err != nil:
				return errors.Join(it.err, x.end(dropped))
			}
			if !x.open {
				if err := x.begin(); err != nil {
					return err
				}
				if x.Duration > 0 {
					due = time.After(x.Duration)
				}
			}
			x.write(it.record)
			x.records++
			if x.records == x.Records {
				err = x.end(x.wanted())
			}
		case <-due:
			err = x.end(x.wanted())
		case <-ctx.Done():
			return x.end(dropped)
		}
		if !x.open {
			due = nil
		}
		if err == nil && x.failed() != nil {
			err = x.end(dropped)
			if err == nil {
				err = x.explained(x.failed())
			}
		}
		if err != nil {
			return err
		}
	}
}

func (x *transactor) begin() error {
	if err := x.producer.BeginTransaction(); err != nil {
		return fmt.Errorf("beginning a transaction: %w", err)
	}
	x.open, x.begun, x.records = true, time.Now(), 0
	return nil
}

// finish ends the last transaction, or leaves it.
func (x *transactor) finish() error {
	if !x.open || !x.LeaveOpen {
		return x.end(x.wanted())
	}
	ctx, cancel := x.limited()
	defer cancel()
	err := errors.Join(x.producer.Flush(ctx), x.failed())
	x.open = false
	if err != nil {
		return x.explained(err)
	}
	x.summary.Open++
	x.summary.OpenRecords += x.records
	return nil
}

// ending is how a transaction ends.
type ending int

const (
	committed ending = iota
	aborted          // with all its records written
	dropped          // with what is written by now
)

// wanted is how transactions end while all goes well.
func (x *transactor) wanted() ending {
	if x.Abort {
		return aborted
	}
	return committed
}

// end ends the open transaction; one in which a record failed is aborted.
func (x *transactor) end(how ending) error {
	if !x.open {
		return nil
	}
	ctx, cancel := x.limited()
	defer cancel()
	x.open = false
	var lost error
	if how != dropped {
		if lost = errors.Join(x.producer.Flush(ctx), x.failed()); lost != nil {
			how = dropped
		}
	}
	if how == dropped {
		_ = x.producer.AbortBufferedRecords(ctx) // what is not sent yet does not have to be
	}
	abort := how != committed
	err := x.producer.EndTransaction(ctx, kgo.TransactionEndTry(!abort))
	switch {
	case fenced(err):
		x.summary.Aborted++
		x.summary.AbortedRecords += x.records
		return x.explained(errors.Join(lost, err))
	case err != nil:
		x.summary.Unknown++
		x.summary.UnknownRecords += x.records
		return &EndError{x.ID, x.records, abort, errors.Join(lost, err)}
	case abort:
		x.summary.Aborted++
		x.summary.AbortedRecords += x.records
	default:
		x.summary.Committed++
		x.summary.CommittedRecords += x.records
	}
	if lost != nil {
		return x.explained(lost)
	}
	return nil
}

// fenced: a later producer of the id has a newer epoch; so has the broker, when it
// aborts what timed out.
func fenced(err error) bool {
	return errors.Is(err, kerr.ProducerFenced) || errors.Is(err, kerr.InvalidProducerEpoch) || errors.Is(err, kerr.InvalidProducerIDMapping)
}

// explained says why brokers do not take what this producer writes.
func (x *transactor) explained(err error) error {
	if !fenced(err) {
		return err
	}
	e := &FencedError{ID: x.ID, Records: x.records, Err: err}
	if time.Since(x.begun) >= x.timeout() {
		e.TimedOut = x.timeout()
	}
	return e
}
