"""convoy map: the images of new points, by results and by models, as numpy has them."""

import json
import signal
import subprocess
import time
import unittest

import h5py
import numpy as np

from maps import softmax_map, through_steps, write_model
from program import Ending, ProgramTest, command

DOUBLE = ("--precision", "double")


class MapTest(ProgramTest):
    def setUp(self):
        super().setUp()
        self.save_clouds()
        random = np.random.default_rng(5)
        self.z = random.normal(size=(41, 3)) + 0.2
        self.save("z.npy", self.z)

    def solve(self, *options, output="run.h5", code=0):
        ending = self.run_program("solve", "x.npy", "y.npy", "-o", output, *options)
        self.assert_solved(ending, code, output)
        with h5py.File(self.folder / output) as file:
            self.f, self.g = file["potentials/f"][:], file["potentials/g"][:]
            self.a, self.b = file["weights/a"][:], file["weights/b"][:]
            self.epsilon = file["solution"].attrs["epsilon"]

    def map(self, *options, model="run.h5", points="z.npy", output="out.h5", ranks=0, code=0):
        ending = self.run_program("map", model, points, "-o", output, "--overwrite", *options, ranks=ranks)
        self.assert_solved(ending, code, output)
        self.ending = ending
        with h5py.File(self.folder / output) as file:
            self.assertEqual(file.attrs["complete"], 1)
            return file["points"][:]

    def assert_close(self, images, expected, tolerance):
        self.assertEqual(images.shape, expected.shape)
        self.assertLess(abs(images - expected).max(), tolerance)


class Results(MapTest):
    def test_maps_as_written_in_books(self):
        for cost in ("sqeuclidean", "pnorm:1.5", "pnorm:2", "dot"):
            self.solve("--cost", cost, "--overwrite")
            forward = softmax_map(self.z, self.y, self.b, self.g, self.epsilon, cost)
            backward = softmax_map(self.z, self.x, self.a, self.f, self.epsilon, cost)
            for ranks in (0, 3):
                with self.subTest(cost, ranks=ranks):
                    # 1e-12: rounding of double. Single: of images of size 1, at an epsilon of some tenths.
                    self.assert_close(self.map(*DOUBLE, ranks=ranks), forward, 1e-11)
                    self.assert_close(self.map(*DOUBLE, "--direction", "backward", ranks=ranks), backward, 1e-11)
                    self.assert_close(self.map(ranks=ranks), forward, 1e-3 if cost == "pnorm:1.5" else 1e-4)
                    self.assert_close(self.map("--device", "reference", ranks=ranks), forward, 1e-11)

    def test_training_points_go_to_the_barycentric_projection(self):
        self.save("a.npy", np.arange(60.0))  # the first point has no mass
        self.solve("--source-weights", "a.npy")
        cost = ((self.x[:, None] - self.y[None]) ** 2).sum(2)
        plan = self.a[:, None] * self.b * np.exp((self.f[:, None] + self.g - cost) / self.epsilon)
        projection = plan[1:] @ self.y / self.a[1:, None]

        # The plan's rows sum to a up to the tolerance of the solver.
        self.assert_close(self.map(*DOUBLE, points="x.npy")[1:], projection, 1e-2)
        self.assert_close(self.map(*DOUBLE, points="x.npy")[1:], projection * (self.a[1:] / plan.sum(1)[1:])[:, None], 1e-11)

    def test_every_number_of_ranks_gives_the_same_images(self):
        self.solve()
        alone = self.map(*DOUBLE)
        for ranks, grids in ((3, ["3x1", "1x3"]), (4, ["4x1", "2x2", "1x4"]), (7, ["7x1"])):
            for grid in grids:
                with self.subTest(grid):
                    self.assert_close(self.map(*DOUBLE, "--grid", grid, ranks=ranks), alone, 1e-12)
        self.save("few.npy", self.z[:2])
        for grid in ("7x1", "1x7"):
            self.assert_close(self.map(*DOUBLE, "--grid", grid, points="few.npy", ranks=7), alone[:2], 1e-12)

    def test_points_of_any_format_and_scale(self):
        self.solve()
        expected = self.map(*DOUBLE)
        np.savetxt(self.folder / "z.csv", 4 * self.z, delimiter=",", fmt="%.17g")
        with h5py.File(self.folder / "z.h5", "w") as file:
            file["new/points"] = 4 * self.z
        for points in ("z.csv", "z.h5#new/points"):
            for ranks in (0, 3):
                images = self.map(*DOUBLE, "--scale", "1/4", points=points, ranks=ranks)
                self.assert_close(images, expected, 1e-12)

    def test_embedded_points_and_scaled_inputs(self):
        self.solve("--store-points", "--target-scale", "1/2")
        (self.folder / "y.npy").unlink()
        expected = softmax_map(self.z, self.y / 2, self.b, self.g, self.epsilon)
        self.assert_close(self.map(*DOUBLE), expected, 1e-11)

        self.save("y.npy", self.y)
        self.solve("--target-scale", "1/2", "--overwrite")
        self.assert_close(self.map(*DOUBLE), expected, 1e-11)

    def test_a_point_far_away_comes_to_the_target(self):
        self.solve()
        self.save("far.npy", np.array([[1e6, 0, 0], [0, -1e6, 1]]))
        images = self.map(points="far.npy")
        np.testing.assert_allclose(images[0], self.y[self.y[:, 0].argmax()], atol=1e-4)
        np.testing.assert_allclose(images[1], self.y[self.y[:, 1].argmin()], atol=1e-4)
        self.assertIn("rounding of the cost", self.ending.err)

    def test_a_result_that_did_not_converge_maps_with_a_warning(self):
        self.solve("--max-half-passes", "3", "--epsilon", "0.005std", code=3)
        self.map()
        self.assertEqual(self.ending.err.count("warning: 'run.h5' did not converge (status not_converged)"), 1)
        with h5py.File(self.folder / "out.h5") as file:
            self.assertEqual(file.attrs["status"], "not_converged")


class Output(MapTest):
    def test_is_told_by_info_and_read_by_every_command(self):
        self.solve()
        for ranks in (0, 3):
            images = self.map("--summary", "out.json", ranks=ranks)
            told = json.loads(self.run_program("info", "out.h5", "--json").out)
            self.assertTrue(told["complete"])
            self.assertEqual(told["attributes"]["/format"], "convoy-points")
            self.assertEqual(told["attributes"]["/command"], "map")
            self.assertEqual(told["attributes"]["/model/path"], "run.h5")
            self.assertEqual(told["datasets"]["/points"], "float64 (41 x 3)")
            check = self.run_program("check", "out.h5#/points")
            self.assertEqual(check.code, 0, str(check))
            self.assertIn("41 x 3", check.out)
            # And on to the next map.
            self.assert_close(self.map(*DOUBLE, points="out.h5#/points", output="again.h5"),
                              softmax_map(images, self.y, self.b, self.g, self.epsilon), 1e-11)

    def test_summary_says_what_the_file_says(self):
        self.solve()
        self.map("--summary", "out.json", ranks=3)
        summary = json.loads((self.folder / "out.json").read_text())
        with h5py.File(self.folder / "out.h5") as file:
            for group in ("model", "run"):
                stored = {k: v.item() if hasattr(v, "item") else v for k, v in file[group].attrs.items()}
                self.assertEqual(summary[group], stored)
            self.assertEqual(summary["inputs"]["points"]["checksum"], file["inputs/points"].attrs["checksum"])
            phases = [name.decode() for name in file["timing/phase"][:]]
            self.assertEqual(phases, ["read", "map", "kernel", "communication", "write", "total"])
            self.assertGreater(file["timing/max"][phases.index("total")], 0)
        self.assertEqual([row["phase"] for row in summary["timing"]], phases)
        self.assertEqual(summary["files"], ["out.h5", "out.json"])
        self.assertEqual(summary["rows"], 41)
        for word in ("mapped 41 points forward", "pairs/s", "peak memory", "out.json"):
            self.assertIn(word, self.ending.out)
        self.assertRegex(self.ending.err, r"about [\d.]+ MiB a rank")

    def test_takes_no_more_memory_than_it_says(self):
        # A large target for few points, then many points for a small target.
        random = np.random.default_rng(3)
        self.save("x.npy", random.normal(size=(300, 3)))
        self.save("y.npy", random.normal(size=(1_000_000, 3)))
        self.save("z.npy", random.normal(size=(1000, 3)))
        self.save("many.npy", random.normal(size=(1_000_000, 3)))
        ending = self.run_program("solve", "x.npy", "y.npy", "-o", "run.h5", "--init", "zero", "--annealing", "off",
                                  "--max-half-passes", "1", timeout=120)
        self.assertEqual(ending.code, 3, str(ending))
        for ranks in (0, 4):
            for points, direction in (("z.npy", "forward"), ("many.npy", "backward")):
                with self.subTest(direction, ranks=ranks):
                    self.map("--direction", direction, "--summary", "out.json", points=points, ranks=ranks)
                    summary = json.loads((self.folder / "out.json").read_text())
                    estimate = summary["run"]["memory_per_rank_estimate"]
                    self.assertLessEqual(summary["peak_memory_of_a_rank"], estimate)
                    self.assertGreater(summary["peak_memory_of_a_rank"], 0.3 * estimate)

    def test_nothing_fits(self):
        self.solve()
        ending = self.run_program("map", "run.h5", "z.npy", "-o", "out.h5", "--memory", "1M")
        self.assert_refused(ending, "mapping needs", "1.0 MiB", "--memory")
        self.assert_refused(self.run_program("map", "run.h5", "z.npy", "-o", "out.h5", "--grid", "2x2", ranks=3),
                            "2x2", "3 ranks")

    def test_a_signal_ends_it_and_leaves_nothing(self):
        random = np.random.default_rng(3)
        self.save("x.npy", random.normal(size=(2500, 3)))
        self.save("many.npy", random.normal(size=(1_500_000, 3)))
        self.solve("--init", "zero", "--annealing", "off", "--max-half-passes", "1", code=3)
        with open(self.folder / "stderr", "w+") as stderr:
            run = subprocess.Popen(command(["map", "run.h5", "many.npy", "-o", "out.h5", "--direction", "backward",
                                            "--device", "cpu", *DOUBLE, "--threads", "1", "--memory", "250M"]),
                                   cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr,
                                   text=True)
            self.addCleanup(run.kill)
            deadline = time.monotonic() + 60
            while "\nmapped " not in (self.folder / "stderr").read_text():
                self.assertLess(time.monotonic(), deadline, "no progress")
                self.assertIsNone(run.poll(), (self.folder / "stderr").read_text())
                time.sleep(0.02)
            run.send_signal(signal.SIGTERM)
            out, _ = run.communicate(timeout=60)
        self.assert_refused(Ending(run.returncode, out, (self.folder / "stderr").read_text()),
                            "ended by a signal after", "1,500,000 points", code=1)


class Models(MapTest):
    def setUp(self):
        super().setUp()
        self.b = np.arange(50.0) / np.arange(50.0).sum()
        random = np.random.default_rng(6)
        self.steps = [(0.9, 0.5, random.normal(size=50) / 5), (0.4, 0.7, random.normal(size=50) / 5)]

    def test_two_steps_are_those_of_numpy(self):
        for cost in ("sqeuclidean", "pnorm:1.5"):
            write_model(self.folder / "model.h5", self.y, self.b, self.steps, cost)
            expected = through_steps(self.z, self.y, self.b, self.steps, cost)
            for ranks, grids in ((0, ["1x1"]), (4, ["4x1", "2x2", "1x4"])):
                for grid in grids:
                    with self.subTest(cost, grid=grid):
                        images = self.map(*DOUBLE, "--grid", grid, model="model.h5", ranks=ranks)
                        self.assert_close(images, expected, 1e-11)
            self.assert_close(self.map(model="model.h5"), expected, 1e-3)
        with h5py.File(self.folder / "out.h5") as file:
            self.assertEqual(file["model"].attrs["steps"], 2)
            self.assertEqual(file["model"].attrs["epsilons"], "0.9 0.4")

    def test_models_of_progot_map_alone(self):
        for cost in ("sqeuclidean", "pnorm:1.5"):
            ending = self.run_program("progot", "x.npy", "y.npy", "-o", "model.h5", "--steps", "3", "--epsilon",
                                      "0.05std", "--cost", cost, "--overwrite")
            self.assert_solved(ending, output="model.h5")
            with h5py.File(self.folder / "model.h5") as file:
                g = file["steps/g"][:]
                steps = list(zip(file["steps/epsilon"][:], file["steps/alpha"][:], g.T))
                b = file["weights/b"][:]
            self.assertEqual(len(steps), 3)
            expected = through_steps(self.z, self.y, b, steps, cost)
            self.save("y-away.npy", self.y)
            (self.folder / "y.npy").unlink()
            for ranks in (0, 4):
                self.assert_close(self.map(*DOUBLE, model="model.h5", ranks=ranks), expected, 1e-11)
            (self.folder / "y-away.npy").rename(self.folder / "y.npy")

    def test_what_a_model_cannot_do(self):
        write_model(self.folder / "model.h5", self.y, self.b, self.steps)
        run = lambda *options: self.run_program("map", "model.h5", "z.npy", "-o", "out.h5", *options)
        self.assert_refused(run("--direction", "backward"), "no backward map", "convoy progot TARGET SOURCE")
        self.assert_refused(run("--debiased"), "--debiased", "model of progot")
        self.assert_refused(run("--target", "y.npy"), "--target has no effect", "holds its target itself")

    def test_files_that_are_no_model(self):
        run = lambda model: self.run_program("map", model, "z.npy", "-o", "out.h5")
        for change, words in ((dict(format_version=2), ["format version is 2", "use a newer convoy"]),
                              (dict(complete=np.uint8(0)), ["incomplete"]),
                              (dict(format="convoy-points"), ["convoy-points"]),
                              (dict(format="other"), ["not written by convoy"])):
            write_model(self.folder / "model.h5", self.y, self.b, self.steps, **change)
            self.assert_refused(run("model.h5"), "model.h5", *words)
        self.assert_refused(run("x.npy"), "x.npy", "no HDF5 file")
        self.assert_refused(run("nowhere.h5"), "nowhere.h5", "no such file")
        write_model(self.folder / "model.h5", self.y, self.b[:-1], self.steps)
        self.assert_refused(run("model.h5"), "model.h5", "rows", "damaged")
        write_model(self.folder / "model.h5", self.y, self.b, self.steps)
        with h5py.File(self.folder / "model.h5", "r+") as file:
            file["steps/g"][3, 1] += 1
        self.assert_refused(run("model.h5"), "model.h5", "damaged", "checksum")


class Inputs(MapTest):
    def run_map(self, *options, points="z.npy", ranks=0):
        return self.run_program("map", "run.h5", points, "-o", "out.h5", *options, ranks=ranks)

    def test_a_moved_input_is_found_or_named(self):
        self.solve()
        expected = self.map(*DOUBLE)
        (self.folder / "y.npy").rename(self.folder / "moved.npy")
        (self.folder / "out.h5").unlink()
        for ranks in (0, 3):
            self.assert_refused(self.run_map(ranks=ranks), "target of 'run.h5'", "y.npy", "--target PATH[#KEY]")
        self.assert_close(self.map(*DOUBLE, "--target", "moved.npy"), expected, 0 + 1e-15)
        # Model and input moved together: the relative path finds it.
        (self.folder / "elsewhere").mkdir()
        (self.folder / "moved.npy").rename(self.folder / "elsewhere" / "y.npy")
        (self.folder / "run.h5").rename(self.folder / "elsewhere" / "run.h5")
        self.assert_close(self.map(*DOUBLE, model="elsewhere/run.h5"), expected, 1e-15)

    def test_a_changed_input_is_refused(self):
        self.solve()
        changed = self.y.copy()
        changed[7, 1] += 1e-9
        self.save("y.npy", changed)
        for ranks in (0, 3):
            self.assert_refused(self.run_map(ranks=ranks), "y.npy", "is not the target", "run.h5", "checksum",
                                "solve again")
        self.save("y.npy", self.y[:30])
        self.assert_refused(self.run_map(), "y.npy", "30 x 3", "50 x 3")
        self.save("y.npy", self.y)
        self.assert_refused(self.run_map("--target", "x.npy"), "x.npy", "is not the target")

    def test_what_is_refused_before_any_work(self):
        self.solve()
        self.save("flat.npy", self.z[:, :2])
        self.assert_refused(self.run_map(points="flat.npy"), "flat.npy", "2 columns", "3 dimensions")
        self.assert_refused(self.run_map("--source", "x.npy"), "--source has no effect")
        self.assert_refused(self.run_map("--self", "run.h5"), "--self has no effect without --debiased")
        self.assert_refused(self.run_map("--direction", "sideways"), "sideways", "forward nor backward")
        self.assert_refused(self.run_program("map", "run.h5", "z.npy"), "no output", "-o FILE")
        self.assert_refused(self.run_program("map", "run.h5", "z.npy", "-o", "out.npy"), "out.npy", ".h5",
                            outputs=("out.npy",))
        self.assert_refused(self.run_map("--cache", "on"), "unknown option '--cache'")
        self.solve("--cost", "euclidean", "--overwrite")
        self.assert_refused(self.run_map(), "run.h5", "has no map", "euclidean")
        self.solve("--cost", "pnorm:1.5", "--overwrite")
        self.assert_refused(self.run_map("--debiased"), "--debiased", "pnorm:1.5", "sqeuclidean")

    def test_nothing_it_reads_is_written_over(self):
        self.save("y.h5", self.y)  # only for the name
        with h5py.File(self.folder / "y.h5", "w") as file:
            file["p"] = self.y
        ending = self.run_program("solve", "x.npy", "y.h5#p", "-o", "run.h5")
        self.assert_solved(ending, output="run.h5")
        with h5py.File(self.folder / "z.h5", "w") as file:
            file["p"] = self.z
        for name in ("run.h5", "y.h5", "z.h5"):
            before = (self.folder / name).read_bytes()
            ending = self.run_program("map", "run.h5", "z.h5#p", "-o", name, "--overwrite")
            self.assert_refused(ending, name, "an input of this run")
            self.assertEqual((self.folder / name).read_bytes(), before)
        (self.folder / "out.h5").write_text("precious")
        ending = self.run_program("map", "run.h5", "z.h5#p", "-o", "out.h5")
        self.assert_refused(ending, "out.h5", "exists", outputs=())
        self.assertEqual((self.folder / "out.h5").read_text(), "precious")

    def test_bad_points_in_the_middle_leave_nothing(self):
        self.solve()
        bad = self.z.copy()
        bad[17, 2] = np.nan
        self.save("bad.npy", bad)
        for ranks in (0, 3):
            self.assert_refused(self.run_map(points="bad.npy", ranks=ranks), "bad.npy", "row 17", "column 2")
        huge = self.z.copy()
        huge[5] = 1e300
        self.save("huge.npy", huge)
        self.assert_refused(self.run_map(points="huge.npy"), "row 5 of 'huge.npy' cannot be mapped")


class Debiased(MapTest):
    def debiased(self, z, x, a, f_self, forward):
        return forward + z - softmax_map(z, x, a, f_self, self.epsilon)

    def test_takes_the_self_map_off(self):
        for options in ((), ("--store-points",)):
            self.solve("--overwrite", *options)
            forward = softmax_map(self.z, self.y, self.b, self.g, self.epsilon)
            for ranks in (0, 4):
                with self.subTest(options, ranks=ranks):
                    images = self.map(*DOUBLE, "--debiased", ranks=ranks)
                    with h5py.File(self.folder / "out.h5") as file:
                        f = file["self/f"][:]
                        stored = dict(file["self"].attrs)
                    self.assertEqual(stored["epsilon"], self.epsilon)
                    # f solves the symmetric problem (x, x).
                    cost = ((self.x[:, None] - self.x[None]) ** 2).sum(2)
                    plan = np.exp((f[:, None] + f - cost) / self.epsilon) / 60 ** 2
                    self.assertLess(abs(plan.sum(1) - 1 / 60).sum(), 1.5e-3)
                    self.assert_close(images, self.debiased(self.z, self.x, self.a, f, forward), 1e-11)

    def test_backward_takes_off_that_of_the_target(self):
        self.solve()
        images = self.map(*DOUBLE, "--debiased", "--direction", "backward")
        with h5py.File(self.folder / "out.h5") as file:
            f = file["self/f"][:]
        self.assertEqual(len(f), 50)
        back = softmax_map(self.z, self.x, self.a, self.f, self.epsilon)
        self.assert_close(images, self.debiased(self.z, self.y, self.b, f, back), 1e-11)

    def test_the_self_potential_serves_again(self):
        self.solve()
        first = self.map(*DOUBLE, "--debiased", output="first.h5")
        for ranks in (0, 3):
            again = self.map(*DOUBLE, "--debiased", "--self", "first.h5", ranks=ranks)
            self.assert_close(again, first, 1e-12)
            self.assertNotIn("self problem of", self.ending.err)
            self.assertIn("from first.h5", self.ending.out)
        run = lambda *more: self.run_program("map", "run.h5", "z.npy", "-o", "new.h5", "--debiased", *more)
        self.assert_refused(run("--self", "first.h5", "--direction", "backward"), "first.h5", "60", "50",
                            outputs=("new.h5",))
        self.solve("--epsilon", "0.1std", "--overwrite")
        self.assert_refused(run("--self", "first.h5"), "first.h5", "epsilon", outputs=("new.h5",))
        self.assert_refused(run("--self", "run.h5"), "run.h5", "convoy-result", outputs=("new.h5",))
        self.map(output="plain.h5")
        self.assert_refused(run("--self", "plain.h5"), "plain.h5", "no self potential", outputs=("new.h5",))


if __name__ == "__main__":
    unittest.main(verbosity=2)
