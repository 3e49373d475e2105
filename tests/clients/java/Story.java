// The story every client tells (see ../python/story.py), told by Kafka's own Java client, of any age: what has changed
// its name since is in Dialect, of which each age has its own.
//
// Each step prints one line: its name, pass or fail, and a detail, with tabs between them.

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.AdminClient;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

public final class Story {
    static final int PARTITIONS = 3;
    /** Recent, or retention would take the records while they are read. */
    private static final long BASE_TIME_MS = System.currentTimeMillis() - 3_600_000;
    private static final Duration PATIENCE = Duration.ofSeconds(60);

    final String prefix;
    final AdminClient admin;
    private final String bootstrap;
    private final int count;

    private Story(String bootstrap, int count, String prefix) {
        this.bootstrap = bootstrap;
        this.count = count;
        this.prefix = prefix;
        this.admin = AdminClient.create(Map.of("bootstrap.servers", bootstrap));
    }

    public static void main(String[] arguments) {
        Map<String, String> options = new HashMap<>();
        for (int i = 0; i + 1 < arguments.length; i += 2) {
            options.put(arguments[i], arguments[i + 1]);
        }
        int count = Integer.parseInt(options.getOrDefault("--records", "300"));
        Story story = new Story(options.get("--bootstrap"), count, options.get("--prefix") + "-java");
        story.tell();
        story.admin.close();
    }

    private void tell() {
        step("create", this::create);
        step("refusals", this::refusals);
        step("configs", this::configs);
        for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
            step(codec, () -> roundTrip(codec));
        }
        step("idempotence", () -> idempotence("idempotence"));
        step("lost answers", () -> idempotence("lost-answers"));
        step("offsets", this::offsets);
        step("group", () -> group("eager"));
        step("cooperative", () -> group("cooperative"));
        step("kip-848", () -> group("kip-848"));
        step("resume", this::resume);
        step("transactions", this::transactions);
        step("delete records", this::deleteRecords);
        step("delete groups", this::deleteGroups);
        step("delete", this::delete);
    }

    private interface Play {
        String run() throws Exception;
    }

    /** The client cannot do this, whatever the broker. */
    static final class Unsupported extends RuntimeException {
        Unsupported(String reason) {
            super(reason);
        }
    }

    private void step(String name, Play play) {
        String outcome = "pass";
        String detail;
        try {
            detail = play.run();
        } catch (Unsupported reason) {
            outcome = "unsupported";
            detail = reason.getMessage();
        } catch (Throwable error) {
            error.printStackTrace();
            outcome = "fail";
            detail = error.toString();
        }
        System.out.println(name + "\t" + outcome + "\t" + detail.replaceAll("\\s+", " "));
        System.out.flush();
    }

    // The steps.

    private String create() throws Exception {
        fresh("created");
        return "";
    }

    private String refusals() throws Exception {
        checkRefused(topic("created"), 1, "TopicExistsException");
        checkRefused("no spaces!", 1, "InvalidTopicException");
        checkRefused(topic("zero"), 0, "InvalidPartitionsException");
        return "";
    }

    private String configs() throws Exception {
        String topic = fresh("configs");
        Map<String, String> expected = configsOf(topic);
        check("604800000".equals(expected.get("retention.ms")), "at first: " + expected);
        check("delete".equals(expected.get("cleanup.policy")), "at first: " + expected);
        Map<String, String> changes = Map.of("retention.ms", "86400000", "cleanup.policy", "compact,delete");
        Dialect.setConfigs(admin, topic, changes);
        expected.putAll(changes);
        await("the changed configs", List.of(), () -> configsOf(topic).equals(expected));
        for (String bad : List.of("retention.ms", "no.such.config")) {
            String reason = failure(() -> Dialect.setConfigs(admin, topic, Map.of(bad, "soon")));
            check(reason.equals("InvalidConfigurationException") || reason.equals("InvalidRequestException"),
                bad + " was refused with " + reason);
            check(configsOf(topic).equals(expected), bad + " was refused, and changed configs");
        }
        return "";
    }

    private Map<String, String> configsOf(String topic) {
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        try {
            Config config = admin.describeConfigs(Set.of(resource)).all().get(30, TimeUnit.SECONDS).get(resource);
            Map<String, String> values = new HashMap<>();
            config.entries().forEach(entry -> values.put(entry.name(), entry.value()));
            return values;
        } catch (Exception error) {
            throw new IllegalStateException(error);
        }
    }

    private String roundTrip(String codec) throws Exception {
        String topic = fresh(codec);
        List<Item> sent = items(count, 0);
        produce(topic, codec, sent);
        checkWhole(read(topic, count), sent);
        return "";
    }

    /** Many small batches, several of them on the way at once: none is doubled or overtaken. */
    private String idempotence(String name) throws Exception {
        String topic = fresh(name);
        List<Item> sent = items(count, 0);
        // The old client does not always see that a connection was reset: then it waits for so long.
        produceWith(topic, sent, Map.of(
            "client.id", topic, "enable.idempotence", true, "request.timeout.ms", 5_000,
            "batch.size", 500, "max.in.flight.requests.per.connection", 5));
        checkWhole(read(topic, count), sent);
        return "";
    }

    private String offsets() throws Exception {
        String topic = fresh("offsets");
        List<Item> sent = items(count, 0);
        produce(topic, "none", sent);
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(Map.of())) {
            for (int partition = 0; partition < PARTITIONS; partition++) {
                List<Item> own = ownOf(sent, partition);
                TopicPartition wanted = new TopicPartition(topic, partition);
                long first = consumer.beginningOffsets(Set.of(wanted)).get(wanted);
                long last = consumer.endOffsets(Set.of(wanted)).get(wanted);
                check(first == 0 && last == own.size(), "bounds " + first + " to " + last);
                int half = own.size() / 2;
                long time = own.get(half).timestampMs;
                var found = consumer.offsetsForTimes(Map.of(wanted, time)).get(wanted);
                check(found != null && found.offset() == half, "offset at a time: " + found);
                long never = BASE_TIME_MS + 10L * count;
                found = consumer.offsetsForTimes(Map.of(wanted, never)).get(wanted);
                check(found == null, "offset at a time after all: " + found);
            }
        }
        return "";
    }

    private String group(String kind) throws Exception {
        Map<String, Object> settings = Dialect.groupSettings(kind);
        String topic = fresh(kind);
        String group = prefix + "-" + kind;
        List<Integer> givenUp;
        List<Item> sent = new ArrayList<>();
        List<Member> members = new ArrayList<>();
        try {
            members.add(new Member(group, topic, "first", settings));
            await("all partitions with one member", members, () -> shares(members, 3));
            produceAndAwait(topic, sent, members);
            members.add(new Member(group, topic, "second", settings));
            await("the partitions shared by two", members, () -> shares(members, 1, 2));
            produceAndAwait(topic, sent, members);
            members.get(1).close();
            await("all partitions back with one", members, () -> shares(members, 3));
            produceAndAwait(topic, sent, members);
            givenUp = List.copyOf(members.get(0).givenUp);
        } finally {
            for (Member member : members) {
                member.close();
            }
        }
        List<ConsumerRecord<byte[], byte[]>> reads = new ArrayList<>();
        members.forEach(member -> reads.addAll(member.reads));
        reads.sort(Comparator.comparingLong(ConsumerRecord::offset));
        checkWhole(reads, sent);
        check(!members.get(1).reads.isEmpty(), "the second member read nothing");
        check(kind.equals("eager") || givenUp.equals(List.of(1)),
            "the first member gave up " + givenUp + ", not the one for the second");
        return "";
    }

    private String resume() throws Exception {
        String topic = fresh("resume");
        String group = prefix + "-resume";
        List<Item> sent = items(count, 0);
        produce(topic, "none", sent);
        List<ConsumerRecord<byte[], byte[]>> reads = readAsMember(group, topic, count / 3);
        int first = reads.size();
        check(first < count, "nothing was left for the second member");
        reads.addAll(readAsMember(group, topic, count - first));
        checkWhole(reads, sent);
        return first + " + " + (reads.size() - first);
    }

    private String transactions() throws Exception {
        commitsAndAborts();
        passOn();
        fence();
        timeOut();
        return Dialect.checkTransactions(this);
    }

    /** A reader of committed records sees those of committed transactions alone, each one in order. */
    private void commitsAndAborts() throws Exception {
        String topic = fresh("transactions");
        List<Item> all = new ArrayList<>();
        List<Item> committed = new ArrayList<>();
        String id = prefix + "-transactions";
        try (KafkaProducer<byte[], byte[]> producer = transactional(id, 60_000)) {
            for (int round = 0; round < 6; round++) {
                List<Item> own = items(count / 6, all.size());
                producer.beginTransaction();
                sendAll(producer, topic, own);
                producer.flush();
                all.addAll(own);
                long stable = ends(topic, "read_committed");
                check(stable < ends(topic, "read_uncommitted"), "open records are stable: " + stable);
                if (round % 2 == 0) {
                    producer.commitTransaction();
                    committed.addAll(own);
                } else {
                    producer.abortTransaction();
                }
                await("the end of the transaction", List.of(), () ->
                    ends(topic, "read_committed") == ends(topic, "read_uncommitted"));
            }
            // Without a record, too.
            producer.beginTransaction();
            producer.commitTransaction();
            producer.beginTransaction();
            producer.abortTransaction();
        }
        checkInOrder(readWith("read_committed", topic, committed.size()), committed);
        checkInOrder(readWith("read_uncommitted", topic, all.size()), all);
    }

    /** Consume, write, and commit what was consumed, all in one transaction; some are aborted. */
    private void passOn() throws Exception {
        String source = fresh("source");
        String target = fresh("target");
        List<Item> sent = items(count, 0);
        produce(source, "none", sent);
        String group = prefix + "-pass-on";
        Map<String, Object> settings = Map.of(
            "group.id", group, "max.poll.records", 20, "isolation.level", "read_committed");
        int aborted = 0;
        try (KafkaProducer<byte[], byte[]> producer = transactional(prefix + "-pass-on", 60_000);
                KafkaConsumer<byte[], byte[]> consumer = consumer(settings)) {
            consumer.subscribe(Set.of(source));
            int passed = 0;
            long deadline = System.nanoTime() + PATIENCE.toNanos();
            for (int round = 0; passed < sent.size(); round++) {
                check(System.nanoTime() < deadline, passed + " of " + sent.size() + " were passed on");
                ConsumerRecords<byte[], byte[]> polled = consumer.poll(Duration.ofMillis(500));
                if (polled.isEmpty()) {
                    continue;
                }
                Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
                producer.beginTransaction();
                for (ConsumerRecord<byte[], byte[]> one : polled) {
                    producer.send(new ProducerRecord<>(target, one.partition(), one.timestamp(),
                        one.key(), one.value(), one.headers()));
                    offsets.put(new TopicPartition(source, one.partition()),
                        new OffsetAndMetadata(one.offset() + 1));
                }
                Map<TopicPartition, OffsetAndMetadata> before = Dialect.committed(consumer, offsets.keySet());
                Dialect.sendOffsets(producer, offsets, consumer, group);
                for (var known : admin.listConsumerGroupOffsets(group)
                        .partitionsToOffsetAndMetadata().get(30, TimeUnit.SECONDS).entrySet()) {
                    check(!offsets.containsKey(known.getKey())
                        || Objects.equals(before.get(known.getKey()), known.getValue()),
                        "offsets of an open transaction: " + known);
                }
                if (round % 3 == 1) {
                    producer.abortTransaction();
                    aborted++;
                    before.forEach((partition, offset) ->
                        consumer.seek(partition, offset == null ? 0 : offset.offset()));
                } else {
                    producer.commitTransaction();
                    passed += polled.count();
                    check(Dialect.committed(consumer, offsets.keySet()).equals(offsets), "not committed");
                }
            }
        }
        check(aborted > 0, "nothing was aborted");
        checkInOrder(readWith("read_committed", target, sent.size()), sent);
    }

    /** A producer of the same id shuts out its predecessor, whose records nobody sees. */
    private void fence() throws Exception {
        String topic = fresh("fence");
        String id = prefix + "-fence";
        List<Item> lost = items(10, 0);
        List<Item> kept = items(10, 100);
        try (KafkaProducer<byte[], byte[]> zombie = transactional(id, 60_000)) {
            zombie.beginTransaction();
            sendAll(zombie, topic, lost);
            zombie.flush();
            try (KafkaProducer<byte[], byte[]> heir = transactional(id, 60_000)) {
                heir.beginTransaction();
                sendAll(heir, topic, kept);
                String reason = failure(() -> {
                    zombie.send(new ProducerRecord<>(topic, 0, null, bytes("late")))
                        .get(30, TimeUnit.SECONDS);
                    zombie.commitTransaction();
                });
                check(reason.contains("Fenced") || reason.contains("Epoch"), "fenced by " + reason);
                heir.commitTransaction();
            }
            Dialect.abandon(zombie);
        }
        checkInOrder(readWith("read_committed", topic, kept.size()), kept);
    }

    /** A transaction that takes too long is aborted, and readers go on. */
    private void timeOut() throws Exception {
        String topic = fresh("timeout");
        try (KafkaProducer<byte[], byte[]> producer = transactional(prefix + "-timeout", 1000)) {
            producer.beginTransaction();
            sendAll(producer, topic, items(10, 0));
            producer.flush();
            long end = ends(topic, "read_uncommitted");
            await("the transaction's timeout", List.of(), () -> ends(topic, "read_committed") > end);
            failure(producer::commitTransaction);
            Dialect.abandon(producer);
        }
        checkInOrder(readWith("read_committed", topic, 0), List.of());
    }

    private String deleteRecords() throws Exception {
        String topic = fresh("delete-records");
        List<Item> sent = items(count, 0);
        produce(topic, "none", sent);
        int[] sizes = IntStream.range(0, PARTITIONS).map(one -> ownOf(sent, one).size()).toArray();
        int[] firsts = {sizes[0] / 2, sizes[1], 0};
        deleteBefore(topic, 0, firsts[0]);
        deleteBefore(topic, 1, firsts[1]);
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(Map.of())) {
            Map<TopicPartition, Long> found = consumer.beginningOffsets(partitions(topic));
            for (int partition = 0; partition < PARTITIONS; partition++) {
                long first = found.get(new TopicPartition(topic, partition));
                check(first == firsts[partition], "partition " + partition + " begins at " + first);
            }
        }
        int left = Arrays.stream(sizes).sum() - Arrays.stream(firsts).sum();
        checkWhole(read(topic, left), sent, firsts);
        String reason = failure(() -> deleteBefore(topic, 2, sizes[2] + 1));
        check(reason.equals("OffsetOutOfRangeException"), "past the end: " + reason);
        return "";
    }

    private void deleteBefore(String topic, int partition, long offset) throws Exception {
        TopicPartition wanted = new TopicPartition(topic, partition);
        admin.deleteRecords(Map.of(wanted, RecordsToDelete.beforeOffset(offset))).all().get(30, TimeUnit.SECONDS);
    }

    /** A group is deleted when it is empty, and its offsets with it. */
    private String deleteGroups() throws Exception {
        String topic = fresh("delete-groups");
        String group = prefix + "-delete-groups";
        List<Item> sent = items(count, 0);
        produce(topic, "none", sent);
        readAsMember(group, topic, count);
        check(groups().contains(group), "the group is not listed");
        Member member = new Member(group, topic, "present", Map.of());
        try {
            await("a member", List.of(member), () -> member.share.size() == PARTITIONS);
            String reason = failure(() -> deleteGroup(group));
            check(reason.equals("GroupNotEmptyException"), "with a member: " + reason);
        } finally {
            member.close();
        }
        check(member.reads.isEmpty(), member.reads.size() + " records came once more");
        deleteGroup(group);
        check(!groups().contains(group), "the group is still listed");
        String reason = failure(() -> deleteGroup(group));
        check(reason.equals("GroupIdNotFoundException"), "once more: " + reason);
        checkWhole(readAsMember(group, topic, count), sent);
        return "";
    }

    private Set<String> groups() throws Exception {
        return admin.listConsumerGroups().all().get(30, TimeUnit.SECONDS).stream()
            .map(listed -> listed.groupId()).collect(Collectors.toSet());
    }

    private void deleteGroup(String group) throws Exception {
        admin.deleteConsumerGroups(Set.of(group)).all().get(30, TimeUnit.SECONDS);
    }

    private String delete() throws Exception {
        String topic = topic("created");
        admin.deleteTopics(Set.of(topic)).all().get(30, TimeUnit.SECONDS);
        await("the topic to be gone", List.of(), () -> partitionCount(topic) == 0);
        return "";
    }

    // What the steps are made of.

    private String topic(String name) {
        return prefix + "-" + name;
    }

    String fresh(String name) throws Exception {
        String topic = topic(name);
        create(topic, PARTITIONS);
        await("topic " + topic, List.of(), () -> partitionCount(topic) == PARTITIONS);
        return topic;
    }

    private void create(String topic, int partitions) throws Exception {
        NewTopic wanted = new NewTopic(topic, partitions, (short) 1);
        admin.createTopics(Set.of(wanted)).all().get(30, TimeUnit.SECONDS);
    }

    private int partitionCount(String topic) {
        try {
            if (!admin.listTopics().names().get(30, TimeUnit.SECONDS).contains(topic)) {
                return 0;
            }
            return Dialect.describe(admin, topic).partitions().size();
        } catch (ExecutionException gone) {
            return 0;
        } catch (Exception error) {
            throw new IllegalStateException(error);
        }
    }

    private void produceAndAwait(String topic, List<Item> sent, List<Member> members)
            throws Exception {
        List<Item> more = items(count, sent.size());
        sent.addAll(more);
        produce(topic, "none", more);
        int expected = sent.size();
        await(expected + " records", members, () -> total(members) >= expected);
    }

    private static int total(List<Member> members) {
        return members.stream().mapToInt(member -> member.reads.size()).sum();
    }

    private void produce(String topic, String codec, List<Item> items) throws Exception {
        produceWith(topic, items, Map.of("compression.type", codec, "linger.ms", 20));
    }

    private void produceWith(String topic, List<Item> items, Map<String, Object> more) throws Exception {
        Map<String, Object> settings = new HashMap<>(Map.of(
            "bootstrap.servers", bootstrap,
            "acks", "all",
            "key.serializer", ByteArraySerializer.class,
            "value.serializer", ByteArraySerializer.class));
        settings.putAll(more);
        try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(settings)) {
            List<Future<RecordMetadata>> futures = new ArrayList<>();
            for (Item item : items) {
                futures.add(producer.send(new ProducerRecord<>(
                    topic, item.partition, item.timestampMs, item.key, item.value, item.headers)));
            }
            Map<Integer, Long> last = new HashMap<>();
            for (int i = 0; i < items.size(); i++) {
                RecordMetadata metadata = futures.get(i).get(30, TimeUnit.SECONDS);
                int partition = metadata.partition();
                check(partition == items.get(i).partition, "a record went to " + partition);
                Long before = last.put(partition, metadata.offset());
                check(before == null || metadata.offset() == before + 1,
                    "offset " + metadata.offset() + " after " + before);
            }
        }
    }

    private List<ConsumerRecord<byte[], byte[]>> read(String topic, int wanted) {
        List<ConsumerRecord<byte[], byte[]>> reads = new ArrayList<>();
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(Map.of())) {
            consumer.assign(IntStream.range(0, PARTITIONS)
                .mapToObj(partition -> new TopicPartition(topic, partition))
                .collect(Collectors.toList()));
            long deadline = System.nanoTime() + PATIENCE.toNanos();
            while (reads.size() < wanted && System.nanoTime() < deadline) {
                consumer.poll(Duration.ofMillis(500)).forEach(reads::add);
            }
            // Nothing may follow.
            consumer.poll(Duration.ofMillis(300)).forEach(reads::add);
        }
        return reads;
    }

    KafkaProducer<byte[], byte[]> transactional(String id, int timeoutMs) {
        Map<String, Object> settings = Map.of(
            "bootstrap.servers", bootstrap,
            "transactional.id", id,
            "transaction.timeout.ms", timeoutMs,
            "linger.ms", 5,
            "key.serializer", ByteArraySerializer.class,
            "value.serializer", ByteArraySerializer.class);
        KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(settings);
        producer.initTransactions();
        return producer;
    }

    private static void sendAll(KafkaProducer<byte[], byte[]> producer, String topic, List<Item> items) {
        for (Item item : items) {
            producer.send(new ProducerRecord<>(
                topic, item.partition, item.timestampMs, item.key, item.value, item.headers));
        }
    }

    /** The last offsets of a topic's partitions, all together. */
    long ends(String topic, String isolation) {
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(Map.of("isolation.level", isolation))) {
            return consumer.endOffsets(partitions(topic)).values().stream()
                .mapToLong(Long::longValue).sum();
        }
    }

    List<ConsumerRecord<byte[], byte[]>> readWith(String isolation, String topic, int wanted) {
        List<ConsumerRecord<byte[], byte[]>> reads = new ArrayList<>();
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(Map.of("isolation.level", isolation))) {
            consumer.assign(partitions(topic));
            consumer.seekToBeginning(partitions(topic));
            long deadline = System.nanoTime() + PATIENCE.toNanos();
            while (reads.size() < wanted && System.nanoTime() < deadline) {
                consumer.poll(Duration.ofMillis(500)).forEach(reads::add);
            }
            // Nothing may follow.
            consumer.poll(Duration.ofMillis(300)).forEach(reads::add);
        }
        return reads;
    }

    private static List<TopicPartition> partitions(String topic) {
        return IntStream.range(0, PARTITIONS)
            .mapToObj(partition -> new TopicPartition(topic, partition))
            .collect(Collectors.toList());
    }

    private interface Attempt {
        void run() throws Exception;
    }

    /** The name of what an attempt fails with, which it must. */
    private static String failure(Attempt attempt) {
        try {
            attempt.run();
        } catch (Exception error) {
            Throwable cause = error instanceof ExecutionException ? error.getCause() : error;
            return cause.getClass().getSimpleName();
        }
        throw new AssertionError("an attempt that had to fail went well");
    }

    private List<ConsumerRecord<byte[], byte[]>> readAsMember(String group, String topic, int wanted) {
        List<ConsumerRecord<byte[], byte[]>> reads = new ArrayList<>();
        Map<String, Object> settings = Map.of("group.id", group, "max.poll.records", 20);
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(settings)) {
            consumer.subscribe(Set.of(topic));
            long deadline = System.nanoTime() + PATIENCE.toNanos();
            while (reads.size() < wanted) {
                check(System.nanoTime() < deadline, reads.size() + " of " + wanted + " came in time");
                consumer.poll(Duration.ofMillis(500)).forEach(reads::add);
            }
            consumer.commitSync(Duration.ofSeconds(20));
        }
        return reads;
    }

    private KafkaConsumer<byte[], byte[]> consumer(Map<String, Object> more) {
        Map<String, Object> settings = new HashMap<>(Map.of(
            "bootstrap.servers", bootstrap,
            "enable.auto.commit", false,
            "auto.offset.reset", "earliest",
            "session.timeout.ms", 10_000,
            "heartbeat.interval.ms", 500,
            "key.deserializer", ByteArrayDeserializer.class,
            "value.deserializer", ByteArrayDeserializer.class));
        settings.putAll(more);
        if (settings.containsKey("group.protocol")) {
            // The times are the broker's to say.
            settings.keySet().removeAll(Set.of("session.timeout.ms", "heartbeat.interval.ms"));
        }
        return new KafkaConsumer<>(settings);
    }

    /** A group member with a thread of its own, as services have. */
    final class Member implements ConsumerRebalanceListener {
        final List<ConsumerRecord<byte[], byte[]>> reads = new CopyOnWriteArrayList<>();
        volatile Set<Integer> share = Set.of();
        volatile Throwable error;
        volatile boolean closing;
        /** How many partitions it had to give up, each time that it had to. */
        final List<Integer> givenUp = new CopyOnWriteArrayList<>();
        private final Thread thread;

        Member(String group, String topic, String name, Map<String, Object> settings) {
            Map<String, Object> all = new HashMap<>(settings);
            all.put("group.id", group);
            all.put("client.id", name);
            thread = new Thread(() -> run(topic, all));
            thread.setDaemon(true);
            thread.start();
        }

        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
        }

        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
            if (!partitions.isEmpty()) {
                givenUp.add(partitions.size());
            }
        }

        private void run(String topic, Map<String, Object> settings) {
            try (KafkaConsumer<byte[], byte[]> consumer = consumer(settings)) {
                consumer.subscribe(Set.of(topic), this);
                while (!closing) {
                    ConsumerRecords<byte[], byte[]> polled = consumer.poll(Duration.ofMillis(100));
                    share = consumer.assignment().stream()
                        .map(TopicPartition::partition)
                        .collect(Collectors.toSet());
                    if (!polled.isEmpty()) {
                        consumer.commitSync(Duration.ofSeconds(20));
                        polled.forEach(reads::add);
                    }
                }
            } catch (Throwable thrown) {
                thrown.printStackTrace();
                error = thrown;
            }
        }

        void close() throws InterruptedException {
            closing = true;
            thread.join(PATIENCE.toMillis());
            check(!thread.isAlive(), "a member does not close");
        }
    }

    private static boolean shares(List<Member> members, int... sizes) {
        List<Set<Integer>> found = members.stream()
            .filter(member -> !member.closing)
            .map(member -> member.share)
            .collect(Collectors.toList());
        Set<Integer> all = new TreeSet<>();
        found.forEach(all::addAll);
        int[] foundSizes = found.stream().mapToInt(Set::size).sorted().toArray();
        return all.size() == PARTITIONS && Arrays.equals(foundSizes, sizes);
    }

    /** The record of a number: keys, values and headers in all their shapes, null and empty. */
    static final class Item {
        final int partition;
        final byte[] key;
        final byte[] value;
        final List<Header> headers;
        final long timestampMs;

        Item(int number) {
            byte[][] keys = {bytes("key-" + number), null, {}, bytes("schlüssel")};
            byte[] all = new byte[256];
            for (int i = 0; i < all.length; i++) {
                all[i] = (byte) i;
            }
            byte[][] values = {bytes("value-" + "x".repeat(number % 200)), {}, null, all};
            List<List<Header>> shapes = List.of(
                List.of(),
                List.of(new RecordHeader("number", bytes("" + number))),
                List.of(new RecordHeader("twice", bytes("1")),
                    new RecordHeader("twice", bytes("2")),
                    new RecordHeader("leer", bytes(""))),
                List.of(new RecordHeader("null", (byte[]) null)));
            partition = number % PARTITIONS;
            key = keys[number / 3 % 4];
            value = number % 2 == 1 ? values[number / 12 % 4] : bytes("value-" + number);
            headers = shapes.get(number / 6 % 4);
            timestampMs = BASE_TIME_MS + number;
        }
    }

    private static List<Item> items(int count, int start) {
        return IntStream.range(start, start + count).mapToObj(Item::new)
            .collect(Collectors.toList());
    }

    private static List<Item> ownOf(List<Item> items, int partition) {
        return items.stream().filter(item -> item.partition == partition)
            .collect(Collectors.toList());
    }

    static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    // The checks.

    static void check(boolean holds, String message) {
        if (!holds) {
            throw new AssertionError(message);
        }
    }

    private void checkRefused(String topic, int partitions, String reason) throws Exception {
        try {
            create(topic, partitions);
        } catch (ExecutionException refused) {
            String name = refused.getCause().getClass().getSimpleName();
            check(name.equals(reason), "'" + topic + "' was refused with " + refused.getCause());
            return;
        }
        throw new AssertionError("'" + topic + "' with " + partitions + " partitions was created");
    }

    private static void checkWhole(List<ConsumerRecord<byte[], byte[]>> reads, List<Item> sent) {
        checkWhole(reads, sent, new int[PARTITIONS]);
    }

    /** Each record, from the first offsets on, came once, with all its parts, in order in its partition. */
    private static void checkWhole(
            List<ConsumerRecord<byte[], byte[]>> reads, List<Item> sent, int[] firsts) {
        for (int partition = 0; partition < PARTITIONS; partition++) {
            int wanted = partition;
            int first = firsts[partition];
            List<Item> all = ownOf(sent, partition);
            List<Item> own = all.subList(first, all.size());
            List<ConsumerRecord<byte[], byte[]>> came = reads.stream()
                .filter(read -> read.partition() == wanted)
                .collect(Collectors.toList());
            check(came.size() == own.size(),
                "partition " + partition + ": " + came.size() + " of " + own.size() + " records");
            for (int i = 0; i < own.size(); i++) {
                ConsumerRecord<byte[], byte[]> read = came.get(i);
                Item item = own.get(i);
                boolean isSame = read.offset() == first + i
                    && Arrays.equals(read.key(), item.key)
                    && Arrays.equals(read.value(), item.value)
                    && Objects.equals(List.of(read.headers().toArray()), item.headers)
                    && read.timestamp() == item.timestampMs;
                check(isSame, "partition " + partition + ": record " + i + " came as " + read);
            }
        }
    }

    /** The records came, and no others, in order within each partition; offsets may have holes. */
    static void checkInOrder(List<ConsumerRecord<byte[], byte[]>> reads, List<Item> sent) {
        check(reads.size() == sent.size(), reads.size() + " of " + sent.size() + " records");
        for (int partition = 0; partition < PARTITIONS; partition++) {
            int wanted = partition;
            List<Item> own = ownOf(sent, partition);
            List<ConsumerRecord<byte[], byte[]>> came = reads.stream()
                .filter(read -> read.partition() == wanted)
                .collect(Collectors.toList());
            check(came.size() == own.size(),
                "partition " + partition + ": " + came.size() + " of " + own.size() + " records");
            for (int i = 0; i < own.size(); i++) {
                boolean isSame = Arrays.equals(came.get(i).key(), own.get(i).key)
                    && Arrays.equals(came.get(i).value(), own.get(i).value)
                    && came.get(i).timestamp() == own.get(i).timestampMs;
                check(isSame, "partition " + partition + ": record " + i + " came as " + came.get(i));
            }
        }
    }

    static void await(String what, List<Member> members, BooleanSupplier holds)
            throws InterruptedException {
        long deadline = System.nanoTime() + PATIENCE.toNanos();
        while (!holds.getAsBoolean()) {
            for (Member member : members) {
                check(member.error == null, "a member failed: " + member.error);
            }
            check(System.nanoTime() < deadline, "waited " + PATIENCE.toSeconds() + " s for " + what);
            Thread.sleep(100);
        }
    }
}
