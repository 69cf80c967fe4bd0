package main

import (
	"os"
	"path/filepath"
	"testing"
)

// TestMutationsApply holds the list to the code: a line that was reworded would
// else leave its mutation without anything to change, and nobody would know.
func TestMutationsApply(t *testing.T) {
	mutations, err := parse(mutationsText)
	if err != nil {
		t.Fatal(err)
	}
	const least = 40
	if len(mutations) < least {
		t.Errorf("%d mutations, want at least %d", len(mutations), least)
	}
	for _, m := range mutations {
		source, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(m.File)))
		if err != nil {
			t.Fatal(err)
		}
		changed, err := m.apply(string(source))
		if err != nil {
			t.Errorf("%d, %s: %v", m.Number, m.Rule, err)
		} else if changed == string(source) {
			t.Errorf("%d, %s: it changes nothing", m.Number, m.Rule)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{
		"rule: no file\nold: a\nnew: b\ntest: ./x\n",
		"rule: r\nfile: f\nold: a\nnew: a\ntest: ./x\n",
		"rule: r\nfile: f\nold: a\nnew: b\n",
		"what: is this\n",
	} {
		if got, err := parse(text); err == nil {
			t.Errorf("%q: got %v, want an error", text, got)
		}
	}
}
