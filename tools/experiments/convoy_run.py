"""What the experiments share: running convoy, its time and memory measured from outside, and the head of a report.

As a program, `convoy_run.py FILE COMMAND...` runs the command, writes the peak memory of its largest process to FILE
(in KiB) and ends as it does. It is a process of its own because a child is charged with the memory of its starter.
"""
import dataclasses
import datetime
import json
import os
import pathlib
import platform
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "build/bin/convoy"
# Parts of others, or sums of them.
NO_PHASES = {"kernel", "communication", "total"}


@dataclasses.dataclass
class Run:
    code: int
    error: str  # the program's line, if it failed
    seconds: float  # from its start to its end, all ranks
    peak_gib: float  # of the largest process
    summary: dict  # what --summary wrote; empty if it failed

    @property
    def succeeded(self):
        return self.code in (0, 3) and bool(self.summary)

    def phases(self):
        """The seconds of the slowest rank in each phase, in words."""
        return ", ".join(f"{t['phase']} {t['max']:.2f}" for t in self.summary["timing"] if t["phase"] not in NO_PHASES)


def solve(program, source, target, output, options, ranks=1, quiet=False):
    """Runs `convoy solve`, under mpirun if there is more than one rank. Its log goes on to stderr unless `quiet`."""
    with tempfile.TemporaryDirectory(prefix="convoy-run-") as folder:
        peak, summary = pathlib.Path(folder) / "peak", pathlib.Path(folder) / "summary.json"
        command = [program, "solve", source, target, "-o", output, "--overwrite", "--summary", summary, *options]
        if ranks > 1:
            command = ["bash", "-c", 'source "$0"; mpi_run "$@"', ROOT / "tools/environment.sh", ranks, *command]
        started = time.monotonic()
        run = subprocess.Popen([str(word) for word in (sys.executable, __file__, peak, *command)], text=True,
                               errors="replace", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE)
        error = ""
        try:
            for line in run.stderr:
                if line.startswith("error: ") and not error:
                    error = line[len("error: "):].strip()
                elif not quiet:
                    print(line, end="", file=sys.stderr, flush=True)
            code = run.wait()
        finally:
            if run.poll() is None:
                run.terminate()
                run.wait()
        seconds = time.monotonic() - started
        written = json.loads(summary.read_text()) if summary.exists() else {}
        kib = int(peak.read_text()) if peak.exists() else 0
        return Run(code, error or ("" if code in (0, 3) else f"exit code {code}"), seconds, kib / 2 ** 20, written)


def find_program(given):
    """The program's absolute path. \\raises ValueError if there is none"""
    found = shutil.which(str(given)) if given else str(PROGRAM) if os.access(PROGRAM, os.X_OK) else None
    if not found:
        raise ValueError(f"no program {given or PROGRAM} (tools/build makes build/bin/convoy; --convoy names another)")
    return os.path.abspath(found)


def machine():
    """One line about this machine."""
    text = pathlib.Path("/proc/cpuinfo").read_text() if os.path.exists("/proc/cpuinfo") else ""
    model = re.search(r"^model name\s*: (.*)$", text, re.MULTILINE)
    gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2 ** 30
    words = [f"{len(os.sched_getaffinity(0))} cores of {model[1] if model else platform.machine()}", f"{gib:.0f} GiB"]
    if shutil.which("nvidia-smi"):
        listed = subprocess.run(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"], text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        names = listed.stdout.split("\n")[:-1] if listed.returncode == 0 else []
        words += [f"{names.count(name)} x {name}" for name in sorted(set(names))]
    return ", ".join(words)


def head(title, program):
    """The first lines of a report in Markdown: what ran, where, when."""
    import numpy as np

    version = subprocess.run([program, "--version"], text=True, stdout=subprocess.PIPE).stdout.strip()
    started = pathlib.Path(sys.argv[0]).resolve()
    name = started.relative_to(ROOT) if started.is_relative_to(ROOT) else started
    return [f"# {title}", "",
            f"- machine: {machine()}",
            f"- versions: {version}; Python {platform.python_version()}, numpy {np.__version__}",
            f"- command: `{shlex.join([str(name), *sys.argv[1:]])}`",
            f"- {datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d %H:%M} UTC"]


def main():
    peak, *command = sys.argv[1:]
    child = subprocess.Popen(command, start_new_session=True)
    for number in signal.SIGINT, signal.SIGTERM:
        signal.signal(number, lambda number, _: os.killpg(child.pid, number))
    _, status, usage = os.wait4(child.pid, 0)
    pathlib.Path(peak).write_text(str(usage.ru_maxrss))
    code = os.waitstatus_to_exitcode(status)
    sys.exit(code if code >= 0 else 128 - code)


if __name__ == "__main__":
    main()
