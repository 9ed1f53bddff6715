#include "convoy/cloud.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "convoy/error.hpp"

namespace convoy {

namespace {

std::int64_t rows_of(const std::vector<double>& points, std::int64_t dimension) {
    const auto numbers = static_cast<std::int64_t>(points.size());
    CONVOY_VALIDATE(dimension > 0 && numbers % dimension == 0,
                    fmt::format("{} numbers do not make points of dimension {} (every point has that many "
                                "coordinates, at least one): give whole rows",
                                numbers, dimension));
    return numbers / dimension;
}

}  // namespace

Cloud uniform_cloud(std::vector<double> points, std::int64_t dimension) {
    const std::int64_t rows = rows_of(points, dimension);
    std::vector<double> weights(static_cast<std::size_t>(rows), rows > 0 ? 1.0 / static_cast<double>(rows) : 0.0);
    return {rows, dimension, std::move(points), std::move(weights)};
}

Cloud weighted_cloud(std::vector<double> points, std::int64_t dimension, std::vector<double> weights) {
    const std::int64_t rows = rows_of(points, dimension);
    CONVOY_VALIDATE(static_cast<std::int64_t>(weights.size()) == rows,
                    fmt::format("{} weights were given for {} points (every point has one): give as many weights as "
                                "points",
                                weights.size(), rows));
    double largest = 0;
    for (std::size_t i = 0; i < weights.size(); ++i) {
        CONVOY_VALIDATE(std::isfinite(weights[i]) && weights[i] >= 0,
                        fmt::format("weight {} is {} (weights are masses, finite and not negative): correct it, or "
                                    "give 0 for a point that shall take no mass",
                                    i, weights[i]));
        largest = std::max(largest, weights[i]);
    }
    CONVOY_VALIDATE(largest > 0,
                    "all weights are zero (there is no mass to transport): give at least one positive weight");

    // Scaled by a power of two, which rounds nothing, so that neither huge nor tiny masses leave the range of doubles.
    const int exponent = std::ilogb(largest);
    double total = 0, lost = 0;  // Neumaier's sum: the weights total 1 whatever their number
    for (double& w : weights) {
        w = std::ldexp(w, -exponent);
        const double sum = total + w;
        lost += std::abs(total) >= w ? (total - sum) + w : (w - sum) + total;
        total = sum;
    }
    total += lost;
    for (double& w : weights) w /= total;
    return {rows, dimension, std::move(points), std::move(weights)};
}

}  // namespace convoy
