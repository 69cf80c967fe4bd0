package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

// build makes the program as users have it.
func build(ctx context.Context) (string, error) {
	tool := filepath.Join(os.TempDir(), fmt.Sprintf("offsets-bench-%d", os.Getpid()))
	cmd := exec.CommandContext(ctx, "go", "build", "-o", tool, "offsets/cmd/offsets")
	cmd.Stderr = os.Stderr
	return tool, cmd.Run()
}

// commit retries while the offsets topic is being made.
func commit(ctx context.Context, adm *kadm.Client, group string, os kadm.Offsets) (err error) {
	for range 100 {
		if err = adm.CommitAllOffsets(ctx, group, os); err == nil {
			return nil
		}
		time.Sleep(200 * time.Millisecond)
	}
	return fmt.Errorf("committing: %w", err)
}

// result is one measured run.
type result struct {
	name      string
	records   int
	wall, cpu time.Duration
	peakMiB   int64
	err       error
}

func measure(name string, records int, cmd *exec.Cmd) result {
	fmt.Fprintln(os.Stderr, "running", name)
	cmd.Stdout = io.Discard
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err == nil {
		defer null.Close()
		cmd.Stdout = null
	}
	began := time.Now()
	err = cmd.Run()
	r := result{name: name, records: records, wall: time.Since(began), err: err}
	if cmd.ProcessState != nil {
		r.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
		if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
			r.peakMiB = usage.Maxrss >> 10
		}
	}
	return r
}

// best runs something a few times, and keeps the run that was fastest: what
// else the machine does only ever adds.
func best(times int, name string, records int, cmd func() *exec.Cmd) result {
	var r result
	for i := range times {
		if one := measure(name, records, cmd()); i == 0 || one.err == nil && one.wall < r.wall {
			r = one
		}
	}
	return r
}

// report prints the runs, the last of which is what the others are compared
// with.
func report(title string, results []result) {
	base := results[len(results)-1]
	fmt.Printf("%s:\n\n| | wall s | CPU s | peak MiB | records/s | times as fast |\n|---|---|---|---|---|---|\n", title)
	for _, r := range results {
		if r.err != nil {
			fmt.Printf("| `%s` | failed: %v |\n", r.name, r.err)
			continue
		}
		fmt.Printf("| `%s` | %.3f | %.3f | %d | %.0f | %.1f |\n", r.name, r.wall.Seconds(), r.cpu.Seconds(), r.peakMiB,
			float64(r.records)/r.wall.Seconds(), base.wall.Seconds()/r.wall.Seconds())
	}
	fmt.Println()
}
