"""Usage: help, version, spelling, options that contradict each other, --config."""

import json
import os
import subprocess
import unittest

from program import ProgramTest, command


class Usage(ProgramTest):
    def test_help_teaches(self):
        whole = self.run_program("--help")
        self.assertEqual(whole.code, 0)
        for command in ("solve", "divergence", "progot", "map", "score", "check", "info"):
            self.assertIn(command, whole.out)
            page = self.run_program(command, "--help")
            self.assertEqual(page.code, 0)
            self.assertIn("Usage: convoy " + command, page.out)
            self.assertGreaterEqual(page.out.count("\n  convoy " + command), 2, "examples")
            self.assertEqual(page.err, "")
        self.assertIn("default 2000", self.run_program("solve", "-h").out)

    def test_help_is_printed_once_under_mpirun(self):
        page = self.run_program("solve", "--help", ranks=3)
        self.assertEqual((page.code, page.out.count("Usage:")), (0, 1))

    def test_version(self):
        self.assertRegex(self.run_program("--version").out, r"^convoy \d+\.\d+\.\d+ \(.*\)\n$")
        more = self.run_program("--version", "--verbose").out
        for word in ("compiler", "MPI", "HDF5", "algebra", "build", "commit"):
            self.assertIn(word, more)

    def test_nothing_at_all_shows_the_help(self):
        ending = self.run_program()
        self.assertEqual((ending.code, ending.out), (2, ""))
        self.assertIn("Usage:", ending.err)

    def test_unknown_command(self):
        self.assert_refused(self.run_program("slove"), "unknown command 'slove'", "Did you mean 'solve'?")
        self.assert_refused(self.run_program("xyzzy"), "unknown command 'xyzzy'", "--help")

    def test_unknown_option(self):
        self.save_clouds()
        for given, meant in (("--tolerence", "--tolerance"), ("--espilon", "--epsilon"), ("--max", "--max-half-passes"),
                             ("--threds=3", "--threads"), ("--sumary", "--summary")):
            with self.subTest(given):
                self.assert_refused(self.run_program("solve", "x.npy", "y.npy", "-o", "out.h5", given, "3"),
                                    "unknown option", f"Did you mean '{meant}'?")
        self.assert_refused(self.run_program("solve", "x.npy", "y.npy", "-o", "out.h5", "-x"), "unknown option '-x'")

    def test_unknown_option_is_said_once_by_all_ranks(self):
        self.save_clouds()
        self.assert_refused(self.run_program("solve", "x.npy", "y.npy", "--tolerence", "1", ranks=3), "--tolerance")

    def test_missing_and_superfluous_arguments(self):
        self.save_clouds()
        for words, told in ((["solve"], "no SOURCE is given"),
                            (["solve", "x.npy"], "no TARGET is given"),
                            (["solve", "x.npy", "y.npy"], "add -o FILE"),
                            (["solve", "x.npy", "y.npy", "z.npy", "-o", "out.h5"], "unexpected argument 'z.npy'"),
                            (["solve", "x.npy", "y.npy", "-o"], "--output needs a value"),
                            (["solve", "x.npy", "y.npy", "-o", "-q"], "--output needs a value"),
                            (["solve", "x.npy", "--", "y.npy", "-o", "out.h5"], "unexpected argument '-o'"),
                            (["solve", "x.npy", "y.npy", "--cost", "--quiet"], "--cost needs a value"),
                            (["solve", "x.npy", "y.npy", "--seed", "1", "--seed", "2"], "--seed is given twice"),
                            (["solve", "x.npy", "y.npy", "--overwrite=yes"], "takes no value"),
                            (["check"], "no SOURCE is given"),
                            (["info"], "no FILE is given")):
            with self.subTest(words):
                self.assert_refused(self.run_program(*words), told)

    def test_names_that_begin_with_a_dash(self):
        self.save_clouds()
        (self.folder / "x.npy").rename(self.folder / "-x.npy")
        self.assert_solved(self.run_program("solve", "-o", "out.h5", "--time-limit", "1h30m", "--", "-x.npy", "y.npy"))
        self.assert_solved(self.run_program("solve", "./-x.npy", "y.npy", "--output=-q"), output="-q")

    def test_values_that_make_no_sense(self):
        self.save_clouds()
        for words in (["--epsilon", "0"], ["--epsilon", "-1"], ["--epsilon", "nan"], ["--epsilon", "0.05sdt"],
                      ["--epsilon", "inf"], ["--cost", "sqeuclid"], ["--cost", "pnorm:1"], ["--tolerance", "0"],
                      ["--tolerance", "2"], ["--tolerance", "1e-3x"], ["--max-half-passes", "0"],
                      ["--max-half-passes", "1.5"], ["--precision", "half"], ["--device", "gpu"], ["--grid", "2by2"],
                      ["--threads", "0"], ["--threads", "-2"], ["--memory", "16X"], ["--memory", "-1G"],
                      ["--time-limit", "soon"], ["--time-limit", "0"], ["--time-limit", "1h30"], ["--seed", "-1"], ["--annealing", "maybe"],
                      ["--acceleration", "fast"], ["--init", "gausian"], ["--source-scale", "0"], ["--target-scale", "1/0"],
                      ["--cache", "maybe"]):
            with self.subTest(words):
                self.assert_refused(self.run_program("solve", "x.npy", "y.npy", "-o", "out.h5", *words))

    def test_what_is_not_there_says_so(self):
        self.save_clouds()
        solve = ["solve", "x.npy", "y.npy", "-o", "out.h5"]
        self.assert_refused(self.run_program(*solve, "--cache", "on", "--precision", "double"), "single precision only")
        self.assert_refused(self.run_program(*solve, "--cache", "on", "--cost", "euclidean"), "euclidean has none")

    def test_products_are_kept_where_asked_and_the_run_says_so(self):
        self.save_clouds()
        for cache, told in (("on", "products kept"), ("off", "products recomputed")):
            with self.subTest(cache):
                ending = self.run_program("solve", "x.npy", "y.npy", "-o", "out.h5", "--overwrite", "--cache", cache,
                                          "--summary", "run.json", ranks=2)
                self.assert_solved(ending)
                self.assertIn(told, ending.err)
                run = json.loads((self.folder / "run.json").read_text())["run"]
                self.assertEqual((run["cache"], run["cache_bytes_per_rank"] > 0), (cache, cache == "on"))
                (self.folder / "run.json").unlink()

    def test_options_without_effect_are_refused(self):
        self.save_clouds()
        solve = ["solve", "x.npy", "y.npy", "-o", "out.h5"]
        for words in (["--grid", "2x2"], ["--device", "reference", "--precision", "single"],
                      ["--device", "reference", "--threads", "2"], ["--quiet", "--verbose"],
                      ["--init", "old.h5", "--annealing", "on"]):
            with self.subTest(words):
                self.assert_refused(self.run_program(*solve, *words))
        self.assert_refused(self.run_program("check", "x.npy", "--epsilon", "1"), "no effect without a TARGET")

    def test_files_of_one_run_are_different_and_no_inputs(self):
        self.save_clouds()
        solve = ["solve", "x.npy", "y.npy", "-o", "out.h5"]
        self.assert_refused(self.run_program(*solve, "--summary", "out.h5"), "same file")
        before = (self.folder / "x.npy").read_bytes()
        self.assert_refused(self.run_program("solve", "x.npy", "y.npy", "-o", "x.npy", "--overwrite"), "is an input")
        self.assertEqual((self.folder / "x.npy").read_bytes(), before)


class Config(ProgramTest):
    def write(self, text):
        (self.folder / "run.toml").write_text(text)

    def test_options_come_from_the_file(self):
        self.save_clouds()
        self.write('max-half-passes = 1\nannealing = "off"\noutput = "out.h5"\n[check]\nthreads = 1\n')
        ending = self.run_program("solve", "x.npy", "y.npy", "--config", "run.toml")
        self.assert_solved(ending, code=3)

    def test_the_command_line_wins(self):
        self.save_clouds()
        self.write('[solve]\nmax-half-passes = 1\noutput = "other.h5"\noverwrite = true\n')
        ending = self.run_program("solve", "x.npy", "y.npy", "--config", "run.toml", "--max-half-passes", "500", "-o",
                                  "out.h5")
        self.assert_solved(ending)
        self.assertFalse((self.folder / "other.h5").exists())

    def test_mistakes_in_it_are_told(self):
        self.save_clouds()
        solve = ["solve", "x.npy", "y.npy", "-o", "out.h5", "--config"]
        self.write("tolerence = 1\n")
        self.assert_refused(self.run_program(*solve, "run.toml"), "run.toml", "Did you mean '--tolerance'?")
        for text, told in (("tolerance = [1, 2]", "takes one value"), ('source-weights = ""', "is empty"),
                           ("=", "no name"), ("[solve.x]", "no section"), ("[solve", "no section"),
                           ("quiet", "has no value"), ("tolerance =", "has no value"), ("tolerance = # 1", "no value"),
                           ("help = true", "belongs on the command line"), ("quiet = 1", "neither true nor false"),
                           ("tolerance = 1 2", "too many"), ('cost = "dot', "does not end"),
                           ('cost = "d\\ot"', "stands for nothing"), ('cost = "d\0t"', "control character"),
                           ("# fine\n[solve]\ntolerance = 1\n tolerance = 1", "line 4: 'tolerance' is given twice")):
            with self.subTest(text):
                self.write(text + "\n")
                self.assert_refused(self.run_program(*solve, "run.toml"), "run.toml", "line", told)
        self.assert_refused(self.run_program(*solve, "nowhere.toml", ranks=3), "nowhere.toml")

    def test_what_is_no_file_of_options(self):
        self.save_clouds()
        (self.folder / "folder").mkdir()
        os.mkfifo(self.folder / "pipe")
        self.write("#" * (1 << 20) + "\n")
        for path, told in (("folder", "is a folder"), ("pipe", "nothing comes"), ("run.toml", "larger than 1 MiB"),
                           ("/dev/zero", "neither a file nor a pipe")):
            with self.subTest(path):
                self.assert_refused(self.run_program("solve", "x.npy", "y.npy", "-o", "out.h5", "--config", path),
                                    "--config", path, told)

    def test_other_ways_to_write_it(self):
        self.save_clouds()
        for text in ("\ufeffmax-half-passes = 1\n", '  max-half-passes="1"',
                     "[check]\nnonsense = 1\n[solve]\r\nmax-half-passes = '1' # why\r\n",
                     'quiet = false\n\n# two\nmax-half-passes = 1\n'):
            with self.subTest(text):
                self.write(text)
                ending = self.run_program("solve", "x.npy", "y.npy", "-o", "out.h5", "--overwrite", "--config",
                                          "run.toml")
                self.assert_solved(ending, code=3)

    def test_it_may_come_through_a_pipe(self):
        self.save_clouds()
        arguments = command(["solve", "x.npy", "y.npy", "--config", "/dev/stdin"])
        code = subprocess.run(["sh", "-c", '(sleep 0.2; echo "output = \'out.h5\'") | "$@"', "sh", *arguments],
                              cwd=self.folder, timeout=60, stdout=subprocess.DEVNULL).returncode
        self.assertEqual(code, 0)
        self.assertTrue((self.folder / "out.h5").exists())


class Streams(ProgramTest):
    def test_closed_stdin(self):
        self.save_clouds()
        ending = self.run_program("solve", "x.npy", "y.npy", "-o", "out.h5", stdin=None,
                                  preexec_fn=lambda: os.close(0))
        self.assert_solved(ending)

    def test_all_streams_closed(self):
        self.save_clouds()
        arguments = command(["solve", "x.npy", "y.npy", "-o", "out.h5"])
        code = subprocess.run(["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *arguments], cwd=self.folder,
                              timeout=60).returncode
        self.assertEqual(code, 0)
        self.assertEqual(self.run_program("info", "out.h5").code, 0)

    def test_a_full_disk_behind_stdout(self):
        self.save_clouds()
        with open("/dev/full", "w") as full:
            for words, told in ((["solve", "x.npy", "y.npy", "-o", "out.h5"], "result itself is complete, in 'out.h5'"),
                                (["check", "x.npy"], "standard output"), (["info", "out.h5"], "standard output"),
                                (["--help"], "standard output"), (["solve", "--help"], "standard output")):
                with self.subTest(words):
                    done = subprocess.run(command(words), cwd=self.folder, timeout=60, text=True,
                                          stdin=subprocess.DEVNULL, stdout=full, stderr=subprocess.PIPE)
                    self.assertEqual(done.returncode, 1, done.stderr)
                    self.assertIn(told, done.stderr.splitlines()[-1])
                    self.assertEqual(done.stderr.count("error: "), 1)
        self.assertEqual(self.run_program("info", "out.h5").code, 0)

    def test_a_reader_that_leaves(self):
        self.save_clouds()
        arguments = command(["solve", "x.npy", "y.npy", "-o", "out.h5"])
        subprocess.run(["sh", "-c", '"$@" 2>&1 | true', "sh", *arguments], cwd=self.folder, timeout=60)
        self.assertEqual(self.run_program("info", "out.h5").code, 0)


class Waiting(ProgramTest):
    def test_program_starts_itself_anew_with_the_same_arguments(self):
        # Where the user has not said how threads wait; the other tests do say.
        self.save_clouds()
        for ranks in (0, 2):
            plain = ["env", "-u", "OMP_WAIT_POLICY", "-u", "GOMP_SPINCOUNT"]
            line = plain + command(["solve", "x.npy", "y.npy", "-o", f"out {ranks}.h5"], ranks)
            done = subprocess.run(line, cwd=self.folder, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                  timeout=60)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertTrue((self.folder / f"out {ranks}.h5").exists())
            self.assertEqual(done.stderr.count("solve: 60 x 50"), 1, done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
