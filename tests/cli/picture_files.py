"""What the tests of pictures and reports share: files of every kind, made once, and the tools run in this process."""

import contextlib
import importlib.util
import io
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

import numpy as np

from program import Ending, ProgramTest
from queries import write_query

TOOLS = pathlib.Path(__file__).resolve().parents[2] / "tools"
sys.path.insert(0, str(TOOLS))
HAS_MATPLOTLIB = importlib.util.find_spec("matplotlib") is not None
if HAS_MATPLOTLIB:
    from convoy_plots import files, program, report

SIGNATURES = {"png": b"\x89PNG\r\n\x1a\n", "pdf": b"%PDF-", "svg": b"<?xml"}
GROUPS = ("early", "late & <b>bold</b>", "$x^2$")


def run_here(run, *words):
    """The same as the script, in this process: quicker."""
    out, err = io.StringIO(), io.StringIO()
    argv, sys.argv = sys.argv, ["tool", *(str(word) for word in words)]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                code = program.main(run)
            except SystemExit as end:
                code = end.code
    finally:
        sys.argv = argv
    return Ending(code, out.getvalue(), err.getvalue())


@unittest.skipUnless(HAS_MATPLOTLIB, "pictures need matplotlib")
class PictureTest(ProgramTest):
    """Files of every kind, made once; each test has copies of them in its folder."""

    made = None

    @classmethod
    def setUpClass(cls):
        cls.made = pathlib.Path(tempfile.mkdtemp(prefix="convoy-pictures-"))
        cls.addClassCleanup(shutil.rmtree, cls.made)
        random = np.random.default_rng(3)
        x, y = random.normal(size=(90, 2)), random.normal(size=(70, 2)) * (1, 0.5) + 2
        wide = random.random(size=(40, 12)), random.random(size=(40, 12))
        for name, points in ("x", x), ("y", y), ("u", wide[0]), ("v", wide[1]), ("l", x[:, :1]), ("r", y[:, :1]):
            np.save(cls.made / f"{name}.npy", points)
        for words in (("solve", "x.npy", "y.npy", "-o", "run.h5"),
                      ("solve", "x.npy", "y.npy", "--epsilon", "0.02std", "-o", "sharp.h5"),
                      ("solve", "x.npy", "y.npy", "--init", "zero", "--max-half-passes", "6", "-o", "early.h5", "-q"),
                      ("solve", "u.npy", "v.npy", "--epsilon", "0.02mean", "-o", "wide.h5"),
                      ("solve", "l.npy", "r.npy", "-o", "line.h5"),
                      ("solve", "x.npy", "y.npy", "--source-scale", "1/4", "--store-points", "-o", "stored.h5"),
                      ("progot", "x.npy", "y.npy", "--steps", "3", "--intermediates", "--epsilon", "0.05mean", "-o",
                       "model.h5"),
                      ("divergence", "x.npy", "y.npy", "-o", "apart.h5"),
                      ("map", "run.h5", "x.npy", "-o", "images.h5"),
                      ("map", "run.h5", "y.npy", "--direction", "backward", "-o", "back.h5"),
                      ("map", "line.h5", "l.npy", "-o", "line-images.h5"),
                      ("map", "model.h5", "x.npy", "-o", "model-images.h5")):
            done = subprocess.run([cls.program, *words], cwd=cls.made, timeout=60, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            if done.returncode not in (0, 3):
                raise AssertionError(done.stderr)
        groups = [[GROUPS[k % 3] for k in range(len(points))] for points in (x, y)]
        write_query(cls.made / "query.h5", cls.made / "run.h5", x, y, groups=groups)
        write_query(cls.made / "wide-query.h5", cls.made / "wide.h5", *wide)
        cls.x, cls.y = x, y

    def setUp(self):
        super().setUp()
        for path in self.made.iterdir():
            shutil.copy(path, self.folder)
        here = os.getcwd()
        self.addCleanup(os.chdir, here)
        os.chdir(self.folder)

    def plot(self, *words):
        return run_here(program.run, *words)

    def report(self, *words):
        return run_here(report.run, *words)

    def opened(self, name):
        file = files.ConvoyFile(name)
        self.addCleanup(file.close)
        return file

    def assert_drawn(self, ending, path):
        self.assertEqual((ending.code, ending.out, ending.err), (0, f"drew {path}\n", ""), str(ending))
        content = (self.folder / path).read_bytes()
        self.assertTrue(content.startswith(SIGNATURES[path.rsplit(".")[-1]]))
        self.assertGreater(len(content), 2500)
        self.assert_no_leftovers()
        return content

    def assert_one_line(self, ending, *words, outputs=("out.png",)):
        self.assert_refused(ending, *words, outputs=outputs)
        self.assertEqual(ending.err.count("\n"), 1, str(ending))
