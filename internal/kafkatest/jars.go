package kafkatest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Version is a release of Apache Kafka.
type Version string

// The releases that tests run against: the last era of ZooKeeper, and KRaft.
const (
	V360 Version = "3.6.0"
	V431 Version = "4.3.1"
	V440 Version = "4.4.0"
)

// Releases that wrote commit log records in layouts of their own.
const (
	V372 Version = "3.7.2" // early access to KIP-848
	V391 Version = "3.9.1" // early access to share groups
	V400 Version = "4.0.0"
)

// usesZooKeeper: the others have KRaft, and from 4.0 on nothing else.
func (v Version) usesZooKeeper() bool { return v == V360 }

// KRaft says whether it is a 4.x: with KIP-848 and topic ids in commits. The last
// releases of it have share groups, too.
func (v Version) KRaft() bool { return strings.HasPrefix(string(v), "4.") }

const pom = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>offsets.kafkatest</groupId>
  <artifactId>jars</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>VERSION</version></dependency>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>VERSION</version></dependency>
    STREAMS
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
  </dependencies>
</project>
`

// streams is for the members of streams groups, without its native store.
const streams = `<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-streams</artifactId><version>VERSION</version>
      <exclusions><exclusion><groupId>org.rocksdb</groupId><artifactId>rocksdbjni</artifactId></exclusion></exclusions></dependency>`

const copyDependencies = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"

// jars returns the folder with the release's jars, fetched with Maven if the
// mode allows it.
func jars(ctx context.Context, mode Mode, v Version) (string, error) {
	more := ""
	if v == V431 || v == V440 {
		more = streams
	}
	text := strings.ReplaceAll(strings.ReplaceAll(pom, "STREAMS", more), "VERSION", string(v))
	return cached(ctx, mode, "kafka-"+string(v), text, func(ctx context.Context, dir string) error {
		work, err := os.MkdirTemp("", "kafkatest-pom-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(work)
		file := filepath.Join(work, "pom.xml")
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			return err
		}
		mvn := exec.CommandContext(ctx, "mvn", "-q", "-B", "-f", file, copyDependencies, "-DoutputDirectory="+dir)
		if out, err := mvn.CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, tail(string(out), 2000))
		}
		return nil
	})
}

func tail(s string, n int) string {
	if len(s) > n {
		s = "…" + s[len(s)-n:]
	}
	return s
}
