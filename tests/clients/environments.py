"""Where each foreign client lives: its packages, fetched once into a cache folder.

An environment that is ready carries a stamp of what it was made from; a half-made one does not, and
is made anew.
"""

import fcntl
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")
CACHE = pathlib.Path(os.environ.get("KAFKA_CLIENTS_DIR") or TARGET / "foreign-clients")

PYTHON_PACKAGES = {
    # The codecs are packages of their own for this client.
    "kafka-python": ["kafka-python==3.0.12", "python-snappy==0.7.3", "lz4==4.4.5", "zstandard==0.25.0"],
    "confluent": ["confluent-kafka==2.16.1"],
    "aiokafka": ["aiokafka==0.14.0", "cramjam==2.11.0"],
}
COPY_JARS = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"


class NotAvailable(Exception):
    """This machine cannot make the environment; the text says what it lacks."""


def need(program):
    if shutil.which(program) is None:
        raise NotAvailable(f"{program} is not installed")


def python(name):
    """A Python with the packages of one client: the path of the interpreter."""

    def make(folder):
        run([sys.executable, "-m", "venv", str(folder)])
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        run([*pip, "--disable-pip-version-check", "--only-binary", ":all:", *PYTHON_PACKAGES[name]])

    folder = prepared(name, " ".join(PYTHON_PACKAGES[name]), make)
    return str(folder / "bin" / "python")


def java(release):
    """The Java story, compiled with the client of a release: its class path."""
    need("javac")
    need("mvn")
    pom, age = HERE / "java" / "pom.xml", release.rpartition(".")[0]
    sources = [HERE / "java" / "Story.java", HERE / "java" / age / "Dialect.java"]

    def make(folder):
        jars = folder / "jars"
        copy = [COPY_JARS, "-DincludeScope=runtime", f"-DoutputDirectory={jars}"]
        run(["mvn", "--quiet", "--batch-mode", "-f", str(pom), f"-Dkafka.version={release}", *copy])
        run(["javac", "-d", str(folder / "classes"), "-cp", f"{jars}/*", *map(str, sources)])

    recipe = "".join(path.read_text() for path in [pom, *sources])
    folder = prepared(f"java-{release}", release + recipe, make)
    return f"{folder / 'classes'}:{folder / 'jars'}/*"


def go(name):
    """A story told by a client written in Go: the path of its program."""
    need("go")
    sources = sorted((HERE / "go").rglob("*.go")) + [HERE / "go" / "go.mod", HERE / "go" / "go.sum"]

    def make(folder):
        run(["go", "build", "-o", str(folder / name), f"./{name}"], cwd=HERE / "go")

    folder = prepared(f"go-{name}", "".join(path.read_text() for path in sources), make)
    return str(folder / name)


def node():
    """The story told by kafkajs: the path of the script, beside its packages."""
    need("node")
    need("npm")
    package, source = HERE / "node" / "package.json", HERE / "node" / "story.js"

    def make(folder):
        shutil.copy(package, folder)
        shutil.copy(source, folder)
        install = ["install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"]
        run(["npm", *install], cwd=folder)

    folder = prepared("node", package.read_text() + source.read_text(), make)
    return str(folder / "story.js")


def kafka_tools():
    """The program that runs Kafka's own tools, built from this repository."""
    need("cargo")
    need("java")
    run(["cargo", "build", "--quiet", "-p", "kafka-testcontainers", "--bin", "kafka-tools"])
    return str(TARGET / "debug" / "kafka-tools")


def prepared(name, recipe, make):
    """The folder of an environment, made if its stamp is not that of the recipe."""
    CACHE.mkdir(parents=True, exist_ok=True)
    folder, stamp = CACHE / name, hashlib.sha256(recipe.encode()).hexdigest()
    with open(CACHE / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp_file = folder / "stamp"
        if not (stamp_file.is_file() and stamp_file.read_text() == stamp):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            stamp_file.write_text(stamp)
    return folder


def run(command, **options):
    """Runs a step of making an environment; its failure makes the client not available."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=600,
            text=True,
            cwd=options.pop("cwd", ROOT),
            **options,
        )
    except subprocess.TimeoutExpired as error:
        raise NotAvailable(f"{command[0]} took longer than {error.timeout:.0f} s") from error
    except OSError as error:
        raise NotAvailable(f"cannot run {command[0]}: {error}") from error
    if done.returncode != 0:
        last = " ".join(done.stdout.split()[-40:])
        raise NotAvailable(f"`{' '.join(command)}` failed: {last}")
