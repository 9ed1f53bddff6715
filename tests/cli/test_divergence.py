"""convoy divergence: its numbers, its file, and what it takes from an earlier one."""

import json
import unittest

import h5py
import numpy as np

from program import ProgramTest


def plain(value):
    return value.decode() if isinstance(value, bytes) else value.item() if hasattr(value, "item") else value


def softmin(cost, potential, weights, epsilon):
    """-epsilon log sum_j w_j exp((p_j - C_ij)/epsilon), row by row."""
    logit = (potential[None, :] - cost) / epsilon + np.log(weights)[None, :]
    largest = logit.max(1)
    return -epsilon * (largest + np.log(np.exp(logit - largest[:, None]).sum(1)))


def squares(x, y):
    return ((x[:, None, :] - y[None, :, :]) ** 2).sum(2)


class Truth:
    """The three terms, solved here in double: equal weights unless given."""

    def __init__(self, x, y, epsilon, a=None, b=None, cost=squares):
        self.epsilon = epsilon
        a = np.full(len(x), 1 / len(x)) if a is None else a / a.sum()
        b = np.full(len(y), 1 / len(y)) if b is None else b / b.sum()
        x, a = x[a > 0], a[a > 0]
        y, b = y[b > 0], b[b > 0]
        self.terms = [self.term(cost(x, y), a, b), self.self_term(cost(x, x), a), self.self_term(cost(y, y), b)]
        self.divergence, self.transport = (xy - (xx + yy) / 2 for xy, xx, yy in zip(*self.terms))

    def values(self, cost, f, g, a, b):
        plan = a[:, None] * b[None, :] * np.exp((f[:, None] + g[None, :] - cost) / self.epsilon)
        return a @ f + b @ g - self.epsilon * (plan.sum() - 1), (plan * cost).sum()

    def term(self, cost, a, b):
        f, g = np.zeros(len(a)), np.zeros(len(b))
        for _ in range(3000):
            g = softmin(cost.T, f, a, self.epsilon)
            f = softmin(cost, g, b, self.epsilon)
        return self.values(cost, f, g, a, b)

    def self_term(self, cost, a):
        f = np.zeros(len(a))
        for _ in range(200):
            f = (f + softmin(cost, f, a, self.epsilon)) / 2
        return self.values(cost, f, f, a, a)


class DivergenceTest(ProgramTest):
    def setUp(self):
        super().setUp()
        self.save_clouds(n=30, m=25, d=2)

    def divergence(self, *options, ranks=0, code=0, output="out.h5", inputs=("x.npy", "y.npy")):
        ending = self.run_program("divergence", *inputs, "-o", output, *options, ranks=ranks)
        self.assert_solved(ending, code, output)
        return ending

    def attributes(self, group, output="out.h5"):
        with h5py.File(self.folder / output) as file:
            return {key: plain(value) for key, value in file[group].attrs.items()}

    def dataset(self, path, output="out.h5"):
        with h5py.File(self.folder / output) as file:
            return file[path][:]

    def refuse(self, *words, options=(), ranks=(0, 3), inputs=("x.npy", "y.npy")):
        for count in ranks:
            ending = self.run_program("divergence", *inputs, "-o", "out.h5", *options, ranks=count)
            self.assert_refused(ending, *words)


EXACT = ("--precision", "double", "--tolerance", "1e-9", "--max-half-passes", "20000")


class Numbers(DivergenceTest):
    def test_are_those_of_numpy(self):
        truth = Truth(self.x, self.y, 0.5)
        for ranks in (0, 3, 4):
            self.divergence("--epsilon", "0.5", "--overwrite", *EXACT, ranks=ranks)
            found = self.attributes("divergence")
            self.assertAlmostEqual(found["divergence"], truth.divergence, delta=1e-8)
            self.assertAlmostEqual(found["divergence_transport"], truth.transport, delta=1e-7)
            for name, (dual, transport) in zip(("cross", "source", "target"), truth.terms):
                term = self.attributes("divergence/" + name)
                self.assertAlmostEqual(term["dual_value"], dual, delta=1e-8, msg=name)
                self.assertAlmostEqual(term["transport_cost"], transport, delta=1e-7, msg=name)
                self.assertAlmostEqual(term["transport_cost"] + 0.5 * term["kl"], dual, delta=1e-7, msg=name)
                self.assertLessEqual(term["audited_error"], 1e-9)
                self.assertEqual(term["status"], "converged")
                self.assertGreater(term["half_passes"], 0)
            solution = self.attributes("solution")
            self.assertEqual(solution["dual_value"], self.attributes("divergence/cross")["dual_value"])
            for side, cloud in (("source", self.x), ("target", self.y)):
                f = self.dataset(f"self/{side}/f")
                plan = np.exp((f[:, None] + f[None, :] - squares(cloud, cloud)) / 0.5) / len(cloud)
                np.testing.assert_allclose(plan.mean(1) * len(cloud), 1, atol=1e-7)

    def test_with_weights_some_of_them_zero(self):
        a = np.arange(30.0)
        self.save("a.npy", a)
        truth = Truth(self.x / 2, self.y / 2, 0.2, a=a)
        for ranks in (0, 3):
            self.divergence("--epsilon", "0.2", "--source-weights", "a.npy", "--source-scale", "1/2",
                            "--target-scale", "0.5", "--overwrite", *EXACT, ranks=ranks)
            self.assertAlmostEqual(self.attributes("divergence")["divergence"], truth.divergence, delta=1e-8)

    def test_epsilon_may_refer_to_each_cost(self):
        for term, mean in (("cross", squares(self.x, self.y).mean()), ("source", squares(self.x, self.x).mean()),
                           ("target", squares(self.y, self.y).mean())):
            for ranks in (0, 3):
                self.divergence("--epsilon", "0.05mean", "--epsilon-of", term, "--overwrite", ranks=ranks)
                self.assertAlmostEqual(self.attributes("solution")["epsilon"], 0.05 * mean, delta=1e-9)
                self.assertEqual(self.attributes("divergence")["epsilon_of"], term)

    def test_the_reference_backend_agrees(self):
        self.divergence("--epsilon", "0.5", "--device", "reference", "--tolerance", "1e-8", "--gradient")
        expected, gradient = self.attributes("divergence"), self.dataset("gradient/source")
        self.divergence("--epsilon", "0.5", "--precision", "double", "--tolerance", "1e-8", "--gradient", "--overwrite")
        self.assertAlmostEqual(self.attributes("divergence")["divergence"], expected["divergence"], delta=1e-9)
        np.testing.assert_allclose(self.dataset("gradient/source"), gradient, atol=1e-9)

    def test_gradient_is_that_of_the_divergence(self):
        for ranks in (0, 3):
            self.divergence("--epsilon", "0.5", "--gradient", "--overwrite", *EXACT, ranks=ranks)
            gradient = self.dataset("gradient/source")
            self.assertEqual(gradient.shape, self.x.shape)
            for i, k in ((0, 0), (7, 1)):
                value = []
                for step in (1e-4, -1e-4):
                    x = self.x.copy()
                    x[i, k] += step
                    value.append(Truth(x, self.y, 0.5).divergence)
                self.assertAlmostEqual(gradient[i, k], (value[0] - value[1]) / 2e-4, delta=1e-6)


class File(DivergenceTest):
    def test_summary_says_what_the_file_says(self):
        for ranks in (0, 3):
            ending = self.divergence("--summary", "run.json", "--trace", "run.csv", "--overwrite", ranks=ranks)
            summary = json.loads((self.folder / "run.json").read_text())
            found = summary["divergence"]
            for term in ("cross", "source", "target"):
                self.assertEqual(found.pop(term), self.attributes("divergence/" + term))
            self.assertEqual(found, self.attributes("divergence"))
            self.assertEqual(summary["solution"], self.attributes("solution"))
            self.assertEqual(summary["command"], "divergence")
            self.assertEqual(summary["status"], "converged")
            self.assertIn(f"{found['divergence']:.10g}", ending.out)
            self.assertIn(f"{found['divergence_transport']:.10g}", ending.out)
            for word in ("converged", "half-passes", "self terms", "written"):
                self.assertIn(word, ending.out)
        page = self.run_program("info", "out.h5")
        self.assertIn("divergence_transport", page.out)

    def test_is_that_of_solve_for_the_cross_problem(self):
        self.divergence("--epsilon", "0.5")
        self.assert_solved(self.run_program("solve", "x.npy", "y.npy", "--epsilon", "0.5", "-o", "solve.h5"),
                           output="solve.h5")
        for path in ("potentials/f", "potentials/g", "weights/a"):
            np.testing.assert_array_equal(self.dataset(path), self.dataset(path, "solve.h5"))
        one, other = self.attributes("solution"), self.attributes("solution", "solve.h5")
        one.pop("seconds"), other.pop("seconds")
        self.assertEqual(one, other)

    def test_potentials_of_either_serve_as_a_start(self):
        self.divergence("--epsilon", "0.5")
        self.divergence("--epsilon", "0.5", "--init", "out.h5", output="again.h5")
        self.assertLessEqual(self.attributes("solution", "again.h5")["half_passes"], 4)


class Reuse(DivergenceTest):
    def setUp(self):
        super().setUp()
        self.save("z.npy", self.y + 1)

    def test_gives_the_same_number(self):
        for ranks in (0, 3, 4):
            options = ("--epsilon", "0.5", "--gradient", "--overwrite")
            self.divergence(*options, output="first.h5", ranks=ranks)
            self.divergence(*options, "--reuse", "first.h5", ranks=ranks)
            first, again = self.attributes("divergence", "first.h5"), self.attributes("divergence")
            self.assertEqual(again, first)
            np.testing.assert_array_equal(self.dataset("gradient/source"), self.dataset("gradient/source", "first.h5"))
            for side in ("source", "target"):
                term = self.attributes("divergence/" + side)
                self.assertEqual(term["reused"], "first.h5")
                self.assertEqual(term["half_passes"], 0)
                np.testing.assert_array_equal(self.dataset(f"self/{side}/f"),
                                              self.dataset(f"self/{side}/f", "first.h5"))
            # And from that again: nothing is lost on the way.
            self.divergence(*options, "--reuse", "out.h5", output="third.h5", ranks=ranks)
            self.assertEqual(self.attributes("divergence", "third.h5"), first)

    def test_serves_on_either_side(self):
        self.divergence("--epsilon", "0.5", output="first.h5")
        plain_run = self.divergence("--epsilon", "0.5", output="plain.h5", inputs=("y.npy", "z.npy"))
        for ranks in (0, 3):
            self.divergence("--epsilon", "0.5", "--reuse", "first.h5", "--overwrite", inputs=("y.npy", "z.npy"),
                            ranks=ranks)
            self.assertEqual(self.attributes("divergence/source")["reused"], "first.h5")
            self.assertEqual(self.attributes("divergence/target")["reused"], "")
            self.assertAlmostEqual(self.attributes("divergence")["divergence"],
                                   self.attributes("divergence", "plain.h5")["divergence"], delta=1e-5)
        self.assertNotIn("reused", plain_run.out)

    def test_goes_on_where_a_tighter_tolerance_is_asked(self):
        self.divergence("--epsilon", "0.5", "--precision", "double", output="first.h5")
        self.divergence("--epsilon", "0.5", "--reuse", "first.h5", *EXACT)
        self.divergence("--epsilon", "0.5", *EXACT, output="plain.h5")
        self.assertEqual(self.attributes("divergence/source")["reused"], "")
        self.assertLess(self.attributes("divergence/source")["half_passes"],
                        self.attributes("divergence/source", "plain.h5")["half_passes"])
        self.assertAlmostEqual(self.attributes("divergence")["divergence"],
                               self.attributes("divergence", "plain.h5")["divergence"], delta=1e-9)

    def test_is_refused_where_something_differs(self):
        self.divergence("--epsilon", "0.5", output="first.h5")
        self.save("a.npy", np.arange(1.0, 31))
        self.save("b.npy", np.arange(1.0, 26))
        self.save("u.npy", self.x + 1e-9)
        weights = ("--source-weights", "a.npy", "--target-weights", "b.npy")
        scales = ("--source-scale", "2", "--target-scale", "2")
        reuse = ("--reuse", "first.h5")
        self.refuse("first.h5", "epsilon is 0.5", "0.25", options=("--epsilon", "0.25", *reuse))
        self.refuse("first.h5", "cost is sqeuclidean", "euclidean",
                    options=("--epsilon", "0.5", "--cost", "euclidean", *reuse))
        self.refuse("first.h5", "other points", "checksum", options=("--epsilon", "0.5", *reuse),
                    inputs=("u.npy", "z.npy"))
        self.refuse("first.h5", "other points", "30 x 2", options=("--epsilon", "0.5", *reuse),
                    inputs=("a.npy", "b.npy"))
        self.refuse("first.h5", "other weights", options=("--epsilon", "0.5", *weights, *reuse))
        self.refuse("first.h5", "another scale (1, here 2)", options=("--epsilon", "0.5", *scales, *reuse))

    def test_of_what_is_no_such_result_is_refused(self):
        options = ("--epsilon", "0.5", "--reuse")
        self.refuse("nowhere.h5", options=(*options, "nowhere.h5"))
        self.refuse("x.npy", options=(*options, "x.npy"), inputs=("y.npy", "z.npy"))
        self.assert_solved(self.run_program("solve", "x.npy", "y.npy", "-o", "solve.h5"), output="solve.h5")
        self.refuse("solve.h5", "convoy divergence", options=(*options, "solve.h5"))
        self.divergence("--epsilon", "0.5", output="bad.h5")
        with h5py.File(self.folder / "bad.h5", "a") as file:
            file["self/target/f"][3] += 1
        self.refuse("bad.h5", "damaged", options=(*options, "bad.h5"))
        with h5py.File(self.folder / "bad.h5", "a") as file:
            file["divergence/source"].attrs["dual_value"] = np.nan
        self.refuse("bad.h5", "dual_value", options=(*options, "bad.h5"))
        with h5py.File(self.folder / "bad.h5", "a") as file:
            del file["divergence/source"].attrs["kl"]
            file["divergence/source"].attrs["dual_value"] = 0.5
        self.refuse("bad.h5", "kl", options=(*options, "bad.h5"))

    def test_a_result_may_take_the_place_of_what_it_reuses(self):
        self.divergence("--epsilon", "0.5")
        before = self.attributes("divergence")
        self.divergence("--epsilon", "0.5", "--reuse", "out.h5", "--overwrite")
        self.assertEqual(self.attributes("divergence"), before)
        ending = self.run_program("divergence", "x.npy", "y.npy", "--epsilon", "0.5", "-o", "new.h5", "--reuse",
                                  "out.h5", "--summary", "./out.h5", "--overwrite")
        self.assert_refused(ending, "the --reuse file", outputs=("new.h5",))


class Endings(DivergenceTest):
    def test_not_converged_is_said_and_the_result_is_written(self):
        for ranks in (0, 3):
            ending = self.divergence("--epsilon", "0.05mean", "--max-half-passes", "2", "--overwrite", ranks=ranks,
                                     code=3)
            self.assertIn("NOT converged", ending.out)
            self.assertEqual(ending.err.count("warning: not converged"), 1)
            self.assertEqual(self.attributes("/")["status"], "not_converged")
            self.assertEqual(self.attributes("divergence/source")["status"], "not_converged")
            self.assertTrue(np.isfinite(self.attributes("divergence")["divergence"]))
            # What there is serves to go on.
            self.divergence("--epsilon", "0.05mean", "--init", "out.h5", "--reuse", "out.h5", output="on.h5",
                            ranks=ranks)
            (self.folder / "on.h5").unlink()

    def test_bad_input_is_refused(self):
        bad = self.x.copy()
        bad[4, 1] = np.nan
        self.save("bad.npy", bad)
        self.save("wide.npy", np.zeros((4, 5)))
        self.refuse("bad.npy", "row 4", inputs=("x.npy", "bad.npy"))
        self.refuse("wide.npy", "5 columns", inputs=("wide.npy", "y.npy"))
        self.refuse("nowhere.npy", inputs=("x.npy", "nowhere.npy"))
        self.refuse("--epsilon-of", "targt", "Did you mean 'target'?", options=("--epsilon-of", "targt"))
        self.refuse("--epsilon-of", "absolute", options=("--epsilon-of", "target", "--epsilon", "0.5"))
        self.refuse("unknown option '--gradiant'", options=("--gradiant",))


if __name__ == "__main__":
    unittest.main(verbosity=2)
