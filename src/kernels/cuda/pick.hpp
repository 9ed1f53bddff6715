#pragma once
// Picks from tiles of logits: the best entries of each row so far, held against those of one more tile. Tiles come in
// ascending order of the summed side, so equal scores stay with the smaller index. Always fp64, as the reference.

#include "kernels/cuda/tile.hpp"

namespace convoy::cuda {

// rows x count each: global numbers of the summed side (-1: none yet) and scores (-inf), best first.
struct PickState {
    std::int64_t* index;
    double* score;
    std::int64_t count;
};

struct PickTile {
    TermTile<double> tile;      // logits; points without weight are passed over
    double unit = 1;            // score = unit logit
    std::int64_t first_summed;  // global number of the tile's first column
};
void launch_pick_top(const PickTile& tile, const PickState& state, cudaStream_t stream);

struct DrawRule {
    std::uint64_t seed = 0;
    bool columns_stay = false;
    std::int64_t first_staying = 0;  // global number of the tile's first row
};
// The first arrivals of each row's race (PickRule).
void launch_pick_sample(const PickTile& tile, const DrawRule& rule, const PickState& state, cudaStream_t stream);

}  // namespace convoy::cuda
