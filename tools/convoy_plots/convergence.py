"""How the error fell: the marginal error against half-passes, the goal, epsilon where it changed on the way."""
import numpy as np

from . import style
from .refused import Refused

NAME = "convergence"
SUMMARY = "the marginal error against half-passes or seconds, of one result or several"
TEACHES = """\
A line a result. Every other half-pass tells an error: the L1 distance of the plan's marginals from the masses (at most
2). The dotted line is the tolerance. The mark at the end is the error that the audit found in double, from the points
as given, which decided: a diamond for a run that converged, a cross for one that did not. Where epsilon changed on the
way (annealing, the steps of progressive OT), it is drawn below: the error rises when it falls, and only the last stage
is the answer's.
Work before the first half-pass (a start from a sub-sample, say) is not in the history.

  convoy-plot convergence run.h5 -o run.png
  convoy-plot convergence plain.h5 anderson.h5 coarse.h5 --labels plain,Anderson,coarse -o race.pdf
  convoy-plot convergence run.h5 --against seconds -o run.svg"""

END = {True: "D", False: "X"}  # converged or not


def options(add):
    add("--against", choices=("half-passes", "seconds"), default="half-passes", help="(default: %(default)s)")
    add("--labels", type=lambda text: text.split(","), metavar="A,B,...", help="for the legend (default: file names)")


def lacks(file):
    return None if file.kind == "result" and file.has("history/marginal_error") else "the result of a run"


def histories(file):
    """Half-passes, epsilon, error, seconds."""
    columns = [file.numbers(f"history/{name}").astype(float)
               for name in ("half_pass", "epsilon", "marginal_error", "seconds")]
    if len({len(column) for column in columns}) != 1:
        raise Refused(f"{file.path}: its history's columns differ in length; make it anew")
    if not len(columns[0]):
        raise Refused(f"{file.path}: its history is empty")
    return columns


def goals(file, at):
    """Where the tolerance holds from and to, and what it is: one, or one a step of progressive OT."""
    if not file.is_model:
        return [(at[0], at[-1], file.number("solution", "tolerance"))]
    tolerances, passes = file.numbers("steps/tolerance"), file.numbers("steps/half_passes")
    ends = np.minimum(np.cumsum(passes), len(at))
    return [(at[max(end - count, 0)], at[end - 1], goal)
            for end, count, goal in zip(ends, passes, tolerances) if 0 < count <= end]


def draw(files, against="half-passes", labels=None):
    if labels and len(labels) != len(files):
        raise Refused(f"{len(labels)} labels are given for {len(files)} files; give one a file")
    plt = style.plotter()
    from matplotlib import ticker
    runs = [(file, *histories(file)) for file in files]
    staged = any(np.ptp(epsilon) > 0 for _, _, epsilon, _, _ in runs)
    figure, axes = plt.subplots(2 if staged else 1, 1, sharex=True, squeeze=False, figsize=(7.2, 5.2 if staged else 4),
                                gridspec_kw={"height_ratios": [3, 1][:2 if staged else 1]})
    above, below = axes[0, 0], axes[1, 0] if staged else None
    all_goals, in_steps = set(), any(file.is_model for file in files)
    for number, (file, half_pass, epsilon, error, seconds) in enumerate(runs):
        at = half_pass if against == "half-passes" else seconds
        look = style.series(number)
        known = np.isfinite(error) & (error > 0)
        label = labels[number] if labels else style.short(file.name)
        above.plot(at[known], error[known], label=label, marker="." if known.sum() <= 60 else "", **look)
        audited = file.number("solution", "audited_error")
        end = audited if audited > 0 else error[known][-1] if known.any() else np.nan
        above.plot(at[-1:], [end], *END[file.status == "converged"], color=look["color"], markeredgecolor="white",
                   ms=9, zorder=5)
        for first, last, goal in goals(file, at):
            if goal > 0 and in_steps:
                above.plot([first, last], [goal, goal], ":", color=style.GREY, lw=1.2)
            all_goals.add(goal)
        if staged:
            below.step(at, epsilon, where="post", **look)
    if not in_steps:
        for goal in sorted(goal for goal in all_goals if goal > 0):
            above.axhline(goal, ls=":", color=style.GREY, lw=1.2)
    finish(above, below, files, against, all_goals, ticker)
    return figure


def finish(above, below, files, against, all_goals, ticker):
    from matplotlib.lines import Line2D
    style.logarithmic(above.yaxis)
    above.grid(axis="y", color="#e6e6e6", lw=0.6)
    above.set_axisbelow(True)
    above.set_ylabel("marginal error (L1)")
    last = below or above
    last.set_xlabel("half-passes" if against == "half-passes" else "seconds of solving")
    last.set_xlim(left=0)
    if against == "half-passes":
        last.xaxis.set_major_locator(ticker.MaxNLocator(integer=True, steps=(1, 2, 5, 10)))
    if below:
        style.logarithmic(below.yaxis, small=True)
        below.set_ylabel("epsilon\n(units of the cost)")
    handles, names = above.get_legend_handles_labels() if len(files) > 1 else ([], [])
    goal_name = f"tolerance {min(all_goals):g}" if len(all_goals) == 1 else "tolerance"
    handles.append(Line2D([], [], ls=":", color=style.GREY))
    names.append(goal_name)
    for converged, words in (True, "audited error, converged"), (False, "audited error, not converged"):
        if any((file.status == "converged") is converged for file in files):
            handles.append(Line2D([], [], ls="", marker=END[converged][0], color=style.GREY, ms=9,
                                  markeredgecolor="white"))
            names.append(words)
    style.legend_below(above.figure, handles, names, 4)
    above.set_title("Convergence" if len(files) > 1 else title_of(files[0]))


def title_of(file):
    rule = file.text("solution", "epsilon_rule")
    epsilon = file.number("solution", "epsilon")
    words = f"{style.short(file.name)}: {file.text('solution', 'cost')}, epsilon {epsilon:.4g}"
    return words + (f" ({rule})" if rule and rule != f"{epsilon:g}" else "")
