"""OTT-JAX, in single precision: dense (a cost matrix in memory, or PointCloud without batches) and online."""
import importlib.metadata

import jax
import jax.numpy as jnp
import numpy as np
from ott.geometry import epsilon_scheduler, geometry, pointcloud
from ott.initializers.linear import initializers
from ott.problems.linear import linear_problem
from ott.solvers.linear import acceleration, sinkhorn

from . import Outcome

VERSIONS = [f"{name} {importlib.metadata.version(name)}" for name in ("ott-jax", "jax")]
MAX_ITERATIONS = 200000


def single(array):
    return jnp.asarray(array, dtype=jnp.float32)


# --- one log-sum-exp ------------------------------------------------------------------------------------------------

def reductions(setting, problem):
    """setting: batch_size=N (online), or cost matrix, PointCloud (dense)."""
    n, m, epsilon = len(problem.x), len(problem.y), problem.epsilon
    if setting == "cost matrix":
        pairs = geometry.Geometry(single(problem.cost_matrix(np.float32)), epsilon=epsilon)
    else:
        batch = int(setting.split("=")[1]) if "=" in setting else None
        pairs = pointcloud.PointCloud(single(problem.x), single(problem.y), batch_size=batch, epsilon=epsilon)
    f, g = single(problem.f + epsilon * np.log(1 / n)), single(problem.g + epsilon * np.log(1 / m))
    kernel = jax.jit(lambda pairs, f, g, axis: pairs.apply_lse_kernel(f, g, epsilon, axis=axis)[0], static_argnums=3)

    def to(axis):
        return lambda: -np.asarray(jax.block_until_ready(kernel(pairs, f, g, axis)))
    return to(1), to(0)


# --- whole solutions ------------------------------------------------------------------------------------------------

DECAY = {"epsilon": {"init": 100.0, "decay": 0.95}}
ANDERSON = {"anderson": acceleration.AndersonAcceleration(memory=5, refresh_every=1)}
ADAPTIVE = {"momentum": acceleration.Momentum(start=50)}
GAUSSIAN = {"initializer": initializers.GaussianInitializer()}


def momentum(value):
    return {"momentum": acceleration.Momentum(value=value)}


SOLVERS = {
    "momentum 1.5": momentum(1.5),
    "momentum 1.8": momentum(1.8),  # 1.9 was seen to diverge
    "momentum 1.7": momentum(1.7),
    "Anderson, memory 5": ANDERSON,
    "epsilon decay 0.95, Anderson, memory 5": {**DECAY, **ANDERSON},
    "epsilon decay 0.95, momentum 1.8": {**DECAY, **momentum(1.8)},
    "adaptive momentum from 50": ADAPTIVE,
    "adaptive momentum from 200": {"momentum": acceleration.Momentum(start=200)},
    "Gaussian start, momentum 1.8": {**GAUSSIAN, **momentum(1.8)},
    "Gaussian start, adaptive momentum from 50": {**GAUSSIAN, **ADAPTIVE},
    "Gaussian start, Anderson, memory 5": {**GAUSSIAN, **ANDERSON},
    "subsample start, momentum 1.8": {"initializer": "subsample", **momentum(1.8)},
    "subsample start, Anderson, memory 5": {"initializer": "subsample", **ANDERSON},
    "Anderson, memory 10, every 5": {"anderson": acceleration.AndersonAcceleration(memory=10, refresh_every=5)},
    "Anderson, memory 3": {"anderson": acceleration.AndersonAcceleration(memory=3, refresh_every=1)},
    "epsilon decay 0.95": DECAY,
    "epsilon decay 0.8": {"epsilon": {"init": 100.0, "decay": 0.8}},
    "plain": {},
    "kernel mode": {"lse_mode": False},
}
FEW = ["momentum 1.8", "Anderson, memory 5", "Gaussian start, Anderson, memory 5", "plain"]


def solvers(problem, few=False):
    return FEW if few else list(SOLVERS)


class Solver:
    """Sinkhorn on a cost matrix in memory, which is not part of the time (the initializer is)."""

    threshold = 1e-3  # of the L1 error of one marginal

    def __init__(self, setting, problem):
        self.options = dict(SOLVERS[setting])
        self.problem = problem
        self.n, self.m = len(problem.x), len(problem.y)
        schedule = self.options.pop("epsilon", None)
        target = jnp.float32(problem.epsilon)
        self.epsilon = epsilon_scheduler.Epsilon(target, **schedule) if schedule else problem.epsilon
        self.matrix = single(problem.cost_matrix(np.float32))
        self.points = single(problem.x), single(problem.y)
        self.initializer = self.options.pop("initializer", None)
        if self.initializer == "subsample":
            self.initializer = initializers.SubsampleInitializer(min(2000, self.n // 4), min(2000, self.m // 4),
                                                                 max_iterations=5000)

    def prepare(self, threshold):
        method = sinkhorn.Sinkhorn(threshold=threshold, norm_error=1, max_iterations=MAX_ITERATIONS, **self.options)

        def solve(matrix, x, y):
            pairs = linear_problem.LinearProblem(geometry.Geometry(matrix, epsilon=self.epsilon))
            start = None
            if self.initializer is not None:
                cloud = linear_problem.LinearProblem(pointcloud.PointCloud(x, y, epsilon=self.problem.epsilon))
                start = self.initializer.init_fu(cloud, lse_mode=True), jnp.zeros(self.m, jnp.float32)
            result = method(pairs, init=start) if start else method(pairs)
            return result.f, result.g, result.n_iters, result.converged
        self.compiled = jax.jit(solve).lower(self.matrix, *self.points).compile()

    def run(self):
        f, g, iterations, converged = jax.block_until_ready(self.compiled(self.matrix, *self.points))
        f, g = (np.asarray(potential, dtype=np.float64) for potential in (f, g))
        epsilon = self.problem.epsilon
        return Outcome(f + epsilon * np.log(self.n), g + epsilon * np.log(self.m), int(iterations),
                       "" if converged else "not converged by its own account", bool(converged))


solver = Solver
