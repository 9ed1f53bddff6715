"""AnnData's .h5ad files from outside: every layout, cells chosen by columns of obs, weights, and what cannot be read."""

import json
import unittest

import h5py
import numpy as np

from cells import Categories, Masked, add_frame, add_sparse
from program import ProgramTest

GENERATIONS = ("compounds", "references", "groups")


class CellsTest(ProgramTest):
    """60 cells of two days in `cells.h5ad`."""

    N, D = 60, 3

    def setUp(self):
        super().setUp()
        random = np.random.default_rng(1)
        self.points = random.normal(size=(self.N, self.D))
        self.points[::3, 1] = 0
        self.codes = random.integers(-1, 3, self.N)
        self.types = np.array(["T cell", "B, naive", "NK"])[random.integers(0, 3, self.N)]
        self.growth = random.integers(0, 5, self.N) / 2
        self.index = [f"cell {k}" for k in range(self.N)]

    def columns(self):
        return {"day": Categories(self.codes, [10.0, 10.5, 11.0], ordered=True),
                "type": list(self.types), "growth": self.growth,
                "in_tissue": self.codes > 0, "count": np.arange(self.N) // 20,
                "age(days)": Categories(self.codes * 0, ["12"])}

    def write(self, name="cells.h5ad", generation="groups", **more):
        with h5py.File(self.folder / name, "w") as file:
            add_frame(file, "obs", self.index, self.columns(), generation, **more)
            add_frame(file, "var", list("abc"), {}, generation, **more)
            if generation == "compounds":
                table = np.zeros(self.N, dtype=[("X_pca", "f8", (self.D,)), ("X_umap", "f4", (2,))])
                table["X_pca"] = self.points
                file.create_dataset("obsm", data=table, **more)
            else:
                file.create_dataset("obsm/X_pca", data=self.points, **more)
            add_sparse(file, "X", self.points, older=generation == "compounds", **more)
            file.create_dataset("layers/dense", data=self.points, **more)
            add_sparse(file, "raw.X" if generation == "compounds" else "raw/X", 2 * self.points, by_rows=False,
                       older=generation == "compounds", **more)
        return name

    def store(self, source, target="y.npy", *options, ranks=0, output="out.h5"):
        """Solves a little, and returns the points that were read, and their masses."""
        ending = self.run_program("solve", source, target, "-o", output, "--overwrite", "--store-points",
                                  "--max-half-passes", "2", "--init", "zero", *options, ranks=ranks)
        self.assertIn(ending.code, (0, 3), ending)
        with h5py.File(self.folder / output) as file:
            return file["source/points"][:], file["weights/a"][:]

    def save_target(self, d=3, n=7):
        self.save("y.npy", np.random.default_rng(3).normal(size=(n, d)))


class Reading(CellsTest):
    def test_every_layout_and_matrix(self):
        self.save_target()
        for generation in GENERATIONS:
            for more in ({}, {"compression": "gzip", "shuffle": True, "chunks": True}, {"compression": "lzf"},
                         {"compression": "lzf", "shuffle": True, "fletcher32": True, "chunks": True}):
                self.write(generation=generation, **more)
                for key, expected in (("", self.points), ("#obsm/X_pca", self.points), ("#X", self.points),
                                      ("#layers/dense", self.points), ("#raw/X", 2 * self.points)):
                    with self.subTest(generation=generation, key=key, **more):
                        found, _ = self.store("cells.h5ad" + key)
                        np.testing.assert_array_equal(found, expected)

    def test_chosen_rows_on_any_number_of_ranks(self):
        self.save_target()
        for generation in GENERATIONS:
            self.write(generation=generation, compression="lzf", chunks=True)
            for options, chosen in ((["--source-where", "day=10.5"], self.codes == 1),
                                    (["--source-where", "day=10.50,11"], self.codes >= 1),
                                    (["--source-where", "day!=10"], self.codes >= 1),
                                    (["--source-where", "type=B, naive"], self.types == "B, naive"),
                                    (["--source-where", "type=B, naive,NK"], self.types != "T cell"),
                                    (["--source-where", "day=10", "--source-where", "type!=NK"],
                                     (self.codes == 0) & (self.types != "NK")),
                                    (["--source-where", "in_tissue=True"], self.codes > 0),
                                    (["--source-where", "count=1"], np.arange(self.N) // 20 == 1),
                                    (["--source-where", "age(days)=12"], np.ones(self.N, bool)),
                                    (["--source-where", "growth=0.5,1"], np.isin(self.growth, (0.5, 1)))):
                for ranks in (0, 3) if generation != "groups" else (0, 2, 3, 4, 7):
                    with self.subTest(options, generation=generation, ranks=ranks):
                        for key in ("X", "obsm/X_pca"):
                            found, masses = self.store(f"cells.h5ad#{key}", "y.npy", *options, ranks=ranks)
                            np.testing.assert_array_equal(found, self.points[chosen])
                            np.testing.assert_allclose(masses, 1 / chosen.sum(), rtol=1e-15)
                        if generation != "groups":
                            break

    def test_weights_of_the_chosen_cells(self):
        self.save_target()
        self.write()
        chosen = self.codes == 1
        expected = self.growth[chosen] / self.growth[chosen].sum()
        for weights in ("obs:growth", "cells.h5ad#obs:growth", "all.npy", "chosen.npy"):
            self.save("all.npy", self.growth)
            self.save("chosen.npy", self.growth[chosen])
            for ranks in (0, 3):
                _, masses = self.store("cells.h5ad", "y.npy", "--source-where", "day=10.5", "--source-weights", weights,
                                       ranks=ranks)
                np.testing.assert_allclose(masses, expected, rtol=1e-15)

    def test_some_columns_of_the_chosen_cells(self):
        self.save_target(2)
        chosen = self.codes == 1
        for generation in GENERATIONS:
            self.write(generation=generation, compression="gzip", chunks=True)
            for key, points in (("X", self.points), ("raw/X", 2 * self.points), ("obsm/X_pca", self.points),
                                ("layers/dense", self.points)):
                for columns, numbers in (("1:", [1, 2]), ("2,0", [2, 0])):
                    for ranks in (0, 3):
                        with self.subTest(generation=generation, key=key, columns=columns, ranks=ranks):
                            found, _ = self.store(f"cells.h5ad#{key}", "y.npy", "--source-where", "day=10.5",
                                                  "--source-columns", columns, ranks=ranks)
                            np.testing.assert_array_equal(found, points[chosen][:, numbers])

    def test_genes_as_points(self):
        self.save_target(self.N)
        self.write(compression="gzip", chunks=True)
        for key, points in (("X", self.points), ("raw/X", 2 * self.points), ("layers/dense", self.points)):
            for ranks in (0, 2, 3):
                with self.subTest(key=key, ranks=ranks):
                    found, _ = self.store(f"cells.h5ad#{key}", "y.npy", "--source-transpose", ranks=ranks)
                    np.testing.assert_array_equal(found, points.T)
        self.assert_refused(self.run_program("check", "cells.h5ad#X", "--transpose", "--source-where", "day=10"),
                            "cannot be chosen by 'day=10'", "transposed", outputs=())

    def test_several_files_by_a_pattern(self):
        self.save_target()
        for name in ("a1.h5ad", "a2.h5ad"):
            self.write(name)
        for ranks in (0, 3):
            found, masses = self.store("a*.h5ad#X", "y.npy", "--source-weights", "obs:growth", ranks=ranks)
            np.testing.assert_array_equal(found, np.r_[self.points, self.points])
            np.testing.assert_allclose(masses, np.tile(self.growth, 2) / self.growth.sum() / 2, rtol=1e-15)
        self.assert_refused(self.run_program("check", "a*.h5ad", "--source-where", "day=10"), "cannot be chosen by 'day=10'",
                            outputs=())

    def test_components_and_merged_points_of_the_chosen_cells(self):
        self.save_target()
        self.points[10:20] = self.points[30:40]
        self.write()
        chosen = self.codes == 1
        self.save("chosen.npy", self.points[chosen])
        self.save("growth.npy", self.growth[chosen])
        plain = ["--standardize", "--pca", "2", "--precision", "double"]
        expected, masses = self.store("chosen.npy", "y.npy", "--source-weights", "growth.npy", *plain)
        with h5py.File(self.folder / "out.h5") as file:
            f, components = file["potentials/f"][:], file["features/components"][:]
        for key in ("X", "raw/X", "layers/dense"):
            for ranks in (0, 3):
                with self.subTest(key=key, ranks=ranks):
                    half = ["--source-scale", "1/2"] if key == "raw/X" else []
                    found, same = self.store(f"cells.h5ad#{key}", "y.npy", "--source-where", "day=10.5",
                                             "--source-weights", "obs:growth", "--merge-duplicates", *half, *plain,
                                             ranks=ranks, output="cells.h5")
                    np.testing.assert_allclose(found, expected, atol=1e-10)
                    np.testing.assert_allclose(same, masses, rtol=1e-14)
                    with h5py.File(self.folder / "cells.h5") as file:
                        np.testing.assert_allclose(file["features/components"][:], components, atol=1e-10)
                        np.testing.assert_allclose(file["potentials/f"][:], f, atol=1e-9)
        ending = self.run_program("map", "cells.h5", "cells.h5ad#X", "--where", "day=10.5", "--direction", "backward",
                                  "-o", "back.h5", ranks=3)
        self.assertEqual(ending.code, 0, ending)

    def test_nullable_columns(self):
        self.save_target()
        mask = np.arange(self.N) % 5 == 0
        with h5py.File(self.folder / "cells.h5ad", "w") as file:
            file["X"] = self.points
            add_frame(file, "obs", self.index, {"day": Masked(self.codes + 1, mask), "yes": Masked(self.codes > 0, mask)})
        for condition, chosen in (("day=2", (self.codes == 1) & ~mask), ("day!=2", (self.codes != 1) & ~mask),
                                  ("yes=true", (self.codes > 0) & ~mask), ("yes!=true", (self.codes <= 0) & ~mask)):
            found, _ = self.store("cells.h5ad#X", "y.npy", "--source-where", condition)
            np.testing.assert_array_equal(found, self.points[chosen])
        ending = self.run_program("solve", "cells.h5ad#X", "y.npy", "-o", "new.h5", "--source-where", "day=2",
                                  "--source-weights", "obs:day")
        self.assertIn("12 rows have no value there", ending.err)
        self.assert_refused(self.run_program("solve", "cells.h5ad#X", "y.npy", "-o", "bad.h5", "--source-weights",
                                             "obs:day"), "12 values that are not finite", "nan in row 0",
                            outputs=("bad.h5",))

    def test_a_table_of_numbers(self):
        self.save_target()
        with h5py.File(self.folder / "cells.h5ad", "w") as file:
            add_frame(file, "obs", self.index, {"a": self.growth, "b,c": self.points[:, 1], "d": self.codes + 2})
            add_frame(file, "obsm/df", self.index, {"a": self.growth, "b": self.points[:, 1], "d": self.codes + 2})
        expected = np.c_[self.growth, self.points[:, 1], self.codes + 2]
        for key in ("obsm/df", "obs:a,b,c,d", "obsm/df:a,b,d", "obs"):
            found, _ = self.store(f"cells.h5ad#{key}")
            np.testing.assert_array_equal(found, expected)

    def test_progress_says_what_was_chosen(self):
        self.save_target()
        self.write()
        ending = self.run_program("solve", "cells.h5ad", "y.npy", "-o", "out.h5", "--source-where", "day=10.5",
                                  "--summary", "out.json")
        missing, there = (self.codes < 0).sum(), (self.codes == 1).sum()
        self.assertIn(f"source: cells.h5ad#obsm/X_pca, {there} of 60 rows where day=10.5 ({missing} rows have no value "
                      "there)", ending.err)
        source = json.loads((self.folder / "out.json").read_text())["inputs"]["source"]
        self.assertEqual((source["key"], source["where"], source["rows"], source["file_rows"],
                          source["rows_without_value"]), ("obsm/X_pca", ["day=10.5"], there, 60, missing))
        info = self.run_program("info", "out.h5").out
        self.assertRegex(info, r"where +day=10.5\n")

    def test_config_takes_conditions_too(self):
        self.save_target()
        self.write()
        (self.folder / "run.toml").write_text("source-where = \"day=10.5\"\nsource-where = 'type=\"B, naive\"'\n")
        chosen = (self.codes == 1) & (self.types == "B, naive")
        found, _ = self.store("cells.h5ad", "y.npy", "--config", "run.toml")
        np.testing.assert_array_equal(found, self.points[chosen])
        found, _ = self.store("cells.h5ad", "y.npy", "--config", "run.toml", "--source-where", "day=11")
        np.testing.assert_array_equal(found, self.points[self.codes == 2])

    def test_every_command(self):
        self.write()
        days = ["--source-where", "day=10", "--target-where", "day=11"]
        before, after = self.points[self.codes == 0], self.points[self.codes == 2]
        self.save("before.npy", before)
        self.save("after.npy", after)
        self.save("middle.npy", self.points[self.codes == 1])

        def same(one, other):
            one, other = one(), other()
            self.assertEqual((one.code, other.code), (0, 0), f"{one}\n{other}")
            return one

        run = self.run_program
        for command in ("solve", "divergence", "progot"):
            more = ["--epsilon", "0.2mean"] if command == "progot" else []
            same(lambda: run(command, "cells.h5ad", "cells.h5ad", *days, *more, "-o", "chosen.h5", "--overwrite"),
                 lambda: run(command, "before.npy", "after.npy", *more, "-o", "apart.h5", "--overwrite"))
            with h5py.File(self.folder / "chosen.h5") as one, h5py.File(self.folder / "apart.h5") as other:
                for path in ("potentials/f", "potentials/g"):
                    np.testing.assert_array_equal(one[path][:], other[path][:])
        middle = ["--where", "day=10.5"]
        same(lambda: run("map", "chosen.h5", "cells.h5ad", *middle, "-o", "images.h5", "--summary", "images.json"),
             lambda: run("map", "apart.h5", "middle.npy", "-o", "apart-images.h5"))
        with h5py.File(self.folder / "images.h5") as one, h5py.File(self.folder / "apart-images.h5") as other:
            np.testing.assert_array_equal(one["points"][:], other["points"][:])
            self.assertEqual(one["inputs/points"].attrs["where"], "day=10.5")
        one = same(lambda: run("score", "chosen.h5", "cells.h5ad", "cells.h5ad", "--source-where", "day=10.5",
                               "--target-where", "day=11", "--truth", "cells.h5ad", "--truth-where", "day=10.5"),
                   lambda: run("score", "apart.h5", "middle.npy", "after.npy", "--truth", "middle.npy"))
        self.assertIn(f"images of: cells.h5ad#obsm/X_pca, {(self.codes == 1).sum()} of 60 rows where day=10.5", one.err)
        held_out = ["progot", "cells.h5ad", "cells.h5ad", *days, "--steps", "2", "--held-out", "cells.h5ad",
                    "--held-out-where", "day=10.5", "-o", "auto.h5"]
        self.assertIn("held-out: cells.h5ad#obsm/X_pca", run(*held_out).err)

    def test_conditions_without_effect_are_refused(self):
        self.write()
        self.save_target()
        run = self.run_program
        self.assert_refused(run("check", "cells.h5ad", "--target-where", "day=10"), "--target-where has no effect")
        self.assert_refused(run("progot", "cells.h5ad", "y.npy", "-o", "out.h5", "--held-out-where", "day=10",
                                "--epsilon", "auto"), "--held-out-where has no effect without --held-out")
        self.assertEqual(run("solve", "cells.h5ad", "y.npy", "-o", "model.h5").code, 0)
        self.assert_refused(run("score", "model.h5", "y.npy", "y.npy", "--truth-where", "day=10"),
                            "--truth-where has no effect without --truth")
        self.assert_refused(run("solve", "y.npy", "y.npy", "-o", "out.h5", "--source-where", "day=10"),
                            "rows cannot be chosen by 'day=10'", ".h5ad")


class Models(CellsTest):
    def solve(self):
        self.write()
        self.save("x.npy", self.points[self.codes == 1])
        self.assert_solved(self.run_program("solve", "x.npy", "cells.h5ad", "--target-where", "day=11",
                                            "--target-weights", "obs:growth", "-o", "model.h5"), output="model.h5")

    def map(self, *options, ranks=0):
        return self.run_program("map", "model.h5", "x.npy", "-o", "images.h5", "--overwrite", *options, ranks=ranks)

    def images(self):
        with h5py.File(self.folder / "images.h5") as file:
            return file["points"][:]

    def test_the_chosen_cells_are_found_again_and_verified(self):
        self.solve()
        self.assertEqual(self.map().code, 0)
        first = self.images()
        self.assertEqual(self.map(ranks=3).code, 0)
        np.testing.assert_allclose(self.images(), first, atol=1e-5)
        # Other cells may change, and where the file is.
        self.points[self.codes != 2] += 1
        self.write()
        self.assertEqual(self.map().code, 0)
        (self.folder / "cells.h5ad").rename(self.folder / "moved.h5ad")
        self.assert_refused(self.map(), "is not at", "--target PATH[#KEY]", outputs=())
        self.assertEqual(self.map("--target", "moved.h5ad").code, 0)
        np.testing.assert_array_equal(self.images(), first)
        (self.folder / "moved.h5ad").rename(self.folder / "cells.h5ad")
        # One of the chosen ones, or which ones they are, may not.
        self.points[np.flatnonzero(self.codes == 2)[0]] += 1
        self.write()
        self.assert_refused(self.map(), "is not the target", "checksum", outputs=())
        self.points[np.flatnonzero(self.codes == 2)[0]] -= 1
        self.codes[np.flatnonzero(self.codes == 2)[0]] = -1
        self.write()
        self.assert_refused(self.map(), "is not the target", outputs=())


class Refusals(CellsTest):
    def refuse(self, source, *words, options=(), ranks=(0,)):
        for count in ranks:
            ending = self.run_program("solve", source, "y.npy", "-o", "out.h5", *options, ranks=count)
            self.assert_refused(ending, *words)
            error = next(line for line in ending.err.splitlines() if line.startswith("error: "))
            self.assertLess(len(error), 1500)

    def setUp(self):
        super().setUp()
        self.save_target()
        self.write()

    def test_what_is_not_there_is_answered_with_what_is(self):
        where = lambda *conditions: [word for c in conditions for word in ("--source-where", c)]  # noqa: E731
        counts = {day: (self.codes == code).sum() for code, day in enumerate(("10", "10.5", "11"))}
        listed = ", ".join(f"{day}: {count}" for day, count in counts.items())
        self.refuse("cells.h5ad", "no row has day=12", f"has {listed}; {(self.codes < 0).sum()} rows have none",
                    options=where("day=12"), ranks=(0, 3))
        self.refuse("cells.h5ad", "no column 'dya'", "day (3 categories)", "type (text)", "growth (float64)",
                    options=where("dya=12"), ranks=(0, 3))
        self.refuse("cells.h5ad", "no row is left", options=where("day=10", "day=11"), ranks=(0, 3))
        self.refuse("cells.h5ad", "'day' is no condition", options=where("day"))
        self.refuse("cells.h5ad#Z", "no matrix 'Z'", "X, layers/dense, obsm/X_pca, raw/X")
        self.refuse("cells.h5ad", "has no column 'size'", options=("--source-weights", "obs:size"))
        self.refuse("cells.h5ad", "holds no numbers", options=("--source-weights", "obs:type"))
        self.refuse("cells.h5ad#obs", "holds no numbers", "cells.h5ad#obs:day,growth")

    def test_filters_that_are_not_known_are_named(self):
        for number, name in ((32015, "zstd"), (32001, "blosc"), (32026, "blosc2"), (32008, "bitshuffle"), (40000, "")):
            with h5py.File(self.folder / "cells.h5ad", "w") as file:
                add_frame(file, "obs", self.index, self.columns())
                space = h5py.h5s.create_simple((self.N, self.D))
                for path in ("X", "obs/packed"):
                    creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
                    creation.set_chunk((self.N, self.D) if path == "X" else (self.N,))
                    creation.set_filter(number, h5py.h5z.FLAG_OPTIONAL, ())
                    where = space if path == "X" else h5py.h5s.create_simple((self.N,))
                    made = h5py.h5d.create(file.id, path.encode(), h5py.h5t.IEEE_F32LE, where, creation)
                    made.write_direct_chunk((0, 0) if path == "X" else (0,), b"packed", 0)
                file["obs"].attrs["column-order"] = np.array(["packed"], dtype=object)
                file["Y"] = self.points
            self.refuse("cells.h5ad#X", f"filter {name or 'without a name'}", str(number), "gzip", "HDF5_PLUGIN_PATH")
            self.refuse("cells.h5ad#Y", f"filter {name or 'without a name'}", options=("--source-where", "packed=1"))

    def test_a_file_does_not_lead_elsewhere(self):
        self.write("other.h5ad")
        np.save(self.folder / "raw.npy", self.points)

        def remade(change):
            self.write()
            with h5py.File(self.folder / "cells.h5ad", "r+") as file:
                change(file)

        def replaced(path, value):
            def change(file):
                del file[path]
                file[path] = value
            return change

        def virtual(file):
            del file["obsm/X_pca"]
            layout = h5py.VirtualLayout((self.N, self.D), "f8")
            layout[:] = h5py.VirtualSource("other.h5ad", "obsm/X_pca", (self.N, self.D))
            file.create_virtual_dataset("obsm/X_pca", layout)

        def external(file):
            del file["obsm/X_pca"]
            file.create_dataset("obsm/X_pca", (self.N, self.D), "f8", external=[("raw.npy", 128, 8 * self.N * self.D)])

        outside = h5py.ExternalLink
        for change, word in ((replaced("obsm/X_pca", outside("other.h5ad", "/obsm/X_pca")), "link into another file"),
                             (replaced("obsm", outside("other.h5ad", "/obsm")), "link into another file"),
                             (virtual, "is virtual"), (external, "external storage")):
            remade(change)
            self.refuse("cells.h5ad#obsm/X_pca", word, ranks=(0, 3))
        day = ("--source-where", "day=10")
        for path in ("obs", "obs/day", "obs/day/codes", "obs/day/categories"):
            remade(replaced(path, outside("other.h5ad", "/" + path)))
            self.refuse("cells.h5ad#obsm/X_pca", "link into another file", options=day)
        for path in ("X/data", "X/indices", "X/indptr"):
            remade(replaced(path, outside("other.h5ad", "/" + path)))
            self.refuse("cells.h5ad#X", "link into another file")
        remade(replaced("X", h5py.SoftLink("/way/out")))
        with h5py.File(self.folder / "cells.h5ad", "r+") as file:
            file["way"] = outside("other.h5ad", "/obsm")
        self.refuse("cells.h5ad#X", "cannot read 'cells.h5ad#X'")
        remade(replaced("X", h5py.SoftLink("/X")))
        self.refuse("cells.h5ad#X", "cannot read 'cells.h5ad#X'")

    def test_chunks_that_are_not_whole(self):
        import zlib
        whole = np.arange(self.N * self.D, dtype="f8").tobytes()
        for compression, stored in (("gzip", zlib.compress(whole[:100])), ("gzip", zlib.compress(whole + b"more")),
                                    ("gzip", zlib.compress(whole)[:50]), ("gzip", b"\0" * 100), ("lzf", b"\x03abcd"),
                                    ("lzf", b"\xff" * 100), ("lzf", b"\x1f" * 30)):
            with h5py.File(self.folder / "cells.h5ad", "w") as file:
                data = file.create_dataset("X", (self.N, self.D), "f8", chunks=(self.N, self.D),
                                           compression=compression)
                data.id.write_direct_chunk((0, 0), stored, 0)
            self.refuse("cells.h5ad#X", "rows 0 to 59 of dataset 'X' cannot be read (a chunk is damaged", ranks=(0, 3))

    def test_files_that_end_too_early(self):
        whole = (self.folder / "cells.h5ad").read_bytes()
        for length in [0, 1, 8, 100, 600] + list(range(1000, len(whole), len(whole) // 12)):
            (self.folder / "cut.h5ad").write_bytes(whole[:length])
            with self.subTest(length):
                self.refuse("cut.h5ad#X", "cut.h5ad", options=("--source-where", "day=10"))

    def test_links_in_a_circle(self):
        with h5py.File(self.folder / "cells.h5ad", "r+") as file:
            file["obsm/again"] = file["obsm"]
            file["obs/again"] = file["obs"]
            file["loop"] = h5py.SoftLink("/other")
            file["other"] = h5py.SoftLink("/loop")
            file["layers/loop"] = h5py.SoftLink("/loop")
        found, _ = self.store("cells.h5ad", output="whole.h5")
        np.testing.assert_array_equal(found, self.points)
        ending = self.run_program("check", "cells.h5ad")
        self.assertEqual(ending.code, 0, ending)
        for key in ("obsm/again", "layers/loop", "obsm/again/again", "obs:again"):
            self.refuse("cells.h5ad#" + key, "cells.h5ad#" + key)

    def test_extents_that_cannot_be(self):
        huge = 2 ** 62
        empty = {"dtype": "f4", "chunks": (1,), "maxshape": (None,)}

        def matrix(file):
            del file["obsm/X_pca"]
            file.create_dataset("obsm/X_pca", (huge, 2), "f4", chunks=(1, 2), maxshape=(None, 2))

        def wide_matrix(file):
            del file["obsm/X_pca"]
            file.create_dataset("obsm/X_pca", (self.N, huge), "f4", chunks=(1, 2), maxshape=(None, None))

        def replaced(path, **more):
            def change(file):
                del file[path]
                file.create_dataset(path, (huge,), **(empty | more))
            return change

        def shape(rows, columns):
            def change(file):
                file["X"].attrs["shape"] = np.array([rows, columns])
            return change

        for key, change in (("obsm/X_pca", matrix), ("obsm/X_pca", wide_matrix), ("X", replaced("X/data")),
                            ("X", replaced("X/indices", dtype="i4")), ("X", replaced("X/indptr", dtype="i8")),
                            ("X", shape(huge, 3)), ("X", shape(self.N, huge)), ("X", shape(-1, 3)),
                            ("obsm/X_pca", replaced("obs/_index", dtype="i4")),
                            ("obsm/X_pca", replaced("obs/day/codes", dtype="i1")),
                            ("obsm/X_pca", replaced("obs/day/categories"))):
            with self.subTest(key, change=change):
                self.write()
                with h5py.File(self.folder / "cells.h5ad", "r+") as file:
                    change(file)
                self.refuse("cells.h5ad#" + key, "cells.h5ad", options=("--source-where", "day=10"), ranks=(0, 3))

    def test_the_other_byte_order(self):
        with h5py.File(self.folder / "cells.h5ad", "r+") as file:
            for path in ("obsm/X_pca", "X/data", "X/indices", "X/indptr", "obs/day/codes", "obs/growth", "obs/count"):
                values = file[path][:]
                del file[path]
                file[path] = values.astype(values.dtype.newbyteorder(">"))
        for key in ("obsm/X_pca", "X"):
            found, masses = self.store("cells.h5ad#" + key, "y.npy", "--source-where", "day=10.5", "--source-where",
                                       "count!=0", "--source-weights", "obs:growth", output="whole.h5")
            chosen = (self.codes == 1) & (np.arange(self.N) >= 20)
            np.testing.assert_array_equal(found, self.points[chosen])
            np.testing.assert_allclose(masses, self.growth[chosen] / self.growth[chosen].sum(), rtol=1e-15)
        # Numbers whose bytes are swapped without saying so are what they then are.
        with h5py.File(self.folder / "cells.h5ad", "r+") as file:
            values = file["X/indptr"][:].astype("i4").byteswap()
            file["X/indptr"][...] = values
        self.refuse("cells.h5ad#X", "is damaged: pointer 1 is")

    def test_a_matrix_that_is_too_large_for_memory(self):
        with h5py.File(self.folder / "cells.h5ad", "w") as file:
            group = file.create_group("X")
            group.attrs["encoding-type"], group.attrs["shape"] = "csr_matrix", np.array([1000, 2 ** 36])
            group["data"], group["indices"] = np.ones(1), np.zeros(1, int)
            group["indptr"] = np.ones(1001, int)
        ending = self.run_program("check", "cells.h5ad#X")
        self.assert_refused(ending, "sparse matrix 'X' made dense takes 549755.8 GB on one rank", "are there")


class Check(CellsTest):
    def test_lists_what_there_is(self):
        for generation in GENERATIONS:
            self.write(generation=generation)
            ending = self.run_program("check", "cells.h5ad", ranks=0 if generation != "groups" else 3)
            self.assertEqual(ending.code, 0, ending)
            counts = [(self.codes == code).sum() for code in range(3)]
            for words in ("cells                 60\n", "genes                 3\n", "X                     60 x 3, sparse",
                          "obsm/X_pca            60 x 3, float64", "layers/dense          60 x 3, float64", "raw/X",
                          f"obs day               category; 10: {counts[0]}, 10.5: {counts[1]}, 11: {counts[2]}; "
                          f"{(self.codes < 0).sum()} rows have none", "obs count             int64; 0: 20, 1: 20, 2: 20",
                          "obs in_tissue         boolean; false: ", "source cells.h5ad#obsm/X_pca", "60 x 3 dimensions",
                          "good"):
                self.assertIn(words, ending.out)

    def test_a_file_whose_points_are_not_named(self):
        with h5py.File(self.folder / "cells.h5ad", "w") as file:
            add_frame(file, "obs", self.index, {})
            add_sparse(file, "X", self.points)
        ending = self.run_program("check", "cells.h5ad")
        self.assertEqual(ending.code, 0, ending)
        self.assertIn("none are named; name some, like: cells.h5ad#X", ending.out)
        self.assert_refused(self.run_program("check", "cells.h5ad", "cells.h5ad"), "no matrix is named", "it has X")

    def test_tells_how_many_rows_were_chosen(self):
        self.write()
        out = self.run_program("check", "cells.h5ad#X", "cells.h5ad#X", "--source-where", "count=0", "--target-where",
                               "count!=0").out
        self.assertIn("rows                  20 of 60 rows where count=0", out)
        self.assertIn("rows                  40 of 60 rows where count!=0", out)
        self.assertEqual(out.count("file cells.h5ad"), 1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
