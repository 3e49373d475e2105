"""confluent-kafka, and in it librdkafka, the client written in C."""

import time

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka import OFFSET_BEGINNING, TIMESTAMP_CREATE_TIME
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic

import story


class Confluent(story.Adapter):
    def __init__(self, bootstrap):
        self.bootstrap = bootstrap
        self.admin = AdminClient({"bootstrap.servers": bootstrap})

    def create(self, topic, partitions):
        try:
            wanted = NewTopic(topic, partitions, 1)
            [created] = self.admin.create_topics([wanted], request_timeout=20).values()
            created.result(30)
        except KafkaException as error:
            raise story.Refused(str(error)) from error
        except ValueError as error:
            # librdkafka looks at the number of partitions itself.
            raise story.Refused(f"partition count: {error}") from error

    def partition_count(self, topic):
        # All topics: asking for one by name could create it.
        found = self.admin.list_topics(timeout=20).topics.get(topic)
        return 0 if found is None else len(found.partitions)

    def configs(self, topic):
        [described] = self.admin.describe_configs([ConfigResource("topic", topic)]).values()
        return {name: entry.value for name, entry in described.result(30).items()}

    def set_configs(self, topic, values):
        changes = [
            ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
            for name, value in values.items()
        ]
        resource = ConfigResource("topic", topic, incremental_configs=changes)
        [altered] = self.admin.incremental_alter_configs([resource]).values()
        try:
            altered.result(30)
        except KafkaException as error:
            raise story.Refused(str(error)) from error

    def produce(self, topic, codec, records):
        return self.write(topic, records, {"compression.type": codec, "linger.ms": 20})

    def produce_idempotently(self, topic, client_id, records):
        return self.write(topic, records, {"client.id": client_id, "batch.num.messages": 10})

    def write(self, topic, records, settings):
        producer = Producer(
            {
                "bootstrap.servers": self.bootstrap,
                "acks": "all",
                "enable.idempotence": True,
                **settings,
            }
        )
        acknowledged = [None] * len(records)
        errors = []

        def delivered(number):
            def callback(error, message):
                if error is not None:
                    errors.append(error)
                else:
                    acknowledged[number] = (message.partition(), message.offset())

            return callback

        for number, record in enumerate(records):
            producer.produce(
                topic,
                value=record.value,
                key=record.key,
                headers=list(record.headers),
                partition=record.partition,
                timestamp=record.timestamp_ms,
                on_delivery=delivered(number),
            )
        left = producer.flush(30)
        story.check(left == 0, f"{left} records were not acknowledged in time")
        story.check(not errors, f"{len(errors)} records failed, the first with {errors[:1]}")
        return acknowledged

    def read(self, topic, count, isolation="read_uncommitted"):
        settings = {"isolation.level": isolation}
        consumer = self.consumer("reader-without-group", **settings)
        consumer.assign(
            [
                TopicPartition(topic, partition, OFFSET_BEGINNING)
                for partition in range(story.PARTITIONS)
            ]
        )
        reads, deadline = [], time.monotonic() + story.PATIENCE
        while len(reads) < count and time.monotonic() < deadline:
            reads.extend(reads_of(consumer.consume(1000, 0.5)))
        # Nothing may follow.
        reads.extend(reads_of(consumer.consume(1000, 0.3)))
        consumer.close()
        return reads

    def transactional(self, transactional_id, timeout_ms):
        return Transactional(self.bootstrap, transactional_id, timeout_ms)

    def read_committed(self, topic, count):
        return self.read(topic, count, "read_committed")

    def stable_end(self, topic, partition):
        consumer = self.consumer("stable", **{"isolation.level": "read_committed"})
        wanted = TopicPartition(topic, partition)
        _, end = consumer.get_watermark_offsets(wanted, timeout=20, cached=False)
        consumer.close()
        return end

    def bounds(self, topic, partition):
        consumer = self.consumer("bounds")
        wanted = TopicPartition(topic, partition)
        bounds = consumer.get_watermark_offsets(wanted, timeout=20, cached=False)
        consumer.close()
        return bounds

    def offset_at(self, topic, partition, timestamp_ms):
        consumer = self.consumer("times")
        wanted = TopicPartition(topic, partition, timestamp_ms)
        [found] = consumer.offsets_for_times([wanted], timeout=20)
        consumer.close()
        return None if found.offset < 0 else found.offset

    def member(self, group, topic, name, kind=story.EAGER):
        settings = {"client.id": name}
        if kind == story.COOPERATIVE:
            settings["partition.assignment.strategy"] = "cooperative-sticky"
        elif kind == story.KIP_848:
            # The times are the broker's to say.
            none = {"session.timeout.ms": None, "heartbeat.interval.ms": None}
            settings |= {"group.protocol": "consumer", **none}
        return Member(self.consumer(group, **settings), topic)

    def groups(self):
        listed = self.admin.list_consumer_groups(request_timeout=20).result(30)
        return {group.group_id for group in listed.valid}

    def delete_group(self, group):
        [deleted] = self.admin.delete_consumer_groups([group], request_timeout=20).values()
        deleted.result(30)

    def delete_records(self, topic, offsets):
        wanted = [TopicPartition(topic, partition, offset) for partition, offset in offsets.items()]
        for deleted in self.admin.delete_records(wanted, request_timeout=20).values():
            deleted.result(30)

    def delete(self, topic):
        [deleted] = self.admin.delete_topics([topic], request_timeout=20).values()
        deleted.result(30)

    def consumer(self, group, **settings):
        settings = {
            "bootstrap.servers": self.bootstrap,
            "group.id": group,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "check.crcs": True,
            "session.timeout.ms": 10_000,
            "heartbeat.interval.ms": 500,
            **settings,
        }
        return Consumer({name: value for name, value in settings.items() if value is not None})


class Transactional(story.Transactional):
    def __init__(self, bootstrap, transactional_id, timeout_ms):
        self.producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "transactional.id": transactional_id,
                "transaction.timeout.ms": timeout_ms,
                # No longer than the transaction itself.
                "message.timeout.ms": timeout_ms,
                "linger.ms": 5,
            }
        )
        self.producer.init_transactions(30)

    def begin(self):
        self.producer.begin_transaction()

    def send(self, topic, records):
        errors = []

        def delivered(error, _):
            if error is not None:
                errors.append(error)

        for record in records:
            self.producer.produce(
                topic,
                value=record.value,
                key=record.key,
                headers=list(record.headers),
                partition=record.partition,
                timestamp=record.timestamp_ms,
                on_delivery=delivered,
            )
        left = self.producer.flush(30)
        story.check(left == 0, f"{left} records were not acknowledged in time")
        story.check(not errors, f"{len(errors)} records failed, the first with {errors[:1]}")

    def send_offsets(self, member, topic, offsets):
        wanted = [TopicPartition(topic, partition, offset) for partition, offset in offsets.items()]
        metadata = member.consumer.consumer_group_metadata()
        self.producer.send_offsets_to_transaction(wanted, metadata, 30)

    def commit(self):
        self.producer.commit_transaction(30)

    def abort(self):
        self.producer.abort_transaction(30)

    def close(self):
        self.producer = None


class Member(story.Member):
    def __init__(self, consumer, topic):
        self.consumer = consumer
        self.given_up = []
        self.consumer.subscribe([topic], on_revoke=self.give_up)

    def give_up(self, _, partitions):
        self.given_up.append(len(partitions))

    def poll(self, seconds):
        return reads_of(self.consumer.consume(20, seconds))

    def assigned(self):
        return {partition.partition for partition in self.consumer.assignment()}

    def commit(self):
        try:
            self.consumer.commit(asynchronous=False)
        except KafkaException as error:
            if error.args[0].code() != KafkaError._NO_OFFSET:
                raise

    def close(self):
        self.consumer.close()


def reads_of(messages):
    reads = []
    for message in messages:
        if message.error() is not None:
            raise KafkaException(message.error())
        kind, timestamp_ms = message.timestamp()
        story.check(kind == TIMESTAMP_CREATE_TIME, f"timestamp of kind {kind}")
        headers = tuple(message.headers() or ())
        record = story.Record(
            message.partition(), message.key(), message.value(), headers, timestamp_ms
        )
        reads.append(story.Read(message.partition(), message.offset(), record))
    return reads


if __name__ == "__main__":
    story.tell(Confluent, "confluent")
