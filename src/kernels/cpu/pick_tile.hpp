#pragma once
// The inner loops of picks: which entries of a tile may be among the best of their rows. Almost none are, so a column
// costs its logits, a comparison a lane and one branch; what passes is written down, for code that takes its time.

#include <cstdint>

#include "kernels/cpu/tile.hpp"

namespace convoy::cpu {

// Above every Gumbel number -ln(-ln u) of draws.hpp, in units of log 2: 36.74 / ln 2 at most, and a little for
// rounding.
constexpr double largest_gumbel = 53.2;

template <class T>
struct Found {
    std::int32_t column, lane;
    T value;
};

// A tile of logits in a buffer whose entries race for draws (PickRule).
template <class T>
struct RaceTile {
    const T* logits = nullptr;  // logits[j P + lane]
    std::int64_t columns = 0;
    std::int64_t first = 0;                 // number of the first column among all
    const std::uint64_t* states = nullptr;  // of the P staying points (state_of_point)
    const T* limits = nullptr;              // P numbers: logits with noise of at most this come too late
    T unit = 0;                             // of log 2 in logits
};

// nan is above everything: whoever gets it looks closer.
template <class T>
struct PickKernels {
    // The entries above their lane's limit, column after column; room for all of them. How many.
    std::int64_t (*find)(const Tile<T>&, const T* limits, Found<T>* found);
    // largest[s P + lane]: each lane's `count` largest numbers so far, in order; joined by the largest logit of each
    // `group` consecutive columns, less the largest of their `twice`.
    void (*keep_largest)(const T* logits, std::int64_t columns, const T* twice, std::int64_t group, T* largest,
                         std::int64_t count);
    // The entries whose first arrivals may be in time; room for all of them. How many.
    std::int64_t (*find_arrivals)(const RaceTile<T>&, Found<T>* found);
    // To the tile's logits, which `logits` is: lower bounds of the noise of first arrivals.
    void (*add_least_noise)(const RaceTile<T>&, T* logits);
};

template <class T>
const PickKernels<T>& pick_kernels();

}  // namespace convoy::cpu
