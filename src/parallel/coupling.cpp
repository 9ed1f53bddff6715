#include "convoy/coupling.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <exception>
#include <limits>
#include <utility>

#include "convoy/error.hpp"
#include "kernels/block.hpp"
#include "parallel/backend.hpp"
#include "parallel/redistributed.hpp"

namespace convoy {

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

// Shifted sums are trusted in this range only: single precision holds them there with room for every term that counts.
bool trustworthy(double sum) {
    return sum >= 0x1p-100 && sum <= 0x1p100;
}

class Stopwatch {
 public:
    explicit Stopwatch(double& total) : total_{total}, begin_{std::chrono::steady_clock::now()} {}
    ~Stopwatch() { total_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count(); }
    Stopwatch(const Stopwatch&) = delete;
    Stopwatch& operator=(const Stopwatch&) = delete;

 private:
    double& total_;
    std::chrono::steady_clock::time_point begin_;
};

// exp(from - to) for a maximum `from` that a larger one `to` replaces; 0 for the -inf of an empty sum.
double rescaling(double from, double to) {
    return from == -infinity ? 0.0 : std::exp(from - to);
}

LocalRun whole(const Cloud& cloud) {
    return {LocalIndex{0}, cloud.rows};
}

// Of no points at all: what a rank gives to a sum that it has no part in.
Sums empty_sums(std::int64_t rows, Safety safety) {
    const auto n = static_cast<std::size_t>(rows);
    return {std::vector<double>(n, 0.0), std::vector<double>(safety == Safety::safe ? n : 0, -infinity), {}};
}

template <class T>
void append(const std::vector<T>& from, std::vector<T>& to) {
    to.insert(to.end(), from.begin(), from.end());
}

// The indices that hold untrustworthy sums, as few runs: neighbours closer than a kernel's tile go together.
std::vector<LocalRun> untrustworthy_runs(std::span<const double> sums) {
    constexpr std::int64_t tile = 128;
    std::vector<LocalRun> runs;
    for (std::int64_t i = 0; i < std::ssize(sums); ++i) {
        if (trustworthy(sums[static_cast<std::size_t>(i)])) continue;
        if (!runs.empty() && i - (runs.back().first.value + runs.back().count) < tile) {
            runs.back().count = i + 1 - runs.back().first.value;
        } else {
            runs.push_back({LocalIndex{i}, 1});
        }
    }
    // Each run is a reduction of its own: where there are many, one over all of them is cheaper.
    constexpr std::size_t many = 32;
    if (runs.size() <= many) return runs;
    const std::int64_t end = runs.back().first.value + runs.back().count;
    return {{runs.front().first, end - runs.front().first.value}};
}

}  // namespace

Coupling::Coupling(Grid grid, DistributedCloud source, DistributedCloud target, Cost cost, Precision precision,
                   Backend backend, bool keep_products)
    : grid_{std::move(grid)},
      source_{std::make_shared<DistributedCloud>(std::move(source))},
      target_{std::make_shared<DistributedCloud>(std::move(target))},
      cost_{cost},
      precision_{precision},
      backend_{backend},
      keep_products_{keep_products} {
    CONVOY_EXPECT(source_->local.dimension == target_->local.dimension);
    CONVOY_EXPECT(source_->local.rows == source_->partition.count(grid_.part(Side::row)));
    CONVOY_EXPECT(target_->local.rows == target_->partition.count(grid_.part(Side::column)));
    if (cost_.normalises_rows()) refuse_zero_rows();
    centre_.assign(static_cast<std::size_t>(dimension()), 0.0);
    if (cost_.may_be_centred()) {
        for (const Side side : {Side::row, Side::column}) {
            const Cloud& cloud = local(side);
            std::vector<double> mean(centre_.size(), 0.0);
            for (std::int64_t i = 0; i < cloud.rows; ++i) {
                const double weight = cloud.weights[static_cast<std::size_t>(i)];
                const auto point = cloud.point(i);
                for (std::size_t k = 0; k < mean.size(); ++k) mean[k] += weight * point[k];
            }
            grid_.holders(side).sum(mean);
            for (std::size_t k = 0; k < mean.size(); ++k) centre_[k] += mean[k] / 2;
        }
        grid_.world().broadcast(std::span{centre_});
    }
    rebuild();
}

Coupling::Coupling(const Coupling& like, std::shared_ptr<const DistributedCloud> source,
                   std::shared_ptr<const DistributedCloud> target, bool keep_products)
    : grid_{like.grid_},
      source_{std::move(source)},
      target_{std::move(target)},
      cost_{like.cost_},
      precision_{like.precision_},
      backend_{like.backend_},
      keep_products_{keep_products},
      centre_{like.centre_} {
    rebuild();
}

Coupling Coupling::with(Side side, DistributedCloud cloud, bool keep_products) const {
    CONVOY_EXPECT(cloud.local.dimension == dimension());
    CONVOY_EXPECT(cloud.local.rows == cloud.partition.count(grid_.part(side)));
    auto other_cloud = std::make_shared<const DistributedCloud>(std::move(cloud));
    return side == Side::row ? Coupling{*this, std::move(other_cloud), target_, keep_products}
                             : Coupling{*this, source_, std::move(other_cloud), keep_products};
}

Coupling::~Coupling() = default;
Coupling::Coupling(Coupling&&) noexcept = default;
Coupling& Coupling::operator=(Coupling&&) noexcept = default;

void Coupling::refuse_zero_rows() const {
    agree(grid_.world(), [&] {
        for (const Side side : {Side::row, Side::column}) {
            const Cloud& cloud = local(side);
            for (std::int64_t i = 0; i < cloud.rows; ++i) {
                if (std::ranges::any_of(cloud.point(i), [](double x) { return x != 0; })) continue;
                const std::int64_t row = this->cloud(side).partition.first(grid_.part(side)).value + i;
                throw InputError{
                    fmt::format("row {} of the {} is zero (cost {} divides rows by their norm); remove the "
                                "row or choose another cost",
                                row, side == Side::row ? "source" : "target", cost_.name())};
            }
        }
    });
}

void Coupling::rebuild() {
    agree(grid_.world(), [&] {
        const BlockProblem problem{cost_,
                                   &source_->local,
                                   &target_->local,
                                   centre_,
                                   source_->partition.first(grid_.part(Side::row)),
                                   target_->partition.first(grid_.part(Side::column)),
                                   precision_,
                                   keep_products_};
        block_.reset();  // what it keeps would lie beside what the new one does
        naming_rank(grid_.world(), [&] { block_ = make_block(backend_, problem); });
    });
    meters_.products_bytes = block_->kept_products().bytes;
    meters_.products_seconds += block_->kept_products().seconds;
    rounding_of_cost_ = block_->rounding_of_cost();
    grid_.world().max(std::span{&rounding_of_cost_, 1});
}

void Coupling::sum_over_sharers(Side stays, std::span<double> values) {
    const Communicator& sharers = grid_.sharers(stays);
    if (sharers.size() == 1) return;
    const Stopwatch watch{meters_.communication_seconds};
    sharers.sum(values);
    meters_.bytes_sent += static_cast<double>(values.size_bytes());
}

void Coupling::max_over_sharers(Side stays, std::span<double> values) {
    const Communicator& sharers = grid_.sharers(stays);
    if (sharers.size() == 1) return;
    const Stopwatch watch{meters_.communication_seconds};
    sharers.max(values);
    meters_.bytes_sent += static_cast<double>(values.size_bytes());
}

void Coupling::count_pairs(Side stays, std::int64_t rows) {
    meters_.pairs += static_cast<double>(rows) * static_cast<double>(local(other(stays)).rows);
}

void Coupling::count_safe(Side stays, std::int64_t rows) {
    if (grid_.sharers(stays).is_root()) meters_.safe_rows += rows;  // once for all that share them
}

// Calls use(part) for consecutive parts of a range; parts depend on sizes only, and one takes seconds at most. No
// communication within, since ranks that share the rows may have other parts. work: of a pair, in those of a reduction.
template <class Use>
void Coupling::in_parts(Side stays, LocalRun range, const Use& use, double work) {
    const double rows_at_least = std::max(1024 / work, 128.0);
    const double columns = static_cast<double>(std::max<std::int64_t>(local(other(stays)).rows, 1)) * work;
    const auto rows =
        static_cast<std::int64_t>(std::max(std::floor(block_->pairs_of_a_part() / columns), rows_at_least));
    for (std::int64_t done = 0; done < range.count; done += rows) {
        const LocalRun part{LocalIndex{range.first.value + done}, std::min(rows, range.count - done)};
        {
            const Stopwatch watch{meters_.kernel_seconds};
            use(part);
        }
        count_pairs(stays, part.count);
        if (while_reducing_) while_reducing_(static_cast<double>(done + part.count) / static_cast<double>(range.count));
    }
}

// A device can fail on one rank in the midst of a verb, while the others wait for its sums: it goes on with empty ones,
// and all ranks leave at the verb's end. On the other backends nothing fails that a run could end in order after.
template <class Work>
void Coupling::attempt(const Work& work) {
    if (backend_ != Backend::cuda) return work();
    if (trouble_) return;
    try {
        work();
    } catch (...) {
        trouble_ = std::current_exception();
    }
}

void Coupling::leave_if_troubled() {
    if (backend_ != Backend::cuda) return;
    agree(grid_.world(), [&] {
        if (!trouble_) return;
        naming_rank(grid_.world(), [&] { std::rethrow_exception(std::exchange(trouble_, nullptr)); });
    });
}

Sums Coupling::local_sums(Side stays, LocalRun range, const Potentials& potentials, double epsilon, Safety safety) {
    Sums all, part_sums;
    attempt([&] {
        in_parts(stays, range, [&](LocalRun part) {
            block_->reduce(stays, part, potentials, epsilon, safety, part_sums);
            append(part_sums.sum, all.sum);
            append(part_sums.max, all.max);
        });
    });
    return trouble_ ? empty_sums(range.count, safety) : all;
}

std::vector<double> Coupling::safe_sums(Side stays, LocalRun range, const Potentials& potentials, double epsilon) {
    Sums sums = local_sums(stays, range, potentials, epsilon, Safety::safe);
    count_safe(stays, range.count);
    std::vector<double> largest = sums.max;
    max_over_sharers(stays, largest);
    for (std::size_t i = 0; i < largest.size(); ++i) sums.sum[i] *= rescaling(sums.max[i], largest[i]);
    sum_over_sharers(stays, sums.sum);
    for (std::size_t i = 0; i < largest.size(); ++i) largest[i] += std::log(sums.sum[i]);
    return largest;
}

std::vector<double> Coupling::reduce(Side stays, const Potentials& potentials, double epsilon, Safety safety) {
    std::vector<double> log_sum = safety == Safety::safe ? safe_sums(stays, whole(local(stays)), potentials, epsilon)
                                                         : shifted_sums(stays, potentials, epsilon);
    leave_if_troubled();
    return log_sum;
}

std::vector<double> Coupling::shifted_sums(Side stays, const Potentials& potentials, double epsilon) {
    std::vector<double> log_sum = local_sums(stays, whole(local(stays)), potentials, epsilon, Safety::shifted).sum;
    sum_over_sharers(stays, log_sum);
    // The sums are the same bits on all sharers, so all of them go the same way here.
    const std::vector<LocalRun> again = untrustworthy_runs(log_sum);
    for (double& s : log_sum) s = std::log(s);
    for (const LocalRun& run : again) {
        const std::vector<double> safe = safe_sums(stays, run, potentials, epsilon);
        std::copy(safe.begin(), safe.end(), log_sum.begin() + run.first.value);
    }
    return log_sum;
}

Coupling::Average Coupling::apply(Side stays, const Potentials& potentials, double epsilon, Safety safety,
                                  const Weighting& weighting) {
    return apply(stays, whole(local(stays)), potentials, epsilon, safety, weighting);
}

Coupling::Average Coupling::apply(Side stays, LocalRun range, const Potentials& potentials, double epsilon,
                                  Safety safety, const Weighting& weighting) {
    Sums sums, part_sums;
    Average average;
    std::vector<double> part_values;
    const auto width = static_cast<std::size_t>(weighting.width);
    attempt([&] {
        in_parts(stays, range, [&](LocalRun part) {
            block_->apply(stays, part, potentials, epsilon, safety, weighting, part_sums, part_values);
            append(part_sums.sum, sums.sum);
            append(part_sums.max, sums.max);
            append(part_sums.dropped, sums.dropped);
            append(part_values, average.value);
        });
    });
    if (trouble_) {
        sums = empty_sums(range.count, safety);
        average.value.assign(sums.sum.size() * width, 0.0);
    }
    if (weighting.negligible > 0) sums.dropped.resize(sums.sum.size());  // a backend may leave nothing out
    const auto scale_row = [&](std::size_t i, double factor) {
        for (std::size_t k = 0; k < width; ++k) average.value[i * width + k] *= factor;
    };
    const auto over_sharers = [&] {
        for (auto* numbers : {&sums.sum, &sums.dropped, &average.value}) sum_over_sharers(stays, *numbers);
        average.dropped = std::move(sums.dropped);
        for (std::size_t i = 0; i < average.dropped.size(); ++i) average.dropped[i] /= sums.sum[i];
    };
    if (safety == Safety::shifted) {
        over_sharers();
        average.log_sum = std::move(sums.sum);
        for (double& s : average.log_sum) s = std::log(s);
        leave_if_troubled();
        return average;
    }
    count_safe(stays, range.count);
    average.log_sum = sums.max;
    max_over_sharers(stays, average.log_sum);
    for (std::size_t i = 0; i < sums.sum.size(); ++i) {
        const double factor = rescaling(sums.max[i], average.log_sum[i]);
        sums.sum[i] *= factor;
        if (!sums.dropped.empty()) sums.dropped[i] *= factor;
        scale_row(i, factor);
    }
    over_sharers();
    for (std::size_t i = 0; i < sums.sum.size(); ++i) {
        scale_row(i, 1 / sums.sum[i]);
        average.log_sum[i] += std::log(sums.sum[i]);
    }
    leave_if_troubled();
    return average;
}

Picks Coupling::pick(Side stays, const Potentials& potentials, double epsilon, const PickRule& rule) {
    return pick(stays, whole(local(stays)), potentials, epsilon, rule);
}

Picks Coupling::pick(Side stays, LocalRun range, const Potentials& potentials, double epsilon, const PickRule& rule) {
    Picks mine{range.count, rule.count, {}, {}}, part_picks;
    mine.index.reserve(static_cast<std::size_t>(range.count * rule.count));
    mine.score.reserve(mine.index.capacity());
    // A random number a pair costs about as much as its logit.
    const double work = rule.kind == PickRule::Kind::sample ? 2 : 1;
    const auto pick_part = [&](LocalRun part) {
        block_->pick(stays, part, potentials, epsilon, rule, part_picks);
        append(part_picks.index, mine.index);
        append(part_picks.score, mine.score);
    };
    attempt([&] { in_parts(stays, range, pick_part, work); });
    leave_if_troubled();
    choose_among_sharers(stays, rule, mine);
    return mine;
}

// Everybody's candidates, some rows at a time: what is held beside the result does not grow with the rows.
void Coupling::choose_among_sharers(Side stays, const PickRule& rule, Picks& mine) {
    const Communicator& sharers = grid_.sharers(stays);
    if (sharers.size() == 1 || rule.count == 0) return;
    const Stopwatch watch{meters_.communication_seconds};
    constexpr std::int64_t slots_at_once = std::int64_t{1} << 20;
    const std::int64_t rows = std::max<std::int64_t>(slots_at_once / (rule.count * sharers.size()), 1);
    for (std::int64_t row = 0; row < mine.rows; row += rows) {
        const auto begin = static_cast<std::ptrdiff_t>(row * rule.count);
        const auto slots = static_cast<std::ptrdiff_t>(std::min(rows, mine.rows - row) * rule.count);
        const auto index = mine.index.begin() + begin;
        const auto score = mine.score.begin() + begin;
        // Row numbers below 2^53 are exact as fp64.
        const std::vector<double> indices = sharers.gather_all(std::vector<double>(index, index + slots));
        const std::vector<double> scores = sharers.gather_all(std::vector<double>(score, score + slots));
        meters_.bytes_sent += 2 * static_cast<double>(slots) * sizeof(double);
        std::vector<Picks> parts;
        for (std::ptrdiff_t at = 0; at < std::ssize(indices); at += slots) {
            parts.push_back({slots / rule.count, rule.count, {}, {}});
            parts.back().index.assign(indices.begin() + at, indices.begin() + at + slots);
            parts.back().score.assign(scores.begin() + at, scores.begin() + at + slots);
        }
        const Picks best = best_of(parts);
        std::ranges::copy(best.index, index);
        std::ranges::copy(best.score, score);
    }
}

namespace {

// sum_i w_i term(i) over this rank's part. Points without mass take no part: 0 times infinity would be nan.
template <class Term>
double weighted_sum(const std::vector<double>& weights, const Term& term) {
    double sum = 0;
    for (std::size_t i = 0; i < weights.size(); ++i) {
        if (weights[i] > 0) sum += weights[i] * term(i);
    }
    return sum;
}

}  // namespace

void Coupling::sum_over_parts(Side side, std::span<double> values) const {
    grid_.holders(side).ordered_sum(values);
    grid_.world().broadcast(values);
}

double Coupling::dot(Side side, std::span<const double> u, std::span<const double> v) const {
    double sum = weighted_sum(local(side).weights, [&](auto i) { return u[i] * v[i]; });
    sum_over_parts(side, std::span{&sum, 1});
    return sum;
}

std::vector<double> Coupling::dots(Side side, std::span<const double> u,
                                   const std::vector<std::vector<double>>& vs) const {
    std::vector<double> sums;
    for (const auto& v : vs) sums.push_back(weighted_sum(local(side).weights, [&](auto i) { return u[i] * v[i]; }));
    sum_over_parts(side, sums);
    return sums;
}

double Coupling::mean(Side side, std::span<const double> u) const {
    double sum = weighted_sum(local(side).weights, [&](auto i) { return u[i]; });
    sum_over_parts(side, std::span{&sum, 1});
    return sum;
}

double Coupling::marginal_error(Side side, std::span<const double> log_sum) const {
    // Hopeless potentials have errors beyond fp64's range: large then, not infinite. nan stays nan.
    constexpr double largest_exponent = 600;
    double sum = weighted_sum(local(side).weights,
                              [&](auto i) { return std::abs(std::expm1(std::min(log_sum[i], largest_exponent))); });
    sum_over_parts(side, std::span{&sum, 1});
    return sum;
}

void Coupling::keep_products() {
    keep_products_ = true;
    rebuild();
}

void Coupling::move_source(std::vector<double> points) {
    CONVOY_EXPECT(points.size() == source_->local.points.size());
    const Cloud& old = source_->local;
    Cloud moved{old.rows, old.dimension, std::move(points), old.weights};
    source_ = std::make_shared<const DistributedCloud>(DistributedCloud{source_->partition, std::move(moved)});
    rebuild();
}

DistributedCloud Coupling::redistributed(Side side) const {
    return convoy::redistributed(grid_, side, cloud(side));
}

double Coupling::cost_range_bound() const {
    std::array<double, 2> norm{0, 0};
    for (const Side side : {Side::row, Side::column}) {
        const Cloud& cloud = local(side);
        std::vector<double> z(static_cast<std::size_t>(dimension()));
        for (std::int64_t i = 0; i < cloud.rows; ++i) {
            const auto point = cloud.point(i);
            for (std::size_t k = 0; k < z.size(); ++k) z[k] = point[k] - centre_[k];
            double& largest = norm[side == Side::row ? 0 : 1];
            largest = std::max(largest, cost_.bounding_norm(z));
        }
    }
    grid_.world().max(norm);
    return cost_.range_bound(norm[0], norm[1]);
}

}  // namespace convoy
