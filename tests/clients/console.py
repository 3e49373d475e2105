"""Kafka's own command-line tools tell the story: console producer and consumer, the topic, config,
offset, record and group commands, for groups the verifiable programs that Kafka's system tests use,
and for idempotence the performance programs.
"""

import argparse
import collections
import json
import subprocess
import sys
import tempfile
import threading
import time
import traceback

PARTITIONS = 3
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
PATIENCE = 60.0
NULL = "<null>"
TOOLS = "org.apache.kafka.tools."
CONFIGS = "kafka.admin.ConfigCommand"
GROUPS = "consumer.group.ConsumerGroupCommand"
COOPERATIVE = "org.apache.kafka.clients.consumer.CooperativeStickyAssignor"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tools", required=True, help="the program that runs a tool by its class")
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--records", type=int, default=300)
    parser.add_argument("--prefix", required=True)
    Story(parser.parse_args()).tell()


class Story:
    def __init__(self, arguments):
        self.tools = arguments.tools
        self.bootstrap = arguments.bootstrap
        self.count = arguments.records
        self.prefix = f"{arguments.prefix}-console"

    def tell(self):
        self.step("create", self.create)
        self.step("refusals", self.refusals)
        self.step("configs", self.configs)
        for codec in CODECS:
            self.step(codec, lambda codec=codec: self.round_trip(codec))
        self.step("idempotence", lambda: self.idempotence("idempotence"))
        self.step("lost answers", lambda: self.idempotence("lost-answers"))
        self.step("offsets", self.offsets)
        self.step("group", lambda: self.group("group"))
        self.step("cooperative", lambda: self.group("cooperative", "--assignment-strategy", COOPERATIVE))
        self.step("kip-848", lambda: self.group("kip-848", "--group-protocol", "CONSUMER"))
        self.step("resume", self.resume)
        self.step("transactions", self.transactions)
        self.step("delete records", self.delete_records)
        self.step("delete groups", self.delete_groups)
        self.step("delete", self.delete)

    def step(self, name, play):
        try:
            outcome, detail = "pass", play() or ""
        except Exception as error:  # Whatever goes wrong is the step's failure.
            traceback.print_exc()
            outcome, detail = "fail", f"{type(error).__name__}: {error}"
        print(name, outcome, " ".join(str(detail).split())[:400], sep="\t", flush=True)

    # The steps.

    def create(self):
        topic = self.fresh("created")
        described = self.topics("--describe", "--topic", topic)
        check(f"PartitionCount: {PARTITIONS}" in described, described)
        leaders = [line for line in described.splitlines() if "\tLeader: " in line]
        check(len(leaders) == PARTITIONS and "none" not in "".join(leaders), described)

    def refusals(self):
        for topic, partitions, reason in [
            (self.topic("created"), 1, "topicexistsexception"),
            ("no spaces!", 1, "invalidtopicexception"),
            (self.topic("zero"), 0, "partition"),
        ]:
            arguments = ["--create", "--topic", topic, "--partitions", str(partitions)]
            done = self.run("TopicCommand", *arguments)
            said = done.stdout + done.stderr
            check(done.returncode != 0, f"'{topic}' with {partitions} partitions was created")
            check(reason in said.lower(), f"'{topic}' with {partitions} partitions: {said}")

    def configs(self):
        topic = self.fresh("configs")

        def values():
            described = self.configure("--describe", "--topic", topic, "--all")
            words = [line.split()[0] for line in described.splitlines() if "=" in line]
            return dict(word.split("=", 1) for word in words)

        expected = values()
        check(expected["retention.ms"] == "604800000", f"at first: {expected}")
        check(expected["cleanup.policy"] == "delete", f"at first: {expected}")
        changes = "retention.ms=86400000,cleanup.policy=[compact,delete]"
        self.configure("--alter", "--topic", topic, "--add-config", changes)
        expected |= {"retention.ms": "86400000", "cleanup.policy": "compact,delete"}
        check(values() == expected, f"after the change: {values()}")
        for bad in ("retention.ms=soon", "no.such.config=1"):
            done = self.run(CONFIGS, "--alter", "--topic", topic, "--add-config", bad)
            check("InvalidConfigurationException" in done.stdout + done.stderr, f"{bad}: {done}")
        check(values() == expected, f"after the refusals: {values()}")
        self.broker_configs(topic)

    def broker_configs(self, topic):
        """What is set for brokers while they run holds for topics that say nothing else, and is taken back."""
        of_all = ["--entity-type", "brokers", "--entity-default"]
        of_one = ["--entity-type", "brokers", "--entity-name", "1"]
        name = "log.index.interval.bytes"

        def told(*whose):
            lines = self.configure("--describe", *whose, "--all").splitlines()
            words = [line.split() for line in lines if "index.interval.bytes=" in line]
            return [word[0].split("=", 1)[1] for word in words]

        before = told("--topic", topic)
        self.configure("--alter", *of_all, "--add-config", f"{name}=5000")
        self.configure("--alter", *of_one, "--add-config", f"{name}=6000")
        wait_for("the topic to follow", lambda: told("--topic", topic) == ["6000"])
        check(told(*of_one) == ["6000"], f"of the broker: {told(*of_one)}")
        check(told(*of_all) == ["5000"], f"of all brokers: {told(*of_all)}")
        done = self.run(CONFIGS, "--alter", *of_one, "--add-config", "num.partitions=3")
        check("InvalidRequestException" in done.stdout + done.stderr, f"num.partitions: {done}")
        self.configure("--alter", *of_one, "--delete-config", name)
        wait_for("the topic to follow all", lambda: told("--topic", topic) == ["5000"])
        self.configure("--alter", *of_all, "--delete-config", name)
        wait_for("the topic to be as before", lambda: told("--topic", topic) == before)

    def round_trip(self, codec):
        topic = self.fresh(codec)
        sent = self.produce(topic, codec)
        check_whole(self.console_read(topic, self.count), sent)
        return "partitions and times are the client's choice"

    def idempotence(self, name):
        """The performance programs: each number is written and read once, and in order."""
        topic, count = self.fresh(name, 1), 50 * self.count
        settings = [f"client.id={topic}", "batch.size=500"]
        options = ["--num-records", str(count), "--throughput", "-1", "--payload-monotonic"]
        said = self.succeed("ProducerPerformance", "--topic", topic, *options, "--command-property", *settings)
        check(f"{count} records sent" in said, said)
        measured = ["--topic", topic, "--num-records", str(count), "--hide-header"]
        said = self.succeed("ConsumerPerformance", *measured)
        consumed = said.splitlines()[-1].split(", ")[4]
        check(consumed == str(count), f"{consumed} of {count} were consumed: {said}")
        end = self.succeed("GetOffsetShell", "--topic-partitions", topic, "--time", "-1").split()
        check(end == [f"{topic}:0:{count}"], f"{count} were written, the end is {end}")
        everything = ["--topic", topic, "--from-beginning", "--max-messages", str(count)]
        values = self.succeed("consumer.ConsoleConsumer", *everything, "--timeout-ms", "30000").split()
        check(values == [str(number) for number in range(count)], f"{len(values)} values, not in order")

    def offsets(self):
        topic = self.fresh("offsets")
        self.produce(topic, "none")

        def offsets_at(moment):
            options = ["--topic-partitions", topic, "--time", str(moment)]
            lines = self.succeed("GetOffsetShell", *options).split()
            return {int(line.split(":")[1]): line.split(":")[2] for line in lines}

        first, last = offsets_at(-2), offsets_at(-1)
        check(first == dict.fromkeys(range(PARTITIONS), "0"), f"the first offsets are {first}")
        check(sum(map(int, last.values())) == self.count, f"the last offsets are {last}")
        # All were written after the first millisecond of time.
        check(offsets_at(1) == first, f"offsets at time 1 are {offsets_at(1)}")

    def group(self, name, *options):
        topic, group = self.fresh(name), f"{self.prefix}-{name}"
        sent, members = [], []

        def produce_and_await():
            sent.extend(self.verifiable_produce(topic, f"{len(sent)}"))
            wait_for(f"{len(sent)} records", lambda: total(members) >= len(sent))

        def shares(*sizes):
            found = [member.share for member in members if member.is_running()]
            is_whole = sorted(number for share in found for number in share) == [0, 1, 2]
            return is_whole and sorted(map(len, found)) == sorted(sizes)

        try:
            members.append(VerifiableConsumer(self, group, topic, *options))
            wait_for("all partitions with one member", lambda: shares(3))
            produce_and_await()
            members.append(VerifiableConsumer(self, group, topic, *options))
            wait_for("the partitions shared by two", lambda: shares(1, 2))
            produce_and_await()
            members[1].stop()
            wait_for("all partitions back with one", lambda: shares(3))
            produce_and_await()
            given_up = list(members[0].given_up)
        finally:
            for member in members:
                member.stop()
        reads = [read for member in members for read in member.reads]
        check(sorted(reads) == sorted(sent), f"{len(sent)} were written, {len(reads)} read")
        check(members[1].reads, "the second member read nothing")
        if name != "group":
            check(given_up == [1], f"the first member gave up {given_up}, not the one for the second")
        described = self.succeed(GROUPS, "--describe", "--group", group)
        rows = [line.split() for line in described.splitlines() if topic in line]
        lags = [row[5] for row in rows]
        check(lags == ["0"] * PARTITIONS, f"the group lags behind:\n{described}")

    def resume(self):
        topic, group = self.fresh("resume"), f"{self.prefix}-resume"
        sent = self.produce(topic, "none")
        first = self.console_read(topic, self.count // 3, "--group", group)
        second = self.console_read(topic, self.count - len(first), "--group", group)
        check_whole(first + second, sent)
        return f"{len(first)} + {len(second)}"

    def transactions(self):
        """The copier of Kafka's system tests, some of whose transactions are aborted."""
        source, target = self.fresh("source"), self.fresh("target")
        sent = self.verifiable_produce(source, "17")
        for partition in range(PARTITIONS):
            copier = f"{self.prefix}-copier-{partition}"
            self.copy(source, partition, target, copier)
            described = self.succeed("TransactionsCommand", "describe", "--transactional-id", copier)
            check("Complete" in described, described)
        listed = self.succeed("TransactionsCommand", "list")
        ids = sum(f"{self.prefix}-copier-" in one for one in listed.splitlines())
        check(ids == PARTITIONS, listed)
        isolation = ("--isolation-level", "read_committed")
        reads = self.console_read(target, len(sent), *isolation)
        written = sorted((partition, value) for partition, _, value in sent)
        copied = sorted((partition, value) for partition, _, (_, _, value) in reads)
        check(copied == written, f"{len(written)} were written, {len(copied)} copied")
        group = f"{self.prefix}-copier-0"
        described = self.succeed(GROUPS, "--describe", "--group", group)
        lags = [line.split()[5] for line in described.splitlines() if source in line]
        check(lags == ["0"], f"the copier's group lags behind:\n{described}")

    def copy(self, source, partition, target, name):
        options = ["--input-topic", source, "--input-partition", str(partition)]
        options += ["--output-topic", target, "--transactional-id", name, "--consumer-group", name]
        options += ["--transaction-size", "7", "--enable-random-aborts", "--use-group-metadata"]
        command = [self.tools, TOOLS + "TransactionalMessageCopier", "--broker-list", self.bootstrap]
        done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=90)
        check(done.returncode == 0, f"the copier ended with {done.returncode}: {done.stderr}")

    def delete_records(self):
        topic = self.fresh("delete-records")
        sent = self.verifiable_produce(topic, "3")
        half = sum(partition == 0 for partition, _, _ in sent) // 2

        def delete_before(partition, offset):
            wanted = [{"topic": topic, "partition": partition, "offset": offset}]
            with tempfile.NamedTemporaryFile("w") as file:
                json.dump({"partitions": wanted, "version": 1}, file)
                file.flush()
                return self.succeed("DeleteRecordsCommand", "--offset-json-file", file.name)

        check(f"low_watermark: {half}" in delete_before(0, half), "another low watermark")
        expected = [one for one in sent if one[0] != 0 or one[1] >= half]
        reads = self.console_read(topic, len(expected))
        came = sorted((partition, offset, value) for partition, offset, (_, _, value) in reads)
        check(came == sorted(expected), f"{len(came)} of {len(expected)} were left")
        said = delete_before(2, 10 * self.count)
        check("error: " in said and "OffsetOutOfRange" in said, f"past the end: {said}")

    def delete_groups(self):
        """A group is deleted when it is empty, and its offsets with it."""
        topic, group = self.fresh("delete-groups"), f"{self.prefix}-delete-groups"
        sent = self.produce(topic, "none")
        self.console_read(topic, self.count, "--group", group)
        check(group in self.succeed(GROUPS, "--list").split(), "the group is not listed")
        member = VerifiableConsumer(self, group, topic)
        try:
            wait_for("a member", lambda: len(member.share) == PARTITIONS)
            done = self.run(GROUPS, "--delete", "--group", group)
            check("GroupNotEmptyException" in done.stdout + done.stderr, f"with a member: {done}")
        finally:
            member.stop()
        check(not member.reads, f"{len(member.reads)} records came once more")
        said = self.succeed(GROUPS, "--delete", "--group", group)
        check("successful" in said, said)
        check(group not in self.succeed(GROUPS, "--list").split(), "the group is still listed")
        done = self.run(GROUPS, "--delete", "--group", group)
        check("GroupIdNotFoundException" in done.stdout + done.stderr, f"once more: {done}")
        check_whole(self.console_read(topic, self.count, "--group", group), sent)

    def delete(self):
        topic = self.topic("created")
        self.topics("--delete", "--topic", topic)
        wait_for("the topic to be gone", lambda: topic not in self.topics("--list").split())

    # What the steps are made of.

    def topic(self, name):
        return f"{self.prefix}-{name}"

    def fresh(self, name, partitions=PARTITIONS):
        topic = self.topic(name)
        self.topics("--create", "--topic", topic, "--partitions", str(partitions))
        return topic

    def configure(self, *arguments):
        return self.succeed(CONFIGS, *arguments)

    def topics(self, *arguments):
        return self.succeed("TopicCommand", *arguments)

    def produce(self, topic, codec):
        """Writes lines of headers, key and value, and returns them."""
        sent = [line(number) for number in range(self.count)]
        text = "".join("\t".join(fields) + "\n" for fields in sent)
        properties = ["parse.key=true", "parse.headers=true", f"null.marker={NULL}"]
        options = [word for text in properties for word in ("--reader-property", text)]
        # A linger, so that there are batches to compress.
        options += ["--compression-codec", codec, "--command-property", "linger.ms=50"]
        said = self.succeed("ConsoleProducer", "--topic", topic, *options, input=text)
        check("ERROR" not in said, said)
        return [(NO_HEADERS if headers == NULL else headers, key, value) for headers, key, value in sent]

    def console_read(self, topic, count, *more):
        """Reads lines in the form that produce returns, with partition and offset before them."""
        printed = ["partition", "offset", "headers", "key"]
        options = [word for name in printed for word in ("--formatter-property", f"print.{name}=true")]
        options += ["--formatter-property", f"null.literal={NULL}"]
        options += ["--from-beginning", "--max-messages", str(count), "--timeout-ms", "30000"]
        said = self.succeed("consumer.ConsoleConsumer", "--topic", topic, *options, *more)
        reads = []
        for fields in (text.split("\t") for text in said.splitlines()):
            check(len(fields) == 5, f"the console consumer printed {fields}")
            partition, offset, headers, key, value = fields
            number = int(partition.removeprefix("Partition:"))
            reads.append((number, int(offset.removeprefix("Offset:")), (headers, key, value)))
        return reads

    def verifiable_produce(self, topic, prefix):
        options = ["--max-messages", str(self.count), "--value-prefix", prefix, "--topic", topic]
        # Without keys all records of a moment go to one partition.
        options += ["--repeating-keys", "50"]
        events = map(json.loads, self.succeed("VerifiableProducer", *options).splitlines())
        sent = [
            (event["partition"], event["offset"], event["value"])
            for event in events
            if event["name"] == "producer_send_success"
        ]
        check(len(sent) == self.count, f"{len(sent)} of {self.count} were acknowledged")
        return sent

    def succeed(self, tool, *arguments, input=""):
        done = self.run(tool, *arguments, input=input)
        check(done.returncode == 0, f"{tool} ended with {done.returncode}: {done.stdout} {done.stderr}")
        return done.stdout

    def run(self, tool, *arguments, input=""):
        return subprocess.run(
            self.command(tool, *arguments), input=input, capture_output=True, text=True, timeout=90
        )

    def command(self, tool, *arguments):
        # Those that have moved go by their short names, those that have not by their full ones.
        name = tool if tool.startswith("kafka.") else TOOLS + tool
        return [self.tools, name, "--bootstrap-server", self.bootstrap, *arguments]


NO_HEADERS = "NO_HEADERS"


def line(number):
    """Headers, key and value of a number, in all the shapes that a line can take."""
    headers = (NULL, f"number:{number}", "twice:1,twice:2,leer:", f"null:{NULL}")
    keys = (f"key-{number}", NULL, "", f"schlüssel-{number % 5}")
    values = (f"value-{number}-" + "x" * (number % 200), "", NULL, "größe")
    value = values[number // 12 % 4] if number % 2 else f"value-{number}"
    return headers[number // 6 % 4], keys[number // 3 % 4], value


class VerifiableConsumer:
    """Kafka's verifiable consumer, and what its events say."""

    def __init__(self, story, group, topic, *more):
        self.reads = []
        self.share = frozenset()
        # How many partitions it had to give up, each time that it had to.
        self.given_up = []
        options = ["--group-id", group, "--topic", topic, "--verbose"]
        command = story.command("VerifiableConsumer", *options, *more)
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.reader = threading.Thread(target=self.follow, daemon=True)
        self.reader.start()

    def follow(self):
        for text in self.process.stdout:
            event = json.loads(text)
            numbers = {one["partition"] for one in event.get("partitions", ())}
            match event["name"]:
                case "partitions_assigned":
                    self.share |= numbers
                case "partitions_revoked" | "partitions_lost":
                    self.share -= numbers
                    if numbers:
                        self.given_up.append(len(numbers))
                case "record_data":
                    self.reads.append((event["partition"], event["offset"], event["value"]))

    def is_running(self):
        return self.process.poll() is None

    def stop(self):
        """Asks it to leave its group, and waits for its last events."""
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        self.reader.join(PATIENCE)


def total(members):
    return sum(len(member.reads) for member in members)


def check(holds, message):
    if not holds:
        raise AssertionError(message)


def check_whole(reads, sent):
    """Each line came exactly once, offsets without a gap, and each key in one partition, in order."""
    contents = collections.Counter(content for _, _, content in reads)
    difference = (contents - collections.Counter(sent)) + (collections.Counter(sent) - contents)
    check(not difference, f"{len(reads)} of {len(sent)} lines, such as {list(difference)[:1]}")
    for partition in range(PARTITIONS):
        offsets = [offset for number, offset, _ in reads if number == partition]
        check(offsets == list(range(len(offsets))), f"offsets of partition {partition}: {offsets}")
    homes = collections.defaultdict(set)
    for partition, _, (_, key, _) in reads:
        homes[key].add(partition)
    split = [key for key, home in homes.items() if len(home) > 1 and key != NULL]
    check(not split, f"one key in several partitions: {split[:3]}")
    for key in homes:
        if key != NULL:
            came = [content for _, _, content in reads if content[1] == key]
            check(came == [content for content in sent if content[1] == key], f"the order of {key}")


def wait_for(what, holds):
    deadline = time.monotonic() + PATIENCE
    while not holds():
        check(time.monotonic() < deadline, f"waited {PATIENCE:.0f} s for {what}")
        time.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main())
