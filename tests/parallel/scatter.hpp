#pragma once
// A cloud that every rank has in full, cut over a grid: how tests bring their points to a coupling.

#include <vector>

#include "convoy/coupling.hpp"

namespace convoy::test {

/// This rank's part of `cloud` under an even partition. Weights are taken as they are: normalised in the whole.
inline DistributedCloud scatter(const Grid& grid, Side side, const Cloud& cloud) {
    DistributedCloud result{Partition::even(cloud.rows, grid.parts(side)), {}};
    const GlobalRun run = result.partition.run(grid.part(side));
    const auto rows = [&run](const std::vector<double>& values, std::int64_t width) {
        const auto begin = values.begin() + run.first.value * width;
        return std::vector<double>(begin, begin + run.count * width);
    };
    result.local = {run.count, cloud.dimension, rows(cloud.points, cloud.dimension), rows(cloud.weights, 1)};
    return result;
}

/// Every grid of that many ranks: 1 x 6, 2 x 3, 3 x 2, 6 x 1.
inline std::vector<GridShape> all_shapes(int ranks) {
    std::vector<GridShape> shapes;
    for (int rows = 1; rows <= ranks; ++rows)
        if (ranks % rows == 0) shapes.push_back({rows, ranks / rows});
    return shapes;
}

}  // namespace convoy::test
