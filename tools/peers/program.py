"""Convoy, by its command."""
import csv
import json
import subprocess
import time

import numpy as np

SKIPPED = 4  # half-passes at the start: their sums may take the safe form, and a cache is filled


class Refused(Exception):
    """The program does not know an option, or ended with an error."""


def version(program):
    return subprocess.run([program, "--version"], capture_output=True, text=True).stdout.strip()


def solve(program, folder, rule, threads, *options):
    """Runs it on the problem in the folder; its summary, and the seconds of the whole command."""
    result, summary = folder / "result.h5", folder / "summary.json"
    command = [program, "solve", folder / "x.npy", folder / "y.npy", "--epsilon", rule, "--threads", threads, "--quiet",
               "--overwrite", "-o", result, "--summary", summary, *options]
    start = time.perf_counter()
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    seconds = time.perf_counter() - start
    if done.returncode not in (0, 3):
        raise Refused(next(iter(done.stderr.strip().splitlines()), f"exit code {done.returncode}"))
    return json.loads(summary.read_text()), seconds


def potentials(folder):
    import h5py
    with h5py.File(folder / "result.h5") as result:
        return result["potentials/f"][:], result["potentials/g"][:]


def rate(program, folder, epsilon, threads, cache, half_passes):
    """Seconds of a half-pass, the mean of both directions: times in the trace, on from the potentials in start.h5."""
    trace = folder / "trace.csv"
    solve(program, folder, repr(epsilon), threads, "--cache", cache, "--init", folder / "start.h5", "--acceleration",
          "plain", "--annealing", "off", "--tolerance", "1e-30", "--max-half-passes", half_passes + SKIPPED,
          "--trace", trace)
    with open(trace) as file:
        seconds = np.array([float(row["seconds"]) for row in csv.DictReader(file)])
    steps = np.diff(seconds)[SKIPPED - 1:]
    return float(np.mean([np.median(steps[0::2]), np.median(steps[1::2])]))


def timed(program, folder, rule, threads, tolerance):
    """A solution with everything at its default."""
    summary, wall = solve(program, folder, rule, threads, "--tolerance", tolerance)
    solution = summary["solution"]
    seconds = sum(phase["max"] for phase in summary["timing"] if phase["phase"] in ("products", "start", "solve"))
    return {"seconds": seconds, "wall": wall, "half_passes": solution["half_passes"], "status": summary["status"],
            "equivalents": solution.get("work"), "epsilon": solution["epsilon"]}
