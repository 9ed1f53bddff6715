// The Sinkhorn divergence against closed forms, symmetries, published numbers and differences.

#include "convoy/divergence.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <random>

#include "../parallel/scatter.hpp"
#include "convoy/error.hpp"
#include "gaussian_nodes.hpp"
#include "kernels/clouds.hpp"
#include "random_cloud.hpp"
#include "track.hpp"

namespace convoy {
namespace {

// An L1 marginal error of 1e-12 moves values by it times a range of potentials, some tens here.
constexpr double agreement = 1e-10;

DivergenceOptions exact(double epsilon, double tolerance = 1e-12) {
    DivergenceOptions options;
    options.sinkhorn.epsilon = epsilon;
    options.sinkhorn.tolerance = tolerance;
    options.sinkhorn.max_half_passes = 20000;
    return options;
}

struct Problem {
    Cloud x, y;
    Cost cost = {};
    bool uneven = false;
    Precision precision = Precision::fp64;
    Backend backend = Backend::cpu;
};

Coupling coupling_of(const Grid& grid, const Problem& p) {
    const auto cut = [&](Side side, const Cloud& cloud) {
        return p.uneven ? test::scatter_unevenly(grid, side, cloud, 3) : test::scatter(grid, side, cloud);
    };
    return {grid, cut(Side::row, p.x), cut(Side::column, p.y), p.cost, p.precision, p.backend};
}

Divergence computed(const Grid& grid, const Problem& p, const DivergenceOptions& options) {
    Coupling coupling = coupling_of(grid, p);
    Divergence result = sinkhorn_divergence(coupling, options);
    EXPECT_TRUE(result.converged()) << result.cross.reason << "; " << result.source.reason << "; "
                                    << result.target.reason;
    return result;
}

void on_every_grid(const std::function<void(const Grid&)>& check) {
    const Communicator world = Communicator::world();
    for (const GridShape shape : test::all_shapes(world.size())) {
        SCOPED_TRACE("grid " + shape.name());
        check(Grid{world, shape});
    }
}

Cloud cloud_of(std::uint64_t seed, std::int64_t rows, std::int64_t dimension = 2, double centre = 0) {
    return test::random_cloud(seed, rows, dimension, centre, 1, true);
}

Cloud moved(Cloud cloud, const std::vector<double>& by) {
    for (std::size_t k = 0; k < cloud.points.size(); ++k) cloud.points[k] += by[k % by.size()];
    return cloud;
}

void expect_same(const DivergenceValues& values, const DivergenceValues& expected, double tolerance = agreement) {
    EXPECT_NEAR(values.divergence, expected.divergence, tolerance);
    EXPECT_NEAR(values.transport, expected.transport, tolerance);
}

TEST(Divergence, OfACloudFromItselfIsZero) {
    const Cloud x = cloud_of(1, 40);
    on_every_grid([&](const Grid& grid) {
        for (const char* cost : {"sqeuclidean", "euclidean", "pnorm:1.5", "dot", "cosine"}) {
            SCOPED_TRACE(cost);
            // Alternating is slow on equal clouds: an epsilon at which it ends.
            expect_same(computed(grid, {x, x, Cost::parse(cost)}, exact(1)).values, {0, 0});
        }
    });
}

TEST(Divergence, OfATranslateIsItsSquaredLengthAtEveryEpsilon) {
    const Cloud x = cloud_of(2, 30);
    const Cloud y = moved(x, {3, -4});
    on_every_grid([&](const Grid& grid) {
        for (const double epsilon : {0.5, 2.0, 20.0}) {
            SCOPED_TRACE(epsilon);
            for (const bool uneven : {false, true})
                expect_same(computed(grid, {x, y, Cost{}, uneven}, exact(epsilon)).values, {25, 25});
        }
    });
}

TEST(Divergence, OfThePublishedTutorialHasItsValues) {
    on_every_grid([](const Grid& grid) {
        const Divergence found = computed(grid, {test::track_x, test::track_y}, exact(test::track_epsilon));

        // Published to 10 digits, points to 9.
        EXPECT_NEAR(found.cross.values.dual_value, 1.2124886451, 2e-9);
        EXPECT_NEAR(found.values.divergence, 0.9540261700, 2e-9);
        EXPECT_NEAR(found.values.transport, 1.0071978130, 2e-9);
    });
}

TEST(Divergence, BetweenGaussiansHasItsClosedForm) {
    // Janati et al. 2020, theorem 1, in one dimension: the regularised value, and <P,C>.
    constexpr double epsilon = 0.5, s = epsilon / 2;
    const auto value = [&](double shift, double var_x, double var_y) {
        const double d = std::sqrt(4 * var_x * var_y + s * s);
        return shift * shift + var_x + var_y - d + s * (1 - std::log(2 * s)) + s * std::log(d + s);
    };
    const auto transport = [&](double shift, double var_x, double var_y) {
        const double d = std::sqrt(4 * var_x * var_y + s * s);
        return shift * shift + var_x + var_y - (d - s);
    };
    const DivergenceValues expected{value(1, 1, 4) - (value(0, 1, 1) + value(0, 4, 4)) / 2,
                                    transport(1, 1, 4) - (transport(0, 1, 1) + transport(0, 4, 4)) / 2};
    const Problem p{test::gaussian_nodes(0, 1, 201), test::gaussian_nodes(1, 2, 301)};
    on_every_grid([&](const Grid& grid) {
        // 1e-8: the nodes' and the tolerance's.
        expect_same(computed(grid, p, exact(epsilon, 1e-11)).values, expected, 1e-8);
    });
}

TEST(Divergence, DoesNotDependOnOrderOrMultiplicity) {
    const Cloud x = cloud_of(3, 30), y = cloud_of(4, 25, 2, 0.5);
    std::vector<std::size_t> order(30);
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::shuffle(order.begin(), order.end(), std::mt19937_64{6});
    Cloud shuffled = x, twice = x;
    for (std::size_t i = 0; i < 30; ++i) {
        std::ranges::copy(x.point(static_cast<std::int64_t>(order[i])),
                          shuffled.points.begin() + static_cast<std::int64_t>(2 * i));
        shuffled.weights[i] = x.weights[order[i]];
    }
    twice.rows *= 2;
    twice.points.insert(twice.points.end(), x.points.begin(), x.points.end());
    twice.weights.insert(twice.weights.end(), x.weights.begin(), x.weights.end());
    for (double& w : twice.weights) w /= 2;
    // Points without mass (every third) might as well be left out.
    Cloud massive{0, 2, {}, {}};
    for (std::int64_t i = 0; i < x.rows; ++i) {
        if (x.weights[static_cast<std::size_t>(i)] == 0) continue;
        ++massive.rows;
        massive.points.insert(massive.points.end(), x.point(i).begin(), x.point(i).end());
        massive.weights.push_back(x.weights[static_cast<std::size_t>(i)]);
    }
    on_every_grid([&](const Grid& grid) {
        const DivergenceValues expected = computed(grid, {x, y}, exact(0.3)).values;

        EXPECT_GT(expected.divergence, 0);
        expect_same(computed(grid, {x, y, Cost{}, true}, exact(0.3)).values, expected);
        for (const Cloud& same : {shuffled, twice, massive})
            expect_same(computed(grid, {same, y}, exact(0.3)).values, expected);
        expect_same(computed(grid, {y, x}, exact(0.3)).values, expected);
    });
}

TEST(Divergence, IsThatOfTheReferenceBackend) {
    const Cloud x = cloud_of(5, 24, 3), y = cloud_of(6, 31, 3, 0.5);
    on_every_grid([&](const Grid& grid) {
        for (const char* cost : {"sqeuclidean", "euclidean", "pnorm:1.5", "dot", "cosine"}) {
            SCOPED_TRACE(cost);
            DivergenceOptions options = exact(0.3, 1e-9);
            options.gradient = true;
            const Divergence expected =
                computed(grid, {x, y, Cost::parse(cost), false, Precision::fp64, Backend::reference}, options);
            const Divergence found = computed(grid, {x, y, Cost::parse(cost)}, options);
            options.sinkhorn.tolerance = 1e-4;
            const Divergence rough = computed(grid, {x, y, Cost::parse(cost), false, Precision::single}, options);

            expect_same(found.values, expected.values, 1e-8);
            // Dual values are right to the square of the marginal error, transport costs to the error itself.
            EXPECT_NEAR(rough.values.divergence, expected.values.divergence, 1e-4);
            EXPECT_NEAR(rough.values.transport, expected.values.transport, 1e-2);
            for (std::size_t k = 0; k < found.gradient.size(); ++k) {
                EXPECT_NEAR(found.gradient[k], expected.gradient[k], 1e-8);
                EXPECT_NEAR(rough.gradient[k], expected.gradient[k], 1e-3);
            }
        }
    });
}

TEST(Divergence, HasItsGradient) {
    const Cloud x = cloud_of(7, 14), y = cloud_of(8, 11, 2, 0.7);
    constexpr double step = 1e-4;
    const std::vector<std::size_t> looked_at{2, 5, 9, 26};
    for (const char* name : {"sqeuclidean", "euclidean", "pnorm:1.5", "pnorm:2", "pnorm:3", "dot", "cosine"}) {
        SCOPED_TRACE(name);
        const Cost cost = Cost::parse(name);
        DivergenceOptions options = exact(0.4, 1e-11);
        const auto value = [&](std::size_t k, double by) {
            Cloud there = x;
            there.points[k] += by;
            return computed(Grid{}, {there, y, cost}, options).values.divergence;
        };
        // A fourth-order difference: its error is step^4 times a fifth derivative, and the values' own.
        std::vector<double> expected;
        for (const std::size_t k : looked_at)
            expected.push_back((8 * (value(k, step) - value(k, -step)) - (value(k, 2 * step) - value(k, -2 * step))) /
                               (12 * step));
        options.gradient = true;
        on_every_grid([&](const Grid& grid) {
            for (const bool uneven : {false, true}) {
                const Problem p{x, y, cost, uneven};
                const std::vector<double> part = computed(grid, p, options).gradient;
                EXPECT_EQ(part.size(), coupling_of(grid, p).local(Side::row).points.size());
                const std::vector<double> gradient = grid.holders(Side::row).gather_all(part);
                ASSERT_EQ(gradient.size(), x.points.size());
                EXPECT_EQ(gradient[0], 0) << "a point without mass";
                for (std::size_t i = 0; i < looked_at.size(); ++i)
                    EXPECT_NEAR(gradient[looked_at[i]], expected[i], 1e-7) << "number " << looked_at[i];
            }
        });
    }
}

TEST(Divergence, GradientOfATranslateIsTheWay) {
    // S = |t|^2 whatever the cloud, so moving all of it by dt gives 2 <-t, dt>: each point has its share.
    const Cloud x = cloud_of(9, 30);
    const Cloud y = moved(x, {3, -4});
    on_every_grid([&](const Grid& grid) {
        DivergenceOptions options = exact(2);
        options.gradient = true;
        const std::vector<double> part = computed(grid, {x, y}, options).gradient;
        const std::vector<double> gradient = grid.holders(Side::row).gather_all(part);

        for (std::size_t i = 0; i < x.weights.size(); ++i) {
            EXPECT_NEAR(gradient[2 * i], -6 * x.weights[i], agreement);
            EXPECT_NEAR(gradient[2 * i + 1], 8 * x.weights[i], agreement);
        }
    });
}

TEST(Divergence, TakesSelfTermsThatAreKnown) {
    const Problem p{cloud_of(10, 30), cloud_of(11, 25, 2, 0.5)};
    on_every_grid([&](const Grid& grid) {
        DivergenceOptions options = exact(0.3);
        options.gradient = true;
        const Divergence first = computed(grid, p, options);
        const SelfTerm source{first.source, first.self_source}, target{first.target, first.self_target};
        options.source = &source;
        options.target = &target;

        const Divergence again = computed(grid, p, options);

        EXPECT_EQ(again.values.divergence, first.values.divergence);
        EXPECT_EQ(again.values.transport, first.values.transport);
        EXPECT_EQ(again.gradient, first.gradient);
    });
}

TEST(Divergence, SaysWhichTermsAreNotConverged) {
    const Problem p{cloud_of(12, 60), cloud_of(13, 50, 2, 0.5)};
    on_every_grid([&](const Grid& grid) {
        Coupling coupling = coupling_of(grid, p);
        DivergenceOptions options = exact(0.01, 1e-9);
        options.sinkhorn.max_half_passes = 2;

        const Divergence limited = sinkhorn_divergence(coupling, options);

        EXPECT_FALSE(limited.converged());
        for (const DivergenceTerm* term : {&limited.cross, &limited.source, &limited.target}) {
            EXPECT_EQ(term->status, Status::not_converged);
            EXPECT_TRUE(std::isfinite(term->values.dual_value));
        }
        options.sinkhorn.max_half_passes = 20000;
        const bool last = grid.world().rank() + 1 == grid.world().size();
        options.stop = [&] { return last; };
        const Divergence stopped = sinkhorn_divergence(coupling, options);
        for (const DivergenceTerm* term : {&stopped.cross, &stopped.source, &stopped.target})
            EXPECT_EQ(term->status, Status::stopped);
    });
}

TEST(Divergence, AuditsItsTermsInDouble) {
    const Problem p{cloud_of(14, 80, 3), cloud_of(15, 70, 3, 0.5), Cost{}, false, Precision::single};
    on_every_grid([&](const Grid& grid) {
        const Divergence found = computed(grid, p, exact(0.2, 1e-4));

        for (const DivergenceTerm* term : {&found.cross, &found.source, &found.target}) {
            EXPECT_LE(term->audit.error(), 1e-4);
            EXPECT_FALSE(term->audit.sampled);
        }
        EXPECT_GE(found.values.divergence, 0);
    });
}

}  // namespace
}  // namespace convoy
