// convoy solve SOURCE TARGET -o OUT: potentials and values of one entropic optimal transport problem.

#include <fmt/format.h>

#include <cmath>
#include <string>
#include <utility>

#include "app/closing.hpp"
#include "app/command.hpp"
#include "app/exit_codes.hpp"
#include "app/options.hpp"
#include "app/phases.hpp"
#include "app/progress.hpp"
#include "app/provenance.hpp"
#include "app/quantities.hpp"
#include "app/report.hpp"
#include "app/run_plan.hpp"
#include "app/stop_request.hpp"
#include "convoy/error.hpp"
#include "convoy/values.hpp"
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

void warn_of_rounding(Console& console, const Coupling& coupling, double epsilon) {
    const double floor = coupling.rounding_of_cost() / epsilon;
    console.detail(fmt::format("rounding of the cost: {:.1e} epsilon", floor));
    if (floor > 0.05) {
        console.warn(
            fmt::format("rounding of the cost is {:.2g} epsilon, which errors of about this size in the plan "
                        "follow; use --precision double or a larger --epsilon",
                        floor));
    }
}

Start stored_start(const Sinkhorn& sinkhorn, const Coupling& coupling, const Partition& rows, const Partition& columns,
                   const std::string& init, Console& console) {
    io::StoredPotentials stored = io::read_potentials(coupling.grid(), rows, columns, init);
    if (stored.cost != coupling.cost().name()) {
        console.warn(fmt::format("the potentials in '{}' belong to the cost {}, not {}: a poor start", init,
                                 stored.cost, coupling.cost().name()));
    }
    return {sinkhorn.start(std::move(stored.f), std::move(stored.g)), StartKind::zero,
            fmt::format("the potentials in '{}' (epsilon {:.4g})", init, stored.epsilon)};
}

// A run that ended while annealing holds potentials of a larger epsilon. One exact half-step at the target's makes them
// potentials of the problem that was asked for, with exact rows.
void leave_annealing(Coupling& coupling, SinkhornState& state, double epsilon) {
    if (state.epsilon == epsilon) return;
    const auto log_sum = coupling.reduce(Side::row, {state.f, state.g}, epsilon, Safety::safe);
    for (std::size_t i = 0; i < state.f.size(); ++i) state.f[i] -= epsilon * log_sum[i];
    state.half_passes += 1;
    state.marginal_error = std::nan("");
}

// A signal ended the run.
[[noreturn]] void give_up(const SinkhornState& state) {
    const std::string error = state.marginal_error > 0 ? fmt::format("at error {:.1e}", state.marginal_error)
                                                       : std::string{"before an error was known"};
    throw Failure{fmt::format("ended by a signal after {} {}; nothing is written and what was computed is lost",
                              plural(state.half_passes, "half-pass", "half-passes"), error)};
}

// Solves until the audit agrees: where it finds a larger error than the solver did, the solver's goal is tightened.
Verdict solve_and_audit(Coupling& coupling, Sinkhorn& sinkhorn, SinkhornState& state, const SolverOptions& options,
                        const StopRequest& stop, Console& console, Phases& phases) {
    constexpr int most_retries = 3;
    constexpr double largest_error = 2.01;  // L1, of two distributions, and some rounding
    const Communicator& world = coupling.grid().world();
    const double epsilon = sinkhorn.options.epsilon;
    bool solver_converged = false;
    for (int retry = 0;; ++retry) {
        const Meters before = coupling.meters();
        while (state.status == Status::running) sinkhorn.step(state);
        if (state.status == Status::failed) throw Failure{state.reason};
        if (state.status == Status::stopped && stop.agreed(world) == StopReason::signal) give_up(state);
        leave_annealing(coupling, state, epsilon);
        solver_converged = solver_converged || state.status == Status::converged;
        phases.end("solve");
        phases.add("kernel", coupling.meters().kernel_seconds - before.kernel_seconds);
        phases.add("communication", coupling.meters().communication_seconds - before.communication_seconds);

        const Verdict verdict = audit_and_value(coupling, state.f, state.g, epsilon, options.seed);
        phases.end("audit");
        if (stop.agreed(world) == StopReason::signal) give_up(state);

        const double audited = verdict.audit.error();
        if (std::isnan(audited) || (!verdict.audit.sampled && !(audited <= largest_error))) {
            throw Failure{
                fmt::format("the audited error is {:.2g} (no plan has one above 2): rounding of the cost is {:.1g} "
                            "epsilon; use --precision double, a larger --epsilon, or points nearer to each other",
                            audited, coupling.rounding_of_cost() / epsilon)};
        }
        // All rows and columns in double outrank the solver's own figure; a sample only confirms it.
        if (audited <= options.tolerance && (solver_converged || !verdict.audit.sampled)) {
            if (state.status != Status::converged) state.reason = "the audited error is within the tolerance";
            state.status = Status::converged;
            return verdict;
        }
        if (state.status == Status::stopped) {
            state.reason = fmt::format("the time limit is reached at an audited error of {:.1e}", audited);
            return verdict;
        }
        if (state.status != Status::converged || retry == most_retries) {
            if (state.status == Status::converged || retry > 0) {
                state.reason = fmt::format(
                    "the solver's error is {:.2e}, but audited in double it is {:.2e} and did not "
                    "fall below {:.1e}",
                    state.marginal_error, audited, options.tolerance);
            }
            state.status = Status::not_converged;
            return verdict;
        }
        sinkhorn.options.tolerance *= 0.7 * options.tolerance / audited;
        state.status = Status::running;
        state.reason.clear();
        console.say(fmt::format("audited error {:.2e} is above the tolerance {:.1e}: going on to {:.2e}", audited,
                                options.tolerance, sinkhorn.options.tolerance));
    }
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
    outcome.rule = options.problem.epsilon;
    outcome.cost = options.problem.cost;
    outcome.verdict = verdict;
    outcome.solver_error = state.marginal_error;
    outcome.half_passes = state.half_passes;
    outcome.iterations = state.iterations;
    outcome.work = static_cast<double>(state.half_passes) + state.other_work;
    outcome.start = start.explain;
    outcome.restarts = state.restarts;
    double safe_rows = static_cast<double>(coupling.meters().safe_rows);
    coupling.grid().world().sum(std::span{&safe_rows, 1});
    outcome.safe_rows = static_cast<std::int64_t>(safe_rows);
    outcome.seconds = seconds;
    return outcome;
}

}  // namespace

int solve(const Invocation& invocation) {
    SolveOptions options;
    if (!parse(invocation, options)) return done;
    const Communicator& world = invocation.world;
    Console console{world.is_root(), options.volume.volume()};
    Phases phases;
    StopRequest stop{options.solver.time_limit};
    stop.listen();
    const auto heed_signals = [&](const std::string& phase) {
        if (stop.agreed(world) == StopReason::signal)
            throw Failure{fmt::format("ended by a signal while {}; nothing is written", phase)};
    };

    // What is asked, and can it be done at all?
    const ProblemShape shape = shape_of_problem(world, options.problem);
    const Plan plan = plan_run(world, shape, options.problem, options.machine, options.solver);
    console.say(fmt::format("convoy {} solve: {} x {} points of {}", version(), count_text(shape.rows),
                            count_text(shape.columns), plural(shape.dimension, "dimension", "dimensions")));
    console.say(plan.explain);

    // Points, then everything derived from them.
    const Grid grid{world, plan.grid};
    const Partition rows = Partition::even(shape.rows, grid.parts(Side::row));
    const Partition columns = Partition::even(shape.columns, grid.parts(Side::column));
    io::Result result;
    DistributedCloud source = io::read_cloud(grid, Side::row, rows, options.problem.source, result.source_input);
    heed_signals("reading");
    DistributedCloud target = io::read_cloud(grid, Side::column, columns, options.problem.target, result.target_input);
    heed_signals("reading");
    phases.end("read");
    Coupling coupling{grid,           std::move(source), std::move(target), options.problem.cost,
                      plan.precision, plan.backend,      plan.keep_products};
    heed_signals("computing products");
    phases.end(plan.keep_products ? "products" : "epsilon");
    const double epsilon = options.problem.epsilon.resolve(coupling);
    heed_signals("finding epsilon");
    phases.end("epsilon");
    console.say(
        fmt::format("epsilon {:.6g} ({}, {})", epsilon, options.problem.epsilon.name(), coupling.cost().name()));
    warn_of_rounding(console, coupling, epsilon);

    const double pairs = static_cast<double>(shape.rows) * static_cast<double>(shape.columns);
    Progress progress{console, pairs};
    coupling.while_reducing([&](double share) { progress.within(share); });
    Sinkhorn sinkhorn{coupling,
                      {.epsilon = epsilon,
                       .tolerance = options.solver.tolerance,
                       .max_half_passes = options.solver.max_half_passes,
                       .acceleration = plan.acceleration,
                       .annealing = options.solver.annealing,
                       .seed = options.solver.seed}};
    sinkhorn.observer = [&](const SinkhornState& state) {
        progress.show(state, sinkhorn.options);
        return stop.seen() != StopReason::none;
    };
    const std::optional<StartKind> kind = options.solver.start();
    Start start = kind ? make_start(coupling, sinkhorn, *kind, [&] { return stop.seen() != StopReason::none; })
                       : stored_start(sinkhorn, coupling, rows, columns, options.solver.init, console);
    heed_signals("looking for a start");
    phases.end("start");
    console.say("start: " + start.explain);
    SinkhornState& state = start.state;
    const Verdict verdict = solve_and_audit(coupling, sinkhorn, state, options.solver, stop, console, phases);
    progress.finish();
    fix_gauge(coupling, state.f, state.g);

    // The result, and what it says.
    const Outcome outcome =
        outcome_of(start, options, coupling, epsilon, verdict, phases.seconds("start") + phases.seconds("solve"));
    warn_of_outcome(console, outcome, options);
    result.root = {{"program", "convoy"},
                   {"version", version()},
                   {"command", "solve"},
                   {"created", utc_now()},
                   {"status", name_of(outcome.status)}};
    result.solution = solution_attributes(outcome);
    result.run = plan.attributes;
    const io::Attributes where = whereabouts(world, invocation.line);
    result.run.insert(result.run.end(), where.begin(), where.end());
    result.history = state.history;
    result.timing = phases.over_ranks(world);
    result.run.emplace_back("cache_seconds", longest(result.timing, "products"));
    result.f = std::move(state.f);
    result.g = std::move(state.g);
    result.store_points = options.output.store_points;
    io::write_result(coupling, result, options.output.output, options.output.overwrite);
    phases.end("write");

    const auto timing = phases.over_ranks(world);
    return close_run(world, options.output,
                     {.outcome = outcome,
                      .result = result,
                      .timing = timing,
                      .pairs_per_second = pairs * static_cast<double>(outcome.half_passes) / longest(timing, "solve"),
                      .memory = peak_memory(world),
                      .products = plan.products,
                      .files = {},
                      .warnings = console.warnings()});
}

}  // namespace convoy::app
