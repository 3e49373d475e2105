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
# The producer snapshot has a reader in the tool as well.
KINDS = (".log", ".index", ".timeindex", ".txnindex", ".snapshot")


def judge(directory, topic=None, records=None):
    """What is wrong with the directory: a list of lines, empty when nothing is."""
    files = [path for path in sorted(directory.rglob("*")) if is_readable(path)]
    # Internal topics have formats and rules of their own; the tool judges their batches as well.
    logs = [path for path in files if path.suffix == ".log"]
    if not logs:
        return [f"{directory}: no segment lies there"]
    output = dump(files)
    print(f"dumped {len(files)} files, {len(logs)} of them segments", flush=True)
    problems = [line for line in output if COMPLAINTS.search(line)]
    for path in files:
        if not any(line == f"Dumping {path}" for line in output):
            problems.append(f"{path}: the tool did not read it")
    if topic is not None:
        found = count_records(output, topic)
        if found != records:
            problems.append(f"{found} records in the dump of {topic}, not {records}")
    return problems


def is_readable(path):
    # Kafka makes an offset index only when it needs one, and its tool then fails at the time index.
    is_alone = path.suffix == ".timeindex" and not path.with_suffix(".index").exists()
    # A topic that is being deleted: its indexes are never trimmed to what they hold.
    is_going = path.parent.name.endswith("-delete")
    return path.suffix in KINDS and path.is_file() and not is_alone and not is_going


def dump(files):
    """The lines that the tool prints of these files; a failure is a line too."""
    names = ",".join(map(str, files))
    tool = [environments.kafka_tools(), "org.apache.kafka.tools.DumpLogSegments"]
    # Every record is read, not only the heads of their batches.
    done = subprocess.run(
        [*tool, "--deep-iteration", "--files", names], capture_output=True, text=True, timeout=120
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
