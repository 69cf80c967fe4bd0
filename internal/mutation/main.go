package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

func main() {
	only := flag.String("only", "", "numbers of mutations, with commas")
	list := flag.Bool("list", false, "show the mutations")
	limit := flag.Duration("limit", 5*time.Minute, "how long one test call may take; a test that hangs has noticed")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *only, *list, *limit); err != nil {
		fmt.Fprintln(os.Stderr, "mutation:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, only string, list bool, limit time.Duration) error {
	root, err := moduleRoot(ctx)
	if err != nil {
		return err
	}
	mutations, err := parse(mutationsText)
	if err != nil {
		return err
	}
	if mutations, err = among(mutations, only); err != nil {
		return err
	}
	if list {
		for _, m := range mutations {
			fmt.Printf("%3d  %s\n     %s\n       - %s\n       + %s\n", m.Number, m.Rule, m.File, m.Old, m.New)
		}
		return nil
	}
	var bad []string
	for _, m := range mutations {
		begun := time.Now()
		verdict, err := play(ctx, root, &m, limit)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			verdict = "ERROR " + err.Error()
		}
		if err != nil || verdict == unnoticed {
			bad = append(bad, strconv.Itoa(m.Number))
		}
		fmt.Printf("%3d  %-70s  %s (%.1f s)\n", m.Number, m.Rule, verdict, time.Since(begun).Seconds())
	}
	if len(bad) > 0 {
		return fmt.Errorf("%d of %d were not noticed, or could not be played: %s", len(bad), len(mutations), strings.Join(bad, ","))
	}
	fmt.Printf("all %d mutations were noticed\n", len(mutations))
	return nil
}

func moduleRoot(ctx context.Context) (string, error) {
	mod, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("looking for go.mod: %w", err)
	}
	return filepath.Dir(strings.TrimSpace(string(mod))), nil
}

func among(all []mutation, only string) ([]mutation, error) {
	if only == "" {
		return all, nil
	}
	var out []mutation
	for word := range strings.SplitSeq(only, ",") {
		n, err := strconv.Atoi(word)
		i := slices.IndexFunc(all, func(m mutation) bool { return m.Number == n })
		if err != nil || i < 0 {
			return nil, fmt.Errorf("-only %s: there is no mutation %q, they are 1 to %d", only, word, len(all))
		}
		out = append(out, all[i])
	}
	return out, nil
}

const unnoticed = "NOT NOTICED"

// play runs the tests of one mutation until one fails, and says which.
func play(ctx context.Context, root string, m *mutation, limit time.Duration) (string, error) {
	dir, err := os.MkdirTemp("", "mutation-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	overlay, err := m.overlay(root, dir)
	if err != nil {
		return "", err
	}
	for _, t := range m.Tests {
		failed, err := fails(ctx, root, overlay, t, limit)
		if err != nil {
			return "", err
		}
		if failed {
			return "noticed by " + t.String(), nil
		}
	}
	return unnoticed, nil
}

// overlay writes the changed file into dir, and what tells the go command to
// build it instead of the real one.
func (m *mutation) overlay(root, dir string) (string, error) {
	file := filepath.Join(root, filepath.FromSlash(m.File))
	source, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	changed, err := m.apply(string(source))
	if err != nil {
		return "", err
	}
	replaced := filepath.Join(dir, filepath.Base(file))
	text, err := json.Marshal(map[string]map[string]string{"Replace": {file: replaced}})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(dir, "overlay.json")
	return overlay, errors.Join(os.WriteFile(replaced, []byte(changed), 0o600), os.WriteFile(overlay, text, 0o600))
}

// fails runs one test call. A build that fails is an error, not a failing test:
// vet compiles the package and its tests first.
func fails(ctx context.Context, root, overlay string, t test, limit time.Duration) (bool, error) {
	build := exec.CommandContext(ctx, "go", "test", "-overlay", overlay, "-vet=off", "-run", "^$", t.Package)
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return false, fmt.Errorf("it does not compile: %s", strings.TrimSpace(string(out)))
	}
	args := []string{"test", "-overlay", overlay, "-vet=off", "-count=1", "-failfast", "-timeout", limit.String()}
	if t.Run != "" {
		args = append(args, "-run", t.Run)
	}
	cmd := exec.CommandContext(ctx, "go", append(args, t.Package)...)
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	if err == nil && strings.Contains(string(out), "no tests to run") {
		return false, fmt.Errorf("%s runs no test", t)
	}
	return err != nil, nil
}
