package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"offsets/internal/sandbox"
)

// childGrace is how long an interrupted command may take to end.
const childGrace = 10 * time.Second

// sandboxListen is where a client that names no broker looks.
const sandboxListen = "127.0.0.1:9092"

func sandboxCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "sandbox",
		Usage:     "run an embedded Kafka broker, alone or for one command",
		ArgsUsage: "[-- COMMAND…]",
		Description: "Starts a broker that any Kafka client can use, with a real-format __consumer_offsets\n" +
			"topic. Alone it runs until Ctrl-C. With a command it takes a free port, runs the command\n" +
			"with OFFSETS_BOOTSTRAP_SERVER set, and exits with the command's code.\n\n" +
			"   offsets sandbox --topic orders:3\n" +
			"   offsets sandbox -- sh -c 'seq 5 | offsets produce t --create'\n\n" +
			"Exit: 0 stopped, 1 failed, or the command's own code.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "listen", Usage: "`HOST:PORT` to listen on; port 0 takes a free one", DefaultText: sandboxListen + ", with a command a free port"},
			&cli.StringFlag{Name: "data", Usage: "keep everything in `DIR`, across restarts"},
			&cli.StringSliceFlag{KeepSpace: true, Name: "topic", Usage: "create `NAME:PARTITIONS`; may be given several times"},
		},
		Action: func(c *cli.Context) error {
			o, err := sandboxOptionsOf(c)
			if err != nil {
				return err
			}
			return runSandbox(c.Context, e, o)
		},
	}
}

type sandboxOptions struct {
	sandbox.Options
	command []string
	// private, where the broker's files are for this user alone, runs something
	// that is to know nothing of it.
	private func(outside func() error) error
}

// start starts the command.
func (o sandboxOptions) start(child *exec.Cmd) error {
	if o.private == nil {
		return child.Start()
	}
	return o.private(child.Start)
}

func sandboxOptionsOf(c *cli.Context) (o sandboxOptions, err error) {
	o.command = c.Args().Slice()
	o.Data, o.Listen = c.String("data"), c.String("listen")
	if o.Listen == "" && len(o.command) == 0 {
		o.Listen = sandboxListen
	}
	o.Topics = map[string]int32{}
	for _, t := range c.StringSlice("topic") {
		name, count, _ := strings.Cut(t, ":")
		n, err := strconv.ParseInt(count, 10, 32)
		if err != nil || n < 1 || name == "" {
			return o, usagef("--topic %q: want NAME:PARTITIONS", t)
		}
		o.Topics[name] = int32(n)
	}
	return o, nil
}

func runSandbox(ctx context.Context, e *env, o sandboxOptions) error {
	if o.Data != "" {
		if mode, open := openToOthers(o.Data); open {
			e.noteSuggestion(suggestTool(fmt.Sprintf("--data %s is open to other users (mode %04o), who can read the records in it. To keep it to you", o.Data, mode), "chmod", "700", fileWord(o.Data)))
		}
		var undo func()
		o.private, undo = keepPrivate()
		defer undo()
	}
	s, err := sandbox.Start(o.Options)
	if errors.Is(err, syscall.EADDRINUSE) {
		return &addressInUseError{o.Listen, err}
	}
	if err != nil {
		return fmt.Errorf("starting the sandbox: %w", err)
	}
	defer s.Close()
	if !s.Loopback {
		e.note("it listens on %s, beyond this machine, and asks for no password: everybody who reaches it can read and write everything in it", o.Listen)
	}
	if len(o.command) == 0 {
		e.note("a broker listens on %s; Ctrl-C stops it", s.Addr)
		fmt.Fprintln(e.Stdout, s.Addr)
		<-ctx.Done()
		return nil
	}
	return runChild(ctx, e, s.Addr, o)
}

// addressInUseError: another broker, or another program, has the port.
type addressInUseError struct {
	addr string
	err  error
}

func (e *addressInUseError) Error() string {
	return fmt.Sprintf("cannot listen on %s: %v", e.addr, e.err)
}

// runChild runs the command with the sandbox as its cluster. Signals reach it
// with the terminal's process group; here they only end the waiting.
func runChild(ctx context.Context, e *env, addr string, o sandboxOptions) error {
	argv := o.command
	child := exec.CommandContext(ctx, argv[0], argv[1:]...)
	child.Stdin, child.Stdout, child.Stderr = e.Stdin, e.Stdout, e.Stderr
	child.Cancel = func() error { return child.Process.Signal(os.Interrupt) }
	child.WaitDelay = childGrace
	child.Env = childEnv(map[string]string{"OFFSETS_BOOTSTRAP_SERVER": addr, "OFFSETS_COMMAND_CONFIG": "", "OFFSETS_CONTEXT": ""})
	err := o.start(child)
	if err == nil {
		err = child.Wait()
	}
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		if code := exit.ExitCode(); code >= 0 {
			return exitCodeError(code)
		}
		// Ended by a signal: shells say 128 and the signal's number.
		return exitCodeError(128 + int(exit.Sys().(syscall.WaitStatus).Signal()))
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return usagef("cannot run %s: %v", argv[0], err)
	}
	return nil
}
