package sandbox

// Difference is something that this broker does otherwise than Apache Kafka.
type Difference struct {
	What string
	// Kafka is what Apache Kafka does instead.
	Kafka string
}

// Differences are the known differences that matter for offsets. A test fails
// when one of them is gone, so that the list stays true.
func Differences() []Difference {
	return []Difference{
		{What: "a commit for a group that does not exist is fetched as GROUP_ID_NOT_FOUND", Kafka: "answers an empty list"},
		{What: "share groups leave no records in __consumer_offsets", Kafka: "writes record types 10 to 15"},
		{What: "the target assignment of a KIP-848 group in __consumer_offsets is the current one", Kafka: "writes the target first, and the current assignment when a member has taken it over"},
		{What: "group.min.session.timeout.ms is 1 s, but the broker's configuration says 6 s", Kafka: "is 6 s unless configured"},
		{What: "an offset commit of a transaction replaces a newer plain one when the transaction commits", Kafka: "drops it: the newer one counts"},
		{What: "streams groups (group.protocol=streams) are not supported: no StreamsGroupHeartbeat, no StreamsGroupDescribe", Kafka: "has them from 4.2 on; an application with group.protocol=classic runs on both"},
		{What: "there is no quorum to describe (kafka-metadata-quorum)", Kafka: "has one with KRaft"},
		{What: "the first member of a KIP-848 group makes epoch 1", Kafka: "is in epoch 2 by then, in 4.4"},
		{What: "a partition of a share group has a start offset when it is assigned", Kafka: "says none until its first records are asked for"},
		{What: "a share group without members and without offsets is gone", Kafka: "keeps it, empty, until it is deleted"},
		{What: "DescribeProducers lists the producers with transactions", Kafka: "lists those that are idempotent, too"},
		{What: "CreateTopics answers with the configurations that were asked for", Kafka: "answers with all of them; and in 4.4 min.insync.replicas=1 is a default of the cluster, which kafka-topics --describe shows"},
		{What: "an error in an answer seldom has a message of its own (a replication factor of 5 on one broker)", Kafka: "says what is wrong with what value"},
		{What: "JoinGroup is answered at once, without group.initial.rebalance.delay.ms", Kafka: "waits 3 s for more members of a new group"},
	}
}
