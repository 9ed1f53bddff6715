"""Colours (Okabe and Ito's, told apart by colour-blind readers too), sizes and numbers; and how a picture is saved."""
import os
import tempfile

from .refused import Refused

SOURCE, TARGET, IMAGE, GREY = "#0072B2", "#E69F00", "#000000", "#777777"
SERIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES = ("-", "--", "-.", (0, (1, 1)))
FORMATS = ("png", "pdf", "svg")


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


def count(number):
    return f"{int(number):,}"


def short(text, most=48):
    """For titles and legends: one printable line."""
    text = "".join(c if c.isprintable() else " " for c in str(text))
    return text if len(text) <= most else text[:most // 2 - 1] + "\u2026" + text[-(most // 2):]


def plain_logarithms(axis):
    """Plain numbers at 1, 2 and 5 times the powers of ten where there are few of those, else powers alone."""
    import math

    from matplotlib import ticker
    low, high = axis.get_view_interval()
    decades = math.log10(high / low) if low > 0 and high > 0 else 1
    if decades < 3:
        axis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5) if decades > 0.5 else range(1, 10)))
        axis.set_major_formatter("{x:,.6g}")
        axis.set_minor_locator(ticker.NullLocator())


def format_of(path):
    suffix = os.path.splitext(str(path))[1].lstrip(".").lower()
    if suffix not in FORMATS:
        raise Refused(f"{path}: a picture ends in .{', .'.join(FORMATS[:-1])} or .{FORMATS[-1]}")
    return suffix


def save(figure, path, dpi):
    """Whole or not at all, and the same bytes for the same picture."""
    suffix = format_of(path)
    metadata = {"png": {"Software": None}, "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
                "svg": {"Date": None, "Creator": None}}[suffix]
    with replacing(path) as part:
        figure.savefig(part, format=suffix, dpi=dpi, metadata=metadata)


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
