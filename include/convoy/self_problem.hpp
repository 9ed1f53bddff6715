#pragma once
/// \file
/// One cloud against itself: OT(x, x) by the symmetric averaged update.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "convoy/coupling.hpp"
#include "convoy/sinkhorn.hpp"

namespace convoy {

/// The cloud of one side against itself, on the same grid; cost, precision and centre as there. Collective.
Coupling self_coupling(const Coupling& coupling, Side side, bool keep_products = false);

/// The solution of a symmetric problem has f = g; both distributions of the same potential are kept.
struct SelfSolution {
    std::vector<double> f;  ///< this rank's part in the source's distribution
    std::vector<double> g;  ///< the same potential, this rank's part in the target's distribution
    double epsilon = 0;
    double marginal_error = 0;  ///< L1, of the rows (and, by symmetry, of the columns) of these potentials
    std::int64_t half_passes = 0;
    Status status = Status::running;
    std::string reason;             ///< in words
    std::vector<HalfPass> history;  ///< every half-pass measures an error
};

struct SelfOptions {
    double epsilon = 0;       ///< in units of the cost
    double tolerance = 1e-3;  ///< L1 marginal error of the rows; the columns' is the same, and adds to it in an Audit
    std::int64_t max_half_passes = 2000;
    std::function<bool()> stop;  ///< asked after each half-pass on every rank; true on any ends the run on all
    bool accelerated = true;     ///< else averaged updates alone
    std::int64_t anderson_memory = 10;
    /// What to begin with, this rank's part in the source's distribution; nothing: f_i = C(x_i, x_i)/2, which is 0 but
    /// for `dot`.
    std::optional<std::vector<double>> start;
    std::function<void(const SelfSolution&)> observer;  ///< called after each half-pass on every rank
};

/// Solves with f <- (f + T f)/2, T f_i = -epsilon log sum_j b_j exp((f_j - C_ij)/epsilon) (Feydy et al. 2019, section
/// 3.1; Knight, Ruiz and Ucar 2014), accelerated. For kernels exp(-C/epsilon) that are positive definite (all costs but
/// pnorm:P with P > 2) errors near the solution at least halve in every averaged update, whatever epsilon: no annealing
/// is needed, and no start from elsewhere. The coupling's two clouds are the same points and weights (self_coupling()).
/// Collective.
SelfSolution solve_self(Coupling& self, const SelfOptions& options);

}  // namespace convoy
