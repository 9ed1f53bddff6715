#pragma once
// What `check` tells about a cloud.

#include <cstdint>

#include "convoy/coupling.hpp"

namespace convoy::app {

struct CloudStatistics {
    std::int64_t rows = 0, dimension = 0;
    double least = 0, largest = 0, mean = 0;  // over all coordinates, without weights
    std::int64_t massless = 0;                // points of weight 0
    std::int64_t duplicates = 0;              // points equal to an earlier one; looked for up to 1e7 points
    std::int64_t constant_columns = 0;
    // Standard deviations of the columns that are not constant; 0 if all are.
    double widest_deviation = 0, narrowest_deviation = 0;
    std::int64_t widest_column = 0, narrowest_column = 0;
};

// The same on all ranks. Collective.
CloudStatistics statistics_of(const Grid& grid, Side side, const DistributedCloud& cloud);

}  // namespace convoy::app
