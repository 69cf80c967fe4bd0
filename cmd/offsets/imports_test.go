package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

type goPackage struct {
	ImportPath string
	Imports    []string
}

// importRules are the layers of this program; docs/architecture.md has the
// reasons. A key and its values are import paths, of ours without "offsets/",
// where a value ending in "/…" is a prefix.
func importRules() map[string][]string {
	return map[string][]string{
		// Who may be imported, by whom. What is not listed is free.
		"github.com/urfave/cli/…":            {"cmd/offsets"},
		"github.com/olekukonko/…":            {"internal/render"},
		"github.com/twmb/franz-go/pkg/kfake": {"internal/sandbox"},
		"internal/sandbox":                   {"cmd/offsets"},
		"internal/demo":                      {"cmd/offsets"},
		"internal/kafkatest":                 {"bench", "internal/oracle", "internal/oracle/desk"},
		// The oracle's parts do not know each other: what they share is the
		// record. It judges this program, and uses nothing of it.
		"internal/oracle/steps":           {"internal/oracle/…"},
		"internal/oracle/traffic":         {"internal/oracle"},
		"internal/oracle/world":           {"internal/oracle"},
		"internal/oracle/ask":             {"internal/oracle"},
		"internal/oracle/model":           {"internal/oracle/judge"},
		"internal/oracle/judge":           {"internal/oracle", "internal/oracle/report"},
		"internal/oracle/report":          {"cmd/offsets", "internal/oracle"},
		"internal/oracle/shrink":          {"internal/oracle"},
		"internal/oracle":                 {},
		"internal/oracle/desk":            {"internal/oracle", "internal/oracle/traffic"},
		"internal/hostile":                {},
		"internal/render":                 {"cmd/offsets"},
		"internal/connect":                {"cmd/offsets"},
		"reset":                           {"cmd/offsets"},
		"produce":                         {"cmd/offsets"},
		"consume":                         {"cmd/offsets"},
		"cmd/offsets":                     {},
		"inspect":                         {"cmd/offsets", "reset"},
		"inspect/commitlog/commitlogtest": {},
		"inspect/commitlog":               {"cmd/offsets", "inspect", "inspect/commitlog/…", "internal/sandbox", "reset"},
	}
}

func matches(pattern, path string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "…"); ok {
		return strings.HasPrefix(path+"/", prefix)
	}
	return pattern == path
}

func TestImports(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range packages(t) {
		for _, path := range p.Imports {
			path = strings.TrimPrefix(path, "offsets/")
			for imported, allowed := range importRules() {
				if !matches(imported, path) {
					continue
				}
				seen[imported] = true
				importer := strings.TrimPrefix(p.ImportPath, "offsets/")
				if !slices.ContainsFunc(allowed, func(a string) bool { return matches(a, importer) }) {
					t.Errorf("%s imports %s, which only %v may", importer, path, allowed)
				}
			}
			if p.ImportPath == "offsets/inspect/commitlog" && strings.Contains(path, ".") {
				t.Errorf("commitlog does no I/O and stands alone, but imports %s", path)
			}
		}
	}
	for imported, allowed := range importRules() {
		if len(allowed) > 0 && !seen[imported] {
			t.Errorf("nobody imports %s: is the rule still right?", imported)
		}
	}
}

func packages(t *testing.T) []goPackage {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", "offsets/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []goPackage
	dec := json.NewDecoder(bytes.NewReader(out))
	for {
		var p goPackage
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}
