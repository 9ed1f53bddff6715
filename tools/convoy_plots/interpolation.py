"""Displacement interpolation: the cloud on its way, a frame a moment."""
import numpy as np

from . import pixels, style
from .clouds import cloud_of, label_of, matrix_of, sample
from .files import model_of
from .projection import Plane
from .refused import Refused
from .transported import positive

NAME = "interpolation"
SUMMARY = "frames of the cloud on its way, of a query with --interpolate"
TEACHES = """\
t = 0 is the source, t = 1 the target; in between, each point has gone the share t of its way. --of points: the
source's points on their way to their images (the mean of each row of the plan); --of samples: pairs drawn from the
plan, on the straight lines between them. Source and target are drawn pale where they are found. With --shape points are
images, and rows are some of them on their way.

  convoy query run.h5 --interpolate 0,0.25,0.5,0.75,1 -o way.h5
  convoy-plot interpolation way.h5 -o way.png
  convoy-plot interpolation digits-way.h5 --shape 28x28 -o digits.png"""


def options(add):
    add("--of", choices=("points", "samples"), help="(default: points, if the file has them)")
    add("--most", type=positive, default=3000, metavar="N", help="points of a frame to draw (default: %(default)s)")
    add("--source", metavar="FILE.npy", help="the source's points, where they are not found")
    add("--target", metavar="FILE.npy", help="the target's")
    pixels.options(add)
    add("--count", type=positive, default=6, metavar="N", help="images to follow, with --shape (default: %(default)s)")


def lacks(file):
    return None if file.kind == "query" and moments(file) is not None and way(file, None) else \
        "a query with --interpolate T,..."


def moments(file):
    if file.has("interpolation/t"):
        return np.atleast_1d(file.numbers("interpolation/t"))
    t = file.attributes("interpolation").get("t")
    return None if t is None else np.atleast_1d(np.asarray(t, float))


def way(file, of):
    """Which of points and samples there are to draw."""
    kinds = (of,) if of else ("points", "samples")
    return next((kind for kind in kinds if file.has(f"interpolation/{kind}_0")), None)


def draw(files, of=None, most=3000, source=None, target=None, shape=None, order=None, range=None, count=6):
    query = [file for file in files if file.kind == "query"]
    if len(query) != 1:
        raise Refused(f"{files[-1].path}: one query is drawn, with its result or without")
    query, result = query[0], next((file for file in files if file.kind == "result"), None)
    kind, times = way(query, of), moments(query)
    if not kind or times is None:
        raise Refused(f"{query.path}: has no interpolation of {of or 'points or samples'}; ask convoy query for it")
    clouds = [matrix_of(query, f"interpolation/{kind}_{k}") for k in np.arange(len(times))]
    order_in_time = np.argsort(times, kind="stable")
    times, clouds = times[order_in_time], [clouds[k] for k in order_in_time]
    first = clouds[0]
    if any((cloud.count, cloud.dimension) != (first.count, first.dimension) for cloud in clouds):
        raise Refused(f"{query.path}: its frames differ in shape; make it anew")
    if shape:
        look = pixels.Pixels(shape, order, first.dimension, query.path)
        return images_on_their_way(query, times, clouds, look, range, count)
    return frames(query, times, clouds, kind, most, *ends(query, result, source, target))


def ends(query, result, source, target):
    """Source and target, None where they are not found and not given."""
    own = None
    if not result:
        own = result = model_of(query)
    found = []
    for side, given in ("source", source), ("target", target):
        try:
            cloud = cloud_of(result or query, side, given)
            rows = sample(cloud.count, 3000)
            found.append(cloud.rows(rows))
        except Refused:
            if given:
                raise
            found.append(None)
    if own:
        own.close()
    return found


def frames(query, times, clouds, kind, most, source, target):
    plt = style.plotter()
    rows = sample(clouds[0].count, most)
    points = [cloud.rows(rows) for cloud in clouds]
    known = [(cloud, name) for cloud, name in ((source, "source"), (target, "target")) if cloud is not None
             and cloud.shape[1] == clouds[0].dimension]
    plane = Plane([cloud for cloud, _ in known], " and ".join(name for _, name in known)) if known else \
        Plane([points[0], points[-1]], "the first and the last frame")
    columns = min(len(times), 5)
    lines = -(-len(times) // columns)
    size = float(np.clip(4000 / max(len(rows), 1), 1.2, 14))
    everything = np.concatenate([plane(p) for p in points] + [plane(cloud) for cloud, _ in known])
    low, high = everything.min(0), everything.max(0)
    pad = 0.04 * (high[0] - low[0]) + 1e-12
    shape = np.clip((high[1] - low[1]) / max(high[0] - low[0], 1e-12), 0.45, 1.4) if plane.dimension > 1 else 0.6
    figure, axes = plt.subplots(lines, columns, squeeze=False,
                                figsize=(2.5 * columns + 0.7, (2.3 * shape + 0.6) * lines + 0.8))
    for axis in axes.flat[len(times):]:
        axis.axis("off")
    for axis, t, cloud in zip(axes.flat, times, points):
        for pale, name in known:
            axis.scatter(*plane(pale, 2 * (name == "target")).T, s=size * 0.7, linewidths=0, alpha=0.28,
                         rasterized=True, color=style.SOURCE if name == "source" else style.TARGET)
        axis.scatter(*plane(cloud, 2 * t).T, s=size, linewidths=0, color=style.IMAGE, alpha=0.7, rasterized=True)
        axis.set_title(f"t = {t:g}", loc="center")
        if plane.dimension == 1:
            axis.set_xlim(low[0] - pad, high[0] + pad)
            axis.set_yticks([])
            axis.set_ylim(-0.5, 2.5)
    for k, axis in enumerate(axes.flat[:len(times)]):
        if k + columns >= len(times):
            axis.set_xlabel(plane.short_labels[0])
        else:
            axis.tick_params(labelbottom=False)
        if k % columns == 0:
            axis.set_ylabel(plane.short_labels[1])
        else:
            axis.tick_params(labelleft=False)
    what = "the source's points on their way to their images" if kind == "points" else "pairs drawn from the plan"
    shown = f"{len(rows):,} of " * (len(rows) < clouds[0].count) + style.count(clouds[0].count)
    names = (label_of(query.attributes(f"inputs/{side}")) for side in ("source", "target"))
    title = " to ".join(style.short(name, 40) for name in names)
    title += f": {what}, {shown}" + (f"\n{plane.note}{plane.shares}" if plane.note else "")
    figure.suptitle(title, fontsize=10, x=0.01, ha="left")
    if known:
        from matplotlib.lines import Line2D
        colours = {"on the way": style.IMAGE, "source": style.SOURCE, "target": style.TARGET}
        names = ["on the way"] + [name for _, name in known]
        style.legend_below(figure, [Line2D([], [], ls="", marker="o", color=colours[name], ms=5) for name in names],
                           names, 3)
    if plane.dimension > 1:
        style.equal_scales(figure, axes.flat[:len(times)], everything)
    return figure


def images_on_their_way(query, times, clouds, look, range, count):
    rows = sample(clouds[0].count, count)
    points = np.stack([cloud.rows(rows) for cloud in clouds], 1)
    black, white = range or pixels.usual_range(points)
    figure = pixels.strips(points, look, black, white, [f"{row:,}" for row in rows], [f"t = {t:g}" for t in times])
    figure.suptitle(f"{style.short(query.name)}: images on their way; rows of the source at the left\n"
                    f"black {black:g}, white {white:g}", fontsize=9, x=0.01, ha="left")
    return figure
