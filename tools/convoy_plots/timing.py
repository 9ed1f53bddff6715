"""Where the time went: a bar a phase, the mean over ranks, with the fastest and the slowest rank."""
import numpy as np

from . import style
from .refused import Refused

PARTS = ("kernel", "communication")  # of the phase before


def rows_of(file):
    """Phases, and their min, mean, max (k x 3); none if the file has no timing."""
    if not file.has("timing/phase"):
        return [], np.empty((0, 3))
    phases = file.texts("timing/phase")
    columns = [file.numbers(f"timing/{name}").astype(float) for name in ("min", "mean", "max")]
    if any(len(column) != len(phases) for column in columns):
        raise Refused(f"{file.path}: its timing's columns differ in length; make it anew")
    return phases, np.column_stack(columns)


def name_of(phase):
    return f"of which {phase}" if phase in PARTS else phase


def draw(phases, seconds, ranks):
    plt = style.plotter()
    chosen = [k for k, phase in enumerate(phases) if phase != "total"]
    figure, axes = plt.subplots(figsize=(7.2, 0.3 * len(chosen) + 0.9))
    low, mean, high = seconds[chosen].T
    at = np.arange(len(chosen))
    colours = ["#9ecae1" if phases[k] in PARTS else style.SOURCE for k in chosen]
    spread = [np.maximum(mean - low, 0), np.maximum(high - mean, 0)] if ranks != 1 else None
    axes.barh(at, mean, color=colours, height=0.65, xerr=spread,
              error_kw={"capsize": 3, "lw": 1.2, "ecolor": "#222222"})
    axes.set_yticks(at, [style.short(name_of(phases[k])) for k in chosen])
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    axes.set_xlabel("seconds" if ranks == 1 else "seconds: mean over ranks, from the fastest to the slowest rank")
    return figure
