package kafkatest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

func commonProperties(c Config, b *Broker) map[string]string {
	return map[string]string{
		"broker.id":                        fmt.Sprint(b.ID),
		"listeners":                        "PLAINTEXT://" + b.Addr,
		"log.dirs":                         filepath.Join(b.dir, "data"),
		"offsets.topic.num.partitions":     fmt.Sprint(c.OffsetsPartitions),
		"offsets.topic.replication.factor": fmt.Sprint(c.Brokers),
		"transaction.state.log.replication.factor":      fmt.Sprint(c.Brokers),
		"transaction.state.log.min.isr":                 "1",
		"transaction.state.log.num.partitions":          "5",
		"group.initial.rebalance.delay.ms":              "0",
		"group.min.session.timeout.ms":                  "1000",
		"log.flush.offset.checkpoint.interval.ms":       "600000",
		"log.flush.start.offset.checkpoint.interval.ms": "600000",
		// Else empty groups without offsets vanish in the middle of a long run.
		"offsets.retention.check.interval.ms": "86400000",
		"controlled.shutdown.enable":          fmt.Sprint(c.Brokers > 1),
	}
}

// kraftProperties adds those of a broker that is a controller, too.
func kraftProperties(c Config, b *Broker, controllerPort int) {
	for name, value := range map[string]string{
		"process.roles":             "broker,controller",
		"node.id":                   fmt.Sprint(b.ID),
		"controller.listener.names": "CONTROLLER",
		"listeners":                 fmt.Sprintf("%s,CONTROLLER://127.0.0.1:%d", b.props["listeners"], controllerPort),
		// A dead broker is noticed soon, but not while two cores are busy.
		"broker.session.timeout.ms":                        "4000",
		"broker.heartbeat.interval.ms":                     "500",
		"share.coordinator.state.topic.replication.factor": fmt.Sprint(c.Brokers),
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
		b.props[name] = value
	}
	delete(b.props, "broker.id")
}

// zooKeeperSession is how long a dead broker goes unnoticed where it matters.
const zooKeeperSession = 4 * time.Second

// zooKeeperProperties adds those of a broker that has no controllers.
func zooKeeperProperties(c Config, b *Broker, port int) {
	b.props["zookeeper.connect"] = fmt.Sprintf("127.0.0.1:%d", port)
	if c.Brokers > 1 {
		b.props["zookeeper.session.timeout.ms"] = fmt.Sprint(zooKeeperSession.Milliseconds())
	}
}

func writeProperties(file string, props map[string]string) error {
	var b strings.Builder
	for name, value := range props {
		fmt.Fprintf(&b, "%s=%s\n", name, value)
	}
	return os.WriteFile(file, []byte(b.String()), 0o644)
}
