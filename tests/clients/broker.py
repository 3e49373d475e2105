"""The broker under test as a process: started, stopped, killed, started again."""

import pathlib
import re
import signal
import subprocess
import threading

PATIENCE = 30.0


class Broker:
    """One broker process over one data directory, on one port."""

    def __init__(self, program, data_dir, settings=()):
        self.program = program
        self.data_dir = pathlib.Path(data_dir)
        self.settings = settings
        self.address = "127.0.0.1:0"
        self.log = self.data_dir.with_name(self.data_dir.name + ".log")
        self.process = None

    def start(self):
        """Starts it, and waits for the line that says that it serves."""
        command = [self.program, "--listen", self.address, "--data-dir", str(self.data_dir)]
        for setting in self.settings:
            command += ["--set", setting]
        with open(self.log, "a") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True
            )
        timer = threading.Timer(PATIENCE, self.process.kill)
        timer.start()
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

    def log_tail(self):
        lines = self.log.read_text(errors="replace").splitlines()
        return "its log ends:\n" + "\n".join(lines[-30:])

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.kill()
