import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.*;
import java.lang.reflect.*;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Kafka's own tools and clients in one JVM, called with lines of JSON on standard input: {"id",
 * "op", …}; each is answered with {"id", "ok"} or {"id", "error"}. It ends with its standard
 * input. One source for every release: what moved or came later is called by reflection.
 */
public class Desk {
    static final ObjectMapper JSON = new ObjectMapper();
    static final PrintStream ANSWERS = System.out;
    static final Streams OUT = new Streams(System.err), ERR = new Streams(System.err); // stray output goes to the log
    static final InheritableThreadLocal<Integer> EXIT = new InheritableThreadLocal<>();
    static final ExecutorService POOL = Executors.newCachedThreadPool();
    static final Map<Long, Future<?>> RUNNING = new ConcurrentHashMap<>();
    static final Map<Integer, Object> CLIENTS = new ConcurrentHashMap<>();
    static final AtomicInteger HANDLES = new AtomicInteger();
    static String bootstrap;
    static Admin admin;

    public static void main(String[] args) throws Exception {
        bootstrap = args[0];
        System.setOut(new PrintStream(OUT, true, StandardCharsets.UTF_8));
        System.setErr(new PrintStream(ERR, true, StandardCharsets.UTF_8));
        catchExits();
        admin = Admin.create(properties("default.api.timeout.ms", "60000"));
        answer(0, "ok", null);
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            JsonNode request = JSON.readTree(line);
            long id = request.get("id").asLong();
            if (request.get("op").asText().equals("cancel")) {
                Optional.ofNullable(RUNNING.get(id)).ifPresent(f -> f.cancel(true));
                continue;
            }
            FutureTask<Void> task = new FutureTask<>(() -> serve(id, request), null);
            RUNNING.put(id, task);
            POOL.execute(task);
        }
        Runtime.getRuntime().halt(0);
    }

    static void serve(long id, JsonNode request) {
        try {
            answer(id, "ok", call(request));
        } catch (Throwable e) {
            Throwable cause = e;
            while ((cause instanceof ExecutionException || cause instanceof InvocationTargetException) && cause.getCause() != null) {
                cause = cause.getCause();
            }
            answer(id, "error", Map.of("class", cause.getClass().getName(), "message", String.valueOf(cause.getMessage())));
        } finally {
            RUNNING.remove(id);
        }
    }

    static void answer(long id, String what, Object value) {
        try {
            ObjectNode line = JSON.createObjectNode().put("id", id);
            line.set(what, JSON.valueToTree(value));
            synchronized (ANSWERS) {
                ANSWERS.println(JSON.writeValueAsString(line));
                ANSWERS.flush();
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    static Object call(JsonNode r) throws Exception {
        String op = r.get("op").asText();
        Duration limit = Duration.ofMillis(r.get("limit").asLong());
        switch (op) {
            case "tool": return tool(text(r, "name"), strings(r.get("args")));
            case "open": return opened(text(r, "protocol").equals("share") ? shareMember(r) : new Member(r));
            case "txn": return opened(new Txn(r, limit));
            case "drain": return drain(r, limit);
            case "groupOffsets": return groupOffsets(r, limit);
            case "shareOffsets": return shareOffsets(text(r, "group"), limit);
            case "alterShareOffsets": return alterShareOffsets(r, limit);
            case "deleteShareOffsets":
                wait(invoke(invoke(admin, "deleteShareGroupOffsets", text(r, "group"), new HashSet<>(strings(r.get("topics")))), "all"), limit);
                return null;
            default: // of a client
                int handle = r.get("handle").asInt();
                Client c = (Client) CLIENTS.get(handle);
                if (c == null) {
                    throw new IllegalStateException("no client " + handle + ": was it closed?");
                }
                synchronized (c) {
                    return c.call(op, r, limit);
                }
        }
    }

    static Object opened(Client c) {
        int handle = HANDLES.incrementAndGet();
        c.handle = handle;
        CLIENTS.put(handle, c);
        return handle;
    }

    // --- Kafka's tools ---

    /** Ends a tool's main method. */
    static class Exited extends Error {
        Exited() { super(null, null, false, false); }
    }

    /** Tools end their process through a class that moved in 4.4. */
    static void catchExits() throws Exception {
        Class<?> exit;
        try {
            exit = Class.forName("org.apache.kafka.common.utils.internals.Exit");
        } catch (ClassNotFoundException e) {
            exit = Class.forName("org.apache.kafka.common.utils.Exit");
        }
        Class<?> procedure = Class.forName(exit.getName() + "$Procedure");
        Object caught = Proxy.newProxyInstance(Desk.class.getClassLoader(), new Class<?>[] {procedure}, (proxy, method, args) -> {
            exited((Integer) args[0]);
            return null;
        });
        for (String name : List.of("setExitProcedure", "setHaltProcedure")) {
            exit.getMethod(name, procedure).invoke(null, caught);
        }
    }

    static void exited(int code) {
        if (EXIT.get() == null) {
            EXIT.set(code);
            OUT.mute(); // where the tool catches everything it would go on printing
            ERR.mute();
        }
        throw new Exited();
    }

    /** A stream that goes where the thread, or the one that started it, says. */
    static class Streams extends OutputStream {
        static class Sink {
            final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
            volatile boolean muted, over;
        }

        final InheritableThreadLocal<Sink> sinks = new InheritableThreadLocal<>();
        final OutputStream rest;

        Streams(OutputStream rest) { this.rest = rest; }

        void mute() { Optional.ofNullable(sinks.get()).ifPresent(s -> s.muted = true); }

        @Override public void write(int b) throws IOException { write(new byte[] {(byte) b}, 0, 1); }

        @Override public void write(byte[] b, int off, int n) throws IOException {
            Sink s = sinks.get();
            if (s == null || s.over) {
                rest.write(b, off, n);
            } else if (!s.muted) {
                s.bytes.write(b, off, n);
            }
        }

        Sink begin() { Sink s = new Sink(); sinks.set(s); return s; }

        String end(Sink s) { s.over = true; sinks.remove(); return s.bytes.toString(StandardCharsets.UTF_8); }
    }

    static Object tool(String name, List<String> args) throws Exception {
        Method main = toolClass(name).getMethod("main", String[].class);
        List<String> all = new ArrayList<>();
        if (!name.equals("kafka-dump-log") && !args.contains("--bootstrap-server")) {
            all.addAll(List.of("--bootstrap-server", bootstrap));
        }
        all.addAll(args);
        EXIT.remove();
        Streams.Sink out = OUT.begin(), err = ERR.begin();
        try {
            main.invoke(null, (Object) all.toArray(new String[0]));
        } catch (InvocationTargetException e) {
            if (!(e.getCause() instanceof Exited)) {
                e.getCause().printStackTrace();
                EXIT.set(1);
            }
        } finally {
            System.out.flush();
            System.err.flush();
        }
        Integer exit = EXIT.get();
        EXIT.remove();
        return Map.of("stdout", OUT.end(out), "stderr", ERR.end(err), "exit", exit == null ? 0 : exit);
    }

    static Class<?> toolClass(String name) throws ClassNotFoundException {
        Map<String, List<String>> classes = Map.ofEntries(
            Map.entry("kafka-consumer-groups", List.of("org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", "kafka.admin.ConsumerGroupCommand")),
            Map.entry("kafka-share-groups", List.of("org.apache.kafka.tools.consumer.group.ShareGroupCommand")),
            Map.entry("kafka-streams-groups", List.of("org.apache.kafka.tools.streams.StreamsGroupCommand")),
            Map.entry("kafka-groups", List.of("org.apache.kafka.tools.GroupsCommand")),
            Map.entry("kafka-get-offsets", List.of("org.apache.kafka.tools.GetOffsetShell", "kafka.tools.GetOffsetShell")),
            Map.entry("kafka-dump-log", List.of("org.apache.kafka.tools.DumpLogSegments", "kafka.tools.DumpLogSegments")),
            Map.entry("kafka-topics", List.of("org.apache.kafka.tools.TopicCommand", "kafka.admin.TopicCommand")),
            Map.entry("kafka-configs", List.of("org.apache.kafka.tools.ConfigCommand", "kafka.admin.ConfigCommand")),
            Map.entry("kafka-delete-records", List.of("org.apache.kafka.tools.DeleteRecordsCommand", "kafka.admin.DeleteRecordsCommand")),
            Map.entry("kafka-log-dirs", List.of("org.apache.kafka.tools.LogDirsCommand", "kafka.admin.LogDirsCommand")),
            Map.entry("kafka-features", List.of("org.apache.kafka.tools.FeatureCommand", "kafka.admin.FeatureCommand")),
            Map.entry("kafka-broker-api-versions", List.of("org.apache.kafka.tools.BrokerApiVersionsCommand", "kafka.admin.BrokerApiVersionsCommand")),
            Map.entry("kafka-cluster", List.of("org.apache.kafka.tools.ClusterTool", "kafka.tools.ClusterTool")),
            Map.entry("kafka-leader-election", List.of("org.apache.kafka.tools.LeaderElectionCommand", "kafka.admin.LeaderElectionCommand")),
            Map.entry("kafka-metadata-quorum", List.of("org.apache.kafka.tools.MetadataQuorumCommand")),
            Map.entry("kafka-transactions", List.of("org.apache.kafka.tools.TransactionsCommand")));
        for (String c : classes.getOrDefault(name, List.of())) {
            try {
                return Class.forName(c);
            } catch (ClassNotFoundException e) {
                // the other release's
            }
        }
        throw new ClassNotFoundException("this release of Kafka has no " + name);
    }

    // --- consumers ---

    abstract static class Client {
        int handle;

        abstract Object call(String op, JsonNode r, Duration limit) throws Exception;

        Object gone() { CLIENTS.remove(handle); return null; }
    }

    static Properties memberProperties(JsonNode r) {
        Properties p = properties("group.id", text(r, "group"), "client.id", text(r, "client_id"), "fetch.max.wait.ms", "100");
        r.get("properties").fields().forEachRemaining(e -> p.put(e.getKey(), e.getValue().asText()));
        for (Object name : p.keySet()) {
            if (!ConsumerConfig.configNames().contains(name) && !name.equals("share.acknowledgement.mode")) {
                throw new UnsupportedOperationException("this release has no " + name);
            }
        }
        return p;
    }

    static class Member extends Client {
        final KafkaConsumer<byte[], byte[]> consumer;
        final Map<TopicPartition, OffsetAndMetadata> taken = new HashMap<>();

        Member(JsonNode r) {
            consumer = new KafkaConsumer<>(memberProperties(r), new ByteArrayDeserializer(), new ByteArrayDeserializer());
            if (r.get("assign").size() > 0) {
                consumer.assign(partitions(r.get("assign")));
            } else if (r.get("topics").size() > 0) {
                consumer.subscribe(strings(r.get("topics")));
            }
        }

        @Override Object call(String op, JsonNode r, Duration limit) throws Exception {
            switch (op) {
                case "poll": return poll(r.get("max").asInt(), Duration.ofMillis(r.get("timeout").asLong()));
                case "join": return join(limit);
                case "commit":
                    consumer.commitSync(offsets(r.get("offsets")), limit);
                    return null;
                case "commitPolled":
                    consumer.commitSync(new HashMap<>(taken), limit);
                    return null;
                case "close":
                    gone();
                    consumer.close(limit);
                    return null;
                case "abandon":
                    gone();
                    crash(consumer);
                    return null;
                default: throw new IllegalArgumentException("a consumer cannot " + op);
            }
        }

        /** Records, at most max; the position is behind the last one that is returned. */
        List<Object> poll(int max, Duration timeout) {
            List<Object> all = new ArrayList<>();
            long end = System.nanoTime() + timeout.toNanos();
            do {
                ConsumerRecords<byte[], byte[]> records = consumer.poll(Duration.ofMillis(Math.min(100, timeout.toMillis())));
                for (TopicPartition tp : records.partitions()) {
                    for (ConsumerRecord<byte[], byte[]> r : records.records(tp)) {
                        if (all.size() == max) {
                            consumer.seek(tp, new OffsetAndMetadata(r.offset(), taken.containsKey(tp) ? taken.get(tp).leaderEpoch() : Optional.empty(), ""));
                            break;
                        }
                        all.add(record(r, null));
                        taken.put(tp, new OffsetAndMetadata(r.offset() + 1, r.leaderEpoch(), ""));
                    }
                }
            } while (all.isEmpty() && System.nanoTime() < end);
            return all;
        }

        List<Object> join(Duration limit) {
            long end = System.nanoTime() + limit.toNanos();
            while (consumer.assignment().isEmpty()) {
                if (System.nanoTime() > end) {
                    throw new TimeoutException("no partition was assigned in " + limit);
                }
                poll(0, Duration.ofMillis(50));
            }
            List<Object> all = new ArrayList<>();
            consumer.assignment().forEach(tp -> all.add(Map.of("topic", tp.topic(), "partition", tp.partition())));
            return all;
        }
    }

    static Client shareMember(JsonNode r) throws Exception {
        Class<?> type;
        try {
            type = Class.forName("org.apache.kafka.clients.consumer.KafkaShareConsumer");
        } catch (ClassNotFoundException e) {
            throw new UnsupportedOperationException("this release has no share groups");
        }
        Object consumer = type.getConstructor(Properties.class, Class.forName("org.apache.kafka.common.serialization.Deserializer"), Class.forName("org.apache.kafka.common.serialization.Deserializer"))
            .newInstance(memberProperties(r), new ByteArrayDeserializer(), new ByteArrayDeserializer());
        invoke(consumer, "subscribe", strings(r.get("topics")));
        return new ShareMember(consumer);
    }

    static class ShareMember extends Client {
        final Object consumer;
        final Map<String, ConsumerRecord<?, ?>> held = new LinkedHashMap<>();

        ShareMember(Object consumer) { this.consumer = consumer; }

        @Override Object call(String op, JsonNode r, Duration limit) throws Exception {
            switch (op) {
                case "poll": return poll(Duration.ofMillis(r.get("timeout").asLong()));
                case "acknowledge": return acknowledge(r, limit);
                case "close":
                    gone();
                    invoke(consumer, "close", limit);
                    return null;
                case "abandon":
                    gone();
                    crash(consumer);
                    return null;
                default: throw new IllegalArgumentException("a share consumer cannot " + op);
            }
        }

        List<Object> poll(Duration timeout) throws Exception {
            List<Object> all = new ArrayList<>();
            long end = System.nanoTime() + timeout.toNanos();
            do {
                for (ConsumerRecord<?, ?> r : (ConsumerRecords<?, ?>) invoke(consumer, "poll", Duration.ofMillis(Math.min(100, timeout.toMillis())))) {
                    held.put(r.topic() + " " + r.partition() + " " + r.offset(), r);
                    all.add(record(r, (Short) ((Optional<?>) invoke(r, "deliveryCount")).orElse(null)));
                }
            } while (all.isEmpty() && System.nanoTime() < end);
            return all;
        }

        /** Answers the partitions that failed. */
        Object acknowledge(JsonNode request, Duration limit) throws Exception {
            Class<?> types = Class.forName("org.apache.kafka.clients.consumer.AcknowledgeType");
            for (JsonNode a : request.get("acks")) {
                ConsumerRecord<?, ?> r = held.remove(text(a, "topic") + " " + a.get("partition").asInt() + " " + a.get("offset").asLong());
                if (r == null) {
                    throw new IllegalArgumentException("was not polled: " + a);
                }
                invoke(consumer, "acknowledge", r, invoke(null, types, "valueOf", text(a, "type").toUpperCase(Locale.ROOT)));
            }
            for (Object error : ((Map<?, ?>) invoke(consumer, "commitSync", limit)).values()) {
                if (((Optional<?>) error).isPresent()) {
                    throw (RuntimeException) ((Optional<?>) error).get();
                }
            }
            return null;
        }
    }

    /** Ends a consumer as the death of its process does: nothing is committed, nobody leaves, connections end. */
    static void crash(Object consumer) throws Exception {
        Object c = field(consumer, "delegate");
        if (c == null) {
            c = consumer;
        }
        Object background = field(c, "applicationEventHandler");
        if (background != null) { // its thread sends a leave only where close asked for one before
            invoke(background, "close", Duration.ofSeconds(1));
            return;
        }
        Object thread = field(field(c, "coordinator"), "heartbeatThread");
        if (thread != null) {
            invoke(thread, "close");
        }
        invoke(field(c, "client"), "close");
    }

    static Object drain(JsonNode r, Duration limit) {
        List<Object> all = new ArrayList<>();
        long end = System.nanoTime() + limit.toNanos();
        try (KafkaConsumer<byte[], byte[]> c = new KafkaConsumer<>(memberProperties(r), new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            List<TopicPartition> tps = new ArrayList<>();
            for (String topic : strings(r.get("topics"))) {
                for (PartitionInfo p : c.partitionsFor(topic, limit)) {
                    tps.add(new TopicPartition(topic, p.partition()));
                }
            }
            c.assign(tps);
            Map<TopicPartition, Long> first = c.endOffsets(tps, limit);
            for (Set<TopicPartition> open = new HashSet<>(tps); !open.isEmpty(); ) {
                if (System.nanoTime() > end) {
                    throw new TimeoutException("the end of " + open + " was not reached in " + limit);
                }
                c.poll(Duration.ofMillis(20)).forEach(x -> all.add(record(x, null)));
                open.removeIf(tp -> {
                    try {
                        long at = c.position(tp, Duration.ofMillis(100));
                        // One past the end is going to be reset, unless the end moved on.
                        return at == first.get(tp) || at > first.get(tp) && at <= c.endOffsets(List.of(tp), limit).get(tp);
                    } catch (TimeoutException e) {
                        return false;
                    }
                });
            }
        }
        return all;
    }

    // --- transactions ---

    static class Txn extends Client {
        final KafkaProducer<byte[], byte[]> producer;

        Txn(JsonNode r, Duration limit) {
            producer = new KafkaProducer<>(properties("transactional.id", text(r, "transactional_id"), "transaction.timeout.ms", r.get("timeout").asText(), "max.block.ms", Long.toString(limit.toMillis())),
                new ByteArraySerializer(), new ByteArraySerializer());
            try {
                producer.initTransactions();
            } catch (RuntimeException e) {
                producer.close(Duration.ZERO);
                throw e;
            }
        }

        @Override Object call(String op, JsonNode r, Duration limit) throws Exception {
            switch (op) {
                case "begin":
                    producer.beginTransaction();
                    return null;
                case "send": return send(r.get("records"), limit);
                case "sendOffsets":
                    producer.sendOffsetsToTransaction(offsets(r.get("offsets")), new ConsumerGroupMetadata(text(r, "group")));
                    return null;
                case "commitTxn":
                    producer.commitTransaction();
                    return null;
                case "abortTxn":
                    producer.abortTransaction();
                    return null;
                case "close":
                    gone();
                    producer.close(limit);
                    return null;
                case "abandon":
                    gone();
                    producer.close(Duration.ZERO); // which does not end the transaction
                    return null;
                default: throw new IllegalArgumentException("a producer cannot " + op);
            }
        }

        List<Object> send(JsonNode records, Duration limit) throws Exception {
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            for (JsonNode r : records) {
                Long time = r.get("timestamp").asLong() == 0 ? null : r.get("timestamp").asLong();
                sent.add(producer.send(new ProducerRecord<>(text(r, "topic"), r.get("partition").asInt(), time, r.get("key").binaryValue(), r.get("value").binaryValue())));
            }
            producer.flush();
            List<Object> all = new ArrayList<>();
            for (Future<RecordMetadata> f : sent) {
                RecordMetadata m = f.get(limit.toMillis(), TimeUnit.MILLISECONDS);
                all.add(Map.of("topic", m.topic(), "partition", m.partition(), "offset", m.offset(), "timestamp", m.timestamp()));
            }
            return all;
        }
    }

    // --- what the cluster says ---

    static Object groupOffsets(JsonNode r, Duration limit) throws Exception {
        Map<TopicPartition, OffsetAndMetadata> offsets = admin.listConsumerGroupOffsets(text(r, "group"), new ListConsumerGroupOffsetsOptions().requireStable(r.get("stable").asBoolean()))
            .partitionsToOffsetAndMetadata().get(limit.toMillis(), TimeUnit.MILLISECONDS);
        List<Object> all = new ArrayList<>();
        offsets.forEach((tp, o) -> {
            if (o != null) {
                all.add(row(tp, "offset", o.offset(), "metadata", o.metadata(), "leader_epoch", o.leaderEpoch().orElse(null)));
            }
        });
        return all;
    }

    static Object shareOffsets(String group, Duration limit) throws Exception {
        Class<?> spec = Class.forName("org.apache.kafka.clients.admin.ListShareGroupOffsetsSpec");
        Object result = invoke(admin, "listShareGroupOffsets", Map.of(group, spec.getConstructor().newInstance()));
        List<Object> all = new ArrayList<>();
        for (Map.Entry<?, ?> e : ((Map<?, ?>) ((Map<?, ?>) wait(invoke(result, "all"), limit)).get(group)).entrySet()) {
            if (e.getValue() != null) {
                all.add(row((TopicPartition) e.getKey(), "start_offset", invoke(e.getValue(), "startOffset"),
                    "leader_epoch", ((Optional<?>) invoke(e.getValue(), "leaderEpoch")).orElse(null), "lag", ((Optional<?>) invoke(e.getValue(), "lag")).orElse(null)));
            }
        }
        return all;
    }

    static Object alterShareOffsets(JsonNode r, Duration limit) throws Exception {
        Map<TopicPartition, Long> to = new HashMap<>();
        offsets(r.get("offsets")).forEach((tp, o) -> to.put(tp, o.offset()));
        wait(invoke(invoke(admin, "alterShareGroupOffsets", text(r, "group"), to), "all"), limit);
        return null;
    }

    static Object wait(Object future, Duration limit) throws Exception {
        return ((KafkaFuture<?>) future).get(limit.toMillis(), TimeUnit.MILLISECONDS);
    }

    // --- JSON and reflection ---

    static Properties properties(String... more) {
        Properties p = new Properties();
        p.put("bootstrap.servers", bootstrap);
        for (int i = 0; i < more.length; i += 2) {
            p.put(more[i], more[i + 1]);
        }
        return p;
    }

    static String text(JsonNode r, String name) { return r.path(name).asText(""); }

    static List<String> strings(JsonNode list) {
        List<String> all = new ArrayList<>();
        list.forEach(s -> all.add(s.asText()));
        return all;
    }

    static List<TopicPartition> partitions(JsonNode list) {
        List<TopicPartition> all = new ArrayList<>();
        list.forEach(p -> all.add(new TopicPartition(text(p, "topic"), p.get("partition").asInt())));
        return all;
    }

    static Map<TopicPartition, OffsetAndMetadata> offsets(JsonNode list) {
        Map<TopicPartition, OffsetAndMetadata> all = new HashMap<>();
        for (JsonNode o : list) {
            Optional<Integer> epoch = o.path("leader_epoch").isInt() ? Optional.of(o.get("leader_epoch").asInt()) : Optional.empty();
            all.put(new TopicPartition(text(o, "topic"), o.get("partition").asInt()), new OffsetAndMetadata(o.get("offset").asLong(), epoch, text(o, "metadata")));
        }
        return all;
    }

    static Map<String, Object> row(TopicPartition tp, Object... more) {
        Map<String, Object> m = new LinkedHashMap<>(Map.of("topic", tp.topic(), "partition", tp.partition()));
        for (int i = 0; i < more.length; i += 2) {
            m.put((String) more[i], more[i + 1]);
        }
        return m;
    }

    static Object record(ConsumerRecord<?, ?> r, Short deliveries) {
        return row(new TopicPartition(r.topic(), r.partition()), "offset", r.offset(), "timestamp", r.timestamp(), "key", r.key(), "value", r.value(),
            "leader_epoch", r.leaderEpoch().orElse(null), "delivery_count", deliveries);
    }

    static Object field(Object o, String name) throws Exception {
        for (Class<?> c = o.getClass(); c != null; c = c.getSuperclass()) {
            for (Field f : c.getDeclaredFields()) {
                if (f.getName().equals(name)) {
                    f.setAccessible(true);
                    return f.get(o);
                }
            }
        }
        return null;
    }

    static Object invoke(Object o, String name, Object... args) throws Exception { return invoke(o, o.getClass(), name, args); }

    static Object invoke(Object o, Class<?> type, String name, Object... args) throws Exception {
        for (Class<?> c = type; c != null; c = c.getSuperclass()) {
            for (Method m : c.getDeclaredMethods()) {
                if (m.getName().equals(name) && !m.isBridge() && accepts(m.getParameterTypes(), args)) {
                    m.setAccessible(true);
                    return m.invoke(o, args);
                }
            }
        }
        for (Method m : type.getMethods()) { // default methods of interfaces
            if (m.getName().equals(name) && accepts(m.getParameterTypes(), args)) {
                return m.invoke(o, args);
            }
        }
        throw new UnsupportedOperationException("this release has no " + type.getSimpleName() + "." + name);
    }

    static boolean accepts(Class<?>[] types, Object[] args) {
        if (types.length != args.length) {
            return false;
        }
        for (int i = 0; i < types.length; i++) {
            if (!types[i].isInstance(args[i])) {
                return false;
            }
        }
        return true;
    }
}
