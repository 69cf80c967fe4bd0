import java.nio.file.Files;
import java.util.List;
import java.util.Properties;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.state.Stores;

/**
 * A Kafka Streams application that counts words, with a repartition topic and a changelog: started,
 * stopped and started again without its state, which it gets back from the changelog.
 */
public class WordCount {
    public static void main(String[] args) throws Exception {
        System.out.println("first " + run(args, List.of("to be or", "not to be"), 6));
        System.out.println("second " + run(args, List.of("be that as it may"), 5));
    }

    /** Sends lines, and returns the newest counts once it has seen so many of them. */
    static TreeMap<String, Long> run(String[] args, List<String> lines, int words) throws Exception {
        Properties p = new Properties();
        p.put("bootstrap.servers", args[0]);
        p.put("key.serializer", StringSerializer.class.getName());
        p.put("value.serializer", StringSerializer.class.getName());
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(p)) {
            for (String line : lines) {
                producer.send(new ProducerRecord<>(args[1], line)).get();
            }
        }
        Properties s = new Properties();
        s.put("bootstrap.servers", args[0]);
        s.put("application.id", args[2]);
        s.put("group.protocol", "classic");
        s.put("auto.offset.reset", "earliest");
        s.put("commit.interval.ms", "200");
        s.put("statestore.cache.max.bytes", "0"); // every count is seen
        s.put("processing.guarantee", args[3]);
        s.put("session.timeout.ms", "6000"); // closing does not leave the group
        s.put("heartbeat.interval.ms", "500");
        s.put("state.dir", Files.createTempDirectory("wordcount").toString());
        s.put("default.key.serde", Serdes.StringSerde.class.getName());
        s.put("default.value.serde", Serdes.StringSerde.class.getName());
        ConcurrentSkipListMap<String, Long> counts = new ConcurrentSkipListMap<>();
        CountDownLatch seen = new CountDownLatch(words);
        StreamsBuilder b = new StreamsBuilder();
        b.<String, String>stream(args[1])
            .flatMapValues(line -> List.of(line.split(" ")))
            .selectKey((k, word) -> word)
            .groupByKey()
            .count(Materialized.<String, Long>as(Stores.inMemoryKeyValueStore("counts")).withValueSerde(Serdes.Long()))
            .toStream()
            .foreach((word, n) -> {
                counts.put(word, n);
                seen.countDown();
            });
        try (KafkaStreams streams = new KafkaStreams(b.build(), s)) {
            streams.setUncaughtExceptionHandler(e -> {
                e.printStackTrace();
                return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
            });
            streams.start();
            if (!seen.await(60, TimeUnit.SECONDS)) {
                throw new IllegalStateException("only " + counts + ", " + streams.state());
            }
        } // closing commits
        return new TreeMap<>(counts);
    }
}
