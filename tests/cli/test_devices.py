"""Devices: what is said where there are none, and every command on emulated ones (tests/emulation)."""

import json
import os
import subprocess
import unittest

import h5py
import numpy as np

from program import PROGRAM, ProgramTest

EMULATED = os.environ.get("CONVOY_EMULATED_PROGRAM", "")
if not os.path.exists(EMULATED):  # builds with CUDA need not have it
    EMULATED = ""
# Eight gigabytes: what the driver is taken to use for itself leaves four ranks on one device enough.
MEMORY = {"CONVOY_EMULATED_MEMORY": str(8 << 30)}


def built_without_cuda():
    return "built without CUDA" in subprocess.run([PROGRAM, "--version", "--verbose"], text=True, timeout=60,
                                                  stdout=subprocess.PIPE).stdout


class WithoutCuda(ProgramTest):
    def setUp(self):
        super().setUp()
        self.save_clouds()
        self.solve = ["solve", "x.npy", "y.npy", "-o", "out.h5"]
        if not built_without_cuda():
            self.skipTest("this program is built with CUDA")

    def test_cuda_is_refused_before_anything_is_read(self):
        for device in ("cuda", "cuda:0", "cuda:3"):
            for ranks in (0, 3):
                with self.subTest(device, ranks=ranks):
                    ending = self.run_program("solve", "none.npy", "none.npy", "-o", "out.h5", "--device", device,
                                              ranks=ranks)
                    self.assert_refused(ending, f"--device {device} cannot be used", "built without CUDA", "--device cpu")
        for command in (["progot", "x.npy", "y.npy", "-o", "out.h5"], ["divergence", "x.npy", "y.npy", "-o", "out.h5"],
                        ["map", "m.h5", "x.npy", "-o", "out.h5"], ["score", "m.h5", "x.npy", "y.npy"],
                        ["check", "x.npy", "y.npy"]):
            with self.subTest(command[0]):
                self.assert_refused(self.run_program(*command, "--device", "cuda"), "built without CUDA")
        self.assert_refused(self.run_program(*self.solve, "--device-memory", "1G"), "--device-memory", "without CUDA")

    def test_auto_is_the_cpu_without_a_word(self):
        ending = self.run_program(*self.solve, "--summary", "run.json")
        self.assert_solved(ending)
        self.assertNotIn("warning", ending.err + ending.out)
        run = json.loads((self.folder / "run.json").read_text())["run"]
        self.assertEqual((run["backend"], run["devices"]), ("cpu", "none"))


class WithCuda(ProgramTest):
    """On a machine with devices they are hidden."""

    def setUp(self):
        super().setUp()
        self.save_clouds()
        self.solve = ["solve", "x.npy", "y.npy", "-o", "out.h5"]
        if built_without_cuda():
            self.skipTest("this program is built without CUDA")

    def run_blind(self, *arguments, **more):
        return self.run_program(*arguments, environment={"CUDA_VISIBLE_DEVICES": ""}, **more)

    def test_the_version_tells_toolkit_and_architectures(self):
        self.assertRegex(self.run_program("--version", "--verbose").out, r"\nCUDA +\d+\.\d+,( sm_\d+a?)+( PTX)?\n")

    def test_without_a_device_the_cpu_is_taken_with_a_warning(self):
        for ranks in (0, 2):
            ending = self.run_blind(*self.solve, "--overwrite", ranks=ranks)
            self.assert_solved(ending)
            self.assertEqual(ending.err.count("warning: no CUDA device is used ("), 1, ending.err)
            self.assertIn("cpu backend", ending.err)
        ending = self.run_blind(*self.solve, "--overwrite", "--device", "cpu")
        self.assert_solved(ending)
        self.assertNotIn("warning", ending.err)

    def test_a_device_that_is_asked_for_is_missed(self):
        for device in ("cuda", "cuda:1"):
            for ranks in (0, 3):
                self.assert_refused(self.run_blind(*self.solve, "--device", device, ranks=ranks),
                                    "--device cuda cannot be used (there is no CUDA device: ")


class Spelling(ProgramTest):
    def test_mistakes_are_told_with_what_was_meant(self):
        self.save_clouds()
        for device, told in (("cdua", "Did you mean 'cuda'?"), ("referense", "Did you mean 'reference'?"),
                             ("gpu", "not one of auto, cpu, cuda, reference"), ("cuda:", "write it like cuda:0"),
                             ("cuda:x", "write it like cuda:0"), ("cuda:-1", "write it like cuda:0"),
                             ("cpu:0", "not one of auto, cpu, cuda, reference")):
            with self.subTest(device):
                self.assert_refused(self.run_program("solve", "x.npy", "y.npy", "-o", "out.h5", "--device", device),
                                    "--device", told)
        for device in ("cpu", "reference"):
            self.assert_refused(self.run_program("solve", "x.npy", "y.npy", "-o", "out.h5", "--device", device,
                                                 "--device-memory", "1G"), "no effect with --device " + device)


@unittest.skipUnless(EMULATED, "no emulation of CUDA was built")
class EmulatedTest(ProgramTest):
    program = EMULATED

    def run_on(self, devices, *arguments, ranks=0, timeout=240, **environment):
        settings = MEMORY | {"CONVOY_EMULATED_DEVICES": str(devices)} | environment
        return self.run_program(*arguments, ranks=ranks, timeout=timeout, environment=settings)

    def attributes(self, output="out.h5"):
        with h5py.File(self.folder / output) as file:
            return {key: value.decode() if isinstance(value, bytes) else value
                    for key, value in file["run"].attrs.items()}


class Solve(EmulatedTest):
    FIXED = ("--max-half-passes", "8", "--acceleration", "plain", "--tolerance", "1e-12", "--epsilon", "0.2std",
             "--overwrite")

    def solve(self, devices, *options, ranks=0, code=3, output="out.h5", **environment):
        self.ending = self.run_on(devices, "solve", "x.npy", "y.npy", "-o", output, *self.FIXED, *options, ranks=ranks,
                                  **environment)
        self.assert_solved(self.ending, code, output)
        with h5py.File(self.folder / output) as file:
            return (np.concatenate([file["potentials/f"][:], file["potentials/g"][:]])
                    / file["solution"].attrs["epsilon"])

    def test_devices_and_ranks_agree_with_the_reference(self):
        # Of potentials in units of epsilon: rounding of double, and of single's costs, which are some tens of epsilon.
        for d, cost in ((3, "sqeuclidean"), (20, "sqeuclidean"), (3, "euclidean")):
            self.save_clouds(67, 53, d)
            problem = ("--cost", cost)
            reference = self.solve(1, *problem, "--device", "reference")
            for ranks, devices, precision in ((1, 1, "double"), (1, 1, "single"), (2, 1, "single"), (3, 2, "double"),
                                              (4, 2, "single")):
                with self.subTest(d=d, cost=cost, ranks=ranks, precision=precision):
                    found = self.solve(devices, *problem, "--device", "cuda", "--precision", precision, ranks=ranks)
                    self.assertLess(abs(found - reference).max(), 1e-10 if precision == "double" else 1e-4)
                    self.assertEqual(self.attributes()["backend"], "cuda")

    def test_a_rerun_has_the_same_bits_also_where_work_is_done_in_another_order(self):
        self.save_clouds(67, 53, 20)
        first = self.solve(2, ranks=3)
        for order in ({}, {"CONVOY_EMULATION_STREAMS": "shuffled", "CONVOY_EMULATION_ORDER": "5"}):
            np.testing.assert_array_equal(self.solve(2, ranks=3, **order), first)

    def test_products_are_kept_where_that_is_asked_for(self):
        self.save_clouds(67, 53, 20)
        recomputed = self.solve(1, "--cache", "off", ranks=2)
        kept = self.solve(1, "--cache", "on", ranks=2)
        self.assertIn("products kept", self.ending.err)
        self.assertEqual(self.attributes()["cache"], "on")
        self.assertLess(abs(kept - recomputed).max(), 1e-4)

    def test_points_that_do_not_fit_are_streamed(self):
        self.save_clouds(600, 500, 3)
        small = {"CONVOY_EMULATED_PORTION": "384"}  # 128 points
        resident = self.solve(1, **small)
        self.assertIn("points resident", self.ending.err)
        run = self.attributes()
        limit = int(run["device_memory_per_rank_estimate"]) - 1

        streamed = self.solve(1, "--device-memory", str(limit), **small)

        self.assertIn("points streamed", self.ending.err)
        self.assertEqual(self.attributes()["points_on_device"], "streamed")
        self.assertLess(abs(streamed - resident).max(), 1e-4)

    def test_by_default_the_device_is_taken_and_the_run_converges(self):
        self.save_clouds()
        for ranks in (0, 3):
            ending = self.run_on(2, "solve", "x.npy", "y.npy", "-o", "out.h5", "--overwrite", "--summary", "run.json",
                                 ranks=ranks)
            self.assert_solved(ending)
            self.assertIn("cuda backend with sm_90, points resident", ending.err)
            shared = "2 x Emulated device (8.0 GiB each), 1 to 2 ranks on each" if ranks else "Emulated device (8.0 GiB)"
            line = [line for line in ending.err.splitlines() if line.startswith("devices: ")]
            self.assertEqual(len(line), 1, ending.err)
            self.assertTrue(line[0].endswith(shared), line)
            run = json.loads((self.folder / "run.json").read_text())["run"]
            self.assertEqual(line[0], "devices: " + run["devices"])
            self.assertEqual(run["ranks_per_device"], 2 if ranks else 1)
            self.assertAlmostEqual(run["device_memory_per_rank_limit"], 0.9 * (8 << 30) / run["ranks_per_device"])
            self.assertLess(run["device_memory_per_rank_estimate"], run["device_memory_per_rank_limit"])
            (self.folder / "run.json").unlink()

    def test_a_given_number_is_for_all_ranks(self):
        self.save_clouds()
        self.solve(2, "--device", "cuda:1", ranks=2)
        self.assertIn("Emulated device (8.0 GiB), shared by 2 ranks", self.ending.err)

    def test_what_is_planned_is_enough(self):
        # With samples, a coarse problem, judged candidates (from a million pairs on) and kept products; no byte to spare.
        self.save_clouds(1010, 1000, 20)
        for cache in ("on", "off"):
            command = ("solve", "x.npy", "y.npy", "-o", "out.h5", "--epsilon", "0.1std", "--tolerance", "1e-2",
                       "--cache", cache, "--overwrite")
            ending = self.run_on(1, *command, "--max-half-passes", "1", ranks=2)
            self.assert_solved(ending, code=ending.code)
            needed = int(self.attributes()["device_memory_per_rank_estimate"]) + 1

            ending = self.run_on(1, *command, "--device-memory", str(needed), ranks=2)

            self.assert_solved(ending)
            self.assertIn("points resident, products " + ("kept" if cache == "on" else "recomputed"), ending.err)


class OtherCommands(EmulatedTest):
    def numbers(self, *arguments, dataset, device, ranks):
        ending = self.run_on(2, *arguments, "-o", "out.h5", "--overwrite", "--device", device, ranks=ranks)
        self.assert_solved(ending)
        with h5py.File(self.folder / "out.h5") as file:
            return file[dataset][:], dict(file["divergence"].attrs) if "divergence" in file else {}

    def compare(self, *arguments, dataset, tolerance):
        reference, values = self.numbers(*arguments, dataset=dataset, device="reference", ranks=0)
        for ranks in (1, 3, 4):
            with self.subTest(arguments[0], ranks=ranks):
                found, others = self.numbers(*arguments, dataset=dataset, device="cuda", ranks=ranks)
                self.assertLess(abs(found - reference).max(), tolerance)
                for key in ("divergence", "divergence_transport"):
                    if key in values:
                        self.assertAlmostEqual(others[key], values[key], delta=tolerance)

    def test_progressive_ot_maps_and_divergences(self):
        self.save_clouds(40, 30)
        self.save("z.npy", np.random.default_rng(5).normal(size=(21, 3)))
        # Each run solves to its tolerance; images and gradients differ by about that.
        self.compare("progot", "x.npy", "y.npy", "--steps", "2", "--epsilon", "0.2std", "--tolerance", "1e-5",
                     dataset="potentials/f", tolerance=1e-3)
        self.compare("divergence", "x.npy", "y.npy", "--epsilon", "0.5std", "--tolerance", "1e-5", "--gradient",
                     dataset="gradient/source", tolerance=1e-4)
        ending = self.run_on(1, "solve", "x.npy", "y.npy", "-o", "run.h5", "--epsilon", "0.2std")
        self.assert_solved(ending, output="run.h5")
        for direction in ("forward", "backward"):
            self.compare("map", "run.h5", "z.npy", "--direction", direction, dataset="points", tolerance=1e-3)
        self.compare("map", "run.h5", "z.npy", "--debiased", dataset="points", tolerance=1e-2)

    def test_epsilons_are_chosen_and_maps_scored_on_devices(self):
        self.save_clouds(40, 30, 2)
        ending = self.run_on(1, "progot", "x.npy", "y.npy", "--steps", "2", "--scales", "1,2", "-o", "model.h5", ranks=2)
        self.assert_solved(ending, output="model.h5")
        ending = self.run_on(1, "score", "model.h5", "x.npy", "y.npy", "--summary", "score.json", ranks=2)
        self.assertEqual(ending.code, 0, str(ending))
        self.assertEqual(json.loads((self.folder / "score.json").read_text())["run"]["backend"], "cuda")
        ending = self.run_on(1, "check", "x.npy", "y.npy", ranks=2)
        self.assertEqual(ending.code, 0, str(ending))
        self.assertIn("device memory", ending.out)


    def test_what_is_planned_is_enough(self):
        self.save_clouds(300, 200, 20)
        self.assert_solved(self.run_on(1, "solve", "x.npy", "y.npy", "-o", "run.h5", "--tolerance", "0.1"),
                           output="run.h5")
        loose = ("--tolerance", "0.1")
        for command in (("progot", "x.npy", "y.npy", "--steps", "2", "--scales", "1,2", *loose),
                        ("divergence", "x.npy", "y.npy", "--gradient", "--cache", "on", *loose),
                        ("map", "run.h5", "x.npy", "--debiased")):
            with self.subTest(command[0]):
                self.assert_solved(self.run_on(1, *command, "-o", "out.h5", "--overwrite"))
                needed = int(self.attributes()["device_memory_per_rank_estimate"]) + 1
                ending = self.run_on(1, *command, "-o", "out.h5", "--overwrite", "--device-memory", str(needed))
                self.assert_solved(ending)
                self.assertIn("points resident", ending.err)


class Trouble(EmulatedTest):
    def setUp(self):
        super().setUp()
        self.save_clouds()
        self.solve = ["solve", "x.npy", "y.npy", "-o", "out.h5"]

    def test_no_device_is_a_warning_or_an_error(self):
        for ranks in (0, 2):
            ending = self.run_on(0, *self.solve, "--overwrite", ranks=ranks)
            self.assert_solved(ending)
            self.assertEqual(ending.err.count("warning: no CUDA device is used"), 1, ending.err)
            self.assertIn("cpu backend", ending.err)
            (self.folder / "out.h5").unlink()
            self.assert_refused(self.run_on(0, *self.solve, "--device", "cuda", ranks=ranks), "there is no CUDA device")
        ending = self.run_on(0, *self.solve, "--device", "cpu")
        self.assert_solved(ending)
        self.assertNotIn("warning", ending.err)

    def test_a_rank_without_a_device_is_named(self):
        lame = {"CONVOY_EMULATED_WITHOUT": "2"}
        ending = self.run_on(2, *self.solve, "--device", "cuda", ranks=4, **lame)
        self.assert_refused(ending, "rank 2 on ", "sees none")
        ending = self.run_on(2, *self.solve, ranks=4, **lame)
        self.assert_solved(ending)
        self.assertIn("warning: no CUDA device is used (rank 2 on ", ending.err)

    def test_a_number_that_is_not_there(self):
        for ranks in (0, 3):
            ending = self.run_on(2, *self.solve, "--device", "cuda:7", ranks=ranks)
            self.assert_refused(ending, "--device cuda:7", "sees 2 devices")

    def test_what_does_not_fit_is_refused_before_it_is_read(self):
        ending = self.run_on(1, *self.solve, "--device-memory", "400M", ranks=2)
        self.assert_refused(ending, "device memory for each of 2 ranks (allowed are 400 MiB, 2 ranks share a device)",
                            "raise --device-memory")
        ending = self.run_on(1, *self.solve, "--device-memory", "5G", ranks=2)
        self.assert_refused(ending, "--device-memory 5.0 GiB is more than rank 0")
        self.save_clouds(600, 500, 20)
        ending = self.run_on(1, *self.solve, "--cache", "off", "--max-half-passes", "1")
        self.assert_solved(ending, code=3)
        room = int(self.attributes()["device_memory_per_rank_estimate"]) + 1000
        (self.folder / "out.h5").unlink()
        ending = self.run_on(1, *self.solve, "--cache", "on", "--device-memory", str(room))
        self.assert_refused(ending, "--cache on", "ranks are enough", "--cache auto")

    def test_a_device_that_fails_ends_the_run_in_one_line_on_all_ranks(self):
        # While it is opened, while blocks are made, in the midst of half-passes.
        for failure in ("cudaSetDevice:1", "cudaMalloc:3", "cudaLaunchKernelEx:2", "cudaLaunchKernelEx:60",
                        "cudaStreamSynchronize:40"):
            for ranks in (1, 3, 4):
                with self.subTest(failure, ranks=ranks):
                    ending = self.run_on(2, *self.solve, "--device", "cuda", ranks=ranks, timeout=60,
                                         CONVOY_EMULATED_FAILURE=f"{ranks - 1}:{failure}")
                    self.assert_refused(ending, "CUDA device", code=1)
                    if ranks > 1:
                        self.assertIn(f"error: rank {ranks - 1} on ", ending.err)

    def test_a_device_that_fails_in_other_commands(self):
        for command in (["progot", "x.npy", "y.npy", "-o", "out.h5", "--steps", "2"],
                        ["divergence", "x.npy", "y.npy", "-o", "out.h5"]):
            with self.subTest(command[0]):
                ending = self.run_on(1, *command, ranks=3, timeout=60,
                                     CONVOY_EMULATED_FAILURE="1:cudaLaunchKernelEx:90")
                self.assert_refused(ending, "rank 1 on ", "CUDA device", code=1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
