package oracle

import (
	"context"
	"fmt"

	"offsets/internal/kafkatest"
)

// ClusterConfig is the broker that the oracle wants to itself: it restarts it,
// and makes it compact the offsets topic within seconds.
func ClusterConfig(release kafkatest.Version, mode kafkatest.Mode, brokers int) kafkatest.Config {
	return kafkatest.Config{Version: release, Mode: mode, Brokers: brokers, OffsetsPartitions: 7, Properties: map[string]string{
		"default.replication.factor": fmt.Sprint(brokers),
		"log.cleaner.backoff.ms":     "300",
		"log.cleaner.enable":         "true",
		"log.cleaner.threads":        "1",
		"log.initial.task.delay.ms":  "500",
		// Trimmed and small topics change when a step says so, and not in
		// between, where no look sees it.
		"log.retention.check.interval.ms": "2000",
		// Share groups begin and end in one step.
		"group.share.record.lock.duration.ms":     "15000",
		"group.share.min.record.lock.duration.ms": "1000",
		// Short transactions are aborted soon after their time.
		"transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
	}}
}

// Restart restarts the only broker: clean, as an operator does, or kill, as a
// machine without power does.
func Restart(ctx context.Context, k *kafkatest.Cluster, how string) error {
	b := k.Brokers[0]
	if how == "kill" {
		b.Kill()
	} else if err := b.Shutdown(); err != nil {
		return err
	}
	if err := b.Start(ctx); err != nil {
		return err
	}
	return k.WaitReady(ctx)
}
