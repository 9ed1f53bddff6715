"""What a result says is true, in the file, in the summary and in the trace."""

import csv
import json
import unittest

import h5py
import numpy as np

from program import ProgramTest


def plain(value):
    return value.decode() if isinstance(value, bytes) else value.item() if hasattr(value, "item") else value


class Results(ProgramTest):
    def setUp(self):
        super().setUp()
        self.save_clouds()

    def solve(self, *options, ranks=0, code=0):
        ending = self.run_program("solve", "x.npy", "y.npy", "-o", "out.h5", *options, ranks=ranks)
        self.assert_solved(ending, code)
        return ending

    def truth(self, cost, a=None, b=None):
        """The values, computed here from f and g of the file."""
        with h5py.File(self.folder / "out.h5") as file:
            f, g = file["potentials/f"][:], file["potentials/g"][:]
            epsilon = file["solution"].attrs["epsilon"]
        n, m = cost.shape
        a = np.full(n, 1 / n) if a is None else a / a.sum()
        b = np.full(m, 1 / m) if b is None else b / b.sum()
        logit = (f[:, None] + g[None, :] - cost) / epsilon
        density = np.exp(logit)
        plan = a[:, None] * b[None, :] * density
        return {
            "dual_value": a @ f + b @ g - epsilon * (plan.sum() - 1),
            "transport_cost": (plan * cost).sum(),
            "kl": (plan * logit).sum() - plan.sum() + 1,
            "mass": plan.sum(),
            "audited_source_error": abs(plan.sum(1) - a).sum(),
            "audited_target_error": abs(plan.sum(0) - b).sum(),
        }, a @ f - b @ g

    def attributes(self, group):
        with h5py.File(self.folder / "out.h5") as file:
            return {key: plain(value) for key, value in file[group].attrs.items()}

    def test_values_are_those_of_the_potentials(self):
        x, y = self.x, self.y
        difference = x[:, None, :] - y[None, :, :]
        costs = {
            "sqeuclidean": (difference ** 2).sum(2),
            "euclidean": np.sqrt((difference ** 2).sum(2)),
            "pnorm:1.5": (abs(difference) ** 1.5).sum(2) / 1.5,
            "dot": -x @ y.T,
            "cosine": 1 - x @ y.T / np.linalg.norm(x, axis=1)[:, None] / np.linalg.norm(y, axis=1),
        }
        for ranks in (0, 4):
            for name, cost in costs.items():
                with self.subTest(name, ranks=ranks):
                    self.solve("--cost", name, "--overwrite", ranks=ranks)
                    solution = self.attributes("solution")
                    truth, gauge = self.truth(cost)
                    for key, value in truth.items():
                        self.assertAlmostEqual(solution[key], value, delta=1e-9 * max(1, abs(value)), msg=key)
                    self.assertAlmostEqual(gauge, 0, delta=1e-10)
                    self.assertAlmostEqual(solution["epsilon"], 0.05 * cost.std(), delta=1e-10)
                    self.assertLessEqual(solution["audited_error"], 1e-3)

    def test_weights_and_scale(self):
        a, b = np.arange(60.0), np.ones(50)
        self.save("a.npy", a)
        for ranks in (0, 3):
            self.solve("--source-weights", "a.npy", "--source-scale", "1/2", "--target-scale", "0.5", "--overwrite",
                       ranks=ranks)
            cost = ((self.x[:, None, :] - self.y[None, :, :]) ** 2).sum(2) / 4
            truth, _ = self.truth(cost, a, b)
            solution = self.attributes("solution")
            for key, value in truth.items():
                self.assertAlmostEqual(solution[key], value, delta=1e-9, msg=key)

    def test_summary_and_trace_say_what_the_file_says(self):
        for ranks in (0, 3):
            ending = self.solve("--summary", "run.json", "--trace", "run.csv", "--overwrite", "--seed", "7",
                                ranks=ranks)
            summary = json.loads((self.folder / "run.json").read_text())
            self.assertEqual(summary["solution"], self.attributes("solution"))
            self.assertEqual(summary["run"], self.attributes("run"))
            self.assertEqual(summary["status"], self.attributes("/")["status"])
            self.assertEqual(summary["files"], ["out.h5", "run.csv", "run.json"])
            self.assertEqual(summary["run"]["ranks"], max(ranks, 1))
            with open(self.folder / "run.csv") as file:
                rows = list(csv.DictReader(file))
            with h5py.File(self.folder / "out.h5") as file:
                for column in ("half_pass", "epsilon", "marginal_error", "seconds"):
                    np.testing.assert_array_equal([float(r[column]) for r in rows],
                                                  file["history/" + column][:].astype(float))
            for word in ("converged", "dual value", "seconds over ranks", "peak memory", "written"):
                self.assertIn(word, ending.out)
            # The phases are those of the file, which ends before it is written itself.
            phases = [row["phase"] for row in summary["timing"]]
            self.assertEqual(phases[0], "read")
            self.assertEqual(phases[-2:], ["write", "total"])

    def test_info_shows_them(self):
        self.solve()
        told = json.loads(self.run_program("info", "out.h5", "--json").out)
        self.assertTrue(told["complete"])
        self.assertEqual(float(told["attributes"]["/solution/dual_value"]), self.attributes("solution")["dual_value"])
        self.assertIn("/potentials/f", told["datasets"])
        page = self.run_program("info", "out.h5")
        for word in ("dual_value", "converged", "x.npy", "complete"):
            self.assertIn(word, page.out)
        self.assert_refused(self.run_program("info", "x.npy"), "x.npy", outputs=())
        self.assert_refused(self.run_program("info", "nowhere.h5"), "nowhere.h5", outputs=())

    def test_going_on_from_a_result_is_done_at_once(self):
        self.solve()
        first = self.attributes("solution")
        for ranks in (0, 3):
            ending = self.run_program("solve", "x.npy", "y.npy", "-o", "again.h5", "--init", "out.h5", "--overwrite",
                                      ranks=ranks)
            self.assert_solved(ending, output="again.h5")
            with h5py.File(self.folder / "again.h5") as file:
                again = dict(file["solution"].attrs)
            self.assertLessEqual(again["half_passes"], 4)
            self.assertAlmostEqual(again["dual_value"], first["dual_value"], delta=1e-3 * first["epsilon"])

    def test_points_are_stored_on_request(self):
        self.solve("--store-points", ranks=3)
        with h5py.File(self.folder / "out.h5") as file:
            np.testing.assert_array_equal(file["source/points"][:], self.x)
            np.testing.assert_array_equal(file["target/points"][:], self.y)

    def test_the_reference_backend_agrees(self):
        self.solve("--device", "reference", "--tolerance", "1e-8")
        reference = self.attributes("solution")["dual_value"]
        self.solve("--precision", "double", "--tolerance", "1e-8", "--overwrite")
        self.assertAlmostEqual(self.attributes("solution")["dual_value"], reference, delta=1e-9)

    def test_quiet_is_quiet(self):
        ending = self.solve("--quiet")
        self.assertEqual(ending.err, "")
        self.assertIn("converged", ending.out)

    def test_an_audit_stricter_than_the_solver_is_satisfied(self):
        self.solve("--tolerance", "1e-6", "--precision", "double")
        self.assertLessEqual(self.attributes("solution")["audited_error"], 1e-6)


class NotConverged(ProgramTest):
    def test_is_said_and_the_result_is_written(self):
        self.save_clouds()
        for options in (["--max-half-passes", "3"], ["--max-half-passes", "3", "--annealing", "off"]):
            for ranks in (0, 3):
                with self.subTest(options, ranks=ranks):
                    ending = self.run_program("solve", "x.npy", "y.npy", "-o", "out.h5", "--overwrite", "--epsilon",
                                              "0.005std", *options, ranks=ranks)
                    self.assert_solved(ending, code=3)
                    self.assertIn("NOT converged", ending.out)
                    self.assertEqual(ending.err.count("warning: not converged"), 1)
                    with h5py.File(self.folder / "out.h5") as file:
                        self.assertEqual(plain(file.attrs["status"]), "not_converged")
                        self.assertTrue(np.isfinite(file["potentials/f"][:]).all())
                        self.assertTrue(np.isfinite(file["solution"].attrs["audited_error"]))


if __name__ == "__main__":
    unittest.main(verbosity=2)
