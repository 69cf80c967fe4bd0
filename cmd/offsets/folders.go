package main

import (
	"fmt"
	"os/user"
	"path/filepath"
)

// folder is where the program keeps something of a user. Its path is absolute, or
// "" where there is none.
type folder struct {
	path   string
	source string // the variable that says so, or sourceDefault
	note   string // what was ignored on the way
}

// stateFolder is where receipts are kept.
func (e *env) stateFolder() folder {
	return e.folderOf("OFFSETS_STATE_DIR", "XDG_STATE_HOME", filepath.Join(".local", "state"))
}

// configFolder is where contexts are kept.
func (e *env) configFolder() folder {
	return e.folderOf("OFFSETS_CONFIG_DIR", "XDG_CONFIG_HOME", ".config")
}

// folderOf finds a folder: what our own variable says, which may be relative to
// where the user is; below the XDG one, which is ignored if it is relative, as that
// specification has it; else below the user's home.
func (e *env) folderOf(own, xdg, belowHome string) folder {
	if dir := e.Getenv(own); dir != "" {
		if abs, err := filepath.Abs(dir); err == nil {
			return folder{path: abs, source: own}
		}
	}
	f := folder{source: sourceDefault}
	if dir := e.Getenv(xdg); filepath.IsAbs(dir) {
		return folder{path: filepath.Join(dir, "offsets"), source: xdg}
	} else if dir != "" {
		f.note = fmt.Sprintf("%s is ignored: %s is not an absolute path", xdg, dir)
	}
	if home := e.home(); home != "" {
		f.path = filepath.Join(home, belowHome, "offsets")
	}
	return f
}

// home is the user's home: HOME, else what the system knows of the user. Cron,
// systemd and containers may set none.
func (e *env) home() string {
	if home := e.Getenv("HOME"); filepath.IsAbs(home) {
		return home
	}
	lookup := e.HomeDir
	if lookup == nil {
		lookup = systemHome
	}
	if home := lookup(); filepath.IsAbs(home) {
		return home
	}
	return ""
}

// systemHome is the home in the system's list of users.
func systemHome() string {
	u, err := user.Current()
	if err != nil {
		return ""
	}
	return u.HomeDir
}
