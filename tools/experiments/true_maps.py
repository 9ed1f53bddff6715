"""Problems whose optimal map T_0 (for the squared distance) is known, since it is the gradient of a convex function.

A problem draws sources X ~ mu and, independently of them, targets Y = T_0(X'), X' ~ mu: no point has a partner. What is
random about the problem itself depends on its name and dimension alone, not on the seed of the samples.
"""
import numpy as np

from true_pairs import parts

SPREAD = 20000  # points that the target's variance is taken from


class Exponential:
    """mu uniform on [-1, 1]^d, T_0 = exp in every coordinate (Pooladian and Niles-Weed 2021)."""
    name, words = "exp", "uniform on [-1, 1]^d, exp in every coordinate"

    def __init__(self, d):
        self.d = d

    def source(self, rng, n):
        return rng.uniform(-1, 1, (n, self.d))

    def map(self, x):
        return np.exp(x)


class Mixture:
    """mu a mixture of five normal clusters, T_0 the gradient of phi = max of four convex quadratics,

        q_k(x) = sum_i s_ki x_i^2 / 2 + <v_k, x> - c_k,   T_0(x) = s_k x + v_k  where q_k is the largest:

    smooth but for jumps where the largest changes. c_k gives every q_k the mean 0 under mu: all have a share."""
    name, words = "mixture", "five normal clusters, the gradient of the largest of four quadratics"
    CLUSTERS, PIECES, WIDTH = 5, 4, 0.5

    def __init__(self, d):
        rng = np.random.default_rng([d, 1])
        self.d = d
        self.centres = 1.5 * rng.standard_normal((self.CLUSTERS, d))
        self.scales = rng.uniform(0.5, 1.5, (self.PIECES, d))
        self.shifts = rng.standard_normal((self.PIECES, d))
        squares = (self.centres ** 2).mean(0) + self.WIDTH ** 2
        self.offsets = self.scales @ squares / 2 + self.shifts @ self.centres.mean(0)

    def source(self, rng, n):
        return self.centres[rng.integers(self.CLUSTERS, size=n)] + self.WIDTH * rng.standard_normal((n, self.d))

    def piece(self, x):
        return (x ** 2 @ self.scales.T / 2 + x @ self.shifts.T - self.offsets).argmax(1)

    def map(self, x):
        k = self.piece(x)
        return self.scales[k] * x + self.shifts[k]


PROBLEMS = {problem.name: problem for problem in (Exponential, Mixture)}


def sample(problem, n, seed):
    """Sources and targets, n of each, without partners."""
    rng = np.random.default_rng([seed, n, problem.d])
    return problem.source(rng, n), problem.map(problem.source(rng, n))


def fresh_points(problem, n, seed):
    """Sources that no sample has, and where they belong."""
    points = problem.source(np.random.default_rng([seed, n, problem.d, 1]), n)
    return points, problem.map(points)


def variance(problem):
    """That of the target, all coordinates together: the error of a map that sends everything to the mean."""
    rng = np.random.default_rng([problem.d, 2])
    return problem.map(problem.source(rng, SPREAD)).var(0).sum()


def squared_error(images, truth):
    """mean |T(x) - T_0(x)|^2; over the target's variance, in percent, it is what the field calls L2-UVP."""
    return np.mean(((images - truth) ** 2).sum(1))


def optimal_cost(x, y, cost):
    """The unregularised optimum between as many points as points, exactly (O(n^3), a second for 1,000)."""
    from scipy.optimize import linear_sum_assignment
    matrix = np.concatenate([cost(x[part], y) for part in parts(len(x), 256)])
    return matrix[linear_sum_assignment(matrix)].mean()
