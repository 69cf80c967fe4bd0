package inspect

import (
	"context"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// A coordinator that moved between the look at it and the question is looked for
// again: what another broker says has not been checked.
func TestAnswerOfAnotherBroker(t *testing.T) {
	k, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	cl, err := kgo.NewClient(kgo.SeedBrokers(k.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	now := k.CoordinatorFor("g")
	asked := 0
	answers := New(cl).retried(t.Context(), &listing{keepers: map[string]int32{"g": now + 7}}, []string{"g"}, func(context.Context, []string) []described {
		asked++
		return []described{{name: "g", by: now}}
	})
	if asked != 2 || len(answers) != 1 || answers[0].err != nil {
		t.Errorf("asked %d times: %+v", asked, answers)
	}
}
