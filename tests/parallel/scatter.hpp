#pragma once
// A cloud that every rank has in full, cut over a grid: how tests bring their points to a coupling.

#include <random>
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

/// Likewise cut into parts of random sizes, some of them empty: the same cut on all ranks.
inline DistributedCloud scatter_unevenly(const Grid& grid, Side side, const Cloud& cloud, std::uint32_t seed) {
    std::mt19937 random{seed};
    std::vector<std::int64_t> counts(static_cast<std::size_t>(grid.parts(side)), 0);
    for (std::int64_t i = 0; i < cloud.rows; ++i) {
        const std::size_t part = random() % counts.size();
        if (part != 1 || counts.size() == 1)
            ++counts[part];  // part 1 stays empty
        else
            ++counts[0];
    }
    DistributedCloud result{Partition::of_counts(counts), {}};
    const GlobalRun run = result.partition.run(grid.part(side));
    const auto point = cloud.points.begin() + run.first.value * cloud.dimension;
    const auto weight = cloud.weights.begin() + run.first.value;
    result.local = {
        run.count, cloud.dimension, {point, point + run.count * cloud.dimension}, {weight, weight + run.count}};
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
