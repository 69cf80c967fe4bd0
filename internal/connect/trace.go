package connect

import (
	"fmt"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// tracer tells of every connection and request, for people who wonder what a
// command waits for.
type tracer struct{ tell func(string) }

var (
	_ kgo.HookBrokerConnect = tracer{}
	_ kgo.HookBrokerE2E     = tracer{}
)

// OnBrokerConnect implements [kgo.HookBrokerConnect].
func (t tracer) OnBrokerConnect(b kgo.BrokerMetadata, took time.Duration, _ net.Conn, err error) {
	t.say(b, "connecting", took, err)
}

// OnBrokerE2E implements [kgo.HookBrokerE2E].
func (t tracer) OnBrokerE2E(b kgo.BrokerMetadata, key int16, e kgo.BrokerE2E) {
	t.say(b, kmsg.NameForKey(key), e.DurationE2E(), e.Err())
}

func (t tracer) say(b kgo.BrokerMetadata, what string, took time.Duration, err error) {
	line := fmt.Sprintf("broker %s:%d: %s, %s", b.Host, b.Port, what, took.Round(10*time.Microsecond))
	if err != nil {
		line += ": " + err.Error()
	}
	t.tell(line)
}
