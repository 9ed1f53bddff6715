"""Starts peers' processes and listens to them."""
import json
import os
import pathlib
import queue
import subprocess
import sys
import tempfile
import threading
import time

TOOLS = pathlib.Path(__file__).resolve().parent.parent
SETUP = 1200  # seconds: importing, compiling, the cost matrix; and errors in double afterwards


class Ended(Exception):
    """The process has ended, or took too long (then `late`)."""

    def __init__(self, message, late=False):
        super().__init__(message)
        self.late = late


class Child:
    """peers.child in a process; `listen` gives its messages."""

    def __init__(self, part, module, setting, folder, factor=1.0):
        self.errors = tempfile.TemporaryFile("w+")
        command = [sys.executable, "-m", "peers.child", part, module, setting, folder, str(factor)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors,
                                        text=True, env={**os.environ, "PYTHONPATH": str(TOOLS)})
        self.messages = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.messages.put(json.loads(line))
        self.messages.put(None)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.errors.close()

    def listen(self, seconds=SETUP):
        try:
            message = self.messages.get(timeout=seconds)
        except queue.Empty:
            raise Ended(f"stopped after {seconds:.0f} s", late=True) from None
        if message is None:
            raise Ended(self.last_words())
        return message

    def last_words(self):
        code = self.process.wait()
        self.errors.seek(0)
        lines = [line.strip() for line in self.errors if line.strip()]
        return f"ended with {code}: {lines[-1][:160] if lines else 'no message'}" if code else "ended"

    def rate(self, cap):
        """Seconds of one log-sum-exp, from one more repetition."""
        print("go", file=self.process.stdin, flush=True)
        return self.listen(cap)["seconds"]


def attempts(module, setting, folder, cap, factor):
    """All attempts of a setting at a solution, and what ended them early: text, empty if nothing did.

    `cap` is on the seconds of one attempt, compiling and checking not counted; `factor` of the peer's usual threshold
    is the first that is tried.
    """
    known = []
    with Child("times", module, setting, folder, factor) as child:
        deadline = None
        try:
            while True:
                left = SETUP if deadline is None else max(deadline - time.monotonic(), 0.1)
                message = child.listen(left)
                if message["event"] == "start":
                    deadline = time.monotonic() + cap
                elif message["event"] == "end":
                    deadline = None
                else:
                    known.append(message)
        except Ended as end:
            if end.late:
                return known, f"> {cap:.3g} s" if deadline else "setup took too long"
            return known, "" if str(end) == "ended" else str(end)
