// Sinkhorn's algorithm in the log domain (Cuturi 2013; Peyre and Cuturi 2019, section 4.4):
//
//     g_j <- g_j - eps log sum_i a_i exp((f_i + g_j - C_ij)/eps)       a half-pass that keeps columns: they are exact
//     f_i <- f_i - eps log sum_j b_j exp((f_i + g_j - C_ij)/eps)       a half-pass that keeps rows
//
// The sum that an update needs is also the marginal of the plan before it, so every half-pass gives the error for free.

#include "convoy/sinkhorn.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>

#include "convoy/error.hpp"
#include "solvers/coarse.hpp"

namespace convoy {

namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
// An accelerated run whose error has not fallen by a tenth in so many iterations starts its memory afresh; near the
// floor of the precision it ends.
constexpr std::int64_t patience = 25;
// No accelerated step takes a potential further than this times epsilon from its exact image: sums stay within e^10 of
// what they would be there.
constexpr double largest_step = 10;
// Corrections are right for small steps: they are Newton's.
constexpr double largest_corrected_step = 5;
// An accelerated run that has not got better in so many iterations falls back to over-relaxation.
constexpr std::int64_t hopeless = 3 * patience;

// Root mean square, up to a constant.
double distance(const std::vector<double>& u, const std::vector<double>& v) {
    double sum = 0, squares = 0;
    for (std::size_t i = 0; i < u.size(); ++i) {
        sum += u[i] - v[i];
        squares += (u[i] - v[i]) * (u[i] - v[i]);
    }
    const double mean = sum / static_cast<double>(u.size());
    return std::sqrt(std::max(squares / static_cast<double>(u.size()) - mean * mean, 0.0));
}

// A half-step: exact for factor 1.
void take_off(std::vector<double>& potential, double epsilon, const std::vector<double>& log_sum, double factor = 1) {
    for (std::size_t i = 0; i < potential.size(); ++i) potential[i] -= factor * epsilon * log_sum[i];
}

}  // namespace

std::string name_of(Status status) {
    switch (status) {
        case Status::running:
            return "running";
        case Status::converged:
            return "converged";
        case Status::not_converged:
            return "not_converged";
        case Status::stopped:
            return "stopped";
        case Status::failed:
            break;
    }
    return "failed";
}

std::string name_of(Acceleration acceleration) {
    switch (acceleration) {
        case Acceleration::plain:
            return "plain";
        case Acceleration::over_relaxation:
            return "over-relaxation";
        case Acceleration::anderson:
            return "anderson";
        case Acceleration::coarse:
            break;
    }
    return "coarse";
}

struct Sinkhorn::Found {
    std::vector<double> log_sum;
    double measured = 0;  // L1 error of the staying side before the half-pass
    double error = nan;   // that, where the other side was exact
};

Sinkhorn::Sinkhorn(Coupling& coupling, SinkhornOptions opts)
    : options{opts}, coupling_{&coupling}, range_bound_{coupling.cost_range_bound()} {
    CONVOY_EXPECT(opts.epsilon > 0 && opts.anderson_memory > 0 && opts.coarse_points >= 0);
    // Products of two costs stay within fp64, costs with room to spare within fp32.
    const bool single = coupling.precision() == Precision::single;
    CONVOY_VALIDATE(
        range_bound_ <= (single ? 1e36 : 1e150),
        fmt::format("costs of up to {:.2g} are too large (for {} precision); scale the points{}", range_bound_,
                    single ? "single" : "double", single ? ", or use --precision double" : ""));
}

Sinkhorn::~Sinkhorn() = default;
Sinkhorn::Sinkhorn(Sinkhorn&&) noexcept = default;

SinkhornState Sinkhorn::start() const {
    SinkhornState state;
    state.f.assign(static_cast<std::size_t>(coupling_->local(Side::row).rows), 0.0);
    state.g.assign(static_cast<std::size_t>(coupling_->local(Side::column).rows), 0.0);
    state.annealing = options.annealing && range_bound_ > options.epsilon;
    state.annealed_again = state.annealing;  // once is enough
    state.epsilon = state.annealing ? range_bound_ : options.epsilon;
    return state;
}

SinkhornState Sinkhorn::start(std::vector<double> f, std::vector<double> g) const {
    CONVOY_EXPECT(std::ssize(f) == coupling_->local(Side::row).rows);
    CONVOY_EXPECT(std::ssize(g) == coupling_->local(Side::column).rows);
    SinkhornState state;
    state.f = std::move(f);
    state.g = std::move(g);
    state.epsilon = options.epsilon;
    return state;
}

void Sinkhorn::step(SinkhornState& state) const {
    if (!state.target_fitted) half_step(state);
    if (state.status == Status::running) half_step(state);
}

void Sinkhorn::half_step(SinkhornState& state) const {
    CONVOY_EXPECT(state.status == Status::running);
    if (!state.target_fitted) return fit_target(state);
    state.target_fitted = false;
    ++state.iterations;

    const Found rows = half_pass(Side::row, state, state.target_exact);
    if (ended_unmeasured(state, state.target_exact)) {
        take_off(state.f, state.epsilon, rows.log_sum);
        state.marginal_error = nan;
    }
    if (state.status == Status::converged) {
        // Points without mass have no say in the error, but a potential of their own: its exact value.
        const std::vector<double>& weights = coupling_->local(Side::row).weights;
        for (std::size_t i = 0; i < weights.size(); ++i) {
            if (weights[i] == 0) state.f[i] -= state.epsilon * rows.log_sum[i];
        }
    }
    if (state.status != Status::running) return;
    update_source(state, rows.log_sum, rows.measured);
    if (state.annealing) next_level(state);
}

void Sinkhorn::fit_target(SinkhornState& state) const {
    const bool measured = state.source_exact;
    const Found columns = half_pass(Side::column, state, measured);
    const bool unmeasured = ended_unmeasured(state, measured);
    if (state.status != Status::running && !unmeasured) return;
    take_off(state.g, state.epsilon, columns.log_sum, unmeasured ? 1 : state.relaxation.factor);
    if (unmeasured) state.marginal_error = nan;
    state.source_exact = false;
    state.target_exact = state.relaxation.factor == 1;
    state.target_fitted = true;
}

// The run ends here (a limit, a request), and not with the pair that was measured last: what the half-pass found then
// still makes one side exact.
bool Sinkhorn::ended_unmeasured(const SinkhornState& state, bool measured) const {
    return !measured && (state.status == Status::stopped || state.status == Status::not_converged);
}

// One reduction: records it, and ends the run where there is a reason to.
Sinkhorn::Found Sinkhorn::half_pass(Side stays, SinkhornState& state, bool error_means_something) const {
    const auto begin = std::chrono::steady_clock::now();
    Found found;
    found.log_sum =
        coupling_->reduce(stays, {state.f, state.g}, state.epsilon, state.safe_next ? Safety::safe : Safety::shifted);
    state.safe_next = false;
    ++state.half_passes;
    const double measured = coupling_->marginal_error(stays, found.log_sum);
    found.measured = measured;
    if (error_means_something) found.error = measured;
    state.seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    state.history.push_back({state.half_passes, state.epsilon, found.error, state.seconds});
    if (!std::isfinite(measured)) {
        state.status = Status::failed;
        state.reason = fmt::format(
            "the marginal error is not a number at half-pass {} (epsilon {:.3g}, costs up to {:.3g}); epsilon may be "
            "too small for this precision: {}use a larger --epsilon",
            state.half_passes, state.epsilon, range_bound_,
            coupling_->precision() == Precision::single ? "use --precision double, or " : "");
        return found;
    }
    if (!state.annealing && error_means_something) {
        state.marginal_error = measured;
        judge(state, measured);
    }
    double stop = observer && observer(state) ? 1 : 0;
    coupling_->grid().world().max(std::span{&stop, 1});
    if (state.status != Status::running) return found;
    if (stop > 0) {
        state.status = Status::stopped;
        state.reason = fmt::format("stopped after {} half-passes", state.half_passes);
    } else if (state.half_passes >= options.max_half_passes) {
        state.status = Status::not_converged;
        state.reason = fmt::format("the limit of half-passes ({}) is reached", options.max_half_passes);
    }
    return found;
}

// Converged, or at the floor of the precision?
void Sinkhorn::judge(SinkhornState& state, double error) const {
    if (error <= options.tolerance) {
        state.status = Status::converged;
        state.reason = fmt::format("marginal error {:.2e} is within {:.2e}", error, options.tolerance);
        return;
    }
    if (state.best_error == 0 || error < 0.9 * state.best_error) {
        state.best_error = error;
        state.since_best = 0;
        return;
    }
    ++state.since_best;
    if (state.since_best >= patience && state.best_error <= floor_of_error(*coupling_, state.epsilon)) {
        state.status = Status::not_converged;
        state.reason =
            fmt::format("the error does not fall below {:.1e}: this is the floor of {} precision at this epsilon",
                        state.best_error, coupling_->precision() == Precision::single ? "single" : "double");
    }
}

// Where accelerated steps lead nowhere, the potentials they began with are to blame: right but for some points, which
// steps at the target epsilon do not bring back. From above it, they are forgotten.
bool Sinkhorn::anneals_again(SinkhornState& state) const {
    const bool accelerated =
        options.acceleration == Acceleration::anderson || options.acceleration == Acceleration::coarse;
    const bool leads_nowhere = !state.annealing && state.since_best >= 2 * patience;
    if (!leads_nowhere || !accelerated || state.annealed_again || !options.annealing) return false;
    if (!(range_bound_ > options.epsilon)) return false;
    state.annealed_again = state.annealing = true;
    state.epsilon = range_bound_;
    state.source_exact = false;
    state.safe_next = true;
    state.best_error = state.last_error = 0;
    state.since_best = 0;
    ++state.restarts;
    state.memory.clear();
    state.coarse = {};
    coarse_.reset();
    return true;
}

// f from the row sums: exact, or accelerated at the target epsilon.
void Sinkhorn::update_source(SinkhornState& state, const std::vector<double>& log_sum, double error) const {
    if (anneals_again(state)) return;
    RelaxationState& relaxation = state.relaxation;
    const bool asked = options.acceleration == Acceleration::over_relaxation;
    const bool fallen_back = relaxation.active || state.since_best >= hopeless;
    relaxation.active = !state.annealing && options.acceleration != Acceleration::plain && (asked || fallen_back);
    if (state.annealing || options.acceleration == Acceleration::plain || relaxation.active) {
        take_off(state.f, state.epsilon, log_sum, relaxation.factor);
        state.source_exact = relaxation.factor == 1;
        if (relaxation.active) relax(state, error);
        return;
    }
    if (go_back(state, error)) return;
    // An error that doubled, or no longer falls: the model behind the last steps is wrong. Forget it; this step becomes
    // a plain one.
    const bool doubled = state.last_error > 0 && error > 2 * state.last_error;
    const bool stuck = state.since_best > 0 && state.since_best % patience == 0;
    if (doubled || stuck) {
        state.memory.clear();
        ++state.restarts;
    }
    state.last_error = error;
    std::vector<double> residual(log_sum.size()), image = state.f;
    // Its image repairs a point that is far off; in the memory its residual would drown all others.
    for (std::size_t i = 0; i < residual.size(); ++i) {
        residual[i] = -state.epsilon * std::clamp(log_sum[i], -largest_step, largest_step);
    }
    take_off(image, state.epsilon, log_sum);
    const bool corrected = corrects(state, error);
    state.coarse.corrected = corrected;
    if (corrected) state.coarse.image = image;
    const std::vector<double> exact = image;
    const auto capacity = static_cast<std::size_t>(options.anderson_memory);
    AndersonStep step =
        anderson_step(*coupling_, Side::row, state.memory, capacity, std::move(residual), std::move(image));
    const bool plain = state.memory.images.size() <= 1 && !corrected;
    if (corrected) {
        const std::vector<double> more = correction(state, step.residual, error);
        for (std::size_t i = 0; i < more.size(); ++i) step.next[i] += state.coarse.trust * more[i];
    }
    const double largest = corrected ? largest_corrected_step : largest_step;
    const bool whole_step = limit_step(*coupling_, Side::row, exact, step.next, largest * state.epsilon);
    state.f = std::move(step.next);
    state.source_exact = plain && whole_step;
}

// The factor of the next step. Plain steps whose error falls by theta each have theta for their largest eigenvalue, for
// which 2 / (1 + (1 - theta)^(1/2)) is best.
void Sinkhorn::relax(SinkhornState& state, double measured) const {
    constexpr std::int64_t plain_steps = 4, relaxed_steps = 10;
    constexpr double largest_factor = 1.95;
    RelaxationState& relaxation = state.relaxation;
    const auto go_on_with = [&](double factor) { relaxation = {true, factor, 0, measured}; };
    ++relaxation.steps;
    const double fall = relaxation.first_error > 0 ? measured / relaxation.first_error : 1;
    if (relaxation.factor > 1) {
        const bool there = measured <= options.tolerance / 2;
        if (there || (relaxation.steps >= relaxed_steps && fall >= 1)) return go_on_with(1);
        if (relaxation.steps >= relaxed_steps) go_on_with(relaxation.factor);
        return;
    }
    if (relaxation.first_error == 0) return go_on_with(1);
    if (relaxation.steps < plain_steps) return;
    const double theta = std::min(std::pow(fall, 1.0 / static_cast<double>(relaxation.steps)), 1.0);
    go_on_with(std::min(2 / (1 + std::sqrt(1 - theta)), largest_factor));
}

// Whether the next step is a corrected one. Where the error falls slowly, stretches of steps with the correction and
// without it are held against each other, and the quicker way is taken until it is slow itself.
bool Sinkhorn::corrects(SinkhornState& state, double error) const {
    constexpr std::int64_t stretch = 3;                // steps
    constexpr std::int64_t remembered = 4, trial = 1;  // stretches until the other way's rate is out of date
    constexpr double slow = 0.72;                      // the error's fall a step that makes one wonder
    constexpr double nearly_there = 2;                 // times the tolerance: not worth a factorisation
    CoarseState& coarse = state.coarse;
    if (options.acceleration != Acceleration::coarse || coarse.abandoned) return false;
    if (coarse.error == 0 && error < nearly_there * options.tolerance) return false;
    if (coarse.stretch_error == 0) coarse.stretch_error = error;
    if (coarse.steps == stretch) {
        const double rate = std::pow(error / coarse.stretch_error, 1.0 / static_cast<double>(stretch));
        if (++coarse.stretches > (coarse.resting ? trial : remembered)) coarse.other_rate = 0;
        if (rate > slow && coarse.other_rate < rate) {
            coarse.resting = !coarse.resting;
            coarse.other_rate = rate;
            coarse.stretches = 0;
        }
        coarse.steps = 0;
        coarse.stretch_error = error;
    }
    ++coarse.steps;
    return !coarse.resting;
}

// After a corrected step that doubled the error: back to the exact image before it.
bool Sinkhorn::go_back(SinkhornState& state, double error) const {
    constexpr double least_trust = 0.2;
    constexpr double success = 0.7;  // of the error before
    CoarseState& coarse = state.coarse;
    if (!coarse.corrected) return false;
    coarse.corrected = false;
    const bool failed = state.last_error > 0 && error > 2 * state.last_error;
    if (failed) {
        state.f = std::move(coarse.image);
        ++state.restarts;
        coarse.trust /= 2;
        coarse.abandoned = coarse.trust < least_trust;
        coarse.error = std::numeric_limits<double>::infinity();  // formed anew before the next one
        coarse.steps = 0;
        coarse.stretch_error = 0;
    }
    if (error < success * state.last_error) coarse.trust = std::min(2 * coarse.trust, 1.0);
    coarse.image.clear();
    return failed;
}

// What the coarse problem adds to the image of f for this residual; formed anew where the error has fallen a lot, or f
// has moved by much of what changes a plan.
std::vector<double> Sinkhorn::correction(SinkhornState& state, const std::vector<double>& residual,
                                         double error) const {
    constexpr double worth_forming_again = 4, far = 0.5;
    CoarseState& coarse = state.coarse;
    const double pairs =
        static_cast<double>(coupling_->points(Side::row)) * static_cast<double>(coupling_->points(Side::column));
    if (!coarse_) {
        const std::int64_t size =
            options.coarse_points > 0 ? options.coarse_points : CoarseCorrection::good_size(pairs);
        coarse_ = std::make_unique<CoarseCorrection>(*coupling_, state.epsilon, size, options.seed);
    }
    CoarseCorrection::Potentials here = coarse_->at_samples(state.f, state.g);
    if (coarse.error == 0 || error < coarse.error / worth_forming_again ||
        distance(here.f, coarse.f) > far * state.epsilon) {
        coarse.f = std::move(here.f);
        coarse.g = std::move(here.g);
        coarse.error = error;
    }
    const CoarseCorrection::Potentials formed{coarse.f, coarse.g};
    if (coarse_->built_at() != formed && !coarse_->build(formed)) {
        coarse.abandoned = true;
        coarse_.reset();
        return std::vector<double>(residual.size(), 0.0);
    }
    state.other_work += coarse_->pairs() / pairs;
    return (*coarse_)(state.f, state.g, residual);
}

// Halving epsilon keeps all sums in range: exponents at most double, and by Jensen's inequality no sum falls below 1.
void Sinkhorn::next_level(SinkhornState& state) const {
    state.epsilon = std::max(state.epsilon / 2, options.epsilon);
    state.annealing = state.epsilon > options.epsilon;
    state.source_exact = false;
}

double floor_of_error(const Coupling& coupling, double epsilon) {
    // Errors in the logits of this many times their rounding, in L1, plus that of the sums themselves.
    constexpr double factor = 4, sums_single = 2e-6, sums_double = 1e-14;
    const double sums = coupling.precision() == Precision::single ? sums_single : sums_double;
    return factor * (coupling.rounding_of_cost() / epsilon + sums);
}

void fix_gauge(const Coupling& coupling, std::vector<double>& f, std::vector<double>& g) {
    const double shift = (coupling.mean(Side::column, g) - coupling.mean(Side::row, f)) / 2;
    for (double& f_i : f) f_i += shift;
    for (double& g_j : g) g_j -= shift;
}

}  // namespace convoy
