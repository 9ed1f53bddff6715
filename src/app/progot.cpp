// convoy progot SOURCE TARGET -o MODEL: progressive entropic optimal transport: the map, and the last coupling.

#include "convoy/progot.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <string>
#include <utility>

#include "app/closing.hpp"
#include "app/command.hpp"
#include "app/exit_codes.hpp"
#include "app/options.hpp"
#include "app/progress.hpp"
#include "app/quantities.hpp"
#include "app/report.hpp"
#include "app/run.hpp"
#include "convoy/auto_epsilon.hpp"
#include "convoy/error.hpp"
#include "io/result.hpp"

namespace convoy::app {

namespace {

struct StepOptions {
    std::int64_t steps = 16;
    std::optional<Schedule> schedule = Schedule::constant;  // nothing: alphas as given
    std::vector<double> alphas;
    std::string schedule_name = "constant", epsilon_name = "auto";
    bool automatic = true;         // epsilon
    std::vector<double> epsilons;  // as given; empty: by the rule, or automatic
    AutoEpsilonOptions choice;
    io::InputOptions held_out{.points = {}, .weights = {}, .scaling = "1"};
    bool loose_to_tight = true;
    bool intermediates = false;
};

struct ProgotCommand {
    ProblemOptions problem;
    StepOptions steps;
    SolverOptions solver;
    MachineOptions machine;
    OutputOptions output;
    VolumeOptions volume;
};

std::vector<double> parse_list(const std::string& what, const std::string& text) {
    std::vector<double> numbers;
    std::size_t begin = 0;
    while (begin <= text.size()) {
        const std::size_t end = std::min(text.find(',', begin), text.size());
        numbers.push_back(parse_number(what, text.substr(begin, end - begin)));
        begin = end + 1;
    }
    return numbers;
}

void take_schedule(StepOptions& options, const std::string& text) {
    options.schedule_name = text;
    options.alphas.clear();
    for (const Schedule known : {Schedule::constant, Schedule::accelerated, Schedule::decelerated}) {
        if (text != name_of(known)) continue;
        options.schedule = known;
        return;
    }
    CONVOY_VALIDATE(!text.empty() && text.find_first_not_of("0123456789.,eE+- ") == std::string::npos,
                    fmt::format("--schedule: '{}' is not one of constant, accelerated, decelerated, nor a list of "
                                "steps such as 0.5,0.5,1",
                                text));
    options.schedule.reset();
    options.alphas = parse_list("--schedule", text);
    for (const double alpha : options.alphas)
        CONVOY_VALIDATE(alpha > 0 && alpha <= 1,
                        fmt::format("--schedule: a step of {} is not a share of the way that is left; take numbers "
                                    "above 0, at most 1",
                                    alpha));
}

void take_epsilon(ProblemOptions& problem, StepOptions& options, const std::string& text) {
    constexpr std::string_view with_rule = "auto:";
    options.epsilon_name = text;
    options.automatic = text == "auto" || text.starts_with(with_rule);
    options.epsilons.clear();
    if (text.starts_with(with_rule)) {
        options.choice.rule = EpsilonRule::parse(text.substr(with_rule.size()));
        CONVOY_VALIDATE(options.choice.rule.unit != EpsilonRule::Unit::absolute,
                        fmt::format("--epsilon: '{}' is not relative to a cost; write for example auto:0.05std", text));
    } else if (text.find(',') != std::string::npos) {
        options.epsilons = parse_list("--epsilon", text);
        for (const double epsilon : options.epsilons)
            CONVOY_VALIDATE(epsilon > 0, fmt::format("--epsilon: {} is not positive", epsilon));
    } else if (!options.automatic) {
        problem.epsilon = EpsilonRule::parse(text);
    }
}

void declare(CommandLine& line, ProblemOptions& problem, StepOptions& options) {
    const std::string group = "Steps";
    line.option("--steps", "K", "how many (default 16, for maps; for couplings 4 do)",
                [&](const std::string& text) {
                    options.steps = parse_count("--steps", text, 1);
                    CONVOY_VALIDATE(options.steps <= 10000, fmt::format("--steps: {} are more than 10000", text));
                })
        ->group(group);
    line.option("--schedule", "NAME|A1,A2,...",
                "how far each step goes, as a share of the way that is left: constant (the default: equal steps), "
                "accelerated (longer and longer), decelerated (1/e each time), or a list",
                [&](const std::string& text) { take_schedule(options, text); })
        ->group(group);
    line.option("--epsilon", "RULE|E1,E2,...|auto",
                "of each step: relative to its own cost (0.05mean, 0.05std), a number or a list of them in units of "
                "the cost, or auto (the default): from a coarse start to what maps held-out target points onto "
                "themselves best; auto:0.05std works with that rule, not 0.05mean",
                [&](const std::string& text) { take_epsilon(problem, options, text); })
        ->group(group);
    line.option("--scales", "S1,S2,...", "that auto tries (default 0.125,0.25,0.5,1,2,4,8)",
                [&](const std::string& text) {
                    options.choice.scales = parse_list("--scales", text);
                    for (const double scale : options.choice.scales)
                        CONVOY_VALIDATE(scale > 0, fmt::format("--scales: {} is not positive", scale));
                })
        ->group(group);
    line.option("--epsilon-start", "FACTOR", "of auto's first epsilon (default 5)",
                [&](const std::string& text) {
                    options.choice.start_factor = parse_number("--epsilon-start", text);
                    CONVOY_VALIDATE(options.choice.start_factor > 0,
                                    fmt::format("--epsilon-start: {} is not positive", text));
                })
        ->group(group);
    line.text("--held-out", "PATH[#KEY]", "target points for auto to judge by (default: every fifth of the target's)",
              options.held_out.points)
        ->group(group);
    line.option("--tolerances", "linear|constant",
                "of the steps: from 0.1 down to --tolerance (linear, the default), or --tolerance for all",
                [&](const std::string& text) {
                    CONVOY_VALIDATE(text == "linear" || text == "constant",
                                    fmt::format("--tolerances: '{}' is not one of linear, constant", text));
                    options.loose_to_tight = text == "linear";
                })
        ->group(group);
    line.flag("--intermediates", "store the travelled source of every step, too", options.intermediates)->group(group);
}

void check_together(const CommandLine& line, ProgotCommand& command) {
    StepOptions& steps = command.steps;
    const auto count = std::ssize(steps.alphas);
    CONVOY_VALIDATE(steps.schedule || !line.given("--steps") || count == steps.steps,
                    fmt::format("--steps {} and a --schedule of {} contradict each other; leave --steps out",
                                steps.steps, plural(count, "step", "steps")));
    if (steps.schedule)
        steps.alphas = step_lengths(*steps.schedule, steps.steps);
    else
        steps.steps = count;
    CONVOY_VALIDATE(steps.epsilons.empty() || std::ssize(steps.epsilons) == steps.steps,
                    fmt::format("--epsilon lists {}, but there are {}; give one for each", steps.epsilons.size(),
                                plural(steps.steps, "step", "steps")));
    for (const char* option : {"--scales", "--epsilon-start", "--held-out"})
        CONVOY_VALIDATE(steps.automatic || !line.given(option),
                        fmt::format("{} has no effect without --epsilon auto; leave one of them out", option));
    CONVOY_VALIDATE(command.solver.start().has_value(),
                    fmt::format("--init {}: progressive OT starts from a name only, each later step from the one "
                                "before; take auto, zero, gaussian, bures or subsample",
                                command.solver.init));
    expect_map(command.problem.cost);
}

bool parse(const Invocation& invocation, ProgotCommand& command) {
    CommandLine line{
        "progot SOURCE TARGET -o MODEL [options]",
        "Progressive entropic optimal transport (Kassraie et al. 2024): the source travels to the target in steps,\n"
        "each along the entropic map of an easier problem. The model maps new points (convoy map), and is the result\n"
        "of its last step.\n",
        "Examples:\n"
        "  convoy progot before.npy after.npy -o model.h5\n"
        "  convoy progot a.h5#/X b.h5#/X --steps 4 --epsilon 0.003mean -o model.h5 --summary model.json\n"
        "  srun convoy progot a.h5#/X b.h5#/X --steps 8 --schedule decelerated --intermediates -o model.h5\n\n"
        "Exit codes: 0 converged, 1 failed, 2 bad usage or input, 3 a step missed its tolerance (model written).\n"};
    declare_inputs(line, command.problem, true);
    declare(line, command.problem, command.steps);
    declare(line, command.solver);
    declare(line, command.machine);
    declare(line, command.output);
    declare(line, command.volume);
    if (!line.parse(invocation)) return false;
    check_together(line, command.solver);
    check_together(line, command.machine);
    check_together(line, command.volume);
    check_outputs(invocation.world, line, command.problem, command.solver, command.output, {command.steps.held_out});
    check_together(line, command);
    return true;
}

std::vector<double> automatic_epsilons(Run& run, const Problem& problem, const ProgotCommand& command) {
    AutoEpsilonOptions options = command.steps.choice;
    options.tolerance = command.solver.tolerance;
    options.max_half_passes = command.solver.max_half_passes;
    options.seed = command.solver.seed;
    options.stop = [&] { return run.stop.seen() != StopReason::none; };
    const auto columns = static_cast<double>(problem.shape.columns);
    const auto ranks = static_cast<double>(run.world.size());
    options.keep_products =
        problem.plan.keep_products && problem.plan.memory + 4 * columns * columns / ranks < problem.plan.memory_limit;
    std::optional<DistributedCloud> held_out;
    if (!command.steps.held_out.points.empty()) {
        io::InputOptions input = command.steps.held_out;
        input.scaling = command.problem.target.scaling;
        const io::Shape shape = io::shape_of(run.world, input);
        CONVOY_VALIDATE(shape.columns == problem.shape.dimension,
                        fmt::format("--held-out: '{}' has {} but the target {}; give points of the same dimension",
                                    input.points, plural(shape.columns, "column", "columns"), problem.shape.dimension));
        const Grid& grid = problem.coupling.grid();
        io::InputIdentity identity;
        held_out = io::read_cloud(grid, Side::row, Partition::even(shape.rows, grid.parts(Side::row)), input, identity);
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

Outcome outcome_of(const ProgotState& state, const ProgotCommand& command, const Coupling& coupling) {
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
    outcome.safe_rows = safe_sums(coupling);
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
    const double sources = 3 + (command.output.store_points ? 1 : 0) + (command.steps.intermediates ? steps - 1 : 0);
    return {sources, 0.5, 2 * steps};
}

}  // namespace

int progot(const Invocation& invocation) {
    ProgotCommand command;
    if (!parse(invocation, command)) return done;
    Run run{invocation.world, command.volume, command.solver.time_limit};
    Problem problem = load_problem(run, "progot", command.problem, command.machine, command.solver, held_more(command));
    Coupling& coupling = problem.coupling;
    const StepOptions& steps = command.steps;
    // What is stored is the source as it was given, not where it has travelled.
    std::optional<DistributedCloud> given_source;
    if (command.output.store_points) given_source = coupling.cloud(Side::row);

    ProgotOptions options;
    options.alphas = steps.alphas;
    options.rule = command.problem.epsilon;
    options.epsilons = steps.automatic ? automatic_epsilons(run, problem, command) : steps.epsilons;
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
    solver.observer = [&](const SinkhornState& state, const SinkhornOptions& step_options) {
        progress.show(state, step_options);
        return run.stop.seen() != StopReason::none;
    };
    std::vector<std::vector<double>> travelled_sources;
    solver.announce = [&](std::int64_t step, const ProgotState& state) {
        const double behind = state.steps.empty() ? 0 : state.steps.back().travelled;
        run.console.say(fmt::format("step {} of {}: travelled {:.3f}, epsilon {:.6g}", step, solver.steps(), behind,
                                    state.epsilon));
        warn_of_rounding(run.console, coupling, state.epsilon);
        if (steps.intermediates && step > 1) travelled_sources.push_back(coupling.local(Side::row).points);
        progress.begin(fmt::format("step {}: ", step));
    };
    const RunWatcher watcher = watch(run, coupling);
    solver.watcher = &watcher;
    ProgotState state = solver.start();
    while (state.status == Status::running) solver.step(state);
    progress.finish();
    fix_gauge(coupling, state.f, state.g.back());

    const Outcome outcome = outcome_of(state, command, coupling);
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
    io::write_result(coupling.grid(), given_source ? *given_source : coupling.cloud(Side::row),
                     coupling.cloud(Side::column), result, command.output.output, command.output.overwrite);
    return close_run(run, problem, command.output, outcome, result);
}

}  // namespace convoy::app
