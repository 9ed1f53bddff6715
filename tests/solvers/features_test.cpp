#include "convoy/features.hpp"

#include <gtest/gtest.h>

#include <Eigen/Dense>
#include <cmath>

#include "convoy/error.hpp"
#include "solvers/random_cloud.hpp"

namespace convoy {
namespace {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Vector = Eigen::VectorXd;

std::vector<GridShape> shapes_of(int ranks) {
    std::vector<GridShape> shapes;
    for (int rows = 1; rows <= ranks; ++rows)
        if (ranks % rows == 0) shapes.push_back({rows, ranks / rows});
    return shapes;
}

DistributedCloud spread(const Grid& grid, Side side, const Cloud& whole) {
    DistributedCloud cloud{Partition::even(whole.rows, grid.parts(side)), {}};
    const GlobalRun run = cloud.partition.run(grid.part(side));
    const auto point = whole.points.begin() + run.first.value * whole.dimension;
    const auto weight = whole.weights.begin() + run.first.value;
    cloud.local = {
        run.count, whole.dimension, {point, point + run.count * whole.dimension}, {weight, weight + run.count}};
    return cloud;
}

Eigen::Map<const Matrix> rows_of(const Cloud& cloud) {
    return {cloud.points.data(), cloud.rows, cloud.dimension};
}

// Mean and covariance of both clouds as one, by the book.
struct Joint {
    Vector mean;
    Matrix covariance;
    Joint(const Cloud& x, const Cloud& y) {
        const Eigen::Map<const Vector> a{x.weights.data(), x.rows}, b{y.weights.data(), y.rows};
        mean = (rows_of(x).transpose() * a + rows_of(y).transpose() * b) / 2;
        covariance = Matrix::Zero(x.dimension, x.dimension);
        for (const Cloud* cloud : {&x, &y})
            for (std::int64_t i = 0; i < cloud->rows; ++i) {
                const Vector z = rows_of(*cloud).row(i).transpose() - mean;
                covariance += cloud->weights[static_cast<std::size_t>(i)] / 2 * z * z.transpose();
            }
    }
};

// Two clouds whose directions have spreads of 1, 0.8, 0.64, ..., turned; column 3 is constant if asked for.
struct Clouds {
    Cloud x, y;
    Clouds(std::int64_t n, std::int64_t m, std::int64_t d, bool constant = false)
        : x{test::random_cloud(1, n, d, 0, 1, true)}, y{test::random_cloud(2, m, d, 0, 1, true)} {
        const Matrix turn = Eigen::HouseholderQR<Matrix>{rows_of(test::random_cloud(3, d, d, 0, 1))}.householderQ();
        for (Cloud* cloud : {&x, &y}) {
            Eigen::Map<Matrix> points{cloud->points.data(), cloud->rows, d};
            for (std::int64_t k = 0; k < d; ++k) points.col(k) *= std::pow(0.8, static_cast<double>(k));
            points = (points * turn).eval();
            points.array() += cloud == &x ? 100.0 : 100.5;
            if (constant) points.col(3).setConstant(0.1);
        }
    }
};

class FeaturesTest : public testing::Test {
 protected:
    Communicator world_ = Communicator::world();
};

TEST_F(FeaturesTest, StandardizedColumnsHaveMeanZeroAndSpreadOne) {
    const Clouds clouds{40, 31, 5, true};
    for (const GridShape shape : shapes_of(world_.size())) {
        const Grid grid{world_, shape};

        const Features found = find_features(grid, spread(grid, Side::row, clouds.x),
                                             spread(grid, Side::column, clouds.y), {.standardize = true});

        EXPECT_EQ(found.outputs(), 5);
        EXPECT_EQ(found.scale[3], 1);  // constant, and exactly so however it is summed
        Cloud x = clouds.x, y = clouds.y;
        x.points = found.apply(clouds.x.points);
        y.points = found.apply(clouds.y.points);
        const Joint joint{x, y};
        for (std::int64_t k = 0; k < 5; ++k) {
            EXPECT_NEAR(joint.mean(k), 0, 1e-12);  // of numbers about 100 times their spread
            EXPECT_NEAR(joint.covariance(k, k), k == 3 ? 0 : 1, 1e-12);
        }
    }
}

TEST_F(FeaturesTest, ComponentsAreEigenvectorsOfTheJointCovariance) {
    const std::int64_t d = 23, k = 6;
    const Clouds clouds{90, 71, d, true};
    for (const bool standardize : {false, true}) {
        Joint joint{clouds.x, clouds.y};
        if (standardize) {
            Vector inverse = joint.covariance.diagonal().cwiseSqrt().cwiseInverse();
            inverse(3) = 1;
            joint.covariance = inverse.asDiagonal() * joint.covariance * inverse.asDiagonal();
        }
        const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> exact{joint.covariance};
        for (const GridShape shape : shapes_of(world_.size())) {
            const Grid grid{world_, shape};

            const Features found =
                find_features(grid, spread(grid, Side::row, clouds.x), spread(grid, Side::column, clouds.y),
                              {.standardize = standardize, .components = k});

            EXPECT_EQ(found.method, "exact");
            EXPECT_NEAR(found.total_variance, joint.covariance.trace(), 1e-11 * joint.covariance.trace());
            const Eigen::Map<const Matrix> components{found.components.data(), k, d};
            for (std::int64_t i = 0; i < k; ++i) {
                const double value = exact.eigenvalues()(d - 1 - i);
                EXPECT_NEAR(found.variances[static_cast<std::size_t>(i)], value, 1e-11 * exact.eigenvalues()(d - 1));
                // Gaps between eigenvalues are a tenth of them and more.
                const double along = components.row(i).dot(exact.eigenvectors().col(d - 1 - i));
                EXPECT_NEAR(std::abs(along), 1, 1e-8);
                Eigen::Index largest = 0;
                components.row(i).cwiseAbs().maxCoeff(&largest);
                EXPECT_GT(components(i, largest), 0);
            }
            EXPECT_GT(found.captured(), 0.5);
        }
    }
}

TEST_F(FeaturesTest, RandomDirectionsFindTheSameComponents) {
    const std::int64_t d = 60, k = 4;
    const Clouds clouds{150, 140, d};
    const Grid grid{world_, {world_.size(), 1}};
    const DistributedCloud x = spread(grid, Side::row, clouds.x), y = spread(grid, Side::column, clouds.y);
    const Features exact = find_features(grid, x, y, {.standardize = true, .components = k});
    FeatureOptions options{.standardize = true, .components = k, .method = FeatureOptions::Method::randomized};

    const Features found = find_features(grid, x, y, options);
    const Features again = find_features(grid, x, y, options);
    options.seed = 5;
    const Features otherwise = find_features(grid, x, y, options);

    EXPECT_EQ(found.method, "randomized");
    EXPECT_EQ(found.components, again.components);
    EXPECT_NE(found.components, otherwise.components);
    EXPECT_NEAR(found.captured(), exact.captured(), 1e-6);  // what the iteration stops at
    EXPECT_NEAR(otherwise.captured(), exact.captured(), 1e-6);
    const Eigen::Map<const Matrix> one{found.components.data(), k, d}, two{exact.components.data(), k, d};
    EXPECT_NEAR((one * two.transpose()).squaredNorm(), static_cast<double>(k), 1e-4);  // the same subspace
    EXPECT_TRUE((one * one.transpose()).isIdentity(1e-12));
}

TEST_F(FeaturesTest, AreTheSameOnAllGridsToRounding) {
    const Clouds clouds{90, 71, 12};
    std::vector<Features> all;
    for (const GridShape shape : shapes_of(world_.size())) {
        const Grid grid{world_, shape};
        all.push_back(find_features(grid, spread(grid, Side::row, clouds.x), spread(grid, Side::column, clouds.y),
                                    {.standardize = true, .components = 3}));
    }
    for (const Features& one : all) EXPECT_TRUE(alike(one, all[0]));
    Features other = all[0];
    other.mean[2] += 1e-3;
    EXPECT_FALSE(alike(other, all[0]));
}

TEST_F(FeaturesTest, AreUndoneWhereNothingWasLeftOut) {
    const Clouds clouds{40, 31, 7, true};
    const Grid grid{world_, {1, world_.size()}};
    const DistributedCloud x = spread(grid, Side::row, clouds.x), y = spread(grid, Side::column, clouds.y);
    for (const std::int64_t k : {0, 7}) {
        const Features found = find_features(grid, x, y, {.standardize = true, .components = k});

        const std::vector<double> back = found.undo(found.apply(clouds.x.points));

        for (std::size_t i = 0; i < back.size(); ++i) EXPECT_NEAR(back[i], clouds.x.points[i], 1e-11);
    }
}

TEST_F(FeaturesTest, CloudsOfOnePointHaveNoSpread) {
    const Cloud x = uniform_cloud({0.1, 0.2}, 2), y = uniform_cloud({0.1, 0.2, 0.1, 0.2}, 2);
    const Grid grid{world_, {world_.size(), 1}};

    const Features found = find_features(grid, spread(grid, Side::row, x), spread(grid, Side::column, y),
                                         {.standardize = true, .components = 2});

    EXPECT_EQ(found.apply(y.points), (std::vector<double>{0, 0, 0, 0}));
    EXPECT_EQ(found.captured(), 1);
}

TEST_F(FeaturesTest, RefuseWhatCannotBe) {
    const Clouds clouds{20, 21, 5};
    const Grid grid{world_, {world_.size(), 1}};
    DistributedCloud x = spread(grid, Side::row, clouds.x);
    const DistributedCloud y = spread(grid, Side::column, clouds.y);
    EXPECT_THROW(find_features(grid, x, y, {.components = 6}), InputError);
    for (double& number : x.local.points) number *= 1e200;
    EXPECT_THROW(find_features(grid, x, y, {.standardize = true}), InputError);
}

}  // namespace
}  // namespace convoy
