package reset

import (
	"context"
	"sync"
	"time"
)

// Limit bounds a change of groups in time. Waiting for members and watching
// commits do not count, for they have limits of their own; nor does what lies
// between a group's first write and its read-back.
type Limit struct {
	After time.Duration // 0: none
	Cause error         // what it ends with; nil is context.DeadlineExceeded
}

// limiter is a limit that runs, and the context that it ends. Its deadline is
// what rounds of requests go by, and moves while the limit is paused.
type limiter struct {
	context.Context
	cancel context.CancelCauseFunc

	mu    sync.Mutex
	timer *time.Timer // nil: no limit, or paused
	left  time.Duration
	since time.Time
	cause error
}

func (l Limit) begin(ctx context.Context) *limiter {
	ctx, cancel := context.WithCancelCause(ctx)
	run := &limiter{Context: ctx, cancel: cancel, left: l.After, cause: l.Cause}
	if run.cause == nil {
		run.cause = context.DeadlineExceeded
	}
	run.goOn()
	return run
}

// Deadline is when the limit is over, if it goes on from now.
func (l *limiter) Deadline() (time.Time, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	outer, limited := l.Context.Deadline()
	if l.timer == nil {
		return outer, limited
	}
	if own := l.since.Add(l.left); !limited || own.Before(outer) {
		return own, true
	}
	return outer, true
}

func (l *limiter) pause() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.timer != nil {
		l.timer.Stop()
		l.timer, l.left = nil, max(l.left-time.Since(l.since), 1) // 0 is no limit
	}
}

func (l *limiter) goOn() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.left > 0 {
		l.timer, l.since = time.AfterFunc(l.left, func() { l.cancel(l.cause) }), time.Now()
	}
}

func (l *limiter) end() {
	l.pause()
	l.cancel(nil)
}
