// How the client of Kafka 2.1 says what Story asks for.

import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.AdminClient;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;

final class Dialect {
    private Dialect() {
    }

    static TopicDescription describe(AdminClient admin, String topic) throws Exception {
        return admin.describeTopics(Set.of(topic)).all().get(30, TimeUnit.SECONDS).get(topic);
    }

    static void setConfigs(AdminClient admin, String topic, Map<String, String> values) throws Exception {
        Config config = new Config(values.entrySet().stream()
            .map(one -> new ConfigEntry(one.getKey(), one.getValue()))
            .collect(Collectors.toList()));
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        admin.alterConfigs(Map.of(resource, config)).all().get(30, TimeUnit.SECONDS);
    }

    static Map<String, Object> groupSettings(String kind) {
        if (!kind.equals("eager")) {
            throw new Story.Unsupported("it has classic groups with eager assignors alone");
        }
        return Map.of();
    }

    static Map<TopicPartition, OffsetAndMetadata> committed(
            KafkaConsumer<byte[], byte[]> consumer, Set<TopicPartition> partitions) {
        Map<TopicPartition, OffsetAndMetadata> found = new HashMap<>();
        partitions.forEach(partition -> found.put(partition, consumer.committed(partition)));
        return found;
    }

    static void sendOffsets(KafkaProducer<byte[], byte[]> producer,
            Map<TopicPartition, OffsetAndMetadata> offsets, KafkaConsumer<byte[], byte[]> consumer,
            String group) {
        producer.sendOffsetsToTransaction(offsets, group);
    }

    static void abandon(KafkaProducer<byte[], byte[]> producer) {
        producer.close(0, TimeUnit.MILLISECONDS);
    }

    static String checkTransactions(Story story) {
        return "the first protocol of transactions";
    }
}
