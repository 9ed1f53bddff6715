#pragma once
/// \file
/// The Sinkhorn divergence S(x, y) = OT(x, y) - (OT(x, x) + OT(y, y))/2, all three at one epsilon (Genevay, Peyre and
/// Cuturi 2018; Feydy et al. 2019).

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "convoy/coupling.hpp"
#include "convoy/self_problem.hpp"
#include "convoy/sinkhorn.hpp"
#include "convoy/start.hpp"
#include "convoy/values.hpp"

namespace convoy {

/// What is known of one of the three terms.
struct DivergenceTerm {
    Values values;
    Audit audit;
    double marginal_error = 0;  ///< the solver's: L1, both sides
    std::int64_t half_passes = 0;
    Status status = Status::running;
    std::string reason;  ///< in words
};

/// A self term and its potential: what may be kept for other divergences of the same cloud at the same epsilon.
struct SelfTerm {
    DivergenceTerm term;
    SelfSolution solution;
};

/// Solves one cloud against itself until the audit agrees; neither side is exact, so each gets half the tolerance.
/// Points, weights and options.start as in solve_self(). Collective. \throws Failure where the potentials are no
/// plan's. \param seed of the audit's sample
SelfTerm solve_self_term(Coupling& self, SelfOptions options, std::uint64_t seed);

/// The two definitions. The first is not negative, and 0 for equal clouds alone, up to the errors of the terms.
struct DivergenceValues {
    double divergence = 0;  ///< with the entropy, from dual values: as OTT and GeomLoss
    double transport = 0;   ///< from the transport costs <P,C> alone: as POT
};
DivergenceValues divergence_of(const DivergenceTerm& cross, const DivergenceTerm& source, const DivergenceTerm& target);

/// For each source point, this rank's rows x d: sum_j w_ij dC(x_i, y_j)/dx_i, w_ij = P_ij/(P 1)_i the conditional plan
/// that belongs to this potential of the target, but for a term of x_i alone, which is the same for every target. For
/// h(x - y): grad h averaged (0 where h has none). Collective.
std::vector<double> source_pull(Coupling& coupling, std::span<const double> g, double epsilon);

/// The gradient of the divergence with respect to the source's points, rows x d (the first definition's; weights stay):
///
///     a_i (sum_j w_ij grad h(x_i - y_j) - sum_k w^self_ik grad h(x_i - x_k)),
///
/// for `sqeuclidean` 2 a_i (T_self(x_i) - T(x_i)), T the barycentric maps.
/// \param cross source_pull() of the cross problem \param self that of the source against itself
std::vector<double> divergence_gradient(const Cloud& source, std::span<const double> cross,
                                        std::span<const double> self);

struct DivergenceOptions {
    SinkhornOptions sinkhorn;  ///< of the cross term; epsilon, tolerance and max_half_passes of all three
    StartKind start = StartKind::automatic;
    std::uint64_t seed = 0;      ///< of the audits' samples
    bool gradient = false;       ///< with respect to the source's points
    std::function<bool()> stop;  ///< asked after each half-pass on every rank; true on any ends all that is left
    /// Self terms that are known already (not owned, may be absent): their solutions in the distributions of
    /// self_coupling().
    const SelfTerm* source = nullptr;
    const SelfTerm* target = nullptr;
};

struct Divergence {
    DivergenceTerm cross, source, target;
    DivergenceValues values;
    std::vector<double> f, g;  ///< of the cross problem, <a,f> = <b,g>
    SelfSolution self_source, self_target;
    std::vector<double> gradient;  ///< rows x d, if asked for
    bool converged() const;        ///< all three terms
};

/// Everything at once. Self problems keep their products where the cross problem does. Collective. \throws Failure
Divergence sinkhorn_divergence(Coupling& cross, const DivergenceOptions& options);

}  // namespace convoy
