"""Arrays and images of every format, and what is done with them when they are read."""

import gzip
import os
import struct
import unittest

import h5py
import numpy as np

from arrays import bfloat16, cifar, idx, safetensors, write_every_format
from maps import softmax_map
from program import ProgramTest

LUMA = np.array([0.299, 0.587, 0.114])
RANKS = (0, 2, 3, 4, 7)


def blurred(images, sigma):
    """(n, height, width), zero padding, the kernel not cut off."""
    def kernel(size):
        k = np.arange(size)
        wide = np.arange(-1000, 1001)
        return np.exp(-((k[:, None] - k) ** 2) / (2 * sigma ** 2)) / np.exp(-(wide ** 2) / (2 * sigma ** 2)).sum()
    return kernel(images.shape[1]) @ images @ kernel(images.shape[2])


class ArraysTest(ProgramTest):
    def points(self, source, *options, target="y.npy", ranks=0):
        """The source's points as they are solved."""
        ending = self.run_program("solve", source, target, "--store-points", "--epsilon", "10mean", "-o", "out.h5",
                                  "--overwrite", "-q", *options, ranks=ranks)
        self.assert_solved(ending)
        with h5py.File(self.folder / "out.h5") as file:
            self.input = dict(file["inputs/source"].attrs)
            return file["source/points"][:]


class Formats(ArraysTest):
    def setUp(self):
        super().setUp()
        self.a = np.random.default_rng(1).integers(0, 256, (61, 6)).astype("f8")
        self.save("y.npy", self.a[:20] + 1)
        self.inputs = write_every_format(self.folder, self.a)

    def test_hold_the_same_matrix(self):
        for name in self.inputs:
            for ranks in (0, 3):
                with self.subTest(name, ranks=ranks):
                    np.testing.assert_array_equal(self.points(name, ranks=ranks), self.a)

    def test_give_some_columns(self):
        with h5py.File(self.folder / "chunks.h5", "w") as file:
            for width in (1, 2, 3, 4, 6):  # wanted columns may begin within a chunk, and be as many as one has
                file.create_dataset(str(width), data=self.a, chunks=(7, width), compression="gzip")
        for first in range(6):
            for end in range(first + 1, 7):
                self.save("y.npy", self.a[:20, first:end] + 1)
                for width in (1, 2, 3, 4, 6):
                    with self.subTest(first=first, end=end, width=width):
                        got = self.points(f"chunks.h5#{width}", "--source-columns", f"{first}:{end}")
                        np.testing.assert_array_equal(got, self.a[:, first:end])
        for columns, expected in (("2:5", self.a[:, 2:5]), ("4,0:2", self.a[:, [4, 0, 1]]), (":1", self.a[:, :1]),
                                  ("3:", self.a[:, 3:])):
            self.save("y.npy", expected[:20] + 1)
            for name in self.inputs if columns == "4,0:2" else ("c.npy", "fortran.npy", "a.h5#X", "a-idx2-ubyte.gz"):
                with self.subTest(name, columns=columns):
                    got = self.points(name, "--source-columns", columns, ranks=0 if len(columns) > 3 else 3)
                    np.testing.assert_array_equal(got, expected)

    def test_are_transposed(self):
        t = self.a.T.copy()
        self.save("t.npy", t)
        self.save("tf.npy", np.asfortranarray(t))
        np.savez(self.folder / "t.npz", t)
        (self.folder / "t.raw").write_bytes(t.tobytes())
        # Files of a pattern have points each: every one is transposed by itself.
        for k, part in enumerate(np.array_split(t, 2, axis=1)):
            self.save(f"half{k}.npy", part)
            with h5py.File(self.folder / f"half{k}.h5", "w") as file:
                file.create_dataset("data", data=part, chunks=(1, part.shape[1]))
        with h5py.File(self.folder / "chunks.h5", "w") as file:
            file.create_dataset("rows", data=t, chunks=(1, 61), compression="gzip")
            file.create_dataset("tiles", data=t, chunks=(4, 7), compression="gzip")
        self.save("y.npy", self.a[:20, 1:4])
        for name in ("t.npy", "tf.npy", "t.npz", "t.raw#f8:6x61", "half*.npy", "half*.h5#data", "a.h5#XT",
                     "chunks.h5#rows", "chunks.h5#tiles"):
            for ranks in (0, 3, 7):
                with self.subTest(name, ranks=ranks):
                    got = self.points(name, "--source-transpose", "--source-columns", "1:4", ranks=ranks)
                    np.testing.assert_array_equal(got, self.a[:, 1:4])
                    self.assertEqual((self.input["rows"], self.input["columns"], self.input["dimension"]), (61, 3, 3))
        for name in ("a.csv", "packed.npz", "a-idx2-ubyte.gz"):
            with self.subTest(name):
                ending = self.run_program("check", name, "--transpose")
                self.assert_refused(ending, name, "cannot be transposed", "write it as .npy or HDF5", outputs=())

    def test_of_more_dimensions_are_images(self):
        images = np.random.default_rng(2).integers(0, 256, (9, 5, 7)).astype("u1")
        colours = np.random.default_rng(3).integers(0, 256, (9, 5, 7, 3)).astype("u1")
        np.savez(self.folder / "i.npz", grey=images, rgb=colours, planes=colours.transpose(0, 3, 1, 2))
        (self.folder / "i-idx3-ubyte").write_bytes(idx(images))
        (self.folder / "narrow.idx").write_bytes(idx(images[:, :, :2]))
        (self.folder / "i.safetensors").write_bytes(safetensors(rgb=colours))
        (self.folder / "i.raw").write_bytes(images.tobytes())
        luma = colours @ LUMA
        self.save("y.npy", np.ones((2, 35)))
        for name, options, expected in (("i.npz#grey", (), images), ("i-idx3-ubyte", (), images),
                                        ("i.raw#u1:9x5x7", ("--source-blur", "2"), blurred(images, 2)),
                                        ("i-idx3-ubyte", ("--source-blur", "2"), blurred(images, 2)),
                                        ("i.npz#rgb", ("--source-grayscale",), luma),
                                        ("i.npz#planes", ("--source-grayscale",), luma),
                                        ("i.safetensors", ("--source-grayscale", "--source-blur", "2"),
                                         blurred(luma, 2))):
            with self.subTest(name, options=options):
                np.testing.assert_allclose(self.points(name, *options), expected.reshape(9, 35), atol=1e-11)
        self.save("y.npy", np.ones((2, 10)))
        np.testing.assert_array_equal(self.points("narrow.idx"), images[:, :, :2].reshape(9, 10))


class Preparation(ArraysTest):
    def setUp(self):
        super().setUp()
        self.images = np.random.default_rng(1).integers(0, 256, (23, 3, 32, 32)).astype("u1")
        for k, part in enumerate(np.array_split(self.images, 4)):
            (self.folder / f"batch_{k}.bin").write_bytes(cifar(part, np.arange(len(part)) % 10))
        self.grey = np.einsum("c,ncij->nij", LUMA, self.images)
        self.save("y.npy", np.zeros((4, 1024)))

    def test_is_done_in_order(self):
        expected = blurred(self.grey / 127.5 - 1, 4).reshape(23, -1)
        options = ("--source-grayscale", "--source-scale", "1/127.5-1", "--source-blur", "4")
        for ranks in RANKS:
            for name in ("batch_*.bin", "batch_?.bin#images"):
                with self.subTest(name, ranks=ranks):
                    got = self.points(name, *options, ranks=ranks)
                    np.testing.assert_allclose(got, expected, atol=1e-13)
        self.assertEqual({key: self.input[key] for key in ("rows", "columns", "dimension", "transposed", "grayscale",
                                                           "image", "scaling", "blur", "chosen_columns")},
                         {"rows": 23, "columns": 3072, "dimension": 1024, "transposed": 0, "grayscale": 1,
                          "image": "3x32x32", "scaling": "1/127.5-1", "blur": 4.0, "chosen_columns": ""})

    def test_of_colours(self):
        expected = np.stack([blurred(self.images[:, c].astype("f8"), 1.5) for c in range(3)], 1).reshape(23, -1)
        self.save("y.npy", np.zeros((4, 3072)))
        np.testing.assert_allclose(self.points("batch_*.bin", "--source-blur", "1.5", ranks=3), expected, atol=1e-11)

    def test_of_rows_whose_shape_is_given(self):
        self.save("flat.npy", self.images.transpose(0, 2, 3, 1).reshape(23, -1))
        np.savetxt(self.folder / "flat.csv", self.images.reshape(23, -1), delimiter=",", fmt="%d")
        for name, shape in (("flat.npy", "32x32x3"), ("flat.csv", "3x32x32")):
            got = self.points(name, "--source-grayscale", "--source-image", shape, ranks=3)
            np.testing.assert_allclose(got, self.grey.reshape(23, -1), atol=1e-11)

    def test_for_both_sides_at_once_and_in_every_command(self):
        self.save("y.npy", np.zeros((1, 1024)))
        ending = self.run_program("solve", "batch_*.bin", "batch_*.bin", "--grayscale", "--scale", "1/127.5-1",
                                  "--source-blur", "2", "--store-points", "-o", "run.h5", "-q")
        self.assert_solved(ending, output="run.h5")
        target = (self.grey / 127.5 - 1).reshape(23, -1)
        with h5py.File(self.folder / "run.h5") as file:
            np.testing.assert_allclose(file["target/points"][:], target, atol=1e-13)
            g, epsilon = file["potentials/g"][:], file["solution"].attrs["epsilon"]
        # New points need not be of the same format.
        self.save("new.npy", self.images[:5].transpose(0, 2, 3, 1).reshape(5, -1) + 1)
        options = ("--grayscale", "--image", "32x32x3", "--scale", "1/127.5-1", "--blur", "2")
        ending = self.run_program("map", "run.h5", "new.npy", *options, "-o", "new.h5", "--precision", "double",
                                  ranks=3)
        self.assert_solved(ending, output="new.h5")
        z = blurred((self.grey[:5] + 1) / 127.5 - 1, 2).reshape(5, -1)
        with h5py.File(self.folder / "new.h5") as file:
            expected = softmax_map(z, target, np.full(23, 1 / 23), g, epsilon)
            np.testing.assert_allclose(file["points"][:], expected, atol=1e-9)
        ending = self.run_program("score", "run.h5", "new.npy", "batch_0.bin", "--grayscale", "--scale", "1/127.5-1",
                                  "--source-image", "32x32x3", "--source-blur", "2")
        self.assertEqual(ending.code, 0, str(ending))
        ending = self.run_program("check", "batch_*.bin", "--grayscale", "--blur", "2")
        self.assertEqual(ending.code, 0, str(ending))
        self.assertIn("grey levels of 3x32x32, blur 2", ending.out)

    def test_is_repeated_when_inputs_are_opened_again(self):
        t = np.random.default_rng(5).normal(size=(7, 40))
        self.save("t.npy", t)
        self.save("x.npy", np.random.default_rng(6).normal(size=(30, 3)))
        self.save("z.npy", np.random.default_rng(7).normal(size=(5, 3)))
        ending = self.run_program("solve", "x.npy", "t.npy", "--target-transpose", "--target-columns", "1:3,6",
                                  "--target-scale", "2-1", "-o", "run.h5", "-q", ranks=3)
        self.assert_solved(ending, output="run.h5")
        with h5py.File(self.folder / "run.h5") as file:
            g, epsilon = file["potentials/g"][:], file["solution"].attrs["epsilon"]
        expected = softmax_map(np.load(self.folder / "z.npy"), 2 * t[[1, 2, 6]].T - 1, np.full(40, 1 / 40), g, epsilon)

        def images(*options):
            ending = self.run_program("map", "run.h5", "z.npy", "-o", "out.h5", "--overwrite", "--precision", "double",
                                      *options, ranks=3)
            self.assert_solved(ending)
            with h5py.File(self.folder / "out.h5") as file:
                return file["points"][:]

        np.testing.assert_allclose(images(), expected, atol=1e-11)
        with h5py.File(self.folder / "moved.h5", "w") as file:
            file["t"] = t
        np.testing.assert_allclose(images("--target", "moved.h5#t"), expected, atol=1e-11)
        t[0] += 1  # not among the columns that were read
        self.save("t.npy", t)
        np.testing.assert_allclose(images(), expected, atol=1e-11)
        t[6, 2] += 1
        self.save("t.npy", t)
        ending = self.run_program("map", "run.h5", "z.npy", "-o", "new.h5")
        self.assert_refused(ending, "t.npy", "its numbers have changed", outputs=("new.h5",))

    def test_of_a_pattern_is_repeated_too(self):
        self.points("batch_*.bin", "--source-grayscale", "--source-columns", ":")
        ending = self.run_program("solve", "y.npy", "batch_*.bin", "--target-grayscale", "-o", "run.h5", "-q")
        self.assert_solved(ending, output="run.h5")
        self.save("z.npy", np.zeros((2, 1024)))
        self.assert_solved(self.run_program("map", "run.h5", "z.npy", "-o", "z.h5"), output="z.h5")
        (self.folder / "batch_9.bin").write_bytes((self.folder / "batch_0.bin").read_bytes())
        self.assert_refused(self.run_program("map", "run.h5", "z.npy", "-o", "new.h5"), "29 x 1024 numbers now",
                            "23 x 1024", outputs=("new.h5",))

    def test_of_self_terms_is_compared(self):
        x = np.random.default_rng(5).normal(size=(20, 12))
        self.save("x.npy", x)
        self.save("y.npy", x[:15] + 1)
        self.save("xt.npy", x.T.copy())

        def divergence(source, *options, **more):
            return self.run_program("divergence", source, "y.npy", "--epsilon", "3", "-q", "-o", "out.h5",
                                    "--overwrite", "--image", "3x4", "--target-blur", "1", *options, **more)

        self.assert_solved(divergence("x.npy", "--source-blur", "1"))
        (self.folder / "out.h5").rename(self.folder / "first.h5")
        ending = divergence("xt.npy", "--source-transpose", "--source-blur", "1", "--reuse", "first.h5", ranks=3)
        self.assert_solved(ending)
        with h5py.File(self.folder / "out.h5") as file:
            for side in ("source", "target"):
                self.assertEqual(file[f"divergence/{side}"].attrs["reused"], "first.h5")
        self.assert_solved(divergence("x.npy", "--source-blur", "2", "--reuse", "first.h5"))
        with h5py.File(self.folder / "out.h5") as file:
            self.assertEqual(file["divergence/source"].attrs["reused"], "")

    def test_option_misuse(self):
        for options, told in ((("--image", "32x32x3"), "--image has no effect"),
                              (("--source-image", "32x32x3"), "--source-image has no effect"),
                              (("--blur", "2", "--source-blur", "2"), "--blur and --source-blur both concern the source"),
                              (("--grayscale", "--target-grayscale"), "both concern the target"),
                              (("--blur", "0"), "--blur: 0 is not between"), (("--blur", "wide"), "--blur"),
                              (("--blur", "nan"), "--blur"), (("--source-columns", "5:2"), "--source-columns: '5:2'"),
                              (("--columns", ""), "--columns"), (("--columns", "a"), "--columns: 'a' names no columns"),
                              (("--columns", "-1"), "names no columns"), (("--columns", "1,,2"), "names no columns"),
                              (("--image", "32x32x32", "--blur", "1"), "--image: '32x32x32' is no shape"),
                              (("--source-scale", "1-"), "cannot scale by '1-'"),
                              (("--source-columns", "3000:4000"), "no columns 3000:4000"),
                              (("--source-blur", "2", "--source-image", "32x32"), "no images of 32x32"),
                              (("--source-columns", ":2", "--source-blur", "2"), "--source-image"),
                              (("--target-grayscale",), "--target-image")):
            with self.subTest(options):
                self.assert_refused(self.run_program("solve", "batch_*.bin", "y.npy", *options, "-o", "out.h5"), told)
        self.save("grey.npy", np.zeros((3, 1024)))
        self.assert_refused(self.run_program("check", "grey.npy", "--grayscale", "--image", "32x32"),
                            "are not red, green and blue")
        for option in ("--target-blur", "--merge-duplicates", "--standardize"):
            value = ("2",) if option == "--target-blur" else ()
            self.assert_refused(self.run_program("check", "grey.npy", option, *value), option, "without a TARGET")

    def test_help_names_each_option_once(self):
        page = self.run_program("solve", "--help").out
        self.assertEqual(page.count("  --blur"), 1)
        self.assertNotIn("  --source-blur", page)
        self.assertIn("--source-..., --target-...", page)


class Broken(ArraysTest):
    """One line, exit code 2, whatever is wrong with a file."""

    def refuse(self, name, *words, ranks=0):
        self.assert_refused(self.run_program("check", name, ranks=ranks), name.split("#")[0], *words)

    def test_patterns(self):
        self.refuse("none*.npy", "no file matches")
        self.save("a1.npy", np.zeros((3, 2)))
        self.save("a2.npy", np.zeros((3, 4)))
        ending = self.run_program("check", "a?.npy", ranks=3)
        self.assert_refused(ending, "a2.npy", "4 columns", "a1.npy")
        x = np.zeros((5, 2))
        x[3, 1] = np.nan
        self.save("a2.npy", x)
        for ranks in (0, 3):
            self.assert_refused(self.run_program("check", "a?.npy", ranks=ranks), "row 3, column 1 of 'a2.npy'")
        (self.folder / "b1.csv").write_text("1,2\n")
        (self.folder / "b2.csv").write_text("1,2\n\n3,x\n")
        self.assert_refused(self.run_program("check", "b*.csv"), "b2.csv", "line 3")
        # A file whose own name has such characters is that file.
        self.save("a*.npy", np.zeros((7, 2)))
        self.assertIn("7 x 2", self.run_program("check", "a*.npy").out)

    def test_outputs_do_not_replace_what_a_pattern_reads(self):
        self.save("part1.npy", np.zeros((3, 2)))
        self.save("part2.npy", np.ones((3, 2)))
        ending = self.run_program("solve", "part*.npy", "part1.npy", "-o", "part2.npy", "--overwrite")
        self.assert_refused(ending, "part2.npy", "an input of this run")

    def test_every_format_cut_anywhere(self):
        a = np.arange(24.0).reshape(4, 6)
        inputs = write_every_format(self.folder, a)
        for name in inputs:
            path = name.split("#")[0]
            if any(c in path for c in "*?[") or path.endswith((".csv", ".h5")):
                continue
            whole = (self.folder / path).read_bytes()
            for length in sorted({0, 1, 4, 7, 30, len(whole) // 2, len(whole) - 1}):
                (self.folder / f"cut-{path}").write_bytes(whole[:length])
                with self.subTest(name, length=length):
                    if name in ("a.raw#>f8:6", "a.bin#int16:6@17", "a.dat#bfloat16:6") and length == len(whole) // 2:
                        continue  # half of the rows are a file, too
                    self.assert_refused(self.run_program("check", f"cut-{name}"), f"cut-{path}")

    def test_of_idx(self):
        for content, word in ((b"\1\0\x08\1\0\0\0\1\0", "no IDX"), (b"\0\0\x07\1\0\0\0\1\0", "type 7"),
                              (b"\0\0\x08\0", "0 dimensions"), (b"\0\0\x08\5" + b"\0" * 30, "5 dimensions"),
                              (b"\0\0\x08\2\0\0\0\0\0\0\0\1", "empty"), (b"\0\0\x08\2\0\0\1\0\0\0\1\0", "truncated"),
                              (b"\0\0\x08\4" + b"\xff" * 16, "too large"),
                              (idx(np.zeros((2, 3), "f8")) + b"x", "1 bytes follow")):
            (self.folder / "a.idx").write_bytes(content)
            (self.folder / "a.idx.gz").write_bytes(gzip.compress(content))
            with self.subTest(content):
                self.refuse("a.idx", word)
                unpacked = {"1 bytes follow": "bytes follow", "truncated": "too large"}.get(word, word)
                self.refuse("a.idx.gz", unpacked, ranks=3)
        (self.folder / "a.idx.gz").write_bytes(gzip.compress(idx(np.zeros((100, 3), "f8")))[:-9])
        self.refuse("a.idx.gz", "truncated")
        self.refuse("a.idx#x", "no 'x'")

    def test_numbers_that_are_not_finite(self):
        a = np.arange(24.0).reshape(4, 6)
        a[3, 1] = np.nan
        self.save("c.npy", a)
        self.save("f.npy", np.asfortranarray(a.astype(">f4")))
        np.savez(self.folder / "s.npz", x=a)
        np.savez_compressed(self.folder / "p.npz", x=a)
        (self.folder / "t.safetensors").write_bytes(safetensors(f2=a.astype("f2"), bf=("BF16", a.shape, bfloat16(a))))
        (self.folder / "a.idx").write_bytes(idx(a))
        (self.folder / "a.idx.gz").write_bytes(gzip.compress(idx(a)))
        (self.folder / "a.raw").write_bytes(a.astype(">f8").tobytes())
        with h5py.File(self.folder / "a.h5", "w") as file:
            file["X"] = a
        for name in ("c.npy", "f.npy", "s.npz#x", "p.npz#x", "t.safetensors#f2", "t.safetensors#bf", "a.idx", "a.idx.gz",
                     "a.raw#float64be:6", "a.h5#X"):
            with self.subTest(name):
                self.refuse(name, "1 value that is not finite", "row 3, column 1", ranks=3)
        for options in (("--columns", ":1"), ("--columns", "2:"), ("--columns", "0,5:")):
            self.assertEqual(self.run_program("check", "c.npy", *options).code, 0)
        ending = self.run_program("check", "c.npy", "--transpose", "--columns", "3", ranks=3)
        self.assert_refused(ending, "row 3, column 1")

    def test_swapped_bytes(self):
        """Of a header: a shape that no file has. Of numbers, only where the result is none."""
        good = idx(np.zeros((3, 2), "u1"))
        (self.folder / "a.idx").write_bytes(good[:4] + struct.pack("<2I", 3, 2) + good[12:])
        self.refuse("a.idx", "truncated")
        (self.folder / "a.idx").write_bytes(good[:4][::-1] + good[4:])
        self.refuse("a.idx", "no IDX")
        good = safetensors(x=np.zeros((3, 2), "f4"))
        (self.folder / "a.safetensors").write_bytes(good[:8][::-1] + good[8:])
        self.refuse("a.safetensors", "longer than")
        (self.folder / "a.raw").write_bytes(np.full(6, 240 * 2.0 ** 120, "f4").tobytes() + b"\x7f\x80\0\1" * 6)
        self.refuse("a.raw#float32be:6", "not finite")

    def test_of_npy(self):
        whole = (b"\x93NUMPY\1\0", "{'descr': '%s', 'fortran_order': %s, 'shape': %s, }")
        for descr, order, shape, word in (("<f8", "False", "(4611686018427387904, 4)", ""),
                                          ("<f8", "False", "(9223372036854775808,)", ""),
                                          ("<f8", "False", "(-1, 4)", ""), ("<f8", "False", "(2, 0)", ""),
                                          ("<f8", "False", "()", ""), ("<c16", "False", "(1, 2)", ""),
                                          ("|O", "False", "(1, 2)", ""), ("<f8", "Maybe", "(1, 2)", ""),
                                          ("<f8", "False", "(1, 2", ""), ("<U9", "False", "(1, 2)", "")):
            text = (whole[1] % (descr, order, shape)).encode()
            (self.folder / "a.npy").write_bytes(whole[0] + struct.pack("<H", len(text)) + text + b"\0" * 32)
            with self.subTest(descr=descr, order=order, shape=shape):
                self.refuse("a.npy", word)
        (self.folder / "a.npy").write_bytes(whole[0] + b"\xff\xff" + b" " * 50)
        self.refuse("a.npy")
        (self.folder / "a.npy").write_bytes(b"\x93NUMPX" + b" " * 50)
        self.refuse("a.npy")

    def test_of_cifar(self):
        images = np.zeros((4, 3, 32, 32), "u1")
        (self.folder / "a.bin").write_bytes(cifar(images, [1, 2, 3, 10]))
        self.refuse("a.bin", "record 3 has the label 10", "#float32:60000x1024")
        (self.folder / "a.bin").write_bytes(cifar(images, [1, 2, 3, 4]) + b"x")
        self.refuse("a.bin", "no multiple of 3073")
        self.refuse("a.bin#pictures", "no 'pictures'")

    def test_of_raw_numbers(self):
        (self.folder / "a.raw").write_bytes(b"\0" * 240)
        for key, word in (("", "not said what the file holds"), ("f4", "no type and shape"),
                          ("float31:3", "no type of numbers"), ("f4:", "no shape"), ("f4:0", "no shape"),
                          ("f4:3x", "no shape"), ("f4:-3", "no shape"), ("f4:7", "no whole number of rows"),
                          ("f4:10x7", "truncated"), ("f4:10x5", "40 bytes follow"), ("f4:3@241", "cannot be skipped"),
                          ("f4:3@x", "no number of bytes"), ("f4:99999999999999999999", "no shape"),
                          ("f4:4611686018427387904x4", "too large"), ("f4:9223372036854775807", "no whole number"),
                          ("f4:2x2x2x2x2", "5 dimensions"), ("c16:3", "no type of numbers")):
            with self.subTest(key):
                self.refuse(f"a.raw#{key}" if key else "a.raw", word)

    def test_of_npz(self):
        np.savez(self.folder / "a.npz", x=np.zeros((3, 2)), y=np.ones(4))
        whole = (self.folder / "a.npz").read_bytes()
        self.refuse("a.npz", "its arrays: x, y")
        self.refuse("a.npz#z", "no array 'z'", "x, y")
        (self.folder / "b.npz").write_bytes(b"PK\5\6" + b"\0" * 18)
        self.refuse("b.npz", "it holds none")
        self.refuse("b.npz#x", "no array 'x'")
        at = whole.index(b"PK\1\2")
        for offset, value, word in ((8, b"\1\0", "encrypted"), (10, b"\x0c\0", "method 12"), (20, b"\xff" * 4, "damaged"),
                                    (24, b"\x07\0\0\0", "two lengths"), (42, b"\xff\0\0\0", "not where it should be"),
                                    (28, b"\xff\xff", "damaged"), (0, b"PK\1\3", "entry 0")):
            changed = whole[:at + offset] + value + whole[at + offset + len(value):]
            (self.folder / "b.npz").write_bytes(changed)
            with self.subTest(offset):
                self.refuse("b.npz#x", word)
        np.savez_compressed(self.folder / "c.npz", x=np.random.default_rng(0).normal(size=(300, 2)))
        whole = (self.folder / "c.npz").read_bytes()
        (self.folder / "d.npz").write_bytes(whole[:2000] + bytes([whole[2000] ^ 255]) + whole[2001:])
        self.refuse("d.npz", "damaged", ranks=3)
        np.savez_compressed(self.folder / "c.npz", x=np.asfortranarray(np.random.default_rng(0).normal(size=(300, 2))))
        self.refuse("c.npz", "Fortran order", "numpy.savez")

    def test_of_safetensors(self):
        good = safetensors(x=np.zeros((3, 2), "f4"), y=np.ones(4))
        (self.folder / "a.safetensors").write_bytes(good)
        self.refuse("a.safetensors", "its tensors: x (3 x 2 F32), y (4 F64)")
        self.refuse("a.safetensors#z", "no tensor 'z'")
        self.refuse("a.safetensors#__metadata__", "no tensor '__metadata__'")

        def with_header(text, data=b"\0" * 24):
            return struct.pack("<Q", len(text)) + text.encode() + data

        tensor = '{"x":{"dtype":"%s","shape":%s,"data_offsets":%s}}'
        deep = "[" * 100000 + "]" * 100000
        for content, word in ((struct.pack("<Q", 2 ** 62), "longer than 16 MiB"),
                              (struct.pack("<Q", 1000) + b"{}", "longer than the file"), (with_header("{"), "no JSON"),
                              (with_header("[]"), "no JSON object"), (with_header("{}"), "it holds none"),
                              (with_header('{"a":' + deep + "}"), "safetensors"),
                              (with_header(tensor % ("F8_E4M3", "[3,2]", "[0,6]")), "F8_E4M3"),
                              (with_header(tensor % ("", "[3,2]", "[0,6]")), "holds"),
                              (with_header(tensor % ("F32", "[3,2]", "[0,25]")), "truncated"),
                              (with_header(tensor % ("F32", "[3,2]", "[24,0]")), "truncated"),
                              (with_header(tensor % ("F32", "[3,2]", "[0,20]")), "has 20 bytes"),
                              (with_header(tensor % ("F32", "[3,-2]", "[0,24]")), "no shape"),
                              (with_header(tensor % ("F32", "[3,2.5]", "[0,24]")), "no shape"),
                              (with_header(tensor % ("F32", "{}", "[0,24]")), "no shape"),
                              (with_header(tensor % ("F32", "[3,2]", "[0]")), "no place"),
                              (with_header(tensor % ("F32", "[4611686018427387904,4]", "[0,24]")), "too large"),
                              (with_header(tensor % ("F32", "[0,2]", "[0,0]")), "empty"),
                              (with_header(tensor % ("F32", "[]", "[0,4]")), "0 dimensions")):
            (self.folder / "a.safetensors").write_bytes(content)
            with self.subTest(content[:60]):
                self.refuse("a.safetensors", word)

    def test_pictures_are_named_with_a_remedy(self):
        for name in ("a.jpg", "B.PNG", "c.tiff"):
            (self.folder / name).write_bytes(b"\xff\xd8\xff")
            self.refuse(name, "pictures of this kind are not read", "python3 -c")

    def test_one_picture_is_no_list_of_images(self):
        self.save("a.npy", np.zeros((600, 800, 3), "u1"))
        self.refuse("a.npy", "one picture in colour", "reshape")

    @unittest.skipIf(os.environ.get("TMPDIR", "").startswith("/dev/shm"), "sparse files take memory there")
    def test_files_beyond_2_gib(self):
        rows, columns = 80_000_000, 10
        with open(self.folder / "large.raw", "wb") as file:
            file.truncate(rows * columns * 4)
            file.seek((rows - 3) * columns * 4)
            file.write(np.arange(30, dtype="<f4").tobytes())
        self.save("head.npy", np.zeros((3, 1)))
        # A matrix of 10 x 80,000,000 numbers, transposed: of its points the last three.
        os.symlink(self.folder / "large.raw", self.folder / "wide.raw")
        with h5py.File(self.folder / "x.h5", "w") as file:
            file["x"] = np.arange(30.0).reshape(3, 10)
        self.save("y.npy", np.zeros((3, 10)))
        got = self.points(f"large.raw#float32:10@{(rows - 3) * 40}")
        np.testing.assert_array_equal(got, np.arange(30.0).reshape(3, 10))
        self.save("y.npy", np.zeros((3, 3)))
        got = self.points(f"wide.raw#float32:10x{rows}", "--source-columns", f"{rows - 3}:")
        expected = np.zeros((10, 3))
        expected[9] = np.arange(27, 30)
        np.testing.assert_array_equal(got, expected)


if __name__ == "__main__":
    unittest.main(verbosity=2)
