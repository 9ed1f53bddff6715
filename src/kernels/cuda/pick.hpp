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
    std::uint64_t seed;
    bool columns_stay;
    std::int64_t first_staying;  // global number of the tile's first row
};
// Each slot is a draw by itself: the largest of score + Gumbel noise (kernels/draws.hpp).
void launch_pick_sample(const PickTile& tile, const DrawRule& rule, const PickState& state, cudaStream_t stream);

}  // namespace convoy::cuda
