package kafkatest

import (
	"context"
	"fmt"
	"path/filepath"
	"syscall"
	"time"
)

// Broker is one broker of a cluster, which can be brought into trouble.
type Broker struct {
	ID   int32
	Addr string // host:port

	cluster *Cluster
	dir     string
	props   map[string]string
	proc    *process
}

// format prepares the log folder of a KRaft broker.
func (b *Broker) format(ctx context.Context, clusterID string) error {
	file := filepath.Join(b.dir, "format.properties")
	if err := writeProperties(file, b.props); err != nil {
		return err
	}
	out, err := b.cluster.Java(ctx, "kafka.tools.StorageTool", "format", "-t", clusterID, "-c", file).CombinedOutput()
	if err != nil {
		return fmt.Errorf("formatting the log folder: %w: %s", err, tail(string(out), 2000))
	}
	return nil
}

func (b *Broker) launch() error {
	file := filepath.Join(b.dir, "server.properties")
	if err := writeProperties(file, b.props); err != nil {
		return err
	}
	var err error
	b.proc, err = startProcess(filepath.Join(b.dir, "broker.log"), b.cluster.java("-Xmx768m", "kafka.Kafka", file)...)
	return err
}

func (b *Broker) waitReady(ctx context.Context, brokers int) error {
	return b.proc.waitFor(startLimit, func() error { return ping(ctx, b.Addr, brokers) })
}

// Kill ends the broker without notice, as a machine that loses its power.
func (b *Broker) Kill() { b.proc.stop() }

// Shutdown ends it as an operator does: it hands over what it leads.
func (b *Broker) Shutdown() error {
	if err := b.proc.signal(syscall.SIGTERM); err != nil {
		return err
	}
	<-b.proc.done
	return nil
}

// Start starts a broker that was ended, and returns when it answers. One that
// was killed is in ZooKeeper until its session ends, and its successor gives up
// as long as it is.
func (b *Broker) Start(ctx context.Context) error {
	for begun := time.Now(); ; {
		if err := b.launch(); err != nil {
			return err
		}
		err := b.waitReady(ctx, 1)
		if err == nil || b.Running() || !b.cluster.Version.usesZooKeeper() || time.Since(begun) > startLimit {
			return err
		}
	}
}

// Pause stops the broker in the middle of what it does: connections stay, and
// nothing answers.
func (b *Broker) Pause() error { return b.proc.signal(syscall.SIGSTOP) }

// Resume lets a paused broker go on.
func (b *Broker) Resume() error { return b.proc.signal(syscall.SIGCONT) }

// Running says whether the broker's process is there, paused or not.
func (b *Broker) Running() bool {
	select {
	case <-b.proc.done:
		return false
	default:
		return true
	}
}
