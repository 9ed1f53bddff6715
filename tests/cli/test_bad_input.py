"""Inputs and outputs that are not usable: exit code 2, one line that names file and place, nothing written."""

import os
import subprocess
import unittest

import h5py
import numpy as np

from program import Ending, ProgramTest, command


class BadInput(ProgramTest):
    def setUp(self):
        super().setUp()
        self.save_clouds()

    def refuse(self, source, *words, target="y.npy", options=(), ranks=(0,)):
        for count in ranks:
            ending = self.run_program("solve", source, target, "-o", "out.h5", *options, ranks=count)
            self.assert_refused(ending, *words)

    def write_h5(self, name, **datasets):
        with h5py.File(self.folder / name, "w") as file:
            for key, value in datasets.items():
                file[key] = value
        return name

    def test_missing_file(self):
        self.refuse("nowhere.npy", "nowhere.npy", ranks=(0, 3))
        self.refuse("x.npy", "nowhere.h5", target="nowhere.h5#/X")

    def test_truncated_npy(self):
        whole = (self.folder / "x.npy").read_bytes()
        for length in (0, 5, 60, len(whole) - 1):
            (self.folder / "cut.npy").write_bytes(whole[:length])
            with self.subTest(length):
                self.refuse("cut.npy", "cut.npy")

    def test_truncated_h5(self):
        self.write_h5("whole.h5", X=np.random.default_rng(0).normal(size=(500, 20)))
        whole = (self.folder / "whole.h5").read_bytes()
        for length in (0, 7, 100, len(whole) // 2, len(whole) - 1):
            (self.folder / "cut.h5").write_bytes(whole[:length])
            with self.subTest(length):
                self.refuse("cut.h5#/X", "cut.h5", target="whole.h5#/X", ranks=(0, 3) if length == 100 else (0,))

    def test_no_matrix_at_all(self):
        (self.folder / "junk.h5").write_bytes(b"not a file of any format\0" * 100)
        self.refuse("junk.h5#/X", "junk.h5")
        (self.folder / "folder.npy").mkdir()
        self.refuse("folder.npy", "folder.npy")

    def test_missing_dataset(self):
        self.write_h5("a.h5", X=np.zeros((4, 3)))
        self.refuse("a.h5#/Y", "a.h5", "Y", ranks=(0, 3))

    def test_wrong_type(self):
        self.write_h5("a.h5", names=np.array([[b"a", b"b"], [b"c", b"d"]]))
        self.refuse("a.h5#/names", "a.h5", "names")
        self.save("c.npy", np.zeros((4, 3), complex))
        self.refuse("c.npy", "c.npy")

    def test_wrong_shape(self):
        self.save("three.npy", np.zeros((2, 3, 4)))
        self.refuse("three.npy", "three.npy", "3")
        self.write_h5("three.h5", X=np.zeros((2, 3, 4)))
        self.refuse("three.h5#/X", "three.h5", "X")
        self.save("scalar.npy", np.float64(1))
        self.refuse("scalar.npy", "scalar.npy")

    def test_empty(self):
        self.save("none.npy", np.zeros((0, 3)))
        self.refuse("none.npy", "none.npy", ranks=(0, 3))
        self.save("flat.npy", np.zeros((5, 0)))
        self.refuse("flat.npy", "flat.npy")

    def test_values_that_are_not_finite_are_named(self):
        for bad in (np.nan, np.inf, -np.inf):
            x = self.x.copy()
            x[41, 2] = bad
            self.save("bad.npy", x)
            with self.subTest(bad):
                self.refuse("bad.npy", "bad.npy", "row 41", "column 2", ranks=(0, 3))

    def test_the_first_bad_value_is_named_on_every_grid(self):
        x = self.x.copy()
        x[7, 1] = x[50, 0] = np.nan
        self.save("bad.npy", x)
        for ranks in (0, 3, 4):
            self.refuse("bad.npy", "row 7", "column 1", ranks=(ranks,))

    def test_dimensions_differ(self):
        self.save("wide.npy", np.zeros((4, 5)))
        self.refuse("wide.npy", "wide.npy", "5 columns", "y.npy", "3", ranks=(0, 3))

    def test_a_scale_that_makes_points_infinite(self):
        self.save("large.npy", 2.5 * np.ones((4, 3)))
        self.refuse("large.npy", "large.npy", "2.5 times 1e308", "--source-scale", ranks=(0, 3),
                    options=("--source-scale", "1e308"))
        self.refuse("x.npy", "the cost 'sqeuclidean' overflows", options=("--source-scale", "1e200"))

    def test_names_and_files_do_not_move_the_cursor(self):
        self.refuse("a\x1b[31m\nb.npy", "'a?[31m?b.npy'")
        self.refuse("x.npy", "a?[31m", options=("--cost", "a\x1b[31m\r"))

    def test_weights(self):
        good = np.ones(60)
        for name, weights in (("negative", np.r_[good[:-1], -1]), ("nan", np.r_[good[:-1], np.nan]),
                              ("zero", 0 * good), ("short", good[:-1]), ("long", np.r_[good, 1]),
                              ("matrix", np.ones((60, 2)))):
            with self.subTest(name):
                self.save("w.npy", weights)
                self.refuse("x.npy", "w.npy", options=("--source-weights", "w.npy"),
                            ranks=(0, 3) if name == "negative" else (0,))

    def test_zero_rows_under_cosine(self):
        x = self.x.copy()
        x[11] = 0
        self.save("bad.npy", x)
        self.refuse("bad.npy", options=("--cost", "cosine"), ranks=(0, 3))

    def test_epsilon_rule_that_gives_nothing_positive(self):
        self.save("point.npy", np.ones((3, 3)))
        self.refuse("point.npy", target="point.npy")
        # The mean of -<x, x'> over all pairs is -|mean x|^2.
        self.refuse("x.npy", target="x.npy", options=("--cost", "dot", "--epsilon", "0.05mean"))

    def test_init(self):
        self.refuse("x.npy", "nowhere.h5", options=("--init", "nowhere.h5"))
        self.write_h5("other.h5", X=np.zeros((4, 3)))
        self.refuse("x.npy", "other.h5", options=("--init", "other.h5"), ranks=(0, 3))
        self.assertEqual(self.run_program("solve", "y.npy", "y.npy", "-o", "small.h5").code, 0)
        self.refuse("x.npy", "small.h5", options=("--init", "small.h5"))


class BadOutput(ProgramTest):
    def setUp(self):
        super().setUp()
        self.save_clouds()

    def refuse(self, output, *words, options=(), ranks=0):
        ending = self.run_program("solve", "x.npy", "y.npy", "-o", output, *options, ranks=ranks)
        self.assert_refused(ending, *words, outputs=())

    def test_existing_output_is_left_alone(self):
        (self.folder / "out.h5").write_text("precious")
        self.refuse("out.h5", "out.h5", "--overwrite")
        self.refuse("out.h5", "out.h5", "--overwrite", ranks=3)
        self.assertEqual((self.folder / "out.h5").read_text(), "precious")

    def test_overwrite_replaces(self):
        (self.folder / "out.h5").write_text("old")
        self.assert_solved(self.run_program("solve", "x.npy", "y.npy", "-o", "out.h5", "--overwrite"))
        self.assertNotEqual((self.folder / "out.h5").read_bytes(), b"old")

    def test_existing_side_files_are_left_alone(self):
        for option in ("--summary", "--trace"):
            (self.folder / "beside").write_text("precious")
            self.refuse("out.h5", "beside", options=(option, "beside"))
            self.assertEqual((self.folder / "beside").read_text(), "precious")

    def test_two_names_of_one_file(self):
        (self.folder / "sub").mkdir()
        (self.folder / "link").symlink_to("sub")
        for output, option, beside in (("same", "--summary", "./same"), ("same", "--trace", "sub/../same"),
                                       ("sub/same", "--summary", "link/same"),
                                       ("same", "--trace", self.folder / "same")):
            for options in ((), ("--overwrite",)):
                self.refuse(output, "same file", options=(option, beside, *options))
        self.refuse("out.h5", "same file", options=("--summary", "s", "--trace", "./s"))
        self.assertEqual(sorted(p.name for p in self.folder.iterdir()), ["link", "sub", "x.npy", "y.npy"])

    def test_what_the_run_reads_is_left_alone(self):
        self.assert_solved(self.run_program("solve", "x.npy", "y.npy", "-o", "base.h5"), output="base.h5")
        (self.folder / "run.toml").write_text("threads = 1\n")
        os.link(self.folder / "x.npy", self.folder / "also_x.npy")
        before = {p.name: p.read_bytes() for p in self.folder.iterdir()}
        for output, told, options in (("out.h5", "the --init file", ("--init", "base.h5", "--summary", "./base.h5")),
                                      ("run.toml", "the --config file", ("--config", "./run.toml")),
                                      ("out.h5", "the --config file", ("--config", "run.toml", "--trace", "run.toml")),
                                      ("./x.npy", "an input", ()), ("also_x.npy", "an input", ())):
            with self.subTest(output=output, options=options):
                self.refuse(output, told, options=(*options, "--overwrite"))
        self.assertEqual({p.name: p.read_bytes() for p in self.folder.iterdir()}, before)

    def test_a_result_may_take_the_place_of_its_start(self):
        self.assert_solved(self.run_program("solve", "x.npy", "y.npy", "-o", "out.h5"))
        self.assert_solved(self.run_program("solve", "x.npy", "y.npy", "-o", "out.h5", "--init", "out.h5",
                                            "--overwrite"))

    def test_a_working_folder_that_is_gone(self):
        inputs = [self.folder / "x.npy", self.folder / "y.npy"]
        for output, code in (("out.h5", 2), (self.folder / "out.h5", 0)):
            start = command(["solve", *inputs, "-o", output])
            done = subprocess.run(["sh", "-c", 'mkdir gone && cd gone && rmdir ../gone && exec "$@"', "sh", *start],
                                  cwd=self.folder, timeout=60, text=True, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            ending = Ending(done.returncode, done.stdout, done.stderr)
            if code == 2:
                self.assert_refused(ending, "working folder", "give the whole path")
            else:
                self.assert_solved(ending)

    def test_folder_that_takes_nothing(self):
        (self.folder / "file").write_text("")
        self.refuse("file/out.h5", "file")
        self.refuse("nowhere/out.h5", "nowhere")
        self.refuse("/proc/out.h5", "/proc")
        self.refuse(".", ".")
        self.refuse("out.h5", "nowhere", options=("--trace", "nowhere/trace.csv"))


class Check(ProgramTest):
    def test_good_and_bad(self):
        self.save_clouds()
        good = self.run_program("check", "x.npy", "y.npy")
        self.assertEqual(good.code, 0, str(good))
        for word in ("60 x 3 dimensions", "50 x 3 dimensions", "mean", "epsilon 0.05std", "memory", "good"):
            self.assertIn(word, good.out)
        self.x[3, 1] = np.nan
        self.save("x.npy", self.x)
        self.assert_refused(self.run_program("check", "x.npy"), "row 3", "column 1")

    def test_remarks(self):
        x = np.random.default_rng(0).normal(size=(20, 3)) * [1, 1e5, 0]
        x[7] = x[3]
        self.save("x.npy", x)
        for ranks in (0, 3, 7):
            ending = self.run_program("check", "x.npy", ranks=ranks)
            self.assertEqual(ending.code, 0, str(ending))
            self.assertIn("1 of 3 columns are constant", ending.out)
            self.assertIn("column 1 varies", ending.out)
            self.assertIn("1 point is equal to an earlier one", ending.out)

    def test_numbers_are_those_of_numpy(self):
        self.save_clouds()
        cost = ((self.x[:, None, :] - self.y[None, :, :]) ** 2).sum(2)
        out = self.run_program("check", "x.npy", "y.npy", ranks=3).out
        self.assertIn(f"{0.05 * cost.std():.10g}"[:-1], out)
        for cloud in (self.x, self.y):
            self.assertIn(f"{cloud.min():.6g} to {cloud.max():.6g}, mean", out)


if __name__ == "__main__":
    unittest.main(verbosity=2)
