"""Problems of the comparison, their epsilon from its definition, and marginal errors in double."""
import importlib.machinery
import importlib.util
import json
import os
import pathlib
import subprocess
import tempfile
from dataclasses import dataclass, field

import numpy as np

TOOLS = pathlib.Path(__file__).resolve().parent.parent
BLOCK = 500  # rows at a time


def shapes():
    """The generators of tools/make-clouds."""
    loader = importlib.machinery.SourceFileLoader("make_clouds", str(TOOLS / "make-clouds"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("make_clouds", loader))
    loader.exec_module(module)
    return module.SHAPES


# --- what is measured -----------------------------------------------------------------------------------------------

@dataclass
class Case:
    """A problem to be made, with the ratios to the peers' figures that are required (empty: none are)."""
    name: str
    make: object  # points -> x, y
    points: int | None  # of each cloud; None: fixed by the data
    rule: str
    required: dict = field(default_factory=dict)
    required_cached: dict = field(default_factory=dict)
    quick: bool = False  # also under --quick
    left_out: dict = field(default_factory=dict)  # peers that are not run, and why


def drawn(shape, other, d, shift=0.0):
    def make(points):
        known = shapes()
        return (known[shape](np.random.default_rng(0), points, d),
                known[other](np.random.default_rng(1), points, d) + shift)
    return make


def eight_clusters(points):
    """A normal cloud, and eight small normal clusters on a circle around it."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((points, 2))
    angle = 2 * np.pi / 8 * rng.integers(8, size=points)
    return x, 5 * np.stack((np.cos(angle), np.sin(angle)), axis=1) + 0.3 * rng.standard_normal((points, 2))


def cells(zone):
    path = pathlib.Path(os.environ["CONVOY_TEST_DATA"]) / "single_cell/h5ad/arabidopsis_root.h5ad"
    with tempfile.TemporaryDirectory() as folder:
        output = pathlib.Path(folder) / "cells.npy"
        subprocess.run([TOOLS / "h5ad-to-npy", path, "obsm/X_pca", "--where", f"zone={zone}", "-o", output], check=True,
                       stdout=subprocess.DEVNULL)
        return np.load(output)


def rate_cases():
    def case(d, points, required, required_cached, **further):
        return Case(f"Gaussians, d={d}", drawn("gaussian", "gaussian", d, 0.5), points, "0.05std", required,
                    required_cached, quick=d in (3, 64), **further)
    yield case(3, 20000, {"OTT-JAX online": 20, "KeOps": 20, "OTT-JAX dense": 5}, {})
    yield case(10, 20000, {"OTT-JAX online": 12}, {})
    yield case(64, 20000, {"OTT-JAX online": 8, "OTT-JAX dense": 3, "KeOps": 30}, {"OTT-JAX dense": 5})
    yield case(1024, 10000, {}, {"OTT-JAX dense": 8},
               left_out={"KeOps": "not run: below 1e6 pairs a second on few points"})


def time_cases():
    """Required: over OTT-JAX, and over the fastest peer."""
    hard, easy = {"OTT-JAX": 100, "fastest peer": 50}, {"OTT-JAX": 15, "fastest peer": 8}
    yield Case("shell to torus, d=3, 0.01std", drawn("shell", "torus", 3), 20000, "0.01std", hard, quick=True)
    yield Case("shell to torus, d=3, 0.003std", drawn("shell", "torus", 3), 20000, "0.003std", hard)
    yield Case("eight clusters, d=2, 0.01std", eight_clusters, 20000, "0.01std", hard)
    yield Case("Gaussians, d=32, 0.03std", drawn("gaussian", "gaussian", 32, 0.5), 10000, "0.03std", easy,
               quick=True)
    yield Case("arabidopsis cells, d=50, 0.005mean", lambda _: (cells("Meristem"), cells("Elongation")), None,
               "0.005mean", {"OTT-JAX": 30, "fastest peer": 20})


# --- a problem and its figures --------------------------------------------------------------------------------------

@dataclass
class Problem:
    """Points as doubles that are floats, equal masses, squared distance; potentials where something has found them."""
    x: object
    y: object
    epsilon: float
    f: object = None
    g: object = None

    def save(self, folder):
        for name in ("x", "y"):
            np.save(folder / f"{name}.npy", getattr(self, name).astype(np.float32))
        for name in ("f", "g"):
            path = folder / f"{name}.npy"
            path.unlink(missing_ok=True)
            if getattr(self, name) is not None:
                np.save(path, getattr(self, name))
        (folder / "problem.json").write_text(json.dumps({"epsilon": self.epsilon}))

    def costs(self, rows=slice(None)):
        """Rows of the cost matrix, in double."""
        x = self.x[rows]
        cost = x @ self.y.T
        cost *= -2
        cost += (x**2).sum(1)[:, None]
        cost += (self.y**2).sum(1)
        return np.maximum(cost, 0, out=cost)

    def cost_matrix(self, dtype):
        """All of it, worked out in double."""
        matrix = np.empty((len(self.x), len(self.y)), dtype)
        for rows in blocks(len(self.x)):
            matrix[rows] = self.costs(rows)
        return matrix


def load(folder):
    folder = pathlib.Path(folder)
    paths = {name: folder / f"{name}.npy" for name in ("x", "y", "f", "g")}
    arrays = {name: np.load(path).astype(np.float64) for name, path in paths.items() if path.exists()}
    return Problem(**arrays, **json.loads((folder / "problem.json").read_text()))


def blocks(n):
    return [slice(start, min(start + BLOCK, n)) for start in range(0, n, BLOCK)]


def made(case, points):
    """The case with so many points (None: as many as it has), as the floats that the files will hold, and centred."""
    x, y = (cloud.astype(np.float64) for cloud in case.make(points or case.points))
    centre = (x.mean(0) + y.mean(0)) / 2
    x, y = ((cloud - centre).astype(np.float32).astype(np.float64) for cloud in (x, y))
    problem = Problem(x, y, 1.0)
    problem.epsilon = absolute_epsilon(case.rule, problem)
    return problem


def absolute_epsilon(rule, problem):
    """0.05std, 0.05mean: of the cost over all pairs."""
    pairs = len(problem.x) * len(problem.y)
    mean = sum(problem.costs(rows).sum() for rows in blocks(len(problem.x))) / pairs
    if rule.endswith("mean"):
        return float(rule[:-4]) * mean
    variance = sum(((problem.costs(rows) - mean)**2).sum() for rows in blocks(len(problem.x))) / pairs
    return float(rule[:-3]) * float(np.sqrt(variance))


def marginal_errors(problem, f, g):
    """L1 errors of the source's and the target's marginal of P_ij = exp((f_i + g_j - C_ij) / epsilon) / (n m)."""
    n, m = len(problem.x), len(problem.y)
    scaled_f, scaled_g = f / problem.epsilon, g / problem.epsilon - np.log(n) - np.log(m)
    of_rows, of_columns = np.empty(n), np.zeros(m)
    with np.errstate(over="ignore", invalid="ignore"):
        for rows in blocks(n):
            plan = problem.costs(rows)
            plan /= -problem.epsilon
            plan += scaled_f[rows, None]
            plan += scaled_g
            np.exp(plan, out=plan)
            of_rows[rows] = plan.sum(1)
            of_columns += plan.sum(0)
        return float(np.abs(of_rows - 1 / n).sum()), float(np.abs(of_columns - 1 / m).sum())


def soft_minimum(problem, rows):
    """New f of some rows, from problem.g."""
    from scipy.special import logsumexp
    m = len(problem.y)
    return -problem.epsilon * logsumexp((problem.g - problem.costs(rows)) / problem.epsilon - np.log(m), axis=1)
