#include "app/progot_options.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "app/quantities.hpp"
#include "convoy/error.hpp"

namespace convoy::app {

namespace {

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
    declare_where(line, "--held-out-where", group, "rows of --held-out, of an .h5ad file,", options.held_out.where);
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
    for (const char* option : {"--scales", "--epsilon-start", "--held-out", "--held-out-where"})
        CONVOY_VALIDATE(steps.automatic || !line.given(option),
                        fmt::format("{} has no effect without --epsilon auto; leave one of them out", option));
    CONVOY_VALIDATE(steps.held_out.where.empty() || !steps.held_out.points.empty(),
                    "--held-out-where has no effect without --held-out; give both, or leave it out");
    CONVOY_VALIDATE(command.solver.start().has_value(),
                    fmt::format("--init {}: progressive OT starts from a name only, each later step from the one "
                                "before; take auto, zero, gaussian, bures or subsample",
                                command.solver.init));
    expect_map(command.problem.cost);
}

}  // namespace

bool parse(const Invocation& invocation, ProgotCommand& command) {
    CommandLine line{
        "progot SOURCE TARGET -o MODEL [options]",
        "Progressive entropic optimal transport (Kassraie et al. 2024): the source travels to the target in steps,\n"
        "each along the entropic map of an easier problem. The model maps new points (convoy map), and is the result\n"
        "of its last step.\n",
        "Examples:\n"
        "  convoy progot before.npy after.npy -o model.h5\n"
        "  convoy progot a.h5#/X b.h5#/X --steps 4 --epsilon 0.003mean -o model.h5 --summary model.json\n"
        "  srun convoy progot a.h5#/X b.h5#/X --steps 8 --schedule decelerated --intermediates -o model.h5\n"
        "  srun convoy progot a.h5#/X b.h5#/X --checkpoint model.ckpt --resume -o model.h5\n\n"
        "Exit codes: 0 converged, 1 failed, 2 bad usage or input, 3 a step missed its tolerance (model written), 75 "
        "stopped\nearly with a checkpoint.\n"};
    declare_inputs(line, command.problem, true);
    declare(line, command.problem, command.steps);
    declare(line, command.solver);
    declare(line, command.machine);
    declare(line, command.output);
    declare(line, command.checkpoint);
    declare(line, command.volume);
    if (!line.parse(invocation)) return false;
    check_together(line, command.problem);
    check_together(line, command.solver);
    check_together(line, command.machine);
    check_together(line, command.volume);
    open_checkpoint(invocation.world, line, command.checkpoint, command.output.output, command.output.overwrite);
    command.output.checkpoint = command.checkpoint.file;
    check_outputs(invocation.world, line, command.problem, command.solver, command.output, {command.steps.held_out});
    check_together(line, command);
    return true;
}

}  // namespace convoy::app
