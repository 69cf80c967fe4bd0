import java.nio.file.Files;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.state.Stores;

/** A Kafka Streams application with a streams group (KIP-1071): a repartition topic and a changelog. */
public class StreamsMember {
    public static void main(String[] args) throws Exception {
        Properties p = new Properties();
        p.put("bootstrap.servers", args[0]);
        p.put("application.id", args[1]);
        p.put("group.protocol", "streams");
        p.put("auto.offset.reset", "earliest");
        p.put("commit.interval.ms", "200");
        p.put("state.dir", Files.createTempDirectory("streams").toString());
        p.put("default.key.serde", Serdes.ByteArraySerde.class.getName());
        p.put("default.value.serde", Serdes.ByteArraySerde.class.getName());
        CountDownLatch read = new CountDownLatch(1);
        StreamsBuilder b = new StreamsBuilder();
        b.<byte[], byte[]>stream(args[2])
            .selectKey((k, v) -> v)
            .groupByKey()
            .count(Materialized.as(Stores.inMemoryKeyValueStore("counts")))
            .toStream()
            .foreach((k, n) -> read.countDown());
        try (KafkaStreams s = new KafkaStreams(b.build(), p)) {
            s.start();
            if (!read.await(60, TimeUnit.SECONDS)) {
                throw new IllegalStateException("nothing read");
            }
            Thread.sleep(1000); // a commit
        }
    }
}
