"""The path of progressive OT: where points were in each step, how far steps went, at what epsilon."""
import numpy as np

from . import style
from .clouds import cloud_of, images_of, sample
from .files import ConvoyFile
from .projection import Plane
from .refused import Refused
from .transported import not_negative, positive

NAME = "path"
SUMMARY = "progressive OT: points through the steps, epsilon and alpha of each"
TEACHES = """\
Of a model of `convoy progot --intermediates`: lines follow some points of the source through the steps; small dots are
where they stood after each. The last step's images are not in the model: give the file of `convoy map MODEL SOURCE` too,
and lines end there. Without intermediates only the steps' figures are drawn: how far they went, epsilon, half-passes.

  convoy progot a.npy b.npy --steps 6 --intermediates -o model.h5
  convoy map model.h5 a.npy -o images.h5
  convoy-plot path model.h5 images.h5 -o path.png"""


def options(add):
    add("--lines", type=not_negative, default=150, metavar="N", help="points to follow (default: %(default)s)")
    add("--most", type=positive, default=3000, metavar="N", help="points of each cloud to draw (default: %(default)s)")
    add("--source", metavar="FILE.npy", help="the source's points, where they are not found")
    add("--target", metavar="FILE.npy", help="the target's")


def lacks(file):
    if file.kind == "points" and file.text("model", "command") == "progot":
        return None
    return None if file.is_model else "a model of convoy progot"


def draw(files, lines=150, most=3000, source=None, target=None):
    models = [file for file in files if file.kind == "result"]
    mapped = next((file for file in files if file.kind == "points"), None)
    if len(models) != 1:
        raise Refused(f"{files[-1].path}: one model of progot is drawn, with the images of its source or without")
    model = models[0]
    if mapped and mapped.attributes("model").get("potentials_checksum") != model.attributes("steps/g").get("checksum"):
        raise Refused(f"{mapped.path}: was mapped by another model than {model.path}")
    plt = style.plotter()
    steps = len(model.numbers("steps/epsilon"))
    followed = steps > 1 and model.has("steps/source_2")
    if followed or mapped:
        figure = plt.figure(figsize=(10.4, 5.6))
        left, right = figure.subfigures(1, 2, width_ratios=[1.9, 1])
        ways(left, model, mapped, steps if followed else 1, lines, most, source, target)
    else:
        figure = plt.figure(figsize=(4.6, 5.6))
        right = figure
    step_figures(right, model)
    return figure


def ways(figure, model, mapped, steps, lines, most, source, target):
    from matplotlib.collections import LineCollection
    from matplotlib.lines import Line2D
    start, end = cloud_of(model, "source", source), cloud_of(model, "target", target)
    if mapped and mapped.attributes("inputs/points").get("checksum") != model.attributes("inputs/source").get("checksum"):
        raise Refused(f"{mapped.path}: maps other points than the source of {model.path}; map that")
    plane = Plane([start.rows(sample(start.count, most)), end.rows(sample(end.count, most))], "source and target")
    axes = figure.subplots()
    clouds = [start.rows] + [lambda rows, k=k: model.rows(f"steps/source_{k}", rows) for k in range(2, steps + 1)]
    if mapped:
        clouds.append(images_of(mapped).rows)
    size = float(np.clip(8000 / max(min(start.count, most), 1), 2.5, 20))
    for cloud, colour, marker, level in (end, style.TARGET, "s", 2), (start, style.SOURCE, "o", 0):
        axes.scatter(*plane(cloud.rows(sample(cloud.count, most)), level).T, s=size, color=colour, marker=marker,
                     linewidths=0, alpha=0.45, rasterized=True)
    rows = sample(start.count, lines, seed=1)
    path = np.stack([plane(cloud(rows), 2 * k / max(len(clouds) - 1, 1)) for k, cloud in enumerate(clouds)], 1)
    axes.add_collection(LineCollection(path, colors=style.IMAGE, linewidths=0.6, alpha=0.6, zorder=2))
    axes.scatter(*path[:, 1:].reshape(-1, 2).T, s=5, color=style.IMAGE, linewidths=0, alpha=0.8, zorder=3)
    plane.dress(axes, {"source": 0.0, "target": 2.0})
    reached = "" if mapped else "; the last step's images are not drawn"
    axes.set_title(f"{style.short(model.name)}: {len(rows):,} points through the steps{reached}"
                   + (f"\n{plane.note}" if plane.note else ""))
    drawn = [("source", {"marker": "o", "color": style.SOURCE, "ls": ""}),
             ("target", {"marker": "s", "color": style.TARGET, "ls": ""}),
             ("path, a dot after each step", {"marker": ".", "color": style.IMAGE, "lw": 0.8})]
    figure.legend([Line2D([], [], **look) for _, look in drawn], [name for name, _ in drawn],
                  loc="outside lower center", ncols=3)


def step_figures(figure, model: ConvoyFile):
    from matplotlib import ticker
    columns = {name: model.numbers(f"steps/{name}").astype(float)
               for name in ("epsilon", "alpha", "travelled", "half_passes")}
    number = np.arange(1, len(columns["epsilon"]) + 1)
    if any(len(column) != len(number) for column in columns.values()):
        raise Refused(f"{model.path}: its steps' columns differ in length; make it anew")
    axes = figure.subplots(3, 1, sharex=True)
    dots = "o" if len(number) <= 40 else ""
    axes[0].plot(number, columns["alpha"], color=style.SERIES[0], marker=dots, label="alpha: of the way left")
    axes[0].plot(number, columns["travelled"], color=style.SERIES[1], ls="--", marker=dots, label="of the whole way, so far")
    axes[0].set_ylabel("share")
    axes[0].set_ylim(0, 1.55)
    axes[0].set_yticks([0, 0.5, 1])
    axes[0].legend(loc="upper left")
    axes[0].set_title(f"Steps ({model.text('steps', 'schedule') or 'schedule not known'})")
    axes[1].plot(number, columns["epsilon"], color=style.SERIES[0], marker=dots)
    axes[1].set_ylabel("epsilon\n(units of the cost)")
    if columns["epsilon"].max() > 5 * columns["epsilon"].min() > 0:
        axes[1].set_yscale("log")
        style.plain_logarithms(axes[1].yaxis)
    else:
        axes[1].set_ylim(0, columns["epsilon"].max() * 1.15)
    axes[2].bar(number, columns["half_passes"], color=style.SERIES[0], width=0.7)
    axes[2].set_ylabel("half-passes")
    axes[2].set_xlabel("step")
    for axis in axes:
        axis.xaxis.set_major_locator(ticker.MaxNLocator(integer=True))
