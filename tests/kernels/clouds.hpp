#pragma once
// Made clouds for tests: seeded, small, with the awkward features that real ones have.

#include <cstdint>
#include <random>
#include <vector>

#include "convoy/cloud.hpp"

namespace convoy::test {

struct CloudRecipe {
    std::int64_t rows = 0, dimension = 1;
    double offset = 0, spread = 1;
    bool uneven_weights = false;  // some of them 0
    std::uint32_t seed = 1;
};

inline Cloud made(const CloudRecipe& recipe) {
    std::mt19937 random{recipe.seed};
    std::normal_distribution<double> normal;
    std::vector<double> points, weights;
    for (std::int64_t i = 0; i < recipe.rows * recipe.dimension; ++i) {
        points.push_back(recipe.offset + recipe.spread * normal(random));
    }
    for (std::int64_t i = 0; i < recipe.rows; ++i) {
        const double weight = recipe.uneven_weights ? static_cast<double>((i * 7 + recipe.seed) % 5) : 1.0;
        weights.push_back(i == 0 ? 1.0 : weight);
    }
    if (recipe.rows == 0) return Cloud{0, recipe.dimension, {}, {}};
    return weighted_cloud(std::move(points), recipe.dimension, std::move(weights));
}

inline std::vector<double> noise(std::int64_t n, double spread, std::uint32_t seed) {
    std::mt19937 random{seed};
    std::normal_distribution<double> normal;
    std::vector<double> values;
    for (std::int64_t i = 0; i < n; ++i) values.push_back(spread * normal(random));
    return values;
}

}  // namespace convoy::test
