package main

import (
	"path/filepath"
	"testing"
)

// A folder is absolute or there is none: HOME may be unset, and variables may be
// relative.
func TestNoRelativeFolders(t *testing.T) {
	here, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, own, xdg, home, system string
		path, source                 string
		noted                        bool
	}{
		{name: "nothing at all", source: sourceDefault},
		{name: "HOME", home: "/h", system: "/s", path: "/h/.local/state/offsets", source: sourceDefault},
		{name: "no HOME", system: "/s", path: "/s/.local/state/offsets", source: sourceDefault},
		{name: "relative HOME", home: "h", system: "/s", path: "/s/.local/state/offsets", source: sourceDefault},
		{name: "relative homes", home: "h", system: "s", source: sourceDefault},
		{name: "XDG", xdg: "/x", home: "/h", path: "/x/offsets", source: "XDG_STATE_HOME"},
		{name: "relative XDG", xdg: "x", home: "/h", path: "/h/.local/state/offsets", source: sourceDefault, noted: true},
		{name: "own", own: "/o", xdg: "x", home: "/h", path: "/o", source: "OFFSETS_STATE_DIR"},
		{name: "relative own", own: "o", path: filepath.Join(here, "o"), source: "OFFSETS_STATE_DIR"},
	} {
		t.Run(c.name, func(t *testing.T) {
			variables := map[string]string{"OFFSETS_STATE_DIR": c.own, "XDG_STATE_HOME": c.xdg, "HOME": c.home}
			e := &env{Getenv: func(name string) string { return variables[name] }, HomeDir: func() string { return c.system }}
			if f := e.stateFolder(); f.path != c.path || f.source != c.source || (f.note != "") != c.noted {
				t.Errorf("got %+v", f)
			}
			if d := e.contextsDir(); d != "" && !filepath.IsAbs(d) {
				t.Errorf("contexts in %q", d)
			}
		})
	}
}
