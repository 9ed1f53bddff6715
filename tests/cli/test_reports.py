"""tools/convoy-report: what a page says is true, whole and safe."""

import base64
import html.parser
import os
import re
import shutil
import subprocess
import sys
import unittest

import h5py

from picture_files import SIGNATURES, TOOLS, PictureTest


class Page(html.parser.HTMLParser):
    def __init__(self, content):
        super().__init__()
        self.tags, self.texts, self.pictures = [], [], []
        self.feed(content)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag == "img":
            self.pictures.append(dict(attributes)["src"])

    def handle_data(self, data):
        self.texts.append(data)


class Reports(PictureTest):
    def page(self, *words):
        ending = self.report(*words, "-o", "out.html", "--overwrite")
        self.assertEqual((ending.code, ending.out, ending.err), (0, "wrote out.html\n", ""), str(ending))
        self.content = (self.folder / "out.html").read_text()
        page = Page(self.content)
        page.text = " ".join(page.texts)
        for picture in page.pictures:
            kind, data = re.fullmatch(r"data:image/(svg\+xml|png);base64,(.*)", picture).groups()
            self.assertTrue(base64.b64decode(data).startswith(SIGNATURES["svg" if kind.startswith("svg") else "png"]))
        self.assertEqual(set(page.tags) & {"script", "link", "iframe", "object", "a"}, set())
        return page

    def test_a_result_is_told_in_full(self):
        page = self.page("run.h5")
        with h5py.File("run.h5") as file:
            solution, inputs = dict(file["solution"].attrs), dict(file["inputs/source"].attrs)
            command = file["run"].attrs["command"]
        values = [f"{solution[name]:.10g}" for name in ("transport_cost", "dual_value", "kl", "epsilon")]
        for words in (command, *values, f"{solution['audited_error']:.2e}", f"{inputs['checksum']:08x}", "x.npy",
                      "90 \u00d7 2", "all rows and all columns", "converged", "MPI ranks", "Cuturi", "of which kernel"):
            self.assertIn(words, page.text)
        self.assertEqual(len(page.pictures), 2)
        self.assertNotIn("Progressive", page.text)

    def test_models_divergences_maps_and_queries(self):
        page = self.page("model.h5", "model-images.h5")
        for words in "Kassraie", "Pooladian", "Steps":
            self.assertIn(words, page.text)
        self.assertEqual(len(page.pictures), 5)  # history, path, points, two of timing
        page = self.page("apart.h5")
        self.assertIn("The three terms", page.text)
        with h5py.File("apart.h5") as file:
            self.assertIn(f"{file['divergence'].attrs['divergence']:.10g}", page.text)
        page = self.page("back.h5")
        self.assertIn("backward", page.text)
        self.assertEqual(len(self.page("run.h5", "query.h5", "images.h5").pictures), 10)
        self.assertEqual(len(self.page("wide-query.h5", "--shape", "3x4").pictures), 6)

    def test_what_did_not_converge_is_said_first(self):
        page = self.page("early.h5")
        self.assertIn("warning", self.content)
        self.assertLess(page.text.index("not converged"), page.text.index("What was run"))

    def test_points_that_are_gone_are_said_to_be(self):
        os.remove("x.npy")
        with h5py.File("images.h5", "r+") as file:
            file["inputs/points"].attrs["absolute_path"] = ""
        page = self.page("run.h5", "images.h5")
        self.assertIn("Not drawn: transported points", page.text)

    def test_all_text_is_escaped(self):
        evil = "<script>alert('&')</script>\x07\x1b[31m"
        shutil.copy("query.h5", "evil.h5")
        with h5py.File("evil.h5", "r+") as file:
            file.attrs["version"] = file["run"].attrs["command"] = file["model"].attrs["path"] = evil
            file["inputs/source"].attrs.update(path=evil, where=evil + "\n" + evil, weights_path=evil)
            file["transition"].attrs["column"] = evil
            file["timing/phase"][0] = evil
        page = self.page("evil.h5", "--title", evil)
        self.assertNotIn("<script", self.content)
        self.assertNotRegex(self.content, "[\x00-\x08\x0b-\x1f]")
        self.assertIn("<script>alert('&')</script>", page.text)

    def test_what_does_not_belong_is_refused(self):
        for words, said in ((("run.h5", "wide-query.h5"), "another result"),
                            (("wide.h5", "images.h5"), "another result"), (("run.h5", "sharp.h5"), "one result"),
                            (("query.h5", "images.h5"), "result first"), (("x.npy",), "x.npy")):
            self.assert_one_line(self.report(*words, "-o", "out.html"), said, outputs=("out.html",))
        self.assert_one_line(self.report("run.h5", "-o", "out.txt"), ".html", outputs=("out.txt",))
        (self.folder / "out.html").write_text("mine")
        self.assert_one_line(self.report("run.h5", "-o", "out.html"), "--overwrite", outputs=())
        self.assertEqual((self.folder / "out.html").read_text(), "mine")

    def test_the_script(self):
        done = subprocess.run([sys.executable, TOOLS / "convoy-report", "run.h5", "-o", "page.html"], timeout=60,
                              text=True, stdin=subprocess.DEVNULL, capture_output=True)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "wrote page.html\n", ""))


if __name__ == "__main__":
    unittest.main()
