"""AnnData files for tests: writers of every layout, and a plain reader to compare with."""

import h5py
import numpy as np

TEXT = h5py.string_dtype()


def is_numeric(values):
    return np.asarray(values).dtype.kind in "biuf"


class Categories:
    def __init__(self, codes, names, ordered=False):
        self.codes, self.names, self.ordered = np.asarray(codes, "i1"), list(names), ordered


class Masked:
    """Nullable integers or booleans."""

    def __init__(self, values, mask):
        self.values, self.mask = np.asarray(values), np.asarray(mask, bool)


def add_texts(place, name, values, fletcher32=False, **more):
    """HDF5 has no checksums for text of variable length."""
    place.create_dataset(name, data=np.array(values, dtype=object), dtype=TEXT, **more)


def add_plain(place, name, values, **more):
    if is_numeric(values):
        place.create_dataset(name, data=np.asarray(values), **more)
    else:
        add_texts(place, name, values, **more)


def add_frame(file, path, index, columns, generation="groups", **more):
    """`more`: how datasets are stored, e.g. compression="lzf"."""
    if generation == "compounds":
        return add_compounds(file, path, index, columns, **more)
    group = file.create_group(path)
    group.attrs["encoding-type"] = "dataframe"
    group.attrs["encoding-version"] = "0.1.0" if generation == "references" else "0.2.0"
    group.attrs["_index"] = "_index"
    group.attrs["column-order"] = np.array(list(columns), dtype=object) if columns else np.array([], float)
    add_texts(group, "_index", index, **more)
    for name, values in columns.items():
        if isinstance(values, Masked):
            own = group.create_group(name)
            own.attrs["encoding-type"] = "nullable-boolean" if values.values.dtype == bool else "nullable-integer"
            own.create_dataset("values", data=values.values, **more)
            own.create_dataset("mask", data=values.mask, **more)
        elif not isinstance(values, Categories):
            add_plain(group, name, values, **more)
        elif generation == "references":
            group.create_dataset(name, data=values.codes, **more)
            add_plain(group, "__categories/" + name, values.names, **more)
            group["__categories/" + name].attrs["ordered"] = values.ordered
            group[name].attrs["categories"] = group["__categories/" + name].ref
        else:
            own = group.create_group(name)
            own.attrs["encoding-type"] = "categorical"
            own.attrs["ordered"] = values.ordered
            own.create_dataset("codes", data=values.codes, **more)
            add_plain(own, "categories", values.names, **more)


def add_compounds(file, path, index, columns, **more):
    plain = {"index": np.array(index, "S") if len(index) else np.zeros(0, "S1")}
    for name, values in columns.items():
        if isinstance(values, Categories):
            plain[name] = values.codes
            names = values.names if is_numeric(values.names) else np.array(values.names, "S")
            file[f"uns/{name}_categories"] = names if len(names) > 1 else names[0]  # as AnnData did
        else:
            plain[name] = np.asarray(values) if is_numeric(values) else np.array(values, "S")
    table = np.zeros(len(index), dtype=[(name, values.dtype) for name, values in plain.items()])
    for name, values in plain.items():
        table[name] = values
    file.create_dataset(path, data=table, **more)


def add_sparse(file, path, dense, by_rows=True, older=False, **more):
    lines = dense if by_rows else dense.T
    entries = [np.flatnonzero(line) for line in lines]
    group = file.create_group(path)
    group.attrs["h5sparse_format" if older else "encoding-type"] = \
        ("csr" if by_rows else "csc") + ("" if older else "_matrix")
    group.attrs["h5sparse_shape" if older else "shape"] = np.array(dense.shape)
    group.create_dataset("data", data=np.concatenate([line[k] for line, k in zip(lines, entries)]), **more)
    group.create_dataset("indices", data=np.concatenate(entries).astype("i4"), **more)
    group.create_dataset("indptr", data=np.cumsum([0] + [len(k) for k in entries]).astype("i4"), **more)


def text(values):
    return np.array([v.decode() if isinstance(v, bytes) else v for v in np.ravel(values).tolist()], dtype=object)


def plain_values(node):
    if isinstance(node, h5py.Group):
        values = text(node["values"][:])
        values[node["mask"][:]] = None
        return values
    return text(node[()])


def column(file, name, frame="obs"):
    """Values of a column, None where missing."""
    obs = file[frame]
    if isinstance(obs, h5py.Dataset):
        values = text(obs[name])
        names = file.get(f"uns/{name}_categories")
        if names is None or obs.dtype[name].kind not in "iu":
            return values
        codes, names = obs[name], text(names[()])
    else:
        node = obs[name]
        if isinstance(node, h5py.Group) and "codes" in node:
            codes, names = node["codes"][:], plain_values(node["categories"])
        elif isinstance(node, h5py.Dataset) and "categories" in node.attrs:
            codes, names = node[:], text(file[node.attrs["categories"]][:])
        else:
            return plain_values(node)
    values = np.full(len(codes), None, dtype=object)
    values[codes >= 0] = names[codes[codes >= 0]]
    return values


def is_missing(value):
    return value is None or (isinstance(value, float) and np.isnan(value))


def columns(file, frame="obs"):
    obs = file[frame]
    if isinstance(obs, h5py.Dataset):
        return [name for name in obs.dtype.names if name != "index"]
    return [name if isinstance(name, str) else name.decode() for name in obs.attrs["column-order"]]


def index(file, frame="obs"):
    obs = file[frame]
    return text(obs["index"] if isinstance(obs, h5py.Dataset) else obs[obs.attrs["_index"]][:])


def matrix(file, key):
    """The dense matrix of a key."""
    if key == "raw/X" and "raw" not in file:
        key = "raw.X"
    parent, _, name = key.partition("/")
    if name and isinstance(file[parent], h5py.Dataset):
        return file[parent][name]
    node = file[key]
    if isinstance(node, h5py.Dataset):
        return node[:]
    kind = node.attrs.get("encoding-type", node.attrs.get("h5sparse_format"))
    shape = node.attrs["shape" if "shape" in node.attrs else "h5sparse_shape"]
    by_rows = kind.startswith("csr")
    dense = np.zeros(shape if by_rows else shape[::-1])
    pointers = node["indptr"][:]
    lines = np.repeat(np.arange(len(pointers) - 1), np.diff(pointers))
    np.add.at(dense, (lines, node["indices"][:]), node["data"][:])
    return dense if by_rows else dense.T
