import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Starts a consumer for each "group topic policy", which reads one record and stops, and prints
 * where it begins: the record's offset, else its position, else the exception.
 */
public class Policies {
    public static void main(String[] args) throws Exception {
        ExecutorService pool = Executors.newFixedThreadPool(8); // they wait most of the time
        List<Future<String>> lines = new ArrayList<>();
        for (int i = 1; i + 2 < args.length; i += 3) {
            String group = args[i], topic = args[i + 1], policy = args[i + 2];
            lines.add(pool.submit(() -> group + " " + policy + " " + run(args[0], group, topic, policy)));
        }
        for (Future<String> line : lines) {
            System.out.println(line.get());
        }
        pool.shutdown();
    }

    static String run(String bootstrap, String group, String topic, String policy) {
        Properties p = new Properties();
        p.put("bootstrap.servers", bootstrap);
        p.put("group.id", group);
        p.put("auto.offset.reset", policy);
        p.put("max.poll.records", "1");
        TopicPartition tp = new TopicPartition(topic, 0);
        try (KafkaConsumer<byte[], byte[]> c = new KafkaConsumer<>(p, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            c.subscribe(List.of(topic));
            long end = System.currentTimeMillis() + 20_000;
            long quiet = 0;
            while (System.currentTimeMillis() < end) {
                ConsumerRecords<byte[], byte[]> records = c.poll(Duration.ofMillis(100));
                for (ConsumerRecord<byte[], byte[]> r : records) {
                    return Long.toString(r.offset());
                }
                if (!c.assignment().equals(Set.of(tp))) {
                    continue;
                }
                if (quiet == 0) {
                    quiet = System.currentTimeMillis();
                } else if (System.currentTimeMillis() - quiet > 1200) {
                    try {
                        return Long.toString(c.position(tp, Duration.ofMillis(200)));
                    } catch (org.apache.kafka.common.errors.TimeoutException e) {
                        return "waits";
                    }
                }
            }
            return "nothing";
        } catch (Exception e) {
            return e.getClass().getSimpleName();
        }
    }
}
