"""How numbers of a query, one a point, are spread: small histograms beside each other."""
import numpy as np

from . import style

KINDS = (  # dataset, title, limits
    ("match/source/probability", "share of a source point's mass\non its most likely partner", (0, 1)),
    ("match/target/probability", "share of a target point's mass\nfrom its most likely partner", (0, 1)),
    ("top_share", "share of a row's mass\nin the entries kept", (0, 1)),
    ("diagonal/probability", "share of a row's mass\non the diagonal", (0, 1)),
    ("entropy/source", "entropy of a row\n(0: one partner, 1: all alike)", (0, 1)),
    ("growth", "growth: row sum over mass", None),
    ("transition/source_share", "share of the label\ntransferred to a source point", (0, 1)),
    ("transition/target_share", "share of the label\ntransferred to a target point", (0, 1)))


def found(query):
    """Datasets with their titles and finite values."""
    kinds = []
    for path, title, limits in KINDS:
        if query.has(path):
            values = query.numbers(path).astype(float)
            values = values[np.isfinite(values)]
            if len(values):
                kinds.append((path, title, limits, values))
    return kinds


def draw(kinds):
    plt = style.plotter()
    from matplotlib import ticker
    columns = min(len(kinds), 4)
    lines = -(-len(kinds) // columns)
    figure, axes = plt.subplots(lines, columns, squeeze=False, figsize=(2.6 * columns + 0.3, 2.3 * lines))
    for axis in axes.flat[len(kinds):]:
        axis.axis("off")
    for axis, (_, title, limits, values) in zip(axes.flat, kinds):
        low, high = limits or (values.min(), values.max())
        if high - low < 1e-9 * max(abs(high), 1):
            low, high = low - 0.5, high + 0.5
        axis.hist(np.clip(values, low, high), bins=40, range=(low, high), color=style.SOURCE)
        axis.axvline(np.median(values), color="#222222", lw=1, ls="--")
        axis.set_xlabel(title, fontsize=8.5)
        axis.tick_params(labelsize=8)
        axis.set_xlim(low, high)
        axis.xaxis.set_major_locator(ticker.MaxNLocator(4))
    for line in axes:
        line[0].set_ylabel("points")
    return figure
