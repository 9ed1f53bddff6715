"""Maps, divergences and progressive transport of the program, beside whole matrices in double."""

import json
import unittest

import h5py
import numpy as np

import dense
from program import ProgramTest

# Marginals are met to 1e-9: potentials, and with them images, follow to a little less.
EXACT = ("--precision", "double", "--tolerance", "1e-9")
CLOSE = 1e-6


class AgainstDense(ProgramTest):
    def setUp(self):
        super().setUp()
        random = np.random.default_rng(4)
        self.x, self.y = random.uniform(-1, 1, (90, 3)), np.exp(random.uniform(-1, 1, (70, 3)))
        self.z = random.uniform(-1.5, 1.5, (25, 3))  # some of them outside
        for name in "xyz":
            self.save(f"{name}.npy", getattr(self, name))

    def images(self, model, *words, points="z.npy"):
        ending = self.run_program("map", model, points, "-o", "images.h5", "--overwrite", "--precision", "double",
                                  *words)
        self.assert_solved(ending, output="images.h5")
        with h5py.File(self.folder / "images.h5") as file:
            return file["points"][:]

    def test_maps_of_a_solve_are_those_by_the_book_either_way(self):
        for name, epsilon in ("sqeuclidean", 0.4), ("pnorm:1.5", 0.1), ("pnorm:3", 0.3):
            with self.subTest(name):
                cost = dense.Cost(name)
                f, g = dense.sinkhorn(cost.matrix(self.x, self.y), epsilon)

                self.assert_solved(self.run_program("solve", "x.npy", "y.npy", "-o", "out.h5", "--overwrite", "--cost",
                                                    name, "--epsilon", epsilon, *EXACT))

                np.testing.assert_allclose(self.images("out.h5"), dense.entropic_map(cost, self.z, self.y, g, epsilon),
                                           atol=CLOSE)
                np.testing.assert_allclose(self.images("out.h5", "--direction", "backward"),
                                           dense.entropic_map(cost, self.z, self.x, f, epsilon), atol=CLOSE)

    def test_the_debiased_map_is_that_by_the_book(self):
        self.assert_solved(self.run_program("solve", "x.npy", "y.npy", "-o", "out.h5", "--epsilon", "0.4", *EXACT))

        book = dense.debiased_map(dense.Cost("sqeuclidean"), self.z, self.x, self.y, 0.4)
        np.testing.assert_allclose(self.images("out.h5", "--debiased"), book, atol=1e-5)

    def test_the_divergence_is_that_by_the_book(self):
        for name in "sqeuclidean", "pnorm:1.5":
            with self.subTest(name):
                self.assert_solved(self.run_program("divergence", "x.npy", "y.npy", "-o", "out.h5", "--overwrite",
                                                    "--cost", name, "--epsilon", "0.3", "--summary", "summary.json",
                                                    *EXACT))
                found = json.loads((self.folder / "summary.json").read_text())["divergence"]["divergence"]

                book = dense.divergence(dense.Cost(name), self.x, self.y, 0.3)

                self.assertAlmostEqual(found, book, delta=1e-7)

    def test_progressive_transport_is_that_by_the_book(self):
        epsilons = [0.8, 0.5, 0.4, 0.3]
        for name, schedule, alphas in (("sqeuclidean", "constant", [1 / 4, 1 / 3, 1 / 2, 1]),
                                       ("pnorm:1.5", "accelerated", [3 / 24, 5 / 21, 7 / 16, 1]),
                                       ("sqeuclidean", "decelerated", [np.exp(-1)] * 4)):
            with self.subTest(name, schedule=schedule):
                book = dense.Progot(dense.Cost(name), self.x, self.y, alphas, epsilons)

                self.assert_solved(self.run_program(
                    "progot", "x.npy", "y.npy", "-o", "out.h5", "--overwrite", "--cost", name, "--steps", 4,
                    "--schedule", schedule, "--epsilon", ",".join(map(str, epsilons)), "--tolerances", "constant",
                    "--intermediates", *EXACT))

                np.testing.assert_allclose(self.images("out.h5"), book.map(self.z), atol=CLOSE)
                with h5py.File(self.folder / "out.h5") as file:
                    for k in 2, 3, 4:
                        np.testing.assert_allclose(file[f"steps/source_{k}"][:], book.clouds[k - 1], atol=CLOSE)
                    f, g = file["potentials/f"][:], file["potentials/g"][:]
                plan = dense.plan(dense.Cost(name).matrix(book.clouds[-1], self.y), f, g, epsilons[-1])
                np.testing.assert_allclose(plan, book.plan(), atol=CLOSE * plan.max())


if __name__ == "__main__":
    unittest.main(verbosity=2)
