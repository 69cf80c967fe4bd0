package traffic

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"offsets/internal/oracle/record"
	"offsets/internal/oracle/steps"
)

// member is a consumer that stays in its group until its leave step. It commits
// in its poll steps only, so that a member that was never polled is one that
// never commits.
type member struct {
	cl      *kgo.Client
	group   string
	abandon context.CancelFunc // closes its connections, without leaving
}

// close leaves the group. Behind a JoinGroup that the coordinator holds back until
// all have joined the client library waits up to the rebalance timeout, a minute:
// then it is gone without leaving, as a client that was killed.
func (m *member) close() {
	timer := time.AfterFunc(3*time.Second, m.abandon)
	defer timer.Stop()
	defer m.abandon()
	m.cl.Close()
}

func (p *Player) join(ctx context.Context, s steps.Step) ([]record.Op, error) {
	return p.op("member.join", func() error {
		assigned := make(chan struct{}, 16)
		opts := []kgo.Opt{
			kgo.ConsumerGroup(p.Group(s.Group)), kgo.ConsumeTopics(p.Topic(s.Topic)), kgo.DisableAutoCommit(),
			kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.SessionTimeout(6 * time.Second), kgo.HeartbeatInterval(500 * time.Millisecond),
			kgo.Balancers(kgo.RangeBalancer()), kgo.ClientID("oracle"), kgo.FetchMaxWait(200 * time.Millisecond),
			kgo.OnPartitionsAssigned(func(context.Context, *kgo.Client, map[string][]int32) {
				select {
				case assigned <- struct{}{}:
				default:
				}
			}),
		}
		if s.Protocol == "consumer" {
			opts = append(opts, kgo.ServerSideBalancer())
		}
		if s.Instance != "" {
			opts = append(opts, kgo.InstanceID(s.Instance))
		}
		own, abandon := context.WithCancel(context.WithoutCancel(ctx))
		cl, err := p.client(append(opts, kgo.WithContext(own))...)
		if err != nil {
			abandon()
			return err
		}
		p.members[s.Member] = &member{cl: cl, group: p.Group(s.Group), abandon: abandon}
		select {
		case <-assigned:
			time.Sleep(300 * time.Millisecond) // the answer, and what the group does after it
			return nil
		case <-time.After(8 * time.Second):
			return errors.New("no assignment within 8 s")
		case <-ctx.Done():
			return ctx.Err()
		}
	})
}

// poll reads some records and commits behind the last of each partition.
func (p *Player) poll(ctx context.Context, s steps.Step) ([]record.Op, error) {
	m := p.members[s.Member]
	if m == nil {
		return nil, nil
	}
	return p.op("member.poll", func() error {
		short, cancel := context.WithTimeout(ctx, 1500*time.Millisecond)
		defer cancel()
		f := m.cl.PollRecords(short, s.N)
		records := f.Records()
		if len(records) == 0 {
			return nil
		}
		if err := m.cl.CommitRecords(ctx, records...); err != nil {
			return fmt.Errorf("commit: %w", err)
		}
		return nil
	})
}

func (p *Player) leave(_ context.Context, s steps.Step) ([]record.Op, error) {
	m := p.members[s.Member]
	if m == nil {
		return nil, nil
	}
	delete(p.members, s.Member)
	return p.op("member.leave", func() error {
		m.close()
		time.Sleep(200 * time.Millisecond)
		return nil
	})
}
