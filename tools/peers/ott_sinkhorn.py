"""OTT-JAX, its own Sinkhorn: online (PointCloud with batches), or dense (without)."""
import importlib.metadata

import jax
import jax.numpy as jnp
import numpy as np
from ott.geometry import pointcloud
from ott.problems.linear import linear_problem
from ott.solvers.linear import sinkhorn

SETTINGS = ["online, batches of 2048", "dense"]
MAX_ITERATIONS = 20000

jax.config.update("jax_default_matmul_precision", "highest")


def device():
    return str(jax.devices()[0].device_kind)


def versions():
    return f"OTT-JAX {importlib.metadata.version('ott-jax')}, JAX {jax.__version__}"


COMPILED = {}


class Sinkhorn:
    def __init__(self, setting, x, y, epsilon):
        self.batch = int(setting.split()[-1]) if setting.startswith("online") else None
        self.points = jnp.asarray(x), jnp.asarray(y)
        self.epsilon = float(epsilon)

    def solve(self, tolerance):
        key = self.batch, tolerance, *(cloud.shape for cloud in self.points)
        if key not in COMPILED:
            method = sinkhorn.Sinkhorn(threshold=tolerance, norm_error=1, max_iterations=MAX_ITERATIONS)

            def solve(x, y, epsilon):
                pairs = pointcloud.PointCloud(x, y, batch_size=self.batch, epsilon=epsilon)
                result = method(linear_problem.LinearProblem(pairs))
                return result.f, result.g, result.n_iters
            COMPILED[key] = jax.jit(solve)
        f, g, iterations = COMPILED[key](*self.points, jnp.float32(self.epsilon))
        n, m = (len(cloud) for cloud in self.points)
        # Its potentials belong to the plan without the masses' product.
        return f / self.epsilon + np.log(n), g / self.epsilon + np.log(m), 2 * int(iterations)

    def host(self, potential):
        return np.asarray(potential, dtype=np.float64)
