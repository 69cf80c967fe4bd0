//go:build !linux

package reset_test

import "testing"

func fullDisk(*testing.T) string { return "" }
