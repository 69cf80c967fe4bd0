package main

import (
	"fmt"
	"time"

	"offsets/internal/render"
)

// progress shows a line on stderr that is rewritten while something runs, if a
// person looks on. The returned function ends it.
func (e *env) progress(line func() string) (stop func()) {
	if !e.StderrIsTerminal || e.StdoutIsTerminal {
		return func() {} // no terminal, or one that the data itself scrolls
	}
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(250 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				fmt.Fprint(e.Stderr, "\r\x1b[K")
				return
			case <-tick.C:
				fmt.Fprintf(e.Stderr, "\r\x1b[K%s", render.Printable(line()))
			}
		}
	}()
	return func() { close(done); <-ended }
}
