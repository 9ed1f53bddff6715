"""What epsilon does: values, half-passes and KL of several results against it."""
import numpy as np

from . import style
from .refused import Refused

NAME = "epsilons"
SUMMARY = "values, half-passes and KL against epsilon, of several results"
TEACHES = """\
Solve one problem at several epsilons, then draw them together. Towards the left the plan is sharper: the transport cost
falls to that of the optimal plan, KL (to the product of the masses, in nats) rises, half-passes become more. Results
that did not converge are crosses beside the lines. Results are of one problem: the same points and the same cost.

  for e in 0.3 0.1 0.03 0.01 0.003; do convoy solve a.npy b.npy --epsilon ${e}std -o e$e.h5; done
  convoy-plot epsilons e*.h5 -o sweep.png"""
COLUMNS = ("epsilon", "transport_cost", "dual_value", "half_passes", "kl", "normalised_entropy")


def options(add):
    pass


def lacks(file):
    return None if file.kind == "result" else "the result of a run"


def one_problem(files):
    first = files[0]
    for file in files[1:]:
        for where, what in ("inputs/source", "source"), ("inputs/target", "target"):
            if file.attributes(where).get("checksum") != first.attributes(where).get("checksum"):
                raise Refused(f"{file.path}: has another {what} than {first.path}; a sweep is over one problem")
        if file.text("solution", "cost") != first.text("solution", "cost"):
            raise Refused(f"{file.path}: has another cost than {first.path}; a sweep is over one problem")


def draw(files):
    if len(files) < 2:
        raise Refused(f"{files[0].path}: is one result; a sweep takes two or more, at different epsilons")
    one_problem(files)
    plt = style.plotter()
    from matplotlib import ticker
    rows = np.array([[file.number("solution", name) for name in COLUMNS] for file in files])
    converged = np.array([file.status == "converged" for file in files])
    order = np.argsort(rows[:, 0], kind="stable")
    rows, converged = rows[order], converged[order]
    epsilon = rows[:, 0]
    if not (epsilon > 0).all():
        raise Refused(f"{files[0].path}: a result does not say its epsilon; make it anew")
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.8))

    def line(where, values, number, label=None):
        look = style.series(number)
        where.plot(epsilon[converged], values[converged], color=look["color"], ls=style.DASHES[number], label=label)
        where.plot(epsilon[converged], values[converged], "o", color=look["color"], ms=6)
        where.plot(epsilon[~converged], values[~converged], "X", color=look["color"], ms=8)

    line(axes[0], rows[:, 1], 0, "transport cost")
    line(axes[0], rows[:, 2], 1, "dual value (with entropy)")
    axes[0].set_ylabel("value (units of the cost)")
    axes[0].legend()
    line(axes[1], rows[:, 3], 0)
    axes[1].set_ylabel("half-passes")
    axes[1].set_ylim(bottom=0)
    axes[1].yaxis.set_major_locator(ticker.MaxNLocator(integer=True))
    line(axes[2], rows[:, 4], 0)
    axes[2].set_ylabel("KL to the product of the masses (nats)")
    axes[2].set_ylim(bottom=0)
    for axis, title in zip(axes, ("Values", "Work", "Sharpness")):
        style.logarithmic(axis.xaxis, small=True)
        axis.set_xlabel("epsilon (units of the cost)")
        axis.set_title(title)
        axis.grid(color="#e6e6e6", lw=0.6)
        axis.set_axisbelow(True)
    if not converged.all():
        axes[1].plot([], [], "X", color=style.GREY, ms=8, label="not converged")
        axes[1].legend()
    return figure
