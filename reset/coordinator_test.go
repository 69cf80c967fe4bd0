package reset

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"offsets/inspect/commitlog"
)

// Where groups are not by the hash of their names (see
// [inspect.Cluster.PlacedElsewhere]), the cluster's own word counts.
func TestCoordinatorElsewhere(t *testing.T) {
	k, err := kfake.NewCluster(kfake.NumBrokers(3), kfake.DefaultNumPartitions(9), kfake.SeedTopics(-1, commitlog.Topic))
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	cl, err := kgo.NewClient(kgo.SeedBrokers(k.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	for i := range 20 {
		group := fmt.Sprint("group-", i)
		at, err := New(cl).coordinator(t.Context(), group)
		if err != nil || at.id != k.CoordinatorFor(group) {
			t.Errorf("%s: broker %d, %v: it is at %d", group, at.id, err, k.CoordinatorFor(group))
		}
	}
}
