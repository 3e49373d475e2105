// Groups in which the broker assigns (KIP-848), as Kafka's own Java client lives in them: alone, among members
// of the classic protocol, and on the way from one protocol to the other.
//
// Each step prints one line: its name, pass or fail, and a detail, with tabs between them.

import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ExecutionException;
import java.util.function.BooleanSupplier;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.GroupListing;
import org.apache.kafka.clients.admin.ListGroupsOptions;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.SubscriptionPattern;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.GroupType;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.GroupIdNotFoundException;
import org.apache.kafka.common.errors.GroupNotEmptyException;
import org.apache.kafka.common.errors.GroupSubscribedToTopicException;
import org.apache.kafka.common.errors.InvalidRegularExpression;
import org.apache.kafka.common.errors.UnreleasedInstanceIdException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

public final class ConsumerGroups {
    private static final int PARTITIONS = 6;
    private static final Duration PATIENCE = Duration.ofSeconds(60);

    private final String bootstrap;
    private final String prefix;
    private final Admin admin;

    private ConsumerGroups(String bootstrap, String prefix) {
        this.bootstrap = bootstrap;
        this.prefix = prefix;
        this.admin = Admin.create(Map.of("bootstrap.servers", bootstrap));
    }

    public static void main(String[] arguments) {
        Map<String, String> options = new HashMap<>();
        for (int i = 0; i + 1 < arguments.length; i += 2) {
            options.put(arguments[i], arguments[i + 1]);
        }
        ConsumerGroups story = new ConsumerGroups(options.get("--bootstrap"), options.get("--prefix") + "-java");
        story.step("share", story::share);
        story.step("resume", story::resume);
        story.step("range", story::range);
        story.step("regex", story::regex);
        story.step("static", story::staticMember);
        story.step("topics", story::topics);
        story.step("upgrade", story::upgrade);
        story.step("cooperative", story::cooperative);
        story.step("admin", story::administration);
        story.admin.close(Duration.ofSeconds(5));
    }

    /** Two members share, and each comes into what the other leaves. */
    private String share() throws Exception {
        String topic = topic("share");
        String group = prefix + "-share";
        try (Member a = member(group, Map.of())) {
            a.consumer.subscribe(List.of(topic));
            await("a has all", () -> a.partitions() == PARTITIONS, a);
            try (Member b = member(group, Map.of())) {
                b.consumer.subscribe(List.of(topic));
                await("both have half", () -> a.partitions() == 3 && b.partitions() == 3, a, b);
                Set<TopicPartition> both = new TreeSet<>(BY_NAME);
                both.addAll(a.consumer.assignment());
                both.addAll(b.consumer.assignment());
                check(both.size() == PARTITIONS, "together they have " + both);
                write(topic, 60);
                await("all is read", () -> a.values.size() + b.values.size() == 60, a, b);
            }
            await("a has all again", () -> a.partitions() == PARTITIONS, a);
        }
        return "1, 2 and 1 members";
    }

    /** The next member goes on where the last one has committed. */
    private String resume() throws Exception {
        String topic = topic("resume");
        String group = prefix + "-resume";
        write(topic, 30);
        try (Member a = member(group, Map.of())) {
            a.consumer.subscribe(List.of(topic));
            await("all is read", () -> a.values.size() == 30, a);
            a.consumer.commitSync();
        }
        write(topic, 12);
        try (Member b = member(group, Map.of())) {
            b.consumer.subscribe(List.of(topic));
            await("the rest is read", () -> b.values.size() >= 12, b);
            check(b.values.size() == 12, "read " + b.values.size() + " of 12");
        }
        return "12 after 30";
    }

    /** The members choose how the broker assigns. */
    private String range() throws Exception {
        String topic = topic("range");
        String group = prefix + "-range";
        Map<String, String> wish = Map.of("group.remote.assignor", "range");
        try (Member a = member(group, wish); Member b = member(group, wish)) {
            a.consumer.subscribe(List.of(topic));
            b.consumer.subscribe(List.of(topic));
            await("both have half", () -> a.partitions() == 3 && b.partitions() == 3, a, b);
            for (Member member : List.of(a, b)) {
                List<Integer> numbers =
                        member.consumer.assignment().stream().map(TopicPartition::partition).sorted().toList();
                check(numbers.equals(List.of(0, 1, 2)) || numbers.equals(List.of(3, 4, 5)), "no range: " + numbers);
            }
            String assignor = describe(group).partitionAssignor();
            check(assignor.equals("range"), "the group says " + assignor);
        }
        return "0 to 2 and 3 to 5";
    }

    /** Topics that match, those that come later too; what is no expression is refused. */
    private String regex() throws Exception {
        String first = topic("regex-1");
        String group = prefix + "-regex";
        try (Member a = member(group, Map.of())) {
            a.consumer.subscribe(new SubscriptionPattern(prefix + "-regex-[12]"));
            await("the first topic is there", () -> a.topics().equals(Set.of(first)), a);
            topic("regex-3");
            String second = topic("regex-2");
            await("the second topic is there", () -> a.topics().equals(Set.of(first, second)), a);
        }
        try (Member b = member(group, Map.of())) {
            b.consumer.subscribe(new SubscriptionPattern("(a"));
            try {
                await("nothing", () -> false, b);
            } catch (InvalidRegularExpression expected) {
                return "two topics of three; (a is refused";
            }
            throw new IllegalStateException("(a was taken");
        }
    }

    /** A static member that restarts finds what it had; a second one of its name is refused. */
    private String staticMember() throws Exception {
        String topic = topic("static");
        String group = prefix + "-static";
        Map<String, String> first = Map.of("group.instance.id", "one");
        try (Member b = member(group, Map.of())) {
            b.consumer.subscribe(List.of(topic));
            Set<TopicPartition> before;
            try (Member a = member(group, first)) {
                a.consumer.subscribe(List.of(topic));
                await("both have half", () -> a.partitions() == 3 && b.partitions() == 3, a, b);
                before = Set.copyOf(a.consumer.assignment());
                try (Member twin = member(group, first)) {
                    twin.consumer.subscribe(List.of(topic));
                    await("nothing", () -> false, twin, a, b);
                } catch (UnreleasedInstanceIdException expected) {
                    // As it should.
                }
            }
            int epoch = describe(group).groupEpoch().orElseThrow();
            try (Member a = member(group, first)) {
                a.consumer.subscribe(List.of(topic));
                await("it is back", () -> a.partitions() == 3, a, b);
                check(a.consumer.assignment().equals(before), "it had " + before);
                check(describe(group).groupEpoch().orElseThrow() == epoch, "the group was rebalanced");
            }
        }
        return "back with the same partitions and no rebalance";
    }

    /** Partitions that come and topics that go are noticed. */
    private String topics() throws Exception {
        String one = topic("topics-1");
        String two = topic("topics-2");
        String group = prefix + "-topics";
        try (Member a = member(group, Map.of())) {
            a.consumer.subscribe(List.of(one, two));
            await("both are there", () -> a.partitions() == 2 * PARTITIONS, a);
            admin.createPartitions(Map.of(one, NewPartitions.increaseTo(PARTITIONS + 2))).all().get();
            await("the new ones are there", () -> a.partitions() == 2 * PARTITIONS + 2, a);
            admin.deleteTopics(List.of(two)).all().get();
            await("the deleted are gone", () -> a.partitions() == PARTITIONS + 2, a);
        }
        return "two more, six less";
    }

    /** A classic group becomes a consumer group as soon as a member comes so, and back when it goes. */
    private String upgrade() throws Exception {
        String topic = topic("upgrade");
        String group = prefix + "-upgrade";
        Map<String, String> classic = Map.of("group.protocol", "classic");
        try (Member a = member(group, classic); Member b = member(group, classic)) {
            a.consumer.subscribe(List.of(topic));
            b.consumer.subscribe(List.of(topic));
            await("two classic ones share", () -> a.partitions() == 3 && b.partitions() == 3, a, b);
            check(type(group) == GroupType.CLASSIC, "the group is " + type(group));
            try (Member c = member(group, Map.of())) {
                c.consumer.subscribe(List.of(topic));
                await("three share", () -> a.partitions() == 2 && b.partitions() == 2 && c.partitions() == 2, a, b, c);
                check(type(group) == GroupType.CONSUMER, "the group is " + type(group));
                long upgraded = describe(group).members().stream().filter(m -> m.upgraded().orElse(false)).count();
                check(upgraded == 1, upgraded + " members speak the new protocol");
                write(topic, 30);
                await("all is read", () -> a.values.size() + b.values.size() + c.values.size() == 30, a, b, c);
                a.consumer.commitSync();
                c.consumer.commitSync();
            }
            await("two share again", () -> a.partitions() == 3 && b.partitions() == 3, a, b);
            check(type(group) == GroupType.CLASSIC, "the group is " + type(group));
        }
        return "classic, mixed, classic";
    }

    /** Cooperative members of a classic group keep what they have while others come. */
    private String cooperative() throws Exception {
        String topic = topic("cooperative");
        String group = prefix + "-cooperative";
        Map<String, String> settings = Map.of(
                "group.protocol", "classic",
                "partition.assignment.strategy", "org.apache.kafka.clients.consumer.CooperativeStickyAssignor");
        try (Member a = member(group, settings)) {
            a.consumer.subscribe(List.of(topic));
            await("a has all", () -> a.partitions() == PARTITIONS, a);
            try (Member b = member(group, settings); Member c = member(group, Map.of())) {
                b.consumer.subscribe(List.of(topic));
                await("both have half", () -> a.partitions() == 3 && b.partitions() == 3, a, b);
                c.consumer.subscribe(List.of(topic));
                await("three share", () -> a.partitions() == 2 && b.partitions() == 2 && c.partitions() == 2, a, b, c);
            }
            await("a has all again", () -> a.partitions() == PARTITIONS, a);
        }
        return "1, 2, 2 and a new one, 1 member";
    }

    private String administration() throws Exception {
        String topic = topic("admin");
        String group = prefix + "-admin";
        TopicPartition partition = new TopicPartition(topic, 0);
        write(topic, 6);
        try (Member a = member(group, Map.of())) {
            a.consumer.subscribe(List.of(topic));
            await("all is read", () -> a.values.size() == 6, a);
            a.consumer.commitSync();
            ConsumerGroupDescription description = describe(group);
            check(description.type() == GroupType.CONSUMER, "type " + description.type());
            check(description.groupState() == GroupState.STABLE, "state " + description.groupState());
            check(description.members().size() == 1, "members " + description.members());
            int assigned = description.members().iterator().next().assignment().topicPartitions().size();
            check(assigned == PARTITIONS, assigned + " partitions are assigned");
            Collection<GroupListing> listed =
                    admin.listGroups(new ListGroupsOptions().withTypes(Set.of(GroupType.CONSUMER))).all().get();
            check(listed.stream().anyMatch(one -> one.groupId().equals(group)), "not listed");
            refused(GroupNotEmptyException.class, () -> admin.deleteConsumerGroups(List.of(group)).all().get());
            refused(
                    GroupSubscribedToTopicException.class,
                    () -> admin.deleteConsumerGroupOffsets(group, Set.of(partition)).partitionResult(partition).get());
        }
        admin.deleteConsumerGroupOffsets(group, Set.of(partition)).all().get();
        Map<?, ?> left = admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get();
        check(left.size() == PARTITIONS - 1 || !left.containsKey(partition), "offsets left: " + left);
        admin.deleteConsumerGroups(List.of(group)).all().get();
        refused(GroupIdNotFoundException.class, () -> describe(group));
        return "described, listed, offsets and group deleted";
    }

    // ------------------------------------------------------------------------------------------------

    private static final Comparator<TopicPartition> BY_NAME = Comparator.comparing(TopicPartition::toString);

    /** A consumer with what it has read. */
    private static final class Member implements AutoCloseable {
        final KafkaConsumer<String, String> consumer;
        final List<String> values = new ArrayList<>();

        Member(KafkaConsumer<String, String> consumer) {
            this.consumer = consumer;
        }

        void poll() {
            for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(50))) {
                values.add(record.value());
            }
        }

        int partitions() {
            return consumer.assignment().size();
        }

        Set<String> topics() {
            return consumer.assignment().stream().map(TopicPartition::topic).collect(Collectors.toSet());
        }

        @Override
        public void close() {
            consumer.close();
        }
    }

    private Member member(String group, Map<String, String> settings) {
        Map<String, Object> all = new HashMap<>(Map.of(
                "bootstrap.servers", bootstrap,
                "group.id", group,
                "group.protocol", "consumer",
                "auto.offset.reset", "earliest",
                "enable.auto.commit", "false",
                "metadata.max.age.ms", "1000",
                // A topic that was deleted must not come back by being asked for.
                "allow.auto.create.topics", "false",
                "key.deserializer", StringDeserializer.class,
                "value.deserializer", StringDeserializer.class));
        all.putAll(settings);
        if (all.get("group.protocol").equals("classic")) {
            all.put("heartbeat.interval.ms", "500");
        }
        return new Member(new KafkaConsumer<>(all));
    }

    private String topic(String name) throws Exception {
        String topic = prefix + "-" + name;
        admin.createTopics(List.of(new NewTopic(topic, PARTITIONS, (short) 1))).all().get();
        return topic;
    }

    private void write(String topic, int count) {
        Map<String, Object> settings = Map.of(
                "bootstrap.servers", bootstrap,
                "key.serializer", StringSerializer.class,
                "value.serializer", StringSerializer.class);
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(settings)) {
            for (int i = 0; i < count; i++) {
                producer.send(new ProducerRecord<>(topic, i % PARTITIONS, null, "value " + i));
            }
        }
    }

    private ConsumerGroupDescription describe(String group) throws Exception {
        try {
            return admin.describeConsumerGroups(List.of(group)).all().get().get(group);
        } catch (ExecutionException error) {
            throw (Exception) error.getCause();
        }
    }

    private GroupType type(String group) throws Exception {
        return describe(group).type();
    }

    private static void await(String what, BooleanSupplier condition, Member... members) {
        long end = System.nanoTime() + PATIENCE.toNanos();
        while (!condition.getAsBoolean()) {
            if (System.nanoTime() > end) {
                String has = java.util.Arrays.stream(members)
                        .map(member -> member.consumer.assignment().toString())
                        .collect(Collectors.joining("; "));
                throw new IllegalStateException("waited in vain: " + what + "; they have " + has);
            }
            for (Member member : members) {
                member.poll();
            }
        }
    }

    private static void check(boolean holds, String otherwise) {
        if (!holds) {
            throw new IllegalStateException(otherwise);
        }
    }

    private interface Action {
        Object run() throws Exception;
    }

    private static void refused(Class<? extends Exception> reason, Action action) throws Exception {
        try {
            action.run();
        } catch (Exception error) {
            Throwable cause = error instanceof ExecutionException ? error.getCause() : error;
            if (reason.isInstance(cause)) {
                return;
            }
            throw error;
        }
        throw new IllegalStateException("expected " + reason.getSimpleName());
    }

    private interface Step {
        String play() throws Exception;
    }

    private void step(String name, Step step) {
        long begun = System.nanoTime();
        String line;
        try {
            line = name + "\tpass\t" + step.play();
        } catch (Exception | Error error) {
            error.printStackTrace();
            line = name + "\tfail\t" + String.valueOf(error).replace('\n', ' ').replace('\t', ' ');
        }
        System.out.println(line + String.format(" (%.1f s)", (System.nanoTime() - begun) / 1e9));
        System.out.flush();
    }
}
