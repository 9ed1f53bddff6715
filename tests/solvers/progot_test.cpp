// Progressive OT against its closed form between Gaussians, a published run, and what must not matter.

#include "convoy/progot.hpp"

#include <gtest/gtest.h>

#include <Eigen/Dense>
#include <array>
#include <cmath>
#include <fstream>
#include <functional>
#include <numeric>
#include <sstream>
#include <vector>

#include "../parallel/scatter.hpp"
#include "convoy/auto_epsilon.hpp"
#include "convoy/error.hpp"
#include "gaussian_nodes.hpp"
#include "random_cloud.hpp"

namespace convoy {
namespace {

void on_every_grid(const std::function<void(const Grid&)>& check) {
    const Communicator world = Communicator::world();
    for (const GridShape shape : test::all_shapes(world.size())) {
        SCOPED_TRACE("grid " + shape.name());
        check(Grid{world, shape});
    }
}

Coupling couple(const Grid& grid, const Cloud& x, const Cloud& y, const Cost& cost = {},
                Precision precision = Precision::fp64, Backend backend = Backend::cpu) {
    return Coupling{grid,   test::scatter(grid, Side::row, x), test::scatter(grid, Side::column, y), cost, precision,
                    backend};
}

ProgotOptions exactly(std::vector<double> alphas, double tolerance = 1e-12) {
    ProgotOptions options;
    options.tolerances.assign(alphas.size(), tolerance);
    options.alphas = std::move(alphas);
    options.sinkhorn.max_half_passes = 20000;
    return options;
}

ProgotState run(Coupling& coupling, const ProgotOptions& options) {
    const Progot solver{coupling, options};
    ProgotState state = solver.start();
    while (state.status == Status::running) solver.step(state);
    return state;
}

// The whole cloud's images, on every rank.
std::vector<double> images(const Grid& grid, const Cloud& z, const Cloud& y, const ProgotState& state,
                           const Cost& cost = {}) {
    Coupling coupling = couple(grid, z, y, cost);
    return grid.holders(Side::row).gather_all(map_through(coupling, maps_of(state)));
}

TEST(Steps, HaveTheirLengths) {
    EXPECT_EQ(step_lengths(Schedule::constant, 4), (std::vector<double>{1.0 / 4, 1.0 / 3, 1.0 / 2, 1}));
    EXPECT_EQ(step_lengths(Schedule::accelerated, 2), (std::vector<double>{3.0 / 8, 1}));
    EXPECT_EQ(step_lengths(Schedule::decelerated, 1), std::vector<double>{std::exp(-1.0)});
    for (const std::int64_t count : {1, 2, 7, 16}) {
        const auto constant = travelled(step_lengths(Schedule::constant, count));
        const auto accelerated = travelled(step_lengths(Schedule::accelerated, count));
        const auto n = static_cast<double>(count);
        for (std::size_t i = 0; i < constant.size(); ++i) {
            const double k = static_cast<double>(i) + 1;
            EXPECT_NEAR(constant[i], k / n, 1e-14);
            EXPECT_NEAR(accelerated[i], ((k + 1) * (k + 1) - 1) / ((n + 1) * (n + 1) - 1), 1e-14);
        }
    }
    EXPECT_THROW(step_lengths(Schedule::constant, 0), InputError);
}

TEST(Steps, HaveTolerancesFromLooseToTight) {
    EXPECT_EQ(loose_to_tight(1, 1e-3), std::vector<double>{1e-3});
    const std::vector<double> three = loose_to_tight(3, 0.02);
    EXPECT_EQ(three.front(), 0.1);
    EXPECT_NEAR(three[1], 0.06, 1e-15);
    EXPECT_NEAR(three.back(), 0.02, 1e-15);
    EXPECT_EQ(loose_to_tight(2, 0.5), (std::vector<double>{0.5, 0.5}));
}

TEST(Steps, HaveEpsilonsBetweenTheFirstAndTheLast) {
    EXPECT_EQ(epsilons_between(8, 4, {0.5, 0.5, 1}), (std::vector<double>{8, 6, 5}));
}

// Between Gaussians everything stays Gaussian: the slope of the whole map, for half the squared cost at epsilon.
double population_slope(double a, double b, double epsilon, std::vector<double> alphas) {
    alphas.back() = 1;
    double slope = 1;
    for (const double alpha : alphas) {
        const double step = (std::sqrt(4 * a * b + epsilon * epsilon) - epsilon) / (2 * a);
        const double share = 1 - alpha + alpha * step;
        slope *= share;
        a *= share * share;
    }
    return slope;
}

TEST(Progot, HasItsClosedFormBetweenGaussians) {
    const Cloud x = test::gaussian_nodes(0, 1, 201), y = test::gaussian_nodes(0, 2, 201);
    const std::vector<std::array<double, 3>> published{// schedule, K, slope
                                                       {0, 1, 1.7655644371}, {0, 2, 1.8273601548}, {0, 4, 1.8508904894},
                                                       {1, 2, 1.8151727630}, {1, 4, 1.8403773426}, {2, 2, 1.8144266320},
                                                       {2, 4, 1.8507563896}};
    const auto slope_of = [&](const Grid& grid, const std::vector<double>& alphas) {
        Coupling coupling = couple(grid, x, y, Cost{CostKind::pnorm, 2});
        ProgotOptions options = exactly(alphas);
        options.epsilons.assign(alphas.size(), 0.5);
        const ProgotState state = run(coupling, options);
        EXPECT_EQ(state.status, Status::converged) << state.reason;
        const std::vector<double> mapped = images(grid, x, y, state, Cost{CostKind::pnorm, 2});
        double zt = 0, zz = 0;
        for (std::size_t i = 0; i < mapped.size(); ++i) {
            zt += x.weights[i] * x.points[i] * mapped[i];
            zz += x.weights[i] * x.points[i] * x.points[i];
        }
        return zt / zz;
    };
    on_every_grid([&](const Grid& grid) {
        for (const auto& [schedule, steps, slope] : published) {
            const auto alphas =
                step_lengths(static_cast<Schedule>(static_cast<int>(schedule)), static_cast<std::int64_t>(steps));
            EXPECT_NEAR(population_slope(1, 4, 0.5, alphas), slope, 1e-10);  // the published digits
            EXPECT_NEAR(slope_of(grid, alphas), slope, 1e-9);
        }
    });
    if (Communicator::world().size() > 1) return;  // the rest says nothing about ranks
    for (const Schedule schedule : {Schedule::constant, Schedule::accelerated, Schedule::decelerated}) {
        for (std::int64_t steps = 1; steps <= 16; ++steps) {
            SCOPED_TRACE(name_of(schedule) + " " + std::to_string(steps));
            const auto alphas = step_lengths(schedule, steps);
            EXPECT_NEAR(slope_of(Grid{}, alphas), population_slope(1, 4, 0.5, alphas), 1e-9);
        }
    }
}

Eigen::Matrix3d root_of(const Eigen::Matrix3d& matrix) {
    return Eigen::SelfAdjointEigenSolver<Eigen::Matrix3d>{matrix}.operatorSqrt();
}

TEST(Progot, HasItsClosedFormBetweenGaussiansWhoseCovariancesDoNotCommute) {
    if (Communicator::world().size() > 1) GTEST_SKIP() << "as long as on one rank, and nothing new";
    const Eigen::Matrix3d a{{1, 0.3, 0}, {0.3, 0.8, 0.1}, {0, 0.1, 1.1}},
        b{{1.2, 0, 0.4}, {0, 1, -0.2}, {0.4, -0.2, 0.9}};
    constexpr double epsilon = 2;
    // Standard normal nodes on a grid, moved by a root of the covariance.
    const auto nodes = [](const Eigen::Matrix3d& covariance) {
        const Eigen::Matrix3d root = root_of(covariance);
        std::vector<double> points, weights;
        const auto at = [](int i) { return -4.5 + 9 * i / 14.0; };
        for (int i = 0; i < 15; ++i)
            for (int j = 0; j < 15; ++j)
                for (int k = 0; k < 15; ++k) {
                    const Eigen::Vector3d z{at(i), at(j), at(k)};
                    const Eigen::Vector3d point = root * z;
                    points.insert(points.end(), point.begin(), point.end());
                    weights.push_back(std::exp(-z.squaredNorm() / 2));
                }
        return weighted_cloud(std::move(points), 3, std::move(weights));
    };
    const Cloud x = nodes(a), y = nodes(b);
    for (const std::int64_t steps : {2, 4}) {
        const auto alphas = step_lengths(Schedule::constant, steps);
        Coupling coupling = couple(Grid{}, x, y);
        ProgotOptions options = exactly(alphas, 1e-8);
        options.epsilons.assign(alphas.size(), epsilon);
        const ProgotState state = run(coupling, options);
        ASSERT_EQ(state.status, Status::converged) << state.reason;
        const std::vector<double> mapped = images(Grid{}, x, y, state);

        // C_k = K^T A^-1 with K = (A^1/2 D A^-1/2 - s I)/2, D = (4 A^1/2 B A^1/2 + s^2 I)^1/2, s = epsilon/2.
        Eigen::Matrix3d now = a, whole = Eigen::Matrix3d::Identity();
        const double s = epsilon / 2;
        for (std::size_t k = 0; k < alphas.size(); ++k) {
            const Eigen::Matrix3d half = root_of(now), inverse = half.inverse();
            const Eigen::Matrix3d d = root_of(4 * half * b * half + s * s * Eigen::Matrix3d::Identity());
            const Eigen::Matrix3d cross = (half * d * inverse - s * Eigen::Matrix3d::Identity()) / 2;
            const double alpha = k + 1 == alphas.size() ? 1 : alphas[k];
            const Eigen::Matrix3d share =
                (1 - alpha) * Eigen::Matrix3d::Identity() + alpha * cross.transpose() * now.inverse();
            whole = share * whole;
            now = share * now * share.transpose();
        }
        Eigen::Matrix3d zt = Eigen::Matrix3d::Zero(), zz = zt;  // the map fitted by least squares
        for (std::int64_t i = 0; i < x.rows; ++i) {
            const Eigen::Vector3d z{x.point(i)[0], x.point(i)[1], x.point(i)[2]};
            const Eigen::Map<const Eigen::Vector3d> t{mapped.data() + 3 * i};
            zt += x.weights[static_cast<std::size_t>(i)] * t * z.transpose();
            zz += x.weights[static_cast<std::size_t>(i)] * z * z.transpose();
        }
        EXPECT_LT((zt * zz.inverse() - whole).cwiseAbs().maxCoeff(), 1e-4) << steps << " steps";
    }
}

Cloud read_csv(const std::string& name) {
    std::ifstream file{std::string{CONVOY_TEST_SOURCE_DATA} + "/" + name};
    EXPECT_TRUE(file.good()) << name;
    std::vector<double> points;
    for (std::string line; std::getline(file, line);) {
        std::stringstream row{line};
        for (std::string number; std::getline(row, number, ',');) points.push_back(std::stod(number));
    }
    return uniform_cloud(std::move(points), 2);
}

constexpr EpsilonRule twentieth_of_mean{0.05, EpsilonRule::Unit::mean};

TEST(Progot, PublishedTutorialHasItsEpsilons) {
    const Cloud x = read_csv("progot2d_x.csv"), y = read_csv("progot2d_y.csv");
    const std::array<double, 4> published{16.5209715, 10.1641614, 8.4511638, 8.3859416};
    on_every_grid([&](const Grid& grid) {
        Coupling coupling = couple(grid, x, y);
        ProgotOptions options = exactly(step_lengths(Schedule::decelerated, 4));
        options.rule = twentieth_of_mean;
        const ProgotState state = run(coupling, options);

        EXPECT_EQ(state.status, Status::converged) << state.reason;
        ASSERT_EQ(state.steps.size(), published.size());
        for (std::size_t k = 0; k < published.size(); ++k)
            EXPECT_NEAR(state.steps[k].epsilon / published[k], 1, 1e-6) << "step " << k + 1;
        // The cloud travels: what is left in the coupling is X(4).
        EXPECT_NEAR(twentieth_of_mean.resolve(coupling), state.steps[3].epsilon, 1e-12);
    });
}

// OTT's own loop: each step from zero, plain, the error looked at every 10 iterations, 1e-3.
TEST(Progot, PublishedLoopHasItsEpsilons) {
    const Cloud x = read_csv("progot2d_x.csv"), y = read_csv("progot2d_y.csv");
    const std::array<double, 4> published{16.5209715, 10.1641620, 8.4513876, 8.3868261};
    const auto alphas = step_lengths(Schedule::decelerated, 4);
    on_every_grid([&](const Grid& grid) {
        Coupling coupling = couple(grid, x, y);
        for (std::size_t k = 0; k < published.size(); ++k) {
            const double epsilon = twentieth_of_mean.resolve(coupling);
            EXPECT_NEAR(epsilon / published[k], 1, 1e-6) << "step " << k + 1;
            std::vector<double> f(static_cast<std::size_t>(coupling.local(Side::row).rows), 0.0);
            std::vector<double> g(static_cast<std::size_t>(coupling.local(Side::column).rows), 0.0);
            const auto half_step = [&](Side side, std::vector<double>& potential) {
                const auto log_sum = coupling.reduce(side, {f, g}, epsilon, Safety::safe);
                for (std::size_t i = 0; i < potential.size(); ++i) potential[i] -= epsilon * log_sum[i];
            };
            double error = 1;
            for (int iteration = 1; error >= 1e-3 && iteration <= 2000; ++iteration) {
                half_step(Side::column, g);
                half_step(Side::row, f);
                if (iteration % 10 == 0)
                    error = coupling.marginal_error(Side::column,
                                                    coupling.reduce(Side::column, {f, g}, epsilon, Safety::safe));
            }
            travel(coupling, {epsilon, alphas[k], g});
        }
    });
}

TEST(Progot, RepeatedPointsAreWeights) {
    Cloud x = test::random_cloud(1, 23, 2, 0, 1), y = test::random_cloud(2, 12, 2, 1, 1.5), repeated = y;
    y.weights.assign(12, 0);
    repeated.points.clear();
    repeated.weights.clear();
    for (std::int64_t j = 0; j < 12; ++j) {
        for (std::int64_t copy = 0; copy <= j % 3; ++copy) {
            const auto point = y.point(j);
            repeated.points.insert(repeated.points.end(), point.begin(), point.end());
            repeated.weights.push_back(1.0 / 24);
            y.weights[static_cast<std::size_t>(j)] += 1.0 / 24;
        }
    }
    repeated.rows = std::ssize(repeated.weights);
    ASSERT_EQ(repeated.rows, 24);
    const auto alphas = step_lengths(Schedule::constant, 3);
    std::vector<double> first;
    on_every_grid([&](const Grid& grid) {
        for (const Cost& cost : {Cost{}, Cost{CostKind::pnorm, 1.5}}) {
            std::array<std::vector<double>, 2> mapped;
            for (const bool again : {false, true}) {
                const Cloud& target = again ? repeated : y;
                Coupling coupling = couple(grid, x, target, cost);
                ProgotOptions options = exactly(alphas, 1e-13);
                options.rule = twentieth_of_mean;
                mapped[again ? 1 : 0] = images(grid, x, target, run(coupling, options), cost);
            }
            for (std::size_t i = 0; i < mapped[0].size(); ++i)
                EXPECT_NEAR(mapped[0][i], mapped[1][i], 1e-8 * std::max(1.0, std::abs(mapped[0][i])));
        }
    });
}

TEST(Progot, AgreesWithTheReferenceBackendOnEveryGrid) {
    const Cloud x = test::random_cloud(3, 37, 3, 0, 1, true), y = test::random_cloud(4, 29, 3, 2, 1, true);
    const auto alphas = step_lengths(Schedule::accelerated, 3);
    for (const Cost& cost : {Cost{}, Cost{CostKind::pnorm, 1.5}, Cost{CostKind::dot}}) {
        SCOPED_TRACE(cost.name());
        ProgotOptions options = exactly(alphas, 1e-10);
        options.rule = {0.1, EpsilonRule::Unit::standard_deviation};
        std::vector<double> expected;
        {
            // Every rank by itself, on the whole clouds.
            Coupling alone{Grid{},          {Partition::even(37, 1), x}, {Partition::even(29, 1), y}, cost,
                           Precision::fp64, Backend::reference};
            const ProgotState state = run(alone, options);
            Coupling mapping{Grid{},          {Partition::even(37, 1), x}, {Partition::even(29, 1), y}, cost,
                             Precision::fp64, Backend::reference};
            expected = map_through(mapping, maps_of(state));
        }
        on_every_grid([&](const Grid& grid) {
            Coupling coupling = couple(grid, x, y, cost);
            const std::vector<double> mapped = images(grid, x, y, run(coupling, options), cost);
            for (std::size_t i = 0; i < mapped.size(); ++i) EXPECT_NEAR(mapped[i], expected[i], 1e-7);

            Coupling single = couple(grid, x, y, cost, Precision::single);
            ProgotOptions loose = options;
            loose.tolerances.assign(alphas.size(), 1e-4);
            const ProgotState state = run(single, loose);
            EXPECT_EQ(state.status, Status::converged) << state.reason;
            const std::vector<double> nearly = images(grid, x, y, state, cost);
            for (std::size_t i = 0; i < nearly.size(); ++i) EXPECT_NEAR(nearly[i], expected[i], 2e-2);
            for (const ProgotStep& step : state.steps) EXPECT_LE(step.dropped, 1e-7);
        });
    }
}

TEST(Progot, PutDownBetweenHalfPassesAndTakenUpAgainGivesTheSameBits) {
    const Cloud x = test::random_cloud(5, 40, 2, 0, 1), y = test::random_cloud(6, 31, 2, 1, 2);
    on_every_grid([&](const Grid& grid) {
        ProgotOptions options = exactly(step_lengths(Schedule::constant, 3), 1e-6);
        options.rule = twentieth_of_mean;
        Coupling undisturbed = couple(grid, x, y);
        const ProgotState expected = run(undisturbed, options);

        Coupling coupling = couple(grid, x, y);
        ProgotState kept;
        {
            Progot solver{coupling, options};
            solver.step(kept);
        }
        std::vector<double> travelled_so_far = coupling.local(Side::row).points;
        Coupling fresh = couple(grid, x, y);
        fresh.move_source(std::move(travelled_so_far));
        const Progot solver{fresh, options};
        while (kept.status == Status::running) solver.step(kept);

        EXPECT_EQ(kept.f, expected.f);
        EXPECT_EQ(kept.g, expected.g);
        EXPECT_EQ(kept.steps.size(), expected.steps.size());
    });
}

TEST(Progot, AMissedStepIsSaidAndTheOthersGoOn) {
    const Cloud x = test::random_cloud(7, 40, 2, 0, 1), y = test::random_cloud(8, 31, 2, 1, 2);
    on_every_grid([&](const Grid& grid) {
        Coupling coupling = couple(grid, x, y);
        ProgotOptions options = exactly(step_lengths(Schedule::constant, 3), 1e-3);
        options.rule = twentieth_of_mean;
        options.tolerances[1] = 1e-300;
        options.sinkhorn.max_half_passes = 300;
        const ProgotState state = run(coupling, options);

        EXPECT_EQ(state.status, Status::not_converged);
        EXPECT_EQ(state.steps[0].status, Status::converged);
        EXPECT_EQ(state.steps[1].status, Status::not_converged);
        EXPECT_EQ(state.steps[2].status, Status::converged);
        EXPECT_NE(state.reason.find("step 2"), std::string::npos) << state.reason;
    });
}

TEST(Progot, RefusesWhatHasNoMeaning) {
    const Cloud x = test::random_cloud(9, 5, 2, 0, 1);
    const Communicator world = Communicator::world();
    const Grid grid{world, test::all_shapes(world.size()).front()};
    Coupling coupling = couple(grid, x, x);
    const auto refused = [&](const std::function<void(ProgotOptions&)>& spoil, Coupling& in) {
        ProgotOptions options = exactly({0.5, 1});
        options.epsilons = {1, 1};
        spoil(options);
        EXPECT_THROW((Progot{in, options}), InputError);
    };
    refused([](auto& o) { o.alphas = {}; }, coupling);
    refused([](auto& o) { o.alphas = {0, 1}; }, coupling);
    refused([](auto& o) { o.alphas = {0.5, 1.5}; }, coupling);
    refused([](auto& o) { o.epsilons = {1}; }, coupling);
    refused([](auto& o) { o.epsilons = {1, -1}; }, coupling);
    refused([](auto& o) { o.tolerances = {0, 1}; }, coupling);
    Coupling no_map = couple(grid, x, x, Cost{CostKind::euclidean});
    refused([](auto&) {}, no_map);
}

TEST(AutoEpsilon, FindsTheScaleThatMapsUnseenPointsOntoThemselvesBest) {
    const Cloud x = test::random_cloud(10, 60, 2, 0, 1), y = test::random_cloud(11, 80, 2, 3, 1);
    AutoEpsilonOptions options;
    options.tolerance = 1e-6;
    std::vector<double> expected;
    on_every_grid([&](const Grid& grid) {
        const Coupling coupling = couple(grid, x, y);
        const AutoEpsilon found = choose_epsilons(coupling, options);

        EXPECT_NEAR(found.start, 5 * twentieth_of_mean.resolve(coupling), 1e-12);
        ASSERT_EQ(found.errors.size(), options.scales.size());
        EXPECT_EQ(found.held_out, 16);
        const auto best = std::ranges::min_element(found.errors) - found.errors.begin();
        EXPECT_EQ(found.scale, options.scales[static_cast<std::size_t>(best)]);
        EXPECT_EQ(found.end, found.scale * found.sigma);
        // A large epsilon sends every point to the mean, a small one to its nearest neighbour: neither is best here.
        EXPECT_LT(found.errors[static_cast<std::size_t>(best)], 0.8 * found.errors.back());
        if (expected.empty()) expected = found.errors;
        for (std::size_t k = 0; k < expected.size(); ++k) EXPECT_NEAR(found.errors[k], expected[k], 1e-6);

        // Given points: the target itself, all of which is used then.
        const AutoEpsilon given = choose_epsilons(coupling, options, test::scatter(grid, Side::row, x));
        EXPECT_EQ(given.held_out, 60);
    });
}

}  // namespace
}  // namespace convoy
