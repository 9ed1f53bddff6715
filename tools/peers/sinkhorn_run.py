"""Plain Sinkhorn by another library, on the device that it finds (else on the CPU), in a process of its own.

    python -m peers.sinkhorn_run MODULE SETTING FOLDER [--tolerance T] [--cap SECONDS]

FOLDER holds x.npy, y.npy and problem.json (epsilon, of the squared distance). A module has `SETTINGS` and a class
Sinkhorn(setting, x, y, epsilon) on float32 arrays with these methods, potentials being F = f/epsilon of the product
reference P_ij = exp(F_i + G_j - C_ij/epsilon) / (n m):

    zeros() -> F            to_target(F) -> G           to_source(G) -> F
    change(F, new) -> float mean |exp(F - new) - 1|, the L1 error of the rows when columns are exact
    host(F) -> NumPy array  wait()

or, in place of the first four, solve(tolerance) -> F, G, half-passes: a library's own loop.

Prints one line of JSON: seconds of a half-pass (both directions averaged), of a whole solution from the points in host
memory to the potentials there (cost matrix included, compilation not: it is done before, on the same shapes), and the L1
errors of both marginals in double, from some rows and columns.
"""
import argparse
import importlib
import json
import pathlib
import sys
import time

import numpy as np

SAMPLE = 1000  # rows and columns whose marginals are worked out in double


def load(folder):
    folder = pathlib.Path(folder)
    x, y = (np.load(folder / f"{name}.npy").astype(np.float32) for name in ("x", "y"))
    return x, y, json.loads((folder / "problem.json").read_text())["epsilon"]


def centred(x, y):
    """Squared distances do not change, single precision holds them better."""
    centre = (x.mean(0, dtype=np.float64) + y.mean(0, dtype=np.float64)) / 2
    return tuple((cloud - centre).astype(np.float32) for cloud in (x, y))


def log_sum(logits):
    most = logits.max(1)
    return most + np.log(np.exp(logits - most[:, None]).sum(1))


def error_of_rows(x, y, f, g, epsilon):
    """L1 error of the row marginal, from a sample of its rows, in double."""
    rows = np.linspace(0, len(x) - 1, min(SAMPLE, len(x))).astype(int)
    marginal = np.empty(len(rows))
    y, norms = y.astype(np.float64), (y.astype(np.float64)**2).sum(1)
    for part in np.array_split(np.arange(len(rows)), -(-len(rows) // 100)):
        points = x[rows[part]].astype(np.float64)
        costs = (points**2).sum(1)[:, None] + norms - 2 * points @ y.T
        marginal[part] = np.exp(log_sum(g - costs / epsilon) + f[rows[part]] - np.log(len(y)))
    return float(np.abs(marginal - 1).mean())


def half_pass_seconds(method, least=1.0, most=20):
    f = method.zeros()
    seconds = []
    while not seconds or sum(seconds) < least and len(seconds) < most:
        start = time.perf_counter()
        f = method.to_source(method.to_target(f))
        method.wait()
        seconds.append((time.perf_counter() - start) / 2)
    return {"half_pass": float(np.median(seconds)), "least": min(seconds), "most": max(seconds), "times": len(seconds)}


def whole(make, tolerance, cap):
    """From the points to the potentials; stopped where it takes longer than `cap`."""
    start = time.perf_counter()
    method = make()
    if hasattr(method, "solve"):
        f, g, half_passes = method.solve(tolerance)
    else:
        f, half_passes, change = method.zeros(), 0, np.inf
        while change > tolerance and time.perf_counter() - start < cap:
            g = method.to_target(f)
            new = method.to_source(g)
            change, before, f = method.change(f, new), f, new
            half_passes += 2
        f = before  # that belongs to g: its columns are exact
    f, g = method.host(f), method.host(g)
    return f, g, half_passes, time.perf_counter() - start


def run(module, setting, folder, tolerance, cap):
    peer = importlib.import_module(f"peers.{module}")
    x, y, epsilon = load(folder)
    x, y = centred(x, y)

    def make():
        return peer.Sinkhorn(setting, x, y, epsilon)

    start = time.perf_counter()
    method = make()
    found = {"peer": module, "setting": setting, "device": peer.device(), "versions": peer.versions()}
    if hasattr(method, "solve"):
        method.solve(tolerance)
    else:
        method.change(method.to_source(method.to_target(method.zeros())), method.zeros())
        method.wait()
        found["setup"] = time.perf_counter() - start
        found.update(half_pass_seconds(method))
    found.setdefault("setup", time.perf_counter() - start)
    del method
    f, g, half_passes, seconds = whole(make, tolerance, cap)
    errors = error_of_rows(x, y, f, g, epsilon), error_of_rows(y, x, g, f, epsilon)
    found.update(seconds=seconds, half_passes=half_passes, source_error=errors[0], target_error=errors[1],
                 reached=bool(sum(errors) <= 1.1 * tolerance))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("module")
    parser.add_argument("setting")
    parser.add_argument("folder")
    parser.add_argument("--tolerance", type=float, default=1e-3)
    parser.add_argument("--cap", type=float, default=60)
    options = parser.parse_args()
    try:
        found = run(options.module, options.setting, options.folder, options.tolerance, options.cap)
    except Exception as problem:  # whatever a library says
        words = (str(problem).strip().splitlines() or [""])[0]
        print(json.dumps({"peer": options.module, "setting": options.setting,
                          "failed": f"{type(problem).__name__}: {words[:200]}"}))
        return 1
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
