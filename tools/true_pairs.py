"""What a coupling says about pairs that are known: the mass on them, how far it is from all of it, and a picture.

The cost is half the squared distance, masses are equal, row i of the source belongs to row pairing[i] of the target.
The plan P_ij = exp((f_i + g_j - C_ij) / epsilon) / n^2 is never formed.
"""
import numpy as np


def half_squared_distances(x, y):
    return 0.5 * ((x ** 2).sum(1)[:, None] + (y ** 2).sum(1) - 2 * x @ y.T)


def parts(count, at_once=2000):
    return (slice(first, first + at_once) for first in range(0, count, at_once))


def log_masses(source, target, pairing, f, g, epsilon):
    """log P at the true pairs, in double."""
    cost = np.concatenate([0.5 * ((source[part].astype(np.float64) - target[pairing[part]]) ** 2).sum(1)
                           for part in parts(len(source))])
    return (f + g[pairing] - cost) / epsilon - 2 * np.log(len(source))


def scores(log_q):
    """The mass q on the true pairs, sum p log(p/q), and sum p log(p/q) - p + q, where p = 1/n."""
    mass = np.exp(log_q).sum()
    divergence = np.mean(-np.log(len(log_q)) - log_q)
    return mass, divergence, divergence - 1 + mass


def means_of_rows(source, target, f, g, epsilon, rows):
    """What the plan makes of these rows of the source: the mean of the target, weighted with the row."""
    x = source[rows].astype(np.float64)
    costs = [half_squared_distances(x, target[part].astype(np.float64)) for part in parts(len(target))]
    logits = (f[rows, None] + g - np.concatenate(costs, 1)) / epsilon
    plan = np.exp(logits - logits.max(1, keepdims=True))
    recovered = sum(plan[:, part] @ target[part].astype(np.float64) for part in parts(len(target)))
    return recovered / plan.sum(1, keepdims=True)


def draw_strips(picture, strips, title, image, black, white):
    """Strips (name, rows of points) below each other as a PNG; `image` makes pixels of a point."""
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    columns = len(strips[0][1])
    figure, axes = plt.subplots(len(strips), columns, figsize=(columns, 3.3), squeeze=False)
    for strip, (name, points) in zip(axes, strips):
        for axis, point in zip(strip, points):
            pixels = np.clip((image(point) - black) / (white - black), 0, 1)
            axis.imshow(pixels, cmap="gray", vmin=0, vmax=1)
            axis.set_xticks([])
            axis.set_yticks([])
        strip[0].set_ylabel(name)
    figure.suptitle(title)
    figure.tight_layout()
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=120)
    plt.close(figure)
