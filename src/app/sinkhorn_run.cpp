#include "app/sinkhorn_run.hpp"

#include <fmt/format.h>

#include <string>
#include <utility>

#include "app/progress.hpp"
#include "app/quantities.hpp"
#include "convoy/error.hpp"
#include "io/result.hpp"
#include "solvers/audited_run.hpp"

namespace convoy::app {

namespace {

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

Outcome outcome_of(const Start& start, const SinkhornContext& run, const Coupling& coupling, double epsilon,
                   const Verdict& verdict) {
    const SinkhornState& state = start.state;
    Outcome outcome;
    outcome.status = state.status;
    outcome.reason = state.reason;
    outcome.epsilon = epsilon;
    outcome.tolerance = run.solver.tolerance;
    outcome.rule = run.problem.epsilon.name();
    outcome.cost = run.problem.cost;
    outcome.verdict = verdict;
    outcome.solver_error = state.marginal_error;
    outcome.half_passes = state.half_passes;
    outcome.iterations = state.iterations;
    outcome.work = static_cast<double>(state.half_passes) + state.other_work;
    outcome.start = start.explain;
    outcome.restarts = state.restarts;
    outcome.safe_rows = safe_sums(coupling);
    outcome.seconds = run.phases.seconds("start") + run.phases.seconds("solve");
    return outcome;
}

}  // namespace

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

void heed_signals(const Communicator& world, const StopRequest& stop, const std::string& phase) {
    if (stop.agreed(world) == StopReason::signal)
        throw Failure{fmt::format("ended by a signal while {}; nothing is written", phase)};
}

void give_up_after_signal(const Communicator& world, const StopRequest& stop, const SinkhornState& state) {
    if (stop.agreed(world) != StopReason::signal) return;
    const std::string error = state.marginal_error > 0 ? fmt::format("at error {:.1e}", state.marginal_error)
                                                       : std::string{"before an error was known"};
    throw Failure{fmt::format("ended by a signal after {} {}; nothing is written and what was computed is lost",
                              plural(state.half_passes, "half-pass", "half-passes"), error)};
}

std::int64_t safe_sums(const Coupling& coupling) {
    auto rows = static_cast<double>(coupling.meters().safe_rows);
    coupling.grid().world().sum(std::span{&rows, 1});
    return static_cast<std::int64_t>(rows);
}

void add_parts(Phases& phases, const Meters& before, const Meters& now) {
    phases.add("kernel", now.kernel_seconds - before.kernel_seconds);
    phases.add("communication", now.communication_seconds - before.communication_seconds);
}

SolvedProblem solve_problem(Coupling& coupling, double epsilon, const SinkhornContext& run) {
    const Communicator& world = coupling.grid().world();
    const double pairs =
        static_cast<double>(coupling.points(Side::row)) * static_cast<double>(coupling.points(Side::column));
    Progress progress{run.console, pairs};
    coupling.while_reducing([&](double share) { progress.within(share); });
    Sinkhorn sinkhorn{coupling,
                      {.epsilon = epsilon,
                       .tolerance = run.solver.tolerance,
                       .max_half_passes = run.solver.max_half_passes,
                       .acceleration = run.plan.acceleration,
                       .annealing = run.solver.annealing,
                       .seed = run.solver.seed}};
    const auto stop = [&] { return run.stop.seen() != StopReason::none; };
    sinkhorn.observer = [&](const SinkhornState& state) {
        progress.show(state, sinkhorn.options);
        return stop();
    };
    const std::optional<StartKind> kind = run.solver.start();
    Start start = kind ? make_start(coupling, sinkhorn, *kind, stop)
                       : stored_start(sinkhorn, coupling, run.solver.init, run.console);
    heed_signals(world, run.stop, "looking for a start");
    run.phases.end("start");
    run.console.say("start: " + start.explain);

    Meters before = coupling.meters();
    const RunWatcher watcher{.check =
                                 [&](const SinkhornState& state) {
                                     give_up_after_signal(world, run.stop, state);
                                 },
                             .part_ended =
                                 [&](const std::string& part) {
                                     run.phases.end(part);
                                     if (part != "solve") return;
                                     add_parts(run.phases, before, coupling.meters());
                                     before = coupling.meters();
                                 },
                             .say = [&](const std::string& words) { run.console.say(words); }};
    const Verdict verdict = run_audited(coupling, sinkhorn, start.state, run.solver.seed, watcher);
    progress.finish();
    coupling.while_reducing({});
    fix_gauge(coupling, start.state.f, start.state.g);
    Outcome outcome = outcome_of(start, run, coupling, epsilon, verdict);
    return {std::move(start.state), std::move(outcome)};
}

}  // namespace convoy::app
