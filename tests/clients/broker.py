"""The broker under test as a process: started, stopped, killed, started again."""

import json
import pathlib
import re
import signal
import subprocess
import threading
import urllib.parse
import urllib.request

PATIENCE = 30.0


class Broker:
    """One broker process over one data directory, on one port; with a control port if faults are to be ordered."""

    def __init__(self, program, data_dir, settings=(), faults=False):
        self.program = program
        self.data_dir = pathlib.Path(data_dir)
        self.settings = settings
        self.faults = faults
        self.control_address = None
        self.address = "127.0.0.1:0"
        self.log = self.data_dir.with_name(self.data_dir.name + ".log")
        self.process = None

    def start(self):
        """Starts it, and waits for the line that says that it serves."""
        command = [self.program, "--listen", self.address, "--data-dir", str(self.data_dir)]
        for setting in self.settings:
            command += ["--set", setting]
        if self.faults:
            command += ["--control", "127.0.0.1:0"]
        with open(self.log, "a") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True
            )
        timer = threading.Timer(PATIENCE, self.process.kill)
        timer.start()
        line = self.process.stdout.readline()
        if self.faults:
            self.control_address = line.removeprefix("control on ").rstrip()
            line = self.process.stdout.readline()
        timer.cancel()
        found = re.fullmatch(r"listening on (\S+:\d+)\n", line)
        if found is None:
            self.kill()
            raise RuntimeError(f"the broker said {line!r} instead of its address; {self.log_tail()}")
        # The next start takes the same port.
        self.address = found.group(1)

    def stop(self):
        """Asks it to end, and waits for a clean end."""
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise RuntimeError(f"the broker did not end; {self.log_tail()}") from None
        if status != 0:
            raise RuntimeError(f"the broker ended with status {status}; {self.log_tail()}")

    def kill(self):
        """kill -9."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def add_rule(self, **rule):
        """Has something done to requests, as docs/faults.md has it."""
        self._control("POST", "/rules", rule)

    def remove_rule(self, name):
        """Ends it, and says how often it was done."""
        return self._control("DELETE", "/rules/" + urllib.parse.quote(name))["fired"]

    def _control(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        url = f"http://{self.control_address}{path}"
        request = urllib.request.Request(url, data, method=method)
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return json.load(answer)

    def log_tail(self):
        lines = self.log.read_text(errors="replace").splitlines()
        return "its log ends:\n" + "\n".join(lines[-30:])

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.kill()
