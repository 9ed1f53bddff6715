"""JAX: log-sum-exps over a cost matrix in memory, or over tiles of it that are made anew in every half-pass."""
import functools

import jax
import jax.numpy as jnp
import numpy as np

SETTINGS = ["dense", "tiles"]
TILE = 4096  # rows at a time

jax.config.update("jax_default_matmul_precision", "highest")


def device():
    return str(jax.devices()[0].device_kind)


def versions():
    return f"JAX {jax.__version__}"


@jax.jit
def matrix_rows(kernel, potential):
    return jax.nn.logsumexp(kernel + potential, axis=1)


@jax.jit
def matrix_columns(kernel, potential):
    return jax.nn.logsumexp(kernel + potential[:, None], axis=0)


@functools.partial(jax.jit, static_argnums=3)
def tiled_rows(x, y, potential, tile):
    def rows(part):
        return jax.nn.logsumexp(part @ y.T + potential, axis=1)
    padded = jnp.pad(x, ((0, -len(x) % tile), (0, 0))).reshape(-1, tile, x.shape[1])
    return jax.lax.map(rows, padded).reshape(-1)[:len(x)]


@jax.jit
def matrix(x, y):
    return x @ y.T - 0.5 * (x**2).sum(1)[:, None] - 0.5 * (y**2).sum(1)


class Sinkhorn:
    def __init__(self, setting, x, y, epsilon):
        self.dense = setting == "dense"
        scale = np.float32(np.sqrt(2 / epsilon))
        self.points = [jnp.asarray(cloud * scale) for cloud in (x, y)]
        self.norms = [0.5 * (cloud**2).sum(1) for cloud in self.points]
        if self.dense:
            self.kernel = matrix(*self.points)

    def half_pass(self, side, potential):
        """Of `side`, 0 for the source, from the other side's potential."""
        other = 1 - side
        log_count = float(np.log(len(self.points[other])))
        if self.dense:
            return log_count - (matrix_columns if side else matrix_rows)(self.kernel, potential)
        tile = min(TILE, len(self.points[side]))
        sums = tiled_rows(self.points[side], self.points[other], potential - self.norms[other], tile)
        return log_count - sums + self.norms[side]

    def zeros(self):
        self.last = jnp.zeros(len(self.points[0]), jnp.float32)
        return self.last

    def to_target(self, f):
        self.last = self.half_pass(1, f)
        return self.last

    def to_source(self, g):
        self.last = self.half_pass(0, g)
        return self.last

    def change(self, f, new):
        return float(jnp.abs(jnp.expm1(f - new)).mean())

    def host(self, potential):
        return np.asarray(potential, dtype=np.float64)

    def wait(self):
        self.last.block_until_ready()
