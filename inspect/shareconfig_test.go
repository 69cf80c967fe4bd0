package inspect

import (
	"errors"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"offsets/internal/sandbox"
)

// All share groups are asked about with one request, and others not at all; nor is
// anything asked where the configuration is not wanted.
func TestOneRequestForAllShareConfigs(t *testing.T) {
	var requests atomic.Int32
	s, err := sandbox.Start(sandbox.Options{Topics: map[string]int32{"t": 1}, Refuse: func(key kmsg.Key) error {
		if key == kmsg.DescribeConfigs {
			requests.Add(1)
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	cl, err := kgo.NewClient(kgo.SeedBrokers(s.Addr))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	names := []string{"s1", "s2", "s3", "classic"}
	for _, name := range names[:3] {
		req := kmsg.NewPtrAlterShareGroupOffsetsRequest()
		req.GroupID = name
		topic := kmsg.NewAlterShareGroupOffsetsRequestTopic()
		topic.Topic = "t"
		topic.Partitions = append(topic.Partitions, kmsg.NewAlterShareGroupOffsetsRequestTopicPartition())
		req.Topics = append(req.Topics, topic)
		resp, err := req.RequestWith(t.Context(), cl)
		if err := errors.Join(err, kerr.ErrorForCode(resp.ErrorCode)); err != nil {
			t.Fatal(err)
		}
	}
	var commits kadm.Offsets
	commits.Add(kadm.Offset{Topic: "t", LeaderEpoch: -1})
	if err := kadm.NewClient(cl).CommitAllOffsets(t.Context(), "classic", commits); err != nil {
		t.Fatal(err)
	}
	for _, wanted := range []bool{true, false} {
		d, err := New(cl).Describe(t.Context(), names, DescribeOptions{ShareConfig: wanted})
		if err != nil {
			t.Fatal(err)
		}
		requests.Store(0)
		groups := 0
		for g, err := range d.Groups {
			if err != nil {
				t.Fatal(err)
			}
			groups++
			if (g.Share != nil || g.ShareUnknown != nil) != (wanted && g.Type == Share) {
				t.Errorf("wanted %v: group %s, a %s group, has %+v (%v)", wanted, g.Group, g.Type, g.Share, g.ShareUnknown)
			}
			if g.Type == Share && (g.Epoch == nil || g.AssignmentEpoch == nil) {
				t.Errorf("group %s has no epochs", g.Group)
			}
		}
		if want := map[bool]int32{true: 1}[wanted]; requests.Load() != want || groups != len(names) || len(d.Problems) > 0 {
			t.Errorf("wanted %v: %d groups, %d requests, want %d; problems %v", wanted, groups, requests.Load(), want, d.Problems)
		}
	}
}

// What brokers without a setting do not tell is not known, and not a value.
func TestShareConfigOfWhatIsTold(t *testing.T) {
	value := func(s string) *string { return &s }
	if s := shareConfig(nil); s.AutoOffsetReset != nil || s.DeliveryCountLimit != nil || s.RecordLockDuration != nil || s.IsolationLevel != nil || s.DeadLetter != nil {
		t.Errorf("nothing told: %+v", s)
	}
	s := shareConfig(map[string]*string{shareDeliveryLimit: value("7"), shareLockDuration: value("15000"), deadLetterTopic: value(""), deadLetterCopy: value("true")})
	if s.DeadLetter != nil || s.DeliveryCountLimit == nil || *s.DeliveryCountLimit != 7 || *s.RecordLockDuration != 15000 {
		t.Errorf("no dead-letter topic: %+v", s)
	}
	s = shareConfig(map[string]*string{deadLetterTopic: value("dlq.t"), deadLetterCopy: value("true")})
	if s.DeadLetter == nil || s.DeadLetter.Topic != "dlq.t" || s.DeadLetter.CopyRecord == nil || !*s.DeadLetter.CopyRecord || s.DeadLetter.Offsets != nil {
		t.Errorf("a dead-letter topic: %+v", s.DeadLetter)
	}
}

// A user that may not read a configuration still sees the group; another failure
// is told.
func TestUnreadableShareConfig(t *testing.T) {
	for _, c := range []struct {
		err      error
		problems int
	}{
		{kerr.GroupAuthorizationFailed, 0},
		{kerr.ClusterAuthorizationFailed, 0},
		{kerr.UnsupportedVersion, 0},
		{kerr.InvalidRequest, 0}, // of brokers that have no configurations of groups
		{errConfigUntold, 0},
		{kerr.UnknownServerError, 1},
	} {
		g := Group{Group: "g"}
		problems := g.configure(configured{err: c.err})
		if len(problems) != c.problems || g.Share != nil || (g.ShareUnknown == nil) != (c.problems == 1) {
			t.Errorf("%v: %v, %v, %v", c.err, problems, g.Share, g.ShareUnknown)
		}
	}
}

// A sum over some of the partitions is not shown as if it were one of all.
func TestDeadLettersAreCountedOrNot(t *testing.T) {
	at := func(n int64) *int64 { return &n }
	both := kadm.TopicDetails{"dlq": {Topic: "dlq", Partitions: kadm.PartitionDetails{0: {}, 1: {}}}}
	p0, p1 := TopicPartition{"dlq", 0}, TopicPartition{"dlq", 1}
	for _, c := range []struct {
		name    string
		topics  kadm.TopicDetails
		found   map[TopicPartition]*ends
		offsets *int64
		unknown error
	}{
		{"counted", both, map[TopicPartition]*ends{p0: {start: at(3), end: at(10)}, p1: {start: at(0), end: at(2)}}, at(9), nil},
		{"one cannot be read", both, map[TopicPartition]*ends{p0: {start: at(3), end: at(10)}, p1: {err: kerr.LeaderNotAvailable}}, nil, kerr.LeaderNotAvailable},
		{"no such topic", kadm.TopicDetails{"dlq": {Topic: "dlq", Err: kerr.UnknownTopicOrPartition}}, nil, nil, ErrNoDeadLetterTopic},
		{"hidden", kadm.TopicDetails{"dlq": {Topic: "dlq", Err: kerr.TopicAuthorizationFailed}}, nil, nil, kerr.TopicAuthorizationFailed},
		{"no metadata", nil, nil, nil, errConfigUntold},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := Group{Share: &ShareConfig{DeadLetter: &DeadLetter{Topic: "dlq"}}}
			g.countDeadLetters(c.topics, c.found)
			d := g.Share.DeadLetter
			if (d.Offsets == nil) != (c.offsets == nil) || d.Offsets != nil && *d.Offsets != *c.offsets {
				t.Errorf("offsets %v", d.Offsets)
			}
			if !errors.Is(d.Unknown, c.unknown) {
				t.Errorf("unknown: %v", d.Unknown)
			}
		})
	}
}
