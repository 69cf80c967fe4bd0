package kafkatest

import (
	"context"
	"os/exec"
	"path/filepath"
)

// DumpLog returns Kafka's own kafka-dump-log.
func (k *Cluster) DumpLog(ctx context.Context, args ...string) *exec.Cmd {
	class := "org.apache.kafka.tools.DumpLogSegments"
	if k.Version != V431 && k.Version != V440 {
		class = "kafka.tools.DumpLogSegments"
	}
	return k.Java(ctx, class, args...)
}

// ConsumerGroups returns Kafka's own kafka-consumer-groups, ready to run
// against this broker.
func (k *Cluster) ConsumerGroups(ctx context.Context, args ...string) *exec.Cmd {
	class := "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"
	if k.Version == V360 || k.Version == V372 {
		class = "kafka.admin.ConsumerGroupCommand"
	}
	return k.Java(ctx, class, append([]string{"--bootstrap-server", k.Bootstrap}, args...)...)
}

// ShareGroups returns Kafka's own kafka-share-groups, which older releases do
// not have.
func (k *Cluster) ShareGroups(ctx context.Context, args ...string) *exec.Cmd {
	return k.Java(ctx, "org.apache.kafka.tools.consumer.group.ShareGroupCommand", append([]string{"--bootstrap-server", k.Bootstrap}, args...)...)
}

// ConsoleConsumer returns Kafka's own kafka-console-consumer.
func (k *Cluster) ConsoleConsumer(ctx context.Context, args ...string) *exec.Cmd {
	class := "org.apache.kafka.tools.consumer.ConsoleConsumer"
	if k.Version == V360 || k.Version == V372 {
		class = "kafka.tools.ConsoleConsumer"
	}
	return k.Java(ctx, class, append([]string{"--bootstrap-server", k.Bootstrap}, args...)...)
}

// Java returns a command that runs a class of this release; or a program in a
// .java file, with this release's classes.
func (k *Cluster) Java(ctx context.Context, class string, args ...string) *exec.Cmd {
	argv := append(k.java("-Xmx256m", class), args...)
	return exec.CommandContext(ctx, argv[0], argv[1:]...)
}

func (k *Cluster) java(heap, class string, args ...string) []string {
	return append([]string{
		"java", heap, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData",
		"-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
		"-cp", filepath.Join(k.jars, "*"), class,
	}, args...)
}
