"""Where the programs are, what they need around them, and one step of a part: a command with a limit."""
import dataclasses
import importlib.util
import json
import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import sys
import tarfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
# As tools/environment.sh has them.
MPI_ENVIRONMENT = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
                   "OMPI_MCA_rmaps_base_oversubscribe": "1", "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
                   "OMPI_MCA_hwloc_base_binding_policy": "none", "OMPI_MCA_btl_vader_single_copy_mechanism": "none"}
PROGRAMS = {"convoy": "bin/convoy", "cuda_rates": "bin/cuda_rates"}
TESTS = ("tests/bin/cuda_block_test",)  # those with the label `device`


@dataclasses.dataclass
class Step:
    name: str
    command: list
    limit: float  # seconds
    ranks: int = 0  # 0: without mpirun
    reads: object = None  # a file of JSON that it writes; "output": its last line is JSON
    trace: object = None  # a file of CSV that it writes: convoy's history
    codes: tuple = (0,)  # that are well
    needs: tuple = ()  # Python modules, or programs on the PATH: without them it is left out
    forbidden: str = ""  # must not be in its output
    optional: bool = False  # it may fail


class Kit:
    """Programs in a build folder, or in a bundle: a folder with env.sh, which unpacks them and sets BUNDLE."""

    def __init__(self, build, bundle, work, python=sys.executable):
        self.build, self.bundle, self.work, self.python = pathlib.Path(build), bundle, pathlib.Path(work), python
        self.cores = len(os.sched_getaffinity(0))
        self.environment = {**MPI_ENVIRONMENT, **os.environ, "PYTHONPATH": str(ROOT / "tools"),
                            "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"}
        toolkits = [os.environ.get("CUDA_HOME"), "/usr/local/cuda"]  # their tools, where they are not on the PATH
        self.environment["PATH"] += "".join(f":{folder}/bin" for folder in toolkits if folder)
        self.programs = pathlib.Path(bundle).resolve() / "BUNDLE" if bundle else self.build  # until it is unpacked

    def unpack(self):
        """The bundle's own way: its script is sourced, and what it has set is ours."""
        script = pathlib.Path(self.bundle) / "env.sh"
        done = subprocess.run(["bash", "-c", '. "$0" >&2 && env -0', script], capture_output=True)
        if done.returncode:
            raise ValueError(f"{script} failed: {done.stderr.decode(errors='replace').strip()[-300:]}")
        set_there = dict(line.split("=", 1) for line in done.stdout.decode().split("\0") if "=" in line)
        self.environment.update(set_there, PYTHONPATH=str(ROOT / "tools"))
        self.programs = pathlib.Path(set_there["BUNDLE"])

    def packed(self):
        """Paths of what the bundle holds, without unpacking it."""
        with tarfile.open(pathlib.Path(self.bundle) / "bundle.tar.gz") as archive:
            return {str(pathlib.PurePosixPath(name)) for name in archive.getnames()}

    def program(self, name):
        return self.programs / PROGRAMS[name]

    def tests(self):
        """Tests of the backend on a device."""
        return [self.programs / name for name in TESTS]

    def tool(self, name, *words):
        return [self.python, ROOT / "tools" / name, *words]

    def lacking(self, step):
        """What the step needs and is not there."""
        return [name for name in step.needs
                if not (shutil.which(name, path=self.environment.get("PATH")) or importlib.util.find_spec(name))]

    def words(self, step, limit=None):
        words = ["timeout", "--kill-after=10", f"{min(step.limit, limit or step.limit):.0f}"]
        if step.ranks:
            words += ["mpirun", "-n", step.ranks]
        return [str(word) for word in (*words, *step.command)]

    def missing(self, step, built_later):
        """Files that its command names and that are not there; what a build will make is no fault."""
        absent = []
        for word in step.command:
            path = pathlib.Path(str(word))
            if not path.is_absolute() or self.work in path.parents or path.exists():
                continue
            if self.programs in path.parents:
                packed = self.bundle and str(path.relative_to(self.programs)) in self.packed()
                if packed or built_later:
                    continue
            absent.append(str(path))
        return absent

    def run(self, step, say, left):
        """Runs it, with its output passed on line by line; what is to be remembered of it."""
        words = self.words(step, left)
        threads = max(self.cores // max(step.ranks, 1), 1)
        environment = {**self.environment, "OMP_NUM_THREADS": str(threads)}
        say(f"\n== {step.name}\n$ {shlex.join(words)}")
        started, last, met = time.monotonic(), "", False
        process = subprocess.Popen(words, cwd=ROOT, env=environment, text=True, errors="replace", start_new_session=True,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            for line in process.stdout:
                say(line.rstrip("\n"))
                last = line if line.strip() else last
                met = met or bool(step.forbidden and step.forbidden in line)
            code = process.wait()
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
                process.wait()
        seconds = time.monotonic() - started
        known = {"step": step.name, "command": shlex.join(words), "code": code, "seconds": seconds,
                 "ok": code in step.codes and not met, "optional": step.optional, "data": data_of(step, last),
                 "trace": trace_of(step)}
        if not known["ok"]:
            known["why"] = (f"'{step.forbidden}'" if met else "out of time" if code in (124, 137) else f"exit code {code}")
        say(f"== {step.name}: {'done' if known['ok'] else known['why']}, {seconds:.1f} s")
        return known


def data_of(step, last_line):
    try:
        if step.reads == "output":
            return json.loads(last_line)
        return json.loads(pathlib.Path(step.reads).read_text()) if step.reads else None
    except (OSError, ValueError):
        return None


def trace_of(step):
    """The seconds at which half-passes ended."""
    try:
        lines = pathlib.Path(step.trace).read_text().splitlines() if step.trace else []
        return [float(line.rsplit(",", 1)[1]) for line in lines[1:]]
    except (OSError, ValueError):
        return []
