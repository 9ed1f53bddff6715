"""solve --pairs: many problems from one .h5ad file, one after the other, with one read."""

import json
import os
import pathlib
import signal
import subprocess
import time
import unittest

import h5py
import numpy as np

from cells import Categories, add_frame
from program import ProgramTest, command

DATA = os.environ.get("CONVOY_TEST_DATA")


class PairsTest(ProgramTest):
    """120 cells of four days, each day further to the right."""

    N, D = 120, 3

    def setUp(self):
        super().setUp()
        random = np.random.default_rng(1)
        self.codes = random.integers(-1, 4, self.N)
        self.points = random.normal(size=(self.N, self.D)) + self.codes[:, None]
        self.types = np.array(["T cell", "B/naive, old", "NK"])[random.integers(0, 3, self.N)]
        self.growth = random.integers(1, 5, self.N) / 2
        self.write()

    def write(self):
        with h5py.File(self.folder / "cells.h5ad", "w") as file:
            # Days in the order in which they were met.
            add_frame(file, "obs", [f"cell {k}" for k in range(self.N)],
                      {"day": Categories(self.codes, [10.0, 7.5, 9.0, 12.0]), "type": list(self.types),
                       "growth": self.growth, "batch": np.arange(self.N) % 2})
            file.create_dataset("obsm/X_pca", data=self.points, chunks=(16, 2), compression="gzip")

    def pairs(self, how, *options, ranks=0, output="days", **more):
        return self.run_program("solve", "cells.h5ad", "--pairs", how, "-o", output, *options, ranks=ranks, **more)

    def single(self, a, b, *options, column="day"):
        ending = self.run_program("solve", "cells.h5ad", "cells.h5ad", "--source-where", f"{column}={a}",
                                  "--target-where", f"{column}={b}", "-o", "one.h5", "--overwrite", *options)
        self.assert_solved(ending, output="one.h5")
        return h5py.File(self.folder / "one.h5")

    def results(self):
        return sorted(p.name for p in self.folder.glob("*.h5"))


class Solving(PairsTest):
    def test_results_are_those_of_single_runs(self):
        for options in ([], ["--source-weights", "obs:growth"], ["--target-weights", "obs:growth", "--source-scale", "1/3"],
                        ["--source-columns", "1:", "--source-scale", "2-1"]):
            scale = [word.replace("--source", "--target") for word in options[options.index("--source-scale") - 2:]] \
                if "--source-columns" in options else ["--target-scale", "1/3"] if "--source-scale" in options else []
            for ranks in (0, 3, 4):
                ending = self.pairs("day=sequential", "--overwrite", "--tolerance", "1e-10", "--precision", "double",
                                    *options, ranks=ranks)
                self.assertEqual(ending.code, 0, ending)
                self.assertEqual([f for f in self.results() if f != "one.h5"],
                                 ["days_10_12.h5", "days_7.5_9.h5", "days_9_10.h5"])
                for a, b in ((7.5, 9), (9, 10), (10, 12)):
                    with self.subTest(options, ranks=ranks, pair=(a, b)), \
                            self.single(a, b, "--tolerance", "1e-10", "--precision", "double", *options, *scale) as one, \
                            h5py.File(self.folder / f"days_{a}_{b}.h5") as pair:
                        for path in ("potentials/f", "potentials/g"):
                            np.testing.assert_allclose(pair[path][:], one[path][:], rtol=1e-7, atol=1e-7)
                        for path in ("weights/a", "weights/b"):
                            np.testing.assert_array_equal(pair[path][:], one[path][:])
                        for side in ("inputs/source", "inputs/target"):
                            known, found = dict(one[side].attrs), dict(pair[side].attrs)
                            self.assertEqual(known, found)
                        self.assertEqual({k: v for k, v in pair["pair"].attrs.items()},
                                         {"column": "day", "source": str(a), "target": str(b)})

    def test_the_first_pair_has_the_same_bits_as_a_single_run(self):
        self.pairs("day=10:12,12:10")
        with self.single(10, 12) as one, h5py.File(self.folder / "days_10_12.h5") as pair:
            np.testing.assert_array_equal(pair["potentials/f"][:], one["potentials/f"][:])
            self.assertEqual(pair["solution"].attrs["half_passes"], one["solution"].attrs["half_passes"])

    def test_every_pair_has_the_same_bits_where_the_start_is_named(self):
        self.assertEqual(self.pairs("day=star:9", "--init", "zero").code, 0)
        for b in ("7.5", "10", "12"):
            with self.single("9", b, "--init", "zero") as one, h5py.File(self.folder / f"days_9_{b}.h5") as pair:
                np.testing.assert_array_equal(pair["potentials/f"][:], one["potentials/f"][:])

    def test_a_pair_that_shares_a_side_starts_from_the_last_one(self):
        ending = self.pairs("day=10:12,10:9,7.5:9,12:7.5,9:10")
        self.assertEqual(ending.code, 0, ending)
        starts = [line for line in ending.err.splitlines() if line.startswith("start: ")]
        self.assertEqual(len(starts), 5, ending)
        self.assertNotIn("given", starts[0])
        for start in starts[1:4]:
            self.assertIn("first error", start)
        self.assertNotIn("given", starts[4])

    def test_conditions_hold_for_both_sides_and_are_kept(self):
        ending = self.pairs("day=10:12", "--source-where", "batch=1", "--store-points")
        self.assertEqual(ending.code, 0, ending)
        with h5py.File(self.folder / "days_10_12.h5") as file:
            odd = np.arange(self.N) % 2 == 1
            np.testing.assert_array_equal(file["source/points"][:], self.points[odd & (self.codes == 0)])
            np.testing.assert_array_equal(file["target/points"][:], self.points[odd & (self.codes == 3)])
            self.assertEqual(file["inputs/target"].attrs["where"], "batch=1\nday=12")
        self.assertIn("day=12", self.run_program("info", "days_10_12.h5").out)

    def test_map_finds_the_cells_again(self):
        self.assertEqual(self.pairs("type=sequential", output="t", ranks=3).code, 0)
        self.assertEqual(self.results(), ["t_B%2Fnaive,%20old_NK.h5", "t_NK_T%20cell.h5"])
        self.save("new.npy", self.points[:7])
        for name in self.results():
            ending = self.run_program("map", name, "new.npy", "-o", "images.h5", "--overwrite")
            self.assertEqual(ending.code, 0, ending)

    def test_the_closing_table_and_the_summary(self):
        ending = self.pairs("day=sequential", "--summary", "all.json", ranks=3)
        self.assertIn("3 of 3 pairs converged", ending.out)
        for words in ("days_7.5_9.h5", "all.json", "half-passes", "transport cost", "read", "peak memory"):
            self.assertIn(words, ending.out)
        summary = json.loads((self.folder / "all.json").read_text())
        self.assertEqual([(p["source"], p["target"], p["status"]) for p in summary["pairs"]],
                         [("7.5", "9", "converged"), ("9", "10", "converged"), ("10", "12", "converged")])
        for pair in summary["pairs"]:
            with h5py.File(self.folder / pair["file"]) as file:
                self.assertEqual(pair["solution"]["transport_cost"], file["solution"].attrs["transport_cost"])
                self.assertEqual(pair["source_cells"], len(file["potentials/f"]))
        self.assertIn("day by size: 7.5: ", ending.err)

    def test_names_of_files(self):
        self.assertEqual(self.pairs("day=10:12", output="x.h5").code, 0)
        self.assertEqual(self.pairs("day=10:12", output="{b}-from-{a}.h5").code, 0)
        (self.folder / "10").mkdir()
        self.assertEqual(self.pairs("day=10:12", output="{a}/{b}").code, 0)
        self.assertEqual(self.results(), ["12-from-10.h5", "x_10_12.h5"])
        self.assertTrue((self.folder / "10/12").exists())

    def test_config_has_it_too(self):
        (self.folder / "run.toml").write_text('pairs = "day=10:12"\n')
        ending = self.run_program("solve", "cells.h5ad", "--config", "run.toml", "-o", "days")
        self.assertEqual(ending.code, 0, ending)
        self.assertEqual(self.results(), ["days_10_12.h5"])


class Endings(PairsTest):
    def test_a_pair_that_fails_does_not_lose_the_others(self):
        self.growth[self.codes == 2] = 0
        self.write()
        for ranks in (0, 3):
            ending = self.pairs("day=sequential", "--target-weights", "obs:growth", "--overwrite", "--summary",
                                "all.json", ranks=ranks)
            self.assertEqual(ending.code, 1, ending)
            self.assertEqual(self.results(), ["days_10_12.h5", "days_9_10.h5"])
            self.assertIn("warning: 7.5 to 9 of day failed: ", ending.err)
            self.assertIn("all weights are 0", ending.err)
            self.assertRegex(ending.out, r"7.5 +9 .* failed")
            self.assertIn("2 of 3 pairs converged", ending.out)
            self.assert_no_leftovers()
            first = json.loads((self.folder / "all.json").read_text())["pairs"][0]
            self.assertEqual(first["status"], "failed")
            self.assertIn("all weights are 0", first["error"])

    def test_a_pair_that_does_not_converge_is_written(self):
        ending = self.pairs("day=sequential", "--tolerance", "1e-9", "--max-half-passes", "4")
        self.assertEqual(ending.code, 3, ending)
        self.assertEqual(len(self.results()), 3)
        self.assertIn("0 of 3 pairs converged", ending.out)

    def test_a_time_limit_leaves_later_pairs(self):
        ending = self.pairs("day=sequential", "--time-limit", "0.000001", ranks=3)
        self.assertEqual(ending.code, 3, ending)
        self.assertIn("not begun", ending.out)
        self.assertEqual(self.results(), [])

    def test_a_signal_ends_all_of_them(self):
        points = np.random.default_rng(2).normal(size=(20000, 8))
        with h5py.File(self.folder / "cells.h5ad", "w") as file:
            add_frame(file, "obs", [str(k) for k in range(20000)], {"day": np.arange(20000) // 10})
            file.create_dataset("obsm/X_pca", data=points)
            file["obs/half"] = np.arange(20000) // 10000
            file["obs"].attrs["column-order"] = np.array(["day", "half"], dtype=object)
        process = subprocess.Popen(command(["solve", "cells.h5ad", "--pairs", "half=0:1,1:0", "-o", "x", "--tolerance",
                                            "1e-9", "--precision", "double", "--cache", "off", "--max-half-passes",
                                            "100000"]), cwd=self.folder, text=True, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        for line in process.stderr:
            if line.startswith("start: "):
                break
        time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 1, errors)
        self.assertIn("error: ended by a signal at 0 to 1 of half; 0 of 2 pairs are written", errors)
        self.assertEqual(self.results(), [])


class Refusals(PairsTest):
    def refuse(self, how, *words, options=(), output="days", ranks=(0,)):
        before = {p.name: p.read_bytes() for p in self.folder.iterdir()}
        for count in ranks:
            ending = self.pairs(how, *options, output=output, ranks=count)
            self.assert_refused(ending, *words, outputs=())
            self.assertEqual({p.name: p.read_bytes() for p in self.folder.iterdir()}, before)

    def test_bad_pairs(self):
        self.refuse("day", "'day' names no column", ranks=(0, 3))
        self.refuse("dya=sequential", "no column 'dya'", "day (4 categories)", ranks=(0, 3))
        self.refuse("day=10:11", "no cell has day=11", "10: ", "12: ", ranks=(0, 3))
        self.refuse("day=star:11", "no cell has day=11")
        self.refuse("day=10:12,10.0:12", "listed twice")
        self.refuse("day=10", "names no pairs")
        self.refuse("day=10:12", "no cell has day=12", options=("--source-where", "day=10"))

    def test_options_that_do_not_go_together(self):
        for options, word in ((("--target-where", "batch=1"), "--target-where has no effect"),
                              (("--target-scale", "2"), "--target-scale has no effect"),
                              (("--target-columns", "1"), "--target-columns has no effect"),
                              (("--transpose",), "--transpose has no effect"),
                              (("--source-blur", "2"), "--source-blur has no effect"),
                              (("--merge-duplicates",), "--merge-duplicates has no effect"),
                              (("--pca", "2"), "--pca has no effect"),
                              (("--trace", "t.csv"), "--trace has no effect"),
                              (("--source-weights", "a.npy"), "obs:growth"),
                              (("--target-weights", "a.npy"), "obs:growth"),
                              (("--target-weights", "obs:type"), "holds no numbers"),
                              (("--init", "cells.h5ad"), "is no start of many pairs"),
                              (("--init", "zerro"), "zero"),
                              (("--grid", "2x2"), "2x2")):
            with self.subTest(options):
                self.refuse("day=10:12", word, options=options)
        self.assert_refused(self.run_program("solve", "cells.h5ad", "cells.h5ad", "--pairs", "day=10:12", "-o", "x"),
                            "'cells.h5ad' has no effect together with --pairs")
        self.assert_refused(self.run_program("solve", "cells.h5ad", "--pairs", "day=10:12"), "no output is given")
        self.assert_refused(self.run_program("solve", "cells.h5ad", "-o", "x"), "no TARGET is given")
        self.save("x.npy", self.points)
        self.assert_refused(self.run_program("solve", "x.npy", "--pairs", "day=10:12", "-o", "x"),
                            "it has no table of labels")

    def test_what_is_there_is_not_replaced(self):
        (self.folder / "days_9_10.h5").write_text("mine")
        self.refuse("day=sequential", "days_9_10.h5", "--overwrite", ranks=(0, 3))
        self.assertEqual(self.pairs("day=sequential", "--overwrite").code, 0)

    def test_names_that_cannot_be(self):
        self.refuse("day=10:12", "{c}", output="{a}_{c}.h5")
        self.refuse("day=10:12,10:9", "two pairs would be written to '10.h5'", output="{a}.h5")
        self.refuse("day=10:12", "name the same file", output="{a}", options=("--summary", "10"))

    def test_the_cells_themselves_are_not_replaced(self):
        (self.folder / "10.h5ad").write_bytes((self.folder / "cells.h5ad").read_bytes())
        ending = self.run_program("solve", "10.h5ad", "--pairs", "day=10:12", "-o", "{a}.h5ad", "--overwrite")
        self.assert_refused(ending, "'10.h5ad' is an input of this run", outputs=())

    def test_cells_that_do_not_fit(self):
        self.refuse("day=sequential", "the cells of all pairs take", options=("--memory", "1000"), ranks=(0, 3))


@unittest.skipUnless(DATA, "CONVOY_TEST_DATA names no folder of real data")
class RealCells(ProgramTest):
    def test_transport_costs_of_a_sequence(self):
        path = pathlib.Path(DATA) / "single_cell/h5ad/arabidopsis_root.h5ad"
        for ranks in (0, 4):
            ending = self.run_program("solve", path, "--pairs", "zone=sequential", "--epsilon", "0.05mean", "-o", "zones",
                                      "--overwrite", ranks=ranks)
            self.assertEqual(ending.code, 0, ending)
            for name, cost in (("Meristem_Elongation", 204.61027), ("Elongation_Maturation", 270.11423)):
                with h5py.File(self.folder / f"zones_{name}.h5") as file:
                    # At a marginal error of 1e-3 transport costs differ by up to 0.06 %.
                    self.assertAlmostEqual(file["solution"].attrs["transport_cost"] / cost, 1, delta=1e-3)


if __name__ == "__main__":
    unittest.main(verbosity=2)
