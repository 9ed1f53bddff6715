#include "app/solve_run.hpp"

#include <fmt/format.h>

#include <utility>

namespace convoy::app {

namespace {

void warn_of_outcome(Console& console, const Outcome& outcome, const SolveOptions& options, const Plan& plan) {
    if (outcome.status == Status::converged) return;
    const bool floor = plan.precision != Precision::fp64;
    const std::string remedy =
        outcome.status == Status::stopped ? fmt::format("go on with --init {} and more time", options.output.output)
        : outcome.half_passes >= options.solver.max_half_passes
            ? fmt::format("go on with --init {}, allow more --max-half-passes, or use a larger --epsilon",
                          options.output.output)
            : std::string{floor ? "use --precision double, or a larger --tolerance or --epsilon"
                                : "use a larger --tolerance or --epsilon"};
    console.warn(fmt::format("not converged ({}); {}", outcome.reason, remedy));
}

}  // namespace

WrittenResult solve_and_write(Run& run, Problem& problem, const Invocation& invocation, const SolveOptions& options,
                              const KnownPotentials* known,
                              const std::vector<std::pair<std::string, io::Attributes>>& groups) {
    Console& console = run.console;
    Coupling& coupling = problem.coupling;
    // Where a run goes on, its own: another grid would round it otherwise.
    const io::StoredCheckpoint* state = run.checkpoints.state();
    const double epsilon = state != nullptr ? state->number("epsilon") : options.problem.epsilon.resolve(coupling);
    run.heed_signals("finding epsilon");
    run.phases.end("epsilon");
    console.say(
        fmt::format("epsilon {:.6g} ({}, {})", epsilon, options.problem.epsilon.name(), coupling.cost().name()));
    warn_of_rounding(console, coupling, epsilon);

    SolvedProblem solved = solve_problem(run, problem, epsilon, options.problem, options.solver, known);
    const Outcome& outcome = solved.outcome;

    // The result, and what it says.
    warn_of_outcome(console, outcome, options, problem.plan);
    io::Result result = begin_result(run, problem, invocation, "solve", outcome.status);
    result.solution = solution_attributes(outcome);
    result.history = std::move(solved.state.history);
    result.f = std::move(solved.state.f);
    result.g = std::move(solved.state.g);
    result.store_source = result.store_target = options.output.store_points;
    result.groups.insert(result.groups.end(), groups.begin(), groups.end());
    write_result(problem, result, options.output);
    return {std::move(solved.outcome), std::move(result)};
}

}  // namespace convoy::app
