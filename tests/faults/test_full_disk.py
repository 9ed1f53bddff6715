"""A full disk costs the run, never a file that was there, and never makes a rank wait for ever."""

import json
import os
import resource
import signal
import unittest

from program import ProgramTest

PRELOAD = os.environ["CONVOY_FULL_DISK"]


class FullDisk(ProgramTest):
    def setUp(self):
        super().setUp()
        self.save_clouds(700, 600)

    def solve(self, name, first_byte, *options, ranks=0, rank=None, quiet=False):
        more = dict(CONVOY_FULL_DISK_FILE=name, CONVOY_FULL_DISK_FROM=str(first_byte))
        if rank is not None:
            more["CONVOY_FULL_DISK_RANK"] = str(rank)
        if quiet:
            more["CONVOY_FULL_DISK_QUIET"] = "1"
        return self.run_program("solve", "x.npy", "y.npy", "-o", "out.h5", *options, ranks=ranks, timeout=30,
                                preload=PRELOAD, environment=more)

    def size_of_result(self):
        self.assert_solved(self.run_program("solve", "x.npy", "y.npy", "-o", "whole.h5"), output="whole.h5")
        return (self.folder / "whole.h5").stat().st_size

    def test_the_preloaded_library_harms_nobody_else(self):
        for ranks in (0, 3):
            self.assert_solved(self.solve("some other file", 0, "--overwrite", ranks=ranks))

    def test_no_space_to_reserve(self):
        for ranks in (0, 1, 3):
            self.assert_refused(self.solve(".h5.part.", 0, ranks=ranks), "out.h5", "No space left on device", code=1)

    def test_no_space_while_writing(self):
        size = self.size_of_result()
        for ranks, rank in ((0, None), (1, None), (3, 0), (3, 1), (3, 2)):
            for first in (0, size // 3, size * 3 // 4) if rank != 1 else (size // 3,):
                with self.subTest(ranks=ranks, rank=rank, first=first):
                    ending = self.solve(".h5.part.", first, ranks=ranks, rank=rank, quiet=True)
                    if rank and ending.code == 0:
                        continue  # this rank's rows lay before the first byte that fails
                    self.assert_refused(ending, "out.h5", code=1)

    def test_no_space_for_mapped_points(self):
        self.assert_solved(self.run_program("solve", "x.npy", "y.npy", "-o", "run.h5"), output="run.h5")
        size = 8 * 3 * 700
        for ranks, rank, first, quiet in ((0, None, 0, False), (3, None, 0, False), (0, None, size // 2, True),
                                          (3, 0, 0, True), (3, 1, size // 3, True), (3, 2, size * 3 // 4, True)):
            with self.subTest(ranks=ranks, rank=rank, first=first):
                more = dict(CONVOY_FULL_DISK_FILE=".h5.part.", CONVOY_FULL_DISK_FROM=str(first))
                if rank is not None:
                    more["CONVOY_FULL_DISK_RANK"] = str(rank)
                if quiet:
                    more["CONVOY_FULL_DISK_QUIET"] = "1"
                ending = self.run_program("map", "run.h5", "x.npy", "-o", "out.h5", ranks=ranks, timeout=30,
                                          preload=PRELOAD, environment=more)
                self.assert_refused(ending, "out.h5", code=1)

    def test_an_existing_result_survives(self):
        (self.folder / "out.h5").write_text("precious")
        ending = self.solve(".h5.part.", 2000, "--overwrite", quiet=True)
        self.assertEqual(ending.code, 1, str(ending))
        self.assertEqual((self.folder / "out.h5").read_text(), "precious")
        self.assert_no_leftovers()

    def test_a_side_file_costs_only_itself(self):
        ending = self.solve(".json.part.", 0, "--summary", "run.json", "--trace", "run.csv")
        self.assertEqual(ending.code, 1, str(ending))
        self.assertIn("the result itself is complete", ending.err)
        self.assertIn("converged", ending.out)
        self.assertFalse((self.folder / "run.json").exists())
        self.assertTrue((self.folder / "run.csv").exists())
        self.assertTrue(json.loads(self.run_program("info", "out.h5", "--json").out)["complete"])
        self.assert_no_leftovers()

    def test_a_limit_of_file_sizes_is_a_sentence_not_a_core(self):
        ending = self.run_program("solve", "x.npy", "y.npy", "-o", "out.h5",
                                  preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)))
        self.assertNotEqual(ending.code, -signal.SIGXFSZ)
        self.assert_refused(ending, "out.h5", code=1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
