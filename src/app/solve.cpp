// convoy solve SOURCE TARGET -o OUT: potentials and values of one entropic optimal transport problem.

#include <fmt/format.h>

#include <string>
#include <utility>

#include "app/closing.hpp"
#include "app/command.hpp"
#include "app/exit_codes.hpp"
#include "app/options.hpp"
#include "app/phases.hpp"
#include "app/provenance.hpp"
#include "app/quantities.hpp"
#include "app/report.hpp"
#include "app/run_plan.hpp"
#include "app/sinkhorn_run.hpp"
#include "app/stop_request.hpp"
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

}  // namespace

int solve(const Invocation& invocation) {
    SolveOptions options;
    if (!parse(invocation, options)) return done;
    const Communicator& world = invocation.world;
    Console console{world.is_root(), options.volume.volume()};
    Phases phases;
    StopRequest stop{options.solver.time_limit};
    stop.listen();
    const auto heed_signals = [&](const std::string& phase) { app::heed_signals(world, stop, phase); };

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

    const SinkhornContext context{options.problem, options.solver, plan, stop, console, phases};
    SolvedProblem solved = solve_problem(coupling, epsilon, context);
    const Outcome& outcome = solved.outcome;

    // The result, and what it says.
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
    result.history = std::move(solved.state.history);
    result.timing = phases.over_ranks(world);
    result.run.emplace_back("cache_seconds", longest(result.timing, "products"));
    result.f = std::move(solved.state.f);
    result.g = std::move(solved.state.g);
    result.store_points = options.output.store_points;
    io::write_result(coupling, result, options.output.output, options.output.overwrite);
    phases.end("write");

    const double pairs = static_cast<double>(shape.rows) * static_cast<double>(shape.columns);
    const auto timing = phases.over_ranks(world);
    return close_run(world, options.output,
                     {.outcome = outcome,
                      .result = result,
                      .timing = timing,
                      .pairs_per_second = pairs * static_cast<double>(outcome.half_passes) / longest(timing, "solve"),
                      .memory = peak_memory(world),
                      .products = plan.products,
                      .files = {},
                      .warnings = console.warnings(),
                      .findings = {}});
}

}  // namespace convoy::app
