package main

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"offsets/internal/connect"
	"offsets/internal/render"
)

func configCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:  "config",
		Usage: "show which settings are in force, and where they come from",
		Description: "Asks no broker. What counts, from first to last: flags, environment variables, the\n" +
			"properties file, defaults; but a cluster that is named with --context is not another one\n" +
			"because of OFFSETS_BOOTSTRAP_SERVER. Secrets are not shown.\n\n" +
			"A context is a Java client properties file NAME.properties in the folder of contexts.\n\n" +
			"   offsets config --context prod\n\n" +
			"Exit: 0 done, 2 usage, or a file that cannot be used.",
		Action: func(c *cli.Context) error {
			o, err := e.common(c)
			if err != nil {
				return err
			}
			if c.NArg() > 0 {
				return usagef("config takes no arguments")
			}
			return show(e, e.Stdout, o.format, configView(e.settings(c, o), configTail{e.contexts()}))
		},
	}
}

// setting is one setting in force.
type setting struct {
	Key    string `json:"key"`
	Value  string `json:"value"` // [hidden] for a secret
	Source string `json:"source"`
	Secret bool   `json:"secret"`
}

type configTail struct {
	Contexts []string `json:"contexts"` // those there are
}

const sourceDefault = "default"

// named is a setting out of a flag or a variable; its value is "" where neither
// is given.
func (e *env) named(c *cli.Context, key, flag, variable string) setting {
	switch {
	case c.String(flag) != "":
		return setting{Key: key, Value: c.String(flag), Source: "--" + flag}
	case e.Getenv(variable) != "":
		return setting{Key: key, Value: e.Getenv(variable), Source: variable}
	}
	return setting{Key: key}
}

// configFile finds the properties file.
func (e *env) configFile(c *cli.Context) (setting, error) {
	file := e.named(c, "command-config", "command-config", "OFFSETS_COMMAND_CONFIG")
	context := e.named(c, "context", "context", "OFFSETS_CONTEXT")
	byFlag := strings.HasPrefix(context.Source, "--")
	switch {
	case byFlag && strings.HasPrefix(file.Source, "--"):
		return file, usagef("--command-config and --context exclude each other")
	case context.Value == "", file.Value != "" && !byFlag:
		return file, nil
	}
	if e.contextsDir() == "" {
		err := usagef("no context %q: there is no folder of contexts, because neither HOME nor the system says where this user's home is", context.Value)
		err.Hint = "set OFFSETS_CONFIG_DIR (or XDG_CONFIG_HOME) to an absolute path, or name the file with --command-config"
		return file, err
	}
	path := e.contextFile(context.Value)
	if _, err := os.Stat(path); err != nil || filepath.Base(context.Value) != context.Value {
		err := usagef("no context %q: there is no file %s", context.Value, path)
		err.Hint = "there are none: a context is a Java client properties file in that folder"
		if names := e.contexts(); len(names) > 0 {
			err.Hint = "there are: " + strings.Join(names, ", ")
		}
		return file, err
	}
	return setting{Key: file.Key, Value: path, Source: fmt.Sprintf("%s %s", context.Source, context.Value)}, nil
}

// bootstrapOf finds the servers to begin with. A context that is named on the
// command line is a cluster: a variable must not lead to another one.
func (e *env) bootstrapOf(c *cli.Context, o common) (setting, error) {
	s := e.named(c, "bootstrap.servers", "bootstrap-server", "OFFSETS_BOOTSTRAP_SERVER")
	ofFile := setting{Key: s.Key, Value: strings.Join(o.config.Bootstrap, ","), Source: o.configFile.Value}
	byContext := strings.HasPrefix(o.configFile.Source, "--context")
	switch {
	case ofFile.Value != "" && (s.Value == "" || byContext && !strings.HasPrefix(s.Source, "--")):
		return ofFile, nil
	case s.Value != "":
		return s, nil
	case byContext:
		return s, usagef("context %s names no bootstrap.servers, and neither does --bootstrap-server", o.configFile.Value)
	}
	return setting{Key: s.Key, Value: connect.DefaultBootstrap, Source: sourceDefault}, nil
}

// contextFile is where the properties of a context are.
func (e *env) contextFile(name string) string {
	return filepath.Join(e.contextsDir(), name+".properties")
}

// contextsDir is the folder of contexts; "" where there is none.
func (e *env) contextsDir() string {
	dir := e.configFolder().path
	if dir == "" {
		return ""
	}
	return filepath.Join(dir, "contexts")
}

func (e *env) contexts() []string {
	names := []string{}
	if e.contextsDir() == "" {
		return names
	}
	entries, err := os.ReadDir(e.contextsDir())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		e.note("contexts: %v", err)
	}
	for _, entry := range entries {
		if name, ok := strings.CutSuffix(entry.Name(), ".properties"); ok && name != "" {
			names = append(names, name)
		}
	}
	return names
}

// settings are all in force.
func (e *env) settings(c *cli.Context, o common) []setting {
	either := func(given bool, source string) string {
		if given {
			return source
		}
		return sourceDefault
	}
	file, group := o.configFile, e.Getenv("OFFSETS_GROUP")
	state, contexts := e.stateFolder(), e.configFolder()
	for _, f := range []folder{state, contexts} {
		if f.note != "" {
			e.note("%s", f.note)
		}
	}
	file.Source = either(file.Value != "", file.Source)
	out := []setting{o.servers, file}
	for _, p := range o.config.Properties {
		if p.Key != o.servers.Key {
			out = append(out, setting{p.Key, p.Value, file.Value, p.Secret})
		}
	}
	out = append(out,
		setting{Key: "group", Value: group, Source: either(group != "", "OFFSETS_GROUP")},
		setting{Key: "timeout", Value: o.timeout.String(), Source: either(c.IsSet("timeout"), "--timeout")},
		setting{Key: "output", Value: string(o.format), Source: either(c.IsSet("output"), "--output")},
		setting{Key: "receipts", Value: state.path, Source: state.source},
		setting{Key: "contexts", Value: e.contextsDir(), Source: contexts.source},
	)
	for i := range out {
		out[i].Value, out[i].Source = connect.HideUserInfo(out[i].Value), connect.HideUserInfo(out[i].Source)
	}
	return out
}

func configView(settings []setting, tail configTail) render.Result[setting, setting] {
	return render.Result[setting, setting]{
		Name:  "settings",
		Rows:  rowsOf(settings),
		Tail:  func() any { return tail },
		Lines: one[setting],
		Sections: func(rows iter.Seq[setting]) iter.Seq[render.Section] {
			return sections(render.Section{
				Columns: []render.Column{{Name: "SETTING"}, {Name: "VALUE"}, {Name: "SOURCE"}},
				Rows:    cells(rows, func(s setting) []string { return []string{s.Key, s.Value, s.Source} }),
				Footer: func() string {
					if len(tail.Contexts) == 0 {
						return ""
					}
					return "contexts: " + render.Printable(strings.Join(tail.Contexts, ", "))
				},
			})
		},
	}
}
