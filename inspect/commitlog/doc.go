// Package commitlog turns the bytes of Kafka's __consumer_offsets records into
// typed records, and typed records into bytes. It does no I/O.
//
// [Decode] never fails: what it cannot read comes back raw, with the reason in
// [Record.Err]. A tool that drops such records hides the very thing that its
// user looks for.
//
// The layouts are those of the JSON schemas in Kafka's group-coordinator
// module. Record types 1 (offset commit) and 2 (classic group metadata) are
// decoded; all others are kept raw.
package commitlog
