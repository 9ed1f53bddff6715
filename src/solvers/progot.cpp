#include "convoy/progot.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numbers>

#include "convoy/error.hpp"
#include "solvers/audited_run.hpp"

namespace convoy {

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
    return std::chrono::duration<double>(Clock::now() - begin).count();
}

std::vector<double> scaled(std::vector<double> values, double factor) {
    for (double& value : values) value *= factor;
    return values;
}

// Steps of one run are numbered through.
void append_history(std::vector<HalfPass>& all, const std::vector<HalfPass>& more) {
    const std::int64_t passes = all.empty() ? 0 : all.back().number;
    const double seconds = all.empty() ? 0 : all.back().seconds;
    for (HalfPass row : more) {
        row.number += passes;
        row.seconds += seconds;
        all.push_back(row);
    }
}

}  // namespace

std::string name_of(Schedule schedule) {
    switch (schedule) {
        case Schedule::constant:
            return "constant";
        case Schedule::accelerated:
            return "accelerated";
        case Schedule::decelerated:
            break;
    }
    return "decelerated";
}

std::vector<double> step_lengths(Schedule schedule, std::int64_t steps) {
    CONVOY_VALIDATE(steps >= 1, fmt::format("{} steps are none; take at least one", steps));
    const auto count = static_cast<double>(steps);
    std::vector<double> alphas;
    for (double k = 1; k <= count; ++k) {
        switch (schedule) {
            case Schedule::constant:
                alphas.push_back(1 / (count - k + 1));
                break;
            case Schedule::accelerated:
                alphas.push_back((2 * k + 1) / ((count + 1) * (count + 1) - k * k));
                break;
            case Schedule::decelerated:
                alphas.push_back(1 / std::numbers::e);
                break;
        }
    }
    return alphas;
}

std::vector<double> travelled(const std::vector<double>& alphas) {
    std::vector<double> shares;
    double left = 1;
    for (const double alpha : alphas) {
        left *= 1 - alpha;
        shares.push_back(1 - left);
    }
    return shares;
}

std::vector<double> loose_to_tight(std::int64_t steps, double last) {
    constexpr double loosest = 0.1;
    const double first = steps > 1 ? std::max(loosest, last) : last;
    std::vector<double> tolerances;
    for (std::int64_t k = 0; k < steps; ++k) {
        const double share = steps > 1 ? static_cast<double>(k) / static_cast<double>(steps - 1) : 1;
        tolerances.push_back(first + share * (last - first));
    }
    return tolerances;
}

Progot::Progot(Coupling& coupling, ProgotOptions options) : coupling_{&coupling}, options_{std::move(options)} {
    CONVOY_VALIDATE(!options_.alphas.empty(), "no steps; take at least one");
    for (const double alpha : options_.alphas)
        CONVOY_VALIDATE(alpha > 0 && alpha <= 1,
                        fmt::format("a step of {} is not a share of the way; take numbers above 0, at most 1", alpha));
    const auto expect_one_each = [&](const std::vector<double>& values, const char* what) {
        CONVOY_VALIDATE(
            values.size() == options_.alphas.size(),
            fmt::format("{} {} for {} steps; give one for each", values.size(), what, options_.alphas.size()));
        for (const double value : values)
            CONVOY_VALIDATE(value > 0 && std::isfinite(value),
                            fmt::format("{} among the {}; give positive numbers", value, what));
    };
    if (!options_.epsilons.empty()) expect_one_each(options_.epsilons, "epsilons");
    expect_one_each(options_.tolerances, "tolerances");
    expect_map(coupling.cost());
}

// (1 - alpha) times the potentials of the step before: those of the way that is left.
Start Progot::make_step_start(const ProgotState& state, const Sinkhorn& sinkhorn, std::size_t k) const {
    const auto stop = [&] { return observer && observer({}, sinkhorn.options); };
    if (k == 0) return make_start(*coupling_, sinkhorn, options_.start, stop);
    const double left = 1 - options_.alphas[k - 1];
    std::vector<double> f = scaled(state.f, left), g = scaled(state.g[k - 1], left);
    if (options_.start == StartKind::automatic)
        return make_start_near(*coupling_, sinkhorn, std::move(f), std::move(g), stop);
    return {sinkhorn.start(std::move(f), std::move(g)), StartKind::given, name_of(StartKind::given)};
}

void Progot::step(ProgotState& state) const {
    CONVOY_EXPECT(state.status == Status::running);
    const auto begin = Clock::now();
    const std::size_t k = state.steps.size();
    const bool last = k + 1 == options_.alphas.size();
    const RunWatcher nobody;
    const RunWatcher& told = watcher != nullptr ? *watcher : nobody;
    if (!state.solving) {
        told.at_boundary();
        state.epsilon = options_.epsilons.empty() ? options_.rule.resolve(*coupling_) : options_.epsilons[k];
        if (announce) announce(static_cast<std::int64_t>(k) + 1, state);
    }
    SinkhornOptions step_options = options_.sinkhorn;
    step_options.epsilon = state.epsilon;
    step_options.tolerance = options_.tolerances[k];
    Sinkhorn sinkhorn{*coupling_, step_options};
    sinkhorn.observer = [&](const SinkhornState& now) { return observer && observer(now, sinkhorn.options); };
    if (!state.solving) {
        Start start = make_step_start(state, sinkhorn, k);
        told.at_boundary();  // what a search that was cut short has found is not gone on with
        state.solver = std::move(start.state);
        state.start = start.explain;
        state.solving = true;
        told.part_ended("start");
    }

    SinkhornState& solver = state.solver;
    if (last) {
        state.verdict = run_audited(*coupling_, sinkhorn, solver, options_.seed, told);
    } else {
        run_to_its_end(sinkhorn, solver, told);
        if (solver.status == Status::failed) throw Failure{solver.reason};
        told.check(solver);
        leave_annealing(*coupling_, solver, state.epsilon);
        told.part_ended("solve");
        if (solver.status == Status::stopped) {  // what there is becomes the last step
            state.verdict = audit_and_value(*coupling_, solver.f, solver.g, state.epsilon, options_.seed);
            solver.reason =
                fmt::format("the time limit is reached at an audited error of {:.1e}", state.verdict.audit.error());
        } else {
            state.verdict = {values_of_plan(*coupling_, solver.f, solver.g, state.epsilon), {}};
        }
        told.part_ended("values");
    }

    ProgotStep done;
    done.alpha = options_.alphas[k];
    done.travelled = travelled(options_.alphas)[k];
    done.epsilon = state.epsilon;
    done.tolerance = options_.tolerances[k];
    done.marginal_error = solver.marginal_error;
    done.transport_cost = state.verdict.values.transport_cost;
    done.half_passes = solver.half_passes;
    done.iterations = solver.iterations;
    done.restarts = solver.restarts;
    done.work = static_cast<double>(solver.half_passes) + solver.other_work + 1;
    done.status = solver.status;
    done.reason = solver.reason;
    done.start = state.start;
    done.seconds = seconds_since(begin);
    finish(state, std::move(done), last);
}

// The step is put down, and the source moved where another one follows.
void Progot::finish(ProgotState& state, ProgotStep step, bool last) const {
    const auto begin = Clock::now();
    SinkhornState& solver = state.solver;
    append_history(state.history, solver.history);
    state.f = std::move(solver.f);
    state.g.push_back(std::move(solver.g));
    state.solver = {};
    state.solving = false;
    const bool stopped = step.status == Status::stopped;
    if (!last && !stopped) {
        travel(*coupling_, {step.epsilon, step.alpha, state.g.back()}, &step.dropped);
        step.work += 1;
        step.seconds += seconds_since(begin);
        if (watcher != nullptr) watcher->part_ended("move");
    }
    state.steps.push_back(std::move(step));
    if (!last && !stopped) return;

    const auto missed =
        std::ranges::count_if(state.steps, [](const ProgotStep& one) { return one.status != Status::converged; });
    const ProgotStep& final_step = state.steps.back();
    if (stopped) {
        state.status = Status::stopped;
        state.reason = fmt::format("{}, in step {} of {}", final_step.reason, state.steps.size(), steps());
    } else if (missed > 0) {
        const auto first =
            std::ranges::find_if(state.steps, [](const ProgotStep& one) { return one.status != Status::converged; });
        state.status = Status::not_converged;
        state.reason = fmt::format("{} of {} steps missed their tolerance; step {}: {}", missed, steps(),
                                   first - state.steps.begin() + 1, first->reason);
    } else {
        state.status = Status::converged;
        state.reason = fmt::format("{}; every step within its tolerance", final_step.reason);
    }
}

std::vector<MapStep> maps_of(const ProgotState& state) {
    std::vector<MapStep> maps;
    for (std::size_t k = 0; k < state.steps.size(); ++k)
        maps.push_back({state.steps[k].epsilon, state.steps[k].alpha, state.g[k]});
    return maps;
}

}  // namespace convoy
