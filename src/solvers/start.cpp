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

constexpr double hopeless = 2;            // L1, of two distributions
constexpr std::int64_t looked_at = 1024;  // rows whose marginals judge a candidate
constexpr double good = 0.1;              // an error that no other candidate will beat by much
constexpr double bad = 0.5;               // an error that a sub-sample may well beat, though it is dear

using Stop = std::function<bool()>;

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
        const bool good_for_something = std::isfinite(error) && state.status != Status::failed;
        return {kind, std::move(state), good_for_something ? std::min(error, hopeless) : hopeless};
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
    constexpr double most_dimensions = 4096;  // factorised on rank 0, by one thread
    const auto ranks = static_cast<double>(coupling.grid().world().size());
    return d <= most_dimensions && n * d * d + 30 * ranks * d * d * d < 4 * pairs_of(coupling) * d;
}

struct Extended {
    std::vector<double> f;
    double work = 0;  // half-passes' equivalents of the whole problem's pairs
    std::int64_t rows = 0, columns = 0;
};

// How far the fitted Gaussians' potential is from this one, up to a constant: root mean square, in units of epsilon.
double distance(const Coupling& coupling, std::span<const double> f, std::span<const double> gaussian, double epsilon) {
    std::vector<double> apart(f.size()), square(f.size());
    for (std::size_t i = 0; i < apart.size(); ++i) apart[i] = (f[i] - gaussian[i]) / epsilon;
    const double mean = coupling.mean(Side::row, apart);
    for (std::size_t i = 0; i < apart.size(); ++i) square[i] = (apart[i] - mean) * (apart[i] - mean);
    return std::sqrt(coupling.mean(Side::row, square));
}

// Solves on a sub-sample, started from a sub-sample of that while it is large, and extends g to all rows.
Extended solve_subsample(Coupling& coupling, const Sinkhorn& sinkhorn, const Stop& stop) {
    // A sub-sample's potentials follow its own points; at a larger epsilon less so, and sooner.
    constexpr double loosest = 1e-2, widening = 2;
    constexpr std::int64_t longest = 100;  // half-passes: what is slow here is better done with all points
    const Grid& grid = coupling.grid();
    const auto size = [&](Side side) { return subsample_size(coupling.points(side), coupling.dimension()); };
    const double epsilon = sinkhorn.options.epsilon;
    const std::uint64_t seed = sinkhorn.options.seed;
    const Sample x = draw_sample(coupling, Side::row, size(Side::row), seed);
    const Sample y = draw_sample(coupling, Side::column, size(Side::column), seed);
    Coupling small = coupling.with(Side::row, distributed(grid, Side::row, x))
                         .with(Side::column, distributed(grid, Side::column, y), coupling.keeps_products());
    SinkhornOptions options = sinkhorn.options;
    options.tolerance = std::max(options.tolerance, loosest);
    options.epsilon *= widening;
    options.max_half_passes = longest;
    Sinkhorn inner{small, options};
    inner.observer = [&](const SinkhornState&) { return stop(); };
    const bool again = pairs_of(small) >= small_problem;
    SinkhornState state = make_start(small, inner, again ? StartKind::subsample : StartKind::zero, stop).state;
    while (state.status == Status::running) inner.step(state);

    Coupling extension = coupling.with(Side::column, distributed(grid, Side::column, y));
    Extended extended{std::vector<double>(static_cast<std::size_t>(coupling.local(Side::row).rows), 0.0), 0,
                      x.cloud.rows, y.cloud.rows};
    const auto log_sum = extension.reduce(Side::row, {extended.f, state.g}, epsilon, Safety::safe);
    for (std::size_t i = 0; i < extended.f.size(); ++i) extended.f[i] = -epsilon * log_sum[i];
    const double inner_work = (static_cast<double>(state.half_passes) + state.other_work) * pairs_of(small);
    extended.work = (inner_work + pairs_of(extension)) / pairs_of(coupling);
    return extended;
}

Start zero_start(const Sinkhorn& sinkhorn) {
    SinkhornState state = sinkhorn.start();
    const bool annealing = state.annealing;
    return {std::move(state), StartKind::zero, annealing ? "zero, with annealing" : "zero"};
}

// Judges candidates. Each costs a half-pass, so only those that promise something are tried:
//   - where products are dear (many dimensions), a sub-sample costs more than it brings: Gaussians first;
//   - elsewhere the sub-sample, and the Gaussians if their potential is close to what it found.
class Choice {
 public:
    Choice(Coupling& coupling, const Sinkhorn& sinkhorn, const Stop& stop)
        : coupling_{coupling}, sinkhorn_{sinkhorn}, stop_{stop}, judge_{coupling, sinkhorn} {}

    // Potentials from elsewhere: one more candidate, looked at first. What else there is would cost several
    // half-passes.
    Start made_near(std::vector<double> f) {
        try_candidate(StartKind::given, std::move(f), "given");
        return candidates_.back().error <= bad || !may_go_on() ? best_start() : made();
    }

    Start made() {
        constexpr std::int64_t many_dimensions = 128;
        constexpr double close = 1;  // in units of epsilon: within a plan's own spread
        const double epsilon = sinkhorn_.options.epsilon;
        std::vector<std::vector<double>> gaussian;  // entropic, Bures
        if (gaussian_start_applies(coupling_.cost()) && gaussian_is_cheap(coupling_))
            gaussian = GaussianStart{coupling_}.potentials(epsilon, {GaussianKind::entropic, GaussianKind::bures});
        const bool first = !gaussian.empty() && coupling_.dimension() > many_dimensions;
        if (first) try_gaussians(gaussian);
        if (candidates_.empty() || (may_go_on() && best()->error > (first ? bad : good))) {
            Extended sample = solve_subsample(coupling_, sinkhorn_, stop_);
            const bool likely =
                !first && !gaussian.empty() && distance(coupling_, sample.f, gaussian.front(), epsilon) < close;
            try_candidate(StartKind::subsample, std::move(sample.f),
                          fmt::format("a sub-sample of {} x {} points", sample.rows, sample.columns));
            candidates_.back().state.other_work += sample.work;
            if (likely && may_go_on()) try_gaussians(gaussian);
        }
        if (best()->error < hopeless || !may_go_on()) return best_start();
        Start nothing_served = zero_start(sinkhorn_);
        for (const Candidate& c : candidates_) nothing_served.state.other_work += work_of(c);
        return nothing_served;
    }

 private:
    void try_candidate(StartKind kind, std::vector<double> f, const std::string& words) {
        candidates_.push_back(judge_(kind, std::move(f)));
        explain_ += fmt::format("{}{} {:.1e}", explain_.empty() ? "" : ", ", words, candidates_.back().error);
    }

    void try_gaussians(std::vector<std::vector<double>>& potentials) {
        try_candidate(StartKind::gaussian, std::move(potentials[0]), "gaussian");
        // A near-solution: nothing is gained by looking further.
        if (may_go_on() && candidates_.back().error > sinkhorn_.options.tolerance / 4)
            try_candidate(StartKind::bures, std::move(potentials[1]), "bures");
    }

    // Nobody asked to stop. The same answer on all ranks.
    bool may_go_on() const { return candidates_.back().state.status != Status::stopped; }

    std::vector<Candidate>::iterator best() {
        return std::ranges::min_element(candidates_, {}, [](const Candidate& c) { return c.error; });
    }

    static double work_of(const Candidate& c) { return static_cast<double>(c.state.half_passes) + c.state.other_work; }

    // What was tried beside the best is work too.
    Start best_start() {
        Candidate& chosen = *best();
        for (const Candidate& c : candidates_) {
            if (&c != &chosen) chosen.state.other_work += work_of(c);
        }
        return {std::move(chosen.state), chosen.kind,
                fmt::format("{} (first errors: {})", name_of(chosen.kind), explain_)};
    }

    Coupling& coupling_;
    const Sinkhorn& sinkhorn_;
    const Stop& stop_;
    Judge judge_;
    std::vector<Candidate> candidates_;
    std::string explain_;
};

}  // namespace

std::int64_t subsample_size(std::int64_t points, std::int64_t dimension) {
    constexpr std::int64_t share = 4, smallest = 256, largest = 65536;
    constexpr std::int64_t numbers = std::int64_t{1} << 24;
    return std::clamp(points / share, smallest, std::clamp(numbers / dimension, smallest, largest));
}

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
            return "subsample";
        case StartKind::given:
            break;
    }
    return "given";
}

Start make_start(Coupling& coupling, const Sinkhorn& sinkhorn, StartKind kind, const Stop& stop) {
    const std::vector<double> no_g(static_cast<std::size_t>(coupling.local(Side::column).rows), 0.0);
    switch (kind) {
        case StartKind::automatic:
            return pairs_of(coupling) < small_problem ? zero_start(sinkhorn) : Choice{coupling, sinkhorn, stop}.made();
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
        case StartKind::given:
            CONVOY_EXPECT(kind != StartKind::given);  // make_start_near() has them
    }
    Extended sample = solve_subsample(coupling, sinkhorn, stop);
    Start start{sinkhorn.start(std::move(sample.f), no_g), kind,
                fmt::format("subsample ({} x {} points)", sample.rows, sample.columns)};
    start.state.other_work = sample.work;
    return start;
}

Start make_start_if_near(Coupling& coupling, const Sinkhorn& sinkhorn, std::vector<double> f, const Stop& stop) {
    constexpr double near = 1;  // half of the mass in its place: beyond that, annealing is the shorter way
    if (pairs_of(coupling) >= small_problem) return Choice{coupling, sinkhorn, stop}.made_near(std::move(f));
    Candidate given = Judge{coupling, sinkhorn}(StartKind::given, std::move(f));
    const std::string words = fmt::format("first error: {:.1e}", given.error);
    if (given.error <= near || given.state.status == Status::stopped)
        return {std::move(given.state), StartKind::given, fmt::format("given ({})", words)};
    Start start = zero_start(sinkhorn);
    start.state.other_work += static_cast<double>(given.state.half_passes) + given.state.other_work;
    start.explain += fmt::format(" (given potentials have a {})", words);
    return start;
}

Start make_start_near(Coupling& coupling, const Sinkhorn& sinkhorn, std::vector<double> f, std::vector<double> g,
                      const Stop& stop) {
    if (pairs_of(coupling) >= small_problem) return Choice{coupling, sinkhorn, stop}.made_near(std::move(f));
    return {sinkhorn.start(std::move(f), std::move(g)), StartKind::given, name_of(StartKind::given)};
}

}  // namespace convoy
