package connect

import (
	"reflect"
	"strings"
	"testing"
)

func TestParseJAAS(t *testing.T) {
	for text, want := range map[string]map[string]string{
		`a.b.PlainLoginModule required username="alice" password="s;e=c 'r' et";`:      {"username": "alice", "password": "s;e=c 'r' et"},
		"a.b.PlainLoginModule required\n  username='alice'\n  password='$\\{x}\\'';":   {"username": "alice", "password": "${x}'"},
		`a.b.PlainLoginModule REQUIRED username=alice password="" serviceName = "k" ;`: {"username": "alice", "password": "", "serviceName": "k"},
		`a.b.ScramLoginModule required;`:                                               {},
	} {
		module, options, err := parseJAAS(text)
		if err != nil || !strings.HasPrefix(module, "a.b.") || !reflect.DeepEqual(options, want) {
			t.Errorf("%s: %q %v, %v; want %v", text, module, options, err, want)
		}
	}
	for _, text := range []string{"", ";", "a", "a;", "a b;", "a required", "a required x;", "a required x=;", `a required x="y;`, "a required x y;", "a required = = =;", "a required x=y; z"} {
		if module, options, err := parseJAAS(text); err == nil {
			t.Errorf("%s: %q %v, want an error", text, module, options)
		}
	}
}

// Whatever is in the file: no panic, and no error that shows what was in it.
func FuzzParseJAAS(f *testing.F) {
	f.Add(`a.b.PlainLoginModule required username="alice" password="s;e=c 'r' et";`)
	f.Add("a required x='\\';")
	f.Fuzz(func(t *testing.T, text string) {
		const secret = "Zq7secretZq7"
		_, options, err := parseJAAS(strings.ReplaceAll(text, "alice", secret))
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Fatalf("%q: %v", text, err)
		}
		for name := range options {
			if err == nil && strings.ContainsAny(name, " \t\n") && !strings.ContainsAny(text, "\"'") {
				t.Fatalf("%q: option %q", text, name)
			}
		}
	})
}
