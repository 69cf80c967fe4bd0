package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"offsets/inspect/commitlog"
)

// Options says what to start. The zero value is an empty broker on a free
// port that forgets everything.
type Options struct {
	// Listen is HOST:PORT; port 0 takes a free one. Default 127.0.0.1:0.
	Listen string
	// Data is a folder that outlives the broker; "" keeps all in memory. One that
	// does not exist is made for this user alone.
	Data string
	// Topics are created at the start, if they do not exist.
	Topics map[string]int32
	// OffsetsPartitions is the partition count of a new __consumer_offsets;
	// default 50, as in Kafka.
	OffsetsPartitions int32
	// Configs are broker configurations, such as offsets.retention.minutes.
	Configs map[string]string
	// Refuse is asked for every request, by its key; an error breaks the
	// connection. Tests use it to prove that something is never sent.
	Refuse func(key kmsg.Key) error
	// Lose is asked before a request that changes a group is answered, when it
	// has been carried out; an error breaks the connection instead.
	Lose func(key kmsg.Key) error
	// Silent is asked for every request; true is one that is never answered, nor
	// is what comes behind it on its connection.
	Silent func(req kmsg.Request) bool
	// Answer sends each answer, if it is set; an error breaks the connection. frame
	// is without its size.
	Answer func(w io.Writer, key kmsg.Key, version int16, clientID string, frame []byte) error
}

// Sandbox is a running broker.
type Sandbox struct {
	// Addr is the HOST:PORT that clients connect to.
	Addr string
	// Loopback: only this machine reaches it.
	Loopback bool

	cluster *kfake.Cluster
	own     *kgo.Client // writes the commit log
	log     *commitLog
	lock    *os.File
	stop    context.CancelFunc
	wg      sync.WaitGroup
}

// MinSessionTimeout is the shortest session that a member may ask for. Kafka's
// default is 6 s, which is long to wait for in a demo.
const MinSessionTimeout = time.Second

// ErrLocked means that another sandbox uses the data folder.
var ErrLocked = errors.New("the data folder is in use by another sandbox")

// Start starts a broker; Close ends it.
func Start(o Options) (_ *Sandbox, err error) {
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	if o.OffsetsPartitions == 0 {
		o.OffsetsPartitions = 50
	}
	s := &Sandbox{stop: func() {}}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	// One broker listens once; the address is known before kfake starts, so
	// that a taken port is an error with its own words.
	ln, err := net.Listen("tcp", o.Listen)
	if err != nil {
		return nil, err
	}
	advertised := advertise(ln.Addr().(*net.TCPAddr))
	s.Addr = advertised.String()
	s.Loopback = ln.Addr().(*net.TCPAddr).IP.IsLoopback()
	s.log = newCommitLog()
	s.log.expiry = newExpiry(o.Configs)
	opts := []kfake.Opt{
		kfake.NumBrokers(1),
		kfake.GroupMinSessionTimeout(MinSessionTimeout),
		kfake.AllowAutoTopicCreation(),
		kfake.DefaultNumPartitions(1),
		kfake.ListenFn(func(string, string) (net.Listener, error) {
			return &tapListener{Listener: ln, addr: advertised, log: s.log, refuse: o.Refuse, lose: o.Lose, silent: o.Silent, answer: o.Answer}, nil
		}),
	}
	if len(o.Configs) > 0 {
		opts = append(opts, kfake.BrokerConfigs(o.Configs))
	}
	if o.Data != "" {
		if s.lock, err = lockDir(o.Data); err != nil {
			ln.Close()
			return nil, err
		}
		opts = append(opts, kfake.DataDir(o.Data))
	}
	if s.cluster, err = kfake.NewCluster(opts...); err != nil {
		ln.Close()
		return nil, err
	}
	s.log.cluster = s.cluster
	s.log.control(s.cluster)
	if s.own, err = kgo.NewClient(
		kgo.SeedBrokers(s.Addr),
		kgo.ClientID(ownClientID),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		// Kafka writes this topic uncompressed, and foreign clients may lack a codec.
		kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.ProducerLinger(0),
	); err != nil {
		return nil, err
	}
	s.log.client = s.own
	if err := s.createTopics(o); err != nil {
		return nil, err
	}
	s.log.partitions = int32(len(s.cluster.PartitionInfos(commitlog.Topic)))
	close(s.log.ready)
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	s.wg.Go(func() { s.log.watchMembers(ctx) })
	if s.log.expiry != nil {
		s.wg.Go(func() { s.log.watchExpiry(ctx) })
	}
	return s, nil
}

// ownClientID marks the connection that writes the commit log.
const ownClientID = "offsets-sandbox"

func (s *Sandbox) createTopics(o Options) error {
	if s.cluster.TopicInfo(commitlog.Topic) == nil {
		internal := map[string]string{"kfake.is_internal": "true", "cleanup.policy": "compact"}
		if err := s.cluster.CreateTopic(commitlog.Topic, o.OffsetsPartitions, internal); err != nil {
			return fmt.Errorf("creating %s: %w", commitlog.Topic, err)
		}
	}
	for name, partitions := range o.Topics {
		if s.cluster.TopicInfo(name) != nil {
			continue
		}
		if err := s.cluster.CreateTopic(name, partitions, nil); err != nil {
			return fmt.Errorf("creating topic %s: %w", name, err)
		}
	}
	return nil
}

// Close ends the broker. Data in a folder stays.
func (s *Sandbox) Close() {
	s.stop()
	s.wg.Wait()
	if s.own != nil {
		s.own.Close()
	}
	if s.cluster != nil {
		s.cluster.Close()
	}
	if s.lock != nil {
		s.lock.Close() // gives the lock back
	}
}

// lockDir takes the folder for this process: kfake itself would let two
// brokers write into one folder.
func lockDir(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, "offsets-sandbox.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%s: %w", dir, ErrLocked)
		}
		return nil, fmt.Errorf("locking %s: %w", dir, err)
	}
	return f, nil
}

// advertise is the address that clients are told. A broker that listens
// everywhere cannot tell them "everywhere".
func advertise(a *net.TCPAddr) *net.TCPAddr {
	if a.IP.IsUnspecified() {
		return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: a.Port}
	}
	return a
}
