#pragma once
/// \file
/// Point clouds, or one rank's part of them.

#include <cstdint>
#include <span>
#include <vector>

namespace convoy {

/// Points (rows x dimension, row-major, fp64, as given) and their masses (rows).
/// In a part of a distributed cloud the weights are those of the whole cloud, normalised there to total 1.
struct Cloud {
    std::int64_t rows = 0;
    std::int64_t dimension = 0;
    std::vector<double> points;
    std::vector<double> weights;

    std::span<const double> point(std::int64_t i) const {
        return {points.data() + i * dimension, static_cast<std::size_t>(dimension)};
    }
};

/// A cloud of `points.size() / dimension` rows with equal weights 1 / rows.
Cloud uniform_cloud(std::vector<double> points, std::int64_t dimension);

/// A cloud with these weights divided by their sum. \throws InputError for a negative, non-finite or all-zero weight.
Cloud weighted_cloud(std::vector<double> points, std::int64_t dimension, std::vector<double> weights);

}  // namespace convoy
