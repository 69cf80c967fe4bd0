package commitlog

// Records of streams groups (KIP-1071).

// KeyValue is a named value.
type KeyValue struct {
	Key   string `json:"key"`
	Value string `json:"value"`
	Tags  []Tag  `json:"unknownTags"`
}

// StreamsGroupMetadata is type 17.
type StreamsGroupMetadata struct {
	Epoch                          int32      `json:"epoch"`
	MetadataHash                   int64      `json:"metadataHash"`
	ValidatedTopologyEpoch         int32      `json:"validatedTopologyEpoch" kafka:"tag=0,default=-1"`         // 4.2+
	LastAssignmentConfigs          []KeyValue `json:"lastAssignmentConfigs" kafka:"tag=1"`                     // 4.2+
	StoredDescriptionTopologyEpoch int32      `json:"storedDescriptionTopologyEpoch" kafka:"tag=2,default=-1"` // 4.4+
	FailedDescriptionTopologyEpoch int32      `json:"failedDescriptionTopologyEpoch" kafka:"tag=3,default=-1"` // 4.4+
	Tags                           []Tag      `json:"unknownTags"`
}

// StreamsGroupMemberMetadata is type 19.
type StreamsGroupMemberMetadata struct {
	InstanceID         *string    `json:"instanceId"`
	RackID             *string    `json:"rackId"`
	ClientID           string     `json:"clientId"`
	ClientHost         string     `json:"clientHost"`
	RebalanceTimeoutMs int32      `json:"rebalanceTimeoutMs"`
	TopologyEpoch      int32      `json:"topologyEpoch"`
	ProcessID          string     `json:"processId"`
	UserEndpoint       *Endpoint  `json:"userEndpoint"`
	ClientTags         []KeyValue `json:"clientTags"`
	Tags               []Tag      `json:"unknownTags"`
}

// Endpoint is where a streams client answers interactive queries.
type Endpoint struct {
	Host string `json:"host"`
	Port uint16 `json:"port"`
	Tags []Tag  `json:"unknownTags"`
}

// StreamsGroupTargetAssignmentMember is type 21.
type StreamsGroupTargetAssignmentMember struct {
	ActiveTasks  []TaskIDs `json:"activeTasks"`
	StandbyTasks []TaskIDs `json:"standbyTasks"`
	WarmupTasks  []TaskIDs `json:"warmupTasks"`
	Tags         []Tag     `json:"unknownTags"`
}

// TaskIDs is tasks of a subtopology.
type TaskIDs struct {
	SubtopologyID string  `json:"subtopologyId"`
	Partitions    []int32 `json:"partitions"`
	Tags          []Tag   `json:"unknownTags"`
}

// AssignedTaskIDs adds the epochs at which each task was assigned.
type AssignedTaskIDs struct {
	SubtopologyID    string  `json:"subtopologyId"`
	Partitions       []int32 `json:"partitions"`
	AssignmentEpochs []int32 `json:"assignmentEpochs" kafka:"tag=0"` // 4.2+
	Tags             []Tag   `json:"unknownTags"`
}

// StreamsGroupCurrentMemberAssignment is type 22. Its states are numbered
// otherwise than those of type 8.
type StreamsGroupCurrentMemberAssignment struct {
	MemberEpoch                   int32             `json:"memberEpoch"`
	PreviousMemberEpoch           int32             `json:"previousMemberEpoch"`
	State                         int8              `json:"state"` // 1 stable, 2 unrevoked, 3 unreleased
	ActiveTasks                   []AssignedTaskIDs `json:"activeTasks"`
	StandbyTasks                  []AssignedTaskIDs `json:"standbyTasks"`
	WarmupTasks                   []AssignedTaskIDs `json:"warmupTasks"`
	ActiveTasksPendingRevocation  []AssignedTaskIDs `json:"activeTasksPendingRevocation"`
	StandbyTasksPendingRevocation []AssignedTaskIDs `json:"standbyTasksPendingRevocation"`
	WarmupTasksPendingRevocation  []AssignedTaskIDs `json:"warmupTasksPendingRevocation"`
	Tags                          []Tag             `json:"unknownTags"`
}

// StreamsGroupTopology is type 23.
type StreamsGroupTopology struct {
	Epoch         int32         `json:"epoch"`
	Subtopologies []Subtopology `json:"subtopologies"`
	Tags          []Tag         `json:"unknownTags"`
}

// Subtopology is one part of a topology.
type Subtopology struct {
	SubtopologyID           string             `json:"subtopologyId"`
	SourceTopics            []string           `json:"sourceTopics"`
	SourceTopicRegex        []string           `json:"sourceTopicRegex"`
	StateChangelogTopics    []TopicInfo        `json:"stateChangelogTopics"`
	RepartitionSinkTopics   []string           `json:"repartitionSinkTopics"`
	RepartitionSourceTopics []TopicInfo        `json:"repartitionSourceTopics"`
	CopartitionGroups       []CopartitionGroup `json:"copartitionGroups"`
	Tags                    []Tag              `json:"unknownTags"`
}

// TopicInfo is an internal topic that a topology needs.
type TopicInfo struct {
	Name              string     `json:"name"`
	Partitions        int32      `json:"partitions"`
	ReplicationFactor int16      `json:"replicationFactor"`
	TopicConfigs      []KeyValue `json:"topicConfigs"`
	Tags              []Tag      `json:"unknownTags"`
}

// CopartitionGroup is indexes into a subtopology's three lists of topics.
type CopartitionGroup struct {
	SourceTopics            []int16 `json:"sourceTopics"`
	SourceTopicRegex        []int16 `json:"sourceTopicRegex"`
	RepartitionSourceTopics []int16 `json:"repartitionSourceTopics"`
	Tags                    []Tag   `json:"unknownTags"`
}
