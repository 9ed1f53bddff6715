#include "solvers/portioned_map.hpp"

#include <algorithm>
#include <utility>

#include "convoy/error.hpp"

namespace convoy {

namespace {

std::vector<double> mean_of(const Grid& grid, const DistributedCloud& target) {
    std::vector<double> mean(static_cast<std::size_t>(target.local.dimension), 0.0);
    for (std::int64_t j = 0; j < target.local.rows; ++j) {
        const auto point = target.local.point(j);
        const double weight = target.local.weights[static_cast<std::size_t>(j)];
        for (std::size_t k = 0; k < mean.size(); ++k) mean[k] += weight * point[k];
    }
    grid.holders(Side::column).sum(mean);
    grid.world().broadcast(std::span{mean});
    return mean;
}

// As many copies of one point for every row of the grid: what the first portion takes the place of.
DistributedCloud placeholders(const Grid& grid, const std::vector<double>& point, std::int64_t rows) {
    const auto parts = static_cast<std::size_t>(grid.parts(Side::row));
    DistributedCloud cloud{Partition::of_counts(std::vector<std::int64_t>(parts, rows)), {}};
    cloud.local.rows = rows;
    cloud.local.dimension = std::ssize(point);
    for (std::int64_t i = 0; i < rows; ++i)
        cloud.local.points.insert(cloud.local.points.end(), point.begin(), point.end());
    cloud.local.weights.assign(static_cast<std::size_t>(rows), 1 / static_cast<double>(cloud.partition.items()));
    return cloud;
}

Coupling make_coupling(const Grid& grid, DistributedCloud target, const Cost& cost, Precision precision,
                       Backend backend, std::int64_t rows) {
    expect_map(cost);
    DistributedCloud source = placeholders(grid, mean_of(grid, target), rows);
    return {grid, std::move(source), std::move(target), cost, precision, backend};
}

}  // namespace

PortionedMap::PortionedMap(const Grid& grid, DistributedCloud target, const Cost& cost, Precision precision,
                           Backend backend, std::vector<MapStep> steps, std::int64_t rows)
    : steps_{std::move(steps)},
      rows_{std::max<std::int64_t>(rows, 1)},
      coupling_{make_coupling(grid, std::move(target), cost, precision, backend, rows_)} {}

std::vector<double> PortionedMap::operator()(std::span<const double> points) {
    const auto d = static_cast<std::size_t>(coupling_.dimension());
    CONVOY_EXPECT(points.size() <= static_cast<std::size_t>(rows_) * d);
    // Portions that are not full are filled up with the centre, whose images nobody asks for.
    std::vector<double> all(points.begin(), points.end());
    all.reserve(static_cast<std::size_t>(rows_) * d);
    while (all.size() < static_cast<std::size_t>(rows_) * d)
        all.insert(all.end(), coupling_.centre().begin(), coupling_.centre().end());
    coupling_.move_source(std::move(all));
    rounding_ = std::max(rounding_, coupling_.rounding_of_cost());
    std::vector<double> images = map_through(coupling_, steps_);
    images.resize(points.size());
    return images;
}

}  // namespace convoy
