"""Groups in which the broker assigns (KIP-848), as librdkafka lives in them.

Each step prints one line: its name, pass or fail, and a detail, with tabs between them.
"""

import argparse
import sys
import time

from confluent_kafka import Consumer, ConsumerGroupState, ConsumerGroupType, KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic

PARTITIONS = 6
PATIENCE = 60.0


class Story:
    def __init__(self, bootstrap, prefix):
        self.bootstrap = bootstrap
        self.prefix = f"{prefix}-confluent"
        self.admin = AdminClient({"bootstrap.servers": bootstrap})

    def share(self):
        """Two members share, and each comes into what the other leaves."""
        topic, group = self.topic("share"), f"{self.prefix}-share"
        with self.member(group) as a:
            a.subscribe(topic)
            self.wait("a has all", lambda: len(a.assignment()) == PARTITIONS, a)
            with self.member(group) as b:
                b.subscribe(topic)
                self.wait("both have half", lambda: len(a.assignment()) == len(b.assignment()) == 3, a, b)
                check(len(a.assignment() | b.assignment()) == PARTITIONS, "they share a partition")
                self.write(topic, 60)
                self.wait("all is read", lambda: a.count + b.count == 60, a, b)
            self.wait("a has all again", lambda: len(a.assignment()) == PARTITIONS, a)
        return "1, 2 and 1 members"

    def resume(self):
        """The next member goes on where the last one has committed."""
        topic, group = self.topic("resume"), f"{self.prefix}-resume"
        self.write(topic, 30)
        with self.member(group) as a:
            a.subscribe(topic)
            self.wait("all is read", lambda: a.count == 30, a)
            a.consumer.commit(asynchronous=False)
        self.write(topic, 12)
        with self.member(group) as b:
            b.subscribe(topic)
            self.wait("the rest is read", lambda: b.count >= 12, b)
            check(b.count == 12, f"read {b.count} of 12")
        return "12 after 30"

    def regex(self):
        """Topics that match, those that come later too."""
        first, group = self.topic("regex-1"), f"{self.prefix}-regex"
        with self.member(group) as a:
            a.subscribe(f"^{self.prefix}-regex-[12]")
            self.wait("the first topic is there", lambda: a.topics() == {first}, a)
            self.topic("regex-3")
            second = self.topic("regex-2")
            self.wait("the second topic is there", lambda: a.topics() == {first, second}, a)
        return "two topics of three"

    def static(self):
        """A static member that restarts finds what it had."""
        topic, group = self.topic("static"), f"{self.prefix}-static"
        settings = {"group.instance.id": "one", "group.remote.assignor": "range"}
        with self.member(group) as b:
            b.subscribe(topic)
            with self.member(group, **settings) as a:
                a.subscribe(topic)
                self.wait("both have half", lambda: len(a.assignment()) == len(b.assignment()) == 3, a, b)
                before = a.assignment()
            with self.member(group, **settings) as a:
                a.subscribe(topic)
                self.wait("it is back", lambda: len(a.assignment()) == 3, a, b)
                check(a.assignment() == before, f"it had {before}")
        return "back with the same partitions"

    def upgrade(self):
        """Members of both protocols share, and the group changes its type with them."""
        topic, group = self.topic("upgrade"), f"{self.prefix}-upgrade"
        classic = {"group.protocol": "classic", "heartbeat.interval.ms": 500, "session.timeout.ms": 10000}
        with self.member(group, **classic) as a:
            a.subscribe(topic)
            self.wait("a has all", lambda: len(a.assignment()) == PARTITIONS, a)
            check(self.describe(group).type == ConsumerGroupType.CLASSIC, "it is no classic group")
            with self.member(group) as b:
                b.subscribe(topic)
                self.wait("both have half", lambda: len(a.assignment()) == len(b.assignment()) == 3, a, b)
                check(self.describe(group).type == ConsumerGroupType.CONSUMER, "it is no consumer group")
            self.wait("a has all again", lambda: len(a.assignment()) == PARTITIONS, a)
            check(self.describe(group).type == ConsumerGroupType.CLASSIC, "it is no classic group any more")
        return "classic, mixed, classic"

    def administration(self):
        topic, group = self.topic("admin"), f"{self.prefix}-admin"
        with self.member(group) as a:
            a.subscribe(topic)
            self.wait("a has all", lambda: len(a.assignment()) == PARTITIONS, a)
            found = self.describe(group)
            check(found.state == ConsumerGroupState.STABLE, f"the group is {found.state}")
            check(len(found.members) == 1, f"it has {found.members}")
            listed = self.admin.list_consumer_groups(types={ConsumerGroupType.CONSUMER}).result(PATIENCE)
            check(group in [one.group_id for one in listed.valid], "it is not listed")
            try:
                self.admin.delete_consumer_groups([group])[group].result(PATIENCE)
                raise RuntimeError("a group with members was deleted")
            except KafkaException as error:
                check(error.args[0].name() == "NON_EMPTY_GROUP", str(error))
        self.admin.delete_consumer_groups([group])[group].result(PATIENCE)
        return "described, listed, deleted"

    # ----------------------------------------------------------------------------------------------

    def member(self, group, **settings):
        return Member(self.bootstrap, group, settings)

    def topic(self, name):
        topic = f"{self.prefix}-{name}"
        self.admin.create_topics([NewTopic(topic, PARTITIONS, 1)])[topic].result(PATIENCE)
        return topic

    def write(self, topic, count):
        producer = Producer({"bootstrap.servers": self.bootstrap})
        for i in range(count):
            producer.produce(topic, f"value {i}", partition=i % PARTITIONS)
        check(producer.flush(PATIENCE) == 0, "not all was written")

    def describe(self, group):
        return self.admin.describe_consumer_groups([group])[group].result(PATIENCE)

    def wait(self, what, condition, *members):
        end = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > end:
                raise RuntimeError(f"waited in vain: {what}; they have {[member.assignment() for member in members]}")
            for member in members:
                member.poll()


class Member:
    """A consumer with a count of what it has read."""

    def __init__(self, bootstrap, group, settings):
        everything = {
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "group.protocol": "consumer",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "topic.metadata.refresh.interval.ms": 1000,
        }
        self.consumer = Consumer(everything | settings)
        self.count = 0

    def subscribe(self, topic):
        self.consumer.subscribe([topic])

    def poll(self):
        message = self.consumer.poll(0.05)
        if message is None:
            return
        if message.error():
            raise KafkaException(message.error())
        self.count += 1

    def assignment(self):
        return {(one.topic, one.partition) for one in self.consumer.assignment()}

    def topics(self):
        return {topic for topic, _ in self.assignment()}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.consumer.close()


def check(holds, otherwise):
    if not holds:
        raise RuntimeError(otherwise)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--prefix", required=True)
    arguments = parser.parse_args()
    story = Story(arguments.bootstrap, arguments.prefix)
    for name, step in [
        ("share", story.share),
        ("resume", story.resume),
        ("regex", story.regex),
        ("static", story.static),
        ("upgrade", story.upgrade),
        ("admin", story.administration),
    ]:
        begun = time.monotonic()
        try:
            outcome, detail = "pass", step()
        except Exception as error:  # Whatever it is, it is the step's outcome.
            outcome, detail = "fail", f"{type(error).__name__}: {error}".replace("\n", " ").replace("\t", " ")
            print(f"{name}: {detail}", file=sys.stderr)
        print(f"{name}\t{outcome}\t{detail} ({time.monotonic() - begun:.1f} s)", flush=True)


if __name__ == "__main__":
    main()
