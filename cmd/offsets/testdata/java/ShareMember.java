import java.time.Duration;
import java.util.List;
import java.util.Properties;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** A member of a share group, for some seconds: acknowledges all that it reads, and says how much that was. */
public class ShareMember {
    public static void main(String[] args) {
        Properties p = new Properties();
        p.put("bootstrap.servers", args[0]);
        p.put("group.id", args[1]);
        long n = 0;
        try (KafkaShareConsumer<byte[], byte[]> c = new KafkaShareConsumer<>(p, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            c.subscribe(List.of(args[2]));
            long end = System.currentTimeMillis() + Long.parseLong(args[3]);
            while (System.currentTimeMillis() < end) {
                n += c.poll(Duration.ofMillis(200)).count();
                c.commitSync();
            }
        }
        System.out.println("read " + n);
    }
}
