"""Files as `convoy query` writes them, from a result and its points, by the whole plan in numpy."""

import h5py
import numpy as np


def plan_of(path, x, y):
    """P of a result for plain squared distances."""
    with h5py.File(path) as file:
        f, g, a, b = (file[name][:] for name in ("potentials/f", "potentials/g", "weights/a", "weights/b"))
        epsilon = file["solution"].attrs["epsilon"]
    cost = ((x[:, None] - y) ** 2).sum(2) if x.shape[1] < 8 else \
        (x ** 2).sum(1)[:, None] + (y ** 2).sum(1) - 2 * x @ y.T
    return a[:, None] * b * np.exp((f[:, None] + g - cost) / epsilon)


def write_query(path, result, x, y, groups=None, times=(0, 0.25, 0.5, 0.75, 1), pairs=500, seed=0, keep=3,
                only=None):
    """`groups`: two lists of names, a name a point. `only`: some of the parts, all by default."""
    x, y = np.asarray(x, float), np.asarray(y, float)
    plan = plan_of(result, x, y)
    a, b = plan.sum(1), plan.sum(0)
    random = np.random.default_rng(seed)
    with h5py.File(path, "w") as out, h5py.File(result) as given:
        out.attrs.update(format="convoy-query", format_version=1, program="convoy", version=given.attrs["version"],
                         command="query", created="2026-01-01T00:00:00Z",
                         status=given.attrs["status"])
        model = out.create_group("model").attrs
        model.update(path=str(result), absolute_path=str(result), command=given.attrs["command"],
                     status=given.attrs["status"], cost=given["solution"].attrs["cost"],
                     epsilon=given["solution"].attrs["epsilon"])
        out.create_group("run").attrs.update(dict(given["run"].attrs))
        given.copy("timing", out)
        for side in "source", "target":
            out.create_group(f"inputs/{side}").attrs.update(dict(given[f"inputs/{side}"].attrs))
        for part, write in PARTS.items():
            if (only is None or part in only) and (part != "transition" or groups):
                write(out, plan, a, b, x, y, groups=groups, times=times, pairs=pairs, keep=keep, random=random)
        out.attrs["complete"] = np.uint8(1)


def write_match(out, plan, a, b, x, y, **_):
    for side, axis, masses in ("source", 1, a), ("target", 0, b):
        out[f"match/{side}/index"] = plan.argmax(axis)
        out[f"match/{side}/probability"] = plan.max(axis) / masses


def write_top(out, plan, a, b, x, y, keep, **_):
    columns = np.sort(np.argsort(-plan, 1, kind="stable")[:, :keep], 1)
    top = out.create_group("top")
    top.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": np.array(plan.shape)})
    top["data"] = np.take_along_axis(plan, columns, 1).ravel()
    top["indices"] = columns.ravel()
    top["indptr"] = np.arange(len(x) + 1) * keep
    out["top_share"] = np.take_along_axis(plan, columns, 1).sum(1) / a


def draws(plan, count, random):
    return np.unravel_index(random.choice(plan.size, count, p=plan.ravel() / plan.sum()), plan.shape)


def write_pairs(out, plan, a, b, x, y, pairs, random, **_):
    out["pairs/source"], out["pairs/target"] = draws(plan, pairs, random)


def write_barycentric(out, plan, a, b, x, y, **_):
    out["barycentric"] = plan @ y / a[:, None]


def write_diagonal(out, plan, a, b, x, y, **_):
    if len(x) == len(y):
        out["diagonal/probability"] = np.diag(plan) / a
        out["diagonal"].attrs.update(trace=np.trace(plan), kl_of_identity=-(a * np.log(np.diag(plan))).sum())


def write_transition(out, plan, a, b, x, y, groups, **_):
    levels = [sorted(set(names)) for names in groups]
    one_hot = [np.array([[name == level for level in levels[k]] for name in groups[k]], float) for k in (0, 1)]
    joint = one_hot[0].T @ plan @ one_hot[1]
    part = out.create_group("transition")
    same = [(i, levels[1].index(name)) for i, name in enumerate(levels[0]) if name in levels[1]]
    part.attrs.update(column="cell_type", equal_mass=sum(joint[i, j] for i, j in same),
                      equal_mass_independent=sum(joint[i].sum() * joint[:, j].sum() for i, j in same))
    for k, side in enumerate(("source", "target")):
        part[f"{side}_levels"] = np.array(levels[k], dtype=h5py.string_dtype())
    part["joint"] = joint
    part["forward"], part["backward"] = joint / joint.sum(1, keepdims=True), joint / joint.sum(0)
    for side, shares in ("source", plan @ one_hot[1] / a[:, None]), ("target", plan.T @ one_hot[0] / b[:, None]):
        part[f"{side}_label"], part[f"{side}_share"] = shares.argmax(1), shares.max(1)


def write_interpolation(out, plan, a, b, x, y, times, pairs, random, **_):
    images = plan @ y / a[:, None]
    rows, partners = draws(plan, pairs, random)
    part = out.create_group("interpolation")
    part["t"] = np.array(times, float)
    for k, t in enumerate(times):
        part[f"points_{k}"] = (1 - t) * x + t * images
        part[f"samples_{k}"] = (1 - t) * x[rows] + t * y[partners]


def write_values(out, plan, a, b, x, y, **_):
    out["marginals/source"], out["marginals/target"] = a, b
    out["growth"] = a * len(a)
    rows = plan / a[:, None]
    out["entropy/source"] = -(rows * np.log(np.maximum(rows, 1e-300))).sum(1) / np.log(max(len(y), 2))
    out["entropy"].attrs.update(mean=(a * out["entropy/source"][:]).sum(), log_partners=np.log(len(y)))


PARTS = {"match": write_match, "top": write_top, "pairs": write_pairs, "barycentric": write_barycentric,
         "diagonal": write_diagonal, "transition": write_transition, "interpolation": write_interpolation,
         "values": write_values}
