#include "geometry/row_table.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace convoy {
namespace {

TEST(RowTable, CountsDistinctRowsAsTheyCome) {
    RowTable table{2};
    const std::vector<std::vector<double>> rows{{1, 2}, {2, 1}, {1, 2}, {0, -0.0}, {-0.0, 0}, {1, 2.5}, {2, 1}};
    std::vector<std::int64_t> numbers;

    for (const auto& row : rows) numbers.push_back(table.find_or_add(row, hash_of(row)));

    EXPECT_EQ(numbers, (std::vector<std::int64_t>{0, 1, 0, 2, 2, 3, 1}));
    EXPECT_EQ(table.size(), 4);
    EXPECT_EQ(table.row(3)[1], 2.5);
}

TEST(RowTable, ComparesRowsWhateverTheirHashesAre) {
    RowTable table{1};
    for (int repeat = 0; repeat < 2; ++repeat)
        for (int k = 0; k < 1000; ++k) {
            const std::vector<double> row{static_cast<double>(k)};
            EXPECT_EQ(table.find_or_add(row, 7), k);
        }
}

TEST(RowTable, AgreesWithAMapOnManyRows) {
    std::mt19937_64 random{1};
    RowTable table{3};
    std::map<std::vector<double>, std::int64_t> expected;
    for (int i = 0; i < 20000; ++i) {
        std::vector<double> row;
        for (int k = 0; k < 3; ++k) row.push_back(static_cast<double>(random() % 20) / 255);
        const auto next = static_cast<std::int64_t>(expected.size());
        const std::int64_t number = expected.emplace(row, next).first->second;

        ASSERT_EQ(table.find_or_add(row, hash_of(row)), number);
    }
    EXPECT_EQ(table.size(), static_cast<std::int64_t>(expected.size()));
}

TEST(RowTable, SpreadsNeighbouringRowsOverAllBits) {
    // 4,096 pixels of 8 bits: each half of the hash puts about as many of them into each of 16 places.
    for (const int shift : {0, 32, 60}) {
        std::vector<int> places(16, 0);
        for (int red = 0; red < 64; ++red)
            for (int green = 0; green < 64; ++green)
                ++places[hash_of(std::vector<double>{red / 255.0, green / 255.0, 0.5}) >> shift & 15];
        for (const int count : places) EXPECT_NEAR(count, 256, 80) << shift;  // five standard deviations
    }
}

}  // namespace
}  // namespace convoy
