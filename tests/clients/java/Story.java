// The story every client tells (see ../python/story.py), told by Kafka's own Java client.
//
// Each step prints one line: its name, pass or fail, and a detail, with tabs between them.

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
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
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

public final class Story {
    private static final int PARTITIONS = 3;
    /** Recent, or retention would take the records while they are read. */
    private static final long BASE_TIME_MS = System.currentTimeMillis() - 3_600_000;
    private static final Duration PATIENCE = Duration.ofSeconds(60);

    private final String bootstrap;
    private final int count;
    private final String prefix;
    private final Admin admin;

    private Story(String bootstrap, int count, String prefix) {
        this.bootstrap = bootstrap;
        this.count = count;
        this.prefix = prefix;
        this.admin = Admin.create(Map.of("bootstrap.servers", bootstrap));
    }

    public static void main(String[] arguments) {
        Map<String, String> options = new HashMap<>();
        for (int i = 0; i + 1 < arguments.length; i += 2) {
            options.put(arguments[i], arguments[i + 1]);
        }
        int count = Integer.parseInt(options.getOrDefault("--records", "300"));
        Story story = new Story(options.get("--bootstrap"), count, options.get("--prefix") + "-java");
        story.tell();
        story.admin.close(Duration.ofSeconds(5));
    }

    private void tell() {
        step("create", this::create);
        step("refusals", this::refusals);
        for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
            step(codec, () -> roundTrip(codec));
        }
        step("offsets", this::offsets);
        step("group", this::group);
        step("resume", this::resume);
        step("delete", this::delete);
    }

    private interface Play {
        String run() throws Exception;
    }

    private void step(String name, Play play) {
        String outcome = "pass";
        String detail;
        try {
            detail = play.run();
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

    private String roundTrip(String codec) throws Exception {
        String topic = fresh(codec);
        List<Item> sent = items(count, 0);
        produce(topic, codec, sent);
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

    private String group() throws Exception {
        String topic = fresh("group");
        String group = prefix + "-group";
        List<Item> sent = new ArrayList<>();
        List<Member> members = new ArrayList<>();
        try {
            members.add(new Member(group, topic, "first"));
            await("all partitions with one member", members, () -> shares(members, 3));
            produceAndAwait(topic, sent, members);
            members.add(new Member(group, topic, "second"));
            await("the partitions shared by two", members, () -> shares(members, 1, 2));
            produceAndAwait(topic, sent, members);
            members.get(1).close();
            await("all partitions back with one", members, () -> shares(members, 3));
            produceAndAwait(topic, sent, members);
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

    private String fresh(String name) throws Exception {
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
            var found = admin.describeTopics(Set.of(topic)).allTopicNames();
            return found.get(30, TimeUnit.SECONDS).get(topic).partitions().size();
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
        Map<String, Object> settings = Map.of(
            "bootstrap.servers", bootstrap,
            "acks", "all",
            "compression.type", codec,
            "linger.ms", 20,
            "key.serializer", ByteArraySerializer.class,
            "value.serializer", ByteArraySerializer.class);
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
        return new KafkaConsumer<>(settings);
    }

    /** A group member with a thread of its own, as services have. */
    private final class Member {
        final List<ConsumerRecord<byte[], byte[]>> reads = new CopyOnWriteArrayList<>();
        volatile Set<Integer> share = Set.of();
        volatile Throwable error;
        volatile boolean closing;
        private final Thread thread;

        Member(String group, String topic, String name) {
            thread = new Thread(() -> run(group, topic, name));
            thread.setDaemon(true);
            thread.start();
        }

        private void run(String group, String topic, String name) {
            try (KafkaConsumer<byte[], byte[]> consumer =
                    consumer(Map.of("group.id", group, "client.id", name))) {
                consumer.subscribe(Set.of(topic));
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
    private static final class Item {
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

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    // The checks.

    private static void check(boolean holds, String message) {
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

    /** Each record came exactly once, with all its parts, and in order within its partition. */
    private static void checkWhole(List<ConsumerRecord<byte[], byte[]>> reads, List<Item> sent) {
        for (int partition = 0; partition < PARTITIONS; partition++) {
            int wanted = partition;
            List<Item> own = ownOf(sent, partition);
            List<ConsumerRecord<byte[], byte[]>> came = reads.stream()
                .filter(read -> read.partition() == wanted)
                .collect(Collectors.toList());
            check(came.size() == own.size(),
                "partition " + partition + ": " + came.size() + " of " + own.size() + " records");
            for (int i = 0; i < own.size(); i++) {
                ConsumerRecord<byte[], byte[]> read = came.get(i);
                Item item = own.get(i);
                boolean isSame = read.offset() == i
                    && Arrays.equals(read.key(), item.key)
                    && Arrays.equals(read.value(), item.value)
                    && Objects.equals(List.of(read.headers().toArray()), item.headers)
                    && read.timestamp() == item.timestampMs;
                check(isSame, "partition " + partition + ": record " + i + " came as " + read);
            }
        }
    }

    private static void await(String what, List<Member> members, BooleanSupplier holds)
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
