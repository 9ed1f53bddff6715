"""Triton: one kernel a half-pass, in the manner of flash attention: tiles of products, a running maximum and sum."""
import numpy as np
import torch
import triton
import triton.language as tl

# Products of single precision on tensor cores in three parts, or exact on the ordinary units; rows and columns of a tile.
SETTINGS = ["tf32x3, 128 x 64", "tf32x3, 64 x 64", "ieee, 64 x 64"]


def device():
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"


def versions():
    return f"Triton {triton.__version__}, PyTorch {torch.__version__}"


@triton.jit
def log_sums(x, y, potential, out, n, m, dimension: tl.constexpr, padded: tl.constexpr, rows: tl.constexpr,
             columns: tl.constexpr, precision: tl.constexpr):
    """out[i] = log2 sum_j 2^(<x_i, y_j> + potential_j)"""
    i = tl.program_id(0) * rows + tl.arange(0, rows)
    k = tl.arange(0, padded)
    mine = tl.load(x + i[:, None] * dimension + k[None, :], mask=(i[:, None] < n) & (k[None, :] < dimension), other=0.0)
    most = tl.full([rows], float("-inf"), tl.float32)
    total = tl.zeros([rows], tl.float32)
    for first in range(0, m, columns):
        j = first + tl.arange(0, columns)
        others = tl.load(y + j[None, :] * dimension + k[:, None],
                         mask=(j[None, :] < m) & (k[:, None] < dimension), other=0.0)
        logits = tl.dot(mine, others, input_precision=precision)
        logits += tl.load(potential + j, mask=j < m, other=float("-inf"))[None, :]
        larger = tl.maximum(most, tl.max(logits, 1))
        total = total * tl.exp2(most - larger) + tl.sum(tl.exp2(logits - larger[:, None]), 1)
        most = larger
    tl.store(out + i, most + tl.log2(total), mask=i < n)


class Sinkhorn:
    def __init__(self, setting, x, y, epsilon):
        self.where = "cuda" if torch.cuda.is_available() else "cpu"
        self.precision, sizes = setting.split(", ")
        self.rows, self.columns = (int(size) for size in sizes.split(" x "))
        scale = np.float32(np.sqrt(2 / epsilon * np.log2(np.e)))  # logits in units of log 2
        self.points = [torch.from_numpy(cloud * scale).to(self.where).contiguous() for cloud in (x, y)]
        self.norms = [0.5 * (cloud**2).sum(1) for cloud in self.points]

    def half_pass(self, side, potential):
        """Of `side`, 0 for the source, from the other side's potential, in units of log 2."""
        own, others = self.points[side], self.points[1 - side]
        (n, d), m = own.shape, len(others)
        out = torch.empty(n, device=self.where)
        log_sums[(triton.cdiv(n, self.rows),)](own, others, potential - self.norms[1 - side], out, n, m, d,
                                               max(triton.next_power_of_2(d), 16), self.rows, self.columns,
                                               self.precision, num_warps=4)
        return float(np.log2(m)) - out + self.norms[side]

    def zeros(self):
        return torch.zeros(len(self.points[0]), device=self.where)

    def to_target(self, f):
        return self.half_pass(1, f)

    def to_source(self, g):
        return self.half_pass(0, g)

    def change(self, f, new):
        return float(torch.expm1((f - new) * float(np.log(2))).abs().mean())

    def host(self, potential):
        return potential.double().cpu().numpy() * np.log(2)

    def wait(self):
        if self.where == "cuda":
            torch.cuda.synchronize()
