#pragma once
/// \file
/// Anderson acceleration of a fixed point x = T(x) (Anderson 1965; type II of Fang and Saad 2009).

#include <cstddef>
#include <vector>

#include "convoy/coupling.hpp"

namespace convoy {

/// The last iterates of one side's potential: residuals r_i = T(x_i) - x_i and images T(x_i), oldest first, and their
/// Gram matrix <r_i, r_j> in the inner product of the side's weights. Plain values, this rank's part of the vectors.
struct AndersonMemory {
    std::vector<std::vector<double>> residuals, images;
    std::vector<double> gram;  ///< square, row-major, in the order of `residuals`

    void clear();
};

struct AndersonStep {
    std::vector<double> next;      ///< the combination of the images
    std::vector<double> residual;  ///< the same combination of their residuals
};

/// Takes in (residual, image), forgets the oldest beyond `capacity`, and returns the next iterate: the combination of
/// the images whose residuals, combined likewise, are smallest; coefficients sum to 1. Returns the plain image, and
/// starts afresh from it, where the coefficients are not to be trusted. Coefficients are computed on rank 0 in fp64.
/// Collective.
AndersonStep anderson_step(const Coupling& coupling, Side side, AndersonMemory& memory, std::size_t capacity,
                           std::vector<double> residual, std::vector<double> image);

/// Takes `to` back towards `from` until no point with mass is further from it than `limit`: an extrapolation from noise
/// must not run away. True if it could stay. Collective.
bool limit_step(const Coupling& coupling, Side side, const std::vector<double>& from, std::vector<double>& to,
                double limit);

}  // namespace convoy
