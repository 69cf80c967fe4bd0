package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"offsets/consume"
	"offsets/inspect"
	"offsets/inspect/commitlog/segment"
	"offsets/internal/connect"
	"offsets/internal/render"
	"offsets/produce"
	"offsets/reset"
)

// Exit codes. Scripts rely on them.
const (
	exitDone        = 0
	exitFailed      = 1 // nothing useful was got
	exitUsage       = 2 // the call itself is wrong
	exitCondition   = 3 // the condition asked for does not hold
	exitRefused     = 4 // it would be unsafe
	exitPartial     = 5 // some could not be read or written
	exitInterrupted = 130
)

// precedence decides between several errors: the earlier code wins. A write
// that happened in part is 5 whatever else went wrong.
func precedence() []int {
	return []int{exitInterrupted, exitUsage, exitRefused, exitFailed, exitCondition, exitPartial}
}

// errNoReceipt: there is nothing that undo could go by.
var errNoReceipt = errors.New("no receipt of a change")

var errInterrupted = errors.New("interrupted")

// usageError is a call that cannot be understood or carried out as it stands.
type usageError struct {
	Message    string
	Hint       string
	Suggestion suggestion // a hint with a command to be typed next
}

func (e *usageError) Error() string { return e.Message }

func usagef(format string, args ...any) *usageError {
	return &usageError{Message: fmt.Sprintf(format, args...)}
}

// partialWriteError: something was written before it failed.
type partialWriteError struct{ Err error }

func (e *partialWriteError) Error() string { return e.Err.Error() }
func (e *partialWriteError) Unwrap() error { return e.Err }

// timeoutError is the cause of a context whose --timeout is over.
type timeoutError struct {
	after time.Duration
	less  string // what would take less time; "" for nothing
}

func (e *timeoutError) Error() string { return fmt.Sprintf("timed out after %s", e.after) }

// hint is what to do about it.
func (e *timeoutError) hint() string {
	if e.less != "" {
		return "give it more time with --timeout; " + e.less
	}
	return "give it more time with --timeout, or see with --verbose what it waits for"
}

// defaultBrokerError: nothing at the address that nobody asked for.
type defaultBrokerError struct{ Err error }

func (e *defaultBrokerError) Error() string { return e.Err.Error() }
func (e *defaultBrokerError) Unwrap() error { return e.Err }

// diagnosis is an error as the user gets it.
type diagnosis struct {
	Kind    string  `json:"kind"`
	Message string  `json:"message"`
	Hint    *string `json:"hint"`

	lines        []string   // which Message is, for people
	suggestion   suggestion // which Hint is
	code         int
	partialWrite bool
}

// diagnose maps one error to what is said about it and to its exit code. It is
// the only place that does.
func diagnose(err error) diagnosis {
	d := diagnosis{Kind: "failed", Message: err.Error(), lines: linesOf(err), code: exitFailed}
	advise := func(s suggestion) { text := s.String(); d.Hint, d.suggestion = &text, s }
	hint := func(format string, args ...any) { advise(suggestion{text: fmt.Sprintf(format, args...)}) }
	var (
		usage       *usageError
		config      *connect.ConfigError
		partial     *partialError
		timeout     *timeoutError
		unreachable *connect.UnreachableError
		byDefault   *defaultBrokerError
		silent      *connect.SilentError
		written     *partialWriteError
		policy      *consume.PolicyError
		recreated   *consume.RecreatedError
		refused     *reset.RefusedError
		incomplete  *reset.IncompleteError
		verify      *verifyError
		receipt     *reset.ReceiptError
		unsafe      *reset.UnsafeError
		condition   *conditionError
		undelivered *produce.DeliveryError
		fenced      *produce.FencedError
		differs     *liveError
		tooLarge    *consume.TooLargeError
		unpacked    *segment.TooLargeError
		inUse       *addressInUseError
	)
	switch {
	case errors.As(err, &written):
		if d = diagnose(written.Err); d.code != exitInterrupted {
			d.code, d.partialWrite = exitPartial, true
		}
	case errors.Is(err, errInterrupted):
		d.Kind, d.code = "interrupted", exitInterrupted
	case errors.As(err, &usage):
		d.Kind, d.code = "usage", exitUsage
		switch {
		case usage.Hint != "":
			hint("%s", usage.Hint)
		case usage.Suggestion != (suggestion{}):
			advise(usage.Suggestion)
		}
	case errors.As(err, &config):
		d.Kind, d.code = "usage", exitUsage
		hint("keys that are not supported are refused, so that none is silently ignored: remove them, or give a file of their own")
	case errors.As(err, &refused):
		d.Kind, d.code = "refused", exitRefused
		for _, why := range refused.Why {
			if why.Code == reset.CodeShareTopics && why.Topic != nil {
				advise(suggest("to delete all start offsets of the group on this topic", "delete", groupWord(refused.Group), "--topic", valueWord(*why.Topic, "TOPIC")))
				break
			}
		}
		if refused.Members {
			hint("stop them, and --wait-empty 5m makes the change as soon as they are gone; a crashed or static member stays until its session ends (--remove-static ID removes a static one)")
		}
	case errors.As(err, &incomplete):
		switch d.partialWrite = incomplete.Written+incomplete.Unknown > 0; {
		case incomplete.Unknown > 0:
			d.Kind = "unknown_outcome"
			advise(suggest("it may still come into effect late, with Kafka before 4.0 even when the coordinator moves some day. When the brokers are well again, the same change again makes sure of what was wanted; to make sure of what was there before", "undo", groupWord(incomplete.Group)))
		case d.partialWrite:
			advise(suggest("the rows say which, and why. A new plan shows what is left, where a shift would count from where they are now; to put back what was written", "undo", groupWord(incomplete.Group)))
		}
	case errors.As(err, &verify):
		d.Kind, d.code, d.partialWrite = "not_verified", exitPartial, true
		if verify.verified != reset.Overwritten {
			advise(suggest("to see what is committed now", "describe", groupWord(verify.group)))
		}
	case errors.As(err, &condition):
		d.Kind, d.code = "condition", exitCondition
	case errors.As(err, &differs):
		d.Kind, d.code = "condition", exitCondition
		hint("a record that is not there (compaction, a marker) makes the first offset a later one; else please report it")
	case errors.As(err, &receipt):
		d.Kind = "receipt"
		if errors.As(err, &unsafe) {
			advise(mend("nothing was changed. --receipt FILE writes it elsewhere; --no-receipt does without, and then there is no undo", unsafe))
			break
		}
		hint("nothing was changed. --receipt FILE writes it elsewhere (or set OFFSETS_STATE_DIR); --no-receipt does without a way back")
	case errors.As(err, &unsafe):
		d.Kind, d.code = "refused", exitRefused
		advise(mend("whoever wrote it decides what undo puts back. Look at the receipts; --receipt FILE names the one that you trust", unsafe))
	case errors.Is(err, errNoReceipt):
		d.Kind = "no_receipt"
		hint("'offsets undo --list' shows the receipts there are; --receipt FILE names one; 'offsets history' shows what was committed before")
	case errors.Is(err, reset.ErrNoFolder):
		d.Kind = "no_receipt"
		const why = ": neither HOME nor the system says where this user's home is"
		d.Message += why
		d.lines[len(d.lines)-1] += why
		hint("set OFFSETS_STATE_DIR (or XDG_STATE_HOME) to an absolute path, or name a receipt with --receipt FILE")
	case errors.Is(err, reset.ErrFuture):
		d.Kind, d.code = "usage", exitUsage
	case errors.Is(err, reset.ErrNothingSelected):
		d.Kind, d.code = "usage", exitUsage
	case errors.As(err, &inUse):
		d.Kind = "address_in_use"
		hint("something listens there already: --listen 127.0.0.1:0 takes a free port")
	case errors.As(err, &tooLarge):
		d.Kind = "batch_too_large"
		hint("--max-batch-bytes SIZE allows more (memory for it is needed several times over); --partition %d --offset %d reads what comes behind it", tooLarge.Partition, tooLarge.Next)
	case errors.As(err, &partial):
		d.Kind, d.code = "partial", exitPartial
		for _, p := range partial.Problems {
			if errors.As(p.Err, &timeout) {
				hint("%s", timeout.hint())
			}
			if errors.As(p.Err, &unpacked) {
				hint("--max-batch-bytes SIZE allows more (memory for it is needed several times over)")
			}
		}
	case errors.As(err, &unreachable):
		d.Kind = "unreachable"
		hint("is the address right (--bootstrap-server), does the broker run, and is it reachable from here?")
		if unreachable.Refused() {
			hint("user and password are in sasl.jaas.config, and sasl.mechanism must be one that the broker has the user for")
		}
		if errors.As(err, &byDefault) {
			hint("nobody named a broker, so the default was tried. Name one with --bootstrap-server or OFFSETS_BOOTSTRAP_SERVER; without a Kafka at hand, 'offsets sandbox' starts one")
		}
	case errors.As(err, &silent):
		d.Kind = "timeout"
		hint("does the cluster still run? --timeout says how long to wait for an answer")
	case errors.As(err, &policy):
		d.Kind = "no_position"
		hint("'offsets policy' shows what each policy would do; 'offsets reset' sets a position")
	case errors.As(err, &recreated):
		hint("start it again: it begins where the group has committed, else where --auto-offset-reset says")
	case errors.Is(err, consume.ErrNoConsumerProtocol):
		hint("--group-protocol classic joins as a classic member; the consumer protocol came with Kafka 4.0")
	case errors.As(err, &fenced):
		d.Kind = "fenced"
		hint("producers that run at the same time need transactional ids of their own")
		if fenced.TimedOut > 0 {
			hint("commit more often (--transaction-records, --transaction-duration), or give it more time with --transaction-timeout")
		}
	case errors.As(err, &undelivered):
		d.Kind = "not_delivered"
		if errors.Is(err, kerr.MessageTooLarge) {
			hint("record %d has %d bytes: more than a producer's batch may have (1 MB), or the topic's max.message.bytes. Records are numbered from 1, as lines are; a batch is refused as a whole, and later records may have been written", undelivered.Largest, undelivered.Size)
		}
	case errors.Is(err, reset.ErrNoTopic):
		d.Kind = "unknown_topic"
	case errors.Is(err, produce.ErrNoTopic), errors.Is(err, consume.ErrNoTopic):
		d.Kind = "unknown_topic"
		hint("topics are never created by accident: is the name right? 'offsets produce TOPIC --create' makes one")
	case errors.As(err, &timeout), errors.Is(err, context.DeadlineExceeded):
		d.Kind = "timeout"
		if timeout == nil {
			timeout = &timeoutError{}
		}
		hint("%s", timeout.hint())
	case errors.Is(err, inspect.ErrUnknownGroup):
		d.Kind = "unknown_group"
		hint("'offsets list' shows the groups there are")
	case errors.Is(err, kerr.UnknownTopicOrPartition):
		d.Kind = "unknown_topic"
	case isNotAuthorized(err):
		d.Kind = "not_authorized"
		hint("this user lacks a right (ACL) for it")
	}
	return d
}

// mend is what makes a folder or a file this user's alone.
func mend(first string, e *reset.UnsafeError) suggestion {
	switch {
	case e.ByMode:
		return suggestTool(first+". So that nobody else can write it", "chmod", "go-w", fileWord(e.Path))
	case e.Folder:
		return suggestion{first + ". Or set OFFSETS_STATE_DIR to a folder of your own", ""}
	}
	return suggestTool(first+". To remove it", "rm", fileWord(e.Path))
}

func isNotAuthorized(err error) bool {
	for _, k := range []error{kerr.TopicAuthorizationFailed, kerr.GroupAuthorizationFailed, kerr.ClusterAuthorizationFailed, kerr.TransactionalIDAuthorizationFailed} {
		if errors.Is(err, k) {
			return true
		}
	}
	return false
}

// decide picks the exit code of several errors.
func decide(found []diagnosis) int {
	if len(found) == 0 {
		return exitDone
	}
	if slices.ContainsFunc(found, func(d diagnosis) bool { return d.partialWrite }) {
		return exitPartial
	}
	for _, code := range precedence() {
		if slices.ContainsFunc(found, func(d diagnosis) bool { return d.code == code }) {
			return code
		}
	}
	return exitFailed
}

// split takes joined errors apart.
func split(err error) []error {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []error
		for _, e := range joined.Unwrap() {
			all = append(all, split(e)...)
		}
		return all
	}
	return []error{err}
}

// linesOf is an error for people. It has several lines only where several errors
// were joined: a line break in a name must not begin a line that looks like one of
// this program's.
func linesOf(err error) []string {
	text := err.Error()
	switch u := err.(type) {
	case *partialError:
		var lines []string
		for _, line := range u.lines() {
			lines = append(lines, render.Printable(line))
		}
		return lines
	case interface{ Unwrap() []error }:
		var lines, texts []string
		for _, e := range u.Unwrap() {
			lines, texts = append(lines, linesOf(e)...), append(texts, e.Error())
		}
		if text == strings.Join(texts, "\n") {
			return lines
		}
	case interface{ Unwrap() error }:
		inner := u.Unwrap()
		if inner == nil {
			break
		}
		before, after, found := strings.Cut(text, inner.Error())
		if !found {
			break
		}
		lines := linesOf(inner)
		lines[0] = render.Printable(before) + lines[0]
		lines[len(lines)-1] += render.Printable(after)
		return lines
	}
	return []string{render.Printable(text)}
}

// report prints what went wrong on stderr, as text or as JSON, and returns the
// exit code.
func (e *env) report(err error) int {
	var found []diagnosis
	for _, one := range split(err) {
		var code exitCodeError
		if errors.As(one, &code) {
			return int(code) // a child's own code, nothing to add
		}
		d := diagnose(one)
		d.Message = connect.HideUserInfo(d.Message)
		if d.Hint != nil {
			*d.Hint = connect.HideUserInfo(*d.Hint)
		}
		if !slices.ContainsFunc(found, func(x diagnosis) bool { return x.Message == d.Message && x.code == d.code }) {
			found = append(found, d)
		}
	}
	for _, d := range found {
		if wantsJSON(e.Args) {
			line, _ := render.Marshal(map[string]diagnosis{"error": d}) // strings only
			fmt.Fprintf(e.Stderr, "%s\n", line)
			continue
		}
		for _, line := range d.lines {
			fmt.Fprintf(e.Stderr, "offsets: %s\n", line)
		}
		if d.Hint != nil {
			fmt.Fprintf(e.Stderr, "hint: %s\n", d.suggestion.printable())
		}
	}
	return decide(found)
}

// exitCodeError hands through the exit code of a child process.
type exitCodeError int

func (c exitCodeError) Error() string { return fmt.Sprintf("exit status %d", int(c)) }

// wantsJSON looks at the arguments themselves, because an error may come
// before they are parsed.
func wantsJSON(args []string) bool {
	for i, a := range args {
		switch {
		case a == "--":
			return false
		case a == "-o", a == "--output", a == "-output":
			return i+1 < len(args) && strings.HasPrefix(args[i+1], "json")
		case strings.HasPrefix(a, "-o=json"), strings.HasPrefix(a, "--output=json"):
			return true
		}
	}
	return false
}

// contextError prefers a context's cause (interrupted, --timeout over) to what
// a library made of the cancellation.
func contextError(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
