"""Points that are images: their shape, the order of their numbers, what is black and what is white."""
import math
import re

import numpy as np

from . import style
from .refused import Refused

ORDERS = ("pixels", "planes")
CHANNELS = (1, 3, 4)


def options(add):
    add("--shape", metavar="HxW[xC]",
        help="of an image, height by width, x3 for colour: 28x28, 32x32x3, or 3x32x32, which means --order planes "
             "(default: what the file says of its points, if it does)")
    add("--order", choices=ORDERS,
        help="of a colour image's numbers: pixels (red, green and blue of a pixel together: the default for 32x32x3) "
             "or planes (all red first, as in CIFAR-10's files: the default for 3x32x32)")
    add("--range", type=limits, metavar="BLACK,WHITE", help="values (default: 0,1 or -1,1 or 0,255 where the images "
                                                            "drawn lie so, else their extremes)")


def limits(text):
    black, white = (float(word) for word in text.split(","))
    if not (math.isfinite(black) and math.isfinite(white) and black != white):
        raise ValueError
    return black, white


limits.__name__ = "pair of numbers BLACK,WHITE"


def shape_of(identity):
    """What a file says of its points: the shape of an image, or nothing."""
    shape = identity.get("image")
    return shape if isinstance(shape, str) and shape and not identity.get("grayscale") else None


class Pixels:
    def __init__(self, shape, order, dimension, what):
        if not shape:
            raise Refused(f"{what}: does not say what shape its images have; give --shape{guess(dimension)}")
        found = re.fullmatch(r"(\d{1,6})x(\d{1,6})(?:x(\d{1,6}))?", shape)
        sizes = [int(word) for word in found.groups() if word] if found else []
        first = len(sizes) == 3 and sizes[2] not in CHANNELS and sizes[0] in CHANNELS
        if not sizes or 0 in sizes or (len(sizes) == 3 and not first and sizes[2] not in CHANNELS):
            raise Refused(f"--shape {shape}: is no HEIGHTxWIDTH or HEIGHTxWIDTHx3, such as 28x28")
        if len(sizes) == 2:
            sizes.append(1)
        self.height, self.width, self.channels = sizes[1:] + sizes[:1] if first else sizes
        if math.prod(sizes) != dimension:
            raise Refused(f"--shape {shape}: has {math.prod(sizes):,} numbers, but the points of {what} have "
                          f"{dimension:,}{guess(dimension)}")
        self.planes = order == "planes" if order else first

    def image(self, point):
        if self.planes:
            return point.reshape(self.channels, self.height, self.width).transpose(1, 2, 0)
        return point.reshape(self.height, self.width, self.channels)

    def show(self, axes, point, black, white):
        pixels = np.clip((self.image(point) - black) / (white - black), 0, 1)
        axes.imshow(pixels[:, :, 0] if self.channels == 1 else pixels, cmap="gray", vmin=0, vmax=1,
                    interpolation="nearest")
        bare(axes)


def guess(dimension):
    for channels in 1, 3:
        side = math.isqrt(dimension // channels)
        if side > 1 and side * side * channels == dimension:
            return f"; perhaps {side}x{side}" + "x3" * (channels == 3)
    return ""


def bare(axes):
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)


def usual_range(*strips):
    """Black and white: 0 to 1, 0 to 255 or -1 to 1 where the values lie so, else their own extremes."""
    low = min(strip.min() for strip in strips)
    high = max(strip.max() for strip in strips)
    for black, white in (0, 1), (-1, 1), (0, 255):
        if low >= black - 0.02 * (white - black) and white * 0.6 < high <= white * 1.02:
            return black, white
    return (low, high) if low < high else (low - 1, low + 1)


def strips(rows, pixels, black, white, names, columns=None):
    """A figure of rows of images, names at the left, and words above the columns."""
    plt = style.plotter()
    count = len(rows[0])
    tall = pixels.height / pixels.width
    figure, axes = plt.subplots(len(rows), count, squeeze=False,
                                figsize=(max(5.6, 0.95 * count + 1.3), 0.95 * tall * len(rows) + 0.7))
    figure.get_layout_engine().set(w_pad=0.015, h_pad=0.015, wspace=0.02, hspace=0.02)
    for line, row, name in zip(axes, rows, names):
        for cell, point in zip(line, row):
            if point is None:
                cell.axis("off")
            else:
                pixels.show(cell, point, black, white)
        line[0].set_ylabel(name, rotation=0, ha="right", va="center", labelpad=8)
    for cell, word in zip(axes[0], columns or []):
        cell.set_title(word, fontsize=8, loc="center", pad=3)
    return figure
