"""The experiments' tools, on a few made points and images: what they print is true."""

import importlib.util
import os
import pathlib
import subprocess
import sys
import unittest

import h5py
import numpy as np

import dense
from program import PROGRAM, Ending, ProgramTest

TOOLS = pathlib.Path(__file__).resolve().parents[2] / "tools"
sys.path[:0] = [str(TOOLS), str(TOOLS / "experiments")]
import true_maps  # noqa: E402

COUNT = 300
HAS_FIGURES = all(importlib.util.find_spec(module) for module in ("matplotlib", "scipy"))
# Rows but for the paper's have these cells.
TRACE, DIVERGENCE, UNNORMALISED, STATUS, ASYMMETRY = 5, 6, 7, 9, 11


class ExperimentTest(ProgramTest):
    def run_tool(self, tool, *words, environment=None):
        command = [sys.executable, TOOLS / "experiments" / tool, "--convoy", PROGRAM, *words]
        done = subprocess.run([str(word) for word in command], cwd=self.folder, timeout=150, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env=os.environ | (environment or {}))
        return Ending(done.returncode, done.stdout, done.stderr)

    def run_quick(self, tool, *words):
        """The rows of all tables: lists of cells, without the heads."""
        ending = self.run_tool(tool, "--quick", "--figures", "figures", *words)
        self.assertEqual(ending.code, 0, ending)
        lines = [line for line in ending.out.splitlines() if line.startswith("| ")]
        heads = {k - 1 for k, line in enumerate(lines) if line.startswith("| --- ")}
        return [[cell.strip() for cell in line.split("|")[1:-1]] for k, line in enumerate(lines)
                if k not in heads and k - 1 not in heads]

    def assert_drawn(self, *names):
        for name in names:
            self.assertGreater((self.folder / f"figures/{name}.png").stat().st_size, 5000)


class TrueMaps(unittest.TestCase):
    def test_gradients_of_convex_functions_are_monotone_and_every_piece_has_a_share(self):
        for kind in true_maps.PROBLEMS.values():
            for d in 1, 2, 64:
                with self.subTest(kind.name, d=d):
                    problem = kind(d)
                    x = problem.source(np.random.default_rng(0), 200)
                    y = problem.map(x)
                    products = np.einsum("ijk,ijk->ij", x[:, None] - x, y[:, None] - y)
                    self.assertGreater(products.min(), -1e-12)
        pieces = np.bincount(problem.piece(problem.source(np.random.default_rng(0), 2000)))
        self.assertEqual(len(pieces), problem.PIECES)
        self.assertGreater(pieces.min(), 50)


@unittest.skipUnless(HAS_FIGURES, "figures need matplotlib, the optimum needs scipy")
class Maps(ExperimentTest):
    def test_errors_fall_with_more_points_and_progressive_ones_are_below_untuned_ones(self):
        rows = self.run_quick("map-error")
        few, many = ([float(cell.split()[0]) for cell in row[3:8]] for row in rows)
        for method in range(5):
            self.assertLess(many[method], few[method])
        for method in range(4):  # the fifth is untuned
            self.assertLess(many[method], many[4])
        self.assert_drawn("map-error")

    def test_printed_error_is_that_of_the_map_by_the_book(self):
        row, = self.run_quick("map-error", "--points", "100", "--tolerance", "1e-7", "--", "--precision", "double")
        problem = true_maps.PROBLEMS["exp"](2)
        x, y = true_maps.sample(problem, 100, 0)
        points, truth = true_maps.fresh_points(problem, 1000, 0)
        cost = dense.Cost("sqeuclidean")
        matrix = cost.matrix(x, y)

        epsilon = 0.05 * matrix.mean()
        plain = dense.entropic_map(cost, points, y, dense.sinkhorn(matrix, epsilon)[1], epsilon)
        errors = [true_maps.squared_error(images, truth)
                  for images in (dense.debiased_map(cost, points, x, y, epsilon), plain)]

        # Four digits are printed.
        for cell, error in zip(row[6:8], errors):
            self.assertAlmostEqual(float(cell.split()[0]) / error, 1, delta=1e-3)

    def test_couplings_cost_more_and_are_blurrier_at_larger_epsilon(self):
        rows = self.run_quick("coupling-recovery")
        self.assertEqual(len(rows), 12)
        for first in range(0, 12, 3):
            paid, above, entropy = ([float(row[k].split()[0]) for row in rows[first:first + 3]] for k in (4, 5, 6))
            self.assertEqual(paid, sorted(paid), rows[first])
            self.assertEqual(entropy, sorted(entropy), rows[first])
            # Marginals are met to 1e-3, so that a coupling can be a little cheaper than the optimum.
            self.assertGreater(min(above), -0.5)
        # The travelled source is nearer, so that the same rule gives a sharper coupling.
        for sinkhorn, progot in zip(rows[0:3] + rows[6:9], rows[3:6] + rows[9:12]):
            self.assertLess(float(progot[6]), float(sinkhorn[6]))
        self.assert_drawn("coupling-recovery")

    def test_printed_cost_and_entropy_are_those_of_the_coupling_by_the_book(self):
        rows = self.run_quick("coupling-recovery", "--thetas", "1", "--progot", "2", "--tolerance", "1e-7",
                              "--tolerances", "constant", "--", "--precision", "double")
        x, y = true_maps.sample(true_maps.Mixture(16), 150, 0)
        for name, (solved, progressive) in zip(("sqeuclidean", "pnorm:1.5"), (rows[0:2], rows[2:4])):
            with self.subTest(name):
                cost = dense.Cost(name)
                matrix = cost.matrix(x, y)
                epsilon = matrix.mean() / 20
                p = dense.plan(matrix, *dense.sinkhorn(matrix, epsilon), epsilon)
                entropy = -(p * np.log(p)).sum() / np.log(p.size)
                self.assertAlmostEqual(float(solved[4]) / (p * matrix).sum(), 1, delta=1e-5)
                self.assertAlmostEqual(float(solved[6]), entropy, delta=1e-4)

                # The last epsilon as printed, of the cost between the cloud half-way and the target.
                book = dense.Progot(cost, x, y, [0.5, 1], [epsilon, float(progressive[3])])
                half_way = cost.matrix(book.clouds[1], y)
                self.assertAlmostEqual(half_way.mean() / 20 / float(progressive[3]), 1, delta=1e-3)
                self.assertAlmostEqual(float(progressive[4]) / (book.plan() * matrix).sum(), 1, delta=1e-3)

    def test_entropic_maps_find_the_true_one_and_earthquakes_stay_on_their_faults(self):
        rows = self.run_quick("entropic-maps")
        for exponent in (row for row in rows if row[1] == "fitted exponent of n"):
            for cell in exponent[2:]:
                self.assertLess(float(cell), -0.3, exponent)
        for row in rows[-2:]:
            stayed, most = (float(cell.split()[0]) for cell in row[-1].split(" of "))
            self.assertGreater(stayed, 0.6 * most)
            self.assertLess(stayed, most + 8)  # images are points, the coupling is blurred: not a strict bound
        # Two halves of one period differ less than two periods.
        self.assertLess(float(rows[-1][6]), float(rows[-2][6]))
        self.assert_drawn("entropic-maps-simulated", "entropic-maps-earthquakes")


class SingleCell(ExperimentTest):
    CELLS, METHOD, RULE, DIVERGENCE = range(4)

    def run_cells(self, *words):
        ending = self.run_tool("single-cell", "--quick", "--threads", "1", "--folder", "work", *words)
        self.assertEqual(ending.code, 0, ending)
        rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in ending.out.splitlines()
                if line.startswith("| ")]
        return {(row[self.METHOD], row[self.RULE]): row for row in rows[2:]}

    def load(self, name):
        return np.load(self.folder / f"work/{name}.npy").astype(float)

    def test_printed_divergences_are_those_of_maps_by_the_book(self):
        rows = self.run_cells("--only", "made", "--steps", "2", "--tolerance", "1e-7", "--", "--precision", "double")
        x, y, points, target = (self.load(name) for name in ("source", "target", "held-out-source", "held-out-target"))
        with h5py.File(self.folder / "work/progot-0.05mean.h5") as file:
            epsilons = file["steps/epsilon"][:]
        cost = dense.Cost("sqeuclidean")
        matrix = cost.matrix(x, y)

        book = dense.Progot(cost, x, y, [1 / 2, 1], epsilons)
        g = dense.sinkhorn(matrix, epsilons[0])[1]
        images = {("none: where they were", ""): points,
                  ("convoy solve", "0.05mean"): dense.entropic_map(cost, points, y, g, epsilons[0]),
                  ("convoy progot", "0.05mean"): book.map(points)}
        judging = 0.05 * cost.matrix(target, target).mean()

        self.assertEqual((len(x), len(y), len(points), len(target)), (120, 120, 30, 30))
        for epsilon, cloud in zip(epsilons, book.clouds):
            self.assertAlmostEqual(epsilon / (0.05 * cost.matrix(cloud, y).mean()), 1, delta=1e-5)
        for key, found in images.items():
            # The points are in single precision, the programs' images too.
            divergence = dense.divergence(cost, found, target, judging)
            self.assertAlmostEqual(float(rows[key][self.DIVERGENCE]) / divergence, 1, delta=1e-4, msg=key)
        self.assertIn(("convoy progot", "auto"), rows)
        self.assertLess(float(rows["convoy progot", "auto"][self.DIVERGENCE]),
                        float(rows["none: where they were", ""][self.DIVERGENCE]))

    def test_conditions_are_the_two_clouds_and_held_out_cells_are_not_fitted(self):
        random = np.random.default_rng(0)
        points = random.normal(size=(150, 5)).astype(np.float32)
        stimulated = random.permutation(150) < 80
        (self.folder / "single_cell/h5ad").mkdir(parents=True)
        with h5py.File(self.folder / "single_cell/h5ad/kang_pbmc_ifnb.h5ad", "w") as file:
            file["obsm/X_pca"] = points
            file["obs/condition/categories"] = np.array([b"ctrl", b"stim"])
            file["obs/condition/codes"] = stimulated.astype(np.int8)

        rows = self.run_cells("--only", "kang", "--data", ".")

        for side, own, sizes in (("source", points[~stimulated], (56, 14)), ("target", points[stimulated], (64, 16))):
            parts = self.load(side), self.load(f"held-out-{side}")
            self.assertEqual(tuple(map(len, parts)), sizes)
            together = np.concatenate(parts)
            np.testing.assert_array_equal(together[np.lexsort(together.T)], own[np.lexsort(own.T)])
        for row in rows.values():
            self.assertEqual(row[self.CELLS], "kang, 56 x 64, d = 5, held out 14, 16")

    def test_errors_are_one_line(self):
        for words, told in ((["--only", "gbm"], "--data"), (["--only", "gbm", "--data", "nowhere"], "nowhere"),
                            (["--steps", "0"], "--steps"), (["--only", "made", "--tolerance", "tight"], "--tolerance")):
            with self.subTest(words):
                ending = self.run_tool("single-cell", *words, environment={"CONVOY_TEST_DATA": ""})
                self.assertNotEqual(ending.code, 0)
                self.assertRegex(ending.err, r"\Aerror: [^\n]*\n\Z")
                self.assertIn(told, ending.err)


class Deblurring(ExperimentTest):
    def run_made(self, *words, code=0):
        """The cells of the rows."""
        ending = self.run_tool("deblurring", "--made", "--images", COUNT, "--folder", "work", *words)
        self.assertEqual(ending.code, code, ending)
        rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in ending.out.splitlines()
                if line.startswith("| made")]
        return rows

    def points(self, name):
        return np.load(self.folder / f"work/made-grey-{COUNT}-{name}.npy").astype(float)

    def test_trace_is_that_of_the_dense_plan(self):
        rows = self.run_made("--sigma", "4", "--epsilon", "0.1mean", "--init", "zero", "--tolerance", "1e-7",
                             "--precision", "double", "--output", "report.md")
        source, target = self.points("sigma4-source"), self.points("target")

        cost = 0.5 * ((source ** 2).sum(1)[:, None] + (target ** 2).sum(1)) - source @ target.T
        epsilon = 0.1 * cost.mean()
        q = np.diag(dense.plan(cost, *dense.sinkhorn(cost, epsilon, 1e-8), epsilon))
        p = 1 / COUNT

        self.assertEqual(len(rows), 1)
        self.assertEqual(rows[0][STATUS], "converged")
        # Five digits are printed; at a marginal error of 1e-7 they are the solution's.
        self.assertAlmostEqual(float(rows[0][TRACE]), q.sum(), delta=1.1e-5)
        self.assertAlmostEqual(float(rows[0][DIVERGENCE]), np.sum(p * np.log(p / q)), delta=1.1e-5)
        self.assertAlmostEqual(float(rows[0][UNNORMALISED]), np.sum(p * np.log(p / q) - p + q), delta=1.1e-5)
        self.assertIn(rows[0][TRACE], (self.folder / "report.md").read_text())

    def test_trace_of_progressive_transport_is_that_of_the_dense_plan(self):
        rows = self.run_made("--sigma", "4", "--epsilon", "0.1mean", "--starts", "none", "--progot", "3", "--tolerance",
                             "1e-7", "--precision", "double", "--", "--tolerances", "constant")
        source, target = self.points("sigma4-source"), self.points("target")
        with h5py.File(self.folder / f"work/made-grey-{COUNT}-sigma4-0.1mean-progot3.h5") as file:
            epsilons = file["steps/epsilon"][:]

        q = np.diag(dense.Progot(dense.Cost("pnorm:2"), source, target, [1 / 3, 1 / 2, 1], epsilons).plan())

        self.assertEqual([row[STATUS] for row in rows], ["converged"])
        self.assertAlmostEqual(float(rows[0][TRACE]), q.sum(), delta=1.1e-5)

    def test_printed_digits_are_those_of_the_result(self):
        row, = self.run_made("--epsilon", "mean/320", "--init", "zero", "--max-half-passes", "6")
        source, target = self.points("sigma4-source"), self.points("target")
        with h5py.File(self.folder / f"work/made-grey-{COUNT}-sigma4-mean320-zero.h5") as file:
            f, g = file["potentials/f"][:], file["potentials/g"][:]
            epsilon = file["solution"].attrs["epsilon"]

        trace = np.exp((f + g - 0.5 * ((source - target) ** 2).sum(1)) / epsilon).sum() / COUNT ** 2

        self.assertEqual(row[STATUS], "not converged")
        self.assertEqual(row[TRACE], f"{trace:.5f}")

    def test_the_plan_is_symmetric_and_a_permuted_source_changes_nothing(self):
        exact = ("--epsilon", "0.25mean", "--init", "zero", "--tolerance", "1e-10", "--precision", "double")
        straight, = self.run_made(*exact)
        permuted, = self.run_made(*exact, "--shuffle", "3")
        for row in straight, permuted:
            # Blurred images are rounded to single precision.
            self.assertLess(float(row[ASYMMETRY].split()[0]), 1e-5)
        self.assertEqual(straight[TRACE:UNNORMALISED + 1], permuted[TRACE:UNNORMALISED + 1])

    def test_table_goes_on_after_a_run_that_fails(self):
        rows = self.run_made("--table", "--epsilon", "0.25mean,0.1mean", "--sigma", "2", "--starts", "nowhere.h5,zero",
                             code=2)
        self.assertEqual([row[STATUS] for row in rows], ["failed", "converged"] * 2)

    def test_errors_are_one_line(self):
        (self.folder / "report.md").write_text("mine")
        for words, told in ((["--sigm", "4"], "--sigm"), (["--sigma", "0"], "--sigma"), ([], "--made"),
                            (["--data", "."], "no CIFAR-10"), (["--made", "--output", "report.md"], "--overwrite")):
            with self.subTest(words):
                ending = self.run_tool("deblurring", *words, environment={"CONVOY_TEST_DATA": ""})
                self.assertEqual((ending.code, ending.out), (2, ""), ending)
                self.assertRegex(ending.err, r"\Aerror: [^\n]*\n\Z")
                self.assertIn(told, ending.err)


if __name__ == "__main__":
    unittest.main(verbosity=2)
