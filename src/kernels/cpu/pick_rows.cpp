#include "kernels/cpu/pick_rows.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numbers>

#include "kernels/draws.hpp"

namespace convoy::cpu {

namespace {

template <class T>
constexpr T infinity = std::numeric_limits<T>::infinity();

constexpr std::int64_t kept_in_order = 128;  // more lower bounds are kept in a heap

}  // namespace

template <class T>
BestOfRows<T>::BestOfRows(const PickBounds<T>& bounds, const PairScores& scores, const PickRule& rule, Side stays,
                          std::int64_t rows, std::int64_t filled, std::int64_t most)
    : bounds_{bounds},
      scores_{scores},
      draws_{rule.kind == PickRule::Kind::sample},
      columns_stay_{stays == Side::column},
      seed_{rule.seed},
      count_{draws_ ? rule.count : std::min(rule.count, most)},
      capacity_{draws_ ? 2 * count_ + 64 : std::min(2 * count_ + 64, most)},
      noise_unit_{bounds.unit * bounds.energy},
      unit_{just_above<T>(noise_unit_ * std::numbers::ln2)},
      states_{allocate<std::uint64_t>(draws_ ? rows : 0)},
      rows_(static_cast<std::size_t>(rows)),
      candidates_(static_cast<std::size_t>(filled * capacity_)),
      reached_(static_cast<std::size_t>(filled * count_)),
      best_(static_cast<std::size_t>(filled * count_)),
      together_(static_cast<std::size_t>(count_ + capacity_)),
      limits_{allocate<T>(rows)} {
    if (draws_) std::fill_n(states_.get(), rows, std::uint64_t{0});
}

template <class T>
void BestOfRows<T>::begin(std::int64_t r, std::int64_t i) {
    const double bound = bounds_.of_row(i);
    const bool look_closer = std::isnan(bound);
    rows_[static_cast<std::size_t>(r)] = {i, 0, 0, look_closer ? T(0) : just_above<T>(2 * bound), look_closer};
    limits_[r] = look_closer ? infinity<T> : -infinity<T>;
    std::fill_n(reached_.data() + r * count_, count_, -infinity<T>);
    if (draws_) states_[r] = kernels::state_of_point(seed_, columns_stay_, scores_.staying_number(i).value);
}

template <class T>
void BestOfRows<T>::leave_empty(std::int64_t r) {
    rows_[static_cast<std::size_t>(r)] = {};
    limits_[r] = infinity<T>;
}

template <class T>
void BestOfRows<T>::offer(std::int64_t r, T logit, std::int64_t j) {
    if (logit <= limits_[r]) return;
    if (!std::isfinite(logit)) return close(r);
    keep(r, {logit, j, 0}, logit - bounds_.twice[j]);
}

template <class T>
void BestOfRows<T>::offer_arrivals(std::int64_t r, T logit, std::int64_t j) {
    if (!std::isfinite(logit)) return close(r);
    Arrivals arrivals{kernels::state_of_pair(states_[r], scores_.summed_number(j).value)};
    // The kernel has looked at a bound of the first one only, and limits may have risen since. At most `count` of them
    // are among the best; bounds alone might not end this, wide as they can be beside the noise.
    for (std::int64_t k = 0; k < count_; ++k) {
        const double noise = arrivals.next(), noisy = static_cast<double>(logit) + noise_unit_ * noise;
        const T upper = just_above<T>(noisy);
        if (upper <= limits_[r] || too_late(r, j, noise)) return;
        keep(r, {upper, j, noise}, just_below<T>(noisy - static_cast<double>(bounds_.twice[j])));
    }
}

// Where candidates had to be scored already, since bounds cannot tell them apart, this one is, too.
template <class T>
bool BestOfRows<T>::too_late(std::int64_t r, std::int64_t j, double noise) {
    const Row& row = rows_[static_cast<std::size_t>(r)];
    if (row.best < count_) return false;
    if (last_.i != row.i || last_.j != j) last_ = {row.i, j, scores_(row.i, j)};
    return last_.score + noise < best(r)[count_ - 1].score;
}

template <class T>
void BestOfRows<T>::fill(std::int64_t r, RaceTile<T>& tile) const {
    tile.states = states_.get() + r;
    tile.limits = limits_.get() + r;
    tile.unit = unit_;
}

// Nothing can be said of the row.
template <class T>
void BestOfRows<T>::close(std::int64_t r) {
    rows_[static_cast<std::size_t>(r)].look_closer = true;
    limits_[r] = infinity<T>;
}

template <class T>
void BestOfRows<T>::keep(std::int64_t r, const Candidate& candidate, T lower) {
    Row& row = rows_[static_cast<std::size_t>(r)];
    keep_lower(r, lower);
    candidates(r)[row.candidates++] = candidate;
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
    double score = 0;
    std::int64_t scored = -1;  // arrivals of one pair follow each other
    for (const Candidate& c : std::span{candidates(r), static_cast<std::size_t>(row.candidates)}) {
        if (c.j != scored) score = scores_(row.i, scored = c.j);
        if (std::isnan(score)) row.look_closer = true;
        *end++ = {score + c.noise, c.j};
    }
    row.candidates = 0;
    if (row.look_closer) return close(r);
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

template class BestOfRows<float>;
template class BestOfRows<double>;

}  // namespace convoy::cpu
