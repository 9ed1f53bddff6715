#include "convoy/start.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "convoy/error.hpp"
#include "convoy/gaussian_start.hpp"
#include "solvers/sample.hpp"

namespace convoy {

namespace {

constexpr double small_problem = 1e6;        // pairs below which nothing is worth trying: annealing is quick enough
constexpr std::int64_t share_of_points = 4;  // a sub-sample is one of so many
constexpr std::int64_t largest_subsample = 65536;  // every rank holds it in full
constexpr std::int64_t smallest_subsample = 256;
constexpr std::int64_t looked_at = 1024;     // rows whose marginals judge a candidate
constexpr double good = 0.1;                 // an error that no other candidate will beat by much
constexpr std::int64_t few_dimensions = 16;  // up to here a sub-sample resolves what lies between its points

double pairs_of(const Coupling& coupling) {
    return static_cast<double>(coupling.points(Side::row)) * static_cast<double>(coupling.points(Side::column));
}

struct Candidate {
    StartKind kind;
    SinkhornState state;
    double error;
};

// One half-pass makes columns exact; the error of some rows then tells what the potential is worth.
class Judge {
 public:
    Judge(Coupling& coupling, const Sinkhorn& sinkhorn)
        : coupling_{&coupling},
          sinkhorn_{&sinkhorn},
          rows_{draw_sample(coupling, Side::row, looked_at, sinkhorn.options.seed)},
          some_rows_{coupling.with(Side::row, distributed(coupling.grid(), Side::row, rows_))} {}

    Candidate operator()(StartKind kind, std::vector<double> f) {
        const double epsilon = sinkhorn_->options.epsilon;
        SinkhornState state = sinkhorn_->start(std::move(f), std::vector<double>(local(Side::column), 0.0));
        sinkhorn_->fit_target(state);
        const std::vector<double> own = own_part(coupling_->grid(), Side::row, at_sample(*coupling_, rows_, state.f));
        const auto log_sum = some_rows_.reduce(Side::row, {own, state.g}, epsilon, Safety::shifted);
        state.other_work += static_cast<double>(rows_.cloud.rows) / static_cast<double>(coupling_->points(Side::row));
        const double error = some_rows_.marginal_error(Side::row, log_sum);
        return {kind, std::move(state), std::isfinite(error) ? error : 2};
    }

 private:
    std::size_t local(Side side) const { return static_cast<std::size_t>(coupling_->local(side).rows); }
    Coupling* coupling_;
    const Sinkhorn* sinkhorn_;
    Sample rows_;
    Coupling some_rows_;
};

// The fit and its factorisations against some passes over all pairs.
bool gaussian_is_cheap(const Coupling& coupling) {
    const auto n = static_cast<double>(coupling.points(Side::row) + coupling.points(Side::column));
    const auto d = static_cast<double>(coupling.dimension());
    return n * d * d + 30 * d * d * d < 4 * pairs_of(coupling) * d;
}

std::vector<Candidate> gaussian_candidates(Coupling& coupling, const Sinkhorn& sinkhorn, Judge& judge) {
    const GaussianStart fitted{coupling};
    auto potentials = fitted.potentials(sinkhorn.options.epsilon, {GaussianKind::entropic, GaussianKind::bures});
    std::vector<Candidate> found;
    found.push_back(judge(StartKind::gaussian, std::move(potentials[0])));
    // A near-solution: nothing is gained by looking further.
    if (found.back().error < good / 4) return found;
    found.push_back(judge(StartKind::bures, std::move(potentials[1])));
    return found;
}

struct Extended {
    std::vector<double> f;
    double work = 0;  // half-passes' equivalents of the whole problem's pairs
    std::int64_t rows = 0, columns = 0;
};

// Solves on a sub-sample, started from a sub-sample of that while it is large, and extends g to all rows.
Extended solve_subsample(Coupling& coupling, const Sinkhorn& sinkhorn) {
    constexpr double loosest = 3e-3;  // the sub-sample's own noise is larger
    const Grid& grid = coupling.grid();
    const auto size = [&](Side side) {
        return std::clamp(coupling.points(side) / share_of_points, smallest_subsample, largest_subsample);
    };
    const std::uint64_t seed = sinkhorn.options.seed;
    const Sample x = draw_sample(coupling, Side::row, size(Side::row), seed);
    const Sample y = draw_sample(coupling, Side::column, size(Side::column), seed);
    Coupling small = coupling.with(Side::row, distributed(grid, Side::row, x))
                         .with(Side::column, distributed(grid, Side::column, y));
    SinkhornOptions options = sinkhorn.options;
    options.tolerance = std::max(options.tolerance, loosest);
    const Sinkhorn inner{small, options};
    const bool again = pairs_of(small) >= small_problem;
    SinkhornState state = make_start(small, inner, again ? StartKind::subsample : StartKind::zero).state;
    while (state.status == Status::running) inner.step(state);

    Coupling extension = coupling.with(Side::column, distributed(grid, Side::column, y));
    Extended extended{std::vector<double>(static_cast<std::size_t>(coupling.local(Side::row).rows), 0.0), 0,
                      x.cloud.rows, y.cloud.rows};
    const auto log_sum = extension.reduce(Side::row, {extended.f, state.g}, options.epsilon, Safety::safe);
    for (std::size_t i = 0; i < extended.f.size(); ++i) extended.f[i] = -options.epsilon * log_sum[i];
    const double inner_work = (static_cast<double>(state.half_passes) + state.other_work) * pairs_of(small);
    extended.work = (inner_work + pairs_of(extension)) / pairs_of(coupling);
    return extended;
}

std::string sample_in_words(const Extended& sample) {
    return fmt::format("a sub-sample of {} x {} points", sample.rows, sample.columns);
}

Start zero_start(const Sinkhorn& sinkhorn) {
    SinkhornState state = sinkhorn.start();
    const bool annealing = state.annealing;
    return {std::move(state), StartKind::zero, annealing ? "zero, with annealing" : "zero"};
}

Start automatic_start(Coupling& coupling, const Sinkhorn& sinkhorn) {
    if (pairs_of(coupling) < small_problem) return zero_start(sinkhorn);
    Judge judge{coupling, sinkhorn};
    std::vector<Candidate> candidates;
    const bool gaussian = gaussian_start_applies(coupling.cost()) && gaussian_is_cheap(coupling);
    if (gaussian && coupling.dimension() > few_dimensions) candidates = gaussian_candidates(coupling, sinkhorn, judge);
    const auto best = [&] {
        return std::ranges::min_element(candidates, {}, [](const Candidate& c) { return c.error; });
    };
    std::string sampled;
    if (candidates.empty() || best()->error > good) {
        Extended sample = solve_subsample(coupling, sinkhorn);
        candidates.push_back(judge(StartKind::subsample, std::move(sample.f)));
        candidates.back().state.other_work += sample.work;
        sampled = sample_in_words(sample);
    }
    // What was tried beside the best is work too.
    const auto chosen = best();
    std::string explain;
    double wasted = 0;
    for (const Candidate& c : candidates) {
        if (&c != &*chosen) wasted += static_cast<double>(c.state.half_passes) + c.state.other_work;
        explain += fmt::format("{}{} {:.1e}", explain.empty() ? "" : ", ",
                               c.kind == StartKind::subsample ? sampled : name_of(c.kind), c.error);
    }
    chosen->state.other_work += wasted;
    return {std::move(chosen->state), chosen->kind,
            fmt::format("{} (first errors: {})", name_of(chosen->kind), explain)};
}

}  // namespace

std::string name_of(StartKind kind) {
    switch (kind) {
        case StartKind::automatic:
            return "auto";
        case StartKind::zero:
            return "zero";
        case StartKind::gaussian:
            return "gaussian";
        case StartKind::bures:
            return "bures";
        case StartKind::subsample:
            break;
    }
    return "subsample";
}

Start make_start(Coupling& coupling, const Sinkhorn& sinkhorn, StartKind kind) {
    const std::vector<double> no_g(static_cast<std::size_t>(coupling.local(Side::column).rows), 0.0);
    switch (kind) {
        case StartKind::automatic:
            return automatic_start(coupling, sinkhorn);
        case StartKind::zero:
            return zero_start(sinkhorn);
        case StartKind::gaussian:
        case StartKind::bures: {
            const auto which = kind == StartKind::gaussian ? GaussianKind::entropic : GaussianKind::bures;
            return {sinkhorn.start(gaussian_potential(coupling, sinkhorn.options.epsilon, which), no_g), kind,
                    name_of(kind)};
        }
        case StartKind::subsample:
            break;
    }
    Extended sample = solve_subsample(coupling, sinkhorn);
    Start start{sinkhorn.start(std::move(sample.f), no_g), kind, sample_in_words(sample)};
    start.state.other_work = sample.work;
    return start;
}

}  // namespace convoy
