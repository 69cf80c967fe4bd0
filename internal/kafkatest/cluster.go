package kafkatest

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// startLimit is generous: two brokers may start side by side on two cores.
const startLimit = 90 * time.Second

// Config says which broker to start.
type Config struct {
	Version Version
	Mode    Mode
	// OffsetsPartitions is the partition count of __consumer_offsets. Give
	// each broker another one: code that assumes 50 then fails on one of them.
	OffsetsPartitions int
	// Properties are broker properties beyond the usual ones, or instead of
	// them.
	Properties map[string]string
	// Secure adds listeners with TLS, client certificates and SASL, and an
	// authorizer; KRaft only.
	Secure *Secure
}

// Cluster is one running broker.
type Cluster struct {
	Version   Version
	Bootstrap string // host:port
	// SASL and MTLS are host:port of the listeners of a secure broker.
	SASL, MTLS string

	jars  string
	dir   string
	procs []*process
}

// Start starts a broker and returns when it answers. The error wraps
// [ErrNotCached] where jars are missing and may not be fetched.
func Start(ctx context.Context, c Config) (_ *Cluster, err error) {
	lib, err := jars(ctx, c.Mode, c.Version)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "kafkatest-"+string(c.Version)+"-")
	if err != nil {
		return nil, err
	}
	k := &Cluster{Version: c.Version, jars: lib, dir: dir}
	defer func() {
		if err != nil {
			k.Stop()
		}
	}()
	ports, err := freePorts(2)
	if err != nil {
		return nil, err
	}
	k.Bootstrap = fmt.Sprintf("127.0.0.1:%d", ports[0])
	props := commonProperties(c, dir, ports[0])
	if c.Version.usesZooKeeper() {
		err = k.startZooKeeper(props, ports[1])
	} else {
		err = k.formatKRaft(ctx, props, ports[1])
	}
	if err != nil {
		return nil, err
	}
	maps.Copy(props, c.Properties)
	if c.Secure != nil {
		if err := k.secure(props, c.Secure); err != nil {
			return nil, err
		}
	}
	file := filepath.Join(dir, "server.properties")
	if err := writeProperties(file, props); err != nil {
		return nil, err
	}
	broker, err := startProcess(filepath.Join(dir, "broker.log"), k.java("-Xmx768m", "kafka.Kafka", file)...)
	if err != nil {
		return nil, err
	}
	k.procs = append(k.procs, broker)
	return k, broker.waitFor(startLimit, func() error { return ping(ctx, k.Bootstrap) })
}

// DataDir is where the broker keeps its partitions.
func (k *Cluster) DataDir() string { return filepath.Join(k.dir, "data") }

// DumpLog returns Kafka's own kafka-dump-log.
func (k *Cluster) DumpLog(ctx context.Context, args ...string) *exec.Cmd {
	class := "org.apache.kafka.tools.DumpLogSegments"
	if k.Version != V431 {
		class = "kafka.tools.DumpLogSegments"
	}
	return k.Java(ctx, class, args...)
}

// Stop ends the broker's processes and removes its data.
func (k *Cluster) Stop() {
	for i := len(k.procs) - 1; i >= 0; i-- {
		k.procs[i].stop()
	}
	_ = os.RemoveAll(k.dir)
}

// ConsumerGroups returns Kafka's own kafka-consumer-groups, ready to run
// against this broker.
func (k *Cluster) ConsumerGroups(ctx context.Context, args ...string) *exec.Cmd {
	class := "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"
	if k.Version == V360 || k.Version == V372 {
		class = "kafka.admin.ConsumerGroupCommand"
	}
	return k.Java(ctx, class, append([]string{"--bootstrap-server", k.Bootstrap}, args...)...)
}

// ShareGroups returns Kafka's own kafka-share-groups, which older releases do
// not have.
func (k *Cluster) ShareGroups(ctx context.Context, args ...string) *exec.Cmd {
	return k.Java(ctx, "org.apache.kafka.tools.consumer.group.ShareGroupCommand", append([]string{"--bootstrap-server", k.Bootstrap}, args...)...)
}

// ConsoleConsumer returns Kafka's own kafka-console-consumer.
func (k *Cluster) ConsoleConsumer(ctx context.Context, args ...string) *exec.Cmd {
	class := "org.apache.kafka.tools.consumer.ConsoleConsumer"
	if k.Version == V360 || k.Version == V372 {
		class = "kafka.tools.ConsoleConsumer"
	}
	return k.Java(ctx, class, append([]string{"--bootstrap-server", k.Bootstrap}, args...)...)
}

// Java returns a command that runs a class of this release; or a program in a
// .java file, with this release's classes.
func (k *Cluster) Java(ctx context.Context, class string, args ...string) *exec.Cmd {
	argv := append(k.java("-Xmx256m", class), args...)
	return exec.CommandContext(ctx, argv[0], argv[1:]...)
}

func (k *Cluster) java(heap, class string, args ...string) []string {
	return append([]string{
		"java", heap, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData",
		"-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
		"-cp", filepath.Join(k.jars, "*"), class,
	}, args...)
}

func commonProperties(c Config, dir string, port int) map[string]string {
	return map[string]string{
		"listeners":                                     fmt.Sprintf("PLAINTEXT://127.0.0.1:%d", port),
		"log.dirs":                                      filepath.Join(dir, "data"),
		"offsets.topic.num.partitions":                  fmt.Sprint(c.OffsetsPartitions),
		"offsets.topic.replication.factor":              "1",
		"transaction.state.log.replication.factor":      "1",
		"transaction.state.log.min.isr":                 "1",
		"transaction.state.log.num.partitions":          "5",
		"group.initial.rebalance.delay.ms":              "0",
		"group.min.session.timeout.ms":                  "1000",
		"log.flush.offset.checkpoint.interval.ms":       "600000",
		"log.flush.start.offset.checkpoint.interval.ms": "600000",
		// Else empty groups without offsets vanish in the middle of a long run.
		"offsets.retention.check.interval.ms": "86400000",
		"controlled.shutdown.enable":          "false",
	}
}

func (k *Cluster) formatKRaft(ctx context.Context, props map[string]string, controllerPort int) error {
	for name, value := range map[string]string{
		"process.roles":             "broker,controller",
		"node.id":                   "1",
		"controller.quorum.voters":  fmt.Sprintf("1@127.0.0.1:%d", controllerPort),
		"controller.listener.names": "CONTROLLER",
		"listeners":                 fmt.Sprintf("%s,CONTROLLER://127.0.0.1:%d", props["listeners"], controllerPort),
		"share.coordinator.state.topic.replication.factor": "1",
		"share.coordinator.state.topic.min.isr":            "1",
		"group.consumer.min.session.timeout.ms":            "1000",
		"group.consumer.min.heartbeat.interval.ms":         "200",
		"group.consumer.heartbeat.interval.ms":             "500",
		"group.consumer.session.timeout.ms":                "3000",
		"group.share.min.session.timeout.ms":               "1000",
		"group.share.min.heartbeat.interval.ms":            "200",
		"group.share.heartbeat.interval.ms":                "500",
		"group.share.session.timeout.ms":                   "3000",
	} {
		props[name] = value
	}
	file := filepath.Join(k.dir, "format.properties")
	if err := writeProperties(file, props); err != nil {
		return err
	}
	id := make([]byte, 16)
	_, _ = rand.Read(id) // crypto/rand never fails
	id[0] &= 0x7f        // an id that starts with '-' would look like a flag
	out, err := k.Java(ctx, "kafka.tools.StorageTool", "format", "-t", base64.RawURLEncoding.EncodeToString(id), "-c", file).CombinedOutput()
	if err != nil {
		return fmt.Errorf("formatting the log folder: %w: %s", err, tail(string(out), 2000))
	}
	return nil
}

func (k *Cluster) startZooKeeper(props map[string]string, port int) error {
	props["broker.id"] = "1"
	props["zookeeper.connect"] = fmt.Sprintf("127.0.0.1:%d", port)
	file := filepath.Join(k.dir, "zookeeper.properties")
	err := writeProperties(file, map[string]string{
		"dataDir":            filepath.Join(k.dir, "zookeeper"),
		"clientPort":         fmt.Sprint(port),
		"clientPortAddress":  "127.0.0.1",
		"admin.enableServer": "false",
		"maxClientCnxns":     "0",
	})
	if err != nil {
		return err
	}
	zk, err := startProcess(filepath.Join(k.dir, "zookeeper.log"), k.java("-Xmx256m", "org.apache.zookeeper.server.quorum.QuorumPeerMain", file)...)
	if err != nil {
		return err
	}
	k.procs = append(k.procs, zk)
	return zk.waitFor(startLimit, func() error {
		conn, err := net.Dial("tcp", props["zookeeper.connect"])
		if err == nil {
			conn.Close()
		}
		return err
	})
}

func writeProperties(file string, props map[string]string) error {
	var b strings.Builder
	for name, value := range props {
		fmt.Fprintf(&b, "%s=%s\n", name, value)
	}
	return os.WriteFile(file, []byte(b.String()), 0o644)
}

// freePorts returns ports that were free a moment ago; they are held open
// together, so that they differ.
func freePorts(n int) ([]int, error) {
	ports := make([]int, n)
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		ports[i] = l.Addr().(*net.TCPAddr).Port
	}
	return ports, nil
}

func ping(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr))
	if err != nil {
		return err
	}
	defer cl.Close()
	return cl.Ping(ctx)
}
