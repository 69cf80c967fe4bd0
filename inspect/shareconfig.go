package inspect

import (
	"context"
	"errors"
	"strconv"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Share groups are configured at the broker, by group: what other consumers have
// in their own settings.

// ShareConfig is what counts for a share group, set for it or by default. Values
// are nil where the broker does not have the setting.
type ShareConfig struct {
	// AutoOffsetReset counts where there is no start offset.
	AutoOffsetReset *string `json:"auto_offset_reset"`
	// DeliveryCountLimit is how often a record is delivered before it is given up.
	DeliveryCountLimit *int64 `json:"delivery_count_limit"`
	// RecordLockDuration is how long a member may take for a record, in ms.
	RecordLockDuration *int64  `json:"record_lock_duration_ms"`
	IsolationLevel     *string `json:"isolation_level"`
	// DeadLetter is where records that are given up go (KIP-1191); nil where they
	// go nowhere.
	DeadLetter *DeadLetter `json:"dead_letter"`
}

// DeadLetter is the dead-letter topic of a share group. Other groups may have the
// same one.
type DeadLetter struct {
	Topic string `json:"topic"`
	// CopyRecord: with key and value, not only where the record was.
	CopyRecord *bool `json:"copy_record"`
	// Offsets is how many lie in it: the sum of log end - log start; nil where it
	// is not known, of which Unknown says why.
	Offsets *int64 `json:"offsets"`
	Unknown error  `json:"-"`
}

// ErrNoDeadLetterTopic: the topic is configured, and is not there.
var ErrNoDeadLetterTopic = errors.New("the topic does not exist")

const (
	shareAutoOffsetReset = "share.auto.offset.reset"
	shareDeliveryLimit   = "share.delivery.count.limit"
	shareLockDuration    = "share.record.lock.duration.ms"
	shareIsolation       = "share.isolation.level"
	deadLetterTopic      = "errors.deadletterqueue.topic.name"
	deadLetterCopy       = "errors.deadletterqueue.copy.record.enable"
)

// groupConfig is the resource type of group configurations (KIP-848).
const groupConfig = 32

var errConfigUntold = errors.New("the broker does not tell it")

// configured is the configuration of one group by name, or why it is not known.
type configured struct {
	values map[string]*string
	err    error
}

// groupConfigs reads some settings of groups, with one request.
func (c *Cluster) groupConfigs(ctx context.Context, groups []string, settings ...string) map[string]configured {
	req := kmsg.NewPtrDescribeConfigsRequest()
	for _, group := range groups {
		r := kmsg.NewDescribeConfigsRequestResource()
		r.ResourceType, r.ResourceName, r.ConfigNames = groupConfig, group, settings
		req.Resources = append(req.Resources, r)
	}
	out := map[string]configured{}
	resp, err := req.RequestWith(ctx, c.cl)
	if err == nil {
		for _, r := range resp.Resources {
			values := map[string]*string{}
			for _, config := range r.Configs {
				values[config.Name] = config.Value
			}
			out[r.ResourceName] = configured{values, kerr.ErrorForCode(r.ErrorCode)}
		}
		err = errConfigUntold
	}
	for _, group := range groups {
		if _, told := out[group]; !told {
			out[group] = configured{err: err}
		}
	}
	return out
}

// shareReset reads what stands in the place of a policy for a share group.
func (c *Cluster) shareReset(ctx context.Context, group string) (*string, error) {
	config := c.groupConfigs(ctx, []string{group}, shareAutoOffsetReset)[group]
	value, told := config.values[shareAutoOffsetReset]
	if config.err == nil && !told {
		return nil, errConfigUntold
	}
	return value, config.err
}

// shareConfigs reads what [ShareConfig] is made of.
func (c *Cluster) shareConfigs(ctx context.Context, groups []string) map[string]configured {
	ctx, cancel := round(ctx)
	defer cancel()
	return c.groupConfigs(ctx, groups, shareAutoOffsetReset, shareDeliveryLimit, shareLockDuration, shareIsolation, deadLetterTopic, deadLetterCopy)
}

// configure takes what the broker has told. That a user may not read it, or that
// a broker has none, is no failure to describe the group.
func (g *Group) configure(config configured) []Problem {
	switch err := config.err; {
	case err == nil:
		g.Share = shareConfig(config.values)
		return nil
	case errors.Is(err, kerr.GroupAuthorizationFailed), errors.Is(err, kerr.ClusterAuthorizationFailed), errors.Is(err, kerr.InvalidRequest), errors.Is(err, errConfigUntold), tooOld(err):
		g.ShareUnknown = explain(err)
		return nil
	default:
		return []Problem{problem("configuration of group "+g.Group, err)}
	}
}

func shareConfig(values map[string]*string) *ShareConfig {
	number := func(name string) *int64 {
		if v := values[name]; v != nil {
			if n, err := strconv.ParseInt(*v, 10, 64); err == nil {
				return &n
			}
		}
		return nil
	}
	s := &ShareConfig{
		AutoOffsetReset: values[shareAutoOffsetReset], DeliveryCountLimit: number(shareDeliveryLimit),
		RecordLockDuration: number(shareLockDuration), IsolationLevel: values[shareIsolation],
	}
	if topic := values[deadLetterTopic]; topic != nil && *topic != "" {
		s.DeadLetter = &DeadLetter{Topic: *topic}
		if v := values[deadLetterCopy]; v != nil {
			if yes, err := strconv.ParseBool(*v); err == nil {
				s.DeadLetter.CopyRecord = &yes
			}
		}
	}
	return s
}

func (g *Group) deadLetterTopics() []string {
	if g.Share == nil || g.Share.DeadLetter == nil {
		return nil
	}
	return []string{g.Share.DeadLetter.Topic}
}

// countDeadLetters sums up the topic's partitions. One that is not known makes the
// sum unknown.
func (g *Group) countDeadLetters(topics kadm.TopicDetails, found map[TopicPartition]*ends) {
	for _, name := range g.deadLetterTopics() {
		d := g.Share.DeadLetter
		t, told := topics[name]
		switch {
		case !told:
			d.Unknown = errConfigUntold
			return
		case errors.Is(t.Err, kerr.UnknownTopicOrPartition):
			d.Unknown = ErrNoDeadLetterTopic
			return
		case t.Err != nil:
			d.Unknown = explain(t.Err)
			return
		}
		sum := int64(0)
		for partition := range t.Partitions {
			e := found[TopicPartition{name, partition}]
			if e == nil || e.start == nil || e.end == nil {
				d.Unknown = errors.New("a partition cannot be read")
				if e != nil && e.err != nil {
					d.Unknown = explain(e.err)
				}
				return
			}
			sum += *e.end - *e.start
		}
		d.Offsets = &sum
	}
}
