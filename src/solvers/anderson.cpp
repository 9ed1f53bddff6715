#include "convoy/anderson.hpp"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>

namespace convoy {

namespace {

// Adds row and column for the newest residual; drops the first ones beyond `size`.
std::vector<double> grown_gram(const std::vector<double>& gram, const std::vector<double>& newest, std::size_t size) {
    const auto old = static_cast<std::size_t>(std::lround(std::sqrt(static_cast<double>(gram.size()))));
    const std::size_t skip = old + 1 - size;
    std::vector<double> grown(size * size);
    for (std::size_t i = 0; i < size; ++i) {
        for (std::size_t j = 0; j < size; ++j) {
            const std::size_t larger = std::max(i, j), smaller = std::min(i, j);
            grown[i * size + j] = larger + 1 == size ? newest[smaller] : gram[(i + skip) * old + (j + skip)];
        }
    }
    return grown;
}

// Coefficients c with sum 1 that minimise |sum c_i r_i|: c ~ G^-1 1. Scaled to unit diagonal first, since residuals
// shrink by orders of magnitude, and regularised a little: neighbours become nearly parallel. Empty if they are
// useless.
std::vector<double> coefficients(const std::vector<double>& gram) {
    constexpr double regularisation = 1e-12;
    constexpr double largest_useful = 1e6;
    const auto size = static_cast<Eigen::Index>(std::lround(std::sqrt(static_cast<double>(gram.size()))));
    const Eigen::Map<const Eigen::MatrixXd> g(gram.data(), size, size);
    if (!g.allFinite() || (g.diagonal().array() <= 0).any()) return {};
    const Eigen::VectorXd scale = g.diagonal().cwiseSqrt().cwiseInverse();
    Eigen::MatrixXd unit = scale.asDiagonal() * g * scale.asDiagonal();
    unit.diagonal().array() += regularisation;
    const Eigen::VectorXd solution = scale.cwiseProduct(unit.ldlt().solve(scale));
    const Eigen::VectorXd c = solution / solution.sum();
    if (!c.allFinite() || c.lpNorm<1>() > largest_useful) return {};
    return {c.begin(), c.end()};
}

std::vector<double> combined(const std::vector<std::vector<double>>& vectors, const std::vector<double>& c) {
    std::vector<double> sum(vectors.back().size(), 0.0);
    for (std::size_t i = 0; i < c.size(); ++i) {
        for (std::size_t k = 0; k < sum.size(); ++k) sum[k] += c[i] * vectors[i][k];
    }
    return sum;
}

}  // namespace

void AndersonMemory::clear() {
    *this = {};
}

AndersonStep anderson_step(const Coupling& coupling, Side side, AndersonMemory& memory, std::size_t capacity,
                           std::vector<double> residual, std::vector<double> image) {
    memory.residuals.push_back(std::move(residual));
    memory.images.push_back(std::move(image));
    if (memory.residuals.size() > capacity) {
        memory.residuals.erase(memory.residuals.begin());
        memory.images.erase(memory.images.begin());
    }
    const std::vector<double> newest = coupling.dots(side, memory.residuals.back(), memory.residuals);
    memory.gram = grown_gram(memory.gram, newest, memory.residuals.size());

    const Communicator& world = coupling.grid().world();
    std::vector<double> c(memory.images.size(), 0.0);
    if (world.is_root()) {
        const std::vector<double> found = coefficients(memory.gram);
        if (!found.empty()) c = found;
    }
    world.broadcast(std::span{c});
    double total = 0;
    for (const double c_i : c) total += c_i;
    if (total == 0) {
        AndersonStep plain{std::move(memory.images.back()), std::move(memory.residuals.back())};
        memory.clear();
        return plain;
    }
    return {combined(memory.images, c), combined(memory.residuals, c)};
}

bool limit_step(const Coupling& coupling, Side side, const std::vector<double>& from, std::vector<double>& to,
                double limit) {
    double largest = 0;
    const std::vector<double>& weights = coupling.local(side).weights;
    for (std::size_t i = 0; i < to.size(); ++i) {
        if (weights[i] > 0) largest = std::max(largest, std::abs(to[i] - from[i]));
    }
    coupling.grid().world().max(std::span{&largest, 1});
    if (largest <= limit) return true;
    for (std::size_t i = 0; i < to.size(); ++i) to[i] = from[i] + limit / largest * (to[i] - from[i]);
    return false;
}

}  // namespace convoy
