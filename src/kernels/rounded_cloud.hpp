#pragma once
// One side's points as the kernels see them: centred, rounded, row-major; and what of the cost belongs to a point
// alone.

#include <cmath>
#include <cstdint>
#include <new>
#include <span>
#include <vector>

#include "convoy/cloud.hpp"
#include "convoy/cost.hpp"
#include "hwy/aligned_allocator.h"

namespace convoy::kernels {

template <class T>
using Aligned = hwy::AlignedFreeUniquePtr<T[]>;

// At least one element, so that empty shards have an address. \throws std::bad_alloc
template <class T>
Aligned<T> allocate(std::int64_t n) {
    auto memory = hwy::AllocateAligned<T>(static_cast<std::size_t>(n > 0 ? n : 1));
    if (!memory) throw std::bad_alloc{};
    return memory;
}

// U_i of C_ij = U_i + W_j - factor <x_i, y_j>, for centred points: square |x|^2 + <linear, x> + constant. W_j likewise.
// All zero for costs that are not formed from products.
struct OwnTerm {
    double square = 0, constant = 0;
    std::vector<double> linear;  // empty: zero

    OwnTerm() = default;
    OwnTerm(const Cost& cost, const std::vector<double>& centre);

    // Of the point x times `unit`.
    template <class T>
    double operator()(const T* x, std::int64_t stride, std::int64_t dimension, double unit = 1) const {
        double squares = 0, sum = constant;
        for (std::int64_t k = 0; k < dimension; ++k) {
            const double x_k = static_cast<double>(x[k * stride]) * unit;
            squares += x_k * x_k;
            if (!linear.empty()) sum += linear[static_cast<std::size_t>(k)] * x_k;
        }
        return sum + square * squares;
    }
};

template <class T>
struct RoundedCloud {
    Aligned<T> points;                // rows x dimension
    std::vector<double> own;          // OwnTerm of each rounded point: consistent with the products
    std::vector<double> log_weights;  // log2; -inf for no mass
    std::int64_t rows = 0;
    double largest_norm = 0;  // the cost's bounding norm of the centred points

    // centre: taken off every point where the cost allows it (empty: nothing).
    RoundedCloud(const Cloud& cloud, const Cost& cost, const std::vector<double>& centre, const OwnTerm& own_term);
};

}  // namespace convoy::kernels
