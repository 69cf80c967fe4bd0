// Package inspect tells what is true about consumer groups now: their state
// and members, what they have committed, where the logs begin and end, and
// what an auto.offset.reset policy would do.
//
// It only reads. No function here joins a group, commits, or produces; a test
// runs them against a broker that refuses every such request.
//
// Start with [Cluster.List] and [Cluster.Describe]. The pure rules behind them
// are [Assess] (status and lag of one partition) and [Predict] (what a policy
// does with it).
//
// Words: the committed offset is the NEXT offset that the group will read.
// What is absent is nil, never -1.
package inspect
