#include "solvers/audited_run.hpp"

#include <fmt/format.h>

#include <cmath>

#include "convoy/error.hpp"

namespace convoy {

namespace {

constexpr std::int64_t most_retries = 3;
constexpr double largest_error = 2.01;  // L1, of two distributions, and some rounding

}  // namespace

void leave_annealing(Coupling& coupling, SinkhornState& state, double epsilon) {
    if (state.epsilon == epsilon) return;
    const auto log_sum = coupling.reduce(Side::row, {state.f, state.g}, epsilon, Safety::safe);
    for (std::size_t i = 0; i < state.f.size(); ++i) state.f[i] -= epsilon * log_sum[i];
    state.epsilon = epsilon;
    state.half_passes += 1;
    state.marginal_error = std::nan("");
}

void run_to_its_end(const Sinkhorn& sinkhorn, SinkhornState& state, const RunWatcher& watcher) {
    while (state.status == Status::running) {
        sinkhorn.half_step(state);
        if (state.status != Status::failed) watcher.at_boundary();
    }
}

Verdict run_audited(Coupling& coupling, Sinkhorn& sinkhorn, SinkhornState& state, std::uint64_t seed,
                    const RunWatcher& watcher) {
    const double epsilon = sinkhorn.options.epsilon, tolerance = sinkhorn.options.tolerance;
    AuditState& audit = state.audit;
    if (audit.tolerance > 0) sinkhorn.options.tolerance = audit.tolerance;
    for (;; ++audit.retries) {
        run_to_its_end(sinkhorn, state, watcher);
        if (state.status == Status::failed) throw Failure{state.reason};
        if (state.status == Status::stopped) watcher.check(state);
        leave_annealing(coupling, state, epsilon);
        audit.converged = audit.converged || state.status == Status::converged;
        watcher.part_ended("solve");

        const Verdict verdict = audit_and_value(coupling, state.f, state.g, epsilon, seed);
        watcher.part_ended("audit");
        watcher.check(state);

        const double audited = verdict.audit.error();
        if (std::isnan(audited) || (!verdict.audit.sampled && !(audited <= largest_error))) {
            throw Failure{
                fmt::format("the audited error is {:.2g} (no plan has one above 2): rounding of the cost is {:.1g} "
                            "epsilon; use --precision double, a larger --epsilon, or points nearer to each other",
                            audited, coupling.rounding_of_cost() / epsilon)};
        }
        // All rows and columns in double outrank the solver's own figure; a sample only confirms it.
        if (audited <= tolerance && (audit.converged || !verdict.audit.sampled)) {
            if (state.status != Status::converged) state.reason = "the audited error is within the tolerance";
            state.status = Status::converged;
            return verdict;
        }
        if (state.status == Status::stopped) {
            state.reason = fmt::format("the time limit is reached at an audited error of {:.1e}", audited);
            return verdict;
        }
        if (state.status != Status::converged || audit.retries == most_retries) {
            if (state.status == Status::converged || audit.retries > 0) {
                state.reason = fmt::format(
                    "the solver's error is {:.2e}, but audited in double it is {:.2e} and did not "
                    "fall below {:.1e}",
                    state.marginal_error, audited, tolerance);
            }
            state.status = Status::not_converged;
            return verdict;
        }
        sinkhorn.options.tolerance *= 0.7 * tolerance / audited;
        audit.tolerance = sinkhorn.options.tolerance;
        state.status = Status::running;
        state.reason.clear();
        watcher.say(fmt::format("audited error {:.2e} is above the tolerance {:.1e}: going on to {:.2e}", audited,
                                tolerance, sinkhorn.options.tolerance));
    }
}

}  // namespace convoy
