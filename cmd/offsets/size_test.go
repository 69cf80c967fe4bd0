package main

import "testing"

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int{"1": 1, "1048576": 1 << 20, "64MiB": 64 << 20, "1 GiB": 1 << 30, "3KiB": 3072, "2147483647": 1<<31 - 1} {
		if got, err := parseSize(text); got != want || err != nil {
			t.Errorf("%q: %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "0", "-1", "x", "MiB", "2GiB", "2147483648", "9223372036854775807GiB", "1MB", "1.5MiB", "0x10", "64mib"} {
		if got, err := parseSize(text); err == nil {
			t.Errorf("%q: %d", text, got)
		}
	}
}
