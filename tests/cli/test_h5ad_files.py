"""Real .h5ad files of every on-disk generation, against h5py and against values computed elsewhere."""

import os
import pathlib
import unittest

import h5py
import numpy as np

import cells
import dense
from program import ProgramTest

DATA = os.environ.get("CONVOY_TEST_DATA")


@unittest.skipUnless(DATA, "CONVOY_TEST_DATA names no folder of real data")
class RealFiles(ProgramTest):
    FILES = sorted(pathlib.Path(DATA or "").glob("single_cell/*/*.h5ad"))

    def read(self, source, *options, ranks=0):
        ending = self.run_program("solve", source, source, "-o", "out.h5", "--overwrite", "--store-points", "--epsilon",
                                  "1e9", "--max-half-passes", "1", "--init", "zero", *options, ranks=ranks)
        self.assertIn(ending.code, (0, 3), ending)
        with h5py.File(self.folder / "out.h5") as file:
            return file["source/points"][:], file["target/points"][:]

    def test_all_open(self):
        self.assertEqual(len(self.FILES), 12)
        for path in self.FILES:
            with self.subTest(path.name), h5py.File(path) as file:
                ending = self.run_program("check", path)
                self.assertEqual(ending.code, 0, ending)
                for name in cells.columns(file):
                    self.assertIn(f"obs {name}", ending.out)
                self.assertNotIn("not readable", ending.out)
                self.assertIn(f"cells                 {len(cells.index(file)):,}\n", ending.out)

    def keys(self, file):
        for key in ("X", "raw/X"):
            if key in file or (key == "raw/X" and "raw.X" in file):
                yield key
        for group in ("layers", "obsm"):
            if group not in file:
                continue
            compounds = isinstance(file[group], h5py.Dataset)
            for name in file[group].dtype.names if compounds else file[group]:
                node = None if compounds else file[group][name]
                if not isinstance(node, h5py.Group) or "indptr" in node:
                    yield f"{group}/{name}"

    def test_every_matrix_is_what_h5py_reads(self):
        for path in self.FILES:
            with h5py.File(path) as file:
                keys = list(self.keys(file))
                for at, key in enumerate(keys):
                    expected = cells.matrix(file, key).astype(float)
                    if expected.size > 2e7 or not np.isfinite(expected).all():
                        continue
                    with self.subTest(path.name, key=key):
                        found, _ = self.read(f"{path}#{key}", ranks=3 if at % 3 == 0 else 0)
                        np.testing.assert_array_equal(found, expected)

    def test_every_value_of_every_column_chooses_its_rows(self):
        for path in self.FILES:
            with h5py.File(path) as file:
                keys = sorted(self.keys(file), key=lambda key: cells.matrix(file, key).shape[1])
                keys = [key for key in keys if np.isfinite(cells.matrix(file, key)).all()]
                if not keys:
                    continue
                points = cells.matrix(file, keys[0]).astype(float)
                for name in cells.columns(file):
                    values = cells.column(file, name)
                    there = [v for v in values if not cells.is_missing(v)]
                    one = there[len(there) // 3]
                    chosen = np.array([not cells.is_missing(v) and v == one for v in values])
                    others = np.array([not cells.is_missing(v) and v != one for v in values])
                    if not others.any():
                        continue
                    written = f'"{one}"' if isinstance(one, str) else repr(one)
                    if isinstance(one, float) and np.float32(one) == one:
                        written = str(np.float32(one))  # the shortest for single precision, and right for double
                        if float(written) != one and values.dtype == object and file["obs"].name:
                            written = repr(one)
                    with self.subTest(path.name, column=name, value=one):
                        found, rest = self.read(f"{path}#{keys[0]}", "--source-where", f"{name}={written}",
                                                "--target-where", f"{name}!={written}")
                        np.testing.assert_array_equal(found, points[chosen])
                        np.testing.assert_array_equal(rest, points[others])

    def test_days_of_moscot_by_numbers(self):
        path = next(p for p in self.FILES if p.name.startswith("moscot"))
        with h5py.File(path) as file:
            values, points = cells.column(file, "day"), cells.matrix(file, "X")
        for ranks in (0, 4):
            found, rest = self.read(f"{path}#X", "--source-where", "day=10", "--target-where", "day=10.5", ranks=ranks)
            np.testing.assert_array_equal(found, points[values == 10.0])
            np.testing.assert_array_equal(rest, points[values == 10.5])

    def test_days_of_moscot_solved(self):
        path = next(p for p in self.FILES if p.name.startswith("moscot"))
        with h5py.File(path) as file:
            values, points = cells.column(file, "day"), cells.matrix(file, "X").astype(float)
        x, y = points[values == 10.0], points[values == 10.5]
        cost = (x ** 2).sum(1)[:, None] + (y ** 2).sum(1) - 2 * x @ y.T
        epsilon = 0.05 * cost.mean()
        f, g = dense.sinkhorn(cost, epsilon)
        expected = (dense.plan(cost, f, g, epsilon) * cost).sum()
        for ranks in (0, 4):
            ending = self.run_program("solve", f"{path}#X", f"{path}#X", "--source-where", "day=10", "--target-where",
                                      "day=10.5", "--epsilon", "0.05mean", "--tolerance", "1e-8", "--precision",
                                      "double", "-o", "out.h5", "--overwrite", ranks=ranks)
            self.assert_solved(ending)
            with h5py.File(self.folder / "out.h5") as file:
                self.assertAlmostEqual(file["solution"].attrs["transport_cost"] / expected, 1, delta=1e-6)

    def test_transport_costs(self):
        """The reference values of the data's index, by one command each."""
        folder = pathlib.Path(DATA) / "single_cell/h5ad"
        for name, column, before, after, cost in (
                ("arabidopsis_root", "zone", "Meristem", "Elongation", 204.61027),
                ("arabidopsis_root", "zone", "Elongation", "Maturation", 270.11423),
                ("gbm_panobinostat", "condition", "ctrl", "panobinostat", 476.45952),
                ("worm_embryo", "collection_minutes", "300", "500", 1695.02032),
                ("kang_pbmc_ifnb", "condition", "ctrl", "stim", 488.15336)):
            path = folder / f"{name}.h5ad"
            # At a marginal error of 1e-3 transport costs differ by up to 0.06 %.
            for ranks, options, apart in ((0, [], 1e-3), (4, [], 1e-3),
                                          (0, ["--tolerance", "1e-8", "--precision", "double"], 1e-6),
                                          (4, ["--tolerance", "1e-8", "--precision", "double"], 1e-6)):
                with self.subTest(name, options=options, ranks=ranks):
                    ending = self.run_program("solve", path, path, "--source-where", f"{column}={before}",
                                              "--target-where", f"{column}={after}", "--epsilon", "0.05mean", "-o",
                                              "out.h5", "--overwrite", *options, ranks=ranks)
                    self.assert_solved(ending)
                    with h5py.File(self.folder / "out.h5") as file:
                        self.assertAlmostEqual(file["solution"].attrs["transport_cost"] / cost, 1, delta=apart)


if __name__ == "__main__":
    unittest.main(verbosity=2)
