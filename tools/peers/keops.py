"""KeOps: the log-sum-exp of symbolic matrices on NumPy arrays. It has no solver of its own."""
import importlib.metadata

import numpy as np
from pykeops.numpy import LazyTensor

VERSIONS = [f"PyKeOps {importlib.metadata.version('pykeops')}"]


def reductions(setting, problem):
    """setting: how the cost is written, with squared differences or with inner products."""
    n, m, epsilon = len(problem.x), len(problem.y), problem.epsilon
    root = np.sqrt(epsilon)  # the points are scaled beforehand
    x, y = ((cloud / root).astype(np.float32) for cloud in (problem.x, problem.y))
    f, g = ((potential / epsilon).astype(np.float32) for potential in (problem.f, problem.g))
    if setting == "squared differences":
        kernel = -((LazyTensor(x[:, None, :]) - LazyTensor(y[None, :, :]))**2).sum(-1)
        norms_x = norms_y = 0
        rows, columns = LazyTensor(f[:, None, None]), LazyTensor(g[None, :, None])
    else:  # squared norms are worked out once, with the potentials
        kernel = 2 * (LazyTensor(x[:, None, :]) | LazyTensor(y[None, :, :]))
        norms_x, norms_y = ((cloud**2).sum(1) for cloud in (x, y))
        rows, columns = LazyTensor((f - norms_x)[:, None, None]), LazyTensor((g - norms_y)[None, :, None])

    def to_source():
        result = (kernel + columns).logsumexp(axis=1).ravel()
        return -epsilon * (result - np.log(m) - norms_x)

    def to_target():
        result = (kernel + rows).logsumexp(axis=0).ravel()
        return -epsilon * (result - np.log(n) - norms_y)
    return to_source, to_target
