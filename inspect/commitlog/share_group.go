package commitlog

// Records of share groups (KIP-932).

// ShareGroupPartitionMetadataV39 is type 9 of 3.9.
type ShareGroupPartitionMetadataV39 struct {
	InitializedTopics []NamedTopicPartitions `json:"initializedTopics"`
	DeletingTopics    []NamedTopic           `json:"deletingTopics"`
	Tags              []Tag                  `json:"unknownTags"`
}

// ShareGroupMemberMetadata is type 10.
type ShareGroupMemberMetadata struct {
	RackID               *string  `json:"rackId"`
	ClientID             string   `json:"clientId"`
	ClientHost           string   `json:"clientHost"`
	SubscribedTopicNames []string `json:"subscribedTopicNames"`
	Tags                 []Tag    `json:"unknownTags"`
}

// ShareGroupMetadata is type 11.
type ShareGroupMetadata struct {
	Epoch        int32 `json:"epoch"`
	MetadataHash int64 `json:"metadataHash"`
	Tags         []Tag `json:"unknownTags"`
}

// ShareGroupMetadataV40 is type 11 of 3.9 and 4.0.
type ShareGroupMetadataV40 struct {
	Epoch int32 `json:"epoch"`
	Tags  []Tag `json:"unknownTags"`
}

// ShareGroupCurrentMemberAssignment is type 14.
type ShareGroupCurrentMemberAssignment struct {
	MemberEpoch         int32             `json:"memberEpoch"`
	PreviousMemberEpoch int32             `json:"previousMemberEpoch"`
	State               int8              `json:"state"`
	AssignedPartitions  []TopicPartitions `json:"assignedPartitions"`
	Tags                []Tag             `json:"unknownTags"`
}

// ShareGroupStatePartitionMetadata is type 15.
type ShareGroupStatePartitionMetadata struct {
	InitializingTopics []NamedTopicPartitions `json:"initializingTopics"`
	InitializedTopics  []NamedTopicPartitions `json:"initializedTopics"`
	DeletingTopics     []NamedTopic           `json:"deletingTopics"`
	Tags               []Tag                  `json:"unknownTags"`
}

// ShareGroupStatePartitionMetadataV40 is type 15 of 4.0.
type ShareGroupStatePartitionMetadataV40 struct {
	InitializedTopics []NamedTopicPartitions `json:"initializedTopics"`
	DeletingTopics    []NamedTopic           `json:"deletingTopics"`
	Tags              []Tag                  `json:"unknownTags"`
}
