package sandbox

import (
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// kfake is tested with clients in Go. Kafka's own read some answers otherwise:
// an array that may be null in the protocol's description, and never is on
// Kafka, ends them with a NullPointerException. docs/kfake.md has each of these
// faults with the client that fails.

// amended says which answers are amended before they are sent.
func amended(key kmsg.Key) bool {
	switch key {
	case kmsg.CreateTopics, kmsg.CreatePartitions, kmsg.DescribeTopicPartitions, kmsg.DescribeConfigs, kmsg.ElectLeaders,
		kmsg.ListGroups, kmsg.DescribeGroups, kmsg.ConsumerGroupDescribe, kmsg.ShareGroupDescribe:
		return true
	}
	return false
}

// amend makes an answer of kfake's what Kafka would have answered.
func (l *commitLog) amend(req kmsg.Request, resp kmsg.Response) {
	switch resp := resp.(type) {
	case *kmsg.CreateTopicsResponse:
		amendCreateTopics(req.(*kmsg.CreateTopicsRequest), resp)
	case *kmsg.CreatePartitionsResponse:
		l.amendCreatePartitions(req.(*kmsg.CreatePartitionsRequest), resp)
	case *kmsg.DescribeTopicPartitionsResponse:
		for _, t := range resp.Topics {
			for i := range t.Partitions {
				p := &t.Partitions[i]
				p.EligibleLeaderReplicas, p.LastKnownELR = notNull(p.EligibleLeaderReplicas), notNull(p.LastKnownELR)
			}
		}
	case *kmsg.DescribeConfigsResponse:
		for _, r := range resp.Resources {
			if r.ResourceType == kmsg.ConfigResourceTypeTopic {
				amendSynonyms(r.Configs)
			}
		}
	case *kmsg.ElectLeadersResponse:
		amendElectLeaders(req.(*kmsg.ElectLeadersRequest), resp)
	case *kmsg.ListGroupsResponse:
		for i := range resp.Groups {
			if g := &resp.Groups[i]; g.GroupType == "consumer" {
				g.ProtocolType = "consumer"
			}
		}
	case *kmsg.DescribeGroupsResponse:
		for i := range resp.Groups {
			g := &resp.Groups[i]
			g.ErrorMessage = groupMessage(g.ErrorCode, g.ErrorMessage, g.Group)
			for j := range g.Members {
				g.Members[j].ClientHost = clientHost(g.Members[j].ClientHost)
			}
		}
	case *kmsg.ConsumerGroupDescribeResponse:
		for i := range resp.Groups {
			g := &resp.Groups[i]
			g.ErrorMessage = groupMessage(g.ErrorCode, g.ErrorMessage, g.Group)
			for j := range g.Members {
				m := &g.Members[j]
				m.ClientHost = clientHost(m.ClientHost)
				l.nameTopics(m.Assignment.TopicPartitions)
				l.nameTopics(m.TargetAssignment.TopicPartitions)
			}
		}
	case *kmsg.ShareGroupDescribeResponse:
		for i := range resp.Groups {
			g := &resp.Groups[i]
			g.ErrorMessage = groupMessage(g.ErrorCode, g.ErrorMessage, g.GroupID)
			for j := range g.Members {
				g.Members[j].ClientHost = clientHost(g.Members[j].ClientHost)
			}
		}
	}
}

func notNull[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// dynamicTopicConfig is the source of a configuration that a topic has itself.
const dynamicTopicConfig = int8(kmsg.ConfigSourceDynamicTopicConfig)

// amendCreateTopics also answers for names that [commitLog.control] took out.
func amendCreateTopics(req *kmsg.CreateTopicsRequest, resp *kmsg.CreateTopicsResponse) {
	for _, t := range req.Topics {
		why := illegalTopic(t.Topic)
		answered := func(r kmsg.CreateTopicsResponseTopic) bool { return r.Topic == t.Topic }
		if why == "" || slices.ContainsFunc(resp.Topics, answered) {
			continue
		}
		r := kmsg.NewCreateTopicsResponseTopic()
		r.Topic, r.ErrorCode, r.ErrorMessage = t.Topic, kerr.InvalidTopicException.Code, &why
		r.NumPartitions, r.ReplicationFactor = -1, -1
		resp.Topics = append(resp.Topics, r)
	}
	for i := range resp.Topics {
		t := &resp.Topics[i]
		t.Configs = notNull(t.Configs)
		for j := range t.Configs {
			if c := &t.Configs[j]; c.Source <= 0 {
				c.Source = dynamicTopicConfig
			}
		}
		if t.ErrorCode == kerr.TopicAlreadyExists.Code && t.ErrorMessage == nil {
			t.ErrorMessage = kmsg.StringPtr(fmt.Sprintf("Topic '%s' already exists.", t.Topic))
		}
	}
}

func (l *commitLog) amendCreatePartitions(req *kmsg.CreatePartitionsRequest, resp *kmsg.CreatePartitionsResponse) {
	for i := range resp.Topics {
		t := &resp.Topics[i]
		asked := slices.IndexFunc(req.Topics, func(r kmsg.CreatePartitionsRequestTopic) bool { return r.Topic == t.Topic })
		if t.ErrorCode != kerr.InvalidPartitions.Code || t.ErrorMessage != nil || asked < 0 {
			continue
		}
		has, count := len(l.cluster.PartitionInfos(t.Topic)), req.Topics[asked].Count
		if count == int32(has) {
			t.ErrorMessage = kmsg.StringPtr(fmt.Sprintf("Topic already has %d partition(s).", has))
		} else {
			t.ErrorMessage = kmsg.StringPtr(fmt.Sprintf("The topic %s currently has %d partition(s); %d would not be an increase.", t.Topic, has, count))
		}
	}
}

// brokerNames are the broker's configurations that topics' defaults come from,
// where they are not the topic's name behind "log.". With "" Kafka has several,
// whose defaults it does not list.
var brokerNames = map[string]string{
	"max.message.bytes": "message.max.bytes", "compression.type": "compression.type", "min.insync.replicas": "min.insync.replicas",
	"retention.ms": "", "segment.ms": "", "flush.ms": "", "segment.jitter.ms": "",
	"delete.retention.ms": "log.cleaner.delete.retention.ms", "min.cleanable.dirty.ratio": "log.cleaner.min.cleanable.ratio",
	"min.compaction.lag.ms": "log.cleaner.min.compaction.lag.ms", "max.compaction.lag.ms": "log.cleaner.max.compaction.lag.ms",
	"segment.index.bytes": "log.index.size.max.bytes", "file.delete.delay.ms": "log.segment.delete.delay.ms",
	"flush.messages": "log.flush.interval.messages", "unclean.leader.election.enable": "unclean.leader.election.enable",
}

// amendSynonyms: the first synonym of a configuration is its own value, and the
// broker's are called as the broker calls them.
func amendSynonyms(configs []kmsg.DescribeConfigsResponseResourceConfig) {
	for i := range configs {
		c := &configs[i]
		if c.Source != kmsg.ConfigSourceDynamicTopicConfig || len(c.ConfigSynonyms) > 0 && c.ConfigSynonyms[0].Source == c.Source {
			continue
		}
		own := kmsg.NewDescribeConfigsResponseResourceConfigConfigSynonym()
		own.Name, own.Value, own.Source = c.Name, c.Value, c.Source
		synonyms := []kmsg.DescribeConfigsResponseResourceConfigConfigSynonym{own}
		for _, s := range c.ConfigSynonyms {
			name, known := brokerNames[s.Name]
			if !known {
				name = "log." + s.Name
			}
			if s.Source == kmsg.ConfigSourceDefaultConfig && name != "" {
				s.Name = name
			}
			if name != "" || s.Source != kmsg.ConfigSourceDefaultConfig {
				synonyms = append(synonyms, s)
			}
		}
		c.ConfigSynonyms = synonyms
	}
}

// amendElectLeaders: the one broker leads already.
func amendElectLeaders(req *kmsg.ElectLeadersRequest, resp *kmsg.ElectLeadersResponse) {
	if req.Topics == nil { // of all partitions, only those are answered that got a leader
		resp.Topics = nil
		return
	}
	for _, t := range resp.Topics {
		for i := range t.Partitions {
			if p := &t.Partitions[i]; p.ErrorCode == 0 {
				p.ErrorCode, p.ErrorMessage = kerr.ElectionNotNeeded.Code, kmsg.StringPtr("Leader election not needed for topic partition.")
			}
		}
	}
}

// groupMessage is the message of an answer about a group that is not there.
func groupMessage(code int16, message *string, group string) *string {
	if code != kerr.GroupIDNotFound.Code || message != nil && *message != "" {
		return message
	}
	return kmsg.StringPtr(fmt.Sprintf("Group %s not found.", group))
}

// clientHost is a member's host as Kafka says it: Java's word for an address,
// without the port.
func clientHost(addr string) string {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	return "/" + host
}

// nameTopics adds the names of topics that are given by their ids.
func (l *commitLog) nameTopics(assigned []kmsg.AssignmentTopicPartition) {
	for i := range assigned {
		assigned[i].Topic, _ = l.topic(assigned[i].Topic, assigned[i].TopicID)
	}
}

// control changes requests before kfake gets them.
func (l *commitLog) control(c *kfake.Cluster) {
	c.ControlKey(int16(kmsg.ListGroups), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		r := req.(*kmsg.ListGroupsRequest)
		for i, s := range r.StatesFilter {
			r.StatesFilter[i] = stateNames[strings.ToLower(s)]
		}
		for i, s := range r.TypesFilter {
			r.TypesFilter[i] = strings.ToLower(s)
		}
		return nil, nil, false
	})
	c.ControlKey(int16(kmsg.CreateTopics), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		r := req.(*kmsg.CreateTopicsRequest)
		r.Topics = slices.DeleteFunc(r.Topics, func(t kmsg.CreateTopicsRequestTopic) bool { return illegalTopic(t.Topic) != "" })
		return nil, nil, false
	})
}

// stateNames are the states of groups as kfake spells them.
var stateNames = map[string]string{
	"empty": "Empty", "stable": "Stable", "preparingrebalance": "PreparingRebalance", "completingrebalance": "CompletingRebalance",
	"dead": "Dead", "assigning": "Assigning", "reconciling": "Reconciling",
}

var legalTopic = regexp.MustCompile(`^[a-zA-Z0-9._-]+$`)

// illegalTopic says why Kafka makes no topic with this name; "" if it does.
func illegalTopic(name string) string {
	const max = 249
	why := ""
	switch {
	case name == "":
		why = "the empty string is not allowed"
	case name == "." || name == "..":
		why = fmt.Sprintf("'%s' is not allowed", name)
	case len(name) > max:
		why = fmt.Sprintf("the length of '%s' is longer than the max allowed length %d", name, max)
	case !legalTopic.MatchString(name):
		why = fmt.Sprintf("'%s' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'", name)
	}
	if why == "" {
		return ""
	}
	return "Topic name is invalid: " + why
}
