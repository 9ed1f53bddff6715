#include "solvers/coarse.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "../parallel/scatter.hpp"
#include "convoy/sinkhorn.hpp"
#include "kernels/clouds.hpp"

namespace convoy {
namespace {

using test::made;

Coupling coupling_of(const Grid& grid, const Cloud& x, const Cloud& y, const Cost& cost = Cost{}) {
    return {grid, test::scatter(grid, Side::row, x), test::scatter(grid, Side::column, y), cost, Precision::fp64};
}

struct Iterate {
    std::vector<double> f, g, residual;
    double error = 0;  // of (f, g), g exact
};

// Where plain Sinkhorn stands after some iterations, and its next step.
Iterate iterate(Coupling& coupling, double epsilon, int iterations) {
    SinkhornOptions options;
    options.epsilon = epsilon;
    options.tolerance = 1e-30;
    options.acceleration = Acceleration::plain;
    const Sinkhorn sinkhorn{coupling, options};
    SinkhornState state = sinkhorn.start();
    while (state.annealing || state.iterations < iterations) sinkhorn.step(state);
    sinkhorn.fit_target(state);
    const auto log_sum = coupling.reduce(Side::row, {state.f, state.g}, epsilon, Safety::shifted);
    Iterate at{state.f, state.g, {}, coupling.marginal_error(Side::row, log_sum)};
    for (const double s : log_sum) at.residual.push_back(-epsilon * s);
    return at;
}

// The error of f, moved by `step`, once columns are exact again.
double error_after(Coupling& coupling, double epsilon, const Iterate& at, const std::vector<double>& step) {
    std::vector<double> f = at.f, g = at.g;
    for (std::size_t i = 0; i < f.size(); ++i) f[i] += step[i];
    const auto columns = coupling.reduce(Side::column, {f, g}, epsilon, Safety::safe);
    for (std::size_t j = 0; j < g.size(); ++j) g[j] -= epsilon * columns[j];
    return coupling.marginal_error(Side::row, coupling.reduce(Side::row, {f, g}, epsilon, Safety::safe));
}

std::vector<double> corrected(CoarseCorrection& coarse, const Iterate& at) {
    std::vector<double> step = coarse(at.f, at.g, at.residual);
    for (std::size_t i = 0; i < step.size(); ++i) step[i] += at.residual[i];
    return step;
}

TEST(CoarseCorrection, OfAllPointsIsNearlyNewtonsStep) {
    const Cloud x = made({400, 2, 1, 1, true, 1}), y = made({300, 2, 1.5, 0.7, true, 2});
    for (const char* cost : {"sqeuclidean", "euclidean", "dot", "cosine", "pnorm:1.5"}) {
        Coupling coupling = coupling_of(Grid{}, x, y, Cost::parse(cost));
        const double epsilon = 0.05 * coupling.cost_range_bound() / 10;
        const Iterate at = iterate(coupling, epsilon, 15);
        CoarseCorrection coarse{coupling, epsilon, 400, 0};

        ASSERT_TRUE(coarse.build(coarse.at_samples(at.f, at.g))) << cost;

        const double plain = error_after(coupling, epsilon, at, at.residual);
        EXPECT_LT(error_after(coupling, epsilon, at, corrected(coarse, at)), 0.8 * plain)
            << cost << " from " << at.error;
    }
}

TEST(CoarseCorrection, OfASampleBringsWhatPlainStepsDoNot) {
    const Cloud x = made({2000, 2, 1, 1, false, 1}), y = made({1500, 2, 1.5, 0.7, false, 2});
    Coupling coupling = coupling_of(Grid{}, x, y);
    const double epsilon = 0.02;
    const Iterate at = iterate(coupling, epsilon, 0);
    CoarseCorrection coarse{coupling, epsilon, 200, 0};

    ASSERT_TRUE(coarse.build(coarse.at_samples(at.f, at.g)));

    const double plain = error_after(coupling, epsilon, at, at.residual);
    EXPECT_LT(error_after(coupling, epsilon, at, corrected(coarse, at)), 0.8 * plain) << "from " << at.error;
}

TEST(CoarseCorrection, IsTheSameOnEveryGrid) {
    const Cloud x = made({503, 3, 1, 1, true, 1}), y = made({401, 3, 1.5, 0.7, true, 2});
    constexpr double epsilon = 0.3;
    Coupling alone = coupling_of(Grid{}, x, y);
    const Iterate at = iterate(alone, epsilon, 2);
    CoarseCorrection of_one{alone, epsilon, 150, 5};
    ASSERT_TRUE(of_one.build(of_one.at_samples(at.f, at.g)));
    const std::vector<double> expected = of_one(at.f, at.g, at.residual);
    for (const GridShape shape : test::all_shapes(Communicator::world().size())) {
        const Grid grid{Communicator::world(), shape};
        Coupling coupling = coupling_of(grid, x, y);
        const auto mine = [&](Side side, const std::vector<double>& whole) {
            const GlobalRun run = coupling.cloud(side).partition.run(grid.part(side));
            const auto begin = whole.begin() + run.first.value;
            return std::vector<double>(begin, begin + run.count);
        };
        const std::vector<double> f = mine(Side::row, at.f), g = mine(Side::column, at.g);
        CoarseCorrection coarse{coupling, epsilon, 150, 5};

        ASSERT_TRUE(coarse.build(coarse.at_samples(f, g)));
        const std::vector<double> found = coarse(f, g, mine(Side::row, at.residual));

        const std::vector<double> wanted = mine(Side::row, expected);
        for (std::size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], wanted[i], 1e-8);
    }
}

TEST(CoarseCorrection, SaysWhereThereIsNone) {
    const Cloud x = made({300, 2, 1, 1, false, 1});
    Coupling coupling = coupling_of(Grid{}, x, x);
    CoarseCorrection coarse{coupling, 1e-9, 200, 0};  // no widening makes such rows spread
    const std::vector<double> zero(static_cast<std::size_t>(x.rows), 0.0), bad(zero.size(), std::nan(""));

    EXPECT_FALSE(coarse.build(coarse.at_samples(zero, zero)));
    EXPECT_FALSE(coarse.build(coarse.at_samples(bad, zero)));
}

TEST(CoarseCorrection, GrowsWithTheProblemWithinBounds) {
    EXPECT_EQ(CoarseCorrection::good_size(1), 128);
    EXPECT_NEAR(static_cast<double>(CoarseCorrection::good_size(4e8)), 1032, 1);
    EXPECT_EQ(CoarseCorrection::good_size(1e16), 4096);
}

}  // namespace
}  // namespace convoy
