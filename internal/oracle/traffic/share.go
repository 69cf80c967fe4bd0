package traffic

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"offsets/internal/oracle/record"
	"offsets/internal/oracle/steps"
)

func (p *Player) alterShare(ctx context.Context, s steps.Step, world *record.World) ([]record.Op, error) {
	offsets := kadm.Offsets{}
	for _, n := range s.Partitions {
		if ends, ok := world.Partition(record.TP{Topic: p.Topic(s.Topic), Partition: n}); ok {
			offsets.Add(kadm.Offset{Topic: p.Topic(s.Topic), Partition: n, At: s.Places[0].In(ends.Start, ends.End), LeaderEpoch: -1})
		}
	}
	return p.op("share.alter", func() error {
		_, err := p.adm.AlterShareGroupOffsets(ctx, p.Group(s.Group), offsets)
		return err
	})
}

// consumeShare is a share consumer that takes up to N records, accepts them,
// and leaves.
func (p *Player) consumeShare(ctx context.Context, s steps.Step) ([]record.Op, error) {
	group := p.Group(s.Group)
	return p.op("share.consume", func() error {
		if err := p.fromEarliest(ctx, group); err != nil {
			return err
		}
		cl, err := p.client(kgo.ShareGroup(group), kgo.ConsumeTopics(p.Topic(s.Topic)), kgo.ClientID("oracle-share"), kgo.FetchMaxWait(200*time.Millisecond))
		if err != nil {
			return err
		}
		defer cl.Close()
		got, empty := 0, 0
		for got < s.N && empty < 3 {
			short, cancel := context.WithTimeout(ctx, time.Second)
			f := cl.PollRecords(short, s.N-got)
			cancel()
			n := f.NumRecords()
			got += n
			if n == 0 {
				empty++
			} else {
				empty = 0
			}
		}
		if got == 0 {
			return errors.New("no record was delivered")
		}
		return nil
	})
}

// fromEarliest lets a share group begin with what is there.
func (p *Player) fromEarliest(ctx context.Context, group string) error {
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	r := kmsg.NewIncrementalAlterConfigsRequestResource()
	r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeGroupConfig, group
	c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	c.Name, c.Value = "share.auto.offset.reset", kmsg.StringPtr("earliest")
	r.Configs = append(r.Configs, c)
	req.Resources = append(req.Resources, r)
	_, err := req.RequestWith(ctx, p.cl)
	if err != nil {
		return fmt.Errorf("share.auto.offset.reset: %w", err)
	}
	return nil
}
