// convoy progot SOURCE TARGET -o MODEL: progressive entropic optimal transport: the map, and the last coupling.

#include <fmt/format.h>

#include <cmath>
#include <string>
#include <utility>

#include "app/chosen_rows.hpp"
#include "app/closing.hpp"
#include "app/command.hpp"
#include "app/exit_codes.hpp"
#include "app/progot_options.hpp"
#include "app/progress.hpp"
#include "app/quantities.hpp"
#include "app/report.hpp"
#include "app/run.hpp"
#include "app/state_fields.hpp"
#include "convoy/auto_epsilon.hpp"
#include "convoy/error.hpp"
#include "convoy/progot.hpp"
#include "io/result.hpp"

namespace convoy::app {

namespace {

std::vector<double> automatic_epsilons(Run& run, const Problem& problem, const ProgotCommand& command) {
    AutoEpsilonOptions options = command.steps.choice;
    options.tolerance = command.solver.tolerance;
    options.max_half_passes = command.solver.max_half_passes;
    options.seed = command.solver.seed;
    options.stop = [&] { return run.stop.seen() != StopReason::none; };
    const auto columns = static_cast<double>(problem.shape.columns);
    const auto ranks = static_cast<double>(run.world.size());
    options.keep_products = problem.plan.keep_products && problem.plan.has_room_for(4 * columns * columns / ranks);
    std::optional<DistributedCloud> held_out;
    if (!command.steps.held_out.points.empty()) {
        io::InputOptions input = command.steps.held_out;
        input.scaling = command.problem.target.scaling;
        input.prepare = command.problem.target.prepare;
        const io::Shape shape = io::shape_of(run.world, input);
        CONVOY_VALIDATE(
            shape.columns == problem.target.dimension,
            fmt::format("--held-out: '{}' has {} but the target {}; give points of the same dimension", input.points,
                        plural(shape.columns, "column", "columns"), problem.target.dimension));
        const Grid& grid = problem.coupling.grid();
        io::InputIdentity identity;
        held_out = io::read_cloud(grid, Side::row, Partition::even(shape.rows, grid.parts(Side::row)), input, identity);
        if (problem.features) transform(*problem.features, *held_out);
        say_choice(run.console, "held-out", input, identity);
    }
    const AutoEpsilon found = choose_epsilons(problem.coupling, options, std::move(held_out));
    run.heed_signals("choosing epsilons");
    for (std::size_t k = 0; k < found.errors.size(); ++k)
        run.console.detail(fmt::format("scale {}: epsilon {:.4g}, error at {} {:.4g}{}", options.scales[k],
                                       options.scales[k] * found.sigma,
                                       plural(found.held_out, "held-out point", "held-out points"), found.errors[k],
                                       found.converged[k] ? "" : " (not converged)"));
    run.console.say(fmt::format("epsilon from {:.6g} to {:.6g}, scale {} of {} ({} over the target's own pairs)",
                                found.start, found.end, found.scale, options.rule.name(),
                                plural(found.half_passes, "half-pass", "half-passes")));
    if (found.scale == options.scales.front() || found.scale == options.scales.back())
        run.console.detail("the chosen scale is the last that was tried on its side; --scales can go further");
    return epsilons_between(found.start, found.end, command.steps.alphas);
}

// \param safe_before safe sums before this coupling, less those that are repeated
Outcome outcome_of(const ProgotState& state, const ProgotCommand& command, const Coupling& coupling,
                   std::int64_t safe_before) {
    const ProgotStep& last = state.steps.back();
    Outcome outcome;
    outcome.status = state.status;
    outcome.reason = state.reason;
    outcome.epsilon = last.epsilon;
    outcome.tolerance = last.tolerance;
    outcome.rule = command.steps.epsilon_name;
    outcome.cost = command.problem.cost;
    outcome.verdict = state.verdict;
    outcome.solver_error = last.marginal_error;
    outcome.start = last.start;
    for (const ProgotStep& step : state.steps) {
        outcome.half_passes += step.half_passes;
        outcome.work += step.work;
        outcome.iterations += step.iterations;
        outcome.restarts += step.restarts;
        outcome.seconds += step.seconds;
    }
    outcome.safe_rows = safe_before + safe_sums(coupling);
    return outcome;
}

void warn_of_outcome(Console& console, const ProgotState& state, const Outcome& outcome) {
    if (outcome.status == Status::converged) return;
    const char* remedy = outcome.status == Status::stopped
                             ? "allow more time"
                             : "allow more --max-half-passes, or use a larger --tolerance or --epsilon";
    console.warn(fmt::format("not converged ({}); {}", state.reason, remedy));
}

// Row j has target point j's potentials in all steps.
std::vector<double> potentials_by_point(const std::vector<std::vector<double>>& steps) {
    std::vector<double> table(steps.size() * steps.front().size());
    for (std::size_t k = 0; k < steps.size(); ++k)
        for (std::size_t j = 0; j < steps[k].size(); ++j) table[j * steps.size() + k] = steps[k][j];
    return table;
}

// While the source moves: where it goes, the images twice, and the target's columns. Then all steps' potentials, twice.
HeldMore held_more(const ProgotCommand& command) {
    const auto steps = static_cast<double>(command.steps.steps);
    HeldMore more;
    more.sources = (command.output.store_points ? 1 : 0) + (command.steps.intermediates ? steps - 1 : 0);
    more.numbers_of_target = 2 * steps;
    more.moving_sources = 3;
    more.moving_targets = 0.5;
    more.wide_averages = true;
    more.target_itself = command.steps.automatic;
    return more;
}

std::string how_far(const ProgotState& state) {
    const auto steps = plural(std::ssize(state.steps), "step", "steps");
    if (!state.solving) return steps;
    return fmt::format("{} and {}", steps, plural(state.solver.half_passes, "half-pass", "half-passes"));
}

// Takes the state, and brings the source to where it was then: along the maps of the steps that are done.
void go_on(Run& run, Coupling& coupling, const io::StoredCheckpoint& stored, ProgotState& state,
           std::vector<std::vector<double>>* travelled_sources) {
    StateReader reader{stored, coupling};
    progot_fields(reader, "", state);
    run.checkpoints.state_is_taken();
    run.phases.end("start");
    const std::vector<MapStep> maps = maps_of(state);
    for (std::size_t k = 0; k < maps.size(); ++k) {
        travel(coupling, maps[k]);
        run.heed_signals("travelling to where the run was");
        // A step that is still to begin keeps its source itself.
        const bool has_begun = k + 1 < maps.size() || state.solving;
        if (travelled_sources != nullptr && has_begun) travelled_sources->push_back(coupling.local(Side::row).points);
    }
    run.phases.end("move");
}

}  // namespace

int progot(const Invocation& invocation) {
    ProgotCommand command;
    if (!parse(invocation, command)) return done;
    Run run{invocation.world, command.volume, command.solver.time_limit, command.checkpoint};
    Problem problem = load_problem(run, "progot", command.problem, command.machine, command.solver, held_more(command));
    Coupling& coupling = problem.coupling;
    const StepOptions& steps = command.steps;
    // What is stored is the source as it was given, not where it has travelled.
    std::optional<DistributedCloud> given_source;
    if (command.output.store_points) given_source = coupling.cloud(Side::row);

    ProgotOptions options;
    options.alphas = steps.alphas;
    options.rule = command.problem.epsilon;
    const io::StoredCheckpoint* stored = run.checkpoints.state();
    options.epsilons = !steps.automatic    ? steps.epsilons
                       : stored != nullptr ? stored->table("epsilons")
                                           : automatic_epsilons(run, problem, command);
    run.phases.end("epsilon");
    options.tolerances = steps.loose_to_tight ? loose_to_tight(steps.steps, command.solver.tolerance)
                                              : std::vector(steps.alphas.size(), command.solver.tolerance);
    options.sinkhorn = {.max_half_passes = command.solver.max_half_passes,
                        .acceleration = problem.plan.acceleration,
                        .annealing = command.solver.annealing,
                        .seed = command.solver.seed};
    options.start = *command.solver.start();
    options.seed = command.solver.seed;

    Progot solver{coupling, options};
    Progress progress{run.console, problem.pairs()};
    coupling.while_reducing([&](double share) { progress.within(share); });
    bool searching = true;  // for a start; what follows ends at boundaries alone, where there are checkpoints
    solver.observer = [&](const SinkhornState& state, const SinkhornOptions& step_options) {
        progress.show(state, step_options);
        return (searching || !run.checkpoints.on()) && run.stop.seen() != StopReason::none;
    };
    std::vector<std::vector<double>> travelled_sources;
    solver.announce = [&](std::int64_t step, const ProgotState& state) {
        const double behind = state.steps.empty() ? 0 : state.steps.back().travelled;
        run.console.say(fmt::format("step {} of {}: travelled {:.3f}, epsilon {:.6g}", step, solver.steps(), behind,
                                    state.epsilon));
        if (run.console.warnings().empty()) warn_of_rounding(run.console, coupling, state.epsilon);  // once is enough
        if (steps.intermediates && step > 1) travelled_sources.push_back(coupling.local(Side::row).points);
        progress.begin(fmt::format("step {}: ", step));
        searching = true;
    };
    ProgotState state = solver.start();
    std::int64_t safe_before = 0;
    if (stored != nullptr) {
        go_on(run, coupling, *stored, state, steps.intermediates ? &travelled_sources : nullptr);
        safe_before = stored->count("safe_rows") - safe_sums(coupling);
    }
    if (state.solving) progress.begin(fmt::format("step {}: ", state.steps.size() + 1));
    searching = !state.solving;
    RunWatcher watcher = watch(run, coupling);
    watcher.part_ended = [&searching, told = std::move(watcher.part_ended)](const std::string& part) {
        if (part == "start") searching = false;
        told(part);
    };
    watcher.at_boundary = [&] {
        run.checkpoints.at_boundary(
            coupling.grid(), run.stop, run.console, run.phases, [&] { return how_far(state); },
            [&](io::Checkpoint& into) {
                StateWriter writer{into, coupling, run.checkpoints.light()};
                if (steps.automatic) writer.table("epsilons", options.epsilons);
                writer.count("safe_rows", safe_before + safe_sums(coupling));
                progot_fields(writer, "", std::as_const(state));
            });
    };
    solver.watcher = &watcher;
    while (state.status == Status::running) solver.step(state);
    progress.finish();
    fix_gauge(coupling, state.f, state.g.back());

    const Outcome outcome = outcome_of(state, command, coupling, safe_before);
    warn_of_outcome(run.console, state, outcome);
    io::Result result = begin_result(run, problem, invocation, "progot", outcome.status);
    result.solution = solution_attributes(outcome);
    result.history = std::move(state.history);
    result.steps = state.steps;
    result.schedule = steps.schedule_name;
    result.steps_g = potentials_by_point(state.g);
    result.travelled_sources = std::move(travelled_sources);
    result.f = std::move(state.f);
    result.g = std::move(state.g.back());
    result.store_target = true;
    result.store_source = command.output.store_points;
    write_result(problem, result, command.output, given_source ? &*given_source : nullptr);
    run.checkpoints.remove();
    return close_run(run, problem, command.output, outcome, result);
}

}  // namespace convoy::app
