package oracle

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"offsets/internal/kafkatest"
)

// Failover takes brokers of a cluster away and brings them back, one at a time,
// so that the others always have all.
type Failover struct {
	cluster *kafkatest.Cluster
	cl      *kgo.Client
	adm     *kadm.Client

	mu   sync.Mutex
	dead *kafkatest.Broker
	gone chan struct{} // closed when an orderly end is over
}

// NewFailover returns one for a cluster of several brokers.
func NewFailover(k *kafkatest.Cluster) (*Failover, error) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(k.Bootstrap, ",")...), kgo.MetadataMinAge(10*time.Millisecond))
	if err != nil {
		return nil, err
	}
	return &Failover{cluster: k, cl: cl, adm: kadm.NewClient(cl)}, nil
}

// Close ends the connection; the brokers stay as they are.
func (f *Failover) Close() { f.cl.Close() }

// Fail ends the broker that coordinates the group, as kill -9 does or, with
// clean, as an operator does. It returns when that has begun: what happens next
// is to be seen by who asks.
func (f *Failover) Fail(ctx context.Context, group, how string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dead != nil {
		return fmt.Errorf("broker %d is down already", f.dead.ID)
	}
	found := f.adm.FindGroupCoordinators(ctx, group)[group]
	if found.Err != nil {
		return found.Err
	}
	if found.NodeID < 1 || int(found.NodeID) > len(f.cluster.Brokers) {
		return fmt.Errorf("no coordinator of %s", group)
	}
	f.dead, f.gone = f.cluster.Brokers[found.NodeID-1], make(chan struct{})
	if how == "clean" {
		go func(b *kafkatest.Broker, gone chan struct{}) {
			defer close(gone)
			if b.Shutdown() != nil {
				b.Kill()
			}
		}(f.dead, f.gone)
		return nil
	}
	f.dead.Kill()
	close(f.gone)
	return nil
}

// Down says whether a broker is down.
func (f *Failover) Down() bool {
	if f == nil {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.dead != nil
}

// Heal brings the broker back, and returns when every replica is in sync.
func (f *Failover) Heal(ctx context.Context) error {
	if f == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dead == nil {
		return nil
	}
	<-f.gone
	if err := f.dead.Start(ctx); err != nil {
		return err
	}
	if err := f.cluster.WaitReady(ctx); err != nil {
		return err
	}
	f.dead = nil
	var err error
	for range 300 {
		if err = f.inSync(ctx); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	return err
}

func (f *Failover) inSync(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	m, err := f.adm.Metadata(ctx)
	if err != nil {
		return err
	}
	if len(m.Brokers) < len(f.cluster.Brokers) {
		return errors.New("not all brokers are known")
	}
	for _, t := range m.Topics {
		for _, p := range t.Partitions {
			if p.Leader < 0 || len(p.ISR) < len(p.Replicas) {
				return fmt.Errorf("%s:%d is not in sync", t.Topic, p.Partition)
			}
		}
	}
	return nil
}
