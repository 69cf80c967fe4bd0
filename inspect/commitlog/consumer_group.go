package commitlog

// Records of consumer groups (KIP-848).

// ConsumerGroupMetadata is type 3.
type ConsumerGroupMetadata struct {
	Epoch        int32 `json:"epoch"`
	MetadataHash int64 `json:"metadataHash" kafka:"tag=0"` // 4.1+
	Tags         []Tag `json:"unknownTags"`
}

// GroupPartitionMetadata is type 4 (3.8 to 4.0), and type 9 of 4.0.
type GroupPartitionMetadata struct {
	Topics []TopicMetadata `json:"topics"`
	Tags   []Tag           `json:"unknownTags"`
}

// TopicMetadata is what a group knew of a topic.
type TopicMetadata struct {
	TopicID           UUID             `json:"topicId"`
	TopicName         string           `json:"topicName"`
	NumPartitions     int32            `json:"numPartitions"`
	PartitionMetadata []PartitionRacks `json:"partitionMetadata"`
	Tags              []Tag            `json:"unknownTags"`
}

// PartitionRacks is the racks of a partition's replicas.
type PartitionRacks struct {
	Partition int32    `json:"partition"`
	Racks     []string `json:"racks"`
	Tags      []Tag    `json:"unknownTags"`
}

// ConsumerGroupPartitionMetadataV36 is type 4 of 3.6 and 3.7.
type ConsumerGroupPartitionMetadataV36 struct {
	Epoch  int32           `json:"epoch"`
	Topics []TopicMetadata `json:"topics"`
	Tags   []Tag           `json:"unknownTags"`
}

// ConsumerGroupMemberMetadata is type 5.
type ConsumerGroupMemberMetadata struct {
	InstanceID           *string                `json:"instanceId"`
	RackID               *string                `json:"rackId"`
	ClientID             string                 `json:"clientId"`
	ClientHost           string                 `json:"clientHost"`
	SubscribedTopicNames []string               `json:"subscribedTopicNames"`
	SubscribedTopicRegex *string                `json:"subscribedTopicRegex"`
	RebalanceTimeoutMs   int32                  `json:"rebalanceTimeoutMs"`
	ServerAssignor       *string                `json:"serverAssignor"`
	Classic              *ClassicMemberMetadata `json:"classicMemberMetadata" kafka:"tag=0"`
	Tags                 []Tag                  `json:"unknownTags"`
}

// ClassicMemberMetadata is set on a member that still speaks the classic
// protocol.
type ClassicMemberMetadata struct {
	SessionTimeoutMs   int32             `json:"sessionTimeoutMs"`
	SupportedProtocols []ClassicProtocol `json:"supportedProtocols"`
	Tags               []Tag             `json:"unknownTags"`
}

// ClassicProtocol is an assignor that a classic member supports, with its
// subscription (see [DecodeSubscription]).
type ClassicProtocol struct {
	Name     string `json:"name"`
	Metadata []byte `json:"metadata" kafka:"subscription"`
	Tags     []Tag  `json:"unknownTags"`
}

// ConsumerGroupMemberMetadataV36 is type 5 of 3.6 and 3.7.
type ConsumerGroupMemberMetadataV36 struct {
	InstanceID           *string       `json:"instanceId"`
	RackID               *string       `json:"rackId"`
	ClientID             string        `json:"clientId"`
	ClientHost           string        `json:"clientHost"`
	SubscribedTopicNames []string      `json:"subscribedTopicNames"`
	SubscribedTopicRegex *string       `json:"subscribedTopicRegex"`
	RebalanceTimeoutMs   int32         `json:"rebalanceTimeoutMs"`
	ServerAssignor       *string       `json:"serverAssignor"`
	Assignors            []AssignorV36 `json:"assignors"`
	Tags                 []Tag         `json:"unknownTags"`
}

// AssignorV36 is a client-side assignor, which did not survive early access.
type AssignorV36 struct {
	Name           string `json:"name"`
	MinimumVersion int16  `json:"minimumVersion"`
	MaximumVersion int16  `json:"maximumVersion"`
	Reason         int8   `json:"reason"`
	Version        int16  `json:"version"`
	Metadata       []byte `json:"metadata"`
	Tags           []Tag  `json:"unknownTags"`
}

// ConsumerGroupTargetAssignmentMemberV36 is type 7 of 3.6 and 3.7.
type ConsumerGroupTargetAssignmentMemberV36 struct {
	Error           int8              `json:"error"`
	TopicPartitions []TopicPartitions `json:"topicPartitions"`
	MetadataVersion int16             `json:"metadataVersion"`
	MetadataBytes   []byte            `json:"metadataBytes"`
	Tags            []Tag             `json:"unknownTags"`
}

// ConsumerGroupCurrentMemberAssignment is type 8.
type ConsumerGroupCurrentMemberAssignment struct {
	MemberEpoch                 int32                     `json:"memberEpoch"`
	PreviousMemberEpoch         int32                     `json:"previousMemberEpoch"`
	State                       int8                      `json:"state"` // 0 stable, 1 unrevoked, 2 unreleased
	AssignedPartitions          []AssignedTopicPartitions `json:"assignedPartitions"`
	PartitionsPendingRevocation []AssignedTopicPartitions `json:"partitionsPendingRevocation"`
	Tags                        []Tag                     `json:"unknownTags"`
}

// AssignedTopicPartitions is assigned partitions, with the epochs at which
// each was assigned.
type AssignedTopicPartitions struct {
	TopicID          UUID    `json:"topicId"`
	Partitions       []int32 `json:"partitions"`
	AssignmentEpochs []int32 `json:"assignmentEpochs" kafka:"tag=0"` // 4.3+
	Tags             []Tag   `json:"unknownTags"`
}

// ConsumerGroupCurrentMemberAssignmentV36 is type 8 of 3.6 and 3.7.
type ConsumerGroupCurrentMemberAssignmentV36 struct {
	MemberEpoch                 int32             `json:"memberEpoch"`
	PreviousMemberEpoch         int32             `json:"previousMemberEpoch"`
	TargetMemberEpoch           int32             `json:"targetMemberEpoch"`
	AssignedPartitions          []TopicPartitions `json:"assignedPartitions"`
	PartitionsPendingRevocation []TopicPartitions `json:"partitionsPendingRevocation"`
	PartitionsPendingAssignment []TopicPartitions `json:"partitionsPendingAssignment"`
	Error                       int8              `json:"error"`
	MetadataVersion             int16             `json:"metadataVersion"`
	MetadataBytes               []byte            `json:"metadataBytes"`
	Tags                        []Tag             `json:"unknownTags"`
}

// ConsumerGroupRegularExpression is type 16: what a subscribed regex matches.
type ConsumerGroupRegularExpression struct {
	Topics    []string `json:"topics"`
	Version   int64    `json:"version"`   // of the metadata image used
	Timestamp int64    `json:"timestamp"` // ms, when it was resolved
	Tags      []Tag    `json:"unknownTags"`
}
