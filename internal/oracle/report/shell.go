package report

import (
	"fmt"
	"strings"

	"offsets/internal/oracle/judge"
	"offsets/internal/oracle/record"
)

// Shell writes a playing as a shell script: the program's command lines as they
// were, and what clients did with Kafka's own tools where these can do it.
// $B is the broker.
func Shell(entries []*record.Entry, faults []judge.Fault) string {
	var b strings.Builder
	b.WriteString("export OFFSETS_BOOTSTRAP_SERVER=$B OFFSETS_STATE_DIR=$(mktemp -d)\n")
	for _, e := range entries {
		if e.Step.Fail != "" {
			fmt.Fprintf(&b, "# the broker that coordinates %s ends (%s), and right then:\n", e.Group, e.Step.Fail)
		}
		for _, r := range e.Runs {
			line := r.Command()
			if e.Step.Kind == "ask.export" {
				line += fmt.Sprintf(" > export-%d.json", e.Step.ID)
			}
			fmt.Fprintf(&b, "%s   # exit %d\n", line, r.Exit)
		}
		if len(e.Runs) == 0 {
			b.WriteString(shell(e))
		}
		for _, f := range faults {
			if f.Step == e.Step.ID {
				fmt.Fprintf(&b, "#   ^ %s: %s\n", f.Rule, strings.ReplaceAll(f.Message, "\n", " "))
			}
		}
	}
	return b.String()
}

func shell(e *record.Entry) string {
	var b strings.Builder
	s := e.Step
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	switch s.Kind {
	case "topic.create":
		config := map[string]string{"": " --config retention.ms=-1", "compact": " --config cleanup.policy=compact", "retention": " --config retention.bytes=2000"}[s.How]
		line("kafka-topics.sh --bootstrap-server $B --create --topic %s --partitions %d%s", e.Topic, s.N, config)
	case "topic.recreate":
		line("kafka-topics.sh --bootstrap-server $B --delete --topic %s; sleep 2", e.Topic)
		line("kafka-topics.sh --bootstrap-server $B --create --topic %s --partitions %d --config retention.ms=-1", e.Topic, s.N)
	case "topic.grow":
		line("kafka-topics.sh --bootstrap-server $B --alter --topic %s --partitions %d", e.Topic, s.N)
	case "topic.delete":
		line("kafka-topics.sh --bootstrap-server $B --delete --topic %s; sleep 2", e.Topic)
	case "group.delete":
		line("kafka-consumer-groups.sh --bootstrap-server $B --delete --group %s", e.Group)
	case "offsets.delete":
		line("kafka-consumer-groups.sh --bootstrap-server $B --delete-offsets --group %s --topic %s:%s", e.Group, e.Topic, partitions(s.Partitions))
	case "share.delete":
		line("kafka-share-groups.sh --bootstrap-server $B --delete-offsets --group %s --topic %s", e.Group, e.Topic)
	case "commit", "topic.produce":
	default:
		line("# %s", s)
	}
	for _, op := range e.Ops {
		failed := ""
		if op.Err != "" {
			failed = "   # " + firstLine(op.Err)
		}
		switch op.Kind {
		case "commit":
			line("kafka-consumer-groups.sh --bootstrap-server $B --reset-offsets --group %s --topic %s --to-offset %d --execute   # leader epoch %d, metadata %q%s", e.Group, op.TP, op.Commit.Offset, op.Commit.Epoch, op.Commit.Metadata, failed)
		case "txn.commit":
			line("# transaction %d: sendOffsetsToTransaction(%s, %s=%d)%s", op.Txn, op.Group, op.TP, op.Commit.Offset, failed)
		case "produce":
			line("# %d records to %s: partition@offset timestamp …", len(op.Records), op.TP.Topic)
			for _, r := range op.Records {
				line("#   %d@%d %d %s", r.TP.Partition, r.Offset, r.Time, r.Key)
			}
		}
	}
	return b.String()
}

func partitions(ps []int32) string {
	var out []string
	for _, p := range ps {
		out = append(out, fmt.Sprint(p))
	}
	return strings.Join(out, ",")
}
