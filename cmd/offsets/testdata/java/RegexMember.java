import java.time.Duration;
import java.util.Properties;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.SubscriptionPattern;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** A KIP-848 consumer whose subscription is a regular expression that the broker resolves. */
public class RegexMember {
    public static void main(String[] args) {
        Properties p = new Properties();
        p.put("bootstrap.servers", args[0]);
        p.put("group.id", args[1]);
        p.put("group.protocol", "consumer");
        p.put("auto.offset.reset", "earliest");
        try (KafkaConsumer<byte[], byte[]> c = new KafkaConsumer<>(p, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            c.subscribe(new SubscriptionPattern(args[2]));
            long end = System.currentTimeMillis() + 30_000;
            int records = 0;
            while (records == 0 && System.currentTimeMillis() < end) {
                records += c.poll(Duration.ofMillis(200)).count();
            }
            if (records == 0) {
                throw new IllegalStateException("nothing read");
            }
            c.commitSync();
        }
    }
}
