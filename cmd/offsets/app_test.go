package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"offsets/consume"
	"offsets/inspect"
	"offsets/internal/connect"
	"offsets/produce"
	"offsets/reset"
)

func testEnv() *env {
	return &env{Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: io.Discard, Getenv: func(string) string { return "" }, Now: time.Now}
}

// Flags stand anywhere; values that look like flags stay values; what follows
// "--" is left alone.
func TestArrange(t *testing.T) {
	app := newApp(testEnv())
	for _, tt := range []struct{ in, want string }{
		{"describe g -o json", "describe -o json -- g"},
		{"-o json describe g", "describe -o json -- g"},
		{"describe -o=json g h --members", "describe -o=json --members -- g h"},
		{"reset g --to -100 --execute", "reset --to -100 --execute -- g"},
		{"reset g --shift-by -100", "reset --shift-by -100 -- g"},
		{"describe -- -o", "describe -- -o"},
		{"sandbox --data d -- sh -c x -- y", "sandbox --data d -- sh -c x -- y"},
		{"describe", "describe"},
		{"help reset", "reset --help"},
		{"nonsense -o json", "-- nonsense"},
		{"--help", "--help"},
		{"describe -", "describe -- -"},
		{"describe g --unknown x", "describe --unknown -- g x"},
		{"describe g --group", "describe --group -- g"},
	} {
		got := strings.Join(arrange(app, strings.Fields("offsets "+tt.in))[1:], " ")
		if got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.in, got, tt.want)
		}
	}
}

// Each kind of error has its code, and with several the most telling wins.
func TestExitCodes(t *testing.T) {
	refused := &reset.RefusedError{Group: "g", Reasons: []string{"r"}}
	usage := usagef("u")
	partial := &partialError{[]inspect.Problem{{What: "w", Error: "e"}}}
	failed := errors.New("f")
	for _, tt := range []struct {
		name string
		err  error
		want int
	}{
		{"nothing", nil, exitDone},
		{"plain", failed, exitFailed},
		{"usage", usage, exitUsage},
		{"config", &connect.ConfigError{File: "f", Err: failed}, exitUsage},
		{"unknown group", fmt.Errorf("x: %w", inspect.ErrUnknownGroup), exitFailed},
		{"no topic", fmt.Errorf("x: %w", produce.ErrNoTopic), exitFailed},
		{"policy", &consume.PolicyError{Exception: consume.OffsetOutOfRange}, exitFailed},
		{"unreachable", &connect.UnreachableError{Err: failed}, exitFailed},
		{"timeout", &timeoutError{after: time.Second}, exitFailed},
		{"not authorized", kerr.GroupAuthorizationFailed, exitFailed},
		{"refused", refused, exitRefused},
		{"nothing selected", fmt.Errorf("x: %w", reset.ErrNothingSelected), exitUsage},
		{"partial", partial, exitPartial},
		{"nothing written", &reset.IncompleteError{Failed: 2}, exitFailed},
		{"some written", &reset.IncompleteError{Failed: 1, Written: 1}, exitPartial},
		{"overwritten", &verifyError{"g", reset.Overwritten}, exitPartial},
		{"interrupted", errInterrupted, exitInterrupted},
		{"child", exitCodeError(42), 42},

		{"interrupted before usage", errors.Join(usage, errInterrupted), exitInterrupted},
		{"usage before refused", errors.Join(refused, usage), exitUsage},
		{"refused before failed", errors.Join(failed, refused), exitRefused},
		{"failed before partial", errors.Join(partial, failed), exitFailed},
		{"nested", errors.Join(errors.Join(partial, nil), errors.Join(failed, refused)), exitRefused},
		{"a write in part before everything", errors.Join(usage, refused, &partialWriteError{failed}), exitPartial},
		{"a write in part before an interrupt", errors.Join(errInterrupted, &reset.IncompleteError{Failed: 1, Written: 1}), exitPartial},
	} {
		if got := testEnv().report(tt.err); got != tt.want {
			t.Errorf("%s: exit %d, want %d", tt.name, got, tt.want)
		}
	}
	if got := precedence(); !slices.Equal(got, []int{130, 2, 4, 1, 3, 5}) {
		t.Errorf("precedence %v", got)
	}
}

func TestGlob(t *testing.T) {
	for _, tt := range []struct {
		pattern, name string
		want          bool
	}{
		{"bulk-*", "bulk-1", true}, {"bulk-*", "xbulk-1", false}, {"*", "", true}, {"*", "a/b\nc", true}, {"a/*", "a/b/c", true},
		{"?", "ä", true}, {"?", "ab", false}, {"[a-c]1", "b1", true}, {"[a-c]1", "d1", false}, {"[", "[", true}, {"[]x", "[]x", true},
		{"a.b*", "axb", false}, {"a.b*", "a.bc", true}, {"a+*", "a+", true}, {"[z-a]*", "[z-a]*", true},
		{"g(*", "g(1", true}, {"ä*", "äb", true},
	} {
		if got := glob(tt.pattern)(tt.name); got != tt.want {
			t.Errorf("glob(%q)(%q) = %v, want %v", tt.pattern, tt.name, got, tt.want)
		}
	}
}

func TestWantsJSON(t *testing.T) {
	for args, want := range map[string]bool{
		"list -o json": true, "list -o jsonl": true, "list --output=json": true, "list -o=jsonl": true, "list": false, "list -o table": false,
		"sandbox -- offsets list -o json": false, "list -o": false,
	} {
		if got := wantsJSON(strings.Fields("offsets " + args)); got != want {
			t.Errorf("%s: %v", args, got)
		}
	}
}

// A --timeout that is over is said as such, whatever the library made of it.
func TestTimeoutIsNamed(t *testing.T) {
	ctx, cancel := bounded(context.Background(), common{timeout: time.Millisecond})
	defer cancel()
	<-ctx.Done()
	err := contextError(ctx, errors.New("i/o timeout"))
	if d := diagnose(err); d.Kind != "timeout" || d.Message != "timed out after 1ms" {
		t.Errorf("got %+v", d)
	}
}
