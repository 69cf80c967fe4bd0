package main

import (
	"context"
	"fmt"
	"iter"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"offsets/internal/demo"
	"offsets/internal/render"
	"offsets/internal/sandbox"
)

func demoCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "demo",
		Usage:     "watch a consumer crash and resume, with real processes and a real kill -9",
		ArgsUsage: "[SCENE]",
		Description: "Plays on an embedded broker, or on the one that is named; there all names begin with\n" +
			"offsets-demo- and what was made is deleted. Without a scene crash and rebalance are played;\n" +
			"'demo list' tells all, 'demo all' plays them.\n\n" + sceneList() + "\n" +
			"Exit: 0 played, 1 failed.",
		Action: func(c *cli.Context) error {
			o, err := demoOptionsOf(e, c)
			if err != nil {
				return err
			}
			if o.list {
				_, err := fmt.Fprint(e.Stdout, sceneList())
				return err
			}
			return playDemo(c.Context, e, o)
		},
	}
}

type demoOptions struct {
	common
	scenes []string
	list   bool
}

// sceneList tells the scenes, a line each.
func sceneList() string {
	var b strings.Builder
	for _, name := range demo.Names() {
		fmt.Fprintf(&b, "   %-14s %s\n", name, demo.About(name))
	}
	return b.String()
}

func demoOptionsOf(e *env, c *cli.Context) (o demoOptions, err error) {
	if o.common, err = e.common(c); err != nil {
		return o, err
	}
	o.scenes = []string{"crash", "rebalance"}
	if c.NArg() > 1 {
		return o, usagef("demo takes one scene, got %d", c.NArg())
	}
	switch name := c.Args().First(); name {
	case "":
	case "all":
		o.scenes = demo.Names()
	case "list":
		o.list = true
	default:
		if !slices.Contains(demo.Names(), name) {
			return o, usagef("unknown scene %q: want %s, all or list", name, strings.Join(demo.Names(), ", "))
		}
		o.scenes = []string{name}
	}
	return o, nil
}

func playDemo(ctx context.Context, e *env, o demoOptions) error {
	d := demo.Options{Executable: e.Executable, OwnNames: o.isDefault}
	if o.isDefault {
		s, err := sandbox.Start(sandbox.Options{})
		if err != nil {
			return fmt.Errorf("starting the sandbox: %w", err)
		}
		defer s.Close()
		o.bootstrap, o.isDefault = []string{s.Addr}, false
		d.Session = sandbox.MinSessionTimeout
	}
	cl, ctx, done, err := o.connectWatched(ctx)
	if err != nil {
		return contextError(ctx, err)
	}
	defer done()
	d.Env = childEnv(map[string]string{"OFFSETS_BOOTSTRAP_SERVER": strings.Join(o.bootstrap, ","), "OFFSETS_COMMAND_CONFIG": o.configFile.Value, "OFFSETS_CONTEXT": "", "OFFSETS_GROUP": ""})
	var failed error
	if o.format.IsTable() {
		// The story is the output: there is no table to show.
		d.Tell = func(l demo.Line) { fmt.Fprintln(e.Stdout, render.PrintableLines(storyLine(l))) }
		for _, err := range demo.Run(ctx, cl, d, o.scenes) {
			failed = err
		}
		return contextError(ctx, failed)
	}
	return contextError(ctx, show(e, e.Stdout, o.format, demoView(demo.Run(ctx, cl, d, o.scenes))))
}

// childEnv is this process's environment with some variables replaced; those
// set to nothing are removed.
func childEnv(set map[string]string) []string {
	var out []string
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if _, ours := set[name]; !ours {
			out = append(out, kv)
		}
	}
	for name, value := range set {
		if value != "" {
			out = append(out, name+"="+value)
		}
	}
	return out
}

func storyLine(l demo.Line) string {
	if l.Who == "" {
		return l.Text
	}
	return fmt.Sprintf("%6.1fs  %-11s %s", l.At.Seconds(), l.Who, l.Text)
}

func demoView(scenes iter.Seq2[demo.Scene, error]) render.Result[demo.Scene, demo.Scene] {
	return render.Result[demo.Scene, demo.Scene]{Name: "scenes", Rows: scenes, Lines: one[demo.Scene]}
}
