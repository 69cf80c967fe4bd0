package inspect

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"offsets/inspect/commitlog"
)

func fakeBrokers(t *testing.T, n int, opts ...kfake.Opt) (*kfake.Cluster, *kgo.Client) {
	t.Helper()
	k, err := kfake.NewCluster(append(opts, kfake.NumBrokers(n))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	cl, err := kgo.NewClient(kgo.SeedBrokers(k.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return k, cl
}

func commitTo(t *testing.T, cl *kgo.Client, group string) {
	t.Helper()
	var os kadm.Offsets
	os.Add(kadm.Offset{Topic: "orders", At: 0, LeaderEpoch: -1})
	if err := kadm.NewClient(cl).CommitAllOffsets(t.Context(), group, os); err != nil {
		t.Fatal(err)
	}
}

// newCoordinator is three brokers, and the one that coordinates a group with a
// commit has just come: until it has been asked for the end of the commit log
// some times, it knows nothing of the group, as Kafka 4.x does until it knows
// what is replicated.
func newCoordinator(t *testing.T, group string, refusals int32) *Cluster {
	t.Helper()
	k, cl := fakeBrokers(t, 3, kfake.SeedTopics(1, "orders", commitlog.Topic))
	if err := k.MoveTopicPartition(commitlog.Topic, 0, k.CoordinatorFor(group)); err != nil {
		t.Fatal(err)
	}
	commitTo(t, cl, group)
	var asked atomic.Int32
	whileBehind := func(key kmsg.Key, answer func(kmsg.Request) kmsg.Response) {
		k.ControlKey(key.Int16(), func(req kmsg.Request) (kmsg.Response, error, bool) {
			k.KeepControl()
			if asked.Load() >= refusals {
				return nil, nil, false
			}
			resp := answer(req)
			return resp, nil, resp != nil
		})
	}
	whileBehind(kmsg.ListOffsets, func(req kmsg.Request) kmsg.Response {
		r := req.(*kmsg.ListOffsetsRequest)
		if r.Topics[0].Topic != commitlog.Topic {
			return nil
		}
		asked.Add(1)
		resp := r.ResponseKind().(*kmsg.ListOffsetsResponse)
		p := kmsg.NewListOffsetsResponseTopicPartition()
		p.ErrorCode = kerr.OffsetNotAvailable.Code
		resp.Topics = []kmsg.ListOffsetsResponseTopic{{Topic: commitlog.Topic, Partitions: []kmsg.ListOffsetsResponseTopicPartition{p}}}
		return resp
	})
	whileBehind(kmsg.ListGroups, func(req kmsg.Request) kmsg.Response { return req.ResponseKind() })
	whileBehind(kmsg.DescribeGroups, func(req kmsg.Request) kmsg.Response {
		resp := req.ResponseKind().(*kmsg.DescribeGroupsResponse)
		for _, name := range req.(*kmsg.DescribeGroupsRequest).Groups {
			g := kmsg.NewDescribeGroupsResponseGroup()
			g.Group, g.State, g.ErrorCode = name, "Dead", kerr.GroupIDNotFound.Code
			resp.Groups = append(resp.Groups, g)
		}
		return resp
	})
	whileBehind(kmsg.OffsetFetch, func(req kmsg.Request) kmsg.Response {
		resp := req.ResponseKind().(*kmsg.OffsetFetchResponse)
		for _, asked := range req.(*kmsg.OffsetFetchRequest).Groups {
			g := kmsg.NewOffsetFetchResponseGroup()
			g.Group = asked.Group
			resp.Groups = append(resp.Groups, g)
		}
		return resp
	})
	return New(cl)
}

// A broker of a cluster with ZooKeeper that has just started knows of no brokers
// and no topics; that is not the truth about the cluster.
func TestBrokerThatHasJustStarted(t *testing.T) {
	k, cl := fakeBrokers(t, 1, kfake.SeedTopics(1, "orders"))
	commitTo(t, cl, probedGroup)
	var left atomic.Int32
	k.ControlKey(kmsg.Metadata.Int16(), func(req kmsg.Request) (kmsg.Response, error, bool) {
		k.KeepControl()
		if left.Add(-1) < 0 {
			return nil, nil, false
		}
		resp := req.ResponseKind().(*kmsg.MetadataResponse)
		for _, asked := range req.(*kmsg.MetadataRequest).Topics {
			topic := kmsg.NewMetadataResponseTopic()
			topic.Topic, topic.TopicID, topic.ErrorCode = asked.Topic, asked.TopicID, kerr.UnknownTopicOrPartition.Code
			resp.Topics = append(resp.Topics, topic)
		}
		return resp, nil, true
	})
	for n := range int32(4) {
		left.Store(n)
		c := New(cl)
		if l, err := c.List(t.Context(), ListOptions{}); err != nil || len(l.Groups) != 1 || len(l.Problems) > 0 {
			t.Errorf("%d answers: %v: %+v", n, err, l)
		}
		left.Store(n)
		groups, problems := describeProbed(t.Context(), t, c)
		if len(groups) != 1 || len(groups[0].Partitions) != 1 || groups[0].Partitions[0].Status != CaughtUp || len(problems) > 0 {
			t.Errorf("%d answers: %v: %+v", n, problems, groups)
		}
	}
}

// probedGroup has its commits where the first probe of a list is, on any brokers
// of kfake: it is the probe.
const probedGroup = "offsets-list-probe-0"

// A coordinator that has just come is not believed before it has caught up.
func TestNewCoordinatorIsNotBelievedAtOnce(t *testing.T) {
	t.Run("list", func(t *testing.T) {
		l, err := newCoordinator(t, probedGroup, 3).List(t.Context(), ListOptions{})
		if err != nil || len(l.Groups) != 1 || len(l.Problems) > 0 {
			t.Errorf("%v, %v: %+v", err, l.Problems, l.Groups)
		}
	})
	t.Run("describe", func(t *testing.T) {
		groups, problems := describeProbed(t.Context(), t, newCoordinator(t, probedGroup, 3))
		if len(groups) != 1 || len(groups[0].Partitions) != 1 || len(problems) > 0 {
			t.Errorf("%v: %+v", problems, groups)
		}
	})
	t.Run("commits", func(t *testing.T) {
		commits, _, err := newCoordinator(t, probedGroup, 3).Commits(t.Context(), probedGroup, Classic)
		if err != nil || len(commits) != 1 {
			t.Errorf("%v: %+v", err, commits)
		}
	})
}

// Where it does not catch up in time, what it knows is not shown as the truth.
func TestNewCoordinatorThatStaysBehind(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	c := newCoordinator(t, probedGroup, 1e6)
	groups, problems := describeProbed(ctx, t, c)
	if len(groups) != 0 || len(problems) != 1 || !errors.Is(problems[0].Err, kerr.OffsetNotAvailable) {
		t.Errorf("%+v, %v", groups, problems)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	l, err := c.List(ctx, ListOptions{})
	if err != nil || len(l.Problems) != 1 || !errors.Is(l.Problems[0].Err, kerr.OffsetNotAvailable) {
		t.Errorf("%v: %+v", err, l)
	}
}

func describeProbed(ctx context.Context, t *testing.T, c *Cluster) (groups []Group, problems []Problem) {
	t.Helper()
	d, err := c.Describe(ctx, []string{probedGroup}, DescribeOptions{Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	for g, err := range d.Groups {
		if err != nil {
			t.Fatal(fmt.Errorf("%w (problems: %v)", err, d.Problems))
		}
		groups = append(groups, g)
	}
	return groups, d.Problems
}

// Other brokers than Apache Kafka's, and those whose commit log has got more
// partitions since they started, have groups elsewhere than where the hash says.
func TestGroupsElsewhere(t *testing.T) {
	_, cl := fakeBrokers(t, 3, kfake.DefaultNumPartitions(9), kfake.SeedTopics(-1, "orders", commitlog.Topic))
	var names []string
	for i := range 10 {
		names = append(names, fmt.Sprint("group-", i))
		commitTo(t, cl, names[i])
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if l, err := New(cl).List(ctx, ListOptions{}); err != nil || len(l.Groups) != len(names) || len(l.Problems) > 0 {
		t.Errorf("%v: %+v", err, l)
	}
	for _, name := range names {
		commits, _, err := New(cl).Commits(ctx, name, Classic)
		if err != nil || len(commits) != 1 {
			t.Errorf("%s: %v, %v", name, commits, err)
		}
	}
}

// A coordinator that moved between the look at it and the question is looked for
// again: what another broker says has not been checked.
func TestAnswerOfAnotherBroker(t *testing.T) {
	k, cl := fakeBrokers(t, 1)
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
