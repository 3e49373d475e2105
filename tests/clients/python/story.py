"""The story every client tells, for the clients that speak Python.

It knows no client: an adapter (see Adapter) does what a step asks of it, and the steps check what
came of it. Each step prints one line: its name, pass, fail or unsupported, and a detail, with tabs
between them.
"""

import argparse
import dataclasses
import threading
import time
import traceback

PARTITIONS = 3
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
# Recent, or retention would take the records while they are read.
BASE_TIME_MS = (int(time.time()) - 3600) * 1000
PATIENCE = 60.0
NULL_HEADER = "a null header value"
NOTHING = "null key and null value"
# How a group is shared out: everything is given up and dealt out anew, or only what has to move; and the
# latter by the broker.
EAGER, COOPERATIVE, KIP_848 = "eager", "cooperative", "kip-848"


@dataclasses.dataclass(frozen=True)
class Record:
    partition: int
    key: "bytes | None"
    value: "bytes | None"
    headers: tuple
    timestamp_ms: int


@dataclasses.dataclass(frozen=True)
class Read:
    partition: int
    offset: int
    record: Record


class Unsupported(Exception):
    """The client cannot do this, whatever the broker."""


class Refused(Exception):
    """The broker refused, with the name that the client gives to the reason."""


class Adapter:
    """What a step may ask of a client. Every call ends within a bounded time."""

    # Records that the client refuses to write, out of NULL_HEADER and NOTHING.
    limits = ()

    def create(self, topic, partitions):
        """Creates a topic, or raises Refused."""

    def partition_count(self, topic):
        """The partitions of a topic; 0 when there is none of that name."""

    def configs(self, topic):
        """The value of each config of a topic, by name."""

    def set_configs(self, topic, values):
        """Sets configs of a topic, or raises Refused."""

    def produce(self, topic, codec, records):
        """Writes the records with acks from all replicas; returns (partition, offset) of each."""

    def produce_idempotently(self, topic, client_id, records):
        """As produce, under this client id, in many small batches, several of them on the way at once."""

    def read(self, topic, count):
        """Reads this many records of all partitions from the beginning: a list of Read."""

    def bounds(self, topic, partition):
        """The first offset, and the one after the last."""

    def offset_at(self, topic, partition, timestamp_ms):
        """The first offset at or after a time, or None."""

    def transactional(self, transactional_id, timeout_ms):
        """A transactional producer that is ready to begin."""
        raise Unsupported("the client has no transactions")

    def read_committed(self, topic, count):
        """As read, of committed records alone."""

    def stable_end(self, topic, partition):
        """The offset up to which a reader of committed records may read."""

    def member(self, group, topic, name, kind=EAGER):
        """A group member that starts from the earliest offset and commits only when told."""

    def groups(self):
        """The names of all groups."""

    def delete_group(self, group):
        """Deletes a group, or throws."""

    def delete_records(self, topic, offsets):
        """Deletes what lies before an offset, by partition, or throws."""

    def delete(self, topic):
        """Deletes a topic."""

    def close(self):
        """Lets go of everything."""


class Transactional:
    """A transactional producer. What goes wrong is thrown."""

    def begin(self):
        """Begins a transaction."""

    def send(self, topic, records):
        """Writes records, and waits until they are acknowledged."""

    def send_offsets(self, member, topic, offsets):
        """Commits offsets, by partition, of a member's group with the transaction."""

    def commit(self):
        """Commits the transaction."""

    def abort(self):
        """Aborts the transaction."""

    def close(self):
        """Lets go of everything, without a word to the broker where that is possible."""


class Member:
    """A group member, used by one thread alone."""

    # How many partitions it had to give up, each time that it had to.
    given_up = ()

    def poll(self, seconds):
        """Records that came, as a list of Read."""

    def assigned(self):
        """The partitions that are its own, as a set of numbers."""

    def commit(self):
        """Commits what was polled, and waits for the answer."""

    def close(self):
        """Leaves the group."""


def record(number, limits):
    """The record of a number: keys, values and headers in all their shapes, null and empty."""
    keys = (f"key-{number}".encode(), None, b"", "schlüssel".encode())
    values = (f"value-{number}-".encode() + b"x" * (number % 200), b"", None, bytes(range(256)))
    headers = (
        (),
        (("number", str(number).encode()),),
        (("twice", b"1"), ("twice", b"2"), ("leer", b"")),
        (("null", b"!" if NULL_HEADER in limits else None),),
    )
    key, value = keys[number // 3 % 4], values[number // 12 % 4]
    if key is None and value is None and NOTHING in limits:
        value = b"!"
    return Record(
        partition=number % PARTITIONS,
        key=key,
        value=value,
        headers=headers[number // 6 % 4],
        timestamp_ms=BASE_TIME_MS + number,
    )


def tell(adapter_of, name):
    """Tells the story with the adapter that adapter_of(bootstrap) makes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--records", type=int, default=300)
    parser.add_argument("--prefix", required=True, help="begins the name of each topic and group")
    parser.add_argument("--written", action="store_true", help="read what the example codecs wrote")
    arguments = parser.parse_args()
    adapter = adapter_of(arguments.bootstrap)
    if arguments.written:
        read_written(adapter, arguments.records, arguments.prefix)
        adapter.close()
        return
    Story(adapter, arguments.records, f"{arguments.prefix}-{name}").tell()
    adapter.close()


def read_written(adapter, count, prefix):
    """Every record of each codec is there, in order, and holds what the example `codecs` put into it."""
    expected = [[] for _ in range(PARTITIONS)]
    for number in range(count):
        headers = (("number", str(number).encode()), ("null", None))
        content = (f"key-{number}".encode(), written_value(number), headers)
        expected[number % PARTITIONS].append((number // PARTITIONS, *content))
    for codec in CODECS:
        found = [[] for _ in range(PARTITIONS)]
        for read in adapter.read(f"{prefix}-{codec}", count):
            record = read.record
            # One of the clients has no null in headers, and reads it as something empty.
            headers = tuple((key, value or None) for key, value in record.headers)
            found[read.partition].append((read.offset, record.key, record.value, headers))
        check(found == expected, f"{codec}: the records are not those that were written")
        print(f"{type(adapter).__name__}: {count} records with {codec}", flush=True)


def written_value(number):
    value = bytearray(f"value-{number}-".encode() * (1 + number % 20))
    state = number
    for _ in range(number * 13 % 2048):
        state = (state * 1_664_525 + 1_013_904_223) % 2**32
        value.append(state >> 24)
    return bytes(value)


class Story:
    def __init__(self, adapter, count, prefix):
        self.adapter = adapter
        self.count = count
        self.prefix = prefix

    def tell(self):
        self.step("create", self.create)
        self.step("refusals", self.refusals)
        self.step("configs", self.configs)
        for codec in CODECS:
            self.step(codec, lambda codec=codec: self.round_trip(codec))
        self.step("idempotence", lambda: self.idempotence("idempotence"))
        self.step("lost answers", lambda: self.idempotence("lost-answers"))
        self.step("offsets", self.offsets)
        self.step("group", lambda: self.group(EAGER))
        self.step("cooperative", lambda: self.group(COOPERATIVE))
        self.step("kip-848", lambda: self.group(KIP_848))
        self.step("resume", self.resume)
        self.step("transactions", self.transactions)
        self.step("delete records", self.delete_records)
        self.step("delete groups", self.delete_groups)
        self.step("delete", self.delete)

    def step(self, name, play):
        try:
            outcome, detail = "pass", play() or ""
        except Unsupported as reason:
            outcome, detail = "unsupported", reason
        except Exception as error:  # Whatever a client throws is the step's failure.
            traceback.print_exc()
            outcome, detail = "fail", f"{type(error).__name__}: {error}"
        print(name, outcome, " ".join(str(detail).split()), sep="\t", flush=True)

    def topic(self, name):
        return f"{self.prefix}-{name}"

    def records(self, count, start=0):
        limits = self.adapter.limits
        return [record(number, limits) for number in range(start, start + count)]

    def create(self):
        topic = self.topic("created")
        self.adapter.create(topic, PARTITIONS)
        wait_for("the topic's partitions", lambda: self.adapter.partition_count(topic) == PARTITIONS)

    def refusals(self):
        check_refused(self.adapter, self.topic("created"), 1, "exist")
        check_refused(self.adapter, "no spaces!", 1, "topic")
        check_refused(self.adapter, self.topic("zero"), 0, "partition")

    def configs(self):
        topic = self.fresh("configs")
        before = self.adapter.configs(topic)
        check(before["retention.ms"] == "604800000", f"at first: {before}")
        check(before["cleanup.policy"] == "delete", f"at first: {before}")
        changes = {"retention.ms": "86400000", "cleanup.policy": "compact,delete"}
        self.adapter.set_configs(topic, changes)
        expected = before | changes
        wait_for("the changed configs", lambda: self.adapter.configs(topic) == expected)
        for bad in ({"retention.ms": "soon"}, {"no.such.config": "1"}):
            try:
                self.adapter.set_configs(topic, bad)
            except Refused:
                check(self.adapter.configs(topic) == expected, f"{bad} was refused, and changed configs")
            else:
                raise AssertionError(f"{bad} was accepted")

    def round_trip(self, codec):
        topic = self.fresh(codec)
        sent = self.records(self.count)
        acknowledged = self.adapter.produce(topic, codec, sent)
        check_acknowledged(acknowledged, sent)
        check_whole(self.adapter.read(topic, self.count), sent)
        return "".join(f"without {limit}; " for limit in self.adapter.limits)

    def offsets(self):
        topic = self.fresh("offsets")
        sent = self.records(self.count)
        self.adapter.produce(topic, "none", sent)
        for partition in range(PARTITIONS):
            own = own_of(sent, partition)
            bounds = self.adapter.bounds(topic, partition)
            check(bounds == (0, len(own)), f"bounds of partition {partition}: {bounds}")
            half = len(own) // 2
            found = self.adapter.offset_at(topic, partition, own[half].timestamp_ms)
            check(found == half, f"offset at a time: {found}, not {half}")
            found = self.adapter.offset_at(topic, partition, BASE_TIME_MS + 10 * self.count)
            check(found is None, f"offset at a time after all: {found}")

    def idempotence(self, name):
        """Many small batches, several of them on the way at once where the client can: each record once, in order.

        The client id is the topic's name, by which answers to one of the steps get lost.
        """
        topic = self.fresh(name)
        sent = self.records(self.count)
        acknowledged = self.adapter.produce_idempotently(topic, topic, sent)
        check_acknowledged(acknowledged, sent)
        check_whole(self.adapter.read(topic, self.count), sent)

    def group(self, kind):
        topic, group = self.fresh(kind), f"{self.prefix}-{kind}"
        sent, members = [], []

        def produce_and_await():
            more = self.records(self.count, len(sent))
            sent.extend(more)
            self.adapter.produce(topic, "none", more)
            wait_for(f"{len(sent)} records", lambda: total(members) >= len(sent), members)

        def shares(*sizes):
            found = [member.share() for member in members if not member.is_closed()]
            is_whole = sorted(number for share in found for number in share) == [0, 1, 2]
            return is_whole and sorted(map(len, found)) == sorted(sizes)

        try:
            members.append(Running(self.adapter, group, topic, "first", kind))
            wait_for("all partitions with one member", lambda: shares(3), members)
            produce_and_await()
            members.append(Running(self.adapter, group, topic, "second", kind))
            wait_for("the partitions shared by two", lambda: shares(1, 2), members)
            produce_and_await()
            members[1].close()
            wait_for("all partitions back with one", lambda: shares(3), members)
            produce_and_await()
            given_up = list(members[0].given_up)
            members[0].close()
        finally:
            for member in members:
                member.close()
        reads = [read for member in members for read in member.reads]
        check_whole(sorted(reads, key=lambda read: (read.partition, read.offset)), sent)
        check(members[1].reads, "the second member read nothing")
        if kind != EAGER:
            check(given_up == [1], f"the first member gave up {given_up}, not the one for the second")

    def resume(self):
        topic, group = self.fresh("resume"), f"{self.prefix}-resume"
        sent = self.records(self.count)
        self.adapter.produce(topic, "none", sent)
        first = self.read_as_member(group, topic, self.count // 3)
        check(len(first) < self.count, "nothing was left for the second member")
        second = self.read_as_member(group, topic, self.count - len(first))
        check_whole(first + second, sent)
        return f"{len(first)} + {len(second)}"

    def read_as_member(self, group, topic, count):
        member = self.adapter.member(group, topic, "resuming")
        reads, deadline = [], time.monotonic() + PATIENCE
        while len(reads) < count:
            check(time.monotonic() < deadline, f"{len(reads)} of {count} records came in time")
            reads.extend(member.poll(0.5))
        member.commit()
        member.close()
        return reads

    def transactions(self):
        self.commits_and_aborts()
        self.pass_on()
        self.fence()
        self.time_out()

    def commits_and_aborts(self):
        """A reader of committed records sees those of committed transactions alone."""
        producer = self.adapter.transactional(self.topic("transactions"), 60_000)
        topic = self.fresh("transactions")
        everything, committed = [], []
        for turn in range(6):
            own = self.records(self.count // 6, len(everything))
            producer.begin()
            producer.send(topic, own)
            everything.extend(own)
            check(self.stable_end(topic) < len(everything), "open records are stable")
            if turn % 2 == 0:
                producer.commit()
                committed.extend(own)
            else:
                producer.abort()
            # The marker in each partition has an offset, too.
            everything.extend([None] * PARTITIONS)
            wait_for("the end", lambda: self.stable_end(topic) == len(everything))
        producer.close()
        written = [record for record in everything if record is not None]
        check_in_order(self.adapter.read_committed(topic, len(committed)), committed)
        check_in_order(self.adapter.read(topic, len(written)), written)

    def stable_end(self, topic):
        return sum(self.adapter.stable_end(topic, number) for number in range(PARTITIONS))

    def pass_on(self):
        """Consume, write, and commit what was consumed, all in one transaction."""
        source, target = self.fresh("source"), self.fresh("target")
        group = f"{self.prefix}-pass-on"
        sent = self.records(self.count)
        self.adapter.produce(source, "none", sent)
        producer = self.adapter.transactional(f"{self.prefix}-pass-on", 60_000)
        passed, turn, deadline = 0, 0, time.monotonic() + PATIENCE
        while passed < len(sent):
            # Each member begins where the last commit ended, and so behind no aborted one.
            member = self.adapter.member(group, source, "passing-on")
            is_aborted = False
            while passed < len(sent) and not is_aborted:
                check(time.monotonic() < deadline, f"{passed} of {len(sent)} were passed on")
                reads = member.poll(0.5)
                if not reads:
                    continue
                producer.begin()
                producer.send(target, [read.record for read in reads])
                offsets = {read.partition: read.offset + 1 for read in reads}
                producer.send_offsets(member, source, offsets)
                is_aborted = turn % 3 == 1
                turn += 1
                if is_aborted:
                    producer.abort()
                else:
                    producer.commit()
                    passed += len(reads)
            member.close()
        producer.close()
        check(turn > 1, "nothing was aborted")
        check_in_order(self.adapter.read_committed(target, len(sent)), sent)

    def fence(self):
        """A producer of the same id shuts out its predecessor, whose records nobody sees."""
        topic, name = self.fresh("fence"), f"{self.prefix}-fence"
        lost, kept = self.records(10), self.records(10, 100)
        zombie = self.adapter.transactional(name, 60_000)
        zombie.begin()
        zombie.send(topic, lost)
        heir = self.adapter.transactional(name, 60_000)
        heir.begin()
        heir.send(topic, kept)
        # Before the zombie tries: a client that then asks for a new epoch shuts out its heir, as long
        # as that has a transaction open. Kafka lets it.
        heir.commit()
        check_fails(lambda: (zombie.send(topic, self.records(3)), zombie.commit()), "a zombie")
        heir.close()
        zombie.close()
        check_in_order(self.adapter.read_committed(topic, len(kept)), kept)

    def time_out(self):
        """A transaction that takes too long is aborted, and readers go on."""
        topic = self.fresh("timeout")
        producer = self.adapter.transactional(f"{self.prefix}-timeout", 1000)
        producer.begin()
        producer.send(topic, self.records(10))
        wait_for("the transaction's timeout", lambda: self.stable_end(topic) > 10)
        check_fails(producer.commit, "a commit that came too late")
        producer.close()
        check_in_order(self.adapter.read_committed(topic, 0), [])

    def delete_records(self):
        topic = self.fresh("delete-records")
        sent = self.records(self.count)
        self.adapter.produce(topic, "none", sent)
        sizes = [len(own_of(sent, partition)) for partition in range(PARTITIONS)]
        firsts = (sizes[0] // 2, sizes[1], 0)
        self.adapter.delete_records(topic, {0: firsts[0], 1: firsts[1]})
        for partition in range(PARTITIONS):
            bounds = self.adapter.bounds(topic, partition)
            check(bounds == (firsts[partition], sizes[partition]), f"partition {partition}: {bounds}")
        reads = self.adapter.read(topic, sum(sizes) - sum(firsts))
        check_whole(reads, sent, firsts)
        check_fails(lambda: self.adapter.delete_records(topic, {2: sizes[2] + 1}), "past the end")

    def delete_groups(self):
        """A group is deleted when it is empty, and its offsets with it."""
        topic, group = self.fresh("delete-groups"), f"{self.prefix}-delete-groups"
        sent = self.records(self.count)
        self.adapter.produce(topic, "none", sent)
        self.read_as_member(group, topic, self.count)
        check(group in self.adapter.groups(), "the group is not listed")
        member = Running(self.adapter, group, topic, "present", EAGER)
        try:
            wait_for("a member", lambda: len(member.share()) == PARTITIONS, [member])
            check_fails(lambda: self.adapter.delete_group(group), "the deletion of a group with a member")
        finally:
            member.close()
        check(not member.reads, f"{len(member.reads)} records came once more")
        self.adapter.delete_group(group)
        check(group not in self.adapter.groups(), "the group is still listed")
        check_fails(lambda: self.adapter.delete_group(group), "a second deletion")
        check_whole(self.read_as_member(group, topic, self.count), sent)

    def delete(self):
        topic = self.topic("created")
        self.adapter.delete(topic)
        wait_for("the topic to be gone", lambda: self.adapter.partition_count(topic) == 0)

    def fresh(self, name):
        """A new topic that every broker knows of."""
        topic = self.topic(name)
        self.adapter.create(topic, PARTITIONS)
        wait_for(f"topic {topic}", lambda: self.adapter.partition_count(topic) == PARTITIONS)
        return topic


class Running:
    """A group member with a thread of its own, as services have."""

    def __init__(self, adapter, group, topic, name, kind):
        self.reads = []
        self.given_up = ()
        self.error = None
        self._share = frozenset()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(adapter, group, topic, name, kind))
        self._thread.daemon = True
        self._thread.start()

    def share(self):
        return self._share

    def is_closed(self):
        return self._closing.is_set()

    def close(self):
        self._closing.set()
        self._thread.join(PATIENCE)
        check(not self._thread.is_alive(), "a member does not close")

    def _run(self, adapter, group, topic, name, kind):
        try:
            member = adapter.member(group, topic, name, kind)
            while not self._closing.is_set():
                reads = member.poll(0.1)
                self._share = frozenset(member.assigned())
                self.given_up = tuple(member.given_up)
                if reads:
                    member.commit()
                    self.reads.extend(reads)
            member.close()
        except Exception as error:
            traceback.print_exc()
            self.error = error


def total(members):
    return sum(len(member.reads) for member in members)


def check(holds, message):
    if not holds:
        raise AssertionError(message)


def check_refused(adapter, topic, partitions, word):
    try:
        adapter.create(topic, partitions)
    except Refused as refusal:
        check(word in str(refusal).lower(), f"'{topic}' with {partitions} partitions: {refusal}")
    else:
        raise AssertionError(f"'{topic}' with {partitions} partitions was created")


def check_acknowledged(acknowledged, sent):
    """Offsets count up from 0 in each partition, in the order of sending."""
    next_offset = [0] * PARTITIONS
    for (partition, offset), record in zip(acknowledged, sent, strict=True):
        check(partition == record.partition, f"{record} went to partition {partition}")
        expected = next_offset[partition]
        check(offset == expected, f"partition {partition} gave {offset}, not {expected}")
        next_offset[partition] += 1


def own_of(sent, partition):
    return [record for record in sent if record.partition == partition]


def check_whole(reads, sent, firsts=(0, 0, 0)):
    """Each record, from the first offsets on, came once, with all its parts, in order in its partition."""
    for partition, first in enumerate(firsts):
        own = own_of(sent, partition)[first:]
        came = [read for read in reads if read.partition == partition]
        check(len(came) == len(own), f"partition {partition}: {len(came)} of {len(own)} records")
        for offset, (read, record) in enumerate(zip(came, own), first):
            check(read.offset == offset, f"partition {partition}: {read.offset}, not {offset}")
            check(read.record == record, f"sent {record}, read {read.record}")


def check_in_order(reads, sent):
    """The records came, and no others, in order within each partition; offsets may have holes."""
    check(len(reads) == len(sent), f"{len(reads)} of {len(sent)} records")
    for partition in range(PARTITIONS):
        own = own_of(sent, partition)
        came = [read.record for read in reads if read.partition == partition]
        check(came == own, f"partition {partition}: {len(came)} records, not those that were sent")


def check_fails(attempt, what):
    try:
        attempt()
    except Exception:  # Each client has a name of its own for it.
        return
    raise AssertionError(f"{what} went well")


def wait_for(what, holds, members=()):
    deadline = time.monotonic() + PATIENCE
    while not holds():
        for member in members:
            if isinstance(member.error, Unsupported):
                raise member.error
            check(member.error is None, f"a member failed: {member.error}")
        check(time.monotonic() < deadline, f"waited {PATIENCE:.0f} s for {what}")
        time.sleep(0.1)
