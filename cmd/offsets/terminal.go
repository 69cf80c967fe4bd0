package main

import (
	"bufio"
	"context"
	"fmt"
	"strings"

	"offsets/reset"
)

// mayAsk says whether a question has somebody to answer it, and is worth asking:
// a person who sees the plan, has not said yet what shall become of it, and whose
// yes could be carried out.
func (e *env) mayAsk(plans []reset.Plan, o changeOptions) bool {
	if o.execute || o.dryRun || o.planFile != "" || !o.format.IsTable() {
		return false
	}
	if !e.StdinIsTerminal || !e.StdoutIsTerminal || !e.StderrIsTerminal {
		return false
	}
	for i := range plans {
		if plans[i].Active() != nil && o.waitEmpty == 0 && len(o.removeStatic) == 0 {
			return false
		}
	}
	return true
}

// confirm asks on stderr, and says whether the answer is yes. Only Ctrl-C is an
// error; the end of the input is no answer.
func (e *env) confirm(ctx context.Context, question string) (bool, error) {
	fmt.Fprintf(e.Stderr, "%s [y/N] ", question)
	text, err := whileListening(ctx, func() (string, error) { return bufio.NewReader(e.Stdin).ReadString('\n') })
	if err != nil {
		fmt.Fprintln(e.Stderr) // nobody has pressed Enter
	}
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	answer := strings.ToLower(strings.TrimSpace(text))
	return answer == "y" || answer == "yes", nil
}

// whileListening reads what a person or a pipe may take any time to give, until
// the context is done. The read itself cannot be given up: it ends with the
// process.
func whileListening[T any](ctx context.Context, read func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		value, err := read()
		done <- result{value, err}
	}()
	select {
	case <-ctx.Done():
		var none T
		return none, context.Cause(ctx)
	case r := <-done:
		return r.value, r.err
	}
}
