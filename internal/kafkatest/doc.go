// Package kafkatest starts real Apache Kafka brokers and foreign clients for
// tests.
//
// Kafka's jars come out of Maven Central and Python's client libraries out of
// PyPI, both into a cache below [os.UserCacheDir]. A broker is a Java process
// on loopback with a data folder of its own; it ends with [Cluster.Stop], and
// also when the test process dies in any other way, because each one runs
// under a supervisor that ends it as soon as its standard input closes.
//
// What may be fetched is decided by OFFSETS_TEST_KAFKA, see [Mode].
package kafkatest

import (
	"fmt"
	"os"
)

// Mode says what tests may do to get a real Kafka.
type Mode string

// The values of OFFSETS_TEST_KAFKA.
const (
	// IfCached (variable unset): real brokers run if their jars are cached.
	IfCached Mode = ""
	// Require: fetch what is missing, and fail where that is impossible.
	Require Mode = "require"
	// Off: no real broker.
	Off Mode = "off"
)

// ModeFromEnv reads OFFSETS_TEST_KAFKA.
func ModeFromEnv() (Mode, error) {
	switch m := Mode(os.Getenv("OFFSETS_TEST_KAFKA")); m {
	case IfCached, Require, Off:
		return m, nil
	default:
		return "", fmt.Errorf("OFFSETS_TEST_KAFKA=%q: want require, off, or nothing", m)
	}
}
