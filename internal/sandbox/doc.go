// Package sandbox is an embedded Kafka broker for demos and tests: kfake, plus
// what kfake lacks, a real-format __consumer_offsets topic.
//
// Between clients and kfake sits a tap on every connection. It parses requests
// that change groups, waits for the broker's answer, writes the records that a
// real coordinator would have written into __consumer_offsets, and only then
// lets the answer through: whoever has seen an answer finds the record in the
// log.
//
// What this broker is known to do differently from Apache Kafka is listed in
// [Differences], each entry with a test.
package sandbox
