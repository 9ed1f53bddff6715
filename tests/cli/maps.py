"""What the tests of map and score share: models made by hand, and maps as they are written in books."""

import h5py
import numpy as np


def crc32c(array):
    """CRC-32C (Castagnoli) of an array's little-endian fp64, as convoy's files have it."""
    crc = 0xFFFFFFFF
    for byte in np.ascontiguousarray(array, "<f8").tobytes():
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def cost_matrix(cost, x, y):
    difference = x[:, None, :] - y[None, :, :]
    if cost == "sqeuclidean":
        return (difference ** 2).sum(2)
    if cost == "dot":
        return -x @ y.T
    p = float(cost.split(":")[1])
    return (abs(difference) ** p).sum(2) / p


def softmax_map(z, y, weights, g, epsilon, cost="sqeuclidean"):
    with np.errstate(divide="ignore"):
        logit = np.log(weights)[None, :] + (g[None, :] - cost_matrix(cost, z, y)) / epsilon
    w = np.exp(logit - logit.max(1, keepdims=True))
    w /= w.sum(1, keepdims=True)
    if not cost.startswith("pnorm"):
        return w @ y
    p = float(cost.split(":")[1])
    difference = z[:, None, :] - y[None, :, :]
    mean = (w[:, :, None] * np.sign(difference) * abs(difference) ** (p - 1)).sum(1)
    return z - np.sign(mean) * abs(mean) ** (1 / (p - 1))


def checked(file, path, array):
    file.create_dataset(path, data=np.asarray(array, "<f8")).attrs["checksum"] = np.uint32(crc32c(array))


def write_model(path, y, b, steps, cost="sqeuclidean", **root):
    """A model of progot: `steps` are (epsilon, alpha, g)."""
    with h5py.File(path, "w") as file:
        attributes = dict(format="convoy-result", format_version=1, program="convoy", command="progot",
                          status="converged", complete=np.uint8(1)) | root
        for name, value in attributes.items():
            file.attrs[name] = value
        solution = file.create_group("solution")
        solution.attrs["epsilon"], solution.attrs["cost"], solution.attrs["tolerance"] = steps[-1][0], cost, 1e-3
        checked(file, "weights/b", b)
        checked(file, "target/points", y)
        group = file.create_group("steps")
        group.attrs["steps"], group.attrs["schedule"] = len(steps), "constant"
        group["epsilon"] = [step[0] for step in steps]
        group["alpha"] = [step[1] for step in steps]
        checked(file, "steps/g", np.stack([step[2] for step in steps], axis=1))


def through_steps(z, y, b, steps, cost="sqeuclidean"):
    for epsilon, alpha, g in steps:
        image = softmax_map(z, y, b, g, epsilon, cost)
        z = (1 - alpha) * z + alpha * image
    return image
