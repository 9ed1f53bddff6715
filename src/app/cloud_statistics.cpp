#include "app/cloud_statistics.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

namespace convoy::app {

namespace {

// Equal points have equal hashes. Of the hash, a double carries 53 bits.
std::int64_t count_duplicates(const Communicator& holders, const Cloud& mine) {
    std::vector<double> hashes;
    for (std::int64_t i = 0; i < mine.rows; ++i) {
        std::uint64_t hash = 0x9e3779b97f4a7c15;
        for (const double x : mine.point(i)) {
            hash = (std::rotl(hash, 23) ^ std::bit_cast<std::uint64_t>(x + 0.0)) * 0xff51afd7ed558ccd;  // -0 is 0
            hash ^= hash >> 32;
        }
        hashes.push_back(static_cast<double>(hash >> 11));
    }
    std::vector<double> all = holders.gather_all(hashes);
    const auto total = static_cast<std::int64_t>(all.size());
    std::sort(all.begin(), all.end());
    return total - (std::unique(all.begin(), all.end()) - all.begin());
}

}  // namespace

CloudStatistics statistics_of(const Grid& grid, Side side, const DistributedCloud& cloud) {
    const Communicator& holders = grid.holders(side);
    const Cloud& mine = cloud.local;
    const auto columns = static_cast<std::size_t>(mine.dimension);
    CloudStatistics result{.rows = cloud.partition.items(), .dimension = mine.dimension};
    const auto rows = static_cast<double>(result.rows);

    constexpr double infinity = std::numeric_limits<double>::infinity();
    std::vector<double> mean(columns), square(columns), most(columns, -infinity), negated_least(columns, -infinity);
    for (std::int64_t i = 0; i < mine.rows; ++i) {
        for (std::size_t k = 0; k < columns; ++k) {
            const double x = mine.point(i)[k];
            mean[k] += x / rows;
            most[k] = std::max(most[k], x);
            negated_least[k] = std::max(negated_least[k], -x);
        }
    }
    holders.sum(std::span<double>{mean});
    holders.max(most);
    holders.max(negated_least);
    for (std::int64_t i = 0; i < mine.rows; ++i) {
        for (std::size_t k = 0; k < columns; ++k) square[k] += std::pow(mine.point(i)[k] - mean[k], 2) / rows;
    }
    holders.sum(std::span<double>{square});

    result.largest = *std::max_element(most.begin(), most.end());
    result.least = -*std::max_element(negated_least.begin(), negated_least.end());
    for (std::size_t k = 0; k < columns; ++k) {
        result.mean += mean[k] / static_cast<double>(columns);
        if (most[k] == -negated_least[k]) {
            ++result.constant_columns;
            continue;
        }
        const double deviation = std::sqrt(square[k]);
        if (deviation > result.widest_deviation) {
            result.widest_deviation = deviation;
            result.widest_column = static_cast<std::int64_t>(k);
        }
        if (result.narrowest_deviation == 0 || deviation < result.narrowest_deviation) {
            result.narrowest_deviation = deviation;
            result.narrowest_column = static_cast<std::int64_t>(k);
        }
    }

    std::int64_t massless = std::count(mine.weights.begin(), mine.weights.end(), 0.0);
    holders.sum(std::span{&massless, 1});
    result.massless = massless;
    constexpr std::int64_t most_compared = 10'000'000;
    if (result.rows <= most_compared) result.duplicates = count_duplicates(holders, mine);
    return result;
}

}  // namespace convoy::app
