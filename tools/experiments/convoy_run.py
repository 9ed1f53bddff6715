"""What the experiments share: running convoy, its time and memory measured from outside, options, reports, figures.

As a program, `convoy_run.py FILE COMMAND...` runs the command, writes the peak memory of its largest process to FILE
(in KiB) and ends as it does. It is a process of its own because a child is charged with the memory of its starter.
"""
import argparse
import contextlib
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
SUMMARISED = {"solve", "progot", "divergence", "score"}
SOLVERS = {"solve", "progot", "divergence"}


@dataclasses.dataclass
class Run:
    code: int
    error: str  # the program's line, if it failed
    seconds: float  # from its start to its end, all ranks
    peak_gib: float  # of the largest process
    summary: dict  # what --summary wrote; empty if it failed

    @property
    def succeeded(self):
        return self.code in (0, 3) and not self.error

    def phases(self):
        """The seconds of the slowest rank in each phase, in words."""
        return ", ".join(f"{t['phase']} {t['max']:.2f}" for t in self.summary["timing"] if t["phase"] not in NO_PHASES)


def run(program, command, *words, ranks=1, quiet=False):
    """Runs `convoy COMMAND WORDS...`, under mpirun if there is more than one rank. Its log goes on to stderr unless
    `quiet`. An output that is there is replaced; a summary is read of every command that writes one."""
    with tempfile.TemporaryDirectory(prefix="convoy-run-") as folder:
        peak, summary = pathlib.Path(folder) / "peak", pathlib.Path(folder) / "summary.json"
        line = [program, command, *words, *(["--overwrite"] if "-o" in words else [])]
        line += ["--summary", summary] if command in SUMMARISED else []
        if ranks > 1:
            line = ["bash", "-c", 'source "$0"; mpi_run "$@"', ROOT / "tools/environment.sh", ranks, *line]
        started = time.monotonic()
        process = subprocess.Popen([str(word) for word in (sys.executable, __file__, peak, *line)], text=True,
                                   errors="replace", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE)
        error = ""
        try:
            for text in process.stderr:
                if text.startswith("error: ") and not error:
                    error = text[len("error: "):].strip()
                elif not quiet:
                    print(text, end="", file=sys.stderr, flush=True)
            code = process.wait()
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
        seconds = time.monotonic() - started
        written = json.loads(summary.read_text()) if summary.exists() else {}
        kib = int(peak.read_text()) if peak.exists() else 0
        return Run(code, error or ("" if code in (0, 3) else f"exit code {code}"), seconds, kib / 2 ** 20, written)


class Convoy:
    """The program with what every run of an experiment is given, and a folder for its files."""

    def __init__(self, options, folder):
        self.program, self.ranks, self.quiet = options.convoy, options.ranks, options.quiet
        self.folder, self.further = pathlib.Path(folder), options.further

    def run(self, command, *words):
        """\\raises ValueError with the program's own line if it failed; one that did not converge is returned."""
        words += tuple(self.further) if command in SOLVERS else ()
        done = run(self.program, command, *words, ranks=self.ranks, quiet=self.quiet)
        if not done.succeeded:
            raise ValueError(f"convoy {command}: {done.error}")
        return done

    def save(self, name, points):
        import numpy as np
        np.save(self.folder / f"{name}.npy", points)
        return self.folder / f"{name}.npy"

    def mapped(self, model, points, *words):
        """The points (an array) where the model sends them."""
        import h5py
        images = self.folder / "mapped.h5"
        self.run("map", model, self.save("points", points), "-o", images, *words)
        with h5py.File(images) as file:
            return file["points"][:]


def travelled(file, steps, source):
    """Where the source of a model (an open file) was in the last of its steps; it starts where it was given."""
    return file[f"steps/source_{steps}"][:] if steps > 1 else source


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


class Report:
    """Markdown on stdout and, if asked for, in a file; every line is out when it is written."""

    def __init__(self, output, overwrite):
        if output:
            output.parent.mkdir(parents=True, exist_ok=True)
        self.file = open(output, "w" if overwrite else "x") if output else None

    def line(self, text=""):
        for stream in filter(None, (sys.stdout, self.file)):
            print(text, file=stream, flush=True)

    def row(self, cells):
        self.line(f"| {' | '.join(str(cell) for cell in cells)} |")

    def table(self, columns):
        """The head of one."""
        self.row(columns)
        self.row(["---"] * len(columns))


def say(text):
    print(text, file=sys.stderr, flush=True)


def numbers(kind):
    """A type for argparse: positive numbers, separated by commas."""
    def convert(text):
        values = [kind(word) for word in text.split(",")]
        if not all(0 < value < float("inf") for value in values):
            raise ValueError
        return values
    convert.__name__ = "list of positive numbers"
    return convert


def count(text):
    if int(text) < 1:
        raise ValueError
    return int(text)


class Parser(argparse.ArgumentParser):
    """Errors are one line; words after -- are kept as `further`."""

    def __init__(self, description):
        super().__init__(description=description, formatter_class=argparse.RawDescriptionHelpFormatter,
                         allow_abbrev=False)

    def error(self, message):
        self.exit(2, f"error: {message} (--help lists the options)\n")

    def add_common(self):
        """What every experiment with a figure has."""
        add = self.add_argument_group("runs").add_argument
        add("--quick", action="store_true", help="a few seconds' worth, to see that it works")
        add("--ranks", type=count, default=1, metavar="N", help="of MPI (default %(default)s: without mpirun)")
        add("--convoy", metavar="PROGRAM", help="(default: build/bin/convoy)")
        add("--folder", type=pathlib.Path, metavar="DIR", help="keep clouds and results there (default: a temporary "
                                                               "folder)")
        add = self.add_argument_group("output").add_argument
        add("--output", type=pathlib.Path, metavar="FILE.md", help="the report, also here")
        add("--overwrite", action="store_true", help="replace it if it exists")
        add("--figures", type=pathlib.Path, default=ROOT / "out/experiments", metavar="DIR",
            help="where pictures go and replace those of before (default: out/experiments)")
        add("--log", dest="quiet", action="store_false", help="show convoy's log")

    def parse(self, words):
        further = words[words.index("--") + 1:] if "--" in words else []
        options = self.parse_args(words[:words.index("--")] if "--" in words else words)
        options.further = further
        return options

    def finish(self, options):
        """Outputs must not exist, the program must."""
        for file in options.output, getattr(options, "picture", None):
            if file and file.exists() and not options.overwrite:
                self.error(f"{file} exists; --overwrite replaces it")
        try:
            options.convoy = find_program(options.convoy)
        except ValueError as error:
            self.error(error)
        return options


@contextlib.contextmanager
def at_work(options, name):
    """A folder to work in; what goes wrong within becomes one line and an exit code."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("error: ended by a signal"))
    try:
        with contextlib.ExitStack() as stack:
            if options.folder:
                options.folder.mkdir(parents=True, exist_ok=True)
            yield options.folder or pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=f"{name}-")))
    except (OSError, ValueError, MemoryError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("error: interrupted")


def plotter():
    """matplotlib.pyplot, for files."""
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    plt.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False,
                         "figure.constrained_layout.use": True})
    return plt


def log_scale(axes, which, at=None):
    """A logarithmic x or y axis with plain numbers: at 1, 2 and 5 times the powers of ten, or where told."""
    from matplotlib import ticker
    getattr(axes, f"set_{which}scale")("log")
    axis = getattr(axes, f"{which}axis")
    axis.set_major_locator(ticker.FixedLocator(at) if at else ticker.LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter("{x:,.6g}")
    axis.set_minor_locator(ticker.NullLocator())


def draw(figure, folder, name):
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / f"{name}.png", dpi=110)
    say(f"drew {folder / name}.png")


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
