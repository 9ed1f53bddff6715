"""One setting of one peer in a process of its own, so that it can be stopped and leaves no memory behind.

    python -m peers.child rates|times MODULE SETTING FOLDER FACTOR

FACTOR is of the peer's usual threshold to begin with (times).
Speaks JSON lines on its standard output; what libraries print there goes to standard error.
"""
import importlib
import json
import os
import sys
import time

import numpy as np

from . import problems

ATTEMPTS = 4
GRACE = 1.1  # a peer's error may exceed the tolerance by so much
TOLERANCE = 1e-3
SHORT = 5.0  # seconds: what is quicker is run three times


def rates(peer, setting, problem, _, say):
    """One repetition for every line that comes in."""
    functions = peer.reductions(setting, problem)
    say(event="ready", difference=largest_difference(functions, problem))
    functions[1]()
    for _ in sys.stdin:
        seconds = [[], []]
        while not seconds[0] or sum(map(sum, seconds)) < 1 and len(seconds[0]) < 20:
            for times, function in zip(seconds, functions):
                start = time.perf_counter()
                function()
                times.append(time.perf_counter() - start)
        say(event="rate", seconds=float(np.mean([np.median(times) for times in seconds])))


def largest_difference(functions, problem):
    """Of the peer's reduction to the source from one in double, on some rows, in units of epsilon."""
    result = functions[0]()
    if result is None:
        return None
    rows = np.linspace(0, len(problem.x) - 1, 50).astype(int)
    return float(np.abs(result[rows] - problems.soft_minimum(problem, rows)).max() / problem.epsilon)


def times(peer, setting, problem, factor, say):
    """Attempts at the peer's own threshold, which is moved until the error in double is just within the tolerance."""
    solver = peer.solver(setting, problem)
    for _ in range(ATTEMPTS):
        threshold = solver.threshold and solver.threshold * factor
        solver.prepare(threshold)
        say(event="start")
        start = time.perf_counter()
        outcome = solver.run()
        seconds = time.perf_counter() - start
        say(event="end", seconds=seconds)
        source, target = problems.marginal_errors(problem, outcome.f, outcome.g)
        error = source + target
        reached = error <= GRACE * TOLERANCE
        if reached and seconds < SHORT:
            for _ in range(2):
                start = time.perf_counter()
                solver.run()
                seconds = min(seconds, time.perf_counter() - start)
        say(event="attempt", seconds=seconds, iterations=outcome.iterations, source_error=source, target_error=target,
            reached=bool(reached), note=outcome.note, threshold=threshold, factor=factor)
        if threshold is None or not outcome.stopped_itself or not np.isfinite(error):
            return
        if 0.75 * TOLERANCE <= error <= GRACE * TOLERANCE:
            return
        factor *= min(max(TOLERANCE / error, 0.1), 3.0)


def main():
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    part, module, setting, folder, factor = sys.argv[1:]
    peer = importlib.import_module(f"peers.{module}")
    problem = problems.load(folder)

    def say(**message):
        print(json.dumps(message), file=answers, flush=True)
    {"rates": rates, "times": times}[part](peer, setting, problem, float(factor), say)


if __name__ == "__main__":
    main()
