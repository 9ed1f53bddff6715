"""What the tests of the command line share: starting the program, and what must hold for every ending."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

import numpy as np

PROGRAM = os.environ["CONVOY_PROGRAM"]
MPIEXEC = os.environ.get("CONVOY_MPIEXEC", "mpirun")


class Ending:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    def __str__(self):
        return f"exit code {self.code}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"


def command(arguments, ranks=0, preload=None, program=PROGRAM):
    """`preload`: a library for the program alone; mpirun stays as it is."""
    start = [MPIEXEC, "-q", "-n", str(ranks)] if ranks else []
    if preload:
        start += ["env", "LD_PRELOAD=" + preload]
    return start + [program] + [str(a) for a in arguments]


class ProgramTest(unittest.TestCase):
    """Each test has an empty folder of its own, `self.folder`, which is also where the program runs."""

    program = PROGRAM

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="convoy-cli-"))
        self.addCleanup(shutil.rmtree, self.folder)

    def run_program(self, *arguments, ranks=0, timeout=60, preload=None, environment=None, **more):
        more.setdefault("stdin", subprocess.DEVNULL)
        done = subprocess.run(command(arguments, ranks, preload, self.program), cwd=self.folder, timeout=timeout, text=True,
                              env=os.environ | (environment or {}), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              **more)
        return Ending(done.returncode, done.stdout, done.stderr)

    def save(self, name, array):
        np.save(self.folder / name, array)
        return name

    def save_clouds(self, n=60, m=50, d=3, seed=1):
        random = np.random.default_rng(seed)
        self.x, self.y = random.normal(size=(n, d)), random.normal(size=(m, d)) + 0.5
        self.save("x.npy", self.x)
        self.save("y.npy", self.y)

    def assert_no_leftovers(self):
        left = [p.name for p in self.folder.iterdir() if ".part" in p.name]
        self.assertEqual(left, [], "part files are left")

    def assert_refused(self, ending, *words, code=2, outputs=("out.h5",)):
        """One line on stderr that has these words, this exit code, and nothing written."""
        errors = [line for line in ending.err.splitlines() if line.startswith("error: ")]
        self.assertEqual(ending.code, code, str(ending))
        self.assertEqual(len(errors), 1, str(ending))
        for word in words:
            self.assertIn(word, errors[0])
        self.assertEqual(ending.out, "", str(ending))
        self.assert_no_leftovers()
        for output in outputs:
            self.assertFalse((self.folder / output).exists(), f"{output} was written")

    def assert_solved(self, ending, code=0, output="out.h5"):
        self.assertEqual(ending.code, code, str(ending))
        self.assertNotIn("error:", ending.err)
        self.assertTrue((self.folder / output).exists(), str(ending))
        self.assert_no_leftovers()
