package main

import (
	"os"
	"os/signal"
	"syscall"
	"time"
)

// sameRequest is how long after the first signal others are part of the same
// request to stop: timeout(1) sends its signal to the process and to its group,
// and fingers bounce.
const sameRequest = 500 * time.Millisecond

// stopSignals reports the signals that ask the program to stop: Ctrl-C, SIGTERM,
// and that of a terminal that goes away, unless nohup(1) has said to ignore it.
func stopSignals() <-chan os.Signal {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(signals, syscall.SIGHUP)
	}
	return signals
}

// obeySignals calls stop at the first signal. From then on only a Ctrl-C that is
// not part of the same request calls end, because a clean end may itself hang on a
// broken cluster; any number of SIGTERMs is one request. A nil channel reports
// nothing.
func obeySignals(signals <-chan os.Signal, stop, end func()) {
	<-signals
	first := time.Now()
	stop()
	for s := range signals {
		if s == os.Interrupt && time.Since(first) >= sameRequest {
			end()
		}
	}
}
