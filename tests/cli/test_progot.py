"""Progressive OT from outside: what the model holds is what an independent implementation finds."""

import json
import unittest

import h5py
import numpy as np

from program import ProgramTest


def softmin(cost, potential, mass, epsilon):
    """-epsilon log sum_j mass_j exp((potential_j - cost_ij)/epsilon), and the weights of the sum."""
    logit = (potential - cost) / epsilon + np.log(mass)
    top = logit.max(1, keepdims=True)
    terms = np.exp(logit - top)
    return -epsilon * (top[:, 0] + np.log(terms.sum(1))), terms / terms.sum(1, keepdims=True)


def half_power(p):
    return lambda z: (abs(z) ** p).sum(-1) / p


COSTS = {  # h, grad h, grad h*
    "sqeuclidean": (lambda z: (z**2).sum(-1), lambda z: 2 * z, lambda w: w / 2),
    "pnorm:1.5": (half_power(1.5), lambda z: np.sign(z) * abs(z) ** 0.5, lambda w: np.sign(w) * w**2),
}


def map_points(z, y, g, b, epsilon, cost):
    h, gradient, conjugate = COSTS[cost]
    difference = z[:, None] - y
    _, weights = softmin(h(difference), g, b, epsilon)
    return z - conjugate((weights[:, :, None] * gradient(difference)).sum(1))


def progot(x, y, alphas, rule, cost, a, b, tolerance=1e-11):
    """Epsilons, target potentials and travelled sources of plain progressive OT."""
    epsilons, potentials, sources, z = [], [], [], x
    for alpha in alphas:
        difference = COSTS[cost][0](z[:, None] - y)
        epsilon = rule(difference, a[:, None] * b)
        f, g, error = np.zeros(len(x)), np.zeros(len(y)), 1
        for _ in range(100000):
            g, _ = softmin(difference.T, f, a, epsilon)
            new, _ = softmin(difference, g, b, epsilon)
            error = (a * abs(np.expm1((f - new) / epsilon))).sum()
            f = new
            if error < tolerance:
                break
        epsilons.append(epsilon)
        potentials.append(g)
        sources.append(z)
        z = (1 - alpha) * z + alpha * map_points(z, y, g, b, epsilon, cost)
    return epsilons, potentials, sources


def through(z, y, model, alphas, b, cost):
    epsilons, potentials, _ = model
    for k, alpha in enumerate(alphas):
        image = map_points(z, y, potentials[k], b, epsilons[k], cost)
        z = image if k == len(alphas) - 1 else (1 - alpha) * z + alpha * image
    return z


class Progot(ProgramTest):
    def setUp(self):
        super().setUp()
        self.save_clouds(n=40, m=31, d=2)

    def fit(self, *options, ranks=0, code=0, output="out.h5"):
        ending = self.run_program("progot", "x.npy", "y.npy", "-o", output, "--overwrite", *options, ranks=ranks)
        self.assertEqual(ending.code, code, ending)
        self.assert_no_leftovers()
        return ending

    def test_model_is_that_of_an_independent_implementation(self):
        random = np.random.default_rng(3)
        a, b = random.uniform(0.5, 1.5, 40), random.uniform(0.5, 1.5, 31)
        self.save("a.npy", a), self.save("b.npy", b)
        a, b = a / a.sum(), b / b.sum()
        alphas = [1 / 3, 1 / 2, 1]
        unseen = random.normal(size=(20, 2)) * 2
        for cost in COSTS:
            expected = progot(self.x, self.y, alphas, lambda c, p: 0.05 * (p * c).sum(), cost, a, b)
            for ranks in (0, 4):
                with self.subTest(cost, ranks=ranks):
                    self.fit("--steps", 3, "--epsilon", "0.05mean", "--precision", "double", "--tolerance", 1e-10,
                             "--tolerances", "constant", "--cost", cost, "--source-weights", "a.npy",
                             "--target-weights", "b.npy", "--intermediates", ranks=ranks)
                    with h5py.File(self.folder / "out.h5") as file:
                        steps = file["steps"]
                        self.assertEqual(steps.attrs["steps"], 3)
                        self.assertEqual(steps["g"].shape, (31, 3))
                        np.testing.assert_allclose(steps["epsilon"], expected[0], rtol=1e-7)
                        np.testing.assert_allclose(steps["alpha"], alphas, rtol=1e-14)
                        np.testing.assert_allclose(steps["travelled"], [1 / 3, 2 / 3, 1], rtol=1e-14)
                        np.testing.assert_allclose(steps["source_2"], expected[2][1], atol=1e-6)
                        np.testing.assert_allclose(steps["source_3"], expected[2][2], atol=1e-6)
                        np.testing.assert_array_equal(file["target/points"], self.y)
                        np.testing.assert_allclose(file["weights/b"], b, rtol=1e-14)
                        np.testing.assert_allclose(file["potentials/g"][:] - steps["g"][:, 2], 0, atol=1e-12)
                        self.assertTrue((steps["marginal_error"][:] <= 1e-10).all())
                        self.assertEqual([s.decode() for s in steps["status"]], ["converged"] * 3)
                        found = steps["epsilon"][:], steps["g"][:].T, None
                    np.testing.assert_allclose(through(unseen, self.y, found, alphas, b, cost),
                                               through(unseen, self.y, expected, alphas, b, cost), atol=1e-5)

    def test_defaults_converge_and_say_so(self):
        ending = self.fit("--summary", "out.json", "--trace", "out.csv")
        self.assertIn("converged", ending.out)
        self.assertIn("step", ending.out)
        summary = json.loads((self.folder / "out.json").read_text())
        self.assertEqual(summary["command"], "progot")
        self.assertEqual(len(summary["steps"]), 16)
        self.assertEqual(summary["schedule"], "constant")
        epsilons = [step["epsilon"] for step in summary["steps"]]
        # From the start's towards the end's, in a line.
        np.testing.assert_allclose(np.diff(epsilons), np.diff(epsilons)[0], rtol=1e-6)
        self.assertEqual(summary["solution"]["half_passes"], sum(s["half_passes"] for s in summary["steps"]))
        self.assertEqual(summary["solution"]["epsilon_rule"], "auto")

    def test_same_command_same_bits(self):
        for name in ("one.h5", "two.h5"):
            self.fit("--steps", 4, "--seed", 5, ranks=3, output=name)
        with h5py.File(self.folder / "one.h5") as one, h5py.File(self.folder / "two.h5") as two:
            for path in ("steps/g", "potentials/f", "steps/epsilon"):
                np.testing.assert_array_equal(one[path], two[path])

    def test_held_out_points_may_be_given(self):
        self.save("unseen.npy", np.random.default_rng(4).normal(size=(15, 2)))
        ending = self.fit("--held-out", "unseen.npy", "--scales", "0.5,2", "--epsilon-start", 3, "-v")
        self.assertIn("15 held-out points", ending.err)
        self.assertIn("scale 0.5", ending.err)

    def test_missed_steps_are_said_and_the_model_is_written(self):
        ending = self.fit("--steps", 3, "--epsilon", "0.01mean", "--max-half-passes", 4, "--tolerance", 1e-9, code=3)
        self.assertIn("missed", ending.out + ending.err)
        with h5py.File(self.folder / "out.h5") as file:
            self.assertIn(file.attrs["status"], ("not_converged", b"not_converged"))
            self.assertIn(b"not_converged", list(file["steps/status"]))

    def test_time_limit_ends_with_the_steps_there_are(self):
        random = np.random.default_rng(6)
        self.save("x.npy", random.normal(size=(6000, 2))), self.save("y.npy", random.normal(size=(6000, 2)))
        ending = self.fit("--epsilon", "0.0005mean", "--time-limit", 1, "--tolerance", 1e-6, "--tolerances", "constant",
                          "--precision", "double", code=3)
        self.assertIn("time limit", ending.out)
        with h5py.File(self.folder / "out.h5") as file:
            steps = file["steps"].attrs["steps"]
            self.assertLess(steps, 16)
            self.assertEqual(file["steps/g"].shape, (6000, steps))
            self.assertIn(file.attrs["status"], ("stopped", b"stopped"))
        mapped = self.run_program("map", "out.h5", "y.npy", "-o", "mapped.h5")
        self.assertEqual(mapped.code, 0, mapped)
        self.assertIn("stopped", mapped.err)

    def test_source_is_stored_as_it_was_given(self):
        self.fit("--steps", 2, "--epsilon", "0.1mean", "--store-points")
        with h5py.File(self.folder / "out.h5") as file:
            np.testing.assert_array_equal(file["source/points"], self.x)

    def test_result_of_a_model_is_a_start(self):
        self.fit("--steps", 1, "--epsilon", "0.1mean")
        ending = self.run_program("solve", "x.npy", "y.npy", "-o", "next.h5", "--epsilon", "0.1mean", "--init", "out.h5")
        self.assertEqual(ending.code, 0, ending)

    def test_bad_usage_is_one_line_and_writes_nothing(self):
        self.save("flat.npy", np.zeros((3, 5)))
        for options, words in [
            (("--steps", "0"), ("--steps",)),
            (("--schedule", "0.5,1.5"), ("--schedule", "1.5")),
            (("--schedule", "fast"), ("--schedule", "constant")),
            (("--schedule", "0.5,1", "--steps", "3"), ("--steps", "--schedule")),
            (("--cost", "euclidean"), ("euclidean", "map")),
            (("--cost", "cosine"), ("cosine", "map")),
            (("--steps", "3", "--epsilon", "1,2"), ("--epsilon", "3 steps")),
            (("--epsilon", "1,-2"), ("--epsilon", "positive")),
            (("--epsilon", "auto:3"), ("auto:0.05std",)),
            (("--epsilon", "0.1mean", "--scales", "1,2"), ("--scales", "auto")),
            (("--init", "x.npy"), ("--init", "name")),
            (("--held-out", "flat.npy"), ("flat.npy", "dimension")),
            (("--tolerances", "loose"), ("--tolerances", "linear")),
        ]:
            with self.subTest(" ".join(options)):
                ending = self.run_program("progot", "x.npy", "y.npy", "-o", "bad.h5", *options)
                self.assert_refused(ending, *words, outputs=("bad.h5",))


if __name__ == "__main__":
    unittest.main()
