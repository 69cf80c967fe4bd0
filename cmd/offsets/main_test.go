package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"offsets/internal/kafkatest"
	"offsets/internal/sandbox"
)

// With the race detector a program sleeps for a second before it ends, unless
// told otherwise; tests start it some thousand times.
const noSleepAtExit = "atexit_sleep_ms=0"

func TestMain(m *testing.M) {
	os.Setenv("GORACE", noSleepAtExit)
	testscript.Main(stopBrokers{m}, map[string]func(){
		"offsets": func() { os.Exit(realMain()) },
	})
}

// stopBrokers ends the real brokers when all tests are done.
type stopBrokers struct{ m *testing.M }

func (s stopBrokers) Run() int {
	defer func() {
		for _, b := range brokers() {
			b.stop()
		}
	}()
	return s.m.Run()
}

// realBroker starts one real Kafka for all tests of a run, when the first of
// them asks.
type realBroker struct {
	config  kafkatest.Config
	once    sync.Once
	cluster *kafkatest.Cluster
	err     error
}

// brokers is the one place that says which real Kafkas the tests run on.
var brokers = sync.OnceValue(func() []*realBroker {
	return []*realBroker{
		{config: kafkatest.Config{Version: kafkatest.V360, OffsetsPartitions: 7}},
		{config: kafkatest.Config{Version: kafkatest.V431, OffsetsPartitions: 11}},
		{config: kafkatest.Config{Version: kafkatest.V440, OffsetsPartitions: 50}},
	}
})

// oldestAndNewest leaves out the releases between, for what does not depend on
// the release, or only on ZooKeeper or KRaft. OFFSETS_TEST_SOAK asks for all.
func oldestAndNewest() []kafkatest.Version {
	if os.Getenv("OFFSETS_TEST_SOAK") != "" {
		return []kafkatest.Version{kafkatest.V360, kafkatest.V431, kafkatest.V440}
	}
	return []kafkatest.Version{kafkatest.V360, kafkatest.V440}
}

// get returns the broker; it skips the test where there is none to be had,
// and fails it where one is required.
func (b *realBroker) get(t testing.TB) *kafkatest.Cluster {
	t.Helper()
	b.once.Do(func() {
		if b.config.Mode, b.err = kafkatest.ModeFromEnv(); b.err != nil {
			return
		}
		if b.config.Mode == kafkatest.Off {
			b.err = fmt.Errorf("OFFSETS_TEST_KAFKA=off: %w", kafkatest.ErrNotCached)
			return
		}
		b.cluster, b.err = kafkatest.Start(context.Background(), b.config)
	})
	if errors.Is(b.err, kafkatest.ErrNotCached) {
		t.Skipf("no Apache Kafka %s: %v", b.config.Version, b.err)
	}
	if b.err != nil {
		t.Fatalf("starting Apache Kafka %s: %v", b.config.Version, b.err)
	}
	return b.cluster
}

func (b *realBroker) stop() {
	b.once.Do(func() {}) // a test that never asked
	if b.cluster != nil {
		b.cluster.Stop()
	}
}

// TestScript runs every script on the sandbox and on each real Kafka. What a
// broker is called in a script's conditions: [sandbox], [kafka], [kafka-3.6.0],
// [kafka-4.3.1], [kafka-4.4.0], and [kafka-4] for both of these. Each script has a prefix of its own in $P for topics and
// groups, because the real brokers are shared.
func TestScript(t *testing.T) {
	t.Run("sandbox", func(t *testing.T) {
		t.Parallel()
		runScripts(t, "sandbox", nil, func(env *testscript.Env) (string, error) {
			s, err := sandbox.Start(sandbox.Options{})
			if err != nil {
				return "", err
			}
			env.Defer(s.Close)
			return s.Addr, nil
		})
	})
	for _, b := range brokers() {
		name := "kafka-" + string(b.config.Version)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cluster := b.get(t)
			runScripts(t, name, cluster, func(*testscript.Env) (string, error) { return cluster.Bootstrap, nil })
		})
	}
}

func runScripts(t *testing.T, name string, cluster *kafkatest.Cluster, broker func(*testscript.Env) (string, error)) {
	testscript.Run(t, testscript.Params{
		Files: scriptsFor(t, cluster),
		Setup: func(env *testscript.Env) error {
			addr, err := broker(env)
			if err != nil {
				return err
			}
			env.Setenv("OFFSETS_BOOTSTRAP_SERVER", addr)
			env.Setenv("BROKER", addr)
			env.Setenv("GORACE", noSleepAtExit)
			if cluster != nil {
				env.Setenv("DATA", cluster.DataDir())
			}
			env.Setenv("P", prefix(env.WorkDir))
			// A data folder that no other script sees.
			env.Setenv("HOME", env.WorkDir+"/.home")
			env.Values[processesKey{}] = &processes{byName: map[string]*pythonProcess{}}
			env.Values[sourceDir{}], err = os.Getwd()
			return err
		},
		Condition: func(cond string) (bool, error) {
			switch cond {
			case "sandbox", "kafka-" + string(kafkatest.V360), "kafka-" + string(kafkatest.V431), "kafka-" + string(kafkatest.V440):
				return cond == name, nil
			case "kafka-4":
				return cluster != nil && cluster.Version.KRaft(), nil
			case "kafka":
				return cluster != nil, nil
			case "python":
				return hasPython()
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
		Cmds:                scriptCommands(cluster),
		RequireExplicitExec: true,
		UpdateScripts:       os.Getenv("OFFSETS_UPDATE_SCRIPTS") != "",
		Deadline:            time.Now().Add(15 * time.Minute),
	})
}

// What 4.4 does otherwise than 4.3 is in these words; see scriptsFor.
var differs = regexp.MustCompile(`kafka-4|share|transaction|group-protocol|decode|streams`)

// scriptsFor is all scripts; or, on a release between the oldest and the newest,
// those in which releases differ, because a run of all takes minutes.
func scriptsFor(t *testing.T, cluster *kafkatest.Cluster) (out []string) {
	t.Helper()
	files, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if cluster == nil || slices.Contains(oldestAndNewest(), cluster.Version) || differs.Match(text) {
			out = append(out, file)
		}
	}
	return out
}

// prefix is the script's name, from its work folder ".../script-NAME".
func prefix(workDir string) string {
	name := workDir[strings.LastIndex(workDir, "/")+1:]
	return strings.TrimPrefix(name, "script-")
}
