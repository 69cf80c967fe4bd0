import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.AcknowledgeType;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * A member of a share group: from when it has joined, for some ms, and until it has read so many records. It acknowledges
 * all that it reads (ACCEPT, or as it is told), and says how much that was.
 */
public class ShareMember {
    public static void main(String[] args) {
        Properties p = new Properties();
        p.put("bootstrap.servers", args[0]);
        p.put("group.id", args[1]);
        long most = System.currentTimeMillis() + 60_000, ms = Long.parseLong(args[3]), wanted = args.length > 4 ? Long.parseLong(args[4]) : 0;
        long n = 0, end = most;
        AcknowledgeType how = AcknowledgeType.valueOf(args.length > 5 ? args[5] : "ACCEPT");
        if (how != AcknowledgeType.ACCEPT) {
            p.put("share.acknowledgement.mode", "explicit");
        }
        boolean joined = false;
        try (KafkaShareConsumer<byte[], byte[]> c = new KafkaShareConsumer<>(p, new ByteArrayDeserializer(), new ByteArrayDeserializer());
             Admin admin = Admin.create(Map.of("bootstrap.servers", args[0]))) {
            c.subscribe(List.of(args[2]));
            while (System.currentTimeMillis() < (n < wanted ? most : end)) {
                for (var r : c.poll(Duration.ofMillis(200))) {
                    n++;
                    if (how != AcknowledgeType.ACCEPT) {
                        c.acknowledge(r, how);
                    }
                }
                c.commitSync();
                if (!joined && isMember(admin, args[1])) {
                    joined = true;
                    end = System.currentTimeMillis() + ms;
                }
            }
        }
        System.out.println("read " + n);
    }

    /** By reflection: 3.9 has share consumers, and no such call. There a member counts from its start on. */
    static boolean isMember(Admin admin, String group) {
        try {
            var describe = Admin.class.getMethod("describeShareGroups", java.util.Collection.class);
            Object all = describe.invoke(admin, List.of(group));
            var groups = (Map<?, ?>) ((org.apache.kafka.common.KafkaFuture<?>) all.getClass().getMethod("all").invoke(all)).get();
            var members = (java.util.Collection<?>) groups.get(group).getClass().getMethod("members").invoke(groups.get(group));
            for (Object m : members) {
                Object assignment = m.getClass().getMethod("assignment").invoke(m);
                if (!((java.util.Collection<?>) assignment.getClass().getMethod("topicPartitions").invoke(assignment)).isEmpty()) {
                    return true;
                }
            }
            return false;
        } catch (NoSuchMethodException e) {
            return true;
        } catch (Exception e) {
            return false; // the group is not there yet
        }
    }
}
