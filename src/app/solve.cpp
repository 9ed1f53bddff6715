// convoy solve SOURCE TARGET -o OUT: potentials and values of one entropic optimal transport problem.

#include <fmt/format.h>

#include <cmath>
#include <string>
#include <utility>

#include "app/closing.hpp"
#include "app/command.hpp"
#include "app/exit_codes.hpp"
#include "app/options.hpp"
#include "app/quantities.hpp"
#include "app/report.hpp"
#include "app/run.hpp"
#include "app/sinkhorn_run.hpp"
#include "convoy/error.hpp"
#include "io/result.hpp"

namespace convoy::app {

namespace {

struct SolveOptions {
    ProblemOptions problem;
    SolverOptions solver;
    MachineOptions machine;
    OutputOptions output;
    VolumeOptions volume;
};

bool parse(const Invocation& invocation, SolveOptions& options) {
    CommandLine line{
        "solve SOURCE TARGET -o OUT [options]",
        "Solves one entropic optimal transport problem: potentials f and g of all points, and the values.\n",
        "Examples:\n"
        "  convoy solve before.npy after.npy -o run.h5\n"
        "  convoy solve cells.h5ad cells.h5ad --source-where day=10 --target-where day=10.5 -o days.h5\n"
        "  convoy solve a.h5#/X b.h5#/X --epsilon 0.01std --tolerance 1e-4 -o run.h5 --summary run.json\n"
        "  srun convoy solve a.h5#/X b.h5#/X --source-weights a.h5#/mass --time-limit 110m -o run.h5\n\n"
        "Exit codes: 0 converged, 1 failed, 2 bad usage or input, 3 not converged (result written).\n"};
    declare(line, options.problem, true);
    declare(line, options.solver);
    declare(line, options.machine);
    declare(line, options.output);
    declare(line, options.volume);
    if (!line.parse(invocation)) return false;

    check_together(line, options.problem);
    check_together(line, options.solver);
    check_together(line, options.machine);
    check_together(line, options.volume);
    check_outputs(invocation.world, line, options.problem, options.solver, options.output);
    return true;
}

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

int solve(const Invocation& invocation) {
    SolveOptions options;
    if (!parse(invocation, options)) return done;
    Run run{invocation.world, options.volume, options.solver.time_limit};
    Console& console = run.console;
    Problem problem = load_problem(run, "solve", options.problem, options.machine, options.solver);
    Coupling& coupling = problem.coupling;
    const double epsilon = options.problem.epsilon.resolve(coupling);
    run.heed_signals("finding epsilon");
    run.phases.end("epsilon");
    console.say(
        fmt::format("epsilon {:.6g} ({}, {})", epsilon, options.problem.epsilon.name(), coupling.cost().name()));
    warn_of_rounding(console, coupling, epsilon);

    SolvedProblem solved = solve_problem(run, problem, epsilon, options.problem, options.solver);
    const Outcome& outcome = solved.outcome;

    // The result, and what it says.
    warn_of_outcome(console, outcome, options, problem.plan);
    io::Result result = begin_result(run, problem, invocation, "solve", outcome.status);
    result.solution = solution_attributes(outcome);
    result.history = std::move(solved.state.history);
    result.f = std::move(solved.state.f);
    result.g = std::move(solved.state.g);
    result.store_source = result.store_target = options.output.store_points;
    write_result(problem, result, options.output);

    return close_run(run, problem, options.output, outcome, result);
}

}  // namespace convoy::app
