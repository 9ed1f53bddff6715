"""The same answer on every number of ranks."""

import unittest

import h5py
import numpy as np

from program import ProgramTest


class Parallel(ProgramTest):
    def solve(self, output, *options, ranks):
        ending = self.run_program("solve", "x.npy", "y.npy", "-o", output, *options, ranks=ranks)
        self.assert_solved(ending, output=output, code=3)
        with h5py.File(self.folder / output) as file:
            return {"f": file["potentials/f"][:], "g": file["potentials/g"][:],
                    "epsilon": file["solution"].attrs["epsilon"], "run": dict(file["run"].attrs)}

    def test_ranks_and_grids_agree(self):
        # Fixed plain half-passes in double: grids differ by the order of their sums alone.
        self.save_clouds(67, 53)
        fixed = ("--max-half-passes", "12", "--acceleration", "plain", "--precision", "double", "--tolerance", "1e-12")
        alone = self.solve("alone.h5", *fixed, ranks=0)
        for ranks, grids in ((1, ["1x1"]), (3, ["3x1", "1x3"]), (4, ["2x2"]), (7, ["7x1"])):
            for grid in grids:
                with self.subTest(grid):
                    other = self.solve(f"r{grid}.h5", *fixed, "--grid", grid, ranks=ranks)
                    self.assertEqual(other["run"]["ranks"], ranks)
                    for side in "fg":
                        self.assertLess(abs(other[side] - alone[side]).max() / alone["epsilon"], 1e-10)

    def test_a_rerun_has_the_same_bits(self):
        self.save_clouds(67, 53)
        runs = [self.solve(f"{k}.h5", "--max-half-passes", "40", "--tolerance", "1e-9", ranks=3) for k in range(2)]
        np.testing.assert_array_equal(runs[0]["f"], runs[1]["f"])
        np.testing.assert_array_equal(runs[0]["g"], runs[1]["g"])

    def test_more_ranks_than_points(self):
        self.save_clouds(3, 2, 1)
        for grid in ("7x1", "1x7"):
            ending = self.run_program("solve", "x.npy", "y.npy", "-o", f"{grid}.h5", "--grid", grid, ranks=7)
            self.assert_solved(ending, output=f"{grid}.h5")

    def test_one_point_each(self):
        self.save_clouds(1, 1, 2)
        for ranks in (0, 3):
            ending = self.run_program("solve", "x.npy", "y.npy", "-o", "out.h5", "--epsilon", "1", "--overwrite",
                                      ranks=ranks)
            self.assert_solved(ending)

    def test_grid_that_does_not_fit_the_ranks(self):
        self.save_clouds()
        ending = self.run_program("solve", "x.npy", "y.npy", "-o", "out.h5", "--grid", "2x2", ranks=3)
        self.assert_refused(ending, "2x2", "3")


if __name__ == "__main__":
    unittest.main(verbosity=2)
