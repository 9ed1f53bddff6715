#pragma once
// Normal points, with masses where asked for: what closed forms are compared on.

#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "convoy/cloud.hpp"

namespace convoy::test {

inline Cloud random_cloud(std::uint64_t seed, std::int64_t rows, std::int64_t dimension, double centre, double spread,
                          bool weighted = false) {
    std::mt19937_64 random{seed};
    std::normal_distribution<double> normal;
    std::vector<double> points(static_cast<std::size_t>(rows * dimension)), weights(static_cast<std::size_t>(rows), 1);
    for (double& v : points) v = centre + spread * normal(random);
    // Every third point has no mass, the first among them.
    if (weighted) {
        for (std::size_t i = 0; i < weights.size(); ++i)
            weights[i] = static_cast<double>(i % 3) * (0.5 + std::abs(normal(random)));
    }
    return weighted_cloud(std::move(points), dimension, std::move(weights));
}

}  // namespace convoy::test
