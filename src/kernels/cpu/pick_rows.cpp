#include "kernels/cpu/pick_rows.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <limits>
#include <numbers>

#include "kernels/draws.hpp"

namespace convoy::cpu {

namespace {

template <class T>
constexpr T infinity = std::numeric_limits<T>::infinity();

// Fewer draws than this go side by side with rows in a vector, more by themselves.
constexpr std::int64_t many_draws = 8;
constexpr std::int64_t kept_in_order = 128;  // more lower bounds are kept in a heap

// As the kernels bound it (pick_tile.cpp), in units of log 2.
double gumbel_bound(std::uint64_t random) {
    const auto v = static_cast<double>(~random >> 33);
    return 1023 + 31 + 1e-4 - static_cast<double>(std::bit_cast<std::uint64_t>(v) >> 20) * 0x1p-32;
}

}  // namespace

template <class T>
BestOfRows<T>::BestOfRows(const PickBounds<T>& bounds, const PairScores& scores, std::int64_t rows, std::int64_t count,
                          std::int64_t most)
    : bounds_{bounds},
      scores_{scores},
      count_{std::min(count, most)},
      capacity_{std::min(2 * count_ + 64, most)},
      rows_(static_cast<std::size_t>(rows)),
      candidates_(static_cast<std::size_t>(rows * capacity_)),
      reached_(static_cast<std::size_t>(rows * count_)),
      best_(static_cast<std::size_t>(rows * count_)),
      together_(static_cast<std::size_t>(count_ + capacity_)),
      limits_{allocate<T>(rows)} {}

template <class T>
void BestOfRows<T>::begin(std::int64_t r, std::int64_t i) {
    const double bound = bounds_.of_row(i);
    const bool look_closer = std::isnan(bound);
    rows_[static_cast<std::size_t>(r)] = {i, 0, 0, look_closer ? T(0) : just_above<T>(2 * bound), look_closer};
    limits_[r] = look_closer ? infinity<T> : -infinity<T>;
    std::fill_n(reached_.data() + r * count_, count_, -infinity<T>);
}

template <class T>
void BestOfRows<T>::leave_empty(std::int64_t r) {
    rows_[static_cast<std::size_t>(r)] = {};
    limits_[r] = infinity<T>;
}

template <class T>
void BestOfRows<T>::offer(std::int64_t r, T logit, std::int64_t j) {
    if (logit <= limits_[r]) return;
    Row& row = rows_[static_cast<std::size_t>(r)];
    if (!std::isfinite(logit)) {
        row.look_closer = true;
        limits_[r] = infinity<T>;
        return;
    }
    keep_lower(r, logit - bounds_.twice[j]);
    candidates(r)[row.candidates++] = {logit, j};
    if (row.candidates == capacity_) sift(r);
}

template <class T>
void BestOfRows<T>::keep_lower(std::int64_t r, T lower) {
    T* const reached = reached_.data() + r * count_;
    const bool in_order = count_ <= kept_in_order;
    const T& smallest = reached[in_order ? count_ - 1 : 0];
    if (!(lower > smallest)) return;
    if (in_order) {
        // Everything behind the new one's place moves on by one: a loop without branches.
        for (std::int64_t k = count_ - 1; k > 0; --k) {
            const T before = reached[k - 1] < lower ? reached[k - 1] : lower;
            reached[k] = reached[k] > before ? reached[k] : before;
        }
        reached[0] = std::max(reached[0], lower);
    } else {
        std::pop_heap(reached, reached + count_, std::greater{});
        reached[count_ - 1] = lower;
        std::push_heap(reached, reached + count_, std::greater{});
    }
    expect(r, smallest);
}

template <class T>
void BestOfRows<T>::expect(std::int64_t r, T lower) {
    if (lower == -infinity<T>) return;
    // Equal ones stay: a little lower than the bound, which is rounded as well.
    const T margin = rows_[static_cast<std::size_t>(r)].margin;
    raise(r, lower - margin - 4 * std::numeric_limits<T>::epsilon() * (std::abs(lower) + margin));
}

// Drops what has no chance any more. Too many that are alike: exact scores tell.
template <class T>
void BestOfRows<T>::sift(std::int64_t r) {
    Row& row = rows_[static_cast<std::size_t>(r)];
    Candidate* const all = candidates(r);
    row.candidates =
        std::remove_if(all, all + row.candidates, [&](const Candidate& c) { return c.upper <= limits_[r]; }) - all;
    if (row.candidates > capacity_ - capacity_ / 4 && row.candidates > count_) score_candidates(r);
}

template <class T>
void BestOfRows<T>::score_candidates(std::int64_t r) {
    Row& row = rows_[static_cast<std::size_t>(r)];
    auto end = std::copy_n(best(r), row.best, together_.begin());
    for (const Candidate& c : std::span{candidates(r), static_cast<std::size_t>(row.candidates)}) {
        const double score = scores_(row.i, c.j);
        if (std::isnan(score)) row.look_closer = true;
        *end++ = {score, c.j};
    }
    row.candidates = 0;
    if (row.look_closer) {
        limits_[r] = infinity<T>;
        return;
    }
    row.best = std::min(count_, static_cast<std::int64_t>(end - together_.begin()));
    if (row.best > 0) std::nth_element(together_.begin(), together_.begin() + row.best - 1, end);
    std::copy_n(together_.begin(), row.best, best(r));
    if (row.best == count_) raise(r, bounds_.reached(row.i, together_[static_cast<std::size_t>(count_ - 1)].score));
}

template <class T>
std::span<const Scored> BestOfRows<T>::finish(std::int64_t r) {
    Row& row = rows_[static_cast<std::size_t>(r)];
    if (row.candidates > 0) sift(r);
    if (row.candidates > 0) score_candidates(r);
    std::sort(best(r), best(r) + row.best);
    return {best(r), static_cast<std::size_t>(row.best)};
}

template <class T>
DrawsOfRows<T>::DrawsOfRows(const PickBounds<T>& bounds, const PairScores& scores, const PickRule& rule, Side stays,
                            std::int64_t rows, std::int64_t panel)
    : bounds_{bounds},
      scores_{scores},
      kernels_{pick_kernels<T>()},
      seed_{rule.seed},
      columns_stay_{stays == Side::column},
      wide_{rule.count >= many_draws},
      draws_{rule.count},
      stride_{ceil_div(draws_, panel) * panel},
      panel_{panel},
      unit_{just_above<T>(bounds.unit * bounds.energy * std::numbers::ln2)},
      rows_(static_cast<std::size_t>(rows)),
      states_{allocate<std::uint64_t>(rows)},
      limits_{allocate<T>(rows * stride_)},
      hopeless_{allocate<T>(rows)},
      found_(static_cast<std::size_t>(stride_ + panel)) {
    std::fill_n(limits_.get(), rows * stride_, infinity<T>);
    std::fill_n(states_.get(), rows, std::uint64_t{0});
}

template <class T>
void DrawsOfRows<T>::begin(std::int64_t r, std::int64_t i, std::int64_t* index, double* score) {
    rows_[static_cast<std::size_t>(r)] = {i, index, score, false, false};
    states_[r] = kernels::state_of_point(seed_, columns_stay_, scores_.staying_number(i).value);
    for (std::int64_t draw = 0; draw < draws_; ++draw) limits_[at(r, draw)] = -infinity<T>;
    hopeless_[r] = -infinity<T>;
    if (std::isnan(bounds_.of_row(i))) close(r);
}

template <class T>
void DrawsOfRows<T>::leave_empty(std::int64_t r) {
    close(r);
    rows_[static_cast<std::size_t>(r)] = {};
}

template <class T>
void DrawsOfRows<T>::close(std::int64_t r) {
    for (std::int64_t draw = 0; draw < draws_; ++draw) limits_[at(r, draw)] = infinity<T>;
    hopeless_[r] = infinity<T>;
    rows_[static_cast<std::size_t>(r)].look_closer = true;
}

template <class T>
void DrawsOfRows<T>::fill(std::int64_t r, DrawTile<T>& tile) const {
    tile.states = states_.get() + r;
    tile.draws = draws_;
    tile.limits = limits_.get() + at(r, 0);
    tile.hopeless = hopeless_.get() + r;
    tile.unit = unit_;
}

template <class T>
void DrawsOfRows<T>::offer(std::int64_t r, T logit, std::int64_t j) {
    if (logit <= hopeless_[r]) return;
    if (!std::isfinite(logit)) return close(r);
    const std::uint64_t pair = kernels::state_of_pair(states_[r], scores_.summed_number(j).value);
    double score = 0;
    bool scored = false;
    const auto look_at = [&](std::int64_t draw) {
        const std::uint64_t random = kernels::bits_of_draw(pair, draw);
        // Limits may have risen since the kernel looked.
        const double upper = static_cast<double>(logit) + static_cast<double>(unit_) * gumbel_bound(random);
        if (upper <= static_cast<double>(limits_[at(r, draw)])) return;
        if (!scored) score = scores_(rows_[static_cast<std::size_t>(r)].i, j), scored = true;
        take_part(r, j, draw, random, score);
    };
    if (!wide_) {
        for (std::int64_t draw = 0; draw < draws_; ++draw) look_at(draw);
        return;
    }
    const std::int64_t found =
        kernels_.find_draws({pair, logit, limits_.get() + at(r, 0), draws_, unit_}, found_.data());
    for (std::int64_t k = 0; k < found; ++k) look_at(found_[static_cast<std::size_t>(k)]);
}

template <class T>
void DrawsOfRows<T>::enter(std::int64_t r, std::int64_t j) {
    const std::uint64_t pair = kernels::state_of_pair(states_[r], scores_.summed_number(j).value);
    const double score = scores_(rows_[static_cast<std::size_t>(r)].i, j);
    for (std::int64_t draw = 0; draw < draws_; ++draw) take_part(r, j, draw, kernels::bits_of_draw(pair, draw), score);
}

template <class T>
void DrawsOfRows<T>::take_part(std::int64_t r, std::int64_t j, std::int64_t draw, std::uint64_t random, double score) {
    Row& row = rows_[static_cast<std::size_t>(r)];
    if (row.look_closer) return;
    const double perturbed = score + gumbel_number(kernels::uniform_of_bits(random));
    if (std::isnan(perturbed)) return close(r);
    const std::int64_t number = scores_.summed_number(j).value;
    std::int64_t& index = row.index[draw];
    double& reached = row.score[draw];
    // Tiles come in any order: of equal ones the smaller index is taken.
    if (index >= 0 && (perturbed < reached || (perturbed == reached && number > index))) return;
    index = number;
    reached = perturbed;
    limits_[at(r, draw)] = bounds_.reached(row.i, perturbed);
    row.changed = true;
}

template <class T>
void DrawsOfRows<T>::look_back() {
    for (std::size_t k = 0; k < rows_.size(); ++k) {
        if (!rows_[k].changed || rows_[k].look_closer) continue;
        rows_[k].changed = false;
        const auto r = static_cast<std::int64_t>(k);
        T lowest = infinity<T>;
        for (std::int64_t draw = 0; draw < draws_; ++draw) lowest = std::min(lowest, limits_[at(r, draw)]);
        if (lowest == -infinity<T>) continue;
        hopeless_[r] = just_below<T>(static_cast<double>(lowest) - largest_gumbel * static_cast<double>(unit_));
    }
}

template class BestOfRows<float>;
template class BestOfRows<double>;
template class DrawsOfRows<float>;
template class DrawsOfRows<double>;

}  // namespace convoy::cpu
