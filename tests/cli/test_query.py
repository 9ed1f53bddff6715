"""convoy query: answers as numpy has them from the dense plan, in files that anndata and scipy read."""

import csv
import json
import os
import pathlib
import re
import unittest

import h5py
import numpy as np

import cells
from program import ProgramTest

try:
    import anndata
    from anndata.experimental import read_elem
except ImportError:
    anndata = None
try:
    import scipy.sparse
except ImportError:
    scipy = None

DOUBLE = ("--precision", "double")
GRIDS = (0, 3, 4)


def names_of(group):
    return [text.decode() for text in group[:]]


def table(path):
    with path.open() as file:
        return list(csv.reader(file))


def sparse(group):
    return scipy.sparse.csr_matrix((group["data"][:], group["indices"][:], group["indptr"][:]),
                                   shape=tuple(group.attrs["shape"]))


class QueryTest(ProgramTest):
    """A solved problem of 60 x 50 points, and its plan."""

    def setUp(self):
        super().setUp()
        self.save_clouds()
        random = np.random.default_rng(3)
        self.save("a.npy", random.uniform(0.1, 1, 60) * (np.arange(60) % 7 > 0))
        self.save("b.npy", random.uniform(0.1, 1, 50))

    def solve(self, *options, command="solve", inputs=("x.npy", "y.npy"), output="run.h5"):
        ending = self.run_program(command, *inputs, "-o", output, "--overwrite", *options)
        self.assert_solved(ending, 0, output)
        with h5py.File(self.folder / output) as file:
            f, g = file["potentials/f"][:], file["potentials/g"][:]
            self.a, self.b = file["weights/a"][:], file["weights/b"][:]
            epsilon = file["solution"].attrs["epsilon"]
        if command == "solve" and inputs[0].endswith(".npy"):
            self.plan_of(self.x, self.y, f, g, epsilon)

    def plan_of(self, x, y, f, g, epsilon):
        cost = ((x[:, None] - y[None]) ** 2).sum(2)
        self.plan = self.a[:, None] * self.b * np.exp((f[:, None] + g - cost) / epsilon)
        with np.errstate(invalid="ignore", divide="ignore"):
            logits = np.log(self.b) + (f[:, None] + g - cost) / epsilon
        conditional = np.exp(logits)
        self.rows = conditional / conditional.sum(1, keepdims=True)
        columns = self.a[:, None] * np.exp((f[:, None] + g - cost) / epsilon)
        self.columns = columns / columns.sum(0)

    def query(self, *options, result="run.h5", output="out.h5", ranks=0):
        self.ending = self.run_program("query", result, "-o", output, "--overwrite", *options, ranks=ranks)
        self.assert_solved(self.ending, 0, output)
        return self.folder / output

    def assert_close(self, found, expected, tolerance=1e-10):
        self.assertEqual(np.shape(found), np.shape(expected))
        self.assertLess(np.abs(found - expected).max(initial=0), tolerance)


class Answers(QueryTest):
    def test_of_every_kind_in_one_file(self):
        self.solve("--source-weights", "a.npy", "--target-weights", "b.npy", "--store-points")
        self.save("v.npy", np.random.default_rng(4).normal(size=(60, 2)))
        self.save("w.npy", np.random.default_rng(5).normal(size=50))
        for ranks in GRIDS:
            path = self.query("--match", "--top-k", "4", "--sample", "2000", "--sample-per-row", "3", "--seed", "7",
                              "--barycentric", "--interpolate", "0.25,1", "--push", "v.npy", "--pull", "w.npy",
                              "--entropy", "--marginals", *DOUBLE, ranks=ranks)
            with self.subTest(ranks=ranks), h5py.File(path) as file:
                self.assertEqual(file.attrs["complete"], 1)
                self.check_matches(file)
                self.check_averages(file)
                self.check_interpolation(file)
                self.check_sums(file)
                self.check_entries(file["top"])

    def check_matches(self, file):
        match = file["match/source"]
        self.assertEqual(list(match["index"]), list(self.rows.argmax(1)))
        self.assert_close(match["probability"][:], self.rows.max(1))
        match = file["match/target"]
        self.assertEqual(list(match["index"]), list(self.columns.argmax(0)))
        self.assert_close(match["probability"][:], self.columns.max(0))

    def check_averages(self, file):
        self.images = self.rows @ self.y
        self.assert_close(file["barycentric"][:], self.images)
        v, w = np.load(self.folder / "v.npy"), np.load(self.folder / "w.npy")
        self.assert_close(file["push"][:], self.columns.T @ v)
        self.assert_close(file["pull"][:], (self.rows @ w)[:, None])

    def check_interpolation(self, file):
        self.assertEqual(list(file["interpolation/t"]), [0.25, 1])
        self.assert_close(file["interpolation/points_0"][:], 0.75 * self.x + 0.25 * self.images)
        self.assert_close(file["interpolation/points_1"][:], self.images)
        i, j = file["pairs/source"][:], file["pairs/target"][:]
        self.assertEqual(len(i), 2000)
        self.assertTrue(np.all(np.diff(i) >= 0))
        self.assertTrue(np.all(self.plan[i, j] > 0))
        self.assert_close(file["interpolation/samples_0"][:], 0.75 * self.x[i] + 0.25 * self.y[j])
        draws = file["row_samples"][:]
        self.assertEqual(draws.shape, (60, 3))
        if not hasattr(self, "drawn"):
            self.drawn = (i, j, draws)
        for one, again in zip(self.drawn, (i, j, draws)):
            np.testing.assert_array_equal(one, again)

    def check_sums(self, file):
        entropy = -np.where(self.rows > 0, self.rows * np.log(np.maximum(self.rows, 1e-300)), 0).sum(1) / np.log(50)
        self.assert_close(file["entropy/source"][:], entropy)
        self.assert_close(file["marginals/source"][:], self.plan.sum(1))
        self.assert_close(file["marginals/target"][:], self.plan.sum(0))
        has = self.a > 0
        self.assert_close(file["growth"][:][has], self.plan.sum(1)[has] / self.a[has])

    def check_entries(self, group):
        indptr, indices, data = (group[name][:] for name in ("indptr", "indices", "data"))
        self.assertEqual(len(indptr), 61)
        for i in range(60):
            found = indices[indptr[i]:indptr[i + 1]]
            largest = np.sort(np.argsort(-self.rows[i], kind="stable")[:4]) if self.a[i] else []
            self.assertEqual(list(found), list(largest))
            self.assert_close(data[indptr[i]:indptr[i + 1]], self.plan[i, found])

    def test_of_single_precision_agree_to_rounding(self):
        self.solve()
        with h5py.File(self.query("--barycentric", "--match")) as file:
            self.assert_close(file["barycentric"][:], self.rows @ self.y, 1e-4)
            self.assert_close(file["match/source/probability"][:], self.rows.max(1), 1e-4)

    def test_of_points_that_were_prepared(self):
        """Columns of transposed files, merged, standardised and projected: answers are about the rows of the files."""
        random = np.random.default_rng(6)
        x, y = random.normal(size=(40, 5)) @ random.normal(size=(5, 5)) + 3, random.normal(size=(50, 5)) + 4
        x = np.r_[x, x[:20]]
        self.save("xt.npy", x.T.copy())
        self.save("yt.npy", y.T.copy())
        ending = self.run_program("solve", "xt.npy", "yt.npy", "--transpose", "--columns", "1:", "--merge-duplicates",
                                  "--standardize", "--pca", "3", "-o", "run.h5")
        self.assert_solved(ending, 0, "run.h5")
        with h5py.File(self.folder / "run.h5") as file:
            mean, scale, components = (file["features"][name][:] for name in ("mean", "scale", "components"))
            self.a, self.b = file["weights/a"][:], file["weights/b"][:]
            new = [(points[:, 1:] - mean) / scale @ components.T for points in (x, y)]
            self.plan_of(*new, file["potentials/f"][:], file["potentials/g"][:], file["solution"].attrs["epsilon"])
        images = self.rows @ new[1]
        for ranks in GRIDS:
            path = self.query("--match", "--barycentric", "--interpolate", "0.5", "--sample", "100", *DOUBLE, ranks=ranks)
            with self.subTest(ranks=ranks), h5py.File(path) as file:
                self.check_matches(file)
                self.assert_close(file["barycentric"][:], images)
                drawn = file["interpolation/samples_0"][:]
            path = self.query("--barycentric", "--interpolate", "0.5", "--sample", "100", "--original-space", *DOUBLE,
                              ranks=ranks)
            with self.subTest("original space", ranks=ranks), h5py.File(path) as file:
                self.assert_close(file["barycentric"][:], images @ components * scale + mean)
                self.assert_close(file["interpolation/points_0"][:], (new[0] + images) / 2 @ components * scale + mean)
                self.assert_close(file["interpolation/samples_0"][:], drawn @ components * scale + mean)
        self.solve()
        self.assert_refused(self.run_program("query", "run.h5", "--barycentric", "--original-space", "-o", "new.h5"),
                            "--original-space has no effect", outputs=("new.h5",))

    def test_of_entries_by_mass(self):
        self.solve()
        with h5py.File(self.query("--mass", "0.9", "--max-k", "20", *DOUBLE, ranks=3)) as file:
            indptr, share = file["top/indptr"][:], file["top_share"][:]
        for i in range(60):
            sums = np.cumsum(np.sort(self.rows[i])[::-1])
            count = min(np.argmax(sums >= 0.9) + 1, 20)
            self.assertEqual(indptr[i + 1] - indptr[i], count)
            self.assertAlmostEqual(share[i], sums[count - 1], 10)

    def test_of_the_diagonal(self):
        self.save("y2.npy", self.x + 0.1 * np.random.default_rng(2).normal(size=self.x.shape))
        self.y = np.load(self.folder / "y2.npy")
        self.solve(inputs=("x.npy", "y2.npy"))
        for ranks in GRIDS:
            path = self.query("--diagonal", *DOUBLE, "--summary", "s.json", ranks=ranks)
            with self.subTest(ranks=ranks), h5py.File(path) as file:
                self.assert_close(file["diagonal/probability"][:], np.diag(self.rows))
                trace, kl = np.trace(self.plan), -(self.a * np.log(np.diag(self.plan) / self.a)).sum()
                self.assertAlmostEqual(file["diagonal"].attrs["trace"], trace, 10)
                self.assertAlmostEqual(file["diagonal"].attrs["kl_of_identity"], kl, 10)
                answers = json.loads((self.folder / "s.json").read_text())["answers"]
                self.assertAlmostEqual(answers["trace"], trace, 10)
                self.assertIn(f"{trace:.6g}", self.ending.out)

    def test_of_the_diagonal_where_entries_vanish(self):
        self.save("y2.npy", self.x[::-1])
        self.y = self.x[::-1]
        self.solve("--epsilon", "1e-3", "--tolerance", "0.1", inputs=("x.npy", "y2.npy"))
        with h5py.File(self.folder / "run.h5") as file:
            f, g = file["potentials/f"][:], file["potentials/g"][:]
        logs = np.log(self.b) + (f + g - ((self.x - self.y) ** 2).sum(1)) / 1e-3
        self.assertLess(logs.min(), -1000)
        with h5py.File(self.query("--diagonal", *DOUBLE, ranks=3)) as file:
            kl = -(self.a * logs).sum()
            self.assertAlmostEqual(file["diagonal"].attrs["kl_of_identity"] / kl, 1, 10)

    def test_of_many_groups(self):
        few, many = np.arange(60) % 3, np.repeat(np.arange(150), 2)
        random = np.random.default_rng(8)
        self.save("y3.npy", random.normal(size=(300, 3)))
        self.y = np.load(self.folder / "y3.npy")
        self.solve(inputs=("x.npy", "y3.npy"))
        self.save("i.npy", few)
        self.save("j.npy", many)
        of = np.eye(3)[few], np.eye(150)[many]
        for ranks in GRIDS:
            path = self.query("--source-labels", "i.npy", "--target-labels", "j.npy", *DOUBLE, ranks=ranks)
            with self.subTest(ranks=ranks), h5py.File(path) as file:
                found = file["transition"]
                self.assert_close(found["joint"][:], of[0].T @ self.plan @ of[1])
                shares = self.rows @ of[1]
                self.assertEqual(list(found["source_label"]), list(shares.argmax(1)))
                self.assert_close(found["source_share"][:], shares.max(1))

    def test_of_a_model_are_those_of_its_last_step(self):
        self.solve("--store-points", "--intermediates", "--steps", "3", command="progot", output="model.h5")
        with h5py.File(self.folder / "model.h5") as file:
            g = file["steps/g"][:]
            last = max(name for name in file["steps"] if name.startswith("source_"))
            self.plan_of(file["steps"][last][:], self.y, file["potentials/f"][:], g[:, -1],
                         file["steps/epsilon"][-1])
        for ranks in GRIDS:
            path = self.query("--match", "--interpolate", "0.5", *DOUBLE, result="model.h5", ranks=ranks)
            with self.subTest(ranks=ranks), h5py.File(path) as file:
                self.assert_close(file["match/source/probability"][:], self.rows.max(1), 1e-6)
                self.assert_close(file["interpolation/points_0"][:], (self.x + self.rows @ self.y) / 2, 1e-6)

    def test_of_transitions_between_numbered_groups(self):
        self.solve()
        groups = np.arange(60) % 3, np.arange(50) % 4
        self.save("i.npy", groups[0])
        self.save("j.npy", groups[1])
        of = [np.eye(k)[g] for k, g in zip((3, 4), groups)]
        joint = of[0].T @ self.plan @ of[1]
        for ranks in GRIDS:
            path = self.query("--source-labels", "i.npy", "--target-labels", "j.npy", *DOUBLE, ranks=ranks)
            with self.subTest(ranks=ranks), h5py.File(path) as file:
                found = file["transition"]
                self.assertEqual(names_of(found["source_levels"]), list("012"))
                self.assert_close(found["joint"][:], joint)
                self.assert_close(found["forward"][:], joint / joint.sum(1, keepdims=True))
                self.assert_close(found["backward"][:], joint / joint.sum(0))
                shares = self.rows @ of[1]
                self.assertEqual(list(found["source_label"]), list(shares.argmax(1)))
                self.assert_close(found["source_share"][:], shares.max(1))
                shares = self.columns.T @ of[0]
                self.assertEqual(list(found["target_label"]), list(shares.argmax(1)))
                self.assert_close(found["target_share"][:], shares.max(1))
                equal = np.trace(joint[:, :3]) / joint.sum()
                self.assertAlmostEqual(found.attrs["equal_mass"], equal, 10)
                self.assertIn(f"{equal:.4f}", self.ending.out)


class Memory(QueryTest):
    """What a rank takes stays below what the plan says."""

    def expect_enough(self, *options, ranks=0, **more):
        self.query(*options, "--summary", "s.json", ranks=ranks, **more)
        said, unit = re.search(r"about ([0-9.]+) (MiB|GiB) a rank", self.ending.err).groups()
        limit = float(said) * {"MiB": 2**20, "GiB": 2**30}[unit]
        self.assertLess(json.loads((self.folder / "s.json").read_text())["peak_memory_of_a_rank"], limit, options)

    def test_of_many_draws_from_few_rows(self):
        self.save("one.npy", np.zeros((1, 3)))
        self.save("three.npy", np.eye(3))
        self.save("b.npy", np.array([0.2, 0.3, 0.5]))
        self.run_program("solve", "one.npy", "three.npy", "--target-weights", "b.npy", "--epsilon", "1", "-o", "run.h5")
        for ranks in (0, 2):
            self.expect_enough("--sample", "1e6", *DOUBLE, ranks=ranks)
            with h5py.File(self.folder / "out.h5") as file:
                targets = file["pairs/target"][:]
            self.drawn = targets if ranks == 0 else self.drawn
            np.testing.assert_array_equal(targets, self.drawn)
            shares = np.bincount(targets, minlength=3) / 1e6
            np.testing.assert_allclose(shares, [0.2, 0.3, 0.5], atol=0.003)
        self.expect_enough("--sample-per-row", "1e6", *DOUBLE)

    def test_of_wide_columns_and_many_groups(self):
        random = np.random.default_rng(2)
        self.save("x.npy", random.normal(size=(2000, 3)))
        self.save("wide.npy", random.normal(size=(2000, 1000)))
        self.save("i.npy", np.arange(2000) % 500)
        self.run_program("solve", "x.npy", "x.npy", "-o", "run.h5")
        self.expect_enough("--push", "wide.npy")
        self.expect_enough("--source-labels", "i.npy", "--target-labels", "i.npy", ranks=2)
        self.expect_enough("--top-k", "1000", ranks=2)


class Files(QueryTest):
    """Cells with names, in and out."""

    def setUp(self):
        super().setUp()
        days = np.repeat([10.0, 10.5], [60, 50])
        kinds = np.where(np.arange(110) % 5 == 4, "", np.where(np.arange(110) % 2, "B, naive", "NK"))
        codes = np.where(kinds == "", -1, (kinds == "NK").astype(int))
        with h5py.File(self.folder / "cells.h5ad", "w") as file:
            cells.add_frame(file, "obs", [f"cell-{k}" for k in range(110)],
                            {"day": cells.Categories((days > 10).astype(int), [10.0, 10.5], ordered=True),
                             "kind": cells.Categories(codes, ["B, naive", "NK"])})
            cells.add_frame(file, "var", list("abc"), {})
            file.create_dataset("obsm/X_pca", data=np.vstack([self.x, self.y]))
        self.kinds = np.where(kinds == "", "(none)", kinds)
        self.solve("--source-where", "day=10", "--target-where", "day=10.5", inputs=("cells.h5ad", "cells.h5ad"))
        with h5py.File(self.folder / "run.h5") as file:
            self.plan_of(self.x, self.y, file["potentials/f"][:], file["potentials/g"][:],
                         file["solution"].attrs["epsilon"])

    def test_names_travel(self):
        for ranks in GRIDS:
            with h5py.File(self.query("--match", ranks=ranks)) as file:
                self.assertEqual(names_of(file["source/names"]), [f"cell-{k}" for k in range(60)])
                self.assertEqual(names_of(file["target/names"]), [f"cell-{k}" for k in range(60, 110)])
                self.assertEqual(file["inputs/target"].attrs["where"], "day=10.5")

    def test_transitions_by_a_column(self):
        for ranks in GRIDS:
            with h5py.File(self.query("--transition", "kind", *DOUBLE, ranks=ranks)) as file:
                found = file["transition"]
                levels = ["B, naive", "NK", "(none)"]
                self.assertEqual(names_of(found["source_levels"]), levels)
                self.assertEqual(names_of(found["target_levels"]), levels)
                of = [(kinds[:, None] == levels).astype(float) for kinds in (self.kinds[:60], self.kinds[60:])]
                joint = of[0].T @ self.plan @ of[1]
                self.assert_close(found["joint"][:], joint)
                # Cells without a label are not alike.
                self.assertAlmostEqual(found.attrs["equal_mass"], np.trace(joint[:2, :2]) / joint.sum(), 10)

    def test_transition_as_a_table(self):
        path = self.query("--transition", "kind", *DOUBLE, output="out.csv", ranks=3)
        rows = table(path)
        self.assertEqual(rows[0], ["source", "B, naive", "NK", "(none)"])
        self.assertEqual([row[0] for row in rows[1:]], ["B, naive", "NK", "(none)"])
        self.assertAlmostEqual(sum(float(x) for row in rows[1:] for x in row[1:]), self.plan.sum(), 10)

    def test_small_tables(self):
        for ranks in GRIDS:
            rows = table(self.query("--match", output="out.csv", ranks=ranks))
            self.assertEqual(rows[0], ["source", "target", "probability"])
            self.assertEqual([row[:2] for row in rows[1:]],
                             [[f"cell-{i}", f"cell-{60 + j}"] for i, j in enumerate(self.rows.argmax(1))])
            rows = table(self.query("--top-k", "2", *DOUBLE, output="out.csv", ranks=ranks))
            self.assertEqual(rows[0], ["source", "target", "mass"])
            self.assertEqual(len(rows), 121)
            for source, target, mass in rows[1:]:
                i, j = int(source[5:]), int(target[5:]) - 60
                self.assertAlmostEqual(float(mass), self.plan[i, j], 12)
            images = np.load(self.query("--barycentric", *DOUBLE, output="out.npy", ranks=ranks))
            self.assert_close(images, self.rows @ self.y)
            pairs = np.load(self.query("--sample", "40", output="out.npy", ranks=ranks))
            self.assertEqual((pairs.shape, pairs.dtype), ((40, 2), np.dtype("i8")))
            listed = table(self.query("--sample", "40", output="out.csv", ranks=ranks))[1:]
            self.assertEqual(listed, [[f"cell-{i}", f"cell-{60 + j}"] for i, j in pairs])

    @unittest.skipUnless(anndata, "anndata is not here (python3-anndata)")
    def test_transport_maps_are_read_by_anndata(self):
        for ranks in GRIDS:
            path = self.query("--mass", "0.95", "--max-k", "30", *DOUBLE, output="tmap_10_10.5.h5ad", ranks=ranks)
            read = anndata.read_h5ad(path)
            self.assertEqual(list(read.obs_names), [f"cell-{k}" for k in range(60)])
            self.assertEqual(list(read.var_names), [f"cell-{k}" for k in range(60, 110)])
            dense = read.X.toarray()
            kept = dense > 0
            self.assert_close(dense[kept], self.plan[kept])
            self.assertGreater(dense.sum(), 0.94)

    @unittest.skipUnless(scipy, "SciPy is not here (python3-scipy)")
    def test_entries_are_read_by_scipy_and_anndata(self):
        with h5py.File(self.query("--top-k", "3", *DOUBLE)) as file:
            found = sparse(file["top"])
            self.assertEqual(found.shape, (60, 50))
            self.assertTrue(found.has_canonical_format)
            if anndata:
                again = read_elem(file["top"])
                self.assertEqual(abs(found - again).max(), 0)
        self.assert_close(found.toarray()[found.toarray() > 0], self.plan[found.toarray() > 0])

    def test_info_tells_what_is_in_answers(self):
        self.query("--match")
        told = self.run_program("info", "out.h5")
        self.assertEqual(told.code, 0, str(told))
        for word in ("convoy-query", "/match/source/index", "int64 (60)"):
            self.assertIn(word, told.out)


class Refusals(QueryTest):
    def setUp(self):
        super().setUp()
        self.solve()

    def refuse(self, *arguments, words=(), result="run.h5", output="out.h5", ranks=0):
        ending = self.run_program("query", result, "-o", output, *arguments, ranks=ranks)
        self.assert_refused(ending, *words, outputs=(output,))

    def test_of_questions(self):
        self.refuse(words=("nothing is asked", "--match"))
        self.refuse("--top-k", "0", words=("--top-k",))
        self.refuse("--top-k", "2", "--mass", "0.5", words=("--max-k",))
        self.refuse("--match", "--max-k", "2", words=("--max-k", "--mass"))
        self.refuse("--mass", "1.5", words=("1.5", "between 0 and 1"))
        self.refuse("--interpolate", "0.5,2", words=("--interpolate", "2"))
        self.refuse("--match", "--seed", "1", words=("--seed",))
        self.refuse("--diagonal", words=("--diagonal", "60", "50"))
        self.refuse("--matsch", words=("--match",))
        self.refuse("--source-labels", "x.npy", words=("--target-labels",))

    def test_of_outputs(self):
        self.refuse("--match", output="out.txt", words=(".txt", ".h5"))
        self.refuse("--match", "--entropy", output="out.npy", words=(".npy", "one of"))
        self.refuse("--match", output="out.h5ad", words=(".h5ad", "--top-k"))
        self.refuse("--sample", "2e7", output="out.csv", words=("ten million", ".h5"))
        ending = self.run_program("query", "run.h5", "--match", "-o", "run.h5", "--overwrite")
        self.assert_refused(ending, "run.h5", "choose another name", outputs=())

    def test_of_results(self):
        self.refuse("--match", result="x.npy", words=("x.npy",))
        self.refuse("--match", result="none.h5", words=("none.h5",))
        self.save("y.npy", self.y + 1)
        self.refuse("--match", words=("y.npy", "changed", "--target"), ranks=3)
        os.remove(self.folder / "y.npy")
        self.refuse("--match", words=("y.npy", "--target"))
        self.save("moved.npy", self.y)
        self.query("--match", "--target", "moved.npy")

    def test_of_columns_and_labels(self):
        self.save("short.npy", np.zeros(7))
        self.save("many.npy", np.arange(60.0))
        self.refuse("--push", "short.npy", words=("--push", "7 rows", "60 points"))
        self.refuse("--pull", "x.npy", words=("--pull", "60 rows", "50 points"), ranks=2)
        self.refuse("--source-labels", "short.npy", "--target-labels", "y.npy", words=("--source-labels", "7 x 1"))
        self.refuse("--transition", "kind", words=("--transition", "source", "--source-labels"))
        self.refuse("--pull", "none.npy", words=("none.npy",))

    def test_of_too_little_memory(self):
        self.refuse("--match", "--memory", "1M", words=("--memory",), ranks=2)


DATA = os.environ.get("CONVOY_TEST_DATA")


@unittest.skipUnless(DATA, "CONVOY_TEST_DATA names no folder of real data")
class RealCells(ProgramTest):
    """Masses between equal labels, against values computed elsewhere (float64 log-domain Sinkhorn to convergence)."""

    def test_masses_on_equal_labels(self):
        for name, column, before, after, label, mass, independent in (
                ("arabidopsis_root", "zone", "Meristem", "Elongation", "cell_type", 0.390, 0.089),
                ("arabidopsis_root", "zone", "Elongation", "Maturation", "cell_type", 0.569, 0.097),
                ("gbm_panobinostat", "condition", "ctrl", "panobinostat", "patient_id", 0.593, 0.200),
                ("worm_embryo", "collection_minutes", "300", "500", "lineage", 0.128, 0.052)):
            path = pathlib.Path(DATA) / f"single_cell/h5ad/{name}.h5ad"
            ending = self.run_program("solve", path, path, "--source-where", f"{column}={before}", "--target-where",
                                      f"{column}={after}", "--epsilon", "0.05mean", "-o", "run.h5", "--overwrite")
            self.assert_solved(ending, output="run.h5")
            for ranks in (0, 4):
                with self.subTest(name, before=before, ranks=ranks):
                    ending = self.run_program("query", "run.h5", "--transition", label, "-o", "out.h5", "--overwrite",
                                              ranks=ranks)
                    self.assert_solved(ending)
                    with h5py.File(self.folder / "out.h5") as file:
                        found = file["transition"].attrs
                        # Three digits are given; the default tolerance moves masses by less than 1e-4.
                        self.assertAlmostEqual(found["equal_mass"], mass, delta=6e-4)
                        self.assertAlmostEqual(found["equal_mass_independent"], independent, delta=6e-4)


if __name__ == "__main__":
    unittest.main()
