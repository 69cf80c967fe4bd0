package kafkatest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// Python returns the environment (PYTHONPATH=…) in which python3 finds the
// packages given as pip requirements, fetched from PyPI if the mode allows it.
func Python(ctx context.Context, mode Mode, requirements ...string) (env []string, err error) {
	dir, err := cached(ctx, mode, "python", strings.Join(requirements, "\n"), func(ctx context.Context, dir string) error {
		args := append([]string{"-m", "pip", "install", "-q", "--disable-pip-version-check", "--target", dir}, requirements...)
		if out, err := exec.CommandContext(ctx, "python3", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, tail(string(out), 2000))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return append(os.Environ(), "PYTHONPATH="+dir, "PYTHONUNBUFFERED=1"), nil
}
