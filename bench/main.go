// Bench fills a real Kafka 4.3.1 and measures this tool beside Kafka's own
// tools, on the same data in one run. It prints tables of ratios: machines are
// noisy, so only those mean something.
//
//	go run ./bench [-only decode|lag] [-commits 3000000] [-groups 2000]
//
// It fetches what it needs (Java 17 and Maven must be there).
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
)

func main() {
	commits := flag.Int("commits", 3_000_000, "offset commits to write, for decode")
	groups := flag.Int("groups", 2000, "groups with 20 partitions each, for lag")
	only := flag.String("only", "", "decode or lag")
	yardstick := flag.String("yardstick", "", "broker to ask with the fewest requests, and nothing else")
	flag.Parse()
	ctx := context.Background()
	err := error(nil)
	if *yardstick != "" {
		err = measureYardstick(ctx, *yardstick)
	} else {
		err = run(ctx, *only, *commits, *groups)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, only string, commits, groups int) error {
	tool, err := build(ctx)
	if err != nil {
		return err
	}
	defer os.Remove(tool)
	if only != "lag" {
		if err := benchDecode(ctx, tool, commits); err != nil {
			return err
		}
	}
	if only != "decode" {
		return benchLag(ctx, tool, groups)
	}
	return nil
}
