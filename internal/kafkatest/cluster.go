package kafkatest

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// startLimit is generous: several brokers may start side by side on two cores.
const startLimit = 90 * time.Second

// Config says which cluster to start.
type Config struct {
	Version Version
	Mode    Mode
	// Brokers is how many; 0 is one. Internal topics have a replica on each.
	Brokers int
	// OffsetsPartitions is the partition count of __consumer_offsets. Give
	// each cluster another one: code that assumes 50 then fails on one of them.
	OffsetsPartitions int
	// Properties are broker properties beyond the usual ones, or instead of
	// them.
	Properties map[string]string
	// Secure adds listeners with TLS, client certificates and SASL, and an
	// authorizer; KRaft with one broker only.
	Secure *Secure
}

// Cluster is a running Kafka.
type Cluster struct {
	Version   Version
	Bootstrap string // host:port of every broker, with commas
	// SASL and MTLS are host:port of the listeners of a secure broker.
	SASL, MTLS string
	Brokers    []*Broker // ids from 1

	jars      string
	dir       string
	zooKeeper *process
}

// Start starts a cluster and returns when it answers. The error wraps
// [ErrNotCached] where jars are missing and may not be fetched.
func Start(ctx context.Context, c Config) (_ *Cluster, err error) {
	c.Brokers = max(1, c.Brokers)
	if c.Brokers > 1 && c.Secure != nil {
		return nil, errors.New("several brokers: without security only")
	}
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
	if err := k.layOut(c); err != nil {
		return nil, err
	}
	return k, k.start(ctx)
}

// layOut decides ports, folders and properties of all processes.
func (k *Cluster) layOut(c Config) error {
	ports, err := freePorts(2 * c.Brokers)
	if err != nil {
		return err
	}
	var voters, addrs []string
	for i := range c.Brokers {
		b := &Broker{ID: int32(i + 1), Addr: fmt.Sprintf("127.0.0.1:%d", ports[2*i]), cluster: k, dir: filepath.Join(k.dir, fmt.Sprint(i+1))}
		b.props = commonProperties(c, b)
		if c.Version.usesZooKeeper() {
			zooKeeperProperties(c, b, ports[1])
		} else {
			kraftProperties(c, b, ports[2*i+1])
		}
		voters = append(voters, fmt.Sprintf("%d@127.0.0.1:%d", b.ID, ports[2*i+1]))
		addrs = append(addrs, b.Addr)
		k.Brokers = append(k.Brokers, b)
	}
	k.Bootstrap = strings.Join(addrs, ",")
	for _, b := range k.Brokers {
		if err := os.MkdirAll(b.dir, 0o755); err != nil {
			return err
		}
		if !c.Version.usesZooKeeper() {
			b.props["controller.quorum.voters"] = strings.Join(voters, ",")
		}
		maps.Copy(b.props, c.Properties)
		if c.Secure != nil {
			if err := k.secure(b.props, c.Secure); err != nil {
				return err
			}
		}
	}
	return nil
}

// start starts all processes for the first time.
func (k *Cluster) start(ctx context.Context) error {
	if k.Version.usesZooKeeper() {
		if err := k.startZooKeeper(k.Brokers[0].props["zookeeper.connect"]); err != nil {
			return err
		}
	}
	id := make([]byte, 16)
	_, _ = rand.Read(id) // crypto/rand never fails
	id[0] &= 0x7f        // an id that starts with '-' would look like a flag
	err := k.each(func(b *Broker) error {
		if !k.Version.usesZooKeeper() {
			if err := b.format(ctx, base64.RawURLEncoding.EncodeToString(id)); err != nil {
				return err
			}
		}
		return b.launch()
	})
	if err != nil {
		return err
	}
	return k.WaitReady(ctx)
}

// each does something with all brokers, at the same time.
func (k *Cluster) each(do func(*Broker) error) error {
	errs := make([]error, len(k.Brokers))
	var wg sync.WaitGroup
	for i, b := range k.Brokers {
		wg.Go(func() { errs[i] = do(b) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// WaitReady returns when every broker answers and knows all the others.
func (k *Cluster) WaitReady(ctx context.Context) error {
	return k.each(func(b *Broker) error { return b.waitReady(ctx, len(k.Brokers)) })
}

// DataDir is where the first broker keeps its partitions.
func (k *Cluster) DataDir() string { return k.Brokers[0].props["log.dirs"] }

// Stop ends all processes and removes their data.
func (k *Cluster) Stop() {
	_ = k.each(func(b *Broker) error { b.Kill(); return nil })
	k.zooKeeper.stop()
	_ = os.RemoveAll(k.dir)
}

func (k *Cluster) startZooKeeper(addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return err
	}
	file := filepath.Join(k.dir, "zookeeper.properties")
	err = writeProperties(file, map[string]string{
		"dataDir":            filepath.Join(k.dir, "zookeeper"),
		"clientPort":         port,
		"clientPortAddress":  host,
		"admin.enableServer": "false",
		"maxClientCnxns":     "0",
		"tickTime":           "1000", // sessions of 2 s or more
	})
	if err != nil {
		return err
	}
	k.zooKeeper, err = startProcess(filepath.Join(k.dir, "zookeeper.log"), k.java("-Xmx256m", "org.apache.zookeeper.server.quorum.QuorumPeerMain", file)...)
	if err != nil {
		return err
	}
	return k.zooKeeper.waitFor(startLimit, func() error {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			conn.Close()
		}
		return err
	})
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

// ping asks one broker how many brokers it knows.
func ping(ctx context.Context, addr string, brokers int) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr))
	if err != nil {
		return err
	}
	defer cl.Close()
	known, err := kadm.NewClient(cl).ListBrokers(ctx)
	if err == nil && len(known) < brokers {
		err = fmt.Errorf("%s knows %d brokers of %d", addr, len(known), brokers)
	}
	return err
}
