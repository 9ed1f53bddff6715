#include "app/sinkhorn_run.hpp"

#include <fmt/format.h>

#include <functional>
#include <string>
#include <utility>

#include "app/progress.hpp"
#include "app/quantities.hpp"
#include "app/state_fields.hpp"
#include "io/result.hpp"
#include "solvers/audited_run.hpp"

namespace convoy::app {

namespace {

Start stored_start(const Sinkhorn& sinkhorn, const Problem& problem, const std::string& init, Console& console) {
    const Coupling& coupling = problem.coupling;
    io::StoredPotentials stored =
        io::read_potentials(coupling.grid(), problem.rows(Side::row), problem.rows(Side::column), init);
    if (stored.cost != coupling.cost().name()) {
        console.warn(fmt::format("the potentials in '{}' belong to the cost {}, not {}: a poor start", init,
                                 stored.cost, coupling.cost().name()));
    }
    return {sinkhorn.start(problem.of_points(Side::row, std::move(stored.f)),
                           problem.of_points(Side::column, std::move(stored.g))),
            StartKind::given, fmt::format("the potentials in '{}' (epsilon {:.4g})", init, stored.epsilon)};
}

Start known_start(const Sinkhorn& sinkhorn, Coupling& coupling, const KnownPotentials& known,
                  const std::function<bool()>& stop) {
    std::vector<double> f = known.f;
    const bool of_target = f.empty();
    if (of_target) {
        const double epsilon = sinkhorn.options.epsilon;
        f.assign(static_cast<std::size_t>(coupling.local(Side::row).rows), 0.0);
        const std::vector<double> log_sum = coupling.reduce(Side::row, {f, known.g}, epsilon, Safety::safe);
        for (std::size_t i = 0; i < f.size(); ++i) f[i] = -epsilon * log_sum[i];
    }
    Start start = make_start_if_near(coupling, sinkhorn, std::move(f), stop);
    if (of_target) start.state.other_work += 1;
    if (start.kind == StartKind::given) start.explain = fmt::format("{}: {}", known.words, start.explain);
    return start;
}

Outcome outcome_of(const Start& start, const Coupling& coupling, double epsilon, const ProblemOptions& asked,
                   const SolverOptions& options, const Verdict& verdict, double seconds) {
    const SinkhornState& state = start.state;
    Outcome outcome;
    outcome.status = state.status;
    outcome.reason = state.reason;
    outcome.epsilon = epsilon;
    outcome.tolerance = options.tolerance;
    outcome.rule = asked.epsilon.name();
    outcome.cost = asked.cost;
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

namespace {

template <class Archive, class State, class Epsilon, class Rows>
void solve_fields(Archive& archive, State& start, Epsilon&& epsilon, Rows&& safe_rows) {
    archive.number("epsilon", epsilon);
    archive.text("start", start.explain);
    archive.count("safe_rows", safe_rows);
    sinkhorn_fields(archive, "solver.", start.state);
}

}  // namespace

SolvedProblem solve_problem(Run& run, Problem& problem, double epsilon, const ProblemOptions& asked,
                            const SolverOptions& options, const KnownPotentials* known) {
    Coupling& coupling = problem.coupling;
    Progress progress{run.console, problem.pairs()};
    coupling.while_reducing([&](double share) { progress.within(share); });
    Sinkhorn sinkhorn{coupling,
                      {.epsilon = epsilon,
                       .tolerance = options.tolerance,
                       .max_half_passes = options.max_half_passes,
                       .acceleration = problem.plan.acceleration,
                       .annealing = options.annealing,
                       .seed = options.seed}};
    const auto stop = [&] { return run.stop.seen() != StopReason::none; };
    Checkpoints& checkpoints = run.checkpoints;
    bool searching = true;  // for a start; what follows ends at boundaries alone, where there are checkpoints
    sinkhorn.observer = [&](const SinkhornState& state) {
        progress.show(state, sinkhorn.options);
        return (searching || !checkpoints.on()) && stop();
    };

    Start start;
    std::int64_t safe_before = 0;
    const std::optional<StartKind> kind = options.start();
    if (const io::StoredCheckpoint* stored = checkpoints.state()) {
        StateReader reader{*stored, coupling};
        solve_fields(reader, start, epsilon, safe_before);
        checkpoints.state_is_taken();
    } else
        start = known  ? known_start(sinkhorn, coupling, *known, stop)
                : kind ? make_start(coupling, sinkhorn, *kind, stop)
                       : stored_start(sinkhorn, problem, options.init, run.console);
    run.heed_signals("looking for a start");
    searching = false;
    run.phases.end("start");
    run.console.say("start: " + start.explain);
    RunWatcher watcher = watch(run, coupling);
    watcher.at_boundary = [&] {
        checkpoints.at_boundary(
            coupling.grid(), run.stop, run.console, run.phases,
            [&] { return plural(start.state.half_passes, "half-pass", "half-passes"); },
            [&](io::Checkpoint& into) {
                StateWriter writer{into, coupling, checkpoints.light()};
                solve_fields(writer, std::as_const(start), epsilon, safe_before + safe_sums(coupling));
            });
    };
    const Verdict verdict = run_audited(coupling, sinkhorn, start.state, options.seed, watcher);
    progress.finish();
    coupling.while_reducing({});
    fix_gauge(coupling, start.state.f, start.state.g);
    const double seconds = run.phases.seconds("start") + run.phases.seconds("solve");
    Outcome outcome = outcome_of(start, coupling, epsilon, asked, options, verdict, seconds);
    outcome.safe_rows += safe_before;
    return {std::move(start.state), std::move(outcome)};
}

}  // namespace convoy::app
