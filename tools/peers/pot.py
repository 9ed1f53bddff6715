"""POT, on NumPy and on PyTorch arrays."""
import importlib.metadata
import importlib.util
import warnings

import numpy as np
import ot

from . import Outcome

VERSIONS = [f"POT {importlib.metadata.version('POT')}"]
HAS_TORCH = importlib.util.find_spec("torch") is not None
MAX_ITERATIONS = 1000000


def array(values, setting):
    """In the precision that the setting names, on the backend that it names."""
    values = np.ascontiguousarray(values, dtype=np.float32 if "single" in setting else np.float64)
    if "PyTorch" not in setting:
        return values
    import torch
    return torch.from_numpy(values)


def as_double(values):
    return np.asarray(values, dtype=np.float64)


# --- the product of the kernel method, which is no log-sum-exp ------------------------------------------------------

def reductions(setting, problem):
    """The matrix-vector products of ot.sinkhorn, without logarithms: it ends where exp(-C / epsilon) is zero."""
    kernel = problem.cost_matrix(np.float32)
    kernel /= -np.float32(problem.epsilon)
    np.exp(kernel, out=kernel)
    kernel[kernel < np.finfo(np.float32).tiny] = 0  # subnormal numbers are slow
    u, v = np.ones(len(problem.x), np.float32), np.ones(len(problem.y), np.float32)

    def to_source():
        kernel @ v

    def to_target():
        kernel.T @ u
    return to_source, to_target


# --- whole solutions ------------------------------------------------------------------------------------------------

def solvers(problem, few=False):
    if few:
        return ["sinkhorn, NumPy, double", "sinkhorn_stabilized, " + ("PyTorch" if HAS_TORCH else "NumPy") + ", double"]
    fast = ["PyTorch"] if HAS_TORCH else ["NumPy"]
    names = [f"sinkhorn, {backend}, {precision}" for backend in [*fast, "NumPy"] for precision in ("single", "double")]
    names += [f"{method}, {backend}, {precision}" for method, precisions in
              (("sinkhorn_stabilized", ("double", "single")), ("sinkhorn_log", ("single", "double")),
               ("sinkhorn_epsilon_scaling", ("double",))) for precision in precisions for backend in fast]
    return list(dict.fromkeys(names))


class Solver:
    """ot.sinkhorn. Its threshold is of the 2-norm of one marginal's error, looked at every ten or twenty iterations."""

    def __init__(self, setting, problem):
        self.method = setting.split(",")[0]
        self.problem = problem
        n, m = len(problem.x), len(problem.y)
        self.a, self.b = array(np.full(n, 1 / n), setting), array(np.full(m, 1 / m), setting)
        matrix = problem.cost_matrix(np.float32 if "single" in setting else np.float64)
        self.further = {"epsilon0": float(matrix.max())} if self.method == "sinkhorn_epsilon_scaling" else {}
        self.matrix = array(matrix, setting)
        self.threshold = 1.25e-3 / np.sqrt(m)  # a normal error of that norm has an L1 norm of 1e-3

    def prepare(self, threshold):
        self.stop = threshold

    def run(self):
        with warnings.catch_warnings(record=True) as caught, np.errstate(all="ignore"):
            warnings.simplefilter("always")
            _, log = ot.sinkhorn(self.a, self.b, self.matrix, self.problem.epsilon, method=self.method, log=True,
                                 numItermax=200 if self.further else MAX_ITERATIONS, stopThr=self.stop, **self.further)
        epsilon, n, m = self.problem.epsilon, len(self.a), len(self.b)
        with np.errstate(all="ignore"):
            if self.method == "sinkhorn_log":
                f, g = epsilon * as_double(log["log_u"]), epsilon * as_double(log["log_v"])
            elif self.method == "sinkhorn":
                f, g = epsilon * np.log(as_double(log["u"])), epsilon * np.log(as_double(log["v"]))
            else:
                f, g = as_double(log["alpha"]), as_double(log["beta"])
        complaint = next((str(w.message) for w in caught if "erical errors" in str(w.message)), "")
        unfinished = any("did not converge" in str(w.message) for w in caught)
        return Outcome(f + epsilon * np.log(n), g + epsilon * np.log(m), log.get("niter", log.get("n_iter")),
                       "numerical errors (exp underflows)" if complaint else "not converged" if unfinished else "",
                       not complaint and not unfinished)


solver = Solver
