"""tools/convoy-plot: what it draws is true, and what it refuses is one line."""

import contextlib
import io
import os
import shutil
import subprocess
import sys
import unittest

import h5py
import numpy as np

from cells import Categories, add_frame
from picture_files import GROUPS, HAS_MATPLOTLIB, SIGNATURES, TOOLS, PictureTest
from program import Ending

if HAS_MATPLOTLIB:
    from convoy_plots import clouds, convergence, epsilons, files, pixels, program, projection, transition, transport
    from convoy_plots.crc32c import crc32c
    from convoy_plots.refused import Refused

DRAWN = (  # that can be drawn of these files
    ("convergence", "run.h5"), ("convergence", "run.h5", "early.h5", "sharp.h5", "--labels", "a,b,c"),
    ("convergence", "model.h5", "--against", "seconds"), ("convergence", "apart.h5"),
    ("transition", "query.h5"), ("transition", "query.h5", "--show", "backward", "--sort"),
    ("transition", "query.h5", "--show", "joint"),
    ("points", "images.h5"), ("points", "run.h5", "query.h5"), ("points", "back.h5", "--lines", "0"),
    ("points", "model-images.h5", "--most", "20"), ("points", "line-images.h5"), ("points", "wide-query.h5"),
    ("images", "wide-query.h5", "--shape", "3x4"), ("images", "wide-query.h5", "--shape", "2x2x3", "--rows", "3,0,3"),
    ("images", "wide-query.h5", "--shape", "2x2x3", "--order", "planes", "--count", "2", "--range", "0,2"),
    ("interpolation", "query.h5"), ("interpolation", "query.h5", "--of", "samples"),
    ("interpolation", "wide-query.h5"), ("interpolation", "wide-query.h5", "--shape", "3x4", "--count", "2"),
    ("path", "model.h5"), ("path", "model.h5", "model-images.h5"),
    ("epsilons", "run.h5", "sharp.h5", "early.h5"))

REFUSED = (  # and what is said
    (("convergence", "images.h5"), ("mapped points", "needs the result", "it serves points, images")),
    (("transition", "run.h5"), ("result of solve", "--transition", "convergence, epsilons")),
    (("path", "run.h5"), ("needs a model of convoy progot",)),
    (("interpolation", "images.h5"), ("--interpolate",)),
    (("epsilons", "query.h5", "run.h5"), ("a query", "needs the result")),
    (("epsilons", "run.h5"), ("one result", "two or more")),
    (("epsilons", "run.h5", "wide.h5"), ("another source",)),
    (("points", "run.h5"), ("convoy map",)),
    (("points", "images.h5", "wide.h5"), ("another result", "run.h5")),
    (("points", "query.h5", "wide.h5"), ("other points",)),
    (("points", "query.h5", "query.h5"), ("second of its kind",)),
    (("points", "x.npy"), ("not one of Convoy's",)),
    (("points", "none.h5"), ("no such file",)),
    (("points", "."), ("folder",)),
    (("points", "images.h5", "--source", "y.npy"), ("70 rows", "90 points")),
    (("points", "images.h5", "--most", "0"), ("--most",)),
    (("points", "images.h5", "--lines", "many"), ("--lines",)),
    (("points",), ("FILE",)),
    (("images", "wide-query.h5"), ("--shape",)),
    (("images", "wide-query.h5", "--shape", "5x5"), ("25 numbers", "have 12")),
    (("images", "wide-query.h5", "--shape", "0x0"), ("28x28",)),
    (("images", "wide-query.h5", "--shape", "big"), ("28x28",)),
    (("images", "wide-query.h5", "--shape", "3x4", "--rows", "99"), ("no row 99", "0 to 39")),
    (("images", "wide-query.h5", "--shape", "3x4", "--range", "1,1"), ("--range",)),
    (("convergence", "run.h5", "--labels", "a,b"), ("2 labels", "1 files")),
    (("cake", "run.h5"), ("cake", "convergence", "transition")),
    (("transition", "query.h5", "query.h5"), ("one file too many",)))


class Pictures(PictureTest):
    def test_every_kind_is_drawn(self):
        for number, words in enumerate(DRAWN):
            with self.subTest(words):
                self.assert_drawn(self.plot(*words, "-o", f"{number}.png", "--dpi", "40"), f"{number}.png")

    def test_the_script_draws_every_format_and_twice_the_same(self):
        for suffix in SIGNATURES:
            contents = []
            for name in "first", "again":
                output = f"{name}.{suffix}"
                done = subprocess.run([sys.executable, TOOLS / "convoy-plot", "points", "query.h5", "-o", output],
                                      timeout=60, text=True, stdin=subprocess.DEVNULL, capture_output=True)
                contents.append(self.assert_drawn(Ending(done.returncode, done.stdout, done.stderr), output))
            self.assertEqual(*contents)

    def test_help_teaches_and_each_kind_has_its_own(self):
        for words in ((), *((kind.NAME,) for kind in program.KINDS)):
            ending = self.plot(*words, "--help")
            self.assertEqual(ending.code, 0)
            self.assertIn("convoy-plot ", ending.out)
            self.assertGreater(len(ending.out.splitlines()), 20)

    def test_what_cannot_be_drawn_is_refused_in_a_line(self):
        for words, said in REFUSED:
            with self.subTest(words):
                self.assert_one_line(self.plot(*words, "-o", "out.png"), *said)

    def test_outputs(self):
        (self.folder / "there.png").write_text("mine")
        for output, said in (("there.png", "--overwrite"), ("out.jpg", ".svg"), ("none/out.png", "folder"),
                             ("out", ".png")):
            self.assert_one_line(self.plot("convergence", "run.h5", "-o", output), said, outputs=())
        self.assertEqual((self.folder / "there.png").read_text(), "mine")
        self.assert_one_line(self.plot("convergence", "run.h5"), "-o")
        ending = self.plot("convergence", "run.h5", "-o", "there.png", "--overwrite", "--title", "$ & <mine>")
        self.assert_drawn(ending, "there.png")


class Truth(PictureTest):
    """What is in the figures."""

    def test_convergence_shows_the_history_the_goal_and_the_audit(self):
        figure = convergence.draw([self.opened("run.h5")])
        with h5py.File("run.h5") as file:
            error, passes = file["history/marginal_error"][:], file["history/half_pass"][:]
            audited, goal = (file["solution"].attrs[name] for name in ("audited_error", "tolerance"))
        history, mark, line = figure.axes[0].lines[:3]
        np.testing.assert_array_equal(history.get_xydata(), np.column_stack([passes, error])[np.isfinite(error)])
        np.testing.assert_array_equal(mark.get_xydata(), [[passes[-1], audited]])
        self.assertEqual((mark.get_marker(), line.get_ydata()[0]), ("D", goal))
        crossed = convergence.draw([self.opened("early.h5")]).axes[0].lines[1]
        self.assertEqual(crossed.get_marker(), "X")

    def test_a_sweep_is_in_the_order_of_epsilon(self):
        axes = epsilons.draw([self.opened(name) for name in ("run.h5", "sharp.h5")]).axes
        for axis, name in (axes[0], "transport_cost"), (axes[1], "half_passes"), (axes[2], "kl"):
            expected = []
            for run in "sharp.h5", "run.h5":
                with h5py.File(run) as file:
                    expected.append([file["solution"].attrs["epsilon"], file["solution"].attrs[name]])
            np.testing.assert_array_equal(axis.lines[0].get_xydata(), expected)

    def test_transitions_are_written_as_they_are(self):
        figure = transition.draw([self.opened("query.h5")])
        with h5py.File("query.h5") as file:
            forward, same = file["transition/forward"][:], file["transition"].attrs["equal_mass"]
        written = [text.get_text() for text in figure.axes[0].texts]
        self.assertEqual(written, [f"{value:.2f}".removeprefix("0") for value in forward.ravel()])
        self.assertIn(f"{same:.1%}", figure._suptitle.get_text())
        self.assertEqual([text.get_text() for text in figure.axes[0].get_yticklabels()], sorted(GROUPS))

    def test_a_query_and_a_map_say_where_points_go(self):
        with transport.Transport([self.opened("query.h5")]) as way:
            np.testing.assert_array_equal(way.moving.rows(np.arange(90)), self.x)
            np.testing.assert_array_equal(way.destination.rows(np.array([0, 69])), self.y[[0, 69]])
            with h5py.File("query.h5") as file:
                np.testing.assert_array_equal(way.match, file["match/source/index"])
        with transport.Transport([self.opened("images.h5")]) as mapped:
            # Plain squared distances: the map at a source point is the mean of its row of the plan.
            np.testing.assert_allclose(mapped.images.rows(np.arange(90)), way.images.rows(np.arange(90)), atol=2e-3)
        with transport.Transport([self.opened("back.h5")]) as back:
            np.testing.assert_array_equal(back.moving.rows(np.arange(70)), self.y)
            self.assertEqual((back.destination.count, back.names), (90, ("y", "x")))

    def test_what_the_program_itself_answers_is_drawn(self):
        np.save("groups-x.npy", np.arange(90) % 3)
        np.save("groups-y.npy", np.arange(70) % 2)
        ending = self.run_program("query", "run.h5", "--match", "--top-k", "3", "--sample", "50", "--barycentric",
                                  "--interpolate", "0,0.5,1", "--entropy", "--marginals",
                                  "--source-labels", "groups-x.npy", "--target-labels", "groups-y.npy",
                                  "-o", "answers.h5", "-q")
        self.assertEqual(ending.code, 0, str(ending))
        for words in (("points",), ("interpolation", "--of", "samples"), ("transition",)):
            self.assert_drawn(self.plot(*words, "answers.h5", "-o", f"{words[0]}.png"), f"{words[0]}.png")
        ending = self.report("run.h5", "answers.h5", "-o", "answers.html")
        self.assertEqual((ending.code, ending.err), (0, ""), str(ending))
        self.assertNotIn("Not drawn", (self.folder / "answers.html").read_text())
        # The fabricated ones of these tests are as the program's.
        with h5py.File("answers.h5") as real, h5py.File("query.h5") as made:
            np.testing.assert_allclose(real["barycentric"], made["barycentric"], atol=1e-6)
            np.testing.assert_array_equal(real["match/source/index"], made["match/source/index"])
            for name in "entropy/source", "growth", "top_share", "match/target/probability":
                np.testing.assert_allclose(real[name], made[name], rtol=1e-4)
            self.assertEqual(set(real["transition"]), set(made["transition"]))

    def test_principal_directions_are_those_of_the_covariance(self):
        random = np.random.default_rng(0)
        for d in 3, 20, 700:
            points = random.normal(size=(120, d)) * np.linspace(1, 0.1, d)
            points[:, :2] *= (30, 10)
            points -= points.mean(0)
            values, exact = np.linalg.svd(points, full_matrices=False)[1:]
            directions, shares = projection.principal_directions(points)
            np.testing.assert_allclose(np.abs((directions * exact[:2].T).sum(0)), 1, atol=1e-6)
            np.testing.assert_allclose(shares, values[:2] ** 2 / (values ** 2).sum(), rtol=1e-6)

    def test_orders_of_colours(self):
        point = np.arange(12.0)
        together, planes = (pixels.Pixels("2x2x3", order, 12, "a file").image(point) for order in pixels.ORDERS)
        np.testing.assert_array_equal(together[0, 1], [3, 4, 5])
        np.testing.assert_array_equal(planes[0, 1], [1, 5, 9])
        np.testing.assert_array_equal(pixels.Pixels("3x2x2", None, 12, "a file").image(point), planes)


class Points(PictureTest):
    """They are the run's, or refused."""

    def cloud(self, name, side="source", given=None):
        return clouds.cloud_of(self.opened(name), side, given)

    def rows(self, name):
        """All of its source."""
        with files.ConvoyFile(name) as file:
            cloud = clouds.cloud_of(file, "source")
            return cloud.rows(np.arange(cloud.count))

    def test_checksums_are_the_programs(self):
        self.assertEqual(crc32c(np.frombuffer(b"123456789", np.uint8)), 0xE3069283)
        data = np.random.default_rng(1).random(70001)
        for cut in 0, 1, 4096, 65537:
            self.assertEqual(crc32c(data[cut:], crc32c(data[:cut])), crc32c(data))

    def test_changed_and_missing_points_are_refused_and_others_may_be_given(self):
        np.save("x.npy", self.x + 1e-9)
        os.remove("y.npy")
        shutil.copy(self.made / "run.h5", "run.h5")
        with h5py.File("run.h5", "r+") as file:  # it knows of the folder where it was made
            for side in "source", "target":
                file[f"inputs/{side}"].attrs["absolute_path"] = ""
        with self.assertRaisesRegex(Refused, "x.npy: is not what .* --source FILE.npy"):
            self.cloud("run.h5")
        with self.assertRaisesRegex(Refused, "no longer there; .* --target FILE.npy"):
            self.cloud("run.h5", "target")
        np.save("moved.npy", self.y)
        np.testing.assert_array_equal(self.cloud("run.h5", "target", "moved.npy").rows([3]), self.y[[3]])
        with contextlib.redirect_stderr(io.StringIO()) as said:
            self.cloud("run.h5", "source", "x.npy")
        self.assertIn("taken as they are", said.getvalue())

    def test_embedded_points_and_scales(self):
        np.testing.assert_array_equal(self.rows("stored.h5"), self.x / 4)
        with h5py.File("stored.h5", "r+") as file:
            del file["source/points"]
        np.testing.assert_array_equal(self.rows("stored.h5"), self.x / 4)
        for text, expected in ("1/255", (1 / 255, 0)), ("1/127.5-1", (1 / 127.5, -1)), ("2e-3", (2e-3, 0)):
            self.assertEqual(clouds.parse_scaling(text), expected)

    def test_chosen_cells(self):
        random = np.random.default_rng(5)
        points = random.normal(size=(30, 3)).astype("f4")
        zones, days = random.integers(-1, 3, 30), random.choice([10.0, 10.5], 30)
        for generation in "groups", "references":
            with h5py.File(f"{generation}.h5ad", "w") as file:
                add_frame(file, "obs", [f"c{k}" for k in range(30)],
                          {"zone": Categories(zones, ["root, old", "stem", "leaf"]), "day": days}, generation)
                file["obsm/X_pca"] = points
            cells = f"{generation}.h5ad"
            for k, (where, expected) in enumerate((
                    (["zone=stem,leaf"], zones > 0), (["zone=root, old"], zones == 0),
                    (["zone!=leaf"], (zones >= 0) & (zones < 2)), (["day=10.50"], days == 10.5),
                    (["day=10", "zone!=stem"], (days == 10) & (zones >= 0) & (zones != 1)))):
                words = [word for condition in where for word in ("--source-where", condition)]
                output = f"{generation}-{k}.h5"
                ending = self.run_program("solve", cells, cells, *words, "-o", output, "-q")
                self.assert_solved(ending, output=output)
                # The noted checksum has agreed, too.
                np.testing.assert_array_equal(self.rows(output), points[expected])


if __name__ == "__main__":
    unittest.main()
