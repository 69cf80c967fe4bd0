package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/urfave/cli/v2"

	"offsets/internal/connect"
	"offsets/internal/render"
)

const globalCategory = "Connection and output"

// globalFlags are new flags at each call, because a flag remembers its value.
func globalFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "bootstrap-server", Aliases: []string{"b"}, Category: globalCategory, Usage: "`HOST:PORT,…` of Kafka brokers (or OFFSETS_BOOTSTRAP_SERVER; default " + connect.DefaultBootstrap + ")"},
		&cli.StringFlag{Name: "command-config", Aliases: []string{"c"}, Category: globalCategory, Usage: "Java client .properties `FILE` (or OFFSETS_COMMAND_CONFIG)"},
		&cli.StringFlag{Name: "context", Category: globalCategory, Usage: "the properties file of this `NAME` in the folder of contexts (or OFFSETS_CONTEXT); 'offsets config' shows it"},
		&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Category: globalCategory, Value: string(render.Table), Usage: "`FORMAT`: " + formats()},
		&cli.DurationFlag{Name: "timeout", Category: globalCategory, Value: 30 * time.Second, Usage: "limit of a command, but not of a change that has begun: its write is tried for up to 1m0s; for commands that run on, the limit of the brokers' silence"},
		&cli.StringFlag{Name: "max-batch-bytes", Category: globalCategory, Value: "64MiB", Usage: "a batch of records may unpack to `SIZE`; a larger one is an error"},
		&cli.BoolFlag{Name: "verbose", Category: globalCategory, Usage: "say more on stderr, every request to a broker among it"},
		&cli.BoolFlag{Name: "no-color", Category: globalCategory, Usage: "no colours (or NO_COLOR)"},
	}
}

func formats() string {
	var names []string
	for _, f := range render.Formats() {
		names = append(names, string(f))
	}
	return strings.Join(names, ", ")
}

// common is what the global flags and variables say.
type common struct {
	bootstrap []string
	config    connect.Config
	format    render.Format
	timeout   time.Duration
	verbose   bool
	maxBatch  int
	trace     func(string) // with --verbose
	// unencrypted tells once which secrets anybody on the network can read.
	unencrypted func()
	// isDefault: nobody named a broker.
	isDefault bool
	// servers and configFile are what was named, and where.
	servers, configFile setting
	// connection is the flags that say which cluster, for commands to be typed
	// next.
	connection []word
}

func (e *env) common(c *cli.Context) (common, error) {
	o := common{format: render.Format(c.String("output")), timeout: c.Duration("timeout"), verbose: c.Bool("verbose")}
	if !slices.Contains(render.Formats(), o.format) {
		return o, usagef("unknown output format %q: want %s", o.format, formats())
	}
	if o.timeout <= 0 {
		return o, usagef("--timeout %s: want more than nothing, such as 30s", o.timeout)
	}
	var err error
	if o.maxBatch, err = parseSize(c.String("max-batch-bytes")); err != nil {
		return o, usagef("--max-batch-bytes: %s", err)
	}
	if o.verbose {
		o.trace = func(line string) { e.note("%s", line) }
	}
	if o.configFile, err = e.configFile(c); err != nil {
		return o, err
	}
	if o.configFile.Value != "" {
		if o.config, err = connect.ReadConfig(o.configFile.Value); err != nil {
			return o, err
		}
		e.noteReadable(o.configFile.Value, o.config)
	}
	o.unencrypted = sync.OnceFunc(func() {
		if told := o.config.Unencrypted; len(told) > 0 {
			e.note("%s", strings.Join(told, "; "))
		}
	})
	for _, f := range []struct{ flag, value string }{{"bootstrap-server", "HOST:PORT"}, {"command-config", "FILE"}, {"context", "NAME"}} {
		if c.IsSet(f.flag) {
			o.connection = append(o.connection, word("--"+f.flag), valueWord(c.String(f.flag), f.value))
		}
	}
	if o.servers, err = e.bootstrapOf(c, o); err != nil {
		return o, err
	}
	o.isDefault = o.servers.Source == sourceDefault
	if o.bootstrap, err = connect.ParseBootstrap(o.servers.Value); err != nil {
		return o, usagef("%s", err)
	}
	return o, nil
}

// connect opens a client; the caller closes it.
func (o common) connect(ctx context.Context, extra ...kgo.Opt) (*kgo.Client, error) {
	o.unencrypted()
	cl, err := connect.Open(ctx, connect.Options{Bootstrap: o.bootstrap, Config: o.config, Timeout: o.timeout, MaxBatch: o.maxBatch, Trace: o.trace}, extra...)
	if err != nil && o.isDefault {
		return nil, &defaultBrokerError{err}
	}
	return cl, err
}

// connectWatched connects for work without a time limit: its context ends when
// the brokers have not answered for as long as --timeout.
func (o common) connectWatched(ctx context.Context) (*kgo.Client, context.Context, func(), error) {
	cl, err := o.connect(ctx)
	if err != nil {
		return nil, ctx, nil, err
	}
	watched, cancel := connect.Watch(ctx, cl, o.timeout)
	return cl, watched, func() { cancel(); cl.Close() }, nil
}

// note says something on stderr that is neither data nor an error.
func (e *env) note(format string, args ...any) {
	fmt.Fprintf(e.Stderr, "offsets: %s\n", render.Printable(connect.HideUserInfo(fmt.Sprintf(format, args...))))
}

// noteReadable says when others can read the secrets of a properties file.
func (e *env) noteReadable(file string, config connect.Config) {
	if !slices.ContainsFunc(config.Properties, func(p connect.Property) bool { return p.Secret }) {
		return
	}
	if mode, open := openToOthers(file); open {
		e.noteSuggestion(suggestTool(fmt.Sprintf("%s has secrets in it, and other users can read it (mode %04o). To keep it to you", file, mode), "chmod", "600", fileWord(file)))
	}
}
