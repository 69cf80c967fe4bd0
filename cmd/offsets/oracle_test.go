package main

import (
	"cmp"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"offsets/internal/kafkatest"
	"offsets/internal/oracle"
	"offsets/internal/oracle/ask"
	"offsets/internal/oracle/desk"
	"offsets/internal/oracle/report"
)

// oracleSeeds are played in CI: some that broke rules before they were mended.
var oracleSeeds = []int64{1, 2}

// oracleLength keeps those within CI's time. A longer script of the same seed
// begins with the same steps.
const oracleLength = 60

// TestOracle plays random scripts on brokers of its own and holds all answers of
// the program against what is true; see docs/reliability.md.
//
//	OFFSETS_TEST_ORACLE=1h         random seeds for so long, instead of the fixed ones
//	OFFSETS_TEST_ORACLE_SEED=7,8   these seeds
//	OFFSETS_TEST_ORACLE_KEEP=DIR   keep what failed there (default: below the temporary folder)
//	OFFSETS_TEST_ORACLE_BROKERS=3  several brokers, whose coordinators fail
//	OFFSETS_TEST_ORACLE_JAVA=only  scripts of Java's clients, share groups and imports
//	OFFSETS_TEST_ORACLE_SHRINK=0s  how long to shrink the first script that failed (default: 10m)
//	OFFSETS_TEST_ORACLE_JUDGE=DIR  judge what was kept in DIR again, without a broker
//	OFFSETS_BIN=FILE               judge that program instead of this one
func TestOracle(t *testing.T) {
	if dir := os.Getenv("OFFSETS_TEST_ORACLE_JUDGE"); dir != "" {
		faults, err := oracle.Judge(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range faults {
			t.Errorf("step %d %s: %s\n%s", f.Step, f.Rule, f.Message, f.Command)
		}
		return
	}
	releases := oldestAndNewest()
	if os.Getenv("OFFSETS_TEST_ORACLE") != "" || os.Getenv("OFFSETS_TEST_ORACLE_SEED") != "" {
		releases = []kafkatest.Version{kafkatest.V360, kafkatest.V431, kafkatest.V440}
	}
	for _, release := range releases {
		t.Run(string(release), func(t *testing.T) {
			t.Parallel()
			oracleOn(t, release)
		})
	}
}

func oracleOn(t *testing.T, release kafkatest.Version) {
	if testing.Short() {
		t.Skip("starts a broker")
	}
	mode, err := kafkatest.ModeFromEnv()
	if err != nil {
		t.Fatal(err)
	}
	if mode == kafkatest.Off {
		t.Skip("OFFSETS_TEST_KAFKA=off")
	}
	options := oracle.Options{Seeds: oracleSeeds, Lanes: len(oracleSeeds), Length: oracleLength, Program: oracleProgram(t), Logf: t.Logf}
	if v := os.Getenv("OFFSETS_TEST_ORACLE"); v != "" {
		if options.For, err = time.ParseDuration(v); err != nil {
			t.Fatalf("OFFSETS_TEST_ORACLE: %v", err)
		}
		options.Seeds, options.Lanes, options.Length = nil, 3, 0
	}
	if v := os.Getenv("OFFSETS_TEST_ORACLE_SEED"); v != "" {
		options.Seeds, options.Length = nil, 0
		for s := range strings.SplitSeq(v, ",") {
			seed, err := strconv.ParseInt(s, 10, 64)
			if err != nil {
				t.Fatalf("OFFSETS_TEST_ORACLE_SEED: %v", err)
			}
			options.Seeds = append(options.Seeds, seed)
		}
	}
	if options.Keep = os.Getenv("OFFSETS_TEST_ORACLE_KEEP"); options.Keep == "" {
		options.Keep = filepath.Join(os.TempDir(), "offsets-oracle")
	}
	brokers, err := strconv.Atoi(cmp.Or(os.Getenv("OFFSETS_TEST_ORACLE_BROKERS"), "1"))
	if err != nil {
		t.Fatalf("OFFSETS_TEST_ORACLE_BROKERS: %v", err)
	}
	cluster, err := kafkatest.Start(context.Background(), oracle.ClusterConfig(release, mode, brokers))
	if errors.Is(err, kafkatest.ErrNotCached) && mode != kafkatest.Require {
		t.Skipf("no Apache Kafka %s: %v", release, err)
	}
	if err != nil {
		t.Fatalf("starting Apache Kafka %s: %v", release, err)
	}
	t.Cleanup(cluster.Stop)
	options.Broker = oracle.Broker{Release: string(release), Bootstrap: cluster.Bootstrap, DataDir: cluster.DataDir(),
		Restart: func(ctx context.Context, how string) error { return oracle.Restart(ctx, cluster, how) }}
	if brokers > 1 { // none of which has all of the offsets topic at all times
		options.Broker.DataDir, options.Broker.Restart = "", nil
		if options.Broker.Failover, err = oracle.NewFailover(cluster); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(options.Broker.Failover.Close)
	}
	d, err := desk.Start(t.Context(), cluster)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	options.Java, options.JavaOnly = d, os.Getenv("OFFSETS_TEST_ORACLE_JAVA") == "only"
	options.Tools = func(ctx context.Context, name string, args ...string) (string, string, int, error) {
		out, err := d.Tool(ctx, name, args...)
		return out.Stdout, out.Stderr, out.Exit, err
	}
	rep, err := oracle.Run(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(rep)
	for _, f := range rep.Found() {
		t.Errorf("%s, %d times; OFFSETS_TEST_ORACLE_SEED=%d, step %d: %s\n%s", f.Rule, f.Count, f.Seed, f.First.Step, f.First.Message, f.First.Command)
	}
	shrinkFirst(t, options, rep)
	for _, e := range rep.Errors {
		t.Errorf("not played to its end: %s", e)
	}
}

// oracleProgram is OFFSETS_BIN, or this test's own binary under the program's
// name.
func oracleProgram(t *testing.T) ask.Program {
	p := ask.Program{Path: os.Getenv("OFFSETS_BIN"), Name: "offsets", Env: []string{"GORACE=" + noSleepAtExit}}
	if p.Path != "" {
		return p
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p.Path = filepath.Join(t.TempDir(), "offsets")
	if err := os.Symlink(exe, p.Path); err != nil {
		t.Fatal(err)
	}
	return p
}

// shrinkFirst makes the first script that failed short, and prints it as shell.
func shrinkFirst(t *testing.T, options oracle.Options, rep *report.Report) {
	found := rep.Found()
	if len(found) == 0 {
		return
	}
	limit := 10 * time.Minute
	if v := os.Getenv("OFFSETS_TEST_ORACLE_SHRINK"); v != "" {
		var err error
		if limit, err = time.ParseDuration(v); err != nil {
			t.Fatalf("OFFSETS_TEST_ORACLE_SHRINK: %v", err)
		}
	}
	if limit == 0 {
		return
	}
	script, err := oracle.Shrink(t.Context(), options, found[0].Seed, found[0].First, limit)
	if err != nil {
		t.Log(err)
		return
	}
	t.Logf("the shortest script:\n%s", script)
}
