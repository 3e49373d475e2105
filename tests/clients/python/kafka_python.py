"""kafka-python, the client written in Python."""

import time

from kafka import ConsumerRebalanceListener, KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, NewTopic
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.errors import KafkaError, UnknownTopicOrPartitionError
from kafka.structs import OffsetAndMetadata

import story


class KafkaPython(story.Adapter):
    limits = (story.NULL_HEADER, story.NOTHING)

    def __init__(self, bootstrap):
        self.bootstrap = bootstrap
        self.admin = KafkaAdminClient(bootstrap_servers=bootstrap)

    def create(self, topic, partitions):
        try:
            self.admin.create_topics([NewTopic(topic, partitions, 1)], timeout_ms=20_000)
        except KafkaError as error:
            raise story.Refused(f"{type(error).__name__}: {error}") from error

    def partition_count(self, topic):
        try:
            [description] = self.admin.describe_topics([topic])
        except UnknownTopicOrPartitionError:
            return 0
        return len(description["partitions"])

    def configs(self, topic):
        resource = ConfigResource(ConfigResourceType.TOPIC, topic)
        described = self.admin.describe_configs([resource], config_filter="all")["topic"][topic]
        return {name: entry["value"] for name, entry in described.items()}

    def set_configs(self, topic, values):
        resource = ConfigResource(ConfigResourceType.TOPIC, topic, values)
        try:
            # The client knows the names of the configs itself, and would not ask the broker.
            altered = self.admin.alter_configs([resource], raise_on_unknown=False)
        except KafkaError as error:
            raise story.Refused(str(error)) from error
        if altered["topic"][topic] != "OK":
            raise story.Refused(altered["topic"][topic])

    def produce(self, topic, codec, records):
        compression = None if codec == "none" else codec
        return self.write(topic, records, compression_type=compression, linger_ms=20)

    def produce_idempotently(self, topic, client_id, records):
        return self.write(topic, records, client_id=client_id, batch_size=500)

    def write(self, topic, records, **settings):
        producer = KafkaProducer(bootstrap_servers=self.bootstrap, acks="all", **settings)
        futures = [
            producer.send(
                topic,
                value=record.value,
                key=record.key,
                headers=list(record.headers),
                partition=record.partition,
                timestamp_ms=record.timestamp_ms,
            )
            for record in records
        ]
        producer.flush(30)
        acknowledged = [future.get(timeout=30) for future in futures]
        producer.close(10)
        return [(metadata.partition, metadata.offset) for metadata in acknowledged]

    def read(self, topic, count, isolation="read_uncommitted"):
        consumer = self.consumer(auto_offset_reset="earliest", isolation_level=isolation)
        consumer.assign(partitions_of(topic))
        reads, deadline = [], time.monotonic() + story.PATIENCE
        while len(reads) < count and time.monotonic() < deadline:
            reads.extend(reads_of(consumer.poll(500)))
        # Nothing may follow.
        reads.extend(reads_of(consumer.poll(300)))
        consumer.close()
        return reads

    def transactional(self, transactional_id, timeout_ms):
        return Transactional(self.bootstrap, transactional_id, timeout_ms)

    def read_committed(self, topic, count):
        return self.read(topic, count, "read_committed")

    def stable_end(self, topic, partition):
        consumer = self.consumer(isolation_level="read_committed")
        wanted = TopicPartition(topic, partition)
        end = consumer.end_offsets([wanted])[wanted]
        consumer.close()
        return end

    def bounds(self, topic, partition):
        consumer = self.consumer()
        wanted = TopicPartition(topic, partition)
        first = consumer.beginning_offsets([wanted])[wanted]
        last = consumer.end_offsets([wanted])[wanted]
        consumer.close()
        return first, last

    def offset_at(self, topic, partition, timestamp_ms):
        consumer = self.consumer()
        wanted = TopicPartition(topic, partition)
        found = consumer.offsets_for_times({wanted: timestamp_ms})[wanted]
        consumer.close()
        return None if found is None else found.offset

    def member(self, group, topic, name, kind=story.EAGER):
        settings = {}
        if kind == story.COOPERATIVE:
            settings["partition_assignment_strategy"] = [CooperativeStickyAssignor]
        elif kind == story.KIP_848:
            raise story.Unsupported("it has classic groups alone")
        return Member(
            self.consumer(
                group_id=group,
                client_id=name,
                auto_offset_reset="earliest",
                session_timeout_ms=10_000,
                heartbeat_interval_ms=500,
                max_poll_records=20,
                **settings,
            ),
            topic,
        )

    def groups(self):
        return {group["group_id"] for group in self.admin.list_groups()}

    def delete_group(self, group):
        [outcome] = self.admin.delete_groups([group]).values()
        if outcome != "OK":
            raise story.Refused(outcome)

    def delete_records(self, topic, offsets):
        wanted = {TopicPartition(topic, partition): offset for partition, offset in offsets.items()}
        self.admin.delete_records(wanted, timeout_ms=20_000)

    def delete(self, topic):
        self.admin.delete_topics([topic], timeout_ms=20_000)

    def close(self):
        self.admin.close()

    def consumer(self, **settings):
        return KafkaConsumer(
            bootstrap_servers=self.bootstrap,
            enable_auto_commit=False,
            check_crcs=True,
            **settings,
        )


class Transactional(story.Transactional):
    def __init__(self, bootstrap, transactional_id, timeout_ms):
        self.producer = KafkaProducer(
            bootstrap_servers=bootstrap,
            transactional_id=transactional_id,
            transaction_timeout_ms=timeout_ms,
            linger_ms=5,
        )
        self.producer.init_transactions()

    def begin(self):
        self.producer.begin_transaction()

    def send(self, topic, records):
        futures = [
            self.producer.send(
                topic,
                value=record.value,
                key=record.key,
                headers=list(record.headers),
                partition=record.partition,
                timestamp_ms=record.timestamp_ms,
            )
            for record in records
        ]
        self.producer.flush(30)
        for future in futures:
            future.get(timeout=30)

    def send_offsets(self, member, topic, offsets):
        wanted = {
            TopicPartition(topic, partition): OffsetAndMetadata(offset, "", -1)
            for partition, offset in offsets.items()
        }
        metadata = member.consumer.group_metadata()
        self.producer.send_offsets_to_transaction(wanted, metadata)

    def commit(self):
        self.producer.commit_transaction()

    def abort(self):
        self.producer.abort_transaction()

    def close(self):
        self.producer.close(0)


class Member(story.Member, ConsumerRebalanceListener):
    def __init__(self, consumer, topic):
        self.consumer = consumer
        self.given_up = []
        self.consumer.subscribe([topic], listener=self)

    def on_partitions_assigned(self, assigned):
        pass

    def on_partitions_revoked(self, revoked):
        if revoked:
            self.given_up.append(len(revoked))

    def poll(self, seconds):
        return reads_of(self.consumer.poll(int(seconds * 1000)))

    def assigned(self):
        return {partition.partition for partition in self.consumer.assignment()}

    def commit(self):
        self.consumer.commit()

    def close(self):
        self.consumer.close()


def partitions_of(topic):
    return [TopicPartition(topic, partition) for partition in range(story.PARTITIONS)]


def reads_of(polled):
    return [
        story.Read(
            one.partition,
            one.offset,
            story.Record(one.partition, one.key, one.value, tuple(one.headers), one.timestamp),
        )
        for batch in polled.values()
        for one in batch
    ]


if __name__ == "__main__":
    story.tell(KafkaPython, "kafka-python")
