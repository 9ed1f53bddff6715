"""Pictures and reports of damaged files: a line each."""

import shutil
import unittest
import unittest.mock

import h5py
import numpy as np

from picture_files import HAS_MATPLOTLIB, PictureTest

if HAS_MATPLOTLIB:
    from convoy_plots import style


class Damage(PictureTest):
    """Nothing a file may hold leads to more than a line."""

    def setUp(self):
        super().setUp()
        saved = unittest.mock.patch.object(style, "save")  # what is left would be drawn without reading
        saved.start()
        self.addCleanup(saved.stop)

    def assert_handled(self, name, kinds, says=None, report=True):
        tries = [[kind, name] for kind in kinds]
        endings = [(words, self.plot(*words, *["--shape", "3x4"] * (words[0] == "images"), "-o", "out.png"))
                   for words in tries]
        if report:
            endings.append((("report", name), self.report(name, "-o", "out.html", "--overwrite")))
        for words, ending in endings:
            with self.subTest(words):
                self.assertIn(ending.code, (0, 2), str(ending))
                self.assertLessEqual(ending.err.count("\n"), 1, str(ending))
                if says:
                    self.assertEqual(ending.code, 2)
                    self.assertIn(says, ending.err)

    def test_other_and_unfinished_files(self):
        def change(name, **attributes):
            shutil.copy("run.h5", name)
            with h5py.File(name, "r+") as file:
                file.attrs.update(attributes)

        change("incomplete.h5", complete=np.uint8(0))
        change("newer.h5", format_version=9)
        change("other.h5", format="cake")
        with h5py.File("bare.h5", "w"):
            pass
        (self.folder / "empty.h5").write_bytes(b"")
        for name, says in (("incomplete.h5", "incomplete"), ("newer.h5", "version 9"),
                           ("other.h5", "not one of Convoy's"), ("bare.h5", "not one of Convoy's"),
                           ("empty.h5", "no HDF5")):
            self.assert_one_line(self.plot("convergence", name, "-o", "out.png"), says)
            self.assert_one_line(self.report(name, "-o", "out.html"), says, outputs=("out.html",))

    def test_truncated_files(self):
        content = (self.folder / "query.h5").read_bytes()
        for share in 0.02, 0.5, 0.98:
            (self.folder / "cut.h5").write_bytes(content[:int(len(content) * share)])
            self.assert_handled("cut.h5", ["points", "transition"], "error: ")

    def check(self, name, paths, *kinds):
        for path in paths:
            for change in "gone", "text", "short", "linked":
                shutil.copy(name, "changed.h5")
                with h5py.File("changed.h5", "r+") as file:
                    was = file[path][()] if isinstance(file[path], h5py.Dataset) else None
                    del file[path]
                    if change == "text":
                        file[path] = "cake"
                    elif change == "short" and was is not None and was.dtype.kind in "if":
                        file[path] = was[:1] + 10 ** 6
                    elif change == "linked":
                        file[path] = h5py.ExternalLink("run.h5", "/potentials/f")
                with self.subTest(name, path=path, change=change):
                    self.assert_handled("changed.h5", kinds, report=change == "gone" or path.startswith("timing"))

    def test_parts_of_results_that_lack_or_are_something_else(self):
        self.check("run.h5", ("history", "history/epsilon", "solution", "inputs/source", "timing/mean"), "convergence")

    def test_parts_of_models(self):
        self.check("model.h5", ("steps/epsilon", "steps/source_2"), "path")

    def test_parts_of_mapped_points(self):
        self.check("images.h5", ("points", "model", "inputs"), "points")

    def test_parts_of_queries(self):
        self.check("query.h5", ("pairs/target", "match/source/index", "barycentric", "model"), "points")
        self.check("query.h5", ("transition/source_levels",), "transition")
        self.check("query.h5", ("interpolation/points_2",), "interpolation")

    def test_absurd_sizes(self):
        shutil.copy("images.h5", "huge.h5")
        with h5py.File("huge.h5", "r+") as file:
            del file["points"]
            file.create_dataset("points", shape=(2 ** 40, 2 ** 20), dtype="f8", chunks=(1024, 1024))
        self.assert_one_line(self.plot("points", "huge.h5", "-o", "out.png"), "huge.h5")
        shutil.copy("run.h5", "huge.h5")
        with h5py.File("huge.h5", "r+") as file:
            del file["history/epsilon"]
            file.create_dataset("history/epsilon", shape=(2 ** 45,), dtype="f8", chunks=(2 ** 20,))
        self.assert_one_line(self.plot("convergence", "huge.h5", "-o", "out.png"), "too large")


if __name__ == "__main__":
    unittest.main()
