// The solver against numbers known from elsewhere: closed forms, symmetries, published runs.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <random>
#include <vector>

#include "../parallel/scatter.hpp"
#include "convoy/sinkhorn.hpp"
#include "convoy/values.hpp"
#include "gaussian_nodes.hpp"
#include "track.hpp"

namespace convoy {
namespace {

SinkhornOptions exact(double epsilon, double tolerance = 1e-12) {
    SinkhornOptions options;
    options.epsilon = epsilon;
    options.tolerance = tolerance;
    options.max_half_passes = 20000;
    return options;
}

struct Solution {
    Values values;
    std::vector<double> f, g;  // of the whole clouds, on every rank
    std::vector<HalfPass> history;
};

Solution solve(Coupling& coupling, const SinkhornOptions& options, SinkhornState& state) {
    const Sinkhorn solver{coupling, options};
    state = solver.start();
    while (state.status == Status::running) solver.step(state);
    const Grid& grid = coupling.grid();
    return {audit_and_value(coupling, state.f, state.g, options.epsilon, 1).values,
            grid.holders(Side::row).gather_all(state.f), grid.holders(Side::column).gather_all(state.g), state.history};
}

// In double precision, until the marginals agree to the tolerance.
Solution solve(const Grid& grid, const Cost& cost, const Cloud& x, const Cloud& y, const SinkhornOptions& options) {
    Coupling coupling{grid, test::scatter(grid, Side::row, x), test::scatter(grid, Side::column, y), cost,
                      Precision::fp64};
    SinkhornState state;
    Solution solution = solve(coupling, options, state);
    EXPECT_EQ(state.status, Status::converged) << state.reason;
    EXPECT_LE(state.marginal_error, options.tolerance);
    return solution;
}

// A cloud against itself by the averaged update f <- f - (eps/2) log s: alternating would need tens of thousands of
// half-passes here, since f - g converges slowly where the plan is nearly the identity.
Values solve_self(const Grid& grid, const Cloud& cloud, double epsilon) {
    Coupling coupling{grid, test::scatter(grid, Side::row, cloud), test::scatter(grid, Side::column, cloud), Cost{},
                      Precision::fp64};
    std::vector<double> f(static_cast<std::size_t>(coupling.local(Side::row).rows), 0.0);
    std::vector<double> g(static_cast<std::size_t>(coupling.local(Side::column).rows), 0.0);
    double error = 1;
    for (int k = 0; k < 200 && error > 1e-13; ++k) {
        const std::vector<double> log_sum = coupling.reduce(Side::row, {f, g}, epsilon, Safety::safe);
        error = coupling.marginal_error(Side::row, log_sum);
        for (std::size_t i = 0; i < f.size(); ++i) f[i] -= epsilon / 2 * log_sum[i];
        g = redistribute(grid, Side::row, coupling.cloud(Side::row).partition, coupling.cloud(Side::column).partition,
                         1, f);
    }
    EXPECT_LE(error, 1e-13);
    return audit_and_value(coupling, f, g, epsilon, 1).values;
}

void on_every_grid(const std::function<void(const Grid&)>& check) {
    const Communicator world = Communicator::world();
    for (const GridShape shape : test::all_shapes(world.size())) {
        SCOPED_TRACE("grid " + shape.name());
        check(Grid{world, shape});
    }
}

Cloud random_cloud(std::uint64_t seed, std::int64_t rows, std::int64_t dimension) {
    std::mt19937_64 random{seed};
    std::normal_distribution<double> normal;
    std::uniform_real_distribution<double> mass{0.5, 1.5};
    std::vector<double> points(static_cast<std::size_t>(rows * dimension)), weights(static_cast<std::size_t>(rows));
    for (double& v : points) v = normal(random);
    for (double& w : weights) w = mass(random);
    return weighted_cloud(std::move(points), dimension, std::move(weights));
}

Cloud moved(Cloud cloud, const std::vector<double>& by) {
    for (std::size_t k = 0; k < cloud.points.size(); ++k) cloud.points[k] += by[k % by.size()];
    return cloud;
}

double mean_along(const Cloud& cloud, const std::vector<double>& direction) {
    double sum = 0;
    for (std::int64_t i = 0; i < cloud.rows; ++i)
        for (std::size_t k = 0; k < direction.size(); ++k)
            sum += cloud.weights[static_cast<std::size_t>(i)] * cloud.point(i)[k] * direction[k];
    return sum;
}

// An L1 marginal error of 1e-12 moves values by it times a range of potentials, some tens here.
constexpr double agreement = 1e-10;

void expect_same_values(const Values& values, const Values& expected) {
    EXPECT_NEAR(values.dual_value, expected.dual_value, agreement);
    EXPECT_NEAR(values.transport_cost, expected.transport_cost, agreement);
    EXPECT_NEAR(values.kl, expected.kl, agreement);
}

TEST(Golden, TwoByTwoProblemHasItsClosedForm) {
    // C = [[0, 1], [1, 0]]: P_11 = 1/(2 + 2/e).
    const Cloud points = uniform_cloud({0, 1}, 1);
    on_every_grid([&](const Grid& grid) {
        const Solution solution = solve(grid, Cost{}, points, points, exact(1));

        const double p11 = 0.25 * std::exp(solution.f[0] + solution.g[0]);
        EXPECT_NEAR(p11, 0.36552928931500245, 1e-12);  // the tolerance
        EXPECT_NEAR(solution.values.transport_cost, 0.26894142136999516, 1e-12);
        EXPECT_NEAR(solution.values.mass, 1, 1e-12);
    });
}

TEST(Golden, GaussiansHaveTheirClosedForm) {
    const Cloud x = test::gaussian_nodes(0, 1, 201), y = test::gaussian_nodes(1, 2, 301);
    constexpr double epsilon = 0.5;
    on_every_grid([&](const Grid& grid) {
        Coupling coupling{grid, test::scatter(grid, Side::row, x), test::scatter(grid, Side::column, y), Cost{},
                          Precision::fp64};
        SinkhornState state;
        const Solution solution = solve(coupling, exact(epsilon), state);

        EXPECT_EQ(state.status, Status::converged) << state.reason;
        // The published digits.
        EXPECT_NEAR(solution.values.transport_cost + epsilon * solution.values.kl, 2.7776703453, 1e-8);
        EXPECT_NEAR(solution.values.dual_value, 2.7776703453, 1e-8);
        EXPECT_NEAR(solution.values.transport_cost, 2.2421951145, 1e-8);

        // T(z) = 1 + slope z, by the barycentric projection.
        const auto average = coupling.apply(Side::row, {state.f, state.g}, epsilon, Safety::safe,
                                            Weighting::of_columns(coupling.local(Side::column).points, 1));
        const std::vector<double>& z = coupling.local(Side::row).points;
        EXPECT_NEAR(coupling.dot(Side::row, z, average.value) / coupling.dot(Side::row, z, z), 1.87890244, 1e-8);
        EXPECT_NEAR(coupling.mean(Side::row, average.value), 1, 1e-8);
    });
}

TEST(Golden, ImageUnderASymmetricPositiveMapHasASymmetricPlan) {
    // y_j = G x_j under half the squared distance: C_ij = u_i + v_j + (x_i - x_j)^T G (x_i - x_j)/2 with
    // u = x^T (I - G) x/2 and v = x^T (G^2 - G) x/2, so that f_i - u_i and g_i - v_i differ by the same for all i.
    constexpr std::int64_t d = 3;
    const std::int64_t n = Communicator::world().size() == 1 ? 2000 : 300;  // ranks share the machine
    Cloud x = uniform_cloud(random_cloud(1, n, d).points, d);
    constexpr double g_matrix[d][d] = {{0.9, 0.2, 0.1}, {0.2, 0.6, -0.1}, {0.1, -0.1, 0.4}};  // positive definite
    const auto image = [&](std::span<const double> z) {
        std::vector<double> result(d, 0.0);
        for (int k = 0; k < d; ++k)
            for (int l = 0; l < d; ++l)
                result[static_cast<std::size_t>(k)] += g_matrix[k][l] * z[static_cast<std::size_t>(l)];
        return result;
    };
    Cloud y = x;
    std::vector<double> u, v;
    for (std::int64_t i = 0; i < n; ++i) {
        const auto once = image(x.point(i));
        const auto twice = image(once);
        double xx = 0, xgx = 0, xggx = 0;
        for (std::size_t k = 0; k < d; ++k) {
            xx += x.point(i)[k] * x.point(i)[k];
            xgx += x.point(i)[k] * once[k];
            xggx += x.point(i)[k] * twice[k];
            y.points[static_cast<std::size_t>(i * d) + k] = once[k];
        }
        u.push_back((xx - xgx) / 2);
        v.push_back((xggx - xgx) / 2);
    }

    constexpr double epsilon = 0.3;
    on_every_grid([&](const Grid& grid) {
        const Solution solution = solve(grid, Cost{CostKind::pnorm, 2}, x, y, exact(epsilon, 1e-10));

        double least = INFINITY, most = -INFINITY;
        for (std::size_t i = 0; i < u.size(); ++i) {
            const double difference = (solution.f[i] - u[i]) - (solution.g[i] - v[i]);
            least = std::min(least, difference), most = std::max(most, difference);
        }
        // The spread falls with the tolerance, by a factor for the slowest mode of the iteration.
        EXPECT_LT((most - least) / epsilon, 1e-6);
    });
}

TEST(Golden, DuplicatedPointsOfHalfTheMassChangeNoValue) {
    const Cloud x = random_cloud(2, 30, 2), y = random_cloud(3, 25, 2);
    Cloud twice = x;
    twice.rows *= 2;
    twice.points.insert(twice.points.end(), x.points.begin(), x.points.end());
    twice.weights.insert(twice.weights.end(), x.weights.begin(), x.weights.end());
    for (double& w : twice.weights) w /= 2;
    on_every_grid([&](const Grid& grid) {
        const Values expected = solve(grid, Cost{}, x, y, exact(0.3)).values;
        const Solution solution = solve(grid, Cost{}, twice, y, exact(0.3));

        expect_same_values(solution.values, expected);
        for (std::size_t i = 0; i < 30; ++i) EXPECT_NEAR(solution.f[i], solution.f[i + 30], agreement);
    });
}

TEST(Golden, OrderOfThePointsChangesNoValue) {
    const Cloud x = random_cloud(4, 30, 2), y = random_cloud(5, 25, 2);
    std::vector<std::int64_t> order(30);
    std::iota(order.begin(), order.end(), 0);
    std::shuffle(order.begin(), order.end(), std::mt19937_64{6});
    Cloud shuffled = x;
    for (std::size_t i = 0; i < 30; ++i) {
        std::ranges::copy(x.point(order[i]), shuffled.points.begin() + static_cast<std::int64_t>(2 * i));
        shuffled.weights[i] = x.weights[static_cast<std::size_t>(order[i])];
    }
    on_every_grid([&](const Grid& grid) {
        const Solution expected = solve(grid, Cost{}, x, y, exact(0.3));
        const Solution solution = solve(grid, Cost{}, shuffled, y, exact(0.3));

        expect_same_values(solution.values, expected.values);
        // Potentials up to their common constant.
        const double gauge = solution.f[0] - expected.f[static_cast<std::size_t>(order[0])];
        for (std::size_t i = 0; i < 30; ++i) {
            EXPECT_NEAR(solution.f[i] - gauge, expected.f[static_cast<std::size_t>(order[i])], agreement);
        }
    });
}

TEST(Golden, SidesMayBeSwapped) {
    const Cloud x = random_cloud(7, 30, 2), y = random_cloud(8, 25, 2);
    on_every_grid([&](const Grid& grid) {
        for (const Cost& cost : {Cost{}, Cost{CostKind::euclidean}, Cost{CostKind::pnorm, 1.5}, Cost{CostKind::dot},
                                 Cost{CostKind::cosine}}) {
            SCOPED_TRACE(cost.name());
            expect_same_values(solve(grid, cost, y, x, exact(0.3)).values, solve(grid, cost, x, y, exact(0.3)).values);
        }
    });
}

TEST(Golden, MovingBothCloudsChangesNoValueOfADifferenceCost) {
    const Cloud x = random_cloud(9, 30, 2), y = random_cloud(10, 25, 2);
    const std::vector<double> t{12, -7};
    on_every_grid([&](const Grid& grid) {
        for (const Cost& cost : {Cost{}, Cost{CostKind::euclidean}, Cost{CostKind::pnorm, 1.5}}) {
            SCOPED_TRACE(cost.name());
            expect_same_values(solve(grid, cost, moved(x, t), moved(y, t), exact(0.3)).values,
                               solve(grid, cost, x, y, exact(0.3)).values);
        }
    });
}

TEST(Golden, MovingTheTargetChangesTheSquaredDistanceCostAsDerived) {
    const Cloud x = random_cloud(11, 30, 2), y = random_cloud(12, 25, 2);
    const std::vector<double> t{1.5, -0.75};
    // |x - y - t|^2 = |x - y|^2 - 2 <x - y, t> + |t|^2: terms of x or y alone, which the plan does not see.
    const double change = -2 * (mean_along(x, t) - mean_along(y, t)) + t[0] * t[0] + t[1] * t[1];
    on_every_grid([&](const Grid& grid) {
        Values expected = solve(grid, Cost{}, x, y, exact(0.3)).values;
        expected.dual_value += change;
        expected.transport_cost += change;

        expect_same_values(solve(grid, Cost{}, x, moved(y, t), exact(0.3)).values, expected);
    });
}

TEST(Golden, DivergenceOfATranslateIsItsSquaredLength) {
    const Cloud x = random_cloud(13, 30, 2);
    const Cloud y = moved(x, {3, -4});
    on_every_grid([&](const Grid& grid) {
        const double across = solve(grid, Cost{}, x, y, exact(2)).values.dual_value;
        const double within_x = solve(grid, Cost{}, x, x, exact(2)).values.dual_value;
        const double within_y = solve(grid, Cost{}, y, y, exact(2)).values.dual_value;

        EXPECT_NEAR(across - (within_x + within_y) / 2, 25, agreement);
    });
}

TEST(Golden, PublishedTutorialHasItsValues) {
    on_every_grid([](const Grid& grid) {
        const auto options = exact(test::track_epsilon);
        const Values across = solve(grid, Cost{}, test::track_x, test::track_y, options).values;
        const Values within_x = solve_self(grid, test::track_x, test::track_epsilon);
        const Values within_y = solve_self(grid, test::track_y, test::track_epsilon);

        // Published to 10 digits, points to 9.
        EXPECT_NEAR(across.dual_value, 1.2124886451, 2e-9);
        EXPECT_NEAR(across.dual_value - (within_x.dual_value + within_y.dual_value) / 2, 0.9540261700, 2e-9);
        EXPECT_NEAR(across.transport_cost - (within_x.transport_cost + within_y.transport_cost) / 2, 1.0071978130,
                    2e-9);
    });
}

TEST(Golden, PlainIterationsHaveThePublishedErrors) {
    // OTT's loop: g first, from zero, the error looked at every 10 iterations.
    const std::vector<double> published{0.0584791781, 0.0234025618, 0.0120833162, 0.0065620962,
                                        0.0036370682, 0.0020370955, 0.0011475665, 0.0006485681};
    auto options = exact(test::track_epsilon);
    options.acceleration = Acceleration::plain;
    options.annealing = false;
    on_every_grid([&](const Grid& grid) {
        const auto history = solve(grid, Cost{}, test::track_x, test::track_y, options).history;

        for (std::size_t k = 0; k < published.size(); ++k) {
            const std::size_t half_passes = 20 * (k + 1);  // the next one finds the error
            ASSERT_GT(history.size(), half_passes);
            EXPECT_EQ(history[half_passes].number, static_cast<std::int64_t>(half_passes) + 1);
            EXPECT_NEAR(history[half_passes].marginal_error, published[k], 2e-9) << "iteration " << half_passes / 2;
        }
    });
}

}  // namespace
}  // namespace convoy
