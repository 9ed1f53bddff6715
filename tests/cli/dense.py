"""Entropic transport by the book, in double, on whole matrices: what the program is held against on small problems.

Product reference: P_ij = a_i b_j exp((f_i + g_j - C_ij) / epsilon). Masses are equal. Costs: sqeuclidean, pnorm:P.
"""
import numpy as np


class Cost:
    """h, its gradient, and the gradient of its conjugate."""

    def __init__(self, name):
        self.power = 2.0 if name == "sqeuclidean" else float(name.removeprefix("pnorm:"))
        self.factor = 1.0 if name == "sqeuclidean" else 1 / self.power

    def value(self, z):
        return self.factor * (np.abs(z) ** self.power).sum(-1)

    def gradient(self, z):
        return self.factor * self.power * np.sign(z) * np.abs(z) ** (self.power - 1)

    def conjugate_gradient(self, w):
        """The inverse of the gradient."""
        return np.sign(w) * (np.abs(w) / (self.factor * self.power)) ** (1 / (self.power - 1))

    def matrix(self, x, y):
        return np.stack([self.value(point - y) for point in x])


def soft_minimum(cost, potential, epsilon):
    """-epsilon log of the mean over the second axis of exp((potential - cost) / epsilon)"""
    logits = (potential - cost) / epsilon
    most = logits.max(1)
    return -epsilon * (most + np.log(np.mean(np.exp(logits - most[:, None]), 1)))


def sinkhorn(cost, epsilon, change=1e-10, most=20000):
    """f, g of a matrix of costs, until g changes by less than `change` epsilons; <a, f> = <b, g>."""
    f, g = np.zeros(cost.shape[0]), np.zeros(cost.shape[1])
    for _ in range(most):
        f = soft_minimum(cost, g, epsilon)
        new = soft_minimum(cost.T, f, epsilon)
        done = np.ptp(new - g) < change * epsilon
        g = new
        if done:
            break
    shift = (f.mean() - g.mean()) / 2
    return f - shift, g + shift


def plan(cost, f, g, epsilon):
    return np.exp((f[:, None] + g - cost) / epsilon) / cost.size


def entropic_map(cost, z, y, g, epsilon):
    """T(z) = z - grad h*(sum_j w_j grad h(z - y_j)), w_j the softmax of (g_j - h(z - y_j)) / epsilon."""
    logits = (g - cost.matrix(z, y)) / epsilon
    weights = np.exp(logits - logits.max(1, keepdims=True))
    weights /= weights.sum(1, keepdims=True)
    means = np.stack([row @ cost.gradient(point - y) for row, point in zip(weights, z)])
    return z - cost.conjugate_gradient(means)


def debiased_map(cost, z, x, y, epsilon):
    """The map plus what the map of x to itself lacks."""
    _, g = sinkhorn(cost.matrix(x, y), epsilon)
    own = cost.matrix(x, x)
    u, v = sinkhorn(own, epsilon)
    return entropic_map(cost, z, y, g, epsilon) + z - entropic_map(cost, z, x, (u + v) / 2, epsilon)


def divergence(cost, x, y, epsilon):
    """With the entropy: OT(x, y) - (OT(x, x) + OT(y, y)) / 2, each <a, f> + <b, g>."""
    value = [sum(potential.mean() for potential in sinkhorn(cost.matrix(*pair), epsilon))
             for pair in ((x, y), (x, x), (y, y))]
    return value[0] - (value[1] + value[2]) / 2


class Progot:
    """Progressive OT with given steps and epsilons, each solve to the end."""

    def __init__(self, cost, x, y, alphas, epsilons):
        self.cost, self.y, self.alphas, self.epsilons = cost, y, alphas, epsilons
        self.g, self.clouds = [], []
        travelled = x
        for alpha, epsilon in zip(alphas, epsilons):
            self.clouds.append(travelled)
            self.f, g = sinkhorn(cost.matrix(travelled, y), epsilon)
            self.g.append(g)
            travelled = (1 - alpha) * travelled + alpha * entropic_map(cost, travelled, y, g, epsilon)

    def map(self, z):
        for alpha, epsilon, g in zip(self.alphas, self.epsilons, self.g):
            image = entropic_map(self.cost, z, self.y, g, epsilon)
            z = (1 - alpha) * z + alpha * image
        return image

    def plan(self):
        """Of the last step."""
        return plan(self.cost.matrix(self.clouds[-1], self.y), self.f, self.g[-1], self.epsilons[-1])
