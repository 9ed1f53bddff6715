#include "app/run.hpp"

#include <fmt/format.h>

#include <utility>

#include "app/provenance.hpp"
#include "app/quantities.hpp"
#include "app/sinkhorn_run.hpp"

namespace convoy::app {

Run::Run(const Communicator& ranks, const VolumeOptions& volume, double time_limit)
    : world{ranks}, console{ranks.is_root(), volume.volume()}, stop{time_limit} {
    stop.listen();
}

void Run::heed_signals(const std::string& doing) const {
    app::heed_signals(world, stop, doing);
}

Problem load_problem(Run& run, const std::string& command, const ProblemOptions& problem, const MachineOptions& machine,
                     const SolverOptions& solver, const std::function<void(PlanRequest&)>& adjust, bool products) {
    // What is asked, and can it be done at all?
    const ProblemShape shape = shape_of_problem(run.world, problem);
    PlanRequest request = plan_request(shape, problem, machine, solver);
    adjust(request);
    Plan plan = plan_run(run.world, request);
    run.console.say(fmt::format("convoy {} {}: {} x {} points of {}", version(), command, count_text(shape.rows),
                                count_text(shape.columns), plural(shape.dimension, "dimension", "dimensions")));
    run.console.say(plan.explain);

    const Grid grid{run.world, plan.grid};
    const Partition rows = Partition::even(shape.rows, grid.parts(Side::row));
    const Partition columns = Partition::even(shape.columns, grid.parts(Side::column));
    io::InputIdentity source_input, target_input;
    DistributedCloud source = io::read_cloud(grid, Side::row, rows, problem.source, source_input);
    run.heed_signals("reading");
    DistributedCloud target = io::read_cloud(grid, Side::column, columns, problem.target, target_input);
    run.heed_signals("reading");
    run.phases.end("read");
    Coupling coupling{grid,           std::move(source), std::move(target), problem.cost,
                      plan.precision, plan.backend,      plan.keep_products && products};
    run.heed_signals("computing products");
    run.phases.end(coupling.keeps_products() ? "products" : "epsilon");
    return {shape, std::move(plan), std::move(coupling), std::move(source_input), std::move(target_input)};
}

RunWatcher watch(Run& run, const Coupling& coupling) {
    const auto check = [&run](const SinkhornState& state) { give_up_after_signal(run.world, run.stop, state); };
    const auto part_ended = [&run, &coupling, before = coupling.meters()](const std::string& part) mutable {
        run.phases.end(part);
        const Meters& now = coupling.meters();
        if (part == "solve") add_parts(run.phases, before, now);
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

}  // namespace convoy::app
