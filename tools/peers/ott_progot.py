"""OTT-JAX's ProgOT in a process of its own, in single precision on the CPU: `python -m peers.ott_progot CORES`.

For OTT-JAX 0.5.0: up to 0.6.0 later ones start every step from the original source, and find other maps. Speaks JSON
lines: a request is {"name", "source", "target", "alphas", "epsilons", "tolerance", "warm_start"}, where "epsilons" is
a list, or null for the library's own rule (0.05 of the standard deviation). A name's first request compiles, each runs
once. {"name", "points", "images"}: sends points (a file) through that one's map, into a file.
"""
import importlib.metadata
import json
import os
import sys
import time

import numpy as np


def load(path):
    import jax.numpy as jnp
    return jnp.asarray(np.load(path), jnp.float32)


class Fitted:
    """One setting, compiled."""

    def __init__(self, request):
        import jax
        import jax.numpy as jnp
        from ott.geometry import pointcloud
        from ott.problems.linear import linear_problem
        from ott.tools import progot
        epsilons = request["epsilons"] and jnp.asarray(request["epsilons"])
        solver = progot.ProgOT(jnp.asarray(request["alphas"]), epsilons=epsilons)
        self.problem = linear_problem.LinearProblem(
            pointcloud.PointCloud(load(request["source"]), load(request["target"])))
        self.compiled = jax.jit(lambda problem: solver(problem, warm_start=request["warm_start"],
                                                       threshold=request["tolerance"])).lower(self.problem).compile()
        self.output = None

    def run(self):
        import jax
        start, before = time.perf_counter(), time.process_time()
        self.output = jax.block_until_ready(self.compiled(self.problem))
        seconds, processor = time.perf_counter() - start, time.process_time() - before
        return {"seconds": seconds, "processor": processor, "iterations": int(self.output.num_iters.sum()),
                "epsilons": [float(epsilon) for epsilon in self.output.epsilons],
                "converged": bool(self.output.converged.all())}

    def map(self, points, images):
        np.save(images, np.asarray(self.output.transport(load(points))[1]))
        return {}


def main():
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:int(sys.argv[1])])  # JAX starts as many threads
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    print(json.dumps({name: importlib.metadata.version(name) for name in ("ott-jax", "jax")}), file=answers)
    fitted = {}
    for line in sys.stdin:
        request = json.loads(line)
        name = request["name"]
        if "images" in request:
            answer = fitted[name].map(request["points"], request["images"])
        else:
            if name not in fitted:
                fitted[name] = Fitted(request)
            answer = fitted[name].run()
        print(json.dumps(answer), file=answers)


if __name__ == "__main__":
    main()
