// How the client of Kafka 4.4 says what Story asks for.

import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.AbortTransactionSpec;
import org.apache.kafka.clients.admin.AdminClient;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ListTransactionsOptions;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.admin.TransactionState;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;

final class Dialect {
    private Dialect() {
    }

    static TopicDescription describe(AdminClient admin, String topic) throws Exception {
        return admin.describeTopics(Set.of(topic)).allTopicNames().get(30, TimeUnit.SECONDS).get(topic);
    }

    static void setConfigs(AdminClient admin, String topic, Map<String, String> values) throws Exception {
        Collection<AlterConfigOp> changes = values.entrySet().stream()
            .map(one -> new AlterConfigOp(
                new ConfigEntry(one.getKey(), one.getValue()), AlterConfigOp.OpType.SET))
            .collect(Collectors.toList());
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        admin.incrementalAlterConfigs(Map.of(resource, changes)).all().get(30, TimeUnit.SECONDS);
    }

    static Map<String, Object> groupSettings(String kind) {
        return switch (kind) {
            case "cooperative" ->
                Map.of("partition.assignment.strategy", CooperativeStickyAssignor.class.getName());
            case "kip-848" -> Map.of("group.protocol", "consumer");
            default -> Map.of();
        };
    }

    static Map<TopicPartition, OffsetAndMetadata> committed(
            KafkaConsumer<byte[], byte[]> consumer, Set<TopicPartition> partitions) {
        return consumer.committed(partitions);
    }

    static void sendOffsets(KafkaProducer<byte[], byte[]> producer,
            Map<TopicPartition, OffsetAndMetadata> offsets, KafkaConsumer<byte[], byte[]> consumer,
            String group) {
        producer.sendOffsetsToTransaction(offsets, consumer.groupMetadata());
    }

    static void abandon(KafkaProducer<byte[], byte[]> producer) {
        producer.close(Duration.ZERO);
    }

    /** What only this age can see of transactions. */
    static String checkTransactions(Story story) throws Exception {
        String id = story.prefix + "-transactions";
        var state = story.admin.describeTransactions(Set.of(id)).description(id).get(30, TimeUnit.SECONDS);
        Story.check(state.state().toString().startsWith("Complete") && state.topicPartitions().isEmpty(),
            "after all: " + state);
        endWhatHangs(story);
        // It grows with every transaction in their second protocol, and not in the first.
        return "epoch " + state.producerEpoch() + " in the end";
    }

    /** An operator finds a transaction that is open, and ends it by hand. */
    private static void endWhatHangs(Story story) throws Exception {
        String topic = story.fresh("hanging");
        String id = story.prefix + "-hanging";
        TopicPartition partition = new TopicPartition(topic, 1);
        KafkaProducer<byte[], byte[]> producer = story.transactional(id, 60_000);
        producer.beginTransaction();
        producer.send(new ProducerRecord<>(topic, 1, null, Story.bytes("hangs"))).get(30, TimeUnit.SECONDS);
        var listed = story.admin.listTransactions(new ListTransactionsOptions()
            .filterStates(Set.of(TransactionState.ONGOING))).all().get(30, TimeUnit.SECONDS);
        Story.check(listed.stream().anyMatch(one -> one.transactionalId().equals(id)), "listed: " + listed);
        var state = story.admin.describeTransactions(Set.of(id)).description(id).get(30, TimeUnit.SECONDS);
        Story.check(state.topicPartitions().equals(Set.of(partition)), "described: " + state);
        var found = story.admin.describeProducers(Set.of(partition)).partitionResult(partition)
            .get(30, TimeUnit.SECONDS).activeProducers();
        Story.check(found.size() == 1 && found.get(0).currentTransactionStartOffset().getAsLong() == 0,
            "producers: " + found);
        int coordinatorEpoch = Math.max(0, found.get(0).coordinatorEpoch().orElse(0));
        story.admin.abortTransaction(new AbortTransactionSpec(partition, found.get(0).producerId(),
            (short) found.get(0).producerEpoch(), coordinatorEpoch)).all().get(30, TimeUnit.SECONDS);
        Story.await("the abort", List.of(), () ->
            story.ends(topic, "read_committed") == story.ends(topic, "read_uncommitted"));
        abandon(producer);
        Story.checkInOrder(story.readWith("read_committed", topic, 0), List.of());
    }
}
