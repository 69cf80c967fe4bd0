package inspect

import (
	"testing"
	"time"
)

// From when on a commit's retention counts, by the rules of KIP-211 and KIP-848.
func TestExpiryBase(t *testing.T) {
	committed, emptied := time.Unix(100, 0), time.Unix(200, 0)
	for _, c := range []struct {
		name       string
		g          Group
		subscribed bool
		want       time.Time // zero: does not expire
	}{
		{"empty classic group", Group{Type: Classic, ProtocolType: "consumer", State: "Empty"}, false, emptied},
		{"simple group", Group{Type: Classic, State: "Empty"}, false, committed},
		{"stable, topic in use", Group{Type: Classic, ProtocolType: "consumer", State: "Stable"}, true, time.Time{}},
		{"stable, topic left", Group{Type: Classic, ProtocolType: "consumer", State: "Stable"}, false, committed},
		{"stable, another protocol", Group{Type: Classic, ProtocolType: "connect", State: "Stable"}, false, time.Time{}},
		{"rebalancing", Group{Type: Classic, ProtocolType: "consumer", State: "PreparingRebalance"}, false, time.Time{}},
		{"empty KIP-848 group", Group{Type: Consumer, State: "Empty"}, false, committed},
		{"KIP-848 group, topic in use", Group{Type: Consumer, State: "Stable"}, true, time.Time{}},
		{"streams group", Group{Type: Streams, State: "Empty"}, false, committed},
	} {
		got, expires := expiryBase(&c.g, c.subscribed, committed, emptied)
		if expires == c.want.IsZero() || expires && !got.Equal(c.want) {
			t.Errorf("%s: %v, %v; want %v", c.name, got, expires, c.want)
		}
	}
	if got, _ := expiryBase(&Group{Type: Classic, ProtocolType: "consumer", State: "Empty"}, false, committed, time.Time{}); !got.Equal(committed) {
		t.Errorf("emptied at an unknown time: %v", got)
	}
}
