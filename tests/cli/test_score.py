"""convoy score: how near the images of unseen points come to the target's."""

import json
import unittest

import h5py
import numpy as np

from maps import softmax_map, write_model
from program import ProgramTest

DOUBLE = ("--precision", "double")


def sinkhorn(x, y, epsilon):
    """Of equal masses: the regularised value and the transport cost."""
    cost = ((x[:, None] - y[None]) ** 2).sum(2)
    f, g = np.zeros(len(x)), np.zeros(len(y))
    soft = lambda logit, axis: (logit.max(axis) + np.log(np.exp(logit - logit.max(axis, keepdims=True)).mean(axis)))
    for _ in range(3000):
        if x is y:  # symmetric: the potentials are one
            f = g = (f - epsilon * soft((f[None] - cost) / epsilon, 1)) / 2
            continue
        g = -epsilon * soft((f[:, None] - cost) / epsilon, 0)
        f = -epsilon * soft((g[None] - cost) / epsilon, 1)
    plan = np.exp((f[:, None] + g - cost) / epsilon) / cost.size
    return f.mean() + g.mean() - epsilon * (plan.sum() - 1), (plan * cost).sum()


class Score(ProgramTest):
    def setUp(self):
        super().setUp()
        self.save_clouds()
        random = np.random.default_rng(8)
        self.u, self.v = random.normal(size=(37, 3)), random.normal(size=(31, 3)) + 0.5
        self.save("u.npy", self.u)
        self.save("v.npy", self.v)
        ending = self.run_program("solve", "x.npy", "y.npy", "-o", "run.h5", "--epsilon", "0.2")
        self.assert_solved(ending, output="run.h5")
        with h5py.File(self.folder / "run.h5") as file:
            g = file["potentials/g"][:]
        self.images = softmax_map(self.u, self.y, np.full(50, 1 / 50), g, 0.2)

    def score(self, *options, ranks=0, code=0, model="run.h5", points=("u.npy", "v.npy")):
        ending = self.run_program("score", model, *points, "--summary", "score.json", "--overwrite", *options,
                                  ranks=ranks)
        self.assertEqual(ending.code, code, str(ending))
        self.assert_no_leftovers()
        self.ending = ending
        return json.loads((self.folder / "score.json").read_text())

    def test_divergence_is_that_of_the_images(self):
        epsilon = 0.05 * ((self.v[:, None] - self.v[None]) ** 2).sum(2).mean()
        terms = [sinkhorn(*pair, epsilon) for pair in ((self.images, self.v), (self.images, self.images),
                                                       (self.v, self.v))]
        expected = [terms[0][k] - (terms[1][k] + terms[2][k]) / 2 for k in range(2)]
        for ranks, grid in ((0, "1x1"), (4, "4x1"), (4, "2x2"), (3, "1x3")):
            with self.subTest(grid):
                score = self.score(*DOUBLE, "--tolerance", "1e-8", "--grid", grid, ranks=ranks)
                self.assertAlmostEqual(score["epsilon"], epsilon, delta=1e-10)
                # Values are that near at this tolerance; transport costs feel errors in first order.
                self.assertAlmostEqual(score["divergence"], expected[0], delta=1e-7)
                self.assertAlmostEqual(score["divergence_transport"], expected[1], delta=1e-6)
                self.assertEqual(score["status"], "converged")
        for word in ("scored", "divergence", "from transport costs", "0.05mean"):
            self.assertIn(word, self.ending.out)
        self.assertNotIn("mean_squared_error", score)

    def test_truth(self):
        truth = self.images + np.random.default_rng(2).normal(size=self.images.shape) / 10
        self.save("t.npy", truth)
        error = ((self.images - truth) ** 2).sum(1).mean()
        variance = ((self.v - self.v.mean(0)) ** 2).sum(1).mean()
        for ranks in (0, 3):
            score = self.score(*DOUBLE, "--truth", "t.npy", ranks=ranks)
            self.assertAlmostEqual(score["mean_squared_error"], error, delta=1e-12)
            self.assertAlmostEqual(score["l2_uvp"], 100 * error / variance, delta=1e-9)
        self.assertIn("L2-UVP", self.ending.out)

    def test_epsilon_is_as_asked(self):
        cost = ((self.v[:, None] - self.v[None]) ** 2).sum(2)
        for rule, epsilon in (("0.3", 0.3), ("0.1std", 0.1 * cost.std())):
            self.assertAlmostEqual(self.score("--epsilon", rule)["epsilon"], epsilon, delta=1e-9)

    def test_points_mapped_onto_themselves_score_nothing(self):
        # A model whose softmax is sharp sends every target point to itself.
        write_model(self.folder / "sharp.h5", self.y, np.full(50, 1 / 50), [(1e-4, 1.0, np.zeros(50))])
        score = self.score("--truth", "y.npy", model="sharp.h5", points=("y.npy", "y.npy"))
        self.assertAlmostEqual(score["divergence"], 0, delta=1e-3)
        self.assertLess(score["l2_uvp"], 1e-6)

    def test_debiased(self):
        plain = self.score(*DOUBLE)
        debiased = self.score(*DOUBLE, "--debiased")
        self.assertEqual(debiased["model"]["debiased"], "yes")
        self.assertNotEqual(plain["divergence"], debiased["divergence"])

    def test_without_a_summary_it_only_speaks(self):
        ending = self.run_program("score", "run.h5", "u.npy", "v.npy", ranks=3)
        self.assertEqual(ending.code, 0, str(ending))
        self.assertIn("divergence", ending.out)
        self.assertNotIn("written", ending.out)

    def test_what_is_refused(self):
        run = lambda *words: self.run_program("score", *words)
        self.save("flat.npy", self.u[:, :2])
        self.save("short.npy", self.u[:5])
        self.assert_refused(run("run.h5", "flat.npy", "v.npy"), "flat.npy", "2 columns", "3 dimensions")
        self.assert_refused(run("run.h5", "u.npy", "flat.npy"), "flat.npy", "2 columns")
        self.assert_refused(run("run.h5", "u.npy", "v.npy", "--truth", "short.npy"), "short.npy", "5 rows", "37")
        self.assert_refused(run("run.h5", "u.npy"), "no TARGET_TEST")
        self.assert_refused(run("run.h5", "u.npy", "v.npy", "--overwrite"), "--overwrite has no effect")
        self.assert_refused(run("run.h5", "u.npy", "v.npy", "--summary", "v.npy", "--overwrite"), "v.npy", "an input")
        self.assert_refused(run("x.npy", "u.npy", "v.npy"), "x.npy")


if __name__ == "__main__":
    unittest.main(verbosity=2)
