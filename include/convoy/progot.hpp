#pragma once
/// \file
/// Progressive entropic OT (Kassraie, Pooladian, Klein, Thornton, Niles-Weed and Cuturi, NeurIPS 2024): the source
/// travels to the target in K steps, each a share of the way along the entropic map of an easier problem.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "convoy/coupling.hpp"
#include "convoy/epsilon.hpp"
#include "convoy/map.hpp"
#include "convoy/sinkhorn.hpp"
#include "convoy/start.hpp"

namespace convoy {

/// Steps alpha_1..alpha_K, each the share of the way that is left. With t_k = 1 - prod_{l<=k} (1 - alpha_l) travelled:
///
///     constant      alpha_k = 1/(K - k + 1)                     t_k = k/K
///     accelerated   alpha_k = (2k + 1)/((K + 1)^2 - k^2)        t_k = ((k + 1)^2 - 1)/((K + 1)^2 - 1)
///     decelerated   alpha_k = 1/e                               never there: the last map is applied in full
enum class Schedule { constant, accelerated, decelerated };
std::vector<double> step_lengths(Schedule schedule, std::int64_t steps);
/// t_1..t_K of any steps.
std::vector<double> travelled(const std::vector<double>& alphas);

/// Tolerances from 0.1 down to `last`, linearly: only the last governs the plan's marginals. K = 1: `last` alone; a
/// `last` above 0.1 is used throughout.
std::vector<double> loose_to_tight(std::int64_t steps, double last);

struct ProgotOptions {
    std::vector<double> alphas;      ///< K of them, in (0, 1]
    std::vector<double> epsilons;    ///< K of them, in units of the cost; empty: by the rule
    EpsilonRule rule;                ///< of the cost between the current source and the target, anew at every step
    std::vector<double> tolerances;  ///< K of them: L1 marginal error
    SinkhornOptions sinkhorn;        ///< epsilon and tolerance are the step's
    StartKind start = StartKind::automatic;  ///< of the first step; of later ones: automatic weighs it against the
                                             ///< scaled potentials of the step before
    std::uint64_t seed = 0;                  ///< of the audits' samples
};

/// What one step did.
struct ProgotStep {
    double alpha = 0, travelled = 0;  ///< travelled: t_k, after the step
    double epsilon = 0, tolerance = 0;
    double marginal_error = 0;  ///< the solver's, L1
    double audited_error = 0;   ///< in double, from the points (Audit::error())
    double transport_cost = 0;  ///< <P, C> between the travelling source and the target
    std::int64_t half_passes = 0;
    double work = 0;     ///< all of it, in half-passes' equivalents of pairs
    double seconds = 0;  ///< start, solver and audit
    double dropped = 0;  ///< the largest share of a row's mass that the move left out
    Status status = Status::running;
    std::string reason;  ///< in words, when not converged
    std::string start;   ///< in words
};

}  // namespace convoy
