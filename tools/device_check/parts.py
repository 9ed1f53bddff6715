"""What each part runs. Problems and limits are for a device of 80 GiB or more and 16 cores; `small` makes them tiny."""
import dataclasses

from .kit import Step

SANITIZERS = ("memcheck", "racecheck", "initcheck", "synccheck")
# Some of the tests: a sanitizer makes a kernel ten to a hundred times slower.
SANITIZED = "--gtest_filter=CudaBlock/*:OnADevice.*"
NO_DEVICE = "no CUDA device"  # tests skip then, which here is no success
PEERS = {"torch_sinkhorn": ("torch", ["dense, compiled", "tiles, compiled", "dense", "tiles"]),
         "jax_sinkhorn": ("jax", ["dense", "tiles"]),
         "triton_sinkhorn": ("triton", ["tf32x3, 128 x 64", "tf32x3, 64 x 64", "ieee, 64 x 64"]),
         "keops_sinkhorn": ("pykeops", ["inner products", "squared differences"]),
         "ott_sinkhorn": ("ott", ["online, batches of 2048", "dense"]),
         "geomloss_sinkhorn": ("geomloss", ["online, scaling 0.5", "tensorized, scaling 0.5"])}
# The same half-passes whatever happens: what grids, ranks and devices are compared by.
FIXED = ["--init", "zero", "--annealing", "off", "--acceleration", "plain", "--tolerance", "1e-30"]


@dataclasses.dataclass
class Sizes:
    """Numbers of points and images."""
    few: int = 2000
    grey: int = 60000
    colour: int = 100000
    many: int = 1000000
    shared: int = 50000
    peers: int = 50000

    @staticmethod
    def small():
        return Sizes(200, 300, 200, 400, 300, 300)


class Parts:
    """name -> steps. `device` is convoy's --device; `data` a folder with CIFAR-10, or None."""

    LIMITS = {"tests": 240, "sanitizer": 300, "rates": 330, "images": 360, "large": 210, "peers": 300}

    def __init__(self, kit, small=False, device="cuda", data=None):
        self.kit, self.small, self.device, self.data = kit, small, device, data
        self.sizes = Sizes.small() if small else Sizes()

    def steps(self, part):
        return list(getattr(self, part)())

    # --- pieces ---

    def at(self, *names):
        return self.kit.work.joinpath(*names)

    def cloud(self, shape, points, dimension, name, *words):
        return Step(f"points: {name}", self.kit.tool("make-clouds", shape, points, dimension, "-o", self.at(name), *words),
                    60)

    def solve(self, name, source, target, *options, limit=120, ranks=0, device=None):
        """Its result, summary and trace are called after the step."""
        stem = name.replace(",", "").replace(" ", "-")
        summary, trace = self.at(f"{stem}.json"), self.at(f"{stem}.csv")
        command = [self.kit.program("convoy"), "solve", source, target, "--device", device or self.device, "--quiet",
                   "--overwrite", "-o", self.at(f"{stem}.h5"), "--summary", summary, "--trace", trace, *options]
        return Step(name, command, limit, ranks=ranks, reads=summary, trace=trace, codes=(0, 3))

    def compare(self, name, one, other):
        files = [self.at(f"{step.replace(',', '').replace(' ', '-')}.h5") for step in (one, other)]
        return Step(name, self.kit.tool("device_check/compare_results.py", *files), 60, reads="output", needs=("h5py",))

    # --- parts ---

    def tests(self):
        for test in self.kit.tests():
            for ranks in (1, 2, 4):
                yield Step(f"{test.name}, {ranks} ranks", [test], 60, ranks=ranks, forbidden=NO_DEVICE)
        yield self.cloud("gaussian", self.sizes.few, 20, "few-x.npy")
        yield self.cloud("clusters", self.sizes.few - 50, 20, "few-y.npy", "--seed", 1)
        files = self.at("few-x.npy"), self.at("few-y.npy")
        fixed = [*FIXED, "--max-half-passes", 10]
        yield self.solve("few, cpu in double", *files, *fixed, "--precision", "double", device="cpu")
        for ranks in (1, 2, 4):
            yield self.solve(f"few, {ranks} ranks", *files, *fixed, ranks=ranks)
            yield self.compare(f"few, {ranks} ranks against the cpu", f"few, {ranks} ranks", "few, cpu in double")

    def sanitizer(self):
        yield self.cloud("gaussian", 300, 70, "small-x.npy")
        yield self.cloud("clusters", 257, 70, "small-y.npy", "--seed", 1)
        solve = self.solve("small", self.at("small-x.npy"), self.at("small-y.npy"), *FIXED, "--max-half-passes", 4)
        for tool in SANITIZERS:
            head = ["compute-sanitizer", "--tool", tool, "--error-exitcode", "9"]
            for test in self.kit.tests():
                yield Step(f"{tool}, {test.name}", [*head, test, SANITIZED], 60, needs=("compute-sanitizer",),
                           forbidden=NO_DEVICE)
            yield Step(f"{tool}, convoy solve", [*head, *solve.command], 40, codes=solve.codes,
                       needs=("compute-sanitizer",))

    def rates(self):
        found = self.at("rates.json")
        budget = ["--tiny"] if self.small else ["--budget", 270]
        yield Step("rates", [self.kit.program("cuda_rates"), *budget, "--json", found], 320, reads=found)

    def images(self):
        for kind, count, options in (("grey", self.sizes.grey, ["--cost", "pnorm:2", "--epsilon", "0.00078125mean"]),
                                     ("colour", self.sizes.colour, ["--cost", "dot", "--epsilon", "0.0316std"])):
            folder, data = self.at(kind), ["--data", self.data] if self.data else []
            files = folder / "source.npy", folder / "target.npy"
            yield Step(f"images: {kind}", self.kit.tool("device_check/images.py", "make", kind, count, folder, *data), 120,
                       needs=("numpy",))
            runs = [(f"{kind}, run {k}", []) for k in (1, 2, 3)[:3 if kind == "grey" else 2]]
            for name, further in [*runs, (f"{kind}, from zero", ["--init", "zero"])]:
                yield self.solve(name, *files, *options, "--tolerance", "1e-3", *further, limit=100)
            stem = self.at(f"{kind}-run-1")
            yield Step(f"{kind}, true pairs",
                       self.kit.tool("device_check/images.py", "score", folder, f"{stem}.h5", f"{stem}.json"), 60,
                       reads="output", needs=("h5py",))

    def large(self):
        for dimension in (64, 3):
            names = [f"many-{dimension}-{side}.npy" for side in "xy"]
            yield self.cloud("gaussian", self.sizes.many, dimension, names[0])
            yield self.cloud("gaussian", self.sizes.many, dimension, names[1], "--seed", 1, "--shift", 0.5)
            yield self.solve(f"many, d = {dimension}", *map(self.at, names), *FIXED, "--max-half-passes", 6,
                             "--cache", "off", limit=90)
        names = [f"shared-{side}.npy" for side in "xy"]
        yield self.cloud("gaussian", self.sizes.shared, 64, names[0])
        yield self.cloud("gaussian", self.sizes.shared, 64, names[1], "--seed", 1, "--shift", 0.5)
        fixed = [*map(self.at, names), *FIXED, "--max-half-passes", 10]
        yield self.solve("shared, 1 rank", *fixed, limit=60, ranks=1)
        yield self.solve("shared, 1 rank again", *fixed, limit=60, ranks=1)
        yield self.solve("shared, 4 ranks", *fixed, limit=60, ranks=4)
        yield self.compare("a rerun", "shared, 1 rank", "shared, 1 rank again")
        yield self.compare("4 ranks against 1", "shared, 1 rank", "shared, 4 ranks")

    def peers(self):
        folder = self.at("peers")
        for side, words in (("x", []), ("y", ["--seed", 1, "--shift", 0.5])):
            yield self.cloud("gaussian", self.sizes.peers, 64, f"peers/{side}.npy", *words)
        files = folder / "x.npy", folder / "y.npy"
        runs = [self.solve(f"peers, convoy, run {k}", *files, "--epsilon", "0.05std", "--tolerance", "1e-3")
                for k in (1, 2, 3)]
        yield from runs
        # What `auto` accelerates with works on the host; this hardly does.
        for k in (1, 2, 3):
            yield self.solve(f"peers, anderson, run {k}", *files, "--epsilon", "0.05std", "--tolerance", "1e-3",
                             "--acceleration", "anderson")
        yield Step("peers: the problem", self.kit.tool("device_check/write_problem.py", runs[0].reads, folder), 20)
        for module, (package, settings) in PEERS.items():
            for setting in settings:
                yield Step(f"{module}: {setting}",
                           [self.kit.python, "-m", "peers.sinkhorn_run", module, setting, folder, "--cap", 20], 60,
                           reads="output", needs=(package,), optional=True)
