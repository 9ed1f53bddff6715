"""Dead-leaves images: discs of random grey that fall on top of each other, their radii drawn from a power law.

Such images share the statistics that make photographs look natural (edges, occlusion, 1/f spectra), and they are free:
Lee, Mumford, Huang, "Occlusion models for natural images", 2001. Also the blur that the demonstration undoes.
"""
import numpy as np


def dead_leaves(images, side=32, leaves=120, seed=0, smallest=2.5, largest=40.0, at_once=256):
    """(images, side, side) float32 in [0, 1]. Radii between smallest and largest pixels have density r^-3."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:side, 0:side].astype(np.float32)
    out = np.empty((images, side, side), np.float32)
    for first in range(0, images, at_once):
        batch = out[first:first + at_once]
        count = len(batch)
        batch[:] = rng.random((count, 1, 1), np.float32)
        # Each image has its own range of greys and light from one side: a scene, not noise.
        dark = rng.uniform(0.0, 0.4, count).astype(np.float32)
        light = dark + rng.uniform(0.4, 0.6, count).astype(np.float32)
        slope = rng.normal(0, 0.006, (2, count, 1, 1)).astype(np.float32)
        shade = slope[0] * (x - side / 2) + slope[1] * (y - side / 2)
        for _ in range(leaves):
            u = rng.random(count, np.float32)
            radius = (smallest ** -2 - u * (smallest ** -2 - largest ** -2)) ** np.float32(-0.5)
            cx, cy = rng.uniform(-radius, side + radius, (2, count)).astype(np.float32)
            grey = dark + (light - dark) * rng.random(count, np.float32)
            inside = (x - cx[:, None, None]) ** 2 + (y - cy[:, None, None]) ** 2 < (radius ** 2)[:, None, None]
            np.copyto(batch, grey[:, None, None], where=inside)
        batch += shade
        np.clip(batch, 0, 1, out=batch)
    return out


def gaussian_blur(images, sigma):
    """The images blurred, black beyond their edges. The kernel is not cut off, so that blurring is a symmetric positive
    definite matrix G = g (x) g."""
    side = images.shape[-1]
    k = np.arange(side)
    g = np.exp(-((k[:, None] - k) ** 2) / (2.0 * sigma ** 2))
    wide = np.arange(-20 * side, 20 * side + 1)
    g /= np.exp(-(wide ** 2) / (2.0 * sigma ** 2)).sum()
    g = g.astype(images.dtype)
    return g @ images @ g
