"""Has Kafka's own dump tool read a data directory, and tells what it complains of."""

import pathlib
import re
import subprocess

import environments

# What the tool prints where index and log, or offsets and times, do not agree.
COMPLAINTS = re.compile(
    r"mismatch|non-?consecutive|out of order|invalid|corrupt|exception|isvalid: false|not found|"
    r"isn't found|bytes at the end",
    re.IGNORECASE,
)
INTERNAL = ("__consumer_offsets", "__transaction_state")
# The producer snapshot has a reader in the tool as well.
KINDS = (".log", ".index", ".timeindex", ".txnindex", ".snapshot")
INDEXES = (".index", ".timeindex", ".txnindex")


# The tool names a file, and below it each record that does not come right behind the one before.
GAPS = re.compile(r"Non-?consecutive offsets in (\S+)")
GAP = re.compile(r"\s+(-?\d+) is followed by (\d+)")


def judge(directory, topic=None, records=None, compacted=()):
    """What is wrong with the directory: a list of lines, empty when nothing is. The topics that are compacted may
    have gaps."""
    files = [path for path in sorted(directory.rglob("*")) if is_readable(path)]
    # Internal topics have formats and rules of their own; the tool judges their batches as well.
    logs = [path for path in files if path.suffix == ".log"]
    if not logs:
        return [f"{directory}: no segment lies there"]
    # Every record is read, not only the heads of their batches, and every entry of an index is looked up.
    output = dump(["--deep-iteration"], files)
    indexes = [path for path in files if path.suffix in INDEXES]
    print(
        f"dumped {len(files)} files, {len(logs)} of them segments, {len(indexes)} indexes",
        flush=True,
    )
    problems = [
        line for line in output if COMPLAINTS.search(line) and not GAPS.search(line)
    ] + gaps(output, {*compacted, *INTERNAL})
    for path in files:
        if not any(line == f"Dumping {path}" for line in output):
            problems.append(f"{path}: the tool did not read it")
    problems += insane(indexes)
    if topic is not None:
        found = count_records(output, topic)
        if found != records:
            problems.append(f"{found} records in the dump of {topic}, not {records}")
    return problems


def insane(indexes):
    """Which indexes Kafka would throw away and make anew when it starts: what it asks is a run of its own, since
    the tool then does not look anything up."""
    if not indexes:
        return []
    output = dump(["--deep-iteration", "--index-sanity-check"], indexes)
    problems = [line for line in output if COMPLAINTS.search(line)]
    for path in indexes:
        verdicts = [f"{path} passed sanity check.", f"{path} is empty."]
        # Of the index of aborted transactions it gives no verdict, and ends at the first fault.
        if path.suffix == ".txnindex":
            verdicts = [f"Dumping {path}"]
        if not any(line in verdicts for line in output):
            problems.append(f"{path}: the tool has not found it sane")
    return problems


def gaps(output, compacted):
    """Where a segment skips offsets and must not."""
    found, file = [], None
    for line in output:
        if header := GAPS.search(line):
            file = pathlib.PurePath(header.group(1))
        elif file is not None and (gap := GAP.fullmatch(line)):
            # To the tool the first record of every segment but the first of a log is one.
            if gap.group(1) != "-1" and file.parent.name.rpartition("-")[0] not in compacted:
                found.append(f"{file}: {line.strip()}")
        else:
            file = None
    return found


def is_readable(path):
    # Kafka makes an offset index only when it needs one, and its tool then fails at the time index.
    is_alone = path.suffix == ".timeindex" and not path.with_suffix(".index").exists()
    # A topic that is being deleted: its indexes are never trimmed to what they hold.
    is_going = path.parent.name.endswith("-delete")
    return path.suffix in KINDS and path.is_file() and not is_alone and not is_going


def dump(options, files):
    """The lines that the tool prints of these files; a failure is a line too."""
    names = ",".join(map(str, files))
    tool = [environments.kafka_tools(), "org.apache.kafka.tools.DumpLogSegments"]
    done = subprocess.run(
        [*tool, *options, "--files", names], capture_output=True, text=True, timeout=600
    )
    lines = done.stdout.splitlines() + done.stderr.splitlines()
    if done.returncode != 0:
        lines.append(f"exception: the tool ended with status {done.returncode}")
    return lines


def count_records(output, topic):
    count, is_ours = 0, False
    for line in output:
        if line.startswith("Dumping "):
            folder = pathlib.PurePath(line.removeprefix("Dumping ")).parent.name
            is_ours = folder.rpartition("-")[0] == topic and line.endswith(".log")
        elif is_ours and line.lstrip().startswith("| offset:"):
            count += 1
    return count
