package sandbox_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"offsets/internal/sandbox"
)

// What Kafka's own clients stumble over in kfake's answers. TestJavaTools has
// the clients themselves.
func TestAmendedAnswers(t *testing.T) {
	s := start(t, sandbox.Options{Topics: map[string]int32{"t": 1}})
	cl := client(t, s)
	adm := kadm.NewClient(cl)

	t.Run("CreateTopics", func(t *testing.T) {
		req := kmsg.NewPtrCreateTopicsRequest()
		for _, name := range []string{"plain", "bad/name", "..", strings.Repeat("x", 250), "t"} {
			topic := kmsg.NewCreateTopicsRequestTopic()
			topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, 1, 1
			req.Topics = append(req.Topics, topic)
		}
		req.Topics[0].Configs = append(req.Topics[0].Configs, kmsg.CreateTopicsRequestTopicConfig{Name: "retention.ms", Value: kmsg.StringPtr("1000")})
		resp, err := req.RequestWith(t.Context(), cl)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]kmsg.CreateTopicsResponseTopic{}
		for _, topic := range resp.Topics {
			if topic.Configs == nil {
				t.Errorf("%s: null configs", topic.Topic)
			}
			got[topic.Topic] = topic
		}
		if len(got) != len(req.Topics) || len(resp.Topics) != len(req.Topics) {
			t.Errorf("got %+v", resp.Topics)
		}
		if c := got["plain"].Configs; len(c) != 1 || c[0].Source != int8(kmsg.ConfigSourceDynamicTopicConfig) {
			t.Errorf("got %+v", c)
		}
		for _, topic := range req.Topics[1:4] {
			if err := kerr.ErrorForCode(got[topic.Topic].ErrorCode); !errors.Is(err, kerr.InvalidTopicException) {
				t.Errorf("%s: %v", topic.Topic, err)
			}
		}
		if m := got["t"].ErrorMessage; m == nil || *m != "Topic 't' already exists." {
			t.Errorf("got %v", m)
		}
		if topics, err := adm.ListTopics(t.Context()); err != nil || !slices.Equal(topics.Names(), []string{"plain", "t"}) {
			t.Errorf("got %v, %v", topics.Names(), err)
		}
	})

	t.Run("DescribeTopicPartitions", func(t *testing.T) {
		req := kmsg.NewPtrDescribeTopicPartitionsRequest()
		req.ResponsePartitionLimit = 10
		req.Topics = append(req.Topics, kmsg.DescribeTopicPartitionsRequestTopic{Topic: "t"})
		resp, err := req.RequestWith(t.Context(), cl)
		if err != nil {
			t.Fatal(err)
		}
		if p := resp.Topics[0].Partitions[0]; p.EligibleLeaderReplicas == nil || p.LastKnownELR == nil {
			t.Errorf("got %+v", p)
		}
	})

	t.Run("groups", func(t *testing.T) {
		if err := adm.CommitAllOffsets(t.Context(), "classic", offset("t", 0, 0)); err != nil {
			t.Fatal(err)
		}
		client(t, s, kgo.ConsumerGroup("consumer"), kgo.ConsumeTopics("t"), kgo.ServerSideBalancer())
		list := func(state, typ string) (names []string) {
			req := kmsg.NewPtrListGroupsRequest()
			if state != "" {
				req.StatesFilter = []string{state}
			}
			if typ != "" {
				req.TypesFilter = []string{typ}
			}
			resp, err := req.RequestWith(t.Context(), cl)
			if err != nil {
				t.Fatal(err)
			}
			for _, g := range resp.Groups {
				names = append(names, g.Group+":"+g.ProtocolType)
			}
			slices.Sort(names)
			return names
		}
		wait(t, func() bool { return slices.Equal(list("STABLE", ""), []string{"consumer:consumer"}) })
		for _, c := range []struct{ state, typ, want string }{
			{"", "Classic", "classic:"},
			{"", "Consumer", "consumer:consumer"},
			{"empty", "", "classic:"},
			{"preparingRebalance", "", ""},
			{"nonsense", "", ""},
			{"", "", "classic: consumer:consumer"},
		} {
			if got := strings.Join(list(c.state, c.typ), " "); got != c.want {
				t.Errorf("state %q, type %q: %q, want %q", c.state, c.typ, got, c.want)
			}
		}
		req := kmsg.NewPtrConsumerGroupDescribeRequest()
		req.Groups = []string{"consumer", "nobody"}
		wait(t, func() bool {
			resp, err := req.RequestWith(t.Context(), cl)
			if err != nil {
				t.Fatal(err)
			}
			if m := resp.Groups[1].ErrorMessage; m == nil || *m != "Group nobody not found." {
				t.Errorf("got %+v", resp.Groups[1])
			}
			m := resp.Groups[0].Members[0]
			if m.ClientHost != "/127.0.0.1" {
				t.Errorf("host %q", m.ClientHost)
			}
			now := m.Assignment.TopicPartitions
			return len(now) == 1 && now[0].Topic == "t" && m.TargetAssignment.TopicPartitions[0].Topic == "t"
		})
	})

	t.Run("ElectLeaders", func(t *testing.T) {
		req := kmsg.NewPtrElectLeadersRequest()
		req.Topics = append(req.Topics, kmsg.ElectLeadersRequestTopic{Topic: "t", Partitions: []int32{0}})
		resp, err := req.RequestWith(t.Context(), cl)
		if err != nil || resp.Topics[0].Partitions[0].ErrorCode != kerr.ElectionNotNeeded.Code {
			t.Errorf("got %+v, %v", resp, err)
		}
		req.Topics = nil
		if resp, err = req.RequestWith(t.Context(), cl); err != nil || len(resp.Topics) != 0 {
			t.Errorf("of all partitions: %+v, %v", resp, err)
		}
	})

	t.Run("DescribeConfigs", func(t *testing.T) {
		configs, err := adm.DescribeTopicConfigs(t.Context(), "plain")
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range configs[0].Configs {
			if c.Key == "retention.ms" && (len(c.Synonyms) != 1 || *c.Synonyms[0].Value != "1000") {
				t.Errorf("got %+v", c.Synonyms)
			}
		}
	})
}
