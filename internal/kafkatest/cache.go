package kafkatest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// ErrNotCached means that a thing would have to be fetched and may not be.
var ErrNotCached = errors.New("not in the cache, and OFFSETS_TEST_KAFKA=require is not set")

// cached returns the folder that fill has filled for this recipe, now or in an
// earlier run. The folder's name is the recipe's hash, so that a changed
// recipe is fetched anew; a lock keeps two test processes from fetching at
// once, and the rename at the end keeps half a download from being used.
func cached(ctx context.Context, mode Mode, name, recipe string, fill func(ctx context.Context, dir string) error) (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	base = filepath.Join(base, "offsets-kafkatest")
	sum := sha256.Sum256([]byte(recipe))
	dir := filepath.Join(base, name+"-"+hex.EncodeToString(sum[:6]))
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if mode != Require {
		return "", fmt.Errorf("%s: %w", name, ErrNotCached)
	}
	if err := os.MkdirAll(base, 0o755); err != nil {
		return "", err
	}
	// One lock for all recipes: Maven's own repository below the home folder
	// is not made for two writers.
	lock, err := os.OpenFile(filepath.Join(base, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", fmt.Errorf("locking the cache: %w", err)
	}
	if _, err := os.Stat(dir); err == nil {
		return dir, nil // another process filled it while we waited
	}
	tmp, err := os.MkdirTemp(base, "partial-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	if err := fill(ctx, tmp); err != nil {
		return "", fmt.Errorf("fetching %s: %w", name, err)
	}
	if err := os.Rename(tmp, dir); err != nil {
		return "", err
	}
	return dir, nil
}
