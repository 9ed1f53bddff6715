#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/cpu/tile.hpp"

namespace convoy::cpu {
namespace {

template <class T>
std::vector<T> exp2_of(const std::vector<T>& t) {
    std::vector<T> result(t.size());
    exp2_for_tests(t.data(), result.data(), static_cast<std::int64_t>(t.size()));
    return result;
}

TEST(Exp2, IsRightToTwoTenMillionthsOverTheWholeRangeOfSinglePrecision) {
    std::vector<float> t;
    for (float x = -126.0f; x < 127.0f; x += 0.00037f) t.push_back(x);

    const std::vector<float> result = exp2_of(t);

    double worst = 0;
    for (std::size_t i = 0; i < t.size(); ++i) {
        worst = std::max(worst, std::abs(static_cast<double>(result[i]) / std::exp2(static_cast<double>(t[i])) - 1));
    }
    EXPECT_LE(worst, 2e-7);
}

TEST(Exp2, IsRightToThreeUlpsInDoublePrecision) {
    std::vector<double> t;
    for (double x = -1022.0; x < 1023; x += 0.0137) t.push_back(x);

    const std::vector<double> result = exp2_of(t);

    double worst = 0;
    for (std::size_t i = 0; i < t.size(); ++i) worst = std::max(worst, std::abs(result[i] / std::exp2(t[i]) - 1));
    EXPECT_LE(worst, 3 * 0x1p-52);
}

TEST(Exp2, IsExactlyZeroBelowTheNormalNumbers) {
    const float infinity = std::numeric_limits<float>::infinity();
    for (const float r : exp2_of<float>({-126.51f, -127.0f, -140.0f, -149.0f, -1e30f, -infinity})) EXPECT_EQ(r, 0.0f);
    for (const double r : exp2_of<double>({-1022.51, -1074.0, -1e300, -std::numeric_limits<double>::infinity()})) {
        EXPECT_EQ(r, 0.0);
    }
}

TEST(Exp2, SaturatesAbove) {
    const std::vector<float> r = exp2_of<float>({128.0f, 1e30f, std::numeric_limits<float>::infinity()});
    for (int k = 0; k < 3; ++k) EXPECT_EQ(r[static_cast<std::size_t>(k)], 0x1p127f);
}

}  // namespace
}  // namespace convoy::cpu
