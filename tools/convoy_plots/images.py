"""Image triples: a source image, what the map makes of it, and the target image that belongs to it."""
import numpy as np

from . import pixels, style
from .clouds import sample
from .refused import Refused
from .transport import Transport, lacks_transport
from .transported import positive, rows_of

NAME = "images"
SUMMARY = "points that are images: source, its image under the map, its partner in the target"
TEACHES = """\
Give what says where the points go, as for `points`: mapped points, a query, or both. Columns are source images, chosen
at random (the same every time) or by --rows. Below each: its image under the map, or the mean of its row of the plan;
then its partner in the target - the most likely one (query --match), one drawn from the plan (query --sample), else the
target's image nearest to the mapped one, among all of the target.

  convoy map digits.h5 a.npy -o images.h5
  convoy-plot images images.h5 --shape 28x28 -o triples.png
  convoy-plot images query.h5 --shape 32x32x3 --order planes --rows 3,14,15 -o cifar.png"""
lacks = lacks_transport
NEAREST_AT_ONCE = 2 ** 22


def options(add):
    pixels.options(add)
    add("--count", type=positive, default=12, metavar="N", help="source images (default: %(default)s)")
    add("--rows", type=rows_asked, metavar="I,J,...", help="which of the source's, counted from 0")
    add("--source", metavar="FILE.npy", help="the points that move, where they are not found")
    add("--target", metavar="FILE.npy", help="the points that they move to, likewise")


def rows_asked(text):
    return [int(word) for word in text.split(",")]


rows_asked.__name__ = "list of row numbers"


def draw(files, shape=None, order=None, range=None, count=12, rows=None, source=None, target=None):
    with Transport(files, source, target) as transport:
        moving = transport.moving
        look = pixels.Pixels(shape or transport.image_shape, order, moving.dimension, transport.about.path)
        rows = choose(transport, rows, count)
        starts = rows_of(moving, rows)
        images = rows_of(transport.images, rows) if transport.images else None
        partners, how = partners_of(transport, rows, images)
        black, white = range or pixels.usual_range(starts, rows_of(transport.destination, partners[partners >= 0]))
        ends = [None if j < 0 else point for j, point in
                zip(partners, rows_of(transport.destination, np.maximum(partners, 0)))]
        drawn = [(starts, "source")]
        if images is not None:
            drawn.append((images, "image"))
        drawn.append((ends, how))
        figure = pixels.strips([points for points, _ in drawn], look, black, white, [name for _, name in drawn],
                               [f"{row:,}" for row in rows])
        note = f"image: {transport.images_are}; " if images is not None else ""
        figure.suptitle(f"{style.short(transport.names[0], 40)} to {style.short(transport.names[1], 40)}\n"
                        f"{note}black {black:g}, white {white:g}; rows of the source above", fontsize=9, x=0.01,
                        ha="left")
        return figure


def choose(transport, rows, count):
    available = transport.moving.count
    if rows is not None:
        wrong = [row for row in rows if not 0 <= row < available]
        if wrong:
            raise Refused(f"--rows: there is no row {wrong[0]} (the source has 0 to {available - 1:,})")
        return np.array(rows)
    if transport.match is None and not transport.images:  # only those that were drawn have a partner
        with_partner = np.unique(transport.pairs[0])
        if not len(with_partner):
            raise Refused(f"{transport.about.path}: has no pairs; ask for some with convoy query --sample N")
        return with_partner[sample(len(with_partner), count)]
    return sample(available, count)


def partners_of(transport, rows, images):
    if transport.match is not None:
        return transport.match[rows], "most likely\npartner"
    if transport.pairs is not None:
        first = {}
        for i, j in zip(*transport.pairs):
            first.setdefault(int(i), int(j))
        return np.array([first.get(int(row), -1) for row in rows]), "drawn\npartner"
    return nearest(images, transport.destination), "nearest\nin target"


def nearest(points, cloud):
    best, least = np.zeros(len(points), np.int64), np.full(len(points), np.inf)
    block = max(1, NEAREST_AT_ONCE // cloud.dimension)
    for first in range(0, cloud.count, block):
        rows = np.arange(first, min(first + block, cloud.count))
        others = cloud.rows(rows)
        distances = (others ** 2).sum(1) - 2 * points @ others.T
        at = distances.argmin(1)
        value = distances[np.arange(len(points)), at]
        best, least = np.where(value < least, rows[at], best), np.minimum(value, least)
    return best
