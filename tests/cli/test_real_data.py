"""Real single-cell and spatial data against values computed elsewhere (float64 log-domain Sinkhorn to convergence)."""

import os
import pathlib
import subprocess
import unittest

import h5py

from program import ProgramTest

DATA = os.environ.get("CONVOY_TEST_DATA")
TOOLS = pathlib.Path(__file__).resolve().parents[2] / "tools"


@unittest.skipUnless(DATA, "CONVOY_TEST_DATA names no folder of real data")
class RealData(ProgramTest):
    def cells(self, name, column, value):
        output = self.folder / f"{name}-{value}.npy"
        source = pathlib.Path(DATA) / f"single_cell/h5ad/{name}.h5ad"
        subprocess.run([TOOLS / "h5ad-to-npy", source, "obsm/X_pca", "--where", f"{column}={value}", "-o", output],
                       check=True, timeout=60, stdout=subprocess.DEVNULL)
        return output

    def transport_cost(self, source, target, *options, ranks):
        ending = self.run_program("solve", source, target, "-o", "out.h5", "--overwrite", "--epsilon", "0.05mean",
                                  *options, ranks=ranks)
        self.assert_solved(ending)
        with h5py.File(self.folder / "out.h5") as file:
            return file["solution"].attrs["transport_cost"]

    def test_transport_costs_of_cells(self):
        expected = {("arabidopsis_root", "zone", "Meristem", "Elongation"): 204.61027,
                    ("arabidopsis_root", "zone", "Elongation", "Maturation"): 270.11423,
                    ("gbm_panobinostat", "condition", "ctrl", "panobinostat"): 476.45952,
                    ("worm_embryo", "collection_minutes", "300", "500"): 1695.02032,
                    ("kang_pbmc_ifnb", "condition", "ctrl", "stim"): 488.15336}
        for (name, column, before, after), cost in expected.items():
            source, target = self.cells(name, column, before), self.cells(name, column, after)
            for ranks in (0, 4):
                with self.subTest(name, ranks=ranks):
                    # At a marginal error of 1e-3 transport costs differ by up to 0.06 %.
                    self.assertAlmostEqual(self.transport_cost(source, target, ranks=ranks) / cost, 1, delta=1e-3)
            with self.subTest(name, tolerance=1e-8):
                tight = self.transport_cost(source, target, "--tolerance", "1e-8", "--precision", "double", ranks=0)
                self.assertAlmostEqual(tight / cost, 1, delta=1e-7)

    def test_table_of_cells_with_two_headers(self):
        table = pathlib.Path(DATA) / "spatial/stalign_starmap_well11_spatial.csv.gz"
        ending = self.run_program("check", f"{table}#X,Y")
        self.assertEqual(ending.code, 0, ending)
        self.assertIn("43,341", ending.out)


if __name__ == "__main__":
    unittest.main(verbosity=2)
