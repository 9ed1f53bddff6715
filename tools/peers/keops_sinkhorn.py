"""KeOps through PyTorch: the log-sum-exp of a symbolic matrix, compiled for the problem's dimension."""
import importlib.metadata

import numpy as np
import torch
from pykeops.torch import LazyTensor

SETTINGS = ["inner products", "squared differences"]


def device():
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"


def versions():
    return f"PyKeOps {importlib.metadata.version('pykeops')}, PyTorch {torch.__version__}"


class Sinkhorn:
    def __init__(self, setting, x, y, epsilon):
        self.where = "cuda" if torch.cuda.is_available() else "cpu"
        scale = np.float32(np.sqrt(2 / epsilon))
        x, y = (torch.from_numpy(cloud * scale).to(self.where) for cloud in (x, y))
        self.sizes = len(x), len(y)
        rows, columns = LazyTensor(x[:, None, :]), LazyTensor(y[None, :, :])
        if setting == "inner products":
            self.norms = [0.5 * (cloud**2).sum(1) for cloud in (x, y)]
            self.kernel = (rows | columns)
        else:
            self.norms = [torch.zeros(len(cloud), device=self.where) for cloud in (x, y)]
            self.kernel = -0.5 * ((rows - columns)**2).sum(-1)

    def zeros(self):
        return torch.zeros(self.sizes[0], device=self.where)

    def to_target(self, f):
        logits = self.kernel + LazyTensor((f - self.norms[0])[:, None, None])
        return np.log(self.sizes[0]) - logits.logsumexp(dim=0).ravel() + self.norms[1]

    def to_source(self, g):
        logits = self.kernel + LazyTensor((g - self.norms[1])[None, :, None])
        return np.log(self.sizes[1]) - logits.logsumexp(dim=1).ravel() + self.norms[0]

    def change(self, f, new):
        return float(torch.expm1(f - new).abs().mean())

    def host(self, potential):
        return potential.double().cpu().numpy()

    def wait(self):
        if self.where == "cuda":
            torch.cuda.synchronize()
