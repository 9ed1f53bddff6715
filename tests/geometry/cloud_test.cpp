#include "convoy/cloud.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "convoy/error.hpp"

namespace convoy {
namespace {

std::string refusal(std::vector<double> points, std::int64_t dimension, std::vector<double> weights) {
    try {
        weighted_cloud(std::move(points), dimension, std::move(weights));
    } catch (const InputError& e) {
        return e.what();
    }
    return "accepted";
}

TEST(Cloud, CountsItsRowsAndSharesMassEqually) {
    const Cloud cloud = uniform_cloud({1, 2, 3, 4, 5, 6}, 2);

    EXPECT_EQ(cloud.rows, 3);
    EXPECT_EQ(cloud.dimension, 2);
    EXPECT_EQ(cloud.weights, std::vector<double>(3, 1.0 / 3));
    EXPECT_EQ(cloud.point(1)[0], 3);
    EXPECT_EQ(cloud.point(2)[1], 6);
}

TEST(Cloud, MayBeEmpty) {
    const Cloud cloud = uniform_cloud({}, 4);

    EXPECT_EQ(cloud.rows, 0);
    EXPECT_TRUE(cloud.weights.empty());
}

TEST(Cloud, WeightsAreDividedByTheirSum) {
    const Cloud cloud = weighted_cloud({1, 2, 3}, 1, {2, 0, 6});

    EXPECT_EQ(cloud.weights, (std::vector<double>{0.25, 0, 0.75}));
}

TEST(Cloud, WeightsTotalOneHoweverManyHugeOrTiny) {
    for (const double scale : {1.0, 1e-310, 1e307}) {
        std::vector<double> weights(100000), points(100000);
        for (std::size_t i = 0; i < weights.size(); ++i) weights[i] = scale * static_cast<double>(i % 10);

        const Cloud cloud = weighted_cloud(std::move(points), 1, std::move(weights));

        // The sum here rounds 1e5 times, of both signs; each weight itself once. Denormal inputs have 10 digits left,
        // which divides out of a sum of them.
        EXPECT_NEAR(std::accumulate(cloud.weights.begin(), cloud.weights.end(), 0.0), 1.0, 1e-12) << scale;
        EXPECT_NEAR(cloud.weights[9] * 1e5, 2.0, 1e-9) << scale;
    }
}

TEST(Cloud, NamesTheWeightThatIsNoMass) {
    EXPECT_EQ(refusal({1, 2}, 1, {1, -0.5}),
              "weight 1 is -0.5 (weights are masses, finite and not negative): correct it, or give 0 for a point that "
              "shall take no mass");
    EXPECT_NE(refusal({1, 2}, 1, {std::numeric_limits<double>::quiet_NaN(), 1}).find("weight 0 is nan"),
              std::string::npos);
    EXPECT_NE(refusal({1, 2}, 1, {1, std::numeric_limits<double>::infinity()}).find("weight 1 is inf"),
              std::string::npos);
}

TEST(Cloud, RefusesWeightsWithoutMass) {
    EXPECT_NE(refusal({1, 2}, 1, {0, 0}).find("all weights are zero"), std::string::npos);
    EXPECT_NE(refusal({}, 1, {}).find("all weights are zero"), std::string::npos);
}

TEST(Cloud, RefusesNumbersThatDoNotMakeWholeRows) {
    EXPECT_THROW(uniform_cloud({1, 2, 3}, 2), InputError);
    EXPECT_THROW(uniform_cloud({1, 2, 3}, 0), InputError);
    EXPECT_EQ(refusal({1, 2, 3, 4}, 2, {1}),
              "1 weights were given for 2 points (every point has one): give as many weights as points");
}

}  // namespace
}  // namespace convoy
