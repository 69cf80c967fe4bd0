package sandbox_test

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"

	"offsets/internal/hostile"
	"offsets/internal/sandbox"
)

// request is a request as a client frames it.
func request(req kmsg.Request, corr int32) []byte {
	return kmsg.NewRequestFormatter(kmsg.FormatterClientID("hostile")).AppendRequest(nil, req, corr)
}

// TestHostileClients: whatever comes in over a connection, the broker goes on, and
// keeps neither goroutines nor memory of it.
func TestHostileClients(t *testing.T) {
	s := start(t, sandbox.Options{Topics: map[string]int32{"t": 2}, OffsetsPartitions: 2})
	adm := kadm.NewClient(client(t, s))
	alive := func() {
		t.Helper()
		if _, err := adm.CommitOffsets(t.Context(), "g", offset("t", 0, 1)); err != nil {
			t.Fatalf("the broker is not well: %v", err)
		}
	}
	alive()
	goroutines, memory := runtime.NumGoroutine(), heap()
	rng := rand.New(rand.NewPCG(1, 2))
	send := func(text []byte) {
		conn, err := net.Dial("tcp", s.Addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(200 * time.Millisecond))
		_, _ = conn.Write(text)
		_, _ = io.Copy(io.Discard, conn)
	}
	valid := request(kmsg.NewPtrMetadataRequest(), 1)
	texts := [][]byte{
		nil, {0}, {0, 0, 0}, {0, 0, 0, 0}, {0, 0, 0, 1}, {0, 0, 0, 4, 0, 0, 0, 0},
		{0x7f, 0xff, 0xff, 0xff}, {0xff, 0xff, 0xff, 0xff}, {0x80, 0, 0, 0, 1}, {0x7f, 0xff, 0xff, 0xff, 0, 3, 0, 0},
		[]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), {0x16, 3, 1, 2, 0, 1, 0}, []byte("\x00\x00\x00\x0a\x7f\xff\x00\x00\x00\x00\x00\x01\x00\x00"),
		[]byte("\x00\x00\x00\x0a\xff\xff\x00\x00\x00\x00\x00\x01\x00\x00"), []byte("\x00\x00\x00\x0a\x00\x03\x7f\xff\x00\x00\x00\x01\x00\x00"), []byte("\x00\x00\x00\x0a\x00\x03\xff\xff\x00\x00\x00\x01\xff\xff"),
		valid[:len(valid)-1], valid[:9], append(append([]byte{}, valid...), valid[:7]...),
	}
	for range 100 {
		noise := make([]byte, rng.IntN(300))
		for i := range noise {
			noise[i] = byte(rng.Uint32())
		}
		texts = append(texts, noise, append(binary.BigEndian.AppendUint32(nil, uint32(len(noise))), noise...))
	}
	for key := range int16(100) { // a header that is right, and a body that is not
		for _, version := range []int16{0, 1, 3, 9} {
			head := append(binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, uint16(key)), uint16(version)), 0, 0, 0, 1, 0, 1, 'x')
			body := make([]byte, rng.IntN(100))
			for i := range body {
				body[i] = []byte{0, 0xff, 0x7f, 1, byte(rng.Uint32())}[rng.IntN(5)]
			}
			texts = append(texts, append(binary.BigEndian.AppendUint32(nil, uint32(len(head)+len(body))), append(head, body...)...))
		}
	}
	var wg sync.WaitGroup
	slots := make(chan struct{}, 16)
	for _, text := range texts {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			send(text)
		})
	}
	wg.Wait()
	alive()
	// Some of the noise are requests that make a group, with a goroutine of its own;
	// a connection that leaves one is seen all the same.
	groups := len(texts) / 20
	deadline := time.Now().Add(20 * time.Second)
	for runtime.NumGoroutine() > goroutines+groups && time.Now().Before(deadline) {
		time.Sleep(50 * time.Millisecond)
	}
	if n := runtime.NumGoroutine(); n > goroutines+groups {
		t.Errorf("%d goroutines, %d before", n, goroutines)
	}
	if used := heap(); used > memory+32<<20 {
		t.Errorf("%d MiB of memory, %d before", used>>20, memory>>20)
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestHostileRequests sends requests that can be parsed, with values that no client
// sends. OFFSETS_TEST_HOSTILE=1h goes on with others for so long.
func TestHostileRequests(t *testing.T) {
	seeds, end := uint64(300), time.Time{}
	if text := os.Getenv("OFFSETS_TEST_HOSTILE"); text != "" {
		limit, err := time.ParseDuration(text)
		if err != nil {
			t.Fatal(err)
		}
		seeds, end = 1<<62, time.Now().Add(limit)
	}
	first := uint64(0)
	if text := os.Getenv("OFFSETS_TEST_HOSTILE_SEED"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		first, seeds = seed, 1
	}
	s := start(t, sandbox.Options{Topics: map[string]int32{"t": 2}, OffsetsPartitions: 2})
	adm := kadm.NewClient(client(t, s))
	sent := 0
	for seed := first; seed < first+seeds && (end.IsZero() || time.Now().Before(end)); seed++ {
		if os.Getenv("OFFSETS_TEST_HOSTILE") != "" { // a panic ends the test before it can log
			fmt.Fprintf(os.Stderr, "\rseed %d", seed)
		}
		conn, err := net.Dial("tcp", s.Addr)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(300 * time.Millisecond))
		for i, req := range hostile.Requests(seed) {
			if _, err := conn.Write(request(req, int32(i))); err != nil {
				break
			}
			sent++
			size := make([]byte, 4)
			if _, err := io.ReadFull(conn, size); err != nil {
				break
			}
			_, _ = io.CopyN(io.Discard, conn, int64(binary.BigEndian.Uint32(size)))
		}
		conn.Close()
		if seed%50 == 0 {
			if _, err := adm.CommitOffsets(t.Context(), "g", offset("t", 0, 1)); err != nil {
				t.Fatalf("seed %d: the broker is not well: %v", seed, err)
			}
		}
	}
	t.Logf("%d requests", sent)
}
