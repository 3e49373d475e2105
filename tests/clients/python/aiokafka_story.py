"""aiokafka, a client for asyncio, written in Python."""

import asyncio
import threading
import time

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, for_code

import story


class Loop:
    """An event loop in a thread of its own, for callers that wait."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

    def wait(self, coroutine, seconds=story.PATIENCE):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(seconds)

    def call(self, function, *arguments, **keywords):
        """Calls what does not wait, yet looks for the loop that runs."""

        async def call():
            return function(*arguments, **keywords)

        return self.wait(call())


LOOP = Loop()


class Aiokafka(story.Adapter):
    limits = (story.NOTHING,)

    def __init__(self, bootstrap):
        self.bootstrap = bootstrap
        self.admin = LOOP.wait(self.start(AIOKafkaAdminClient))

    async def start(self, kind, **settings):
        """A client of this kind; it has to be made by a task of the loop."""
        client = kind(bootstrap_servers=self.bootstrap, **settings)
        await client.start()
        return client

    def create(self, topic, partitions):
        try:
            answer = LOOP.wait(self.admin.create_topics([NewTopic(topic, partitions, 1)], 20_000))
        except KafkaError as error:
            raise story.Refused(f"{type(error).__name__}: {error}") from error
        [(_, code, message, *_)] = answer.topic_errors
        refuse(code, message)

    def partition_count(self, topic):
        if topic not in LOOP.wait(self.admin.list_topics()):
            return 0
        [described] = LOOP.wait(self.admin.describe_topics([topic]))
        return len(described["partitions"])

    def configs(self, topic):
        resource = ConfigResource(ConfigResourceType.TOPIC, topic)
        [answer] = LOOP.wait(self.admin.describe_configs([resource]))
        [(code, message, _, _, entries, *_)] = answer.resources
        refuse(code, message)
        return {name: value for name, value, *_ in entries}

    def set_configs(self, topic, values):
        resource = ConfigResource(ConfigResourceType.TOPIC, topic, values)
        [answer] = LOOP.wait(self.admin.alter_configs([resource]))
        [(code, message, *_)] = answer.resources
        refuse(code, message)

    def produce(self, topic, codec, records):
        compression = None if codec == "none" else codec
        return self.write(topic, records, compression_type=compression, linger_ms=20)

    def produce_idempotently(self, topic, client_id, records):
        return self.write(
            topic, records, client_id=client_id, enable_idempotence=True, max_batch_size=500
        )

    def write(self, topic, records, **settings):
        async def write():
            producer = await self.start(AIOKafkaProducer, acks="all", **settings)
            sent = [await send(producer, topic, record) for record in records]
            acknowledged = [await one for one in sent]
            await producer.stop()
            return [(metadata.partition, metadata.offset) for metadata in acknowledged]

        return LOOP.wait(write())

    def read(self, topic, count, isolation="read_uncommitted"):
        consumer = self.consumer(isolation_level=isolation)
        LOOP.call(consumer.assign, partitions_of(topic))
        reads, deadline = [], time.monotonic() + story.PATIENCE
        while len(reads) < count and time.monotonic() < deadline:
            reads.extend(reads_of(LOOP.wait(consumer.getmany(timeout_ms=500))))
        # Nothing may follow.
        reads.extend(reads_of(LOOP.wait(consumer.getmany(timeout_ms=300))))
        LOOP.wait(consumer.stop())
        return reads

    def transactional(self, transactional_id, timeout_ms):
        settings = {"transactional_id": transactional_id, "transaction_timeout_ms": timeout_ms}
        return Transactional(LOOP.wait(self.start(AIOKafkaProducer, **settings)))

    def read_committed(self, topic, count):
        return self.read(topic, count, "read_committed")

    def stable_end(self, topic, partition):
        consumer = self.consumer(isolation_level="read_committed")
        wanted = TopicPartition(topic, partition)
        end = LOOP.wait(consumer.end_offsets([wanted]))[wanted]
        LOOP.wait(consumer.stop())
        return end

    def bounds(self, topic, partition):
        consumer = self.consumer()
        wanted = TopicPartition(topic, partition)
        first = LOOP.wait(consumer.beginning_offsets([wanted]))[wanted]
        last = LOOP.wait(consumer.end_offsets([wanted]))[wanted]
        LOOP.wait(consumer.stop())
        return first, last

    def offset_at(self, topic, partition, timestamp_ms):
        consumer = self.consumer()
        wanted = TopicPartition(topic, partition)
        found = LOOP.wait(consumer.offsets_for_times({wanted: timestamp_ms}))[wanted]
        LOOP.wait(consumer.stop())
        return None if found is None else found.offset

    def member(self, group, topic, name, kind=story.EAGER):
        if kind == story.COOPERATIVE:
            raise story.Unsupported("it has no cooperative assignor")
        if kind == story.KIP_848:
            raise story.Unsupported("it has classic groups alone")
        consumer = self.consumer(
            group_id=group, client_id=name, session_timeout_ms=10_000, heartbeat_interval_ms=500
        )
        return Member(consumer, group, topic)

    def groups(self):
        return {name for name, *_ in LOOP.wait(self.admin.list_consumer_groups())}

    def delete_group(self, group):
        raise story.Unsupported("its admin client cannot delete groups")

    def delete_records(self, topic, offsets):
        wanted = {
            TopicPartition(topic, partition): RecordsToDelete(offset)
            for partition, offset in offsets.items()
        }
        LOOP.wait(self.admin.delete_records(wanted, 20_000))

    def delete(self, topic):
        answer = LOOP.wait(self.admin.delete_topics([topic], 20_000))
        [(_, code, *_)] = answer.topic_error_codes
        refuse(code, "")

    def close(self):
        LOOP.wait(self.admin.close())

    def consumer(self, **settings):
        return LOOP.wait(
            self.start(
                AIOKafkaConsumer, enable_auto_commit=False, auto_offset_reset="earliest", **settings
            )
        )


class Transactional(story.Transactional):
    def __init__(self, producer):
        self.producer = producer

    def begin(self):
        LOOP.wait(self.producer.begin_transaction())

    def send(self, topic, records):
        async def write():
            for one in [await send(self.producer, topic, record) for record in records]:
                await one

        LOOP.wait(write())

    def send_offsets(self, member, topic, offsets):
        wanted = {TopicPartition(topic, partition): offset for partition, offset in offsets.items()}
        LOOP.wait(self.producer.send_offsets_to_transaction(wanted, member.group))

    def commit(self):
        LOOP.wait(self.producer.commit_transaction())

    def abort(self):
        LOOP.wait(self.producer.abort_transaction())

    def close(self):
        LOOP.wait(self.producer.stop())


class Member(story.Member, ConsumerRebalanceListener):
    def __init__(self, consumer, group, topic):
        self.consumer = consumer
        self.group = group
        self.given_up = []
        LOOP.call(consumer.subscribe, [topic], listener=self)

    def on_partitions_assigned(self, assigned):
        pass

    def on_partitions_revoked(self, revoked):
        if revoked:
            self.given_up.append(len(revoked))

    def poll(self, seconds):
        wait_ms = int(seconds * 1000)
        return reads_of(LOOP.wait(self.consumer.getmany(timeout_ms=wait_ms, max_records=20)))

    def assigned(self):
        return {partition.partition for partition in self.consumer.assignment()}

    def commit(self):
        LOOP.wait(self.consumer.commit())

    def close(self):
        LOOP.wait(self.consumer.stop())


async def send(producer, topic, record):
    return await producer.send(
        topic,
        value=record.value,
        key=record.key,
        headers=list(record.headers),
        partition=record.partition,
        timestamp_ms=record.timestamp_ms,
    )


def refuse(code, message):
    if code != 0:
        raise story.Refused(f"{for_code(code).__name__}: {message}")


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
    story.tell(Aiokafka, "aiokafka")
