"""The experiments' tools, on a few made images: what they print is true."""

import os
import pathlib
import subprocess
import sys
import unittest

import h5py
import numpy as np

from program import PROGRAM, Ending, ProgramTest

DEBLURRING = pathlib.Path(__file__).resolve().parents[2] / "tools/experiments/deblurring"
COUNT = 300
# Rows but for the paper's have these cells.
TRACE, DIVERGENCE, UNNORMALISED, STATUS, ASYMMETRY = 5, 6, 7, 9, 11


def soft_minimum(cost, potential, epsilon):
    """-epsilon log of the mean over the second axis of exp((potential - cost) / epsilon)"""
    logits = (potential - cost) / epsilon
    most = logits.max(1)
    return -epsilon * (most + np.log(np.mean(np.exp(logits - most[:, None]), 1)))


class Deblurring(ProgramTest):
    def run_tool(self, *words, environment=None):
        command = [sys.executable, DEBLURRING, "--convoy", PROGRAM, *words]
        done = subprocess.run([str(word) for word in command], cwd=self.folder, timeout=60, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env=os.environ | (environment or {}))
        return Ending(done.returncode, done.stdout, done.stderr)

    def run_made(self, *words, code=0):
        """The cells of the rows."""
        ending = self.run_tool("--made", "--images", COUNT, "--folder", "work", *words)
        self.assertEqual(ending.code, code, ending)
        rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in ending.out.splitlines()
                if line.startswith("| made")]
        return rows

    def points(self, name):
        return np.load(self.folder / f"work/made-grey-{COUNT}-{name}.npy").astype(float)

    def test_trace_is_that_of_the_dense_plan(self):
        rows = self.run_made("--sigma", "4", "--epsilon", "0.1mean", "--init", "zero", "--tolerance", "1e-7",
                             "--precision", "double", "--output", "report.md")
        source, target = self.points("sigma4-source"), self.points("target")

        cost = 0.5 * ((source ** 2).sum(1)[:, None] + (target ** 2).sum(1)) - source @ target.T
        epsilon = 0.1 * cost.mean()
        f, g = np.zeros(COUNT), np.zeros(COUNT)
        for _ in range(3000):
            f = soft_minimum(cost, g, epsilon)
            change = soft_minimum(cost.T, f, epsilon) - g
            g += change
            if np.ptp(change) < 1e-8 * epsilon:
                break
        q = np.exp((f + g - np.diag(cost)) / epsilon) / COUNT ** 2
        p = 1 / COUNT

        self.assertEqual(len(rows), 1)
        self.assertEqual(rows[0][STATUS], "converged")
        # Five digits are printed; at a marginal error of 1e-7 they are the solution's.
        self.assertAlmostEqual(float(rows[0][TRACE]), q.sum(), delta=1.1e-5)
        self.assertAlmostEqual(float(rows[0][DIVERGENCE]), np.sum(p * np.log(p / q)), delta=1.1e-5)
        self.assertAlmostEqual(float(rows[0][UNNORMALISED]), np.sum(p * np.log(p / q) - p + q), delta=1.1e-5)
        self.assertIn(rows[0][TRACE], (self.folder / "report.md").read_text())

    def test_printed_digits_are_those_of_the_result(self):
        row, = self.run_made("--epsilon", "mean/320", "--init", "zero", "--max-half-passes", "6")
        source, target = self.points("sigma4-source"), self.points("target")
        with h5py.File(self.folder / f"work/made-grey-{COUNT}-sigma4-mean320-zero.h5") as file:
            f, g = file["potentials/f"][:], file["potentials/g"][:]
            epsilon = file["solution"].attrs["epsilon"]

        trace = np.exp((f + g - 0.5 * ((source - target) ** 2).sum(1)) / epsilon).sum() / COUNT ** 2

        self.assertEqual(row[STATUS], "not converged")
        self.assertEqual(row[TRACE], f"{trace:.5f}")

    def test_the_plan_is_symmetric_and_a_permuted_source_changes_nothing(self):
        exact = ("--epsilon", "0.25mean", "--init", "zero", "--tolerance", "1e-10", "--precision", "double")
        straight, = self.run_made(*exact)
        permuted, = self.run_made(*exact, "--shuffle", "3")
        for row in straight, permuted:
            # Blurred images are rounded to single precision.
            self.assertLess(float(row[ASYMMETRY].split()[0]), 1e-5)
        self.assertEqual(straight[TRACE:UNNORMALISED + 1], permuted[TRACE:UNNORMALISED + 1])

    def test_table_goes_on_after_a_run_that_fails(self):
        rows = self.run_made("--table", "--epsilon", "0.25mean,0.1mean", "--sigma", "2", "--starts", "nowhere.h5,zero",
                             code=2)
        self.assertEqual([row[STATUS] for row in rows], ["failed", "converged"] * 2)

    def test_errors_are_one_line(self):
        (self.folder / "report.md").write_text("mine")
        for words, told in ((["--sigm", "4"], "--sigm"), (["--sigma", "0"], "--sigma"), ([], "--made"),
                            (["--data", "."], "no CIFAR-10"), (["--made", "--output", "report.md"], "--overwrite")):
            with self.subTest(words):
                ending = self.run_tool(*words, environment={"CONVOY_TEST_DATA": ""})
                self.assertEqual((ending.code, ending.out), (2, ""), ending)
                self.assertRegex(ending.err, r"\Aerror: [^\n]*\n\Z")
                self.assertIn(told, ending.err)


if __name__ == "__main__":
    unittest.main(verbosity=2)
