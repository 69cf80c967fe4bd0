// Package hostile turns a broker's right answers into wrong ones, for tests: bits
// that flip, lengths and counts that lie, answers that are cut, repeated, delayed
// or of another request, error codes, and well-formed answers with values that no
// broker sends.
package hostile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Answer is one answer of the broker.
type Answer struct {
	Key     kmsg.Key
	Version int16
	// Frame is all of it but its length.
	Frame []byte
}

// Broker spoils answers. Which, and how, follows from the seed, the kind of the
// request and how many of that kind came before, so that a seed does much the same
// each time although requests run side by side.
type Broker struct {
	seed   uint64
	active atomic.Bool

	mu     sync.Mutex
	counts map[kmsg.Key]int
	done   map[string]int
	plan   plan
}

// plan is what a seed is about.
type plan struct {
	chance float64  // of an answer to be spoilt
	only   kmsg.Key // the one kind of request; -1: all
	ways   []string
}

// New returns a broker that is well until Begin.
func New() *Broker { return &Broker{counts: map[kmsg.Key]int{}, done: map[string]int{}} }

// Begin starts to spoil answers.
func (b *Broker) Begin(seed uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	rng := rand.New(rand.NewPCG(seed, 1))
	b.seed, b.counts = seed, map[kmsg.Key]int{}
	b.plan = plan{chance: []float64{0.03, 0.1, 0.3, 1}[rng.IntN(4)], only: -1, ways: Ways()}
	if rng.IntN(2) == 0 {
		keys := interesting()
		b.plan.only, b.plan.chance = keys[rng.IntN(len(keys))], 1-0.5*float64(rng.IntN(2))
	}
	switch rng.IntN(3) {
	case 0:
		b.plan.ways = b.plan.ways[rng.IntN(len(b.plan.ways)):][:1]
	case 1: // what is well-formed gets furthest
		b.plan.ways = []string{"values", "values", "errors", "batches"}
	}
	b.active.Store(true)
}

// End lets the broker be well again.
func (b *Broker) End() { b.active.Store(false) }

// Done is how often each way was gone.
func (b *Broker) Done() map[string]int {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := map[string]int{}
	for k, n := range b.done {
		out[k] = n
	}
	return out
}

// interesting are the requests that the program sends.
func interesting() []kmsg.Key {
	return []kmsg.Key{
		kmsg.Produce, kmsg.Fetch, kmsg.ListOffsets, kmsg.Metadata, kmsg.OffsetCommit, kmsg.OffsetFetch, kmsg.FindCoordinator, kmsg.JoinGroup,
		kmsg.Heartbeat, kmsg.LeaveGroup, kmsg.SyncGroup, kmsg.DescribeGroups, kmsg.ListGroups, kmsg.ApiVersions, kmsg.CreateTopics, kmsg.InitProducerID,
		kmsg.OffsetForLeaderEpoch, kmsg.DescribeConfigs, kmsg.DeleteGroups, kmsg.OffsetDelete, kmsg.DescribeCluster, kmsg.ConsumerGroupDescribe, kmsg.ConsumerGroupHeartbeat,
	}
}

// Ways are the ways to spoil an answer.
func Ways() []string {
	return []string{
		"bits", "cut", "torn", "huge-length", "negative-length", "longer", "shorter", "count", "correlation", "twice", "drip", "endless", "silent", "noise", "closed",
		"values", "errors", "batches", "tags",
	}
}

// Write sends an answer, or what has become of it. An error breaks the connection.
func (b *Broker) Write(w io.Writer, a Answer) error {
	way, rng := b.choose(a)
	if way == "" {
		return send(w, a.Frame)
	}
	frame := slices.Clone(a.Frame)
	body := frame[min(4, len(frame)):]
	switch way {
	case "bits":
		for range 1 + rng.IntN(8) {
			if len(body) > 0 {
				body[rng.IntN(len(body))] ^= 1 << rng.IntN(8)
			}
		}
	case "cut":
		frame = frame[:rng.IntN(len(frame)+1)]
	case "torn":
		_, _ = w.Write(sized(frame)[:rng.IntN(len(frame)+4)])
		return errBroken
	case "huge-length":
		return sendAs(w, []uint32{1<<31 - 1, 1 << 30, 100 << 20, 100<<20 - 1}[rng.IntN(4)], frame)
	case "negative-length":
		return sendAs(w, []uint32{1 << 31, 1<<32 - 1}[rng.IntN(2)], frame)
	case "longer":
		return sendAs(w, uint32(len(frame)+1+rng.IntN(100)), frame)
	case "shorter":
		return sendAs(w, uint32(rng.IntN(len(frame)+1)), frame)
	case "count":
		big := [][]byte{{0x7f, 0xff, 0xff, 0xff}, {0xff, 0xff, 0xff, 0xff, 0x07}, {0xff, 0xff, 0xff, 0xff, 0x0f}, {0x80, 0, 0, 0}, {0x3b, 0x9a, 0xca, 0}}[rng.IntN(5)]
		if len(body) > 0 {
			copy(body[rng.IntN(len(body)):], big)
		}
	case "correlation":
		if len(frame) >= 4 {
			binary.BigEndian.PutUint32(frame, binary.BigEndian.Uint32(frame)+uint32(1+rng.IntN(3)))
		}
	case "twice":
		if err := send(w, frame); err != nil {
			return err
		}
	case "drip": // one byte at a time, and more than is there
		return drip(w, append(binary.BigEndian.AppendUint32(nil, uint32(len(frame)+1000)), frame...))
	case "endless":
		return endless(w, frame)
	case "silent":
		return nil
	case "noise":
		for i := range body {
			body[i] = byte(rng.Uint32())
		}
	case "closed":
		return errBroken
	default:
		if changed, err := wellFormed(way, rng, a); err == nil {
			frame = changed
		}
	}
	return send(w, frame)
}

var errBroken = errors.New("hostile: the connection breaks")

// choose decides about one answer; "" leaves it as it is.
func (b *Broker) choose(a Answer) (string, *rand.Rand) {
	if !b.active.Load() {
		return "", nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	n := b.counts[a.Key]
	b.counts[a.Key]++
	h := fnv.New64a()
	fmt.Fprint(h, a.Key, n)
	rng := rand.New(rand.NewPCG(b.seed, h.Sum64()))
	chance := b.plan.chance
	switch {
	case b.plan.only >= 0 && a.Key != b.plan.only:
		return "", nil
	case b.plan.only < 0 && a.Key == kmsg.ApiVersions:
		chance = min(chance, 0.05) // else nothing comes behind it
	case b.plan.only < 0 && a.Key == kmsg.Metadata:
		chance = min(chance, 0.3)
	}
	if rng.Float64() >= chance {
		return "", nil
	}
	way := b.plan.ways[rng.IntN(len(b.plan.ways))]
	b.done[way]++
	return way, rng
}

func sized(frame []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(frame))), frame...)
}

func send(w io.Writer, frame []byte) error {
	_, err := w.Write(sized(frame))
	return err
}

func sendAs(w io.Writer, size uint32, frame []byte) error {
	_, err := w.Write(append(binary.BigEndian.AppendUint32(nil, size), frame...))
	return err
}

// drip gives up after a while: who has waited so long waits for ever.
func drip(w io.Writer, text []byte) error {
	for _, c := range text {
		if _, err := w.Write([]byte{c}); err != nil {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
	return nil
}

// endless sends as much as a client will take for one answer.
func endless(w io.Writer, frame []byte) error {
	if err := sendAs(w, 100<<20, frame); err != nil {
		return err
	}
	piece := make([]byte, 1<<20)
	for range 100 {
		if _, err := w.Write(piece); err != nil {
			return err
		}
	}
	return nil
}
