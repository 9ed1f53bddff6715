"""Runs that end early: signals, the time limit, a rank that is killed."""

import os
import pathlib
import signal
import subprocess
import time
import unittest

import h5py

from program import Ending, ProgramTest, command

# Far more half-passes than the test waits for.
ENDLESS = ("--epsilon", "0.0005std", "--tolerance", "1e-12", "--max-half-passes", "1e9", "--precision", "double",
           "--acceleration", "plain", "--annealing", "off")


def children(pid):
    found = []
    for status in pathlib.Path("/proc").glob("[0-9]*/status"):
        try:
            if f"\nPPid:\t{pid}\n" in status.read_text():
                found.append(int(status.parent.name))
        except OSError:
            pass  # ended meanwhile
    return sorted(found)


class Endings(ProgramTest):
    def setUp(self):
        super().setUp()
        self.save_clouds(3000, 3000)

    def start(self, ranks=0, options=ENDLESS):
        """Starts a run that does not end by itself, and waits until it has done half-passes."""
        self.stderr = open(self.folder / "stderr", "w+")
        self.addCleanup(self.stderr.close)
        run = subprocess.Popen(command(["solve", "x.npy", "y.npy", "-o", "out.h5", *options], ranks), cwd=self.folder,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.stderr, text=True)
        self.addCleanup(run.kill)
        deadline = time.monotonic() + 60
        while "half-pass " not in (self.folder / "stderr").read_text():
            self.assertLess(time.monotonic(), deadline, "no progress line")
            self.assertIsNone(run.poll(), (self.folder / "stderr").read_text())
            time.sleep(0.05)
        return run

    def end_of(self, run, timeout=30):
        out, _ = run.communicate(timeout=timeout)
        return Ending(run.returncode, out, (self.folder / "stderr").read_text())

    def test_term_and_int_leave_nothing_behind(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            run = self.start()
            run.send_signal(number)
            self.assert_refused(self.end_of(run), "ended by a signal after", "half-passes", code=1)

    def test_a_signal_while_reading_ends_with_a_line(self):
        with open(self.folder / "x.csv", "w") as table:
            table.write("0.25,0.5,0.75\n" * 1_000_000)  # reading takes far longer than this test's naps
        for ranks in (0, 3):
            self.stderr = open(self.folder / "stderr", "w+")
            self.addCleanup(self.stderr.close)
            run = subprocess.Popen(command(["solve", "x.csv", "x.csv", "-o", "out.h5"], ranks), cwd=self.folder,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.stderr, text=True)
            self.addCleanup(run.kill)
            deadline = time.monotonic() + 60
            while "plan: " not in (self.folder / "stderr").read_text():
                self.assertLess(time.monotonic(), deadline, "no plan")
                time.sleep(0.01)
            os.kill(children(run.pid)[1] if ranks else run.pid, signal.SIGTERM)
            self.assert_refused(self.end_of(run), "ended by a signal while reading; nothing is written", code=1)

    def test_one_rank_hears_it_all_end(self):
        run = self.start(ranks=3)
        os.kill(children(run.pid)[1], signal.SIGTERM)
        self.assert_refused(self.end_of(run), "ended by a signal after", code=1)

    def test_the_second_signal_kills(self):
        run = self.start()
        run.send_signal(signal.SIGSTOP)
        run.send_signal(signal.SIGTERM)
        run.send_signal(signal.SIGINT)
        run.send_signal(signal.SIGCONT)
        ending = self.end_of(run)
        self.assertIn(ending.code, (1, -signal.SIGINT, -signal.SIGTERM))
        self.assertFalse((self.folder / "out.h5").exists())

    def test_a_killed_rank_ends_the_run(self):
        run = self.start(ranks=3)
        os.kill(children(run.pid)[1], signal.SIGKILL)
        self.assertNotEqual(self.end_of(run).code, 0)
        self.assertFalse((self.folder / "out.h5").exists())

    def test_time_limit_writes_what_there_is(self):
        for ranks in (0, 3):
            for options in (ENDLESS, ENDLESS[:-2]):
                ending = self.run_program("solve", "x.npy", "y.npy", "-o", "out.h5", "--overwrite", *options,
                                          "--time-limit", "1s", ranks=ranks)
                self.assert_solved(ending, code=3)
                self.assertIn("time limit", ending.err)
                self.assertIn("--init out.h5", ending.err)
                with h5py.File(self.folder / "out.h5") as file:
                    status = file.attrs["status"]
                    self.assertEqual(status.decode() if isinstance(status, bytes) else status, "stopped")

    def test_progress_is_lines_with_error_and_goal(self):
        run = self.start()
        run.terminate()
        ending = self.end_of(run)
        line = [line for line in ending.err.splitlines() if line.startswith("half-pass ")][0]
        for word in ("epsilon", "goal 1.0e-12", "pairs/s"):
            self.assertIn(word, line)
        self.assertNotIn("\r", ending.err)


if __name__ == "__main__":
    unittest.main(verbosity=2)
