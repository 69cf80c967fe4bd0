package commitlog

import (
	"maps"
	"reflect"
	"slices"
)

// Record types: the number at the start of each key. 9 and 18 have no schema
// in current releases; 9 had two in early ones.
const (
	TypeLegacyOffsetCommit = 0
	TypeOffsetCommit       = 1
	TypeGroupMetadata      = 2
	TypeShareGroupMetadata = 11
	TypeShareGroupState    = 15
)

// Kind is a record's schema name in snake case.
type Kind string

// The kinds that are not the name of a schema, and those of the old types.
const (
	KindLegacyOffsetCommit Kind = "legacy_offset_commit"
	KindOffsetCommit       Kind = "offset_commit"
	KindGroupMetadata      Kind = "group_metadata"
	KindControl            Kind = "control"       // a transaction marker; not made by Decode
	KindDamagedBatch       Kind = "damaged_batch" // not a record; not made by Decode
	KindUnknown            Kind = "unknown"
)

// recordType is what is known of one type: its key, and the layouts of its
// value (all version 0), newest first. Early-access releases changed layouts
// without changing the version, so that each has to be tried.
type recordType struct {
	kind   Kind
	key    reflect.Type
	values []reflect.Type
}

func layouts[K any](kind Kind, values ...any) recordType {
	t := recordType{kind: kind, key: reflect.TypeFor[K]()}
	for _, v := range values {
		t.values = append(t.values, reflect.TypeOf(v))
	}
	return t
}

// recordTypes is indexed by the record type's number.
func recordTypes() map[int16]recordType {
	return map[int16]recordType{
		3:  layouts[GroupKey]("consumer_group_metadata", ConsumerGroupMetadata{}),
		4:  layouts[GroupKey]("consumer_group_partition_metadata", GroupPartitionMetadata{}, ConsumerGroupPartitionMetadataV36{}),
		5:  layouts[MemberKey]("consumer_group_member_metadata", ConsumerGroupMemberMetadata{}, ConsumerGroupMemberMetadataV36{}),
		6:  layouts[GroupKey]("consumer_group_target_assignment_metadata", TargetAssignmentMetadata{}),
		7:  layouts[MemberKey]("consumer_group_target_assignment_member", TargetAssignmentMember{}, ConsumerGroupTargetAssignmentMemberV36{}),
		8:  layouts[MemberKey]("consumer_group_current_member_assignment", ConsumerGroupCurrentMemberAssignment{}, ConsumerGroupCurrentMemberAssignmentV36{}),
		9:  layouts[GroupKey]("share_group_partition_metadata", GroupPartitionMetadata{}, ShareGroupPartitionMetadataV39{}),
		10: layouts[MemberKey]("share_group_member_metadata", ShareGroupMemberMetadata{}),
		11: layouts[GroupKey]("share_group_metadata", ShareGroupMetadata{}, ShareGroupMetadataV40{}),
		12: layouts[GroupKey]("share_group_target_assignment_metadata", TargetAssignmentMetadata{}),
		13: layouts[MemberKey]("share_group_target_assignment_member", TargetAssignmentMember{}),
		14: layouts[MemberKey]("share_group_current_member_assignment", ShareGroupCurrentMemberAssignment{}),
		15: layouts[GroupKey]("share_group_state_partition_metadata", ShareGroupStatePartitionMetadata{}, ShareGroupStatePartitionMetadataV40{}),
		16: layouts[RegularExpressionKey]("consumer_group_regular_expression", ConsumerGroupRegularExpression{}),
		17: layouts[GroupKey]("streams_group_metadata", StreamsGroupMetadata{}),
		19: layouts[MemberKey]("streams_group_member_metadata", StreamsGroupMemberMetadata{}),
		20: layouts[GroupKey]("streams_group_target_assignment_metadata", TargetAssignmentMetadata{}),
		21: layouts[MemberKey]("streams_group_target_assignment_member", StreamsGroupTargetAssignmentMember{}),
		22: layouts[MemberKey]("streams_group_current_member_assignment", StreamsGroupCurrentMemberAssignment{}),
		23: layouts[GroupKey]("streams_group_topology", StreamsGroupTopology{}),
	}
}

// The structs here and in the files beside are the layouts: their fields in
// wire order, under the names of Kafka's schemas. kafka:"tag=N" is a tagged
// field, which is written only where it is not its default (zero, or -1 with
// kafka:"tag=N,default=-1"); a pointer or a nil slice with kafka:"nullable" may
// be null. All of them are flexible, and version 0.

// GroupKey is the key of records about a group as a whole.
type GroupKey struct {
	GroupID string `json:"groupId"`
}

// MemberKey is the key of records about one member.
type MemberKey struct {
	GroupID  string `json:"groupId"`
	MemberID string `json:"memberId"`
}

// RegularExpressionKey is the key of type 16.
type RegularExpressionKey struct {
	GroupID           string `json:"groupId"`
	RegularExpression string `json:"regularExpression"`
}

// TopicPartitions is some partitions of a topic, by its id.
type TopicPartitions struct {
	TopicID    UUID    `json:"topicId"`
	Partitions []int32 `json:"partitions"`
	Tags       []Tag   `json:"unknownTags"`
}

// NamedTopicPartitions is some partitions of a topic, with its name.
type NamedTopicPartitions struct {
	TopicID    UUID    `json:"topicId"`
	TopicName  string  `json:"topicName"`
	Partitions []int32 `json:"partitions"`
	Tags       []Tag   `json:"unknownTags"`
}

// NamedTopic is a topic with its name.
type NamedTopic struct {
	TopicID   UUID   `json:"topicId"`
	TopicName string `json:"topicName"`
	Tags      []Tag  `json:"unknownTags"`
}

// TargetAssignmentMetadata is types 6, 12 and 20.
type TargetAssignmentMetadata struct {
	AssignmentEpoch     int32 `json:"assignmentEpoch"`
	AssignmentTimestamp int64 `json:"assignmentTimestamp" kafka:"tag=0"` // ms, 4.3+
	Tags                []Tag `json:"unknownTags"`
}

// TargetAssignmentMember is types 7 and 13.
type TargetAssignmentMember struct {
	TopicPartitions []TopicPartitions `json:"topicPartitions"`
	Tags            []Tag             `json:"unknownTags"`
}

// Kinds are all kinds, in the order of their types.
func Kinds() []Kind {
	kinds := []Kind{KindLegacyOffsetCommit, KindOffsetCommit, KindGroupMetadata}
	types := recordTypes()
	for _, typ := range slices.Sorted(maps.Keys(types)) {
		kinds = append(kinds, types[typ].kind)
	}
	return append(kinds, KindControl, KindDamagedBatch, KindUnknown)
}
