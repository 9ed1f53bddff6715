"""The points a run was given: embedded in its file, or where it read them - .npy, a dataset of an HDF5 file, a dense
matrix of an .h5ad file - unchanged, which the noted checksum proves."""
import os
import re
import sys

import h5py
import numpy as np

from . import cells
from .crc32c import crc32c
from .files import MOST_NUMBERS, pick_rows, reading
from .refused import Refused

CHECKED_NUMBERS = 2 ** 27  # beyond, the checksum would take too long
# Of points before a run, which is not repeated here.
CHANGES = {"transposed": 0, "chosen_columns": "", "grayscale": 0, "blur": 0}


def sample(count, most, seed=0):
    """At most `most` of `count` rows, ascending, the same every time."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, most, replace=False))


def parse_scaling(text):
    """'1/255' or '1/127.5-1' as factor and shift."""
    number = r"(\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)"
    found = re.fullmatch(rf"{number}(?:/{number})?([+-]{number[1:-1]})?", str(text).strip())
    if not found or (found[2] and float(found[2]) == 0):
        raise Refused(f"the scaling '{text}' of an input is not understood; give its points as .npy with --source or "
                      "--target, scaled")
    return float(found[1]) / float(found[2] or 1), float(found[3] or 0)


class Cloud:
    """n points in d dimensions, of which rows are read when they are needed."""

    def __init__(self, count, dimension, read, factor=1.0, shift=0.0):
        self.count, self.dimension = int(count), int(dimension)
        self._read, self._factor, self._shift = read, factor, shift

    def rows(self, rows):
        """Ascending rows, in double, scaled as the run had them."""
        if len(rows) * self.dimension > MOST_NUMBERS:
            raise Refused(f"{len(rows):,} points of {self.dimension:,} numbers are too many for a picture; draw fewer")
        return self._read(np.asarray(rows)) * self._factor + self._shift

    def checksum(self):
        """Of all points as they lie in the file."""
        crc, block = 0, max(1, 2 ** 21 // max(1, self.dimension))
        for first in range(0, self.count, block):
            crc = crc32c(self._read(np.arange(first, min(first + block, self.count))), crc)
        return crc


def label_of(identity):
    """What to call an input: its conditions, else its file's name."""
    if identity.get("where"):
        return ", ".join(str(identity["where"]).splitlines())
    name = os.path.splitext(os.path.basename(str(identity.get("path", ""))))[0]
    key = str(identity.get("key") or "")
    return f"{name}#{key}" if key and name else name or "points"


def cloud_of(file, side, given=None, option=None):
    """The points of one side ('source', 'target', 'points') of a file of Convoy's; `given`: a .npy file instead, that
    the user named by `option` (--side). \\raises Refused that says what to give if they are not there"""
    option = option or f"--{side}"
    if given:
        return _given(file, side, given)
    if file.has(f"{side}/points"):
        return matrix_of(file, f"{side}/points")
    identity = file.attributes(f"inputs/{side}")
    if not identity:
        raise Refused(f"{file.path}: does not say what its {side} was; give {option} FILE.npy")
    option = f"; give the points as they were with {option} FILE.npy"
    changed = [name for name, usual in CHANGES.items() if identity.get(name, usual) != usual]
    if changed:
        raise Refused(f"{file.path}: its {side} went through {', '.join(changed).replace('_', ' ')} before the run, "
                      f"which pictures do not repeat{option}")
    path = _place(file, identity)
    if not path:
        raise Refused(f"{identity.get('path') or 'a file'}: the {side} of {file.path} is no longer there{option}")
    cloud = _open(path, identity, option)
    if not _is_the_same(cloud, identity):
        raise Refused(f"{path}: is not what {file.path} was made from (points or their number differ){option}")
    cloud._factor, cloud._shift = parse_scaling(identity.get("scaling", "1"))
    return cloud


def _given(file, side, given):
    identity = file.attributes(f"inputs/{side}")
    if not os.path.isfile(given):
        raise Refused(f"{given}: there is no such file")
    cloud = _npy(given)
    if cloud.count != identity.get("rows", cloud.count):
        raise Refused(f"{given}: has {cloud.count:,} rows, but the {side} of {file.path} has "
                      f"{identity['rows']:,} points; give those")
    if cloud.dimension == identity.get("columns") and _is_the_same(cloud, identity):
        cloud._factor, cloud._shift = parse_scaling(identity.get("scaling", "1"))
    else:
        print(f"note: {given} has other numbers than the {side} that {file.path} was made from; taken as they are",
              file=sys.stderr)
    return cloud


def _is_the_same(cloud, identity):
    if (cloud.count, cloud.dimension) != (identity.get("rows"), identity.get("columns")):
        return False
    return cloud.count * cloud.dimension > CHECKED_NUMBERS or cloud.checksum() == identity.get("checksum")


def _place(file, identity):
    here = os.path.dirname(os.path.abspath(file.path))
    relative = identity.get("relative_path")
    places = [identity.get("absolute_path"), relative and os.path.join(here, str(relative)), identity.get("path")]
    return next((str(place) for place in places if place and os.path.isfile(str(place))), None)


def _open(path, identity, option):
    if path.endswith(".npy"):
        return _npy(path)
    if h5py.is_hdf5(path):
        return _hdf5(path, str(identity.get("key") or ""), str(identity.get("where") or ""), option)
    raise Refused(f"{path}: pictures read points from .npy and HDF5 files only{option}")


def _npy(path):
    with reading(path):
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    if not isinstance(array, np.ndarray) or array.ndim != 2 or array.dtype.kind not in "iufb":
        raise Refused(f"{path}: is no matrix of numbers (.npy, a row a point)")
    return Cloud(*array.shape, lambda rows: array[rows].astype(np.float64))


def _hdf5(path, key, where, option):
    with reading(path), h5py.File(path, "r") as file:
        dataset = file.get(key) if key else None
        if not isinstance(dataset, h5py.Dataset) or dataset.ndim != 2 or dataset.dtype.kind not in "iuf":
            raise Refused(f"{path}: '{key}' is no dense matrix there, and pictures read no others{option}")
        count, dimension = dataset.shape
        chosen = cells.chosen_rows(path, file, where) if where else None

    def read(rows):
        with reading(path), h5py.File(path, "r") as file:
            return pick_rows(path, file[key], rows if chosen is None else chosen[rows])

    return Cloud(count if chosen is None else len(chosen), dimension, read)


def matrix_of(file, path):
    """A dataset of a file of Convoy's, a row a point."""
    return Cloud(*file.shape(path, 2), lambda rows: file.rows(path, rows))
