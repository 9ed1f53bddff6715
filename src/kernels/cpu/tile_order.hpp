#pragma once
// In which order a row's tiles are looked at.

#include <algorithm>
#include <cstdint>
#include <numeric>

#include "kernels/cpu/call.hpp"

namespace convoy::cpu {

// The tiles of a task in an order of their own: where neighbours in the cloud are neighbours in space, the best entries
// of a row would come nearer tile by tile, and all of them pass. Steps near the golden ratio meet every region early.
// `run` tiles stay together: what comes from memory is best read in one go.
class TileOrder {
 public:
    TileOrder(std::int64_t columns, std::int64_t tile, std::int64_t run)
        : run_{run}, runs_{ceil_div(columns, tile * run)}, tiles_{ceil_div(columns, tile)} {
        step_ = std::max<std::int64_t>(static_cast<std::int64_t>(0.618 * static_cast<double>(runs_)), 1);
        while (std::gcd(step_, runs_) != 1) ++step_;
    }
    // Not all of them: the first `most`.
    template <class Use>
    void for_each(std::int64_t most, const Use& use) const {
        for (std::int64_t k = 0; k < runs_; ++k) {
            const std::int64_t first = k * step_ % runs_ * run_;
            for (std::int64_t t = first; t < std::min(first + run_, tiles_); ++t) {
                if (most-- <= 0) return;
                use(t);
            }
        }
    }

 private:
    std::int64_t run_, runs_, tiles_, step_ = 1;
};

}  // namespace convoy::cpu
