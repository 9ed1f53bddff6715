"""PyTorch: log-sum-exps over a cost matrix in memory, or over tiles of it that are made anew in every half-pass."""
import numpy as np
import torch

SETTINGS = ["dense, compiled", "dense", "tiles, compiled", "tiles"]
TILE = 8192  # rows at a time

torch.backends.cuda.matmul.allow_tf32 = False  # single precision, as everybody else here


def device():
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"


def versions():
    return f"PyTorch {torch.__version__}"


def matrix_rows(kernel, potential):
    return torch.logsumexp(kernel + potential, 1)


def tile_rows(x, y, potential):
    """x, y are scaled with sqrt(2/epsilon), `potential` has |y|^2 already taken off: a product and a log-sum-exp."""
    return torch.logsumexp(torch.addmm(potential, x, y.T), 1)


compiled = {matrix_rows: torch.compile(matrix_rows, dynamic=False), tile_rows: torch.compile(tile_rows, dynamic=False)}


class Sinkhorn:
    def __init__(self, setting, x, y, epsilon):
        self.where = "cuda" if torch.cuda.is_available() else "cpu"
        self.dense = setting.startswith("dense")
        rows = matrix_rows if self.dense else tile_rows
        self.rows = compiled[rows] if setting.endswith("compiled") else rows
        scale = np.float32(np.sqrt(2 / epsilon))
        self.points = [torch.from_numpy(cloud * scale).to(self.where) for cloud in (x, y)]
        self.norms = [0.5 * (cloud**2).sum(1) for cloud in self.points]
        if self.dense:  # -C / epsilon, once each way round: rows lie in memory one after the other
            kernel = self.points[0] @ self.points[1].T
            kernel -= self.norms[0][:, None]
            kernel -= self.norms[1]
            self.kernels = [kernel, kernel.T.contiguous()]

    @torch.no_grad()
    def half_pass(self, side, potential):
        """Of `side`, 0 for the source, from the other side's potential."""
        other = 1 - side
        log_count = np.log(len(self.points[other]))
        if self.dense:
            return log_count - self.rows(self.kernels[side], potential)
        shifted = potential - self.norms[other]
        sums = [self.rows(tile, self.points[other], shifted) for tile in self.points[side].split(TILE)]
        return log_count - torch.cat(sums) + self.norms[side]

    def zeros(self):
        return torch.zeros(len(self.points[0]), device=self.where)

    def to_target(self, f):
        return self.half_pass(1, f)

    def to_source(self, g):
        return self.half_pass(0, g)

    def change(self, f, new):
        return float(torch.expm1(f - new).abs().mean())

    def host(self, potential):
        return potential.double().cpu().numpy()

    def wait(self):
        if self.where == "cuda":
            torch.cuda.synchronize()
