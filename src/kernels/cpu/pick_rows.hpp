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

// The `count` best entries of each of several rows.
template <class T>
class BestOfRows {
 public:
    // most: entries that a row may have. Everything that is ever needed is allocated here.
    BestOfRows(const PickBounds<T>& bounds, const PairScores& scores, std::int64_t rows, std::int64_t count,
               std::int64_t most);

    // Slot r takes the row i; or stays empty, and lets nothing pass.
    void begin(std::int64_t r, std::int64_t i);
    void leave_empty(std::int64_t r);
    // Of all slots: entries of at most this are of no use.
    const T* limits() const { return limits_.get(); }
    // `count` entries of the row are known to be of at least this lower bound.
    void expect(std::int64_t r, T lower);
    // logit: a kernel's, of entry j.
    void offer(std::int64_t r, T logit, std::int64_t j);
    // The best in order, at most `count`; before that says whether the row must be looked at in another way, since no
    // bounds hold in it.
    bool look_closer(std::int64_t r) const { return rows_[static_cast<std::size_t>(r)].look_closer; }
    std::span<const Scored> finish(std::int64_t r);

 private:
    struct Candidate {
        T upper;
        std::int64_t j;
    };
    struct Row {
        std::int64_t i = 0, candidates = 0, best = 0;
        T margin = 0;  // 2 A_i
        bool look_closer = false;
    };
    Candidate* candidates(std::int64_t r) { return candidates_.data() + r * capacity_; }
    Scored* best(std::int64_t r) { return best_.data() + r * count_; }
    void keep_lower(std::int64_t r, T lower);
    void raise(std::int64_t r, T limit) { limits_[r] = std::max(limits_[r], limit); }
    void sift(std::int64_t r);
    void score_candidates(std::int64_t r);

    const PickBounds<T>& bounds_;
    const PairScores& scores_;
    std::int64_t count_, capacity_;
    std::vector<Row> rows_;
    std::vector<Candidate> candidates_;
    std::vector<T> reached_;  // of each row the `count` largest lower bounds
    std::vector<Scored> best_, together_;
    Aligned<T> limits_;
};

// Draws from each of several rows: what each has reached, and by which entry.
template <class T>
class DrawsOfRows {
 public:
    DrawsOfRows(const PickBounds<T>& bounds, const PairScores& scores, const PickRule& rule, Side stays,
                std::int64_t rows, std::int64_t panel);

    // index, score: where the results of row i go, one of each a draw; empty slots as yet.
    void begin(std::int64_t r, std::int64_t i, std::int64_t* index, double* score);
    void leave_empty(std::int64_t r);
    // What kernels need to know of a panel that begins with slot r. `wide`: of DrawsOfEntry.
    bool wide() const { return wide_; }
    void fill(std::int64_t r, DrawTile<T>& tile) const;
    const T* hopeless() const { return hopeless_.get(); }
    // logit: a kernel's, of entry j, which may win draws.
    void offer(std::int64_t r, T logit, std::int64_t j);
    // Entry j takes part in all draws, exactly.
    void enter(std::int64_t r, std::int64_t j);
    // After a tile: what the draws have reached counts from now on.
    void look_back();
    bool look_closer(std::int64_t r) const { return rows_[static_cast<std::size_t>(r)].look_closer; }

 private:
    struct Row {
        std::int64_t i = 0;
        std::int64_t* index = nullptr;
        double* score = nullptr;
        bool look_closer = false, changed = false;
    };
    std::int64_t at(std::int64_t r, std::int64_t draw) const {
        return wide_ ? r * stride_ + draw : (r / panel_ * draws_ + draw) * panel_ + r % panel_;
    }
    void close(std::int64_t r);
    void take_part(std::int64_t r, std::int64_t j, std::int64_t draw, std::uint64_t random, double score);

    const PickBounds<T>& bounds_;
    const PairScores& scores_;
    const PickKernels<T>& kernels_;
    std::uint64_t seed_;
    bool columns_stay_, wide_;
    std::int64_t draws_, stride_, panel_;
    T unit_;  // of log 2 in logits
    std::vector<Row> rows_;
    Aligned<std::uint64_t> states_;
    Aligned<T> limits_, hopeless_;
    std::vector<std::int32_t> found_;
};

}  // namespace convoy::cpu
