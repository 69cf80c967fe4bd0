package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/itchyny/gojq"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"offsets/internal/kafkatest"
)

// scriptCommands are the commands that scripts have beyond testscript's own.
//
//	exits CODE offsets ARGS…   runs the program; fails unless it exits with CODE
//	json FILE QUERY [WANT]     a jq query over every object in FILE (or stdout,
//	                           stderr): prints WANT, or else true
//	until SECONDS QUERY offsets ARGS…   runs the program until the query is true
//	given …                    prepares the broker, see given
//	kafka-consumer-groups …    Kafka's own tool; its output lands in stdout
//	kafka-console-consumer …
//	kafka-share-groups …
//	share-member GROUP TOPIC MS [COUNT [ACCEPT|RELEASE|REJECT]]   a member of a share group, for so long, and until it has read so many records
//	contract COMMAND FILE      checks a JSON output against contract.json
//	csv-header COMMAND FILE    checks the first line of a CSV output against contract.json
//	silent                     sets $SILENT to a port that takes connections and says nothing
//	now NAME                sets $NAME to the time
//	same-commits DECODED FORMATTED PREFIX   compares with Kafka's OffsetsMessageFormatter
func scriptCommands(cluster *kafkatest.Cluster) map[string]func(*testscript.TestScript, bool, []string) {
	java := func(command func(*kafkatest.Cluster, context.Context, ...string) *exec.Cmd) func(*testscript.TestScript, bool, []string) {
		return func(ts *testscript.TestScript, _ bool, args []string) {
			if cluster == nil {
				ts.Fatalf("only with a real Kafka: guard it with [kafka]")
			}
			cmd := command(cluster, context.Background(), args...)
			cmd.Stdout, cmd.Stderr = ts.Stdout(), ts.Stderr()
			if err := cmd.Run(); err != nil {
				ts.Logf("%s", err)
			}
		}
	}
	commands := map[string]func(*testscript.TestScript, bool, []string){
		"exits":                  cmdExits,
		"json":                   cmdJSON,
		"until":                  cmdUntil,
		"given":                  cmdGiven,
		"contract":               cmdContract,
		"csv-header":             cmdCSVHeader,
		"silent":                 cmdSilent,
		"now":                    cmdNow,
		"same-commits":           cmdSameCommits,
		"kafka-consumer-groups":  java((*kafkatest.Cluster).ConsumerGroups),
		"kafka-console-consumer": java((*kafkatest.Cluster).ConsoleConsumer),
		"kafka-share-groups":     java((*kafkatest.Cluster).ShareGroups),
		"share-member":           java(shareMember),
	}
	maps.Copy(commands, pythonCommands())
	return commands
}

func shareMember(k *kafkatest.Cluster, ctx context.Context, args ...string) *exec.Cmd {
	return k.Java(ctx, filepath.Join("testdata", "java", "ShareMember.java"), append([]string{k.Bootstrap}, args...)...)
}

func cmdExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARGS…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%s: %v", args[1], err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("%s: exit code %d, want %d", strings.Join(args[1:], " "), got, want)
	}
}

func cmdJSON(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: json FILE QUERY [WANT]")
	}
	want := "true"
	if len(args) == 3 {
		want = args[2]
	}
	got, err := query(ts.ReadFile(args[0]), args[1])
	ts.Check(err)
	if (got == want) == neg {
		ts.Fatalf("%s: got %s, want %s%s", args[1], got, map[bool]string{true: "not "}[neg], want)
	}
}

// query runs a jq query over a stream of JSON values, slurped into an array
// unless there is exactly one, and returns its results as compact JSON.
func query(text, q string) (string, error) {
	var values []any
	dec := json.NewDecoder(strings.NewReader(text))
	for {
		var v any
		err := dec.Decode(&v)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", fmt.Errorf("no JSON: %w in %q", err, text)
		}
		values = append(values, v)
	}
	var input any = values
	if len(values) == 1 && !strings.HasPrefix(q, "lines") {
		input = values[0]
	}
	parsed, err := gojq.Parse("def lines: .; " + q)
	if err != nil {
		return "", fmt.Errorf("query %q: %w", q, err)
	}
	var out []string
	iter := parsed.Run(input)
	for {
		v, ok := iter.Next()
		if !ok {
			return strings.Join(out, "\n"), nil
		}
		if err, failed := v.(error); failed {
			return "", fmt.Errorf("query %q: %w", q, err)
		}
		b, err := gojq.Marshal(v)
		if err != nil {
			return "", err
		}
		out = append(out, string(b))
	}
}

func cmdUntil(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: until SECONDS QUERY PROGRAM ARGS…")
	}
	seconds, err := strconv.Atoi(args[0])
	ts.Check(err)
	deadline := time.Now().Add(time.Duration(seconds) * time.Second)
	for {
		_ = ts.Exec(args[2], args[3:]...) // it may fail until the group exists
		got, err := query(ts.ReadFile("stdout"), args[1])
		if err == nil && got == "true" {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%s: still %s (%v) after %d s", args[1], got, err, seconds)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// cmdGiven prepares the broker without the program under test:
//
//	given topic NAME PARTITIONS
//	given topic-again NAME PARTITIONS        after it was deleted
//	given records TOPIC PARTITION COUNT [TIME]  {"number": N}, N counted per partition; one a second from TIME (or now +10m) on
//	given commit GROUP TOPIC PARTITION OFFSET [EPOCH [METADATA]]
//	given log-start TOPIC PARTITION OFFSET   deletes the records before
//	given more-partitions TOPIC COUNT        adds so many
//	given no topic NAME
//	given group-config GROUP NAME=VALUE…     and topic-config TOPIC NAME=VALUE…
//	given member GROUP PROTOCOL-TYPE TOPIC   joins a classic group for a moment
//	given open-transaction TOPIC PARTITION COUNT   records of a transaction that does not end
//	given ended-transaction TOPIC PARTITION COUNT commit|abort   records, and the marker
//	given transaction GROUP TOPIC PARTITION OFFSET commit|abort|open [PLAIN]   commits an offset in a transaction; before that ends, PLAIN without one
func cmdGiven(ts *testscript.TestScript, neg bool, args []string) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(ts.Getenv("BROKER")), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(kgo.NoCompression()))
	ts.Check(err)
	defer cl.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	ts.Check(given(ctx, cl, args))
}

func given(ctx context.Context, cl *kgo.Client, args []string) error {
	adm := kadm.NewClient(cl)
	word := func(i int) string {
		if i < len(args) {
			return args[i]
		}
		return ""
	}
	number := func(i int, absent int64) int64 {
		n, err := strconv.ParseInt(word(i), 10, 64)
		if err != nil {
			return absent
		}
		return n
	}
	switch word(0) {
	case "topic", "topic-again":
		for {
			_, err := adm.CreateTopic(ctx, int32(number(2, 1)), 1, nil, word(1))
			if word(0) == "topic" || !errors.Is(err, kerr.TopicAlreadyExists) {
				return err
			}
			time.Sleep(200 * time.Millisecond) // it is still being deleted
		}
	case "records":
		var records []*kgo.Record
		first, _ := time.Parse(time.RFC3339, word(4)) // zero: now
		if d, err := time.ParseDuration(word(4)); err == nil {
			first = time.Now().Add(d)
		}
		for n := range number(3, 0) {
			r := &kgo.Record{Topic: word(1), Partition: int32(number(2, 0)), Value: fmt.Appendf(nil, `{"number": %d}`, n)}
			if !first.IsZero() {
				r.Timestamp = first.Add(time.Duration(n) * time.Second)
			}
			records = append(records, r)
		}
		return retry(ctx, func() error { return cl.ProduceSync(ctx, records...).FirstErr() })
	case "commit":
		var os kadm.Offsets
		os.Add(kadm.Offset{Topic: word(2), Partition: int32(number(3, 0)), At: number(4, 0), LeaderEpoch: int32(number(5, -1)), Metadata: word(6)})
		return retry(ctx, func() error { return adm.CommitAllOffsets(ctx, word(1), os) })
	case "log-start":
		var os kadm.Offsets
		os.Add(kadm.Offset{Topic: word(1), Partition: int32(number(2, 0)), At: number(3, 0)})
		resp, err := adm.DeleteRecords(ctx, os)
		return errors.Join(err, resp.Error())
	case "transaction":
		return givenTransaction(ctx, cl, args[1], word(2), int32(number(3, 0)), number(4, 0), word(5), func() error {
			if word(6) == "" {
				return nil
			}
			return given(ctx, cl, []string{"commit", word(1), word(2), word(3), word(6)})
		})
	case "open-transaction", "ended-transaction":
		return givenRecordsInTransaction(ctx, cl, word(1), int32(number(2, 0)), number(3, 1), word(4))
	case "more-partitions":
		resp, err := adm.CreatePartitions(ctx, int(number(2, 1)), word(1))
		return errors.Join(err, resp.Error())
	case "member":
		return givenMember(ctx, cl, word(1), word(2), word(3))
	case "group-config", "topic-config":
		return givenConfig(ctx, cl, word(0), word(1), args[2:])
	case "no":
		_, err := adm.DeleteTopic(ctx, word(2))
		return err
	}
	return fmt.Errorf("given %s: not known", strings.Join(args, " "))
}

// givenConfig sets configurations of a group or a topic.
func givenConfig(ctx context.Context, cl *kgo.Client, kind, name string, settings []string) error {
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	r := kmsg.NewIncrementalAlterConfigsRequestResource()
	r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeGroupConfig, name
	if kind == "topic-config" {
		r.ResourceType = kmsg.ConfigResourceTypeTopic
	}
	for _, setting := range settings {
		config := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		var value string
		config.Name, value, _ = strings.Cut(setting, "=")
		config.Value = &value
		r.Configs = append(r.Configs, config)
	}
	req.Resources = append(req.Resources, r)
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return err
	}
	for _, r := range resp.Resources {
		if r.ErrorMessage != nil && *r.ErrorMessage != "" {
			return fmt.Errorf("%s %s: %s", kind, name, *r.ErrorMessage)
		}
		err = errors.Join(err, kerr.ErrorForCode(r.ErrorCode))
	}
	return err
}

// retry waits for what a young cluster or topic does not have yet.
func retry(ctx context.Context, f func() error) error {
	for {
		err := f()
		var k *kerr.Error
		if err == nil || !errors.As(err, &k) || !(k.Retriable || errors.Is(err, kerr.UnknownTopicOrPartition)) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func cmdSilent(ts *testscript.TestScript, _ bool, _ []string) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			defer conn.Close() // kept open until the script ends
		}
	}()
	ts.Setenv("SILENT", ln.Addr().String())
}

// cmdSameCommits compares our commits of groups with a prefix, in order, with
// what Kafka's own formatter prints of them.
func cmdSameCommits(ts *testscript.TestScript, _ bool, args []string) {
	const own = `lines | [.[] | select(.kind == "offset_commit" and (.key.group | startswith($p))) | [.key, .value]]`
	const theirs = `lines | [.[] | select(.key.type == 1 and (.key.data.group | startswith($p))) | [.key.data, (.value | if . == null then null else .data end)]]`
	with := func(q string) string { return strings.ReplaceAll(q, "$p", strconv.Quote(args[2]+"-")) }
	a, err := query(ts.ReadFile(args[0]), with(own)+" | sort")
	ts.Check(err)
	b, err := query(ts.ReadFile(args[1]), with(theirs)+" | sort")
	ts.Check(err)
	if a != b || a == "[]" {
		ts.Fatalf("ours:\n%s\nKafka's:\n%s", a, b)
	}
}

// givenRecordsInTransaction writes records in a transaction, and ends it, or
// goes away.
func givenRecordsInTransaction(ctx context.Context, cl *kgo.Client, topic string, partition int32, count int64, end string) error {
	producer, err := kgo.NewClient(append(cl.Opts(), kgo.TransactionalID(topic+"-"+end), kgo.TransactionTimeout(time.Minute))...)
	if err != nil {
		return err
	}
	defer producer.Close()
	var records []*kgo.Record
	for n := range count {
		records = append(records, &kgo.Record{Topic: topic, Partition: partition, Value: fmt.Append(nil, n)})
	}
	err = retry(ctx, func() error {
		if err := producer.BeginTransaction(); err != nil {
			return err
		}
		return producer.ProduceSync(ctx, records...).FirstErr()
	})
	if err != nil || end == "" {
		return err
	}
	if err := producer.EndTransaction(ctx, kgo.TransactionEndTry(end == "commit")); err != nil {
		return err
	}
	// The marker is written after the answer.
	adm := kadm.NewClient(cl)
	return retry(ctx, func() error {
		stable, err := adm.ListCommittedOffsets(ctx, topic)
		if err != nil {
			return err
		}
		ends, err := adm.ListEndOffsets(ctx, topic)
		if err != nil {
			return err
		}
		a, _ := stable.Lookup(topic, partition)
		b, _ := ends.Lookup(topic, partition)
		if a.Offset != b.Offset {
			return kerr.CoordinatorLoadInProgress // again
		}
		return nil
	})
}

// givenMember joins a classic group of any protocol type, completes a rebalance,
// and leaves.
func givenMember(ctx context.Context, cl *kgo.Client, group, protocolType, topic string) error {
	join := kmsg.NewPtrJoinGroupRequest()
	join.Group, join.ProtocolType, join.SessionTimeoutMillis, join.RebalanceTimeoutMillis = group, protocolType, 10_000, 10_000
	meta := kmsg.NewConsumerMemberMetadata()
	meta.Topics = []string{topic}
	p := kmsg.NewJoinGroupRequestProtocol()
	p.Name, p.Metadata = "range", meta.AppendTo(nil)
	join.Protocols = append(join.Protocols, p)
	var joined *kmsg.JoinGroupResponse
	err := retry(ctx, func() (err error) {
		if joined, err = join.RequestWith(ctx, cl); err == nil {
			err = kerr.ErrorForCode(joined.ErrorCode)
		}
		if errors.Is(err, kerr.MemberIDRequired) {
			join.MemberID = joined.MemberID
			if joined, err = join.RequestWith(ctx, cl); err == nil {
				err = kerr.ErrorForCode(joined.ErrorCode)
			}
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("JoinGroup: %w", err)
	}
	sync := kmsg.NewPtrSyncGroupRequest()
	sync.Group, sync.Generation, sync.MemberID, sync.ProtocolType, sync.Protocol = group, joined.Generation, joined.MemberID, &protocolType, kmsg.StringPtr("range")
	assigned := kmsg.NewSyncGroupRequestGroupAssignment()
	assigned.MemberID = joined.MemberID
	sync.GroupAssignment = append(sync.GroupAssignment, assigned)
	synced, err := sync.RequestWith(ctx, cl)
	if err == nil {
		err = kerr.ErrorForCode(synced.ErrorCode)
	}
	if err != nil {
		return fmt.Errorf("SyncGroup: %w", err)
	}
	leave := kmsg.NewPtrLeaveGroupRequest()
	leave.Group, leave.MemberID = group, joined.MemberID
	m := kmsg.NewLeaveGroupRequestMember()
	m.MemberID = joined.MemberID
	leave.Members = append(leave.Members, m)
	_, err = leave.RequestWith(ctx, cl)
	return err
}

// cmdNow sets a variable to the time, to the millisecond, with some
// milliseconds before and after it in which nothing else happens.
func cmdNow(ts *testscript.TestScript, _ bool, args []string) {
	time.Sleep(30 * time.Millisecond)
	ts.Setenv(args[0], time.Now().UTC().Format("2006-01-02T15:04:05.000Z07:00"))
	time.Sleep(30 * time.Millisecond)
}

// givenTransaction commits an offset in a transaction of its own producer, and
// ends it, or leaves it open.
func givenTransaction(ctx context.Context, cl *kgo.Client, group, topic string, partition int32, offset int64, end string, before func() error) error {
	id := fmt.Sprintf("%s-%d-%s", group, offset, end)
	producer, err := kgo.NewClient(append(cl.Opts(), kgo.TransactionalID(id), kgo.TransactionTimeout(time.Minute))...)
	if err != nil {
		return err
	}
	defer producer.Close()
	pid, epoch, err := producer.ProducerID(ctx)
	if err != nil {
		return err
	}
	add := kmsg.NewPtrAddOffsetsToTxnRequest()
	add.TransactionalID, add.ProducerID, add.ProducerEpoch, add.Group = id, pid, epoch, group
	commit := kmsg.NewPtrTxnOffsetCommitRequest()
	commit.TransactionalID, commit.ProducerID, commit.ProducerEpoch, commit.Group, commit.Generation = id, pid, epoch, group, -1
	topics, err := kadm.NewClient(cl).ListTopics(ctx, topic)
	if err != nil {
		return err
	}
	t := kmsg.NewTxnOffsetCommitRequestTopic()
	t.Topic, t.TopicID = topic, topics[topic].ID
	p := kmsg.NewTxnOffsetCommitRequestTopicPartition()
	p.Partition, p.Offset, p.LeaderEpoch, p.Metadata = partition, offset, -1, kmsg.StringPtr("txn")
	t.Partitions = append(t.Partitions, p)
	commit.Topics = append(commit.Topics, t)
	err = retry(ctx, func() error {
		resp, err := add.RequestWith(ctx, producer)
		if err == nil {
			err = kerr.ErrorForCode(resp.ErrorCode)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("AddOffsetsToTxn: %w", err)
	}
	err = retry(ctx, func() error {
		resp, err := commit.RequestWith(ctx, producer)
		if err == nil {
			err = kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode)
		}
		return err
	})
	if err == nil {
		err = before()
	}
	if err != nil || end == "open" {
		return err
	}
	req := kmsg.NewPtrEndTxnRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Commit = id, pid, epoch, end == "commit"
	return retry(ctx, func() error {
		resp, err := req.RequestWith(ctx, producer)
		if err == nil {
			err = kerr.ErrorForCode(resp.ErrorCode)
		}
		return err
	})
}
