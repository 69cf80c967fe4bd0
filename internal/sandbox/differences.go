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
		{What: "JoinGroup is answered at once, without group.initial.rebalance.delay.ms", Kafka: "waits 3 s for more members of a new group"},
	}
}
