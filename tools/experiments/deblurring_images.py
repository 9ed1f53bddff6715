"""The images of the deblurring experiment as .npy files, and what is known of their exact coupling."""
import pathlib
import time

import numpy as np

import cifar10
from convoy_run import say
from dead_leaves import dead_leaves, gaussian_blur
from true_pairs import parts

SIDE = cifar10.SIDE


class Data:
    """The images as .npy files in a folder, each made once."""

    def __init__(self, options, folder):
        self.folder, self.count, self.colour = folder, options.images, options.colour
        self.shuffle, self.made, self.paths = options.shuffle, options.made, options.paths
        self.kind = f"{'made' if self.made else 'cifar10'}-{'colour' if self.colour else 'grey'}-{self.count}"
        self.size = (3 if self.colour else 1) * SIDE * SIDE
        self.order = "" if self.shuffle is None else f"-shuffle{self.shuffle}"
        self.seconds = 0.0
        self.pairing = np.arange(self.count)
        if self.shuffle is not None:
            self.pairing = np.load(self.file("pairing", (self.count,), self.draw_pairing))

    def draw_pairing(self):
        return np.random.default_rng(self.shuffle).permutation(self.count)

    def file(self, name, shape, make):
        path = self.folder / f"{self.kind}-{name}{'' if name == 'target' else self.order}.npy"
        if path.exists():
            found = np.load(path, mmap_mode="r").shape
            if found != shape:
                raise ValueError(f"{path} has shape {found}, not {shape}; remove it")
            return path
        started = time.monotonic()
        part = path.with_name(f"{path.name}.part.npy")
        np.save(part, make())
        part.rename(path)
        self.seconds += time.monotonic() - started
        say(f"made {path.name} in {time.monotonic() - started:.1f} s")
        return path

    def target(self):
        return self.file("target", (self.count, self.size), self.sharp)

    def sharp(self):
        if self.made:
            return (2 * dead_leaves(self.count, side=SIDE) - 1).reshape(self.count, -1)
        return cifar10.images(self.paths, self.count, self.colour)

    def source(self, sigma):
        def blurred():
            target = np.load(self.target(), mmap_mode="r")
            out = np.empty_like(target)
            for part in parts(self.count):
                sharp = target[self.pairing[part]].astype(np.float64)
                out[part] = gaussian_blur(sharp.reshape(-1, SIDE, SIDE), sigma).reshape(len(sharp), -1)
            return out
        return self.file(f"sigma{sigma:g}-source", (self.count, self.size), blurred)

    def result(self, sigma, epsilon, start):
        words = f"sigma{sigma:g}-{epsilon.replace('/', '')}-{pathlib.Path(start or 'default').stem}"
        return self.folder / f"{self.kind}-{words}{self.order}.h5"


def asymmetry(source, target, pairing, f, g, epsilon):
    """The exact plan is symmetric in the true pairs: C_ij = u_i + v_j + (x_i - x_j)^T G (x_i - x_j) / 2, where
    u = (|Gx|^2 - x^T G x) / 2 and v = (|x|^2 - x^T G x) / 2. So (f - u) - (g - v) is constant: its range, and its
    median distance from its median, over epsilon."""
    def half_square(points):
        return np.concatenate([0.5 * (points[part].astype(np.float64) ** 2).sum(1) for part in parts(len(points))])

    difference = f - half_square(source) - (g - half_square(target))[pairing]
    return np.ptp(difference) / epsilon, np.median(np.abs(difference - np.median(difference))) / epsilon
