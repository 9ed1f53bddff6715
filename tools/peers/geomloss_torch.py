"""GeomLoss on PyTorch, in single precision: fixed schedules of epsilon, no criterion to stop."""
import importlib.metadata

import numpy as np
import torch
from geomloss import SamplesLoss

from . import Outcome

VERSIONS = [f"{name} {importlib.metadata.version(package)}"
            for name, package in (("GeomLoss", "geomloss"), ("PyTorch", "torch"))]


def solvers(problem, few=False):
    if few:
        return ["tensorized, scaling 0.5", "tensorized, scaling 0.9"]
    backends = ["online", "tensorized"] + ["multiscale"] * (problem.x.shape[1] <= 3)
    names = [f"{backend}, scaling {scaling}" for scaling in ("0.5", "0.9", "0.99") for backend in backends]
    return names + ["ot.solve, 100 iterations", "ot.solve, 1000 iterations"]


class Solver:
    """SamplesLoss("sinkhorn") has half the squared distance and blur^2; ot.solve, given a cost matrix, has Convoy's."""

    threshold = None

    def __init__(self, setting, problem):
        self.backend, value = setting.split(", ")
        self.problem = problem
        if self.backend == "ot.solve":
            self.iterations = int(value.split()[0])
            self.matrix = torch.from_numpy(problem.cost_matrix(np.float32))
        else:
            self.x, self.y = (torch.from_numpy(cloud.astype(np.float32)) for cloud in (problem.x, problem.y))
            self.loss = SamplesLoss("sinkhorn", p=2, blur=float(np.sqrt(problem.epsilon / 2)), debias=False,
                                    potentials=True, scaling=float(value.split()[1]), backend=self.backend)
            if self.backend != "tensorized":  # KeOps compiles
                few = slice(0, 200)
                self.loss(self.x[few].contiguous(), self.y[few].contiguous())

    def prepare(self, threshold):
        pass

    def run(self):
        with torch.no_grad():
            if self.backend == "ot.solve":
                from geomloss import ot
                result = ot.solve(self.matrix, reg=self.problem.epsilon, max_iter=self.iterations)
                f, g = result.potential_a, result.potential_b
                return Outcome(f.double().numpy(), g.double().numpy(), self.iterations)
            f, g = self.loss(self.x, self.y)
            return Outcome(2 * f.double().numpy().ravel(), 2 * g.double().numpy().ravel(), None)


solver = Solver
