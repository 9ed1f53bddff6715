#pragma once
// What all backends share of `pick`: keeping the best few candidates of each row, and the random numbers of draws.

#include "kernels/block.hpp"

namespace convoy {

class PickCollector {
 public:
    PickCollector(const PickRule& rule, std::int64_t rows);
    // A candidate for row `row` of the range (global number `stays`): the summed side's point with this score.
    // Candidates come in ascending order of `summed`.
    void offer(std::int64_t row, GlobalIndex stays, GlobalIndex summed, double score, Side side);
    Picks take() { return std::move(picks_); }

 private:
    PickRule rule_;
    Picks picks_;
};

}  // namespace convoy
