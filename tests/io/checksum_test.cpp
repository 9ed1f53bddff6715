#include "io/checksum.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "io/exact_sum.hpp"

namespace convoy::io {
namespace {

std::uint32_t crc_of(const std::string& text, std::uint32_t crc = 0) {
    return crc32c(std::as_bytes(std::span{text.data(), text.size()}), crc);
}

TEST(Checksum, HasTheKnownAnswers) {
    EXPECT_EQ(crc_of(""), 0u);
    EXPECT_EQ(crc_of("123456789"), 0xE3069283u);
    EXPECT_EQ(crc_of(std::string(32, '\0')), 0x8A9136AAu);  // RFC 3720, appendix B.4
    EXPECT_EQ(crc_of(std::string(32, '\xff')), 0x62A8AB43u);
}

TEST(Checksum, GoesOnWhereItStopped) {
    EXPECT_EQ(crc_of("456789", crc_of("123")), crc_of("123456789"));
}

TEST(Checksum, OfTwoPiecesIsThatOfTheWhole) {
    std::mt19937 random{1};
    std::string text;
    for (int i = 0; i < 5000; ++i) text += static_cast<char>(random());

    for (const std::size_t cut : {0, 1, 7, 8, 9, 63, 2500, 4999, 5000})
        EXPECT_EQ(crc32c_combine(crc_of(text.substr(0, cut)), crc_of(text.substr(cut)), text.size() - cut),
                  crc_of(text));
}

TEST(ExactSum, DoesNotDependOnTheOrder) {
    std::mt19937_64 random{2};
    std::vector<double> values;
    for (int i = 0; i < 1000; ++i)
        values.push_back(std::ldexp(static_cast<double>(random() >> 11), static_cast<int>(random() % 200) - 150));
    ExactSum forward, sorted;

    forward.add(values);
    std::ranges::sort(values);
    sorted.add(values);

    EXPECT_EQ(forward.value(), sorted.value());
}

TEST(ExactSum, LosesNothing) {
    ExactSum sum;
    for (const double value : {1e100, 1.0, -1e100, 1e-20}) sum.add(value);
    EXPECT_EQ(sum.value(), 1.0);
    ExactSum tenths;
    for (int i = 0; i < 10; ++i) tenths.add(0.1);
    EXPECT_EQ(tenths.value(), 1.0);
    EXPECT_EQ(ExactSum{}.value(), 0.0);
}

TEST(ExactSum, IsNotFiniteWhenItOverflows) {
    ExactSum sum;
    for (int i = 0; i < 3; ++i) sum.add(std::numeric_limits<double>::max());
    EXPECT_FALSE(std::isfinite(sum.value()));
}

}  // namespace
}  // namespace convoy::io
