// convoy solve SOURCE TARGET -o OUT: potentials and values of one entropic optimal transport problem.

#include <fmt/format.h>

#include <cmath>
#include <string>
#include <utility>

#include "app/closing.hpp"
#include "app/command.hpp"
#include "app/exit_codes.hpp"
#include "app/options.hpp"
#include "app/progress.hpp"
#include "app/provenance.hpp"
#include "app/quantities.hpp"
#include "app/report.hpp"
#include "app/run.hpp"
#include "convoy/error.hpp"
#include "convoy/values.hpp"
#include "io/result.hpp"
#include "solvers/audited_run.hpp"

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
        "  convoy solve a.h5#/X b.h5#/X --epsilon 0.01std --tolerance 1e-4 -o run.h5 --summary run.json\n"
        "  srun convoy solve a.h5#/X b.h5#/X --source-weights a.h5#/mass --time-limit 110m -o run.h5\n\n"
        "Exit codes: 0 converged, 1 failed, 2 bad usage or input, 3 not converged (result written).\n"};
    declare(line, options.problem, true);
    declare(line, options.solver);
    declare(line, options.machine);
    declare(line, options.output);
    declare(line, options.volume);
    if (!line.parse(invocation)) return false;

    check_together(line, options.solver);
    check_together(line, options.machine);
    check_together(line, options.volume);
    check_outputs(invocation.world, line, options.problem, options.solver, options.output);
    return true;
}

Start stored_start(const Sinkhorn& sinkhorn, const Coupling& coupling, const std::string& init, Console& console) {
    io::StoredPotentials stored = io::read_potentials(coupling.grid(), coupling.cloud(Side::row).partition,
                                                      coupling.cloud(Side::column).partition, init);
    if (stored.cost != coupling.cost().name()) {
        console.warn(fmt::format("the potentials in '{}' belong to the cost {}, not {}: a poor start", init,
                                 stored.cost, coupling.cost().name()));
    }
    return {sinkhorn.start(std::move(stored.f), std::move(stored.g)), StartKind::given,
            fmt::format("the potentials in '{}' (epsilon {:.4g})", init, stored.epsilon)};
}

void warn_of_outcome(Console& console, const Outcome& outcome, const SolveOptions& options) {
    if (outcome.status == Status::converged) return;
    const bool floor = options.machine.precision != Precision::fp64 && options.machine.backend != Backend::reference;
    const std::string remedy =
        outcome.status == Status::stopped ? fmt::format("go on with --init {} and more time", options.output.output)
        : outcome.half_passes >= options.solver.max_half_passes
            ? fmt::format("go on with --init {}, allow more --max-half-passes, or use a larger --epsilon",
                          options.output.output)
            : std::string{floor ? "use --precision double, or a larger --tolerance or --epsilon"
                                : "use a larger --tolerance or --epsilon"};
    console.warn(fmt::format("not converged ({}); {}", outcome.reason, remedy));
}

Outcome outcome_of(const Start& start, const SolveOptions& options, const Coupling& coupling, double epsilon,
                   const Verdict& verdict, double seconds) {
    const SinkhornState& state = start.state;
    Outcome outcome;
    outcome.status = state.status;
    outcome.reason = state.reason;
    outcome.epsilon = epsilon;
    outcome.tolerance = options.solver.tolerance;
    outcome.rule = options.problem.epsilon.name();
    outcome.cost = options.problem.cost;
    outcome.verdict = verdict;
    outcome.solver_error = state.marginal_error;
    outcome.half_passes = state.half_passes;
    outcome.iterations = state.iterations;
    outcome.work = static_cast<double>(state.half_passes) + state.other_work;
    outcome.start = start.explain;
    outcome.restarts = state.restarts;
    outcome.safe_rows = safe_sums(coupling);
    outcome.seconds = seconds;
    return outcome;
}

}  // namespace

int solve(const Invocation& invocation) {
    SolveOptions options;
    if (!parse(invocation, options)) return done;
    const Communicator& world = invocation.world;
    Run run{world, options.volume, options.solver.time_limit};
    Console& console = run.console;
    Phases& phases = run.phases;
    Problem problem = load_problem(run, "solve", options.problem, options.machine, options.solver);
    Coupling& coupling = problem.coupling;
    const double epsilon = options.problem.epsilon.resolve(coupling);
    run.heed_signals("finding epsilon");
    phases.end("epsilon");
    console.say(
        fmt::format("epsilon {:.6g} ({}, {})", epsilon, options.problem.epsilon.name(), coupling.cost().name()));
    warn_of_rounding(console, coupling, epsilon);

    Progress progress{console, problem.pairs()};
    coupling.while_reducing([&](double share) { progress.within(share); });
    Sinkhorn sinkhorn{coupling,
                      {.epsilon = epsilon,
                       .tolerance = options.solver.tolerance,
                       .max_half_passes = options.solver.max_half_passes,
                       .acceleration = problem.plan.acceleration,
                       .annealing = options.solver.annealing,
                       .seed = options.solver.seed}};
    sinkhorn.observer = [&](const SinkhornState& state) {
        progress.show(state, sinkhorn.options);
        return run.stop.seen() != StopReason::none;
    };
    const std::optional<StartKind> kind = options.solver.start();
    Start start = kind ? make_start(coupling, sinkhorn, *kind, [&] { return run.stop.seen() != StopReason::none; })
                       : stored_start(sinkhorn, coupling, options.solver.init, console);
    run.heed_signals("looking for a start");
    phases.end("start");
    console.say("start: " + start.explain);
    SinkhornState& state = start.state;
    const RunWatcher watcher = watch(run, coupling);
    const Verdict verdict = run_audited(coupling, sinkhorn, state, options.solver.seed, watcher);
    progress.finish();
    fix_gauge(coupling, state.f, state.g);

    // The result, and what it says.
    const Outcome outcome =
        outcome_of(start, options, coupling, epsilon, verdict, phases.seconds("start") + phases.seconds("solve"));
    warn_of_outcome(console, outcome, options);
    io::Result result = begin_result(run, problem, invocation, "solve", outcome.status);
    result.solution = solution_attributes(outcome);
    result.history = state.history;
    result.f = std::move(state.f);
    result.g = std::move(state.g);
    result.store_source = result.store_target = options.output.store_points;
    io::write_result(coupling, result, options.output.output, options.output.overwrite);

    return close_run(run, problem, options.output, outcome, result);
}

}  // namespace convoy::app
