#include "app/run.hpp"

#include <fmt/format.h>

#include <utility>

#include "app/chosen_rows.hpp"
#include "app/provenance.hpp"
#include "app/quantities.hpp"
#include "convoy/error.hpp"

namespace convoy::app {

Run::Run(const Communicator& ranks, const VolumeOptions& volume, double time_limit)
    : world{ranks}, console{ranks.is_root(), volume.volume()}, stop{time_limit} {
    stop.listen();
}

void Run::heed_signals(const std::string& doing) const {
    if (stop.agreed(world) == StopReason::signal)
        throw Failure{fmt::format("ended by a signal while {}; nothing is written", doing)};
}

Problem load_problem(Run& run, const std::string& command, const ProblemOptions& problem, const MachineOptions& machine,
                     const SolverOptions& solver, const HeldMore& more) {
    // What is asked, and can it be done at all?
    const ProblemShape shape = shape_of_problem(run.world, problem);
    auto [plan, devices] = plan_run(run.world, shape, problem, machine, solver, more);
    run.console.say(fmt::format("convoy {} {}: {} x {} points of {}", version(), command, count_text(shape.rows),
                                count_text(shape.columns), plural(shape.dimension, "dimension", "dimensions")));
    run.console.say(plan.explain);
    tell_devices(run.console, devices);

    const Grid grid{run.world, plan.grid};
    const Partition rows = Partition::even(shape.rows, grid.parts(Side::row));
    const Partition columns = Partition::even(shape.columns, grid.parts(Side::column));
    io::InputIdentity source_input, target_input;
    DistributedCloud source = io::read_cloud(grid, Side::row, rows, problem.source, source_input);
    run.heed_signals("reading");
    DistributedCloud target = io::read_cloud(grid, Side::column, columns, problem.target, target_input);
    run.heed_signals("reading");
    say_choice(run.console, "source", problem.source, source_input);
    say_choice(run.console, "target", problem.target, target_input);
    run.phases.end("read");
    const bool keep_products = plan.keep_products && !more.self_problems;
    Coupling coupling{grid,           std::move(source), std::move(target), problem.cost,
                      plan.precision, plan.backend,      keep_products};
    run.heed_signals("computing products");
    run.phases.end(keep_products ? "products" : "epsilon");
    return {shape, std::move(plan), std::move(coupling), std::move(source_input), std::move(target_input)};
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

RunWatcher watch(Run& run, const Coupling& coupling) {
    const auto check = [&run](const SinkhornState& state) {
        if (run.stop.agreed(run.world) != StopReason::signal) return;
        const std::string error = state.marginal_error > 0 ? fmt::format("at error {:.1e}", state.marginal_error)
                                                           : std::string{"before an error was known"};
        throw Failure{fmt::format("ended by a signal after {} {}; nothing is written and what was computed is lost",
                                  plural(state.half_passes, "half-pass", "half-passes"), error)};
    };
    const auto part_ended = [&run, &coupling, before = coupling.meters()](const std::string& part) mutable {
        run.phases.end(part);
        const Meters& now = coupling.meters();
        if (part == "solve") {
            run.phases.add("kernel", now.kernel_seconds - before.kernel_seconds);
            run.phases.add("communication", now.communication_seconds - before.communication_seconds);
        }
        before = now;
    };
    return {check, part_ended, [&run](const std::string& words) { run.console.say(words); }};
}

io::Result begin_result(const Run& run, const Problem& problem, const Invocation& invocation,
                        const std::string& command, Status status) {
    io::Result result;
    result.source_input = problem.source;
    result.target_input = problem.target;
    result.root = {{"program", "convoy"},
                   {"version", version()},
                   {"command", command},
                   {"created", utc_now()},
                   {"status", name_of(status)}};
    result.run = problem.plan.attributes;
    const io::Attributes where = whereabouts(run.world, invocation.line);
    result.run.insert(result.run.end(), where.begin(), where.end());
    result.timing = run.phases.over_ranks(run.world);
    result.run.emplace_back("cache_seconds", longest(result.timing, "products"));
    return result;
}

std::int64_t safe_sums(const Coupling& coupling) {
    auto rows = static_cast<double>(coupling.meters().safe_rows);
    coupling.grid().world().sum(std::span{&rows, 1});
    return static_cast<std::int64_t>(rows);
}

}  // namespace convoy::app
