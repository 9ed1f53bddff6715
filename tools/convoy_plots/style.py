"""Colours (Okabe and Ito's, told apart by colour-blind readers too), sizes and numbers; and how a picture is saved."""
import math
import os
import tempfile

import numpy as np

from .refused import Refused

SOURCE, TARGET, IMAGE, GREY = "#0072B2", "#E69F00", "#000000", "#777777"
SERIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES = ("-", "--", "-.", (0, (1, 1)))
FORMATS = ("png", "pdf", "svg")
# No dates: the same picture is the same bytes.
METADATA = {"png": {"Software": None}, "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
            "svg": {"Date": None, "Creator": None}}


def plotter():
    """matplotlib.pyplot for files."""
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    plt.rcParams.update({
        "font.size": 10, "axes.titlesize": 11, "axes.titlelocation": "left", "axes.labelsize": 10,
        "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False, "legend.fontsize": 9,
        "lines.linewidth": 1.6, "figure.constrained_layout.use": True, "savefig.facecolor": "white",
        "text.parse_math": False, "svg.hashsalt": "convoy", "font.family": "DejaVu Sans"})
    return plt


def series(number):
    """Colour and dashes of a line among several: the first seven differ in colour, then dashes differ."""
    return {"color": SERIES[number % len(SERIES)], "linestyle": DASHES[number // len(SERIES) % len(DASHES)]}


def count(number, what="point"):
    return f"{number:,} {what}{'s' * (number != 1)}"


def short(text, most=48):
    """For titles and legends: one printable line."""
    text = "".join(c if c.isprintable() else " " for c in str(text))
    return text if len(text) <= most else text[:most // 2 - 1] + "\u2026" + text[-(most // 2):]


def power(value, _=None):
    """A tick's label: 0.001, 5, 2e-05, 1e+06."""
    return f"{value:,.6g}" if 1e-3 <= value < 1e6 else f"{value:.0e}" if value > 0 else "0"


def logarithmic(axis, small=False):
    """After all is drawn: a logarithmic axis with plain numbers, and enough of them, or few where it is small."""
    from matplotlib import ticker
    axis.axes.set(**{f"{axis.axis_name}scale": "log"})
    low, high = axis.get_view_interval()
    decades = math.log10(high / low) if 0 < low < high else 1
    subs = (1,) if decades > (1.6 if small else 3) else (1, 2, 5) if decades > 0.7 else tuple(range(1, 10))
    axis.set_major_locator(ticker.LogLocator(subs=subs, numticks=4 if small else 8))
    axis.set_major_formatter(power)
    axis.set_minor_formatter(ticker.NullFormatter())
    if len(subs) > 1:
        axis.set_minor_locator(ticker.NullLocator())


def size_for(points, width, least=0.5, most=1.25):
    """Inches of a figure whose axes have about the shape of the points (n x 2), all of equal scale."""
    spread = points.max(0) - points.min(0)
    shape = float(np.clip(spread[1] / spread[0], least, most)) if spread[0] > 0 else 1
    return width, (width - 0.8) * shape + 1.5


def format_of(path):
    suffix = os.path.splitext(str(path))[1].lstrip(".").lower()
    if suffix not in FORMATS:
        raise Refused(f"{path}: a picture ends in .{', .'.join(FORMATS[:-1])} or .{FORMATS[-1]}")
    return suffix


def save(figure, path, dpi):
    """Whole or not at all, and the same bytes for the same picture."""
    suffix = format_of(path)
    with replacing(path) as part:
        figure.savefig(part, format=suffix, dpi=dpi, metadata=METADATA[suffix])


class replacing:
    """A name to write to, which becomes `path` when all went well."""

    def __init__(self, path):
        self.path = os.path.abspath(str(path))

    def __enter__(self):
        handle, self.part = tempfile.mkstemp(prefix=os.path.basename(self.path) + ".part.",
                                             dir=os.path.dirname(self.path))
        os.close(handle)
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(self.part, 0o666 & ~mask)
        return self.part

    def __exit__(self, kind, *_):
        if kind is None:
            os.replace(self.part, self.path)
        else:
            os.unlink(self.part)


def check_output(path, overwrite):
    folder = os.path.dirname(os.path.abspath(str(path)))
    if os.path.isdir(str(path)):
        raise Refused(f"{path}: is a folder; name a file")
    if not os.path.isdir(folder):
        raise Refused(f"{path}: there is no folder {folder}; make it first")
    if not os.access(folder, os.W_OK):
        raise Refused(f"{path}: the folder may not be written to; choose another")
    if os.path.lexists(str(path)) and not overwrite:
        raise Refused(f"{path}: exists already; --overwrite replaces it")


def legend_below(figure, handles, names, columns, **more):
    """Under everything else, in a strip that is kept free for it."""
    inches = 0.22 * -(-len(names) // columns) + 0.12
    share = inches / figure.get_size_inches()[1]
    figure.get_layout_engine().set(rect=(0, share, 1, 1 - share))
    return figure.legend(handles, names, loc="lower center", ncols=columns, **more)


def equal_scales(figure, axes, points):
    """Limits around the points (n x 2), of one scale in both directions. The layout is final: all else comes before."""
    low, high = points.min(0), points.max(0)
    middle, span = (low + high) / 2, 1.06 * (high - low)
    span = span if span.max() > 0 else np.ones(2)
    for _ in range(3):
        figure.draw_without_rendering()
        for axis in axes:
            box = axis.get_window_extent()
            half = max(span[0] / box.width, span[1] / box.height) / 2 * np.array([box.width, box.height])
            axis.set_xlim(middle[0] - half[0], middle[0] + half[0])
            axis.set_ylim(middle[1] - half[1], middle[1] + half[1])
    figure.set_layout_engine("none")
