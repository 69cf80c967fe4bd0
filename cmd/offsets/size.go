package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// parseSize parses a number of bytes, such as 1048576, 64MiB or 1GiB.
func parseSize(text string) (int, error) {
	number, factor := strings.TrimSpace(text), int64(1)
	for i, unit := range []string{"KiB", "MiB", "GiB"} {
		if n, ok := strings.CutSuffix(number, unit); ok {
			number, factor = strings.TrimSpace(n), 1<<(10*(i+1))
			break
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 1 || n > math.MaxInt32/factor {
		return 0, fmt.Errorf("%q is no size: want a number of bytes from 1 to %d, such as 64MiB", text, math.MaxInt32)
	}
	return int(n * factor), nil
}
