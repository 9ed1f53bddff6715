"""Equal points merged, columns standardized, principal components: against NumPy, and against runs without them."""

import json
import unittest

import h5py
import numpy as np

from dense import Cost
from maps import softmax_map
from program import ProgramTest

RANKS = (0, 2, 3, 4, 7)
EXACT = ("--precision", "double", "--tolerance", "1e-10", "--max-half-passes", "20000", "-q", "--overwrite")


def contents(path):
    """All datasets, and the attributes of all groups."""
    found = {}

    def take(name, thing):
        found[name] = thing[()] if isinstance(thing, h5py.Dataset) else dict(thing.attrs)

    with h5py.File(path) as file:
        file.visititems(take)
    return found


class FeaturesTest(ProgramTest):
    def run_on(self, command, *words, ranks=0, output="out.h5", code=0):
        ending = self.run_program(command, *words, "-o", output, ranks=ranks)
        self.assert_solved(ending, code, output)
        self.err = ending.err
        return contents(self.folder / output)


class Merging(FeaturesTest):
    """Pixels of few colours: 90 and 80 rows, some 30 different ones each, one of them -0."""

    def setUp(self):
        super().setUp()
        random = np.random.default_rng(3)
        self.x = random.integers(0, 4, (90, 3)) / 255
        self.y = random.integers(1, 5, (80, 3)) / 255
        self.x[self.x == 0] *= random.choice([-1, 1], (self.x == 0).sum())  # zeros of both signs
        self.a, self.b = random.random(90), random.random(80)
        self.a[:7] = 0
        for name in "xyab":
            self.save(f"{name}.npy", getattr(self, name))
        self.words = ("x.npy", "y.npy", "--source-weights", "a.npy", "--target-weights", "b.npy", "--scale", "255")

    def distinct(self, points):
        return len(np.unique(points + 0.0, axis=0))

    def assert_alike(self, one, other, names, tolerance):
        for name in names:
            self.assertEqual(one[name].shape, other[name].shape, name)
            np.testing.assert_allclose(one[name], other[name], rtol=0, atol=tolerance, err_msg=name)

    def test_changes_nothing_but_the_work(self):
        names = ("potentials/f", "potentials/g", "weights/a", "weights/b", "source/points", "target/points")
        words = (*self.words, "--epsilon", "1", *EXACT, "--store-points", "--summary", "out.json")
        plain = self.run_on("solve", *words)
        for ranks in RANKS:
            with self.subTest(ranks=ranks):
                merged = self.run_on("solve", *words, "--merge-duplicates", ranks=ranks)
                # The marginals are reached to 1e-10 of the mass; potentials follow.
                self.assert_alike(merged, plain, names, 1e-8)
                np.testing.assert_array_equal(merged["weights/a"], plain["weights/a"])
                np.testing.assert_array_equal(abs(merged["source/points"]), abs(plain["source/points"]))
                self.assertEqual(dict(merged["merged"]), {
                    "source_rows": 90, "source_points": self.distinct(self.x), "target_rows": 80,
                    "target_points": self.distinct(self.y)})
                for value in ("dual_value", "transport_cost", "kl"):
                    self.assertAlmostEqual(merged["solution"][value], plain["solution"][value], delta=1e-9)
                self.assertEqual(merged["inputs/source"]["checksum"], plain["inputs/source"]["checksum"])
                self.assertEqual(merged["inputs/source"]["weights_checksum"], plain["inputs/source"]["weights_checksum"])
                summary = json.loads((self.folder / "out.json").read_text())
                self.assertEqual(summary["merged"]["source_points"], self.distinct(self.x))

    def test_gives_equal_rows_the_same_bits_on_every_grid(self):
        for ranks, grid in ((0, "1x1"), (4, "2x2"), (4, "1x4"), (3, "3x1"), (7, "1x7")):
            with self.subTest(grid):
                merged = self.run_on("solve", *self.words, "--merge-duplicates", "--grid", grid, "-q", "--overwrite",
                                     ranks=ranks)
                for points, potential in ((self.x, "f"), (self.y, "g")):
                    _, which = np.unique(points + 0.0, axis=0, return_inverse=True)
                    for k in range(which.max() + 1):
                        self.assertEqual(len(np.unique(merged[f"potentials/{potential}"][which == k])), 1)

    def test_of_equal_masses(self):
        plain = self.run_on("solve", "x.npy", "y.npy", "--scale", "255", "--epsilon", "1", *EXACT)
        merged = self.run_on("solve", "x.npy", "y.npy", "--scale", "255", "--epsilon", "1", *EXACT,
                             "--merge-duplicates", ranks=3)
        self.assert_alike(merged, plain, ("potentials/f", "potentials/g", "weights/a", "weights/b"), 1e-8)

    def test_of_sequential_formats_and_of_points_that_are_all_different(self):
        np.savetxt(self.folder / "x.csv", self.x, delimiter=",", fmt="%.17g")
        self.save("z.npy", np.random.default_rng(0).normal(size=(40, 3)))
        for ranks in (0, 3):
            for names in (("x.csv", "z.npy"), ("z.npy", "x.csv")):
                plain = self.run_on("solve", *names, "--epsilon", "1", *EXACT)
                merged = self.run_on("solve", *names, "--epsilon", "1", *EXACT, "--merge-duplicates", ranks=ranks)
                self.assert_alike(merged, plain, ("potentials/f", "potentials/g"), 1e-8)
                self.assertIn("checksum", merged["inputs/source"])
                self.assertEqual(merged["inputs/source"]["checksum"], plain["inputs/source"]["checksum"])

    def test_of_all_points_into_one(self):
        self.save("one.npy", np.ones((13, 3)))
        for ranks in (0, 7):
            merged = self.run_on("solve", "one.npy", "y.npy", "--epsilon", "1", *EXACT, "--merge-duplicates",
                                 ranks=ranks)
            self.assertEqual(merged["merged"]["source_points"], 1)
            self.assertEqual(merged["potentials/f"].shape, (13,))

    def test_starts_from_results_with_and_without_it(self):
        for first, second in ((("--merge-duplicates",), ()), ((), ("--merge-duplicates",)),
                              (("--merge-duplicates",), ("--merge-duplicates",))):
            for ranks in (0, 3):
                self.run_on("solve", *self.words, "--epsilon", "1", *EXACT, *first, output="first.h5", ranks=ranks)
                again = self.run_on("solve", *self.words, "--epsilon", "1", *EXACT, *second, "--init", "first.h5",
                                    ranks=ranks)
                self.assertLessEqual(again["solution"]["half_passes"], 4)

    def test_of_progressive_transport(self):
        words = (*self.words, "--steps", "3", "--epsilon", "0.5", *EXACT, "--store-points", "--intermediates")
        plain = self.run_on("progot", *words)
        for ranks in RANKS:
            with self.subTest(ranks=ranks):
                merged = self.run_on("progot", *words, "--merge-duplicates", ranks=ranks)
                self.assert_alike(merged, plain, ("potentials/f", "potentials/g", "steps/g", "steps/source_2",
                                                  "steps/source_3", "source/points", "target/points", "weights/a"), 1e-6)
        self.save("new.npy", np.random.default_rng(1).random((9, 3)) * 4)
        images = [self.run_on("map", model, "new.npy", "--precision", "double", output=f"{model}-images.h5")["points"]
                  for model in ("out.h5",)]
        self.run_on("progot", *words, output="plain.h5")
        expected = self.run_on("map", "plain.h5", "new.npy", "--precision", "double", output="expected.h5")["points"]
        np.testing.assert_allclose(images[0], expected, atol=1e-6)

    def test_of_divergences(self):
        words = (*self.words, "--epsilon", "1", *EXACT, "--gradient")
        plain = self.run_on("divergence", *words, output="plain.h5")
        names = ("potentials/f", "potentials/g", "self/source/f", "self/target/f", "gradient/source")
        for ranks in RANKS:
            with self.subTest(ranks=ranks):
                merged = self.run_on("divergence", *words, "--merge-duplicates", ranks=ranks)
                self.assert_alike(merged, plain, names, 1e-7)
                self.assertAlmostEqual(merged["divergence"]["divergence"], plain["divergence"]["divergence"], delta=1e-9)
        self.assertTrue(np.all(merged["gradient/source"][:7] == 0))  # without mass
        for reuse, more in (("plain.h5", ("--merge-duplicates",)), ("out.h5", ())):
            for ranks in (0, 3):
                again = self.run_on("divergence", *words, *more, "--reuse", reuse, output="again.h5", ranks=ranks)
                self.assertEqual(again["divergence/source"]["reused"], reuse)
                self.assert_alike(again, plain, names, 1e-7)

    def test_saves_memory_and_time(self):
        """Products are kept for pairs of different points alone."""
        random = np.random.default_rng(0)
        kinds = random.normal(size=(1000, 20))
        self.save("x.npy", kinds[random.integers(0, 1000, 6000)])
        self.save("y.npy", kinds[random.integers(0, 1000, 6000)] + 0.1)
        products = {}
        for options in ((), ("--merge-duplicates",)):
            out = self.run_on("solve", "x.npy", "y.npy", "--cache", "on", "-q", "--overwrite", *options)
            products[options] = out["run"]["cache_bytes_per_rank"]
        self.assertLess(products["--merge-duplicates",], products[()] / 30)

    def test_is_told_by_check(self):
        ending = self.run_program("check", "x.npy", "y.npy", "--merge-duplicates", ranks=3)
        self.assertEqual(ending.code, 0, str(ending))
        self.assertIn(f"90 x 80 are {self.distinct(self.x)} x {self.distinct(self.y)}", ending.out)
        self.assertIn("--merge-duplicates", self.run_program("check", "x.npy").out)

    def test_refuses_what_plain_runs_refuse(self):
        bad = self.x.copy()
        bad[41, 1] = np.nan
        self.save("bad.npy", bad)
        for ranks in (0, 3):
            ending = self.run_program("solve", "bad.npy", "y.npy", "--merge-duplicates", "-o", "out.h5", ranks=ranks)
            self.assert_refused(ending, "bad.npy", "row 41, column 1")
        self.save("short.npy", np.ones(5))
        ending = self.run_program("solve", "x.npy", "y.npy", "--source-weights", "short.npy", "--merge-duplicates",
                                  "-o", "out.h5", ranks=3)
        self.assert_refused(ending, "short.npy", "90 points")


class Joint(FeaturesTest):
    """Standardisation and principal components of both clouds together, weighted."""

    def setUp(self):
        super().setUp()
        random = np.random.default_rng(5)
        mix = random.normal(size=(8, 8)) * np.geomspace(10, 0.1, 8)
        self.x = random.normal(size=(70, 8)) @ mix + 50
        self.y = random.normal(size=(60, 8)) @ mix + 52
        self.x[:, 4] = self.y[:, 4] = 0.1  # constant
        self.z = random.normal(size=(9, 8)) @ mix + 51
        self.a, self.b = random.random(70), random.random(60)
        for name in "xyzab":
            self.save(f"{name}.npy", getattr(self, name))
        self.a, self.b = self.a / self.a.sum(), self.b / self.b.sum()
        self.weights = ("--source-weights", "a.npy", "--target-weights", "b.npy")

    def expected(self, standardize, k):
        w = np.r_[self.a, self.b] / 2
        both = np.r_[self.x, self.y]
        mean = w @ both
        variance = w @ (both - mean) ** 2
        variance[4] = 0
        scale = np.where(variance > 0, np.sqrt(variance), 1) if standardize else np.ones(8)
        components = np.eye(8)
        if k:
            values, vectors = np.linalg.eigh(np.cov(((both - mean) / scale).T, aweights=w, bias=True))
            components = vectors.T[::-1][:k]
            components = components * np.sign(components[np.arange(k), abs(components).argmax(1)])[:, None]
            self.captured = values[::-1][:k].sum() / values.sum()
        return mean, scale, lambda points: (points - mean) / scale @ components.T

    CHOICES = ((("--standardize",), True, 0), (("--pca", "3"), False, 3), (("--pca", "5:exact", "--standardize"), True, 5),
               (("--pca", "2:randomized",), False, 2))

    def test_solves_what_numpy_makes_of_the_points(self):
        for options, standardize, k in self.CHOICES:
            mean, scale, new = self.expected(standardize, k)
            f, g = sinkhorn_weighted(new(self.x), new(self.y), self.a, self.b, 5.0)
            for ranks in RANKS:
                with self.subTest(options, ranks=ranks):
                    out = self.run_on("solve", "x.npy", "y.npy", *self.weights, "--epsilon", "5", *EXACT, *options,
                                      "--store-points", ranks=ranks)
                    features = out["features"]
                    loose = 1e-3 if "2:randomized" in options else 1e-8
                    np.testing.assert_allclose(out["features/mean"], mean, atol=1e-11)
                    np.testing.assert_allclose(out["features/scale"], scale, rtol=1e-11)
                    np.testing.assert_allclose(out["source/points"], new(self.x), atol=loose * 30)
                    np.testing.assert_allclose(out["potentials/f"], f, atol=loose * 1000)
                    self.assertEqual(features["components"], k)
                    self.assertEqual(features["dimension"], 8)
                    self.assertEqual(features["standardized"], standardize)
                    if k:
                        self.assertEqual(features["method"], "randomized" if loose > 1e-8 else "exact")
                        self.assertAlmostEqual(features["captured"], self.captured, delta=1e-5)
                        self.assertEqual(out["features/components"].shape, (k, 8))
                        self.assertEqual(out["features/variances"].shape, (k,))

    def test_is_applied_to_new_points_by_map(self):
        for options, standardize, k in self.CHOICES[:3]:
            mean, scale, new = self.expected(standardize, k)
            for store in ((), ("--store-points",)):
                out = self.run_on("solve", "x.npy", "y.npy", *self.weights, "--epsilon", "5", "-q", "--overwrite",
                                  *options, *store, output="run.h5", ranks=3)
                images = softmax_map(new(self.z), new(self.y), self.b, out["potentials/g"], 5.0)
                for ranks in (0, 3, 4):
                    with self.subTest(options, store=store, ranks=ranks):
                        got = self.run_on("map", "run.h5", "z.npy", "--precision", "double", "--overwrite", ranks=ranks)
                        np.testing.assert_allclose(got["points"], images, atol=1e-7)
                        components = out.get("features/components", np.eye(8))
                        back = self.run_on("map", "run.h5", "z.npy", "--precision", "double", "--original-space",
                                           "--overwrite", ranks=ranks)
                        np.testing.assert_allclose(back["points"], mean + images @ components * scale, atol=1e-6)
        # Backwards, and debiased, the source goes through the same features.
        got = self.run_on("map", "run.h5", "z.npy", "--direction", "backward", "--precision", "double", "--overwrite")
        np.testing.assert_allclose(got["points"], softmax_map(new(self.z), new(self.x), self.a, out["potentials/f"], 5.0),
                                   atol=1e-7)
        self.run_on("map", "run.h5", "z.npy", "--debiased", output="debiased.h5", ranks=3)
        self.run_on("map", "run.h5", "z.npy", "--debiased", "--self", "debiased.h5", output="again.h5", ranks=3)
        self.run_on("solve", "x.npy", "y.npy", *self.weights, "--epsilon", "5", "-q", "--overwrite", output="run.h5")
        self.assert_refused(self.run_program("map", "run.h5", "z.npy", "--debiased", "--self", "debiased.h5", "-o", "n.h5"),
                            "debiased.h5", "is not this model's", outputs=("n.h5",))
        self.assert_refused(self.run_program("map", "run.h5", "z.npy", "--original-space", "-o", "n.h5"),
                            "--original-space has no effect", outputs=("n.h5",))

    def test_models_of_progot_map_new_points_alone(self):
        for ranks in (0, 3):
            out = self.run_on("progot", "x.npy", "y.npy", "--standardize", "--pca", "3", "--steps", "2", "--epsilon", "3",
                              "-q", "--overwrite", output="model.h5", ranks=ranks)
            self.assertEqual(out["target/points"].shape, (60, 3))
            got = self.run_on("map", "model.h5", "z.npy", "--overwrite", "--precision", "double", ranks=ranks)
            features = out["features/components"], out["features/mean"], out["features/scale"]
            z = (self.z - features[1]) / features[2] @ features[0].T
            y, b = out["target/points"], out["weights/b"]
            for k, (epsilon, alpha) in enumerate(zip(out["steps/epsilon"], out["steps/alpha"])):
                image = softmax_map(z, y, b, out["steps/g"][:, k], epsilon)
                z = (1 - alpha) * z + alpha * image
            np.testing.assert_allclose(got["points"], image, atol=1e-8)

    def test_score_and_held_out_points(self):
        self.run_on("solve", "x.npy", "y.npy", "--pca", "3", "--epsilon", "5", "-q", output="run.h5")
        for ranks in (0, 3):
            ending = self.run_program("score", "run.h5", "z.npy", "y.npy", "--truth", "z.npy", "--summary", "s.json",
                                      "--overwrite", ranks=ranks)
            self.assertEqual(ending.code, 0, str(ending))
        self.run_on("progot", "x.npy", "y.npy", "--pca", "3", "--steps", "2", "--held-out", "z.npy", "-q", ranks=3)

    def test_self_terms_are_reused_with_the_same_features_only(self):
        words = ("--epsilon", "5", "-q", "--overwrite", "--standardize")
        self.run_on("divergence", "x.npy", "y.npy", *words, output="first.h5")
        for ranks in (0, 3):
            again = self.run_on("divergence", "x.npy", "y.npy", *words, "--reuse", "first.h5", ranks=ranks)
            self.assertEqual(again["divergence/target"]["reused"], "first.h5")
        for options in (("x.npy", "z.npy", *words), ("x.npy", "y.npy", *words[:-1])):
            ending = self.run_program("divergence", *options, "--reuse", "first.h5", "-o", "new.h5")
            self.assert_refused(ending, "first.h5", "standardized", outputs=("new.h5",))

    def test_with_merged_points(self):
        self.save("xx.npy", np.r_[self.x, self.x[:30]])
        words = ("--standardize", "--pca", "3", "--epsilon", "5", *EXACT)
        plain = self.run_on("solve", "xx.npy", "y.npy", *words)
        for ranks in (0, 3, 4):
            merged = self.run_on("solve", "xx.npy", "y.npy", *words, "--merge-duplicates", "--store-points", ranks=ranks)
            self.assertEqual(merged["merged"]["source_points"], 70)
            np.testing.assert_allclose(merged["potentials/f"], plain["potentials/f"], atol=1e-7)
            np.testing.assert_allclose(merged["features/components"], plain["features/components"], atol=1e-9)
            np.testing.assert_array_equal(merged["source/points"][70:], merged["source/points"][:30])

    def test_a_rerun_gives_the_same_bits(self):
        words = ("x.npy", "y.npy", "--pca", "3:randomized", "--seed", "3", "-q", "--overwrite")
        for ranks in (0, 3):
            one, two = (self.run_on("solve", *words, ranks=ranks) for _ in range(2))
            for name in ("features/components", "potentials/f"):
                np.testing.assert_array_equal(one[name], two[name])

    def test_check_tells_and_help_explains(self):
        ending = self.run_program("check", "x.npy", "y.npy", "--standardize", "--pca", "3", ranks=3)
        self.assertEqual(ending.code, 0, str(ending))
        self.assertRegex(ending.out, r"standardized, 3 of 8 principal components \(exact\) hold \d+(\.\d+)? % of the var")
        self.assertIn("60 x 3 dimensions", ending.out)

    def test_misuse(self):
        for options, told in ((("--pca", "9"), "no 9 principal components"), (("--pca", "0"), "--pca"),
                              (("--pca", "3:quick"), "neither exact nor randomized"), (("--pca", "x"), "--pca")):
            with self.subTest(options):
                self.assert_refused(self.run_program("solve", "x.npy", "y.npy", *options, "-o", "out.h5"), told)
        self.run_on("solve", "x.npy", "y.npy", "--pca", "3", "-q", output="run.h5")
        self.save("w.npy", self.z[:, :3])
        self.assert_refused(self.run_program("map", "run.h5", "w.npy", "-o", "new.h5"), "3 columns", "8 dimensions",
                            outputs=("new.h5",))
        with h5py.File(self.folder / "run.h5", "r+") as file:
            file["features/components"][1, 2] += 1e-9
        self.assert_refused(self.run_program("map", "run.h5", "z.npy", "-o", "new.h5"), "features/components",
                            outputs=("new.h5",))


def sinkhorn_weighted(x, y, a, b, epsilon):
    """In double, until nothing moves; <a, f> = <b, g>."""
    cost = Cost("sqeuclidean").matrix(x, y)
    f, g = np.zeros(len(x)), np.zeros(len(y))
    for _ in range(20000):
        last = g

        def soft(values, weights):
            most = values.max(1, keepdims=True)
            return -epsilon * (most[:, 0] + np.log(np.exp(values - most) @ weights))

        f = soft((g - cost) / epsilon, b)
        g = soft((f[:, None] - cost).T / epsilon, a)
        if np.ptp(g - last) < 1e-12 * epsilon:
            break
    shift = (a @ f - b @ g) / 2
    return f - shift, g + shift


if __name__ == "__main__":
    unittest.main(verbosity=2)
