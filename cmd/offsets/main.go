// Offsets inspects Kafka consumer offsets and changes them with a plan first.
package main

import (
	"context"
	"io"
	"os"
	"slices"
	"time"
	"unicode/utf8"

	"golang.org/x/term"
)

// env is everything that the program takes from outside, so that a test can
// run it whole.
type env struct {
	Args   []string // with the program's name
	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer
	Getenv func(string) string
	Now    func() time.Time
	// Terminals: prompts, progress and colour only where a person looks.
	StdinIsTerminal, StdoutIsTerminal, StderrIsTerminal bool
	// HomeDir is the home of this user where HOME does not say it; nil asks the
	// system.
	HomeDir func() string
	// Executable is this program's file, for commands that start it again.
	Executable string
	// Signals reports interrupts for the rest of the run; it is set by main.
	Signals <-chan os.Signal
}

func main() {
	os.Exit(realMain())
}

// realMain is main with an exit code, as the script tests need it.
func realMain() int {
	signals := stopSignals()
	exe, err := os.Executable()
	if err != nil {
		exe = os.Args[0]
	}
	return run(context.Background(), &env{
		Args: os.Args, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Getenv: os.Getenv, Now: time.Now,
		StdinIsTerminal:  term.IsTerminal(int(os.Stdin.Fd())),
		StdoutIsTerminal: term.IsTerminal(int(os.Stdout.Fd())),
		StderrIsTerminal: term.IsTerminal(int(os.Stderr.Fd())),
		Executable:       exe,
		Signals:          signals,
	})
}

// run runs the program and returns its exit code. An interrupt cancels the
// context with errInterrupted as its cause; a second Ctrl-C ends the process at
// once.
func run(ctx context.Context, e *env) int {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go obeySignals(e.Signals, func() { cancel(errInterrupted) }, func() { os.Exit(exitInterrupted) })
	if i := slices.IndexFunc(e.Args, func(a string) bool { return !utf8.ValidString(a) }); i >= 0 {
		return e.report(usagef("argument %d is not valid UTF-8: no name in Kafka has it", i))
	}
	app := newApp(e)
	if err := givenTwice(app, e.Args); err != nil {
		return e.report(err)
	}
	err := app.RunContext(ctx, arrange(app, e.Args))
	return e.report(err)
}
