#pragma once
/// \file
/// Epsilons for progressive OT that nobody has to choose (Kassraie et al. 2024, algorithm 4).

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "convoy/coupling.hpp"
#include "convoy/epsilon.hpp"

namespace convoy {

struct AutoEpsilonOptions {
    EpsilonRule rule{0.05, EpsilonRule::Unit::mean};  ///< r: relative to a cost
    double start_factor = 5;                          ///< beta_0
    std::vector<double> scales{0.125, 0.25, 0.5, 1, 2, 4, 8};
    double tolerance = 1e-3;  ///< of the self problems
    std::int64_t max_half_passes = 2000;
    std::uint64_t seed = 0;      ///< of the held-out points
    bool keep_products = false;  ///< of the target with itself
    std::function<bool()> stop;  ///< asked now and then on every rank; true on any ends the search
};

struct AutoEpsilon {
    double start = 0, end = 0;     ///< eps_start = beta_0 r(X, Y), eps_end = s* sigma
    double sigma = 0;              ///< r(Y, Y)
    double scale = 0;              ///< s*: of the smallest error, the first of several
    std::vector<double> errors;    ///< of each scale: the map of the target onto itself, at points it has not seen
    std::vector<bool> converged;   ///< each scale's self problem
    std::int64_t held_out = 0;     ///< points
    std::int64_t half_passes = 0;  ///< of all self problems: over the target's pairs
};

/// For each scale s: the target onto itself at s r(Y, Y), and the error of that map at held-out points, whose true
/// images are the points themselves. Held-out are every fifth of the target's points, drawn by the seed (the self
/// problems use the others), or the given ones (all of the target is used then), distributed over the source's parts.
/// Collective. \throws InputError where a relative epsilon has no meaning, or nothing is left to hold out.
AutoEpsilon choose_epsilons(const Coupling& coupling, const AutoEpsilonOptions& options,
                            std::optional<DistributedCloud> held_out = std::nullopt);

/// eps_k = (1 - t_{k-1}) eps_start + t_{k-1} eps_end with t_0 = 0, for these steps.
std::vector<double> epsilons_between(double start, double end, const std::vector<double>& alphas);

}  // namespace convoy
