#include "convoy/start.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "../parallel/scatter.hpp"
#include "convoy/error.hpp"

namespace convoy {
namespace {

constexpr StartKind all_kinds[] = {StartKind::automatic, StartKind::zero, StartKind::gaussian, StartKind::bures,
                                   StartKind::subsample};

Cloud normal_cloud(std::int64_t rows, std::int64_t d, double centre, double spread, std::uint32_t seed) {
    std::mt19937 random{seed};
    std::normal_distribution<double> normal;
    std::vector<double> points(static_cast<std::size_t>(rows * d));
    for (double& x : points) x = centre + spread * normal(random);
    return uniform_cloud(std::move(points), d);
}

// Points on a circle, and in three heaps: far from Gaussian.
Cloud circle(std::int64_t rows, std::uint32_t seed) {
    std::mt19937 random{seed};
    std::uniform_real_distribution<double> angle{0, 6.283185307179586};
    std::vector<double> points;
    for (std::int64_t i = 0; i < rows; ++i) {
        const double t = angle(random);
        points.insert(points.end(), {std::cos(t), std::sin(t)});
    }
    return uniform_cloud(std::move(points), 2);
}
Cloud heaps(std::int64_t rows, std::uint32_t seed) {
    Cloud cloud = normal_cloud(rows, 2, 0, 0.4, seed);
    constexpr double heap[3][2] = {{2, 0}, {-1, 2}, {-1, -1.5}};
    for (std::int64_t i = 0; i < rows; ++i) {
        for (std::int64_t k = 0; k < 2; ++k) cloud.points[static_cast<std::size_t>(2 * i + k)] += heap[i % 3][k];
    }
    return cloud;
}

Coupling coupling_of(const Grid& grid, const Cloud& x, const Cloud& y, const Cost& cost = Cost{}) {
    return {grid, test::scatter(grid, Side::row, x), test::scatter(grid, Side::column, y), cost, Precision::single};
}

SinkhornOptions options_of(double epsilon) {
    SinkhornOptions options;
    options.epsilon = epsilon;
    options.acceleration = Acceleration::coarse;
    return options;
}

double dual_value(const Coupling& coupling, const SinkhornState& state) {
    return coupling.mean(Side::row, state.f) + coupling.mean(Side::column, state.g);
}

TEST(Start, OfEveryKindLeadsToTheSameSolutionOnEveryGrid) {
    const Cloud x = normal_cloud(1201, 3, 0, 1, 1), y = normal_cloud(903, 3, 1, 0.5, 2);
    constexpr double epsilon = 0.3;
    double expected = 0;
    for (const GridShape shape : test::all_shapes(Communicator::world().size())) {
        const Grid grid{Communicator::world(), shape};
        for (const StartKind kind : all_kinds) {
            Coupling coupling = coupling_of(grid, x, y);
            const Sinkhorn sinkhorn{coupling, options_of(epsilon)};

            Start start = make_start(coupling, sinkhorn, kind);
            while (start.state.status == Status::running) sinkhorn.step(start.state);

            ASSERT_EQ(start.state.status, Status::converged) << name_of(kind) << ": " << start.state.reason;
            EXPECT_FALSE(start.explain.empty());
            if (expected == 0) expected = dual_value(coupling, start.state);
            // Dual values agree to the square of the error, times a range of potentials.
            EXPECT_NEAR(dual_value(coupling, start.state), expected, 1e-3) << name_of(kind) << " on " << shape.name();
        }
    }
}

TEST(Start, IsChosenByWhatThePointsAre) {
    const Grid grid{Communicator::world(), {Communicator::world().size(), 1}};
    const auto chosen = [&](const Cloud& x, const Cloud& y, double epsilon, const Cost& cost = Cost{}) {
        Coupling coupling = coupling_of(grid, x, y, cost);
        return make_start(coupling, Sinkhorn{coupling, options_of(epsilon)}, StartKind::automatic).kind;
    };

    // Plans that are smooth at the points' spacing: the closed form is nearly the solution.
    EXPECT_EQ(chosen(normal_cloud(1100, 5, 0, 1, 1), normal_cloud(1300, 5, 1, 0.5, 2), 3), StartKind::gaussian);
    EXPECT_EQ(chosen(circle(1100, 1), heaps(1300, 2), 0.05), StartKind::subsample);
    EXPECT_EQ(chosen(circle(1100, 1), heaps(1300, 2), 0.05, Cost{CostKind::euclidean}), StartKind::subsample);
    EXPECT_EQ(chosen(circle(90, 1), heaps(70, 2), 0.05), StartKind::zero);
}

TEST(Start, FromASubsampleSavesHalfPassesAndCountsItsWork) {
    const Cloud x = circle(6000, 1), y = heaps(5000, 2);
    Coupling coupling = coupling_of(Grid{}, x, y);
    const Sinkhorn sinkhorn{coupling, options_of(0.05)};
    const auto solved = [&](StartKind kind) {
        SinkhornState state = make_start(coupling, sinkhorn, kind).state;
        while (state.status == Status::running) sinkhorn.step(state);
        return state;
    };

    const SinkhornState zero = solved(StartKind::zero), sampled = solved(StartKind::subsample);

    EXPECT_LT(sampled.half_passes, zero.half_passes - 6);
    EXPECT_GT(sampled.other_work, 0.25);  // the extension alone is a quarter of a half-pass
    EXPECT_LT(static_cast<double>(sampled.half_passes) + sampled.other_work, static_cast<double>(zero.half_passes));
}

TEST(Start, RefusesAKindThatTheCostHasNot) {
    const Cloud x = circle(50, 1), y = heaps(40, 2);
    Coupling coupling = coupling_of(Grid{}, x, y, Cost{CostKind::euclidean});
    const Sinkhorn sinkhorn{coupling, options_of(0.1)};

    EXPECT_THROW(make_start(coupling, sinkhorn, StartKind::gaussian), InputError);
    EXPECT_THROW(make_start(coupling, sinkhorn, StartKind::bures), InputError);
}

TEST(Start, EndsEarlyWhenAskedWithPotentialsThatMeanSomething) {
    const Cloud x = circle(1500, 1), y = heaps(1500, 2);
    const Grid grid{Communicator::world(), {1, Communicator::world().size()}};
    Coupling coupling = coupling_of(grid, x, y);
    const Sinkhorn sinkhorn{coupling, options_of(0.001)};
    int asked = 0;
    const bool asks = Communicator::world().rank() == Communicator::world().size() - 1;

    const Start start = make_start(coupling, sinkhorn, StartKind::automatic, [&] { return asks && ++asked > 3; });

    EXPECT_LE(asked, 5);
    for (const double f : start.state.f) EXPECT_TRUE(std::isfinite(f));
}

}  // namespace
}  // namespace convoy
