package hostile_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"offsets/internal/hostile"
)

// All ways are gone, none of them panics, and what is well stays as it is.
func TestWays(t *testing.T) {
	resp := kmsg.NewPtrMetadataResponse()
	resp.Version = 9
	broker := kmsg.NewMetadataResponseBroker()
	broker.Host = "localhost"
	resp.Brokers = append(resp.Brokers, broker)
	frame := resp.AppendTo([]byte{0, 0, 0, 1, 0})
	b := hostile.New()
	var out bytes.Buffer
	if err := b.Write(&out, hostile.Answer{Key: kmsg.Metadata, Version: 9, Frame: frame}); err != nil || !bytes.Equal(out.Bytes()[4:], frame) {
		t.Fatalf("%v, %x", err, out.Bytes())
	}
	deadline := time.Now().Add(20 * time.Second)
	for seed := uint64(0); len(b.Done()) < len(hostile.Ways()); seed++ {
		if time.Now().After(deadline) {
			t.Fatalf("ways that were gone: %v", b.Done())
		}
		b.Begin(seed)
		for range 3 {
			_ = b.Write(&limited{}, hostile.Answer{Key: kmsg.Metadata, Version: 9, Frame: bytes.Clone(frame)})
		}
	}
}

// limited takes a while.
type limited struct{ n int }

func (l *limited) Write(p []byte) (int, error) {
	if l.n++; l.n > 3 {
		return 0, bytes.ErrTooLarge
	}
	return len(p), nil
}
