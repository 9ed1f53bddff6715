#include "convoy/gaussian_start.hpp"

#include <gtest/gtest.h>

#include <Eigen/Dense>
#include <cmath>
#include <functional>
#include <random>
#include <string>

#include "../parallel/scatter.hpp"
#include "convoy/error.hpp"
#include "random_cloud.hpp"

namespace convoy {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

constexpr GaussianKind kinds[] = {GaussianKind::entropic, GaussianKind::bures};

const Cost half_squared{CostKind::pnorm, 2}, dot{CostKind::dot}, cosine{CostKind::cosine};

using test::random_cloud;

Coupling coupling_of(const Grid& grid, const Cloud& x, const Cloud& y, const Cost& cost = Cost{}) {
    return {grid, test::scatter(grid, Side::row, x), test::scatter(grid, Side::column, y), cost, Precision::fp64};
}

// The whole potential, by this rank alone.
std::vector<double> potential_of(const Cloud& x, const Cloud& y, double epsilon, GaussianKind kind,
                                 const Cost& cost = Cost{}) {
    return gaussian_potential(coupling_of(Grid{}, x, y, cost), epsilon, kind);
}

// Equal up to a constant: relative to the first point of each.
void expect_equal_differences(const std::vector<double>& f, const std::vector<double>& expected, double tolerance) {
    ASSERT_EQ(f.size(), expected.size());
    for (std::size_t i = 1; i < f.size(); ++i) EXPECT_NEAR(f[i] - f[0], expected[i] - expected[0], tolerance) << i;
}

// Equidistant nodes with Gaussian weights, by a linear map: sums over them are integrals under N(mean, L L^T) to
// better than any power of the spacing, but for what is cut off beyond `reach` deviations.
Cloud quadrature(const VectorXd& mean, const MatrixXd& root, std::int64_t nodes, double reach) {
    const std::int64_t d = mean.size(), rows = d == 1 ? nodes : nodes * nodes;
    std::vector<double> points, weights;
    for (std::int64_t k = 0; k < rows; ++k) {
        VectorXd z(d);
        z(0) = reach * (2.0 * static_cast<double>(k % nodes) / static_cast<double>(nodes - 1) - 1);
        if (d == 2) z(1) = reach * (2.0 * static_cast<double>(k / nodes) / static_cast<double>(nodes - 1) - 1);
        const VectorXd x = mean + root * z;
        points.insert(points.end(), x.begin(), x.end());
        weights.push_back(std::exp(-z.squaredNorm() / 2));
    }
    return weighted_cloud(std::move(points), d, std::move(weights));
}

// 2 d points of these very moments, with equal weights.
Cloud with_moments(const VectorXd& mean, const MatrixXd& root) {
    std::vector<double> points;
    for (const double sign : {1.0, -1.0})
        for (const auto& direction : root.colwise()) {
            const VectorXd x = mean + sign * std::sqrt(static_cast<double>(mean.size())) * direction;
            points.insert(points.end(), x.begin(), x.end());
        }
    return uniform_cloud(std::move(points), mean.size());
}

// The same with points added that have no mass.
Cloud with_probes(Cloud cloud, const std::vector<VectorXd>& probes) {
    for (const VectorXd& x : probes) {
        cloud.points.insert(cloud.points.end(), x.begin(), x.end());
        cloud.weights.push_back(0);
        ++cloud.rows;
    }
    return cloud;
}

// x - grad f/2 at a point, for a quadratic f between the clouds: central differences have no error but rounding.
VectorXd map_at(const VectorXd& x, const Cloud& source, const Cloud& target, double epsilon, GaussianKind kind) {
    std::vector<VectorXd> probes;
    for (std::int64_t k = 0; k < x.size(); ++k)
        for (const double step : {1.0, -1.0}) probes.push_back(x + step * VectorXd::Unit(x.size(), k));
    const auto f = potential_of(with_probes(source, probes), target, epsilon, kind);
    VectorXd gradient(x.size());
    for (std::int64_t k = 0; k < x.size(); ++k) {
        const auto at = static_cast<std::size_t>(source.rows + 2 * k);
        gradient(k) = (f[at] - f[at + 1]) / 2;
    }
    return x - gradient / 2;
}

// The L1 error of the source's marginal after one column half-pass from f.
double first_error(Coupling& coupling, const std::vector<double>& f, double epsilon) {
    std::vector<double> g(static_cast<std::size_t>(coupling.local(Side::column).rows), 0.0);
    g = coupling.reduce(Side::column, {f, g}, epsilon, Safety::safe);
    for (double& v : g) v *= -epsilon;
    return coupling.marginal_error(Side::row, coupling.reduce(Side::row, {f, g}, epsilon, Safety::safe));
}

const MatrixXd root_a{{1.0, 0.0}, {0.6, 0.5}}, root_b{{0.7, -0.3}, {0.0, 1.1}};
const VectorXd mean_a{{0.3, -1.0}}, mean_b{{1.1, 0.4}};

TEST(GaussianStart, SolvesGaussiansExactly) {
    const auto line = [](double mean, double deviation) {
        return quadrature(VectorXd::Constant(1, mean), MatrixXd::Constant(1, 1, deviation), 161, 8);
    };
    const Cloud x = line(0.3, 1), y = line(-1.2, 0.6);
    const Cloud u = quadrature(mean_a, root_a, 41, 6.5), v = quadrature(mean_b, root_b, 37, 6.5);
    const Communicator world = Communicator::world();
    for (const GridShape shape : test::all_shapes(world.size())) {
        const Grid grid{world, shape};
        for (const double epsilon : {0.5, 1.0, 4.0})
            for (const Cost& cost : {Cost{}, half_squared, dot}) {
                SCOPED_TRACE(testing::Message() << cost.name() << " at " << epsilon << " on " << shape.name());
                Coupling in_1d = coupling_of(grid, x, y, cost), in_2d = coupling_of(grid, u, v, cost);
                const auto f = gaussian_potential(in_1d, epsilon, GaussianKind::entropic);
                const auto h = gaussian_potential(in_2d, epsilon, GaussianKind::entropic);

                EXPECT_LT(first_error(in_1d, f, epsilon), 1e-12);
                EXPECT_LT(first_error(in_2d, h, epsilon), 1e-8);  // as much lies beyond 6.5 deviations
            }
    }
}

TEST(GaussianStart, BuresIsTheMapBetweenAxes) {
    const VectorXd s{{2.0, 0.5, 1.0}}, t{{1.0, 3.0, 0.25}}, p{{1.0, -2.0, 0.5}}, q{{-1.0, 0.0, 4.0}};
    const Cloud x = with_moments(p, s.asDiagonal()), y = with_moments(q, t.asDiagonal());
    const VectorXd at{{0.7, 1.9, -3.0}};

    const VectorXd found = map_at(at, x, y, 0.1, GaussianKind::bures);

    const VectorXd expected = q + VectorXd{t.array() / s.array() * (at - p).array()};
    EXPECT_LT((found - expected).norm(), 1e-12);
}

TEST(GaussianStart, BuresIsTheMapBetweenCovariancesThatDoNotCommute) {
    const MatrixXd root{{1.0, 0.0, 0.0}, {0.5, 2.0, 0.0}, {-0.7, 0.3, 0.4}};
    const MatrixXd map{{2.0, 0.5, -0.3}, {0.5, 1.0, 0.2}, {-0.3, 0.2, 0.7}};  // symmetric, positive definite
    const VectorXd p{{1.0, -2.0, 0.5}}, q{{-1.0, 0.0, 4.0}}, at{{0.7, 1.9, -3.0}};

    const VectorXd found = map_at(at, with_moments(p, root), with_moments(q, map * root), 0.1, GaussianKind::bures);

    EXPECT_LT((found - (q + map * (at - p))).norm(), 1e-12);
}

TEST(GaussianStart, EntropicTendsToBuresAndToTheMean) {
    const Cloud x = with_moments(mean_a, root_a), y = with_moments(mean_b, root_b);
    const VectorXd at{{0.7, 1.9}};

    const VectorXd bures = map_at(at, x, y, 1, GaussianKind::bures);

    EXPECT_LT((map_at(at, x, y, 1e-9, GaussianKind::entropic) - bures).norm(), 1e-8);
    EXPECT_LT((map_at(at, x, y, 1e9, GaussianKind::entropic) - mean_b).norm(), 1e-8);
}

TEST(GaussianStart, HasTheStatedRelationsBetweenCosts) {
    const Cloud x = random_cloud(1, 60, 5, 1, 1, true), y = random_cloud(2, 50, 5, -0.5, 2, true);
    const auto normalised = [](Cloud cloud) {
        Eigen::Map<Eigen::Matrix<double, -1, -1, Eigen::RowMajor>>{cloud.points.data(), cloud.rows, cloud.dimension}
            .rowwise()
            .normalize();
        return cloud;
    };
    for (const GaussianKind kind : kinds) {
        auto expected = potential_of(x, y, 0.6, kind);
        for (double& f : expected) f /= 2;
        expect_equal_differences(potential_of(x, y, 0.3, kind, half_squared), expected, 1e-12);

        for (std::size_t i = 0; i < expected.size(); ++i)
            for (const double v : x.point(static_cast<std::int64_t>(i))) expected[i] -= v * v / 2;
        expect_equal_differences(potential_of(x, y, 0.3, kind, dot), expected, 1e-12);

        expect_equal_differences(potential_of(x, y, 0.3, kind, cosine),
                                 potential_of(normalised(x), normalised(y), 0.3, kind, half_squared), 1e-13);
    }
}

TEST(GaussianStart, OfMoreDimensionsThanPointsKeepsToTheirSpan) {
    const Cloud x = random_cloud(3, 6, 40, 0, 1);
    Cloud y = x;
    for (std::size_t i = 0; i < y.points.size(); ++i) y.points[i] += 0.5;

    const auto f = potential_of(x, y, 1, GaussianKind::bures);

    // A translation's potential is linear: 2 <x, p - q>, p - q = (-1/2, ..., -1/2).
    std::vector<double> expected;
    for (std::int64_t i = 0; i < x.rows; ++i) {
        expected.push_back(0);
        for (const double v : x.point(i)) expected.back() -= v;
    }
    expect_equal_differences(f, expected, 1e-11);
}

TEST(GaussianStart, DoesNotMindConstantCoordinates) {
    const auto padded = [](const Cloud& cloud, double low, double high) {
        Cloud wide{cloud.rows, 5, {}, cloud.weights};
        for (std::int64_t i = 0; i < cloud.rows; ++i) {
            const auto x = cloud.point(i);
            wide.points.insert(wide.points.end(), {low, x[0], high, x[1], x[2]});
        }
        return wide;
    };
    const Cloud x = random_cloud(4, 70, 3, 1, 1, true), y = random_cloud(5, 80, 3, 0, 2);
    for (const GaussianKind kind : kinds)
        expect_equal_differences(potential_of(padded(x, 255, 0.1), padded(y, 7, -0.3), 0.4, kind),
                                 potential_of(x, y, 0.4, kind), 1e-11);
}

TEST(GaussianStart, OfOnePointIsTheCost) {
    const Cloud x = random_cloud(6, 12, 3, 0, 1), one = uniform_cloud({1, 2, 3}, 3);
    const Cloud same = uniform_cloud({0.1, 12345.678, 0.1, 12345.678, 0.1, 12345.678}, 2);
    std::vector<double> distances;
    for (std::int64_t i = 0; i < x.rows; ++i) distances.push_back(Cost{}(x.point(i), one.point(0)));
    for (const GaussianKind kind : kinds) {
        expect_equal_differences(potential_of(x, one, 0.5, kind), distances, 1e-13);
        EXPECT_EQ(potential_of(one, x, 0.5, kind), std::vector<double>{0});
        EXPECT_EQ(potential_of(same, same, 0.5, kind), (std::vector<double>{0, 0, 0}));
        EXPECT_EQ(potential_of(same, uniform_cloud({3, 4, 5, 7}, 2), 0.5, kind), (std::vector<double>{0, 0, 0}));
    }
}

TEST(GaussianStart, DoesNotCountPointsWithoutMass) {
    const Cloud x = random_cloud(7, 40, 3, 0, 1), y = random_cloud(8, 30, 3, 1, 2);
    const VectorXd far = VectorXd::Constant(3, 1e8);
    for (const GaussianKind kind : kinds) {
        const auto expected = potential_of(x, y, 0.5, kind);

        const auto f = potential_of(with_probes(x, {far, -far}), with_probes(y, {far}), 0.5, kind);

        for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(f[i], expected[i], 1e-12);
        EXPECT_TRUE(std::isfinite(f[40]) && std::isfinite(f[41]));
    }
}

TEST(GaussianStart, DoesNotSufferFromCloudsFarFromTheOrigin) {
    // Coordinates are multiples of 1/1024, so that moving by 2^20, about a million, rounds nothing.
    Cloud x = random_cloud(9, 60, 4, 0, 1, true), y = random_cloud(10, 50, 4, 0, 2);
    for (Cloud* cloud : {&x, &y})
        for (double& v : cloud->points) v = std::round(v * 1024) / 1024;
    Cloud far_x = x, far_y = y;
    for (Cloud* cloud : {&far_x, &far_y})
        for (double& v : cloud->points) v += 1048576;
    for (const GaussianKind kind : kinds)
        expect_equal_differences(potential_of(far_x, far_y, 0.5, kind), potential_of(x, y, 0.5, kind), 1e-11);
}

// What every rank has of the potential, on every grid, evenly and unevenly cut, against one rank's.
void expect_same_on_every_grid(const Cloud& x, const Cloud& y, const Cost& cost) {
    const Communicator world = Communicator::world();
    const Coupling alone = coupling_of(Grid{}, x, y, cost);
    const auto expected = GaussianStart{alone}.potentials(0.7, {GaussianKind::entropic, GaussianKind::bures});
    for (const GridShape shape : test::all_shapes(world.size()))
        for (const bool even : {true, false}) {
            SCOPED_TRACE(testing::Message() << cost.name() << " on " << shape.name() << (even ? "" : ", uneven"));
            const Grid grid{world, shape};
            const auto part = [&](Side side, const Cloud& cloud) {
                return even ? test::scatter(grid, side, cloud) : test::scatter_unevenly(grid, side, cloud, 5);
            };
            const Coupling coupling{grid, part(Side::row, x), part(Side::column, y), cost, Precision::single};

            const auto found = GaussianStart{coupling}.potentials(0.7, {GaussianKind::entropic, GaussianKind::bures});

            const GlobalRun run = coupling.cloud(Side::row).partition.run(grid.part(Side::row));
            for (std::size_t k = 0; k < 2; ++k) {
                ASSERT_EQ(std::ssize(found[k]), run.count);
                double largest = 0;
                for (const double f : expected[k]) largest = std::max(largest, std::abs(f));
                auto of_first = found[k];
                grid.sharers(Side::row).broadcast(std::span{of_first});
                EXPECT_EQ(of_first, found[k]);  // the same bits on ranks that share
                for (std::int64_t i = 0; i < run.count; ++i)
                    EXPECT_NEAR(found[k][static_cast<std::size_t>(i)],
                                expected[k][static_cast<std::size_t>(run.first.value + i)], 1e-10 * largest);
            }
        }
}

TEST(GaussianStart, IsTheSameOnEveryGrid) {
    // 300 dimensions: three tiles of a covariance; 1100: two groups of columns, of rank 39.
    for (const Cost& cost : {Cost{}, dot, cosine})
        expect_same_on_every_grid(random_cloud(11, 500, 30, 0.3, 1, true), random_cloud(12, 400, 30, -0.2, 2), cost);
    expect_same_on_every_grid(random_cloud(13, 1300, 300, 0.3, 1), random_cloud(14, 900, 300, 0, 2, true), Cost{});
    expect_same_on_every_grid(random_cloud(15, 3, 2, 0.3, 1), random_cloud(16, 2, 2, 0, 2), Cost{});
}

TEST(GaussianStart, ComesThroughAHugeDimension) {
    expect_same_on_every_grid(random_cloud(17, 40, 1100, 0.3, 1), random_cloud(18, 50, 1100, 0, 2), Cost{});
}

TEST(GaussianStart, IsOneFitForManyEpsilons) {
    const Communicator world = Communicator::world();
    const Grid grid{world, {world.size(), 1}};
    const Coupling coupling = coupling_of(grid, random_cloud(19, 60, 4, 0, 1), random_cloud(20, 50, 4, 1, 2));

    const GaussianStart start{coupling};

    for (const double epsilon : {0.1, 1.0}) {
        const auto both = start.potentials(epsilon, {GaussianKind::bures, GaussianKind::entropic});
        EXPECT_EQ(both[0], gaussian_potential(coupling, epsilon, GaussianKind::bures));
        EXPECT_EQ(both[1], gaussian_potential(coupling, epsilon, GaussianKind::entropic));
        EXPECT_NEAR(coupling.mean(Side::row, both[0]), 0, 1e-14);
        EXPECT_NE(both[0], both[1]);
    }
}

std::string refusal(const Cloud& x, const Cloud& y, const Cost& cost) {
    const Communicator world = Communicator::world();
    try {
        const Coupling coupling = coupling_of(Grid{world, {1, world.size()}}, x, y, cost);
        gaussian_potential(coupling, 0.1, GaussianKind::bures);
    } catch (const InputError& e) {
        return e.what();
    }
    return "accepted";
}

TEST(GaussianStart, SaysWhereItDoesNotApply) {
    const Cloud x = random_cloud(21, 9, 2, 0, 1);
    for (const Cost& cost : {Cost{CostKind::euclidean}, Cost{CostKind::pnorm, 1.5}}) {
        EXPECT_FALSE(gaussian_start_applies(cost));
        const std::string message = refusal(x, x, cost);
        EXPECT_NE(message.find("no Gaussian start for the cost '" + cost.name() + "'"), std::string::npos) << message;
    }
    for (const Cost& cost : {Cost{}, half_squared, dot, cosine}) EXPECT_TRUE(gaussian_start_applies(cost));
}

TEST(GaussianStart, SaysThatCovariancesOverflow) {
    const Cloud x = random_cloud(22, 9, 2, 0, 1), huge = random_cloud(23, 9, 2, 0, 1e200);
    for (const std::string& message : {refusal(huge, x, Cost{}), refusal(x, huge, Cost{})})
        EXPECT_NE(message.find("scale the points down"), std::string::npos) << message;
}

}  // namespace
}  // namespace convoy
