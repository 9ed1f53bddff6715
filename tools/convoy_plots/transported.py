"""Transported points: source, target, and where the source's points go."""
import numpy as np

from . import style
from .clouds import sample
from .projection import Plane
from .transport import Transport, lacks_transport

NAME = "points"
SUMMARY = "source, target and the images of the source's points; lines for sampled pairs"
TEACHES = """\
Give a result, and what says where its points go: the file of `convoy map` (its points and their images), or that of
`convoy query` with --barycentric (images), --sample (lines between pairs drawn from the plan) or --match (lines to each
point's most likely partner). The result itself may be left out while it is where it was.

Points are read from where the run read them (.npy, HDF5, .h5ad) and must be unchanged; --source and --target give them
as .npy where they have moved or are of another format. In more than two dimensions all are projected on the principal
components of source and target. Of many points some are drawn, the same ones every time.

  convoy map run.h5 a.npy -o images.h5
  convoy-plot points images.h5 -o transported.png
  convoy-plot points run.h5 pairs.h5 --lines 300 -o pairs.pdf"""


def options(add):
    add("--source", metavar="FILE.npy", help="the points that move, where they are not found")
    add("--target", metavar="FILE.npy", help="the points that they move to, likewise")
    add("--most", type=positive, default=3000, metavar="N", help="points of each cloud to draw (default: %(default)s)")
    add("--lines", type=not_negative, default=120, metavar="N", help="lines to draw (default: %(default)s)")


def positive(text):
    if int(text) < 1:
        raise ValueError
    return int(text)


def not_negative(text):
    if int(text) < 0:
        raise ValueError
    return int(text)


positive.__name__, not_negative.__name__ = "positive whole number", "whole number"
lacks = lacks_transport


def draw(files, source=None, target=None, most=3000, lines=120):
    with Transport(files, source, target) as transport:
        return picture(transport, most, lines)


def rows_of(cloud, rows):
    """Rows in any order, with repetitions."""
    distinct, place = np.unique(rows, return_inverse=True)
    return cloud.rows(distinct)[place]


def plane_of(moving, destination, most, names=("source", "target")):
    """Fitted to both clouds, or to one where they differ in dimension."""
    if moving.dimension != destination.dimension:
        raise ValueError
    return Plane([moving.rows(sample(moving.count, most)), destination.rows(sample(destination.count, most))],
                 " and ".join(names))


def picture(transport, most, lines):
    plt = style.plotter()
    moving, destination, images = transport.moving, transport.destination, transport.images
    plane = plane_of(moving, destination, most)
    levels = {"source": 0.0, "images": 1.0, "target": 2.0}
    rows = sample(moving.count, most)
    starts, ends = plane(moving.rows(rows), 0), plane(destination.rows(sample(destination.count, most)), 2)
    middle = plane(images.rows(rows), 1) if images else starts
    everything = np.concatenate([starts, ends, middle])
    figure, axes = plt.subplots(figsize=style.size_for(everything, 7) if plane.dimension > 1 else (7.2, 3.4))
    size = float(np.clip(7000 / max(len(starts), 1), 3, 24))
    flat = {"linewidths": 0, "rasterized": True}
    axes.scatter(*ends.T, s=size, color=style.TARGET, marker="s", alpha=0.6,
                 label=label("target", transport.names[1], destination, len(ends)), zorder=1, **flat)
    axes.scatter(*starts.T, s=size, color=style.SOURCE, marker="o", alpha=0.6,
                 label=label("source", transport.names[0], moving, len(starts)), zorder=1, **flat)
    if images:
        axes.scatter(*middle.T, s=size * 0.5, color=style.IMAGE, marker="D", alpha=0.8,
                     label=f"images ({transport.images_are})", zorder=3, **flat)
    what = draw_lines(axes, plane, transport, lines)
    plane.dress(axes, levels)
    title = f"{style.short(transport.names[0], 40)} to {style.short(transport.names[1], 40)}, " + method(transport)
    axes.set_title(title + (f"\n{plane.note}" if plane.note else ""))
    handles, names = axes.get_legend_handles_labels()
    if what:
        from matplotlib.lines import Line2D
        handles.append(Line2D([], [], color="#333333", lw=0.8))
        names.append(what)
    style.legend_below(figure, handles, names, 2, markerscale=2 if size < 8 else 1.3)
    if plane.dimension > 1:
        style.equal_scales(figure, [axes], everything)
    return figure


def method(transport):
    """By which command, at what epsilon."""
    if transport.result:
        command, epsilon = transport.result.command, transport.result.number("solution", "epsilon")
    else:
        command, epsilon = transport.about.text("model", "command"), transport.about.number("model", "epsilon")
    return f"{style.short(command)}, epsilon {epsilon:.4g}"


def label(role, name, cloud, drawn):
    return f"{role}: {style.short(name, 30)}, " + (
        f"{drawn:,} of {style.count(cloud.count)}" if drawn < cloud.count else style.count(cloud.count))


def draw_lines(axes, plane, transport, lines):
    """What the lines are, or nothing."""
    from matplotlib.collections import LineCollection
    if not lines:
        return ""
    if transport.pairs is not None and len(transport.pairs[0]):
        chosen = sample(len(transport.pairs[0]), lines)
        rows, partners = (side[chosen] for side in transport.pairs)
        ends = plane(rows_of(transport.destination, partners), 2)
        what = f"{style.count(len(chosen), 'pair')} drawn from the plan"
    else:
        rows = sample(transport.moving.count, lines, seed=1)
        if transport.images:
            ends, what = plane(transport.images.rows(rows), 1), f"{style.count(len(rows))} and where they go"
        elif transport.match is not None:
            ends = plane(rows_of(transport.destination, transport.match[rows]), 2)
            what = f"{style.count(len(rows))} to the most likely partner"
        else:
            return ""
    starts = plane(rows_of(transport.moving, rows), 0)
    axes.add_collection(LineCollection(np.stack([starts, ends], 1), colors="#333333", linewidths=0.6, alpha=0.75,
                                       zorder=2))
    return what
