"""Rows of an .h5ad file that a run chose: a dense matrix, conditions on columns of obs, of AnnData 0.7 and newer."""
import h5py
import numpy as np

from .files import plain, reading
from .refused import Refused

NEEDED = "give the points as .npy with --source or --target"


def chosen_rows(path, file, conditions):
    """Their numbers, ascending. Conditions: COLUMN=VALUE[,VALUE] or COLUMN!=VALUE[,VALUE], a line each."""
    with reading(path, "obs"):
        obs = file.get("obs")
        if not isinstance(obs, h5py.Group):
            raise Refused(f"{path}: its cells are kept as AnnData before 0.7 did, which pictures do not read; {NEEDED}")
        keep = None
        for line in conditions.splitlines():
            column, negated, words = _cut(path, obs, line)
            labels, codes = _column(path, obs, column)
            asked = [_is_asked(label, words) for label in labels]
            known = codes >= 0
            holds = known & (np.append(asked, False)[codes] != negated)
            keep = holds if keep is None else keep & holds
        return np.flatnonzero(keep)


def _cut(path, obs, line):
    for at in (k for k, sign in enumerate(line) if sign == "="):
        if at and line[at - 1] == "!" and line[:at - 1] in obs:
            return line[:at - 1], True, line[at + 1:]
        if line[:at] in obs:
            return line[:at], False, line[at + 1:]
    raise Refused(f"{path}: obs has no column for the condition '{line}'; {NEEDED}")


def _column(path, obs, name):
    """The values there are, and each row's among them (-1: none)."""
    column = obs[name]
    if isinstance(column, h5py.Group) and "codes" in column:
        return _values(column["categories"]), column["codes"][()].astype(np.int64)
    if isinstance(column, h5py.Group) and "values" in column:
        labels, codes = _distinct(column["values"])
        return labels, np.where(column["mask"][()].astype(bool), -1, codes)
    if not isinstance(column, h5py.Dataset):
        raise Refused(f"{path}: column '{name}' of obs is of a kind that pictures do not read; {NEEDED}")
    if "categories" in column.attrs:
        return _values(obs.file[column.attrs["categories"]]), column[()].astype(np.int64)
    return _distinct(column)


def _values(dataset):
    if isinstance(dataset, h5py.Group):
        dataset = dataset["values"]
    return [plain(value) for value in dataset[()]]


def _distinct(dataset):
    values = np.array(_values(dataset))
    labels, codes = np.unique(values, return_inverse=True)
    codes = codes.astype(np.int64)
    if values.dtype.kind == "f":
        codes[np.isnan(values)] = -1
    return labels.tolist(), codes


def _is_asked(label, words):
    """Values that have commas themselves are found too: the words between any two commas may be one value."""
    pieces = words.split(",")
    candidates = {",".join(pieces[i:j]) for i in range(len(pieces)) for j in range(i + 1, min(len(pieces), i + 8) + 1)}
    candidates |= {c.strip() for c in candidates} | {c[1:-1] for c in candidates if len(c) > 1 and c[0] == c[-1] == '"'}
    if isinstance(label, bool):
        return str(label) in candidates or str(label).lower() in candidates or str(int(label)) in candidates
    if isinstance(label, str):
        return label in candidates
    return any(_number(c) == float(label) for c in candidates)


def _number(text):
    try:
        return float(text)
    except ValueError:
        return None
