"""tools/device-check where there is no device: what it would run, and what it makes of what it found."""

import json
import os
import pathlib
import subprocess
import sys
import tarfile
import unittest

from program import PROGRAM, Ending, ProgramTest

TOOLS = pathlib.Path(__file__).resolve().parents[2] / "tools"
sys.path.insert(0, str(TOOLS))
from device_check import record  # noqa: E402
from device_check.parts import Parts  # noqa: E402

MADE = ("bin/convoy", "bin/cuda_rates", "tests/bin/cuda_block_test")


class DeviceCheckTest(ProgramTest):
    def run_check(self, *words, environment=None):
        done = subprocess.run([sys.executable, TOOLS / "device-check", *map(str, words)], cwd=self.folder, timeout=200,
                              text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env={**os.environ, "OUT": str(self.folder / "out"), **(environment or {})})
        return Ending(done.returncode, done.stdout, done.stderr)

    def made_build(self):
        for name in MADE:
            path = self.folder / "build" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("#!/bin/sh\n")
            path.chmod(0o755)
        return self.folder / "build"


class DryRun(DeviceCheckTest):
    def test_names_every_command_with_its_limit_and_every_part_is_short(self):
        ending = self.run_check("--dry-run", "--build", self.made_build())

        self.assertEqual(ending.code, 0, ending)
        commands = [line for line in ending.out.splitlines() if line.startswith("    ")]
        self.assertGreater(len(commands), 40)
        for command in commands:
            self.assertRegex(command, r"^    timeout --kill-after=10 \d+ ")
        for part in Parts.LIMITS:
            self.assertIn(f"===== {part}: at most", ending.out)
        self.assertLess(max(Parts.LIMITS.values()), 600)
        self.assertLess(sum(Parts.LIMITS.values()), 1800)
        for words in ("mpirun -n 4", "--tool racecheck", "make grey 60000", "make colour 100000", "gaussian 1000000 64",
                      "torch_sinkhorn", "jax_sinkhorn", "triton_sinkhorn"):
            self.assertIn(words, ending.out)

    def test_says_what_is_missing(self):
        for name in MADE:
            with self.subTest(name):
                build = self.made_build()
                (build / name).unlink()

                ending = self.run_check("--dry-run", "--build", build)

                # Without the program itself everything is still to be built.
                self.assertEqual(ending.code, 0 if name == "bin/convoy" else 1, ending)
                if name != "bin/convoy":
                    self.assertIn(f"MISSING: {build / name}", ending.out)

    def test_looks_into_a_bundle(self):
        for names, code in ((MADE, 0), (MADE[:2], 1)):
            with self.subTest(names):
                build, bundle = self.made_build(), self.folder / "bundle"
                bundle.mkdir(exist_ok=True)
                (bundle / "env.sh").write_text(f"export BUNDLE={self.folder}/unpacked\n")
                with tarfile.open(bundle / "bundle.tar.gz", "w:gz") as archive:
                    for name in names:
                        archive.add(build / name, f"./{name}")

                ending = self.run_check("--dry-run", "--bundle", bundle)

                self.assertEqual(ending.code, code, ending)

    def test_errors_are_one_line(self):
        for words, told in ((["--part", "speed"], "'speed'"), (["--bundle", "nowhere"], "env.sh")):
            with self.subTest(words):
                ending = self.run_check(*words)
                self.assertEqual(ending.code, 2)
                self.assertIn(told, ending.err.splitlines()[-1])
        ending = self.run_check("--part", "large", environment={"PATH": "/usr/bin:/bin"})
        if not pathlib.Path("/usr/bin/nvidia-smi").exists():
            self.assertEqual(ending.code, 2, ending)
            self.assertRegex(ending.err, r"\Aerror: no CUDA device[^\n]*\n\Z")


class RunOnTheCpu(DeviceCheckTest):
    """All of it but for the device: the steps, the bundle's way, the record."""

    def test_large_part_with_programs_of_a_bundle(self):
        bundle = self.folder / "bundle"
        bundle.mkdir()
        build = pathlib.Path(PROGRAM).parents[1]
        (bundle / "env.sh").write_text(f"echo unpacking\nexport BUNDLE={build}\n")

        ending = self.run_check("--bundle", bundle, "--device", "cpu", "--small", "--part", "large")

        self.assertEqual(ending.code, 0, ending)
        text = (self.folder / "out/device-check.md").read_text()
        self.assertRegex(text, r"\| 4 ranks on one device against 1 \| \S+ epsilon after 10 half-passes \| .* \| met \|")
        self.assertIn("| a rerun | the same bits | the same bits | met |", text)
        self.assertIn("not judged: small", text)
        self.assertIn("4 ranks against 1", (self.folder / "out/device-check.log").read_text())

    def test_images_are_made_and_scored(self):
        ending = self.run_check("--build", pathlib.Path(PROGRAM).parents[1], "--device", "cpu", "--small", "--part", "images")

        self.assertEqual(ending.code, 0, ending)
        known = json.loads((self.folder / "out/device-check.json").read_text())
        masses = [step["data"]["mass_on_true_pairs"] for step in known["parts"]["images"] if "true pairs" in step["step"]]
        self.assertEqual(len(masses), 2)
        self.assertGreater(masses[0], 0.9)  # sharp plans of images that are not alike; colour's is a blurrier one
        self.assertGreater(masses[1], 0.001)
        self.assertLess(max(masses), 1.01)


EMULATED = os.environ.get("CONVOY_EMULATED_PROGRAM", "")
RATES = pathlib.Path(EMULATED or "none").with_name("cuda_rates_emulated")


@unittest.skipUnless(EMULATED and RATES.exists(), "needs the emulation of devices")
class RunOnAnEmulatedDevice(DeviceCheckTest):
    def test_tests_and_rates(self):
        build, tools = self.made_build(), self.folder / "tools"
        for name, program in (("bin/convoy", EMULATED), ("bin/cuda_rates", RATES)):
            (build / name).unlink()
            (build / name).symlink_to(program)
        tools.mkdir()
        (tools / "nvidia-smi").write_text("#!/bin/sh\necho none, but an emulation\n")
        (tools / "nvidia-smi").chmod(0o755)

        ending = self.run_check("--build", build, "--small", "--part", "tests,rates", environment={
            "PATH": f"{tools}:{os.environ['PATH']}", "CONVOY_EMULATED_MEMORY": str(8 << 30)})

        self.assertEqual(ending.code, 0, ending)
        known = json.loads((self.folder / "out/device-check.json").read_text())
        said = {what: verdict for what, _, _, verdict in record.verdicts(known)}
        for what in ("device tests, 1, 2 and 4 ranks", "10 half-passes against the CPU in double",
                     "answers of cuda_rates"):
            self.assertEqual(said[what], "met", what)
        self.assertEqual(known["head"]["device"], "none, but an emulation")
        self.assertIn("| sqeuclidean | single | 3 | 150 | reduce, rows |", (self.folder / "out/device-check.md").read_text())


def summary(status="converged", **phases):
    return {"status": status, "solution": {"half_passes": 2, "audited_error": 1e-4},
            "timing": [{"phase": name, "max": value} for name, value in phases.items()]}


def step(name, data=None, trace=(), ok=True, optional=False, **more):
    return {"step": name, "data": data, "trace": list(trace), "ok": ok, "optional": optional, "seconds": 1.0,
            "why": "exit code 1", **more}


def rates_row(call, d, rate, n=1000000, wrong=False):
    return {"cost": "sqeuclidean", "single": True, "d": d, "n": n, "call": call, "rate": rate, "bound": 4e12,
            "by": "exponentials", "error": 1e-6, "wrong": wrong, "note": ""}


def made_record():
    rates = {"limits": {"read": 4e12}, "rows": [
        rates_row("reduce, rows", 3, 3.4e12), rates_row("reduce, columns", 3, 3.2e12),
        rates_row("reduce, rows", 3, 1e12, n=20000),
        rates_row("reduce, rows", 64, 1.2e12), rates_row("reduce, columns", 64, 1.1e12),
        rates_row("kept products, rows", 1024, 0.95e12), rates_row("kept products, columns", 1024, 0.85e12)]}
    peer = {"peer": "torch_sinkhorn", "versions": "PyTorch 2", "seconds": 5.0, "half_passes": 60, "source_error": 9e-4,
            "target_error": 1e-6, "reached": True, "setting": "dense", "half_pass": 0.08, "least": 0.07, "most": 0.09}
    return {"head": {"date": "2026-01-01", "device": "made"}, "parts": {
        "tests": [step("cuda_block_test, 1 ranks"), step("cuda_block_test, 4 ranks", ok=False),
                  step("few, 1 ranks against the cpu", {"apart": 1e-4})],
        "rates": [step("rates", rates)],
        "images": [step("grey, run 1", summary(products=0.2, solve=0.1, total=5.0)),
                   step("grey, run 2", summary(products=0.3, solve=0.1, total=5.0)),
                   step("grey, run 3", summary(products=0.9, solve=0.3, total=5.0)),
                   step("colour, run 1", summary(products=11.0, solve=0.1, total=30.0))],
        "large": [step("many, d = 64", summary(solve=4.0, total=9.0), trace=[0.0, 2.0, 2.8, 3.4, 4.2, 4.8]),
                  step("4 ranks against 1", {"apart": 3e-6}), step("a rerun", {"same_bits": False})],
        "peers": [step("peers, convoy, run 1", summary(products=0.1, start=0.2, solve=0.1, total=1.0)),
                  step("torch_sinkhorn: dense", peer, optional=True),
                  step("torch_sinkhorn: tiles", {**peer, "seconds": 1.0, "reached": False}, optional=True),
                  step("jax_sinkhorn: dense", {"failed": "OutOfMemory"}, optional=True, ok=False)]}}


class Record(unittest.TestCase):
    def said(self, known):
        return {what: (measured, verdict) for what, measured, _, verdict in record.verdicts(known)}

    def test_judges_what_was_measured_and_nothing_else(self):
        said = self.said(made_record())

        for what, verdict in (("device tests, 1, 2 and 4 ranks", "MISSED"),
                              ("10 half-passes against the CPU in double", "met"),
                              ("compute-sanitizer", "not measured"), ("answers of cuda_rates", "met"), ("d = 3", "met"),
                              ("d = 64", "MISSED"), ("d = 1024, kept products", "met"),
                              ("60,000 grey images, products and half-passes", "met"),
                              ("100,000 colour images, products and half-passes", "MISSED"),
                              ("a half-pass, 1e6 x 1e6, d = 64", "MISSED"), ("4 ranks on one device against 1", "met"),
                              ("a rerun", "MISSED"), ("PyTorch's seconds over ours, n = 50,000, d = 64", "met"),
                              ("JAX's, likewise", "not measured")):
            self.assertEqual(said[what][1], verdict, what)
        # The largest problem and the slower direction; the median run; the fastest peer that reached the tolerance.
        self.assertIn("3.2e+12", said["d = 3"][0])
        self.assertIn("85%", said["d = 1024, kept products"][0])
        self.assertIn("0.700 s", said["a half-pass, 1e6 x 1e6, d = 64"][0])
        self.assertIn("12.5", said["PyTorch's seconds over ours, n = 50,000, d = 64"][0])
        self.assertTrue(record.failed(made_record()))

    def test_a_wrong_answer_counts_no_rate(self):
        known = made_record()
        for row in known["parts"]["rates"][0]["data"]["rows"]:
            row["wrong"] = row["d"] == 3

        said = self.said(known)

        self.assertEqual(said["d = 3"][1], "not measured")
        self.assertEqual(said["answers of cuda_rates"][1], "MISSED")

    def test_says_everything_in_markdown(self):
        text = record.markdown(made_record())

        for words in ("| d = 64 | 1.1e+12 pairs/s, the slower direction, n = m = 1,000,000 | ≥ 1.5e12 pairs/s | MISSED |",
                      "| many, d = 64 | converged |", "| jax_sinkhorn: dense | OutOfMemory |",
                      "| cuda_block_test, 4 ranks | exit code 1 |", "read 4e+12/s"):
            self.assertIn(words, text)
        for line in text.splitlines():
            if line.startswith("|"):
                self.assertTrue(line.endswith("|"), line)

    def test_nothing_was_run_is_a_record_too(self):
        known = {"head": {"date": "today"}, "parts": {}}

        self.assertEqual({verdict for *_, verdict in record.verdicts(known)}, {"not measured"})
        self.assertIn("today", record.markdown(known))
        self.assertFalse(record.failed(known))


class Merge(DeviceCheckTest):
    def test_parts_of_several_runs_become_one_record(self):
        whole = made_record()
        for name, parts in (("one", ("tests", "rates")), ("two", ("images", "large", "peers"))):
            content = {"head": whole["head"], "parts": {part: whole["parts"][part] for part in parts}}
            (self.folder / f"{name}.json").write_text(json.dumps(content))

        ending = self.run_check("--merge", "one.json", "two.json", "-o", "merged")

        self.assertEqual(ending.code, 1, ending)
        self.assertEqual((self.folder / "merged/device-check.md").read_text(), record.markdown(whole) + "\n")


if __name__ == "__main__":
    unittest.main(verbosity=2)
