#include "convoy/map.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "convoy/error.hpp"
#include "convoy/sinkhorn.hpp"
#include "parallel/scatter.hpp"
#include "random_cloud.hpp"
#include "solvers/portioned_map.hpp"

namespace convoy {
namespace {

using test::all_shapes;
using test::random_cloud;
using test::scatter;
using test::scatter_unevenly;

// A potential of no particular problem: maps are right for any.
std::vector<double> waves(std::int64_t rows) {
    std::vector<double> g;
    for (std::int64_t j = 0; j < rows; ++j) g.push_back(0.2 * std::sin(1.3 * static_cast<double>(j)));
    return g;
}

std::vector<double> part_of(const Coupling& coupling, Side side, const std::vector<double>& whole, std::int64_t width) {
    const GlobalRun run = coupling.cloud(side).partition.run(coupling.grid().part(side));
    return {whole.begin() + run.first.value * width, whole.begin() + (run.first.value + run.count) * width};
}

// T(z) as it is written, one term after the other.
std::vector<double> direct_map(const Cost& cost, const Cloud& points, const Cloud& target, const std::vector<double>& g,
                               double epsilon) {
    const auto d = static_cast<std::size_t>(points.dimension);
    std::vector<double> images, gradient(d), difference(d), move(d);
    for (std::int64_t i = 0; i < points.rows; ++i) {
        const auto z = points.point(i);
        std::vector<double> logits;
        for (std::int64_t j = 0; j < target.rows; ++j)
            logits.push_back(std::log(target.weights[j]) + (g[j] - cost(z, target.point(j))) / epsilon);
        const double largest = *std::ranges::max_element(logits);
        double total = 0;
        std::vector<double> mean(d, 0.0), average(d, 0.0);
        for (std::int64_t j = 0; j < target.rows; ++j) {
            const double w = std::exp(logits[j] - largest);
            const auto y = target.point(j);
            total += w;
            for (std::size_t k = 0; k < d; ++k) average[k] += w * y[k];
            if (cost.kind() == CostKind::dot) continue;
            for (std::size_t k = 0; k < d; ++k) difference[k] = z[k] - y[k];
            cost.grad_h(difference, gradient);
            for (std::size_t k = 0; k < d; ++k) mean[k] += w * gradient[k];
        }
        for (double& m : mean) m /= total;
        if (cost.kind() != CostKind::dot) cost.grad_h_conjugate(mean, move);
        for (std::size_t k = 0; k < d; ++k)
            images.push_back(cost.kind() == CostKind::dot ? average[k] / total : z[k] - move[k]);
    }
    return images;
}

double largest_difference(std::span<const double> a, std::span<const double> b) {
    EXPECT_EQ(a.size(), b.size());
    double most = 0;
    for (std::size_t k = 0; k < std::min(a.size(), b.size()); ++k) most = std::max(most, std::abs(a[k] - b[k]));
    return most;
}

class Map : public testing::Test {
 protected:
    using Scatter = std::function<DistributedCloud(const Grid&, Side, const Cloud&)>;

    // On every grid: the map of `points` by `g` is `expected`.
    void expect_map(const Cost& cost, const Cloud& points, const Cloud& target, const std::vector<double>& g,
                    double epsilon, const std::vector<double>& expected, Precision precision, double tolerance,
                    const Scatter& cut = scatter) {
        for (const GridShape shape : all_shapes(world_.size())) {
            const Grid grid{world_, shape};
            Coupling coupling{grid, cut(grid, Side::row, points), cut(grid, Side::column, target), cost, precision};

            const std::vector<double> images =
                entropic_map(coupling, Side::row, part_of(coupling, Side::column, g, 1), epsilon);

            EXPECT_LT(largest_difference(images, part_of(coupling, Side::row, expected, points.dimension)), tolerance)
                << cost.name() << " on " << shape.name();
        }
    }

    Communicator world_ = Communicator::world();
};

// By the reference backend: (P Y)_i / a_i of the plan whose rows are exact.
TEST_F(Map, OfTheTrainingPointsIsTheBarycentricProjection) {
    const Cloud x = random_cloud(1, 37, 3, 0, 1), y = random_cloud(2, 29, 3, 0.5, 1.5, true);
    const std::vector<double> g = waves(y.rows);
    constexpr double epsilon = 0.3;
    for (const Cost cost : {Cost{CostKind::sqeuclidean}, Cost{CostKind::pnorm, 2}, Cost{CostKind::dot}}) {
        const Grid alone;
        Coupling reference{alone,
                           scatter(alone, Side::row, x),
                           scatter(alone, Side::column, y),
                           cost,
                           Precision::fp64,
                           Backend::reference};
        std::vector<double> f(static_cast<std::size_t>(x.rows), 0.0);
        const auto log_sum = reference.reduce(Side::row, {f, g}, epsilon, Safety::safe);
        for (std::size_t i = 0; i < f.size(); ++i) f[i] = -epsilon * log_sum[i];
        const auto projection =
            reference.apply(Side::row, {f, g}, epsilon, Safety::shifted, Weighting::of_columns(y.points, 3)).value;

        // Rounding of double, a few hundred terms.
        expect_map(cost, x, y, g, epsilon, projection, Precision::fp64, 1e-12);
        expect_map(cost, x, y, g, epsilon, projection, Precision::single, 2e-5);
    }
}

// N(0,1) to N(1,4) at epsilon 0.5: T(z) = 1 + K z, K = (sqrt(4 A B + s^2) - s)/2, s = epsilon/2. On a fine grid with
// normal masses the sums are the integrals to rounding.
TEST_F(Map, BetweenGaussiansIsTheClosedForm) {
    constexpr int nodes = 201;
    constexpr double epsilon = 0.5, s = epsilon / 2;
    const double slope = (std::sqrt(16 + s * s) - s) / 2;
    std::vector<double> t, t_to, mass;
    for (int k = 0; k < nodes; ++k) {
        t.push_back(-8 + 16.0 * k / (nodes - 1));
        t_to.push_back(1 + 2 * t.back());
        mass.push_back(std::exp(-t.back() * t.back() / 2));
    }
    const Cloud x = weighted_cloud(t, 1, mass), y = weighted_cloud(t_to, 1, mass);
    const Grid grid{world_, {world_.size(), 1}};
    Coupling coupling{grid, scatter(grid, Side::row, x), scatter(grid, Side::column, y), Cost{}, Precision::fp64};
    Sinkhorn sinkhorn{coupling, {.epsilon = epsilon, .tolerance = 1e-11, .max_half_passes = 4000}};
    SinkhornState state = sinkhorn.start();
    while (state.status == Status::running) sinkhorn.step(state);

    const Cloud seen = uniform_cloud({-2.9, -1.23, -0.5, 0, 0.77, 1.9, 3.1}, 1);
    Coupling other = coupling.with(Side::row, scatter(grid, Side::row, seen));
    const std::vector<double> images = entropic_map(other, Side::row, state.g, epsilon);

    EXPECT_NEAR(slope, 1.87890244, 1e-8);
    for (std::int64_t i = 0; i < other.local(Side::row).rows; ++i)
        EXPECT_NEAR(images[i], 1 + slope * other.local(Side::row).point(i)[0], 1e-8);
    // And back: T(y) = K (y - 1)/B, by f.
    const std::vector<double> back = entropic_map(coupling, Side::column, state.f, epsilon);
    for (std::int64_t j = 0; j < coupling.local(Side::column).rows; ++j) {
        const double point = coupling.local(Side::column).point(j)[0];
        if (std::abs(point - 1) > 6) continue;
        EXPECT_NEAR(back[j], slope * (point - 1) / 4, 1e-8);
    }
}

TEST_F(Map, OfAPowerIsTheDirectSoftmax) {
    const Cloud x = random_cloud(3, 23, 4, 0, 1), y = random_cloud(4, 31, 4, 0.3, 1);
    for (const double p : {1.5, 3.0}) {
        const Cost cost{CostKind::pnorm, p};
        const auto expected = direct_map(cost, x, y, waves(y.rows), 0.4);

        expect_map(cost, x, y, waves(y.rows), 0.4, expected, Precision::fp64, 1e-11);
        // grad h* of p = 3 has an infinite slope at 0.
        expect_map(cost, x, y, waves(y.rows), 0.4, expected, Precision::single, p < 2 ? 1e-4 : 1e-2);
    }
}

TEST_F(Map, SendsAPointFarAwayToWhatIsNearest) {
    // The third target point is the farthest in the first direction, and nearest to the far point.
    const Cloud y = uniform_cloud({0, 0, 1, 3, 2, 1, -1, 2}, 2);
    const Cloud x = uniform_cloud({1e6, 0, -1e6, 1}, 2);

    for (const Precision precision : {Precision::fp64, Precision::single})
        expect_map(Cost{}, x, y, {0.1, -0.2, 0.3, 0.1}, 0.05, {2, 1, -1, 2}, precision, 1e-5);
    expect_map(Cost{CostKind::dot}, x, y, {0.1, -0.2, 0.3, 0.1}, 0.05, {2, 1, -1, 2}, Precision::single, 1e-5);
}

TEST_F(Map, DoesWithoutPointsThatHaveNoMass) {
    const Cloud x = random_cloud(5, 11, 2, 0, 1), y = random_cloud(6, 24, 2, 0, 1, true);
    const std::vector<double> g = waves(y.rows);
    std::vector<double> kept_points, kept_weights, kept_g;
    for (std::int64_t j = 0; j < y.rows; ++j) {
        if (y.weights[j] == 0) continue;
        kept_points.insert(kept_points.end(), y.point(j).begin(), y.point(j).end());
        kept_weights.push_back(y.weights[j]);
        kept_g.push_back(g[j]);
    }
    const auto expected = direct_map(Cost{}, x, weighted_cloud(kept_points, 2, kept_weights), kept_g, 0.2);

    expect_map(Cost{}, x, y, g, 0.2, expected, Precision::fp64, 1e-12);
}

TEST_F(Map, OfDuplicatesIsThatOfWeights) {
    const Cloud x = random_cloud(7, 9, 3, 0, 1), once = random_cloud(8, 13, 3, 0, 1);
    std::vector<double> points = once.points, weights(13, 1.0), g = waves(13), g_twice = g;
    for (std::int64_t j = 0; j < 5; ++j) {  // the first five come twice
        points.insert(points.end(), once.point(j).begin(), once.point(j).end());
        g_twice.push_back(g[j]);
        weights[j] = 2;
    }
    const auto expected = direct_map(Cost{}, x, weighted_cloud(once.points, 3, weights), g, 0.3);

    expect_map(Cost{}, x, uniform_cloud(points, 3), g_twice, 0.3, expected, Precision::fp64, 1e-8);
}

TEST_F(Map, DoesNotMindEmptyPartsOrMoreRanksThanPoints) {
    const Cloud x = random_cloud(9, 10, 2, 0, 1), y = random_cloud(10, 15, 2, 0, 1);
    const Cloud few = random_cloud(11, 2, 2, 0, 1), one = random_cloud(12, 1, 2, 0, 1);
    const auto unevenly = [](const Grid& grid, Side side, const Cloud& cloud) {
        return scatter_unevenly(grid, side, cloud, 7);
    };

    expect_map(Cost{}, x, y, waves(15), 0.3, direct_map(Cost{}, x, y, waves(15), 0.3), Precision::fp64, 1e-12,
               unevenly);
    expect_map(Cost{}, few, few, waves(2), 0.3, direct_map(Cost{}, few, few, waves(2), 0.3), Precision::fp64, 1e-12);
    expect_map(Cost{}, few, one, {0.5}, 0.3, {one.points[0], one.points[1], one.points[0], one.points[1]},
               Precision::fp64, 1e-12);
}

TEST_F(Map, IsRefusedForCostsThatHaveNone) {
    const Cloud x = random_cloud(13, 5, 2, 1, 1);
    const Grid grid{world_, {1, world_.size()}};
    for (const CostKind kind : {CostKind::euclidean, CostKind::cosine}) {
        Coupling coupling{grid, scatter(grid, Side::row, x), scatter(grid, Side::column, x), Cost{kind},
                          Precision::fp64};
        const auto g = part_of(coupling, Side::column, waves(5), 1);

        EXPECT_THROW(entropic_map(coupling, Side::row, g, 0.1), InputError);
        EXPECT_THROW(PortionedMap(grid, scatter(grid, Side::column, x), Cost{kind}, Precision::fp64, Backend::cpu,
                                  {{.epsilon = 0.1, .alpha = 1, .g = g}}, 3),
                     InputError);
    }
}

// Two steps: half of the way by the first map, then the second in full, whatever its alpha.
TEST_F(Map, ThroughStepsIsOneAfterTheOther) {
    const Cloud x = random_cloud(14, 19, 2, 0, 1), y = random_cloud(15, 17, 2, 1, 1);
    const std::vector<double> g1 = waves(17);
    std::vector<double> g2 = g1;
    for (double& v : g2) v *= -0.7;
    Cloud moved = x;
    const auto first = direct_map(Cost{}, x, y, g1, 0.5);
    for (std::size_t k = 0; k < moved.points.size(); ++k) moved.points[k] = 0.6 * x.points[k] + 0.4 * first[k];
    const auto expected = direct_map(Cost{}, moved, y, g2, 0.2);

    for (const GridShape shape : all_shapes(world_.size())) {
        const Grid grid{world_, shape};
        const DistributedCloud target = scatter(grid, Side::column, y);
        const auto local = [&](const std::vector<double>& g) {
            const GlobalRun run = target.partition.run(grid.part(Side::column));
            return std::vector<double>(g.begin() + run.first.value, g.begin() + run.first.value + run.count);
        };
        const std::vector<MapStep> steps{{.epsilon = 0.5, .alpha = 0.4, .g = local(g1)},
                                         {.epsilon = 0.2, .alpha = 0.1, .g = local(g2)}};
        Coupling coupling{grid, scatter(grid, Side::row, x), target, Cost{}, Precision::fp64};
        EXPECT_LT(largest_difference(map_through(coupling, steps), part_of(coupling, Side::row, expected, 2)), 1e-12);
        EXPECT_LT(largest_difference(coupling.local(Side::row).points, part_of(coupling, Side::row, moved.points, 2)),
                  1e-12);

        // In portions of 4 a grid row: as many calls on every one, the last ones with fewer points or none.
        PortionedMap map{grid, target, Cost{}, Precision::fp64, Backend::cpu, steps, 4};
        const DistributedCloud points = scatter(grid, Side::row, x);
        std::vector<double> images;
        for (std::int64_t at = 0; at < points.partition.largest(); at += 4) {
            const std::int64_t count = std::clamp<std::int64_t>(points.local.rows - at, 0, 4);
            const auto begin = points.local.points.begin() + std::min(at, points.local.rows) * 2;
            const auto some = map(std::vector<double>(begin, begin + count * 2));
            images.insert(images.end(), some.begin(), some.end());
        }
        EXPECT_LT(largest_difference(images, part_of(coupling, Side::row, expected, 2)), 1e-12) << shape.name();
    }
}

}  // namespace
}  // namespace convoy
