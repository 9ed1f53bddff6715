#include "solvers/sample.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "../parallel/scatter.hpp"
#include "kernels/clouds.hpp"

namespace convoy {
namespace {

Coupling coupling_of(const Grid& grid, const Cloud& x, const Cloud& y) {
    return {grid, test::scatter(grid, Side::row, x), test::scatter(grid, Side::column, y), Cost{}, Precision::fp64};
}

// A line of points whose coordinate is their number.
Cloud numbered(std::int64_t rows, const std::function<double(std::int64_t)>& weight) {
    std::vector<double> points, weights;
    for (std::int64_t i = 0; i < rows; ++i) {
        points.push_back(static_cast<double>(i));
        weights.push_back(weight(i));
    }
    return weighted_cloud(points, 1, weights);
}

TEST(Sample, IsTheSameOnEveryGrid) {
    const Cloud x = numbered(211, [](std::int64_t i) { return i % 7 == 0 ? 0.0 : 1.0 + static_cast<double>(i % 5); });
    const Cloud y = numbered(5, [](std::int64_t) { return 1.0; });
    const Sample expected = draw_sample(coupling_of(Grid{}, x, y), Side::row, 40, 3);
    for (const GridShape shape : test::all_shapes(Communicator::world().size())) {
        const Grid grid{Communicator::world(), shape};
        for (const Side side : {Side::row, Side::column}) {
            const Coupling coupling = side == Side::row ? coupling_of(grid, x, y) : coupling_of(grid, y, x);
            const Sample other_side = draw_sample(coupling_of(Grid{}, y, x), Side::column, 40, 3);

            const Sample sample = draw_sample(coupling, side, 40, 3);

            EXPECT_EQ(sample.cloud.points, (side == Side::row ? expected : other_side).cloud.points);
            EXPECT_EQ(sample.cloud.weights, (side == Side::row ? expected : other_side).cloud.weights);
        }
    }
}

TEST(Sample, DrawsByMassAndNeverAPointWithoutIt) {
    const Cloud x = numbered(1000, [](std::int64_t i) { return i == 17 ? 500.0 : i % 2 == 0 ? 1.0 : 0.0; });
    const Coupling coupling = coupling_of(Grid{}, x, x);

    const Sample sample = draw_sample(coupling, Side::row, 100, 0);

    double heavy = 0;
    for (std::int64_t k = 0; k < sample.cloud.rows; ++k) {
        const auto number = static_cast<std::int64_t>(sample.cloud.point(k)[0]);
        EXPECT_GT(x.weights[static_cast<std::size_t>(number)], 0);
        if (k > 0) {
            EXPECT_LT(sample.cloud.point(k - 1)[0], sample.cloud.point(k)[0]);
        }
        if (number == 17) heavy = sample.cloud.weights[static_cast<std::size_t>(k)];
    }
    // Half of the mass, so half of the draws; one share more or less at its ends.
    EXPECT_NEAR(heavy, 0.5, 0.011);
    EXPECT_NEAR(std::accumulate(sample.cloud.weights.begin(), sample.cloud.weights.end(), 0.0), 1, 1e-14);
}

TEST(Sample, OfAsManyAsThereAreIsAllOfThemWithTheirWeights) {
    const Cloud x = numbered(30, [](std::int64_t i) { return static_cast<double>(i); });  // the first has no mass
    for (const std::int64_t size : {29, 30, 1000}) {
        const Sample sample = draw_sample(coupling_of(Grid{}, x, x), Side::column, size, 0);

        ASSERT_EQ(sample.cloud.rows, 29);
        for (std::int64_t k = 0; k < 29; ++k) {
            EXPECT_EQ(sample.cloud.weights[static_cast<std::size_t>(k)], x.weights[static_cast<std::size_t>(k + 1)]);
        }
    }
}

TEST(Sample, PicksTheEntriesOfAVectorAndGivesThemBackInParts) {
    const Cloud x = numbered(101, [](std::int64_t) { return 1.0; });
    for (const GridShape shape : test::all_shapes(Communicator::world().size())) {
        const Grid grid{Communicator::world(), shape};
        const Coupling coupling = coupling_of(grid, x, x);
        for (const Side side : {Side::row, Side::column}) {
            const Sample sample = draw_sample(coupling, side, 20, 1);
            std::vector<double> squares;
            for (std::int64_t i = 0; i < coupling.local(side).rows; ++i)
                squares.push_back(std::pow(coupling.local(side).point(i)[0], 2));

            const std::vector<double> picked = at_sample(coupling, sample, squares);

            ASSERT_EQ(std::ssize(picked), sample.cloud.rows);
            for (std::int64_t k = 0; k < sample.cloud.rows; ++k)
                EXPECT_EQ(picked[static_cast<std::size_t>(k)], std::pow(sample.cloud.point(k)[0], 2));
            const std::vector<double> part = own_part(grid, side, picked);
            EXPECT_EQ(std::ssize(part), distributed(grid, side, sample).local.rows);
            EXPECT_EQ(whole_of_parts(grid, side, part), picked);
        }
    }
}

}  // namespace
}  // namespace convoy
