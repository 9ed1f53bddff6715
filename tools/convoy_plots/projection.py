"""Points in the plane: as they are in two dimensions, by principal components in more, on two lines in one."""
import numpy as np

EXACT = 500  # dimensions up to which the covariance is decomposed; above, two directions are iterated for


def principal_directions(points, count=2):
    """The directions of largest variance (d x count) of centred points, and the share of the variance of each."""
    n, d = points.shape
    total = (points ** 2).sum()
    if d <= EXACT:
        values, vectors = np.linalg.eigh(points.T @ points)
        directions, variances = vectors[:, ::-1][:, :count], values[::-1][:count]
    else:
        block, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((d, count + 8)))
        for _ in range(12):
            block, _ = np.linalg.qr(points.T @ (points @ block))
        values, vectors = np.linalg.eigh(block.T @ (points.T @ (points @ block)))
        directions, variances = (block @ vectors)[:, ::-1][:, :count], values[::-1][:count]
    signs = np.sign(directions[np.abs(directions).argmax(0), np.arange(directions.shape[1])])  # the same every time
    return directions * np.where(signs == 0, 1, signs), variances / total if total > 0 else variances * 0


class Plane:
    """Where points of d dimensions are drawn. Fitted to arrays of rows, which the labels call `of`."""

    def __init__(self, arrays, of):
        self.dimension = arrays[0].shape[1]
        self.projected = self.dimension > 2
        self.labels = ("coordinate 1", "coordinate 2")
        self.short_labels, self.note, self.shares = self.labels, "", ""
        if self.dimension == 1:
            self.labels = self.short_labels = ("coordinate", "")
        elif self.projected:
            together = np.concatenate(arrays)
            self.centre = together.mean(0)
            self.directions, shares = principal_directions(together - self.centre)
            self.labels = tuple(f"principal component {k + 1} ({share:.0%} of variance)"
                                for k, share in enumerate(shares))
            self.short_labels = ("component 1", "component 2")
            self.shares = ": {:.0%} and {:.0%} of variance".format(*shares)
            self.note = f"principal components of {of}, d = {self.dimension:,}"

    def __call__(self, points, level=0.0):
        """n x 2; in one dimension the second coordinate is `level`."""
        if self.dimension == 1:
            return np.column_stack([points[:, 0], np.full(len(points), float(level))])
        return (points - self.centre) @ self.directions if self.projected else points

    def dress(self, axes, levels):
        """Labels; in one dimension also what the `levels` are, by their names."""
        axes.set_xlabel(self.labels[0])
        if self.dimension == 1:
            axes.set_yticks(list(levels.values()), list(levels))
            axes.set_ylim(min(levels.values()) - 0.3, max(levels.values()) + 0.3)
            return
        axes.set_ylabel(self.labels[1])
