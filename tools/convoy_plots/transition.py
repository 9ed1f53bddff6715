"""Groups of the source by groups of the target: the mass between them, as a heat map with its values."""
import numpy as np

from . import style
from .refused import Refused

NAME = "transition"
SUMMARY = "heat map of the mass between groups, of a query with --transition"
TEACHES = """\
forward (the default): of a source group's mass, the share that goes to each target group; rows sum to 1.
backward: of a target group's mass, the share that comes from each source group; columns sum to 1.
joint: the mass itself; everything sums to 1.
The title tells how much of the mass stays in a group of the same name, and how much would if source and target were
independent.

  convoy query days.h5 --transition cell_type -o groups.h5
  convoy-plot transition groups.h5 -o groups.png
  convoy-plot transition groups.h5 --show backward --sort -o from.pdf"""
MOST_VALUES = 40  # groups on a side up to which values are written
SUBJECTS = {"forward": "share of the source group's mass", "backward": "share of the target group's mass",
            "joint": "mass"}


def options(add):
    add("--show", choices=tuple(SUBJECTS), default="forward", help="(default: %(default)s)")
    add("--sort", action="store_true", help="target groups by the source group that most of their mass comes from")


def lacks(file):
    return None if file.kind == "query" and file.has("transition/joint") else "a query with --transition COLUMN"


def draw(files, show="forward", sort=False):
    if len(files) > 1:
        raise Refused(f"{files[1].path}: is one file too many; a heat map is of one query")
    file = files[0]
    sources, targets = file.texts("transition/source_levels"), file.texts("transition/target_levels")
    values = file.numbers(f"transition/{show}", 2)
    if values.shape != (len(sources), len(targets)) or not values.size:
        raise Refused(f"{file.path}: transition/{show} does not have a row a source group and a column a target group; "
                      "make it anew")
    if sort:
        order = np.argsort(np.nan_to_num(values).argmax(0), kind="stable")
        values, targets = values[:, order], [targets[k] for k in order]
    return heat_map(file, values, sources, targets, show)


def heat_map(file, values, sources, targets, show):
    plt = style.plotter()
    g, h = values.shape
    cell = 0.52 if max(g, h) <= 25 else 0.36 if max(g, h) <= MOST_VALUES else max(0.12, 9 / max(g, h))
    names = [[style.short(name, 32 if max(g, h) <= 25 else 22) for name in side] for side in (sources, targets)]
    margin = 0.085 * max(len(name) for name in names[0]), 0.085 * max(len(name) for name in names[1])
    figure, axes = plt.subplots(figsize=(max(5.2, cell * h + margin[0] + 1.9), max(3, cell * g + margin[1] + 1.3)))
    largest = np.max(np.nan_to_num(values), initial=1e-12)
    shown = axes.imshow(values, cmap="Blues", vmin=0, vmax=1 if largest > 0.5 and show != "joint" else largest,
                        aspect="equal" if 0.3 < g / h < 3 else "auto")
    axes.set_xticks(range(h), names[1], rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(g), names[0])
    axes.tick_params(length=0, labelsize=9 if max(g, h) <= 25 else 7)
    axes.spines[:].set_visible(False)
    axes.set_xticks(np.arange(h - 1) + 0.5, minor=True)
    axes.set_yticks(np.arange(g - 1) + 0.5, minor=True)
    axes.grid(which="minor", color="white", lw=1)
    axes.tick_params(which="minor", length=0)
    if max(g, h) <= MOST_VALUES:
        write_values(axes, values, shown.norm, 8 if max(g, h) <= 25 else 6)
    column = style.short(file.text("transition", "column"), 32) or "groups"
    axes.set_xlabel(f"{column} of the target ({style.short(named(file, 'target'), 32)})")
    axes.set_ylabel(f"{column} of the source ({style.short(named(file, 'source'), 32)})")
    figure.colorbar(shown, ax=axes, label=SUBJECTS[show], shrink=0.8, pad=0.02).outline.set_visible(False)
    same = file.number("transition", "equal_mass"), file.number("transition", "equal_mass_independent")
    title = f"Transitions by {column}, {show}"
    if np.isfinite(same).all() and set(sources) & set(targets):
        title += f"\n{same[0]:.1%} of the mass stays in its group ({same[1]:.1%} if independent)"
    figure.suptitle(title, fontsize=11, x=0.01, ha="left")
    return figure


def named(file, name):
    from .clouds import label_of
    return label_of(file.attributes(f"inputs/{name}"))


def write_values(axes, values, norm, size):
    small = np.max(np.nan_to_num(values)) < 0.1
    for (i, j), value in np.ndenumerate(values):
        if not np.isfinite(value):
            text = "\u2013"  # a group without mass
        elif value < (0.0005 if small else 0.005):
            text = "0" if value == 0 else "\u00b7"
        else:
            text = f"{value:.{3 if small else 2}f}"
            text = text.removeprefix("0")
        axes.text(j, i, text, ha="center", va="center", fontsize=size,
                  color="white" if np.isfinite(value) and norm(value) > 0.55 else "#222222")
