#pragma once
// What all backends share of `pick`: the score of a pair, and keeping the best few candidates of each row.

#include <cmath>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "kernels/block.hpp"

namespace convoy {

// The score of a pair in fp64, from the points as given (for samples: before its noise). A backend that finds
// its candidates in another way judges them by this one: all pick the same.
class PairScores {
 public:
    PairScores(const BlockProblem& problem, Side stays, const Potentials& potentials, double epsilon,
               const PickRule& rule);

    // i counts the staying side's points, j the summed side's. j has mass.
    double operator()(std::int64_t i, std::int64_t j) const;
    bool has_mass(std::int64_t j) const { return summed_->weights[static_cast<std::size_t>(j)] > 0; }
    GlobalIndex staying_number(std::int64_t i) const { return GlobalIndex{first_staying_ + i}; }
    GlobalIndex summed_number(std::int64_t j) const { return GlobalIndex{first_summed_ + j}; }

 private:
    Cost cost_;
    const Cloud* staying_;
    const Cloud* summed_;
    std::int64_t first_staying_, first_summed_;
    std::span<const double> of_staying_, of_summed_;
    bool hard_;
    double epsilon_;
};

// The arrivals of one pair in the race of draws (PickRule), by their noise: -log(E_1 + ... + E_k), k = 1, 2, ..., which
// descends. score + noise is minus the logarithm of the time of arrival.
class Arrivals {
 public:
    // of_pair: state_of_pair (draws.hpp)
    explicit Arrivals(std::uint64_t of_pair) : of_pair_{of_pair} {}
    double next();

 private:
    std::uint64_t of_pair_;
    std::int64_t count_ = 0;
    double sum_ = 0;
};

class PickCollector {
 public:
    PickCollector(const PickRule& rule, std::int64_t rows);
    // A candidate for row `row` of the range (global number `stays`): the summed side's point with this score.
    // Candidates come in ascending order of `summed`.
    void offer(std::int64_t row, GlobalIndex stays, GlobalIndex summed, double score, Side side);
    Picks take() { return std::move(picks_); }

 private:
    // Whether it is among the best of the row so far.
    bool put(std::int64_t row, double score, std::int64_t index);

    PickRule rule_;
    Picks picks_;
    std::vector<std::int64_t> filled_;  // slots of each row
};

// `rows` rows of empty slots.
Picks no_picks(std::int64_t rows, std::int64_t count);

}  // namespace convoy
