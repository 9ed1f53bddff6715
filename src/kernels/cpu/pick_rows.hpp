#pragma once
// What is kept of the rows of a task while their tiles pass: candidates that the kernels found, with bounds of their
// scores, and the exact scores of those that bounds alone cannot tell apart.
//
// An exact score costs as much as a hundred logits, so there are to be few. Rows of random order let k (1 + ln(m / k))
// entries pass, of which k and what lies within the bounds of the k-th are scored. Where bounds say nothing - all
// points the same, clouds beyond the kernels' precision - everything is scored, in bounded memory and exactly all the
// same.

#include <cstdint>
#include <vector>

#include "kernels/cpu/pick_bounds.hpp"
#include "kernels/cpu/pick_tile.hpp"
#include "kernels/pick.hpp"

namespace convoy::cpu {

// An exact one.
struct Scored {
    double score;
    std::int64_t j;
    bool operator<(const Scored& other) const {  // better
        return score != other.score ? score > other.score : j < other.j;
    }
};

// The `count` best entries of each of several rows. In draws these are arrivals of pairs, each an entry by itself: its
// logit is the pair's with the noise that it comes with.
template <class T>
class BestOfRows {
 public:
    // rows: slots, of which the first `filled` may take a row; most: points that a row may have. Everything that is
    // ever needed is allocated here.
    BestOfRows(const PickBounds<T>& bounds, const PairScores& scores, const PickRule& rule, Side stays,
               std::int64_t rows, std::int64_t filled, std::int64_t most);

    // Slot r takes the row i; or stays empty, and lets nothing pass.
    void begin(std::int64_t r, std::int64_t i);
    void leave_empty(std::int64_t r);
    // Of all slots: entries of at most this are of no use.
    const T* limits() const { return limits_.get(); }
    // `count` entries of the row are known to be of at least this lower bound.
    void expect(std::int64_t r, T lower);
    // logit: a kernel's, of entry j.
    void offer(std::int64_t r, T logit, std::int64_t j);
    // Likewise, of a pair whose arrivals in the race of draws take part.
    void offer_arrivals(std::int64_t r, T logit, std::int64_t j);
    // What find_arrivals needs to know of a panel that begins with slot r.
    void fill(std::int64_t r, RaceTile<T>& tile) const;
    // The best in order, at most `count`; before that says whether the row must be looked at in another way, since no
    // bounds hold in it.
    bool look_closer(std::int64_t r) const { return rows_[static_cast<std::size_t>(r)].look_closer; }
    std::span<const Scored> finish(std::int64_t r);

 private:
    struct Candidate {
        T upper;
        std::int64_t j;
        double noise;  // nought but in draws
    };
    struct Row {
        std::int64_t i = 0, candidates = 0, best = 0;
        T margin = 0;  // 2 A_i
        bool look_closer = false;
    };
    struct Pair {
        std::int64_t i, j;
        double score;
    };
    Candidate* candidates(std::int64_t r) { return candidates_.data() + r * capacity_; }
    Scored* best(std::int64_t r) { return best_.data() + r * count_; }
    bool too_late(std::int64_t r, std::int64_t j, double noise);
    void close(std::int64_t r);
    void keep(std::int64_t r, const Candidate& candidate, T lower);
    void keep_lower(std::int64_t r, T lower);
    void raise(std::int64_t r, T limit) { limits_[r] = std::max(limits_[r], limit); }
    void sift(std::int64_t r);
    void score_candidates(std::int64_t r);

    const PickBounds<T>& bounds_;
    const PairScores& scores_;
    bool draws_, columns_stay_;
    std::uint64_t seed_;
    std::int64_t count_, capacity_;
    double noise_unit_;  // of noise in logits
    T unit_;             // of noise of log 2, rounded upwards
    Aligned<std::uint64_t> states_;
    std::vector<Row> rows_;
    std::vector<Candidate> candidates_;
    std::vector<T> reached_;  // of each row the `count` largest lower bounds
    std::vector<Scored> best_, together_;
    Pair last_{-1, -1, 0};  // that was scored
    Aligned<T> limits_;
};

}  // namespace convoy::cpu
