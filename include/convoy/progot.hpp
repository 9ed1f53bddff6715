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
#include "convoy/values.hpp"

namespace convoy {

/// Steps alpha_1..alpha_K, each the share of the way that is left. With t_k = 1 - prod_{l<=k} (1 - alpha_l) travelled:
///
///     constant      alpha_k = 1/(K - k + 1)                     t_k = k/K
///     accelerated   alpha_k = (2k + 1)/((K + 1)^2 - k^2)        t_k = ((k + 1)^2 - 1)/((K + 1)^2 - 1)
///     decelerated   alpha_k = 1/e                               never there: the last map is applied in full
enum class Schedule { constant, accelerated, decelerated };
std::string name_of(Schedule schedule);
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
    StartKind start = StartKind::automatic;  ///< of the first step; `automatic` also looks for better than the scaled
                                             ///< potentials of the step before in later ones, where those are poor
    std::uint64_t seed = 0;                  ///< of the audit's sample
};

/// What one step did.
struct ProgotStep {
    double alpha = 0, travelled = 0;  ///< travelled: t_k, once this step has moved the source
    double epsilon = 0, tolerance = 0;
    double marginal_error = 0;  ///< the solver's, L1
    double transport_cost = 0;  ///< <P, C> between the travelling source and the target
    std::int64_t half_passes = 0, iterations = 0, restarts = 0;
    double work = 0;     ///< all of it, values and the move included, in half-passes' equivalents of pairs
    double seconds = 0;  ///< likewise
    double dropped = 0;  ///< the largest share of a row's mass that the move left out; 0 for the last step
    Status status = Status::running;
    std::string reason;  ///< in words, when not converged
    std::string start;   ///< in words
};

/// Everything that a run needs to go on, together with the coupling, whose source is at X(k): plain values.
struct ProgotState {
    std::vector<ProgotStep> steps;       ///< done, the last of them perhaps without success
    std::vector<std::vector<double>> g;  ///< of each of them, this rank's part
    std::vector<double> f;               ///< of the last one
    bool solving = false;                ///< in the midst of step k = steps.size() + 1:
    SinkhornState solver;                ///< its state
    std::string start;                   ///< how it began, in words
    double epsilon = 0;                  ///< its own
    std::vector<HalfPass> history;       ///< of all steps, numbered through
    Verdict verdict;                     ///< of the last step
    Status status = Status::running;     ///< converged: every step has reached its tolerance
    std::string reason;
};

struct RunWatcher;

/// The solver: a coupling, options and a state. step() solves one problem and moves the coupling's source.
///
///     eps_k by the rule, on the current cloud X(k);   (f, g) from (1 - alpha_{k-1}) times the last ones
///     X(k+1) = (1 - alpha_k) X(k) + alpha_k T_k(X(k)),  T_k the entropic map
///
/// (Kassraie et al. 2024, algorithm 1). The last step moves nothing: its plan couples X(K) with the target.
class Progot {
 public:
    /// The coupling outlives this. 	hrows InputError for no step, an alpha outside (0, 1], an epsilon or tolerance
    /// that is not positive, a cost without a map.
    Progot(Coupling& coupling, ProgotOptions options);

    ProgotState start() const { return {}; }
    /// One step; sets state.status once there is no further one. Collective.
    void step(ProgotState& state) const;
    std::int64_t steps() const { return static_cast<std::int64_t>(options_.alphas.size()); }

    /// Called after each half-pass on every rank; true anywhere stops the run (status stopped) on all.
    std::function<bool(const SinkhornState&, const SinkhornOptions&)> observer;
    /// Called when a step's epsilon is known, and before it is solved: its number, from 1.
    std::function<void(std::int64_t step, const ProgotState&)> announce;
    /// Called between parts of the work; not owned, may be absent.
    const RunWatcher* watcher = nullptr;

 private:
    Start make_step_start(const ProgotState& state, const Sinkhorn& sinkhorn, std::size_t k) const;
    void finish(ProgotState& state, ProgotStep step, bool last) const;
    Coupling* coupling_;
    ProgotOptions options_;
};

/// The maps of the steps that were done: what map_through() takes.
std::vector<MapStep> maps_of(const ProgotState& state);

}  // namespace convoy
