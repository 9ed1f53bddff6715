#include "app/run.hpp"

#include <fmt/format.h>

#include <utility>

#include "app/chosen_rows.hpp"
#include "app/problem_inputs.hpp"
#include "app/provenance.hpp"
#include "app/quantities.hpp"
#include "convoy/error.hpp"

namespace convoy::app {

Run::Run(const Communicator& ranks, const VolumeOptions& volume, double time_limit, const CheckpointOptions& checkpoint)
    : world{ranks}, console{ranks.is_root(), volume.volume()}, stop{time_limit}, checkpoints{ranks, checkpoint} {
    stop.listen();
}

void Run::heed_signals(const std::string& doing) const {
    if (checkpoints.on()) return checkpoints.end_without_one(stop, doing);
    if (stop.agreed(world) == StopReason::signal)
        throw Failure{fmt::format("ended by a signal while {}; nothing is written", doing)};
}

PlannedRun plan_again(const Run& run, const ProblemShape& shape, const ProblemOptions& problem, MachineOptions machine,
                      SolverOptions solver, const HeldMore& more) {
    const Cache asked = machine.cache;
    run.checkpoints.ask_for_plan(machine, solver);
    if (asked == Cache::automatic && machine.cache == Cache::on) {
        try {
            return plan_run(run.world, shape, problem, machine, solver, more);
        } catch (const InputError&) {  // they do not fit here
            machine.cache = asked;
        }
    }
    return plan_run(run.world, shape, problem, machine, solver, more);
}

Problem load_problem(Run& run, const std::string& command, const ProblemOptions& problem, const MachineOptions& machine,
                     const SolverOptions& solver, const HeldMore& more) {
    // What is asked, and can it be done at all?
    ProblemInputs inputs{run.world, problem, [&run] { run.heed_signals("reading"); }};
    const ProblemShape given = inputs.given(), shape = inputs.shape();
    auto [plan, devices] = plan_again(run, shape, problem, machine, solver, more);
    run.console.say(fmt::format("convoy {} {}: {} x {} points of {}", version(), command, count_text(given.rows),
                                count_text(given.columns), plural(given.dimension, "dimension", "dimensions")));
    if (problem.joint.merge_duplicates)
        run.console.say(
            fmt::format("equal points merged: {} x {} are left", count_text(shape.rows), count_text(shape.columns)));
    run.console.say(plan.explain);
    tell_devices(run.console, devices);
    run.checkpoints.tell(run.console);
    run.checkpoints.set_plan(plan.attributes, run.console);

    const Grid grid{run.world, plan.grid};
    ProblemClouds clouds = inputs.read(grid, solver.seed);
    say_choice(run.console, "source", problem.source, clouds.source_input);
    say_choice(run.console, "target", problem.target, clouds.target_input);
    run.checkpoints.set_input("source", clouds.source_input);
    run.checkpoints.set_input("target", clouds.target_input);
    if (clouds.features) run.console.say("features: " + in_words(*clouds.features));
    run.phases.end("read");
    const bool keep_products = plan.keep_products && !more.self_problems;
    Coupling coupling{grid,         std::move(clouds.source), std::move(clouds.target),
                      problem.cost, plan.precision,           plan.backend,
                      keep_products};
    run.heed_signals("computing products");
    run.phases.end(keep_products ? "products" : "epsilon");
    return {shape,
            std::move(plan),
            std::move(coupling),
            std::move(clouds.source_input),
            std::move(clouds.target_input),
            std::move(clouds.merged_source),
            std::move(clouds.merged_target),
            std::move(clouds.features)};
}

const Partition& Problem::rows(Side side) const {
    return merged(side) ? merged(side)->rows : coupling.cloud(side).partition;
}

std::vector<double> Problem::of_points(Side side, std::vector<double> of_rows) const {
    return merged(side) ? merged(side)->contract(coupling.grid(), 1, of_rows) : std::move(of_rows);
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
        if (run.checkpoints.on()) return;  // at the next boundary
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
    return {[] {}, check, part_ended, [&run](const std::string& words) { run.console.say(words); }};
}

io::Result begin_result(const Run& run, const Problem& problem, const Invocation& invocation,
                        const std::string& command, Status status) {
    io::Result result;
    result.source_input = problem.source;
    result.target_input = problem.target;
    result.features = problem.features;
    if (problem.merged_source)
        result.groups.push_back({"merged",
                                 {{"source_rows", problem.merged_source->rows.items()},
                                  {"source_points", problem.shape.rows},
                                  {"target_rows", problem.merged_target->rows.items()},
                                  {"target_points", problem.shape.columns}}});
    result.root = {{"program", "convoy"},
                   {"version", version()},
                   {"command", command},
                   {"created", utc_now()},
                   {"status", name_of(status)}};
    result.run = problem.plan.attributes;
    const io::Attributes where = whereabouts(run.world, invocation.line);
    result.run.insert(result.run.end(), where.begin(), where.end());
    const io::Attributes restarts = run.checkpoints.attributes();
    result.run.insert(result.run.end(), restarts.begin(), restarts.end());
    result.timing = run.phases.over_ranks(run.world);
    result.run.emplace_back("cache_seconds", longest(result.timing, "products"));
    return result;
}

namespace {

// Numbers of the coupling's points become those of the files' rows.
class AllRows {
 public:
    AllRows(const Problem& problem, const DistributedCloud& source, const DistributedCloud& target)
        : grid_{problem.coupling.grid()}, problem_{problem}, source_{source}, target_{target} {}

    std::vector<double> of(Side side, std::int64_t width, std::span<const double> numbers) const {
        return problem_.merged(side)->expand(grid_, width, numbers);
    }
    DistributedCloud cloud(Side side, bool with_points) const {
        const DistributedCloud& points = side == Side::row ? source_ : target_;
        const MergedRows& merged = *problem_.merged(side);
        const std::int64_t d = points.local.dimension;
        return {merged.rows,
                {merged.rows.count(grid_.part(side)), d,
                 with_points ? of(side, d, points.local.points) : std::vector<double>{}, merged.weights}};
    }
    io::Result result(io::Result result) const {
        result.f = of(Side::row, 1, result.f);
        result.g = of(Side::column, 1, result.g);
        for (io::ExtraDataset& one : result.datasets) {
            const DistributedCloud& points = one.side == Side::row ? source_ : target_;
            one.values = one.by_mass
                             ? problem_.merged(one.side)->share(grid_, one.width, one.values, points.local.weights)
                             : of(one.side, one.width, one.values);
        }
        if (result.steps.empty()) return result;
        result.steps_g = of(Side::column, std::ssize(result.steps), result.steps_g);
        for (std::vector<double>& travelled : result.travelled_sources)
            travelled = of(Side::row, source_.local.dimension, travelled);
        return result;
    }

 private:
    const Grid& grid_;
    const Problem& problem_;
    const DistributedCloud &source_, &target_;
};

}  // namespace

void write_result(const Problem& problem, const io::Result& result, const OutputOptions& output,
                  const DistributedCloud* source) {
    const Coupling& coupling = problem.coupling;
    const DistributedCloud& from = source != nullptr ? *source : coupling.cloud(Side::row);
    const DistributedCloud& to = coupling.cloud(Side::column);
    if (!problem.merged_source)
        return io::write_result(coupling.grid(), from, to, result, output.output, output.overwrite);
    const AllRows rows{problem, from, to};
    io::write_result(coupling.grid(), rows.cloud(Side::row, result.store_source),
                     rows.cloud(Side::column, result.store_target), rows.result(result), output.output,
                     output.overwrite);
}

std::int64_t safe_sums(const Coupling& coupling) {
    auto rows = static_cast<double>(coupling.meters().safe_rows);
    coupling.grid().world().sum(std::span{&rows, 1});
    return static_cast<std::int64_t>(rows);
}

}  // namespace convoy::app
