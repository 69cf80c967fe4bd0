package main

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// This file holds every workaround for urfave/cli v2: it knows no flags behind
// positional arguments, takes global flags only before the command, prints
// usage errors to stdout, and exits the process by itself.

// newApp builds the command tree.
func newApp(e *env) *cli.App {
	app := &cli.App{
		Name:      "offsets",
		Usage:     "tells the truth about Kafka consumer offsets, and changes them only with a plan first",
		UsageText: "offsets COMMAND [flags] [arguments]",
		Version:   version(),
		Reader:    e.Stdin,
		Writer:    e.Stdout,
		ErrWriter: io.Discard, // errors are printed in one place, report
		Flags:     globalFlags(),
		Commands: []*cli.Command{
			produceCommand(e),
			consumeCommand(e),
			listCommand(e),
			describeCommand(e),
			checkCommand(e),
			waitCommand(e),
			policyCommand(e),
			resetCommand(e),
			applyCommand(e),
			undoCommand(e),
			exportCommand(e),
			importCommand(e),
			copyCommand(e),
			deleteCommand(e),
			decodeCommand(e),
			historyCommand(e),
			sandboxCommand(e),
			demoCommand(e),
			configCommand(e),
			completionCommand(e),
			versionCommand(e),
		},
		HideVersion:               false,
		HideHelpCommand:           true,
		EnableBashCompletion:      true,
		DisableSliceFlagSeparator: true,
		ExitErrHandler:            func(*cli.Context, error) {}, // never exit from inside
		OnUsageError:              func(_ *cli.Context, err error, _ bool) error { return flagError(err, globalFlags(), "offsets") },
	}
	app.Action = func(c *cli.Context) error { return noCommand(e, app, c.Args().First()) }
	for _, cmd := range app.Commands {
		cmd.HideHelpCommand = true
		own := cmd.Flags
		cmd.Flags = append(slices.Clone(own), globalFlags()...)
		cmd.OnUsageError = func(c *cli.Context, err error, _ bool) error {
			return flagError(err, cmd.Flags, "offsets "+cmd.Name)
		}
	}
	return app
}

// noCommand answers a call that names no command, or none that exists.
func noCommand(e *env, app *cli.App, name string) error {
	switch {
	case name == "":
		app.Writer = e.Stderr
		_ = cli.ShowAppHelp(cli.NewContext(app, nil, nil))
		return usagef("no command given")
	case name == "help":
		return cli.ShowAppHelp(cli.NewContext(app, nil, nil))
	}
	err := usagef("unknown command %q", name)
	if s := cli.SuggestCommand(app.Commands, name); s != "" {
		err.Hint = fmt.Sprintf("did you mean '%s'? 'offsets --help' lists all commands", strings.TrimSuffix(strings.TrimPrefix(s, "Did you mean \""), "\"?"))
	} else {
		err.Hint = "'offsets --help' lists all commands"
	}
	return err
}

var undefinedFlag = regexp.MustCompile(`^flag provided but not defined: -+(.*)$`)

// flagError words what the flag package says of a call.
func flagError(err error, flags []cli.Flag, command string) error {
	out := usagef("%s", err)
	out.Hint = fmt.Sprintf("'%s --help' lists all flags", command)
	if m := undefinedFlag.FindStringSubmatch(err.Error()); m != nil {
		out.Message = fmt.Sprintf("unknown flag %s", dashed(m[1]))
		if s := cli.SuggestFlag(flags, m[1], false); s != "" {
			out.Hint = fmt.Sprintf("did you mean %s? %s", s, out.Hint)
		}
	}
	return out
}

func dashed(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

// arrange puts a command line into the order that the framework can parse:
// the command, then all flags wherever they stood, then "--" and the
// positional arguments. What follows a "--" of the user's is left alone.
func arrange(app *cli.App, argv []string) []string {
	args := argv[1:]
	if len(args) > 0 && args[len(args)-1] == completeFlag {
		return argv // half a command line, which the framework completes
	}
	before, rest := splitFlags(args, app.Flags, true)
	if len(rest) == 0 {
		return argv
	}
	name := rest[0]
	rest = rest[1:]
	if name == "help" && len(rest) > 0 { // "offsets help describe"
		name, rest = rest[0], []string{"--help"}
	}
	cmd := app.Command(name)
	if cmd == nil {
		return []string{argv[0], "--", name}
	}
	flags, positional := splitFlags(rest, cmd.Flags, false)
	out := append([]string{argv[0], name}, before...)
	out = append(out, flags...)
	if len(positional) > 0 {
		out = append(append(out, "--"), positional...)
	}
	return out
}

// splitFlags separates flags (with their values) from positional arguments. It
// stops at the first positional argument if told so.
func splitFlags(args []string, defs []cli.Flag, stopAtFirst bool) (flags, positional []string) {
	for i := 0; i < len(args); i++ {
		arg := args[i]
		switch {
		case arg == "--":
			return flags, append(positional, args[i+1:]...)
		case len(arg) < 2 || arg[0] != '-':
			if stopAtFirst {
				return flags, args[i:]
			}
			positional = append(positional, arg)
		default:
			flags = append(flags, arg)
			if name := strings.TrimLeft(arg, "-"); !strings.Contains(name, "=") && takesValue(defs, name) && i+1 < len(args) {
				i++
				flags = append(flags, args[i])
			}
		}
	}
	return flags, positional
}

// givenTwice finds a flag that has one value and is given two: the framework
// would take the last one and say nothing.
func givenTwice(app *cli.App, argv []string) error {
	args := argv[1:]
	if len(args) > 0 && args[len(args)-1] == completeFlag {
		return nil
	}
	flags, rest := splitFlags(args, app.Flags, true)
	defs, command := app.Flags, "offsets"
	if len(rest) > 0 {
		if cmd := app.Command(rest[0]); cmd != nil {
			more, _ := splitFlags(rest[1:], cmd.Flags, false)
			flags, defs, command = append(flags, more...), cmd.Flags, command+" "+cmd.Name
		}
	}
	seen := map[string]bool{}
	for i := 0; i < len(flags); i++ {
		name, _, attached := strings.Cut(strings.TrimLeft(flags[i], "-"), "=")
		def := flagNamed(defs, name)
		if def == nil || !def.TakesValue() {
			continue
		}
		if !attached {
			i++ // its value
		}
		list, ok := def.(cli.DocGenerationSliceFlag)
		long := def.Names()[0]
		if seen[long] && !(ok && list.IsSliceFlag()) {
			err := usagef("%s is given twice, and has one value", dashed(long))
			err.Hint = fmt.Sprintf("'%s --help' lists all flags, and which may be given several times", command)
			return err
		}
		seen[long] = true
	}
	return nil
}

func takesValue(defs []cli.Flag, name string) bool {
	d := flagNamed(defs, name)
	return d != nil && d.TakesValue()
}

// flagNamed is the flag of a name; nil if there is none.
func flagNamed(defs []cli.Flag, name string) cli.DocGenerationFlag {
	for _, f := range defs {
		if d, ok := f.(cli.DocGenerationFlag); ok && slices.Contains(f.Names(), name) {
			return d
		}
	}
	return nil
}

// version tells what was built: the module's version, or the commit.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	if v == "" || v == "(devel)" {
		v = "devel"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 && !strings.Contains(v, s.Value[:12]) {
			v += " (" + s.Value[:12] + ")"
		}
	}
	return v
}

// bounded limits a command to its --timeout.
func bounded(ctx context.Context, o common) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, o.timeout, &timeoutError{after: o.timeout})
}
