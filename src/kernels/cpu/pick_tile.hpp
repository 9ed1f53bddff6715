#pragma once
// The inner loops of picks: which entries of a tile may be among the best of their rows. Almost none are, so a column
// costs its logits, a comparison a lane and one branch; what passes is written down, for code that takes its time.

#include <cstdint>

#include "kernels/cpu/tile.hpp"

namespace convoy::cpu {

// Above every logarithm to base 2 of which a uniform number's Gumbel number is the natural one, -log2(-ln u): 53 log2 e
// at most is 36.74 / ln 2, and bounds that are formed in single precision stay below it by far less than what is left.
constexpr double largest_gumbel = 53.2;

template <class T>
struct Found {
    std::int32_t column, lane;
    T value;
};

// A tile of logits in a buffer whose entries take part in draws.
template <class T>
struct DrawTile {
    const T* logits = nullptr;  // logits[j P + lane]
    std::int64_t columns = 0;
    std::int64_t first = 0;                 // number of the first column among all
    const std::uint64_t* states = nullptr;  // of the P staying points (state_of_point)
    std::int64_t draws = 0;
    const T* limits = nullptr;    // limits[draw P + lane]: what the draw has reached
    const T* hopeless = nullptr;  // P numbers: logits of at most this win no draw, whatever their random numbers
    T unit = 0;                   // of log 2 in logits
};

// One entry and many draws.
template <class T>
struct DrawsOfEntry {
    std::uint64_t state = 0;  // state_of_pair
    T logit = 0;
    const T* limits = nullptr;  // of each draw; whole vectors, the last ones infinite
    std::int64_t draws = 0;
    T unit = 0;
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
    // The entries that may win some draw.
    std::int64_t (*find_for_draws)(const DrawTile<T>&, Found<T>* found);
    // The draws that the entry may win, in ascending order; room for all of them, and a vector more.
    std::int64_t (*find_draws)(const DrawsOfEntry<T>&, std::int32_t* found);
};

template <class T>
const PickKernels<T>& pick_kernels();

}  // namespace convoy::cpu
