"""The libraries that tools/compare runs beside Convoy: one module each, with these functions, or one of them.

    reductions(setting, problem) -> (to_source, to_target)
        One log-sum-exp over all pairs each, in single precision: f from problem.g, and g from problem.f. They return
        the new potentials in Convoy's convention, or None where the setting computes something else.
    solver(setting, problem) -> Solver
        `threshold` to begin with, `prepare(threshold)` (compiling, not timed) and `run()` (timed), which returns an
        Outcome.

The settings for solutions are named by `solvers(problem, few)`, likely fast ones first, for others are stopped when
they are slower. Conventions are converted by the table in README.md.

Those called *_sinkhorn are what tools/device-check runs beside Convoy on a GPU: sinkhorn_run.py says what they have.
"""
from dataclasses import dataclass


@dataclass
class Outcome:
    """Potentials in Convoy's convention, and what the peer says about them."""
    f: object
    g: object
    iterations: int | None
    note: str = ""  # what went wrong
    stopped_itself: bool = True  # by its own criterion: a smaller threshold would have made it go on
