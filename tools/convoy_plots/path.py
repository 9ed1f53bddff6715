"""The path of progressive OT: where points were in each step, how far steps went, at what epsilon."""
import numpy as np

from . import style
from .clouds import cloud_of, matrix_of, sample
from .files import ConvoyFile
from .projection import Plane
from .refused import Refused
from .transported import not_negative, positive

NAME = "path"
SUMMARY = "progressive OT: points through the steps, epsilon and alpha of each"
TEACHES = """\
Of a model of `convoy progot --intermediates`: lines follow some points of the source through the steps; small dots are
where they stood after each. The last step's images are not in the model: give the file of `convoy map MODEL SOURCE`
too, and lines end there. Without intermediates only figures of the steps are drawn: how far they went, epsilon,
half-passes.

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
        drawn = Ways(model, mapped, steps if followed else 1, lines, most, source, target)
        width, height = style.size_for(drawn.everything(), 7)
        figure = plt.figure(figsize=(width + 3.6, max(height, 5)))
        left, right = figure.subfigures(1, 2, width_ratios=[width, 3.6])
        legend = drawn.draw(left)
        style.legend_below(figure, *legend, 3)
        step_figures(right, model)
        if drawn.plane.dimension > 1:
            style.equal_scales(figure, left.axes, drawn.everything())
    else:
        figure = plt.figure(figsize=(4.6, 5.6))
        step_figures(figure, model)
    return figure


class Ways:
    """Source, target, and some points' way from one to the other, in the plane."""

    def __init__(self, model, mapped, steps, lines, most, source, target):
        start, end = cloud_of(model, "source", source), cloud_of(model, "target", target)
        if mapped and mapped.attributes("inputs/points").get("checksum") != \
                model.attributes("inputs/source").get("checksum"):
            raise Refused(f"{mapped.path}: maps other points than the source of {model.path}; map that")
        ends = [cloud.rows(sample(cloud.count, most)) for cloud in (start, end)]
        self.plane = Plane(ends, "source and target")
        self.source, self.target = self.plane(ends[0], 0), self.plane(ends[1], 2)
        clouds = [start.rows] + [lambda rows, k=k: model.rows(f"steps/source_{k}", rows) for k in range(2, steps + 1)]
        if mapped:
            clouds.append(matrix_of(mapped, "points").rows)
        self.rows = sample(start.count, lines, seed=1)
        self.path = np.stack([self.plane(cloud(self.rows), 2 * k / max(len(clouds) - 1, 1))
                              for k, cloud in enumerate(clouds)], 1)
        self.title = f"{style.short(model.name)}: {style.count(len(self.rows))} through the steps" + \
            ("" if mapped else "; the last step's images are not drawn")

    def everything(self):
        return np.concatenate([self.source, self.target, self.path.reshape(-1, 2)])

    def draw(self, figure):
        """Handles and names of the legend."""
        from matplotlib.collections import LineCollection
        from matplotlib.lines import Line2D
        axes = figure.subplots()
        size = float(np.clip(8000 / len(self.source), 2.5, 20))
        for points, colour, marker in (self.target, style.TARGET, "s"), (self.source, style.SOURCE, "o"):
            axes.scatter(*points.T, s=size, color=colour, marker=marker, linewidths=0, alpha=0.45, rasterized=True)
        axes.add_collection(LineCollection(self.path, colors=style.IMAGE, linewidths=0.6, alpha=0.6, zorder=2))
        axes.scatter(*self.path[:, 1:].reshape(-1, 2).T, s=5, color=style.IMAGE, linewidths=0, alpha=0.8, zorder=3)
        self.plane.dress(axes, {"source": 0.0, "target": 2.0})
        axes.set_title(self.title + (f"\n{self.plane.note}" if self.plane.note else ""))
        drawn = {"source": {"marker": "o", "color": style.SOURCE, "ls": ""},
                 "target": {"marker": "s", "color": style.TARGET, "ls": ""},
                 "path, a dot after each step": {"marker": ".", "color": style.IMAGE, "lw": 0.8}}
        return [Line2D([], [], **look) for look in drawn.values()], list(drawn)


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
    axes[0].plot(number, columns["travelled"], color=style.SERIES[1], ls="--", marker=dots,
                 label="of the whole way, so far")
    axes[0].set_ylabel("share")
    axes[0].set_ylim(0, 1.55)
    axes[0].set_yticks([0, 0.5, 1])
    axes[0].legend(loc="upper left")
    axes[0].set_title(f"Steps, schedule {style.short(model.text('steps', 'schedule') or 'not known', 24)}")
    axes[1].plot(number, columns["epsilon"], color=style.SERIES[0], marker=dots)
    axes[1].set_ylabel("epsilon\n(units of the cost)")
    if columns["epsilon"].max() > 5 * columns["epsilon"].min() > 0:
        style.logarithmic(axes[1].yaxis, small=True)
    else:
        axes[1].set_ylim(0, columns["epsilon"].max() * 1.15)
    axes[2].bar(number, columns["half_passes"], color=style.SERIES[0], width=0.7)
    axes[2].set_ylabel("half-passes")
    axes[2].set_xlabel("step")
    for axis in axes:
        axis.set_xlim(0.4, len(number) + 0.6)
        axis.xaxis.set_major_locator(ticker.MaxNLocator(integer=True, min_n_ticks=1))
