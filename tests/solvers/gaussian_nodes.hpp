#pragma once
// A normal distribution as weighted points: what closed forms hold for to rounding, without sampling noise.

#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "convoy/cloud.hpp"

namespace convoy::test {

// N(mean, deviation^2) on equidistant nodes over 8 deviations each way: sums of smooth functions over them are
// integrals to 1e-14.
inline Cloud gaussian_nodes(double mean, double deviation, std::int64_t nodes) {
    std::vector<double> points, weights;
    for (std::int64_t i = 0; i < nodes; ++i) {
        const double z = -8 + 16 * static_cast<double>(i) / static_cast<double>(nodes - 1);
        points.push_back(mean + deviation * z);
        weights.push_back(std::exp(-z * z / 2));
    }
    return weighted_cloud(std::move(points), 1, std::move(weights));
}

}  // namespace convoy::test
