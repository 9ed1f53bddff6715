"""Convoy's HDF5 files: results (of solve, progot, divergence), mapped points, queries. Opened, judged, read."""
import contextlib
import os

import h5py
import numpy as np

from .refused import Refused, one_line

FORMATS = {"convoy-result": "result", "convoy-points": "points", "convoy-query": "query"}
VERSION = 1
MOST_NUMBERS = 2 ** 28  # that one dataset may have where all of it is read


def plain(value):
    """An attribute or element as Python's own str, int, float, or an array."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, np.ndarray) and value.dtype == object:
        return np.array([plain(v) for v in value.ravel()], dtype=object).reshape(value.shape)
    return value.item() if isinstance(value, np.generic) else value


@contextlib.contextmanager
def reading(path, what=""):
    """What HDF5 and numpy throw at a damaged file becomes one line."""
    try:
        yield
    except Refused:
        raise
    except (OSError, KeyError, ValueError, TypeError, RuntimeError, MemoryError, EOFError, OverflowError) as error:
        raise Refused(f"{path}: {what + ' ' if what else ''}cannot be read ({one_line(error)[:200]}); it may be "
                      "damaged, make it anew") from error


class ConvoyFile:
    """An open file of Convoy's. `kind` is result, points or query; \\raises Refused unless it is complete."""

    def __init__(self, path):
        self.path = str(path)
        if not os.path.exists(self.path):
            raise Refused(f"{self.path}: there is no such file")
        if os.path.isdir(self.path):
            raise Refused(f"{self.path}: is a folder, not a file of Convoy's")
        if not os.access(self.path, os.R_OK):
            raise Refused(f"{self.path}: may not be read; see its permissions")
        if not h5py.is_hdf5(self.path):
            raise Refused(f"{self.path}: is not one of Convoy's (no HDF5); give what solve, progot, divergence, map or "
                          "query wrote")
        with reading(self.path):
            self.file = h5py.File(self.path, "r")
        try:
            self._judge()
        except BaseException:
            self.file.close()
            raise

    def _judge(self):
        self.root = self.attributes("/")
        name = self.root.get("format")
        if not isinstance(name, str) or name not in FORMATS:
            raise Refused(f"{self.path}: is an HDF5 file, but not one of Convoy's; give what solve, progot, "
                          "divergence, map or query wrote")
        self.kind = FORMATS[name]
        version = self.root.get("format_version")
        if version != VERSION:
            raise Refused(f"{self.path}: has version {one_line(version)} of its format, this tool reads version "
                          f"{VERSION}; use the tools of that version of Convoy")
        if self.root.get("complete") != 1:
            raise Refused(f"{self.path}: is incomplete (the run that wrote it did not end); run it again")
        self.command = str(self.root.get("command", ""))
        self.status = str(self.root.get("status", ""))

    def close(self):
        self.file.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    @property
    def name(self):
        """For titles and legends."""
        return os.path.splitext(os.path.basename(self.path))[0]

    @property
    def description(self):
        if self.kind == "points":
            return "mapped points"
        if self.kind == "query":
            return "a query"
        return "a model of progot" if self.is_model else f"a result of {self.command or 'solve'}"

    @property
    def is_model(self):
        return self.kind == "result" and self.has("steps/g")

    def has(self, path):
        """Whether there is such an object in this very file: nobody's links are followed out of it."""
        with reading(self.path):
            at = self.file
            for part in path.strip("/").split("/"):
                if not isinstance(at, h5py.Group) or not isinstance(at.get(part, getlink=True), h5py.HardLink):
                    return False
                at = at[part]
            return True

    def attributes(self, group):
        """All of one group, as plain values; none if there is no such group."""
        if group != "/" and not self.has(group):
            return {}
        with reading(self.path, f"{group}'s attributes"):
            return {name: plain(value) for name, value in self.file[group].attrs.items()}

    def number(self, group, name):
        """An attribute that is a number, else nan."""
        value = self.attributes(group).get(name)
        return float(value) if isinstance(value, (int, float)) else float("nan")

    def text(self, group, name):
        value = self.attributes(group).get(name)
        return value if isinstance(value, str) else ""

    def shape(self, path, dimensions):
        """\\raises Refused if it has not so many dimensions"""
        shape = self._dataset(path).shape
        if len(shape) != dimensions:
            raise Refused(f"{self.path}: {path} has {len(shape)} dimensions instead of {dimensions}; make it anew")
        return shape

    def read(self, path, dimensions=None):
        """A whole dataset. \\raises Refused also if it has not so many dimensions"""
        dataset = self._dataset(path)
        if dimensions is not None:
            self.shape(path, dimensions)
        if dataset.size > MOST_NUMBERS:
            raise Refused(f"{self.path}: {path} is too large for a picture ({dataset.size:,} numbers)")
        with reading(self.path, path):
            values = dataset[()]
            if values.dtype == object:
                return [plain(value) for value in values]
            return values

    def numbers(self, path, dimensions=1):
        values = self.read(path, dimensions)
        if not isinstance(values, np.ndarray) or values.dtype.kind not in "iufb":
            raise Refused(f"{self.path}: {path} does not hold numbers; make it anew")
        return values

    def texts(self, path):
        values = self.read(path, 1)
        if isinstance(values, np.ndarray):
            values = [plain(value) for value in values]
        return [str(value) for value in values]

    def rows(self, path, rows):
        """These rows (ascending) of a matrix, in double."""
        dataset = self._dataset(path)
        if dataset.ndim != 2 or dataset.dtype.kind not in "iuf":
            raise Refused(f"{self.path}: {path} is no matrix of numbers; make it anew")
        return pick_rows(self.path, dataset, rows)

    def _dataset(self, path):
        if not self.has(path):
            raise Refused(f"{self.path}: has no {path}")
        with reading(self.path, path):
            dataset = self.file[path]
            if not isinstance(dataset, h5py.Dataset) or dataset.shape is None:
                raise Refused(f"{self.path}: {path} is not a dataset; make it anew")
            if dataset.external or dataset.is_virtual:
                raise Refused(f"{self.path}: {path} lies in other files, which is not followed")
            return dataset


def pick_rows(path, dataset, rows):
    """Ascending rows of a matrix in HDF5, in double: by blocks, as fancy indices are slow there."""
    rows = np.asarray(rows)
    if len(rows) and (rows[0] < 0 or rows[-1] >= dataset.shape[0]):
        raise Refused(f"{path}: has {dataset.shape[0]:,} rows, but row {max(rows[-1], -rows[0]):,} is needed; these "
                      "files do not belong together")
    if len(rows) * dataset.shape[1] > MOST_NUMBERS:
        raise Refused(f"{path}: {len(rows):,} rows of {dataset.shape[1]:,} numbers are too many for a picture")
    picked = np.empty((len(rows), dataset.shape[1]))
    block = max(1, 2 ** 22 // max(1, dataset.shape[1]))
    with reading(path):
        at = 0
        while at < len(rows):
            first = int(rows[at])
            end = int(np.searchsorted(rows, first + block))
            picked[at:end] = dataset[first:int(rows[end - 1]) + 1][rows[at:end] - first]
            at = end
    return picked


def model_of(file):
    """The result that mapped points or a query come from, if it is still where it was; else None."""
    model = file.attributes("model")
    here = os.path.dirname(os.path.abspath(file.path))
    places = [model.get("absolute_path"), os.path.join(here, os.path.basename(str(model.get("path", "")))),
              model.get("path")]
    for place in places:
        if isinstance(place, str) and place and os.path.isfile(place):
            with contextlib.suppress(Refused):
                found = ConvoyFile(place)
                if found.kind == "result":
                    return found
                found.close()
    return None
