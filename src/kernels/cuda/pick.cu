// Picks: one warp a row (a row's draw), 32 logits at a time.
//
// Idea       Almost no entry of a row is among its best few: a candidate is compared with the worst that is kept, and
//            only if some lane of the warp beats it is the list touched. Over a row of m entries in random order that
//            happens k (1 + ln(m / k)) times. No sort, no atomics.
// Limit      Eight bytes a pair from the L2 cache, where the kernel before has left the logits; a draw adds two fp64
//            logarithms a pair (some 60 operations: 1e12 a second on an H200).
// Reference  Gumbel-max: Maddison, Tarlow, Minka (2014), "A* Sampling".

#include <cmath>

#include "kernels/cuda/device.hpp"
#include "kernels/cuda/pick.hpp"
#include "kernels/draws.hpp"

namespace convoy::cuda {

namespace {

constexpr int lanes = 32;
constexpr unsigned warps_of_block = 4;
constexpr unsigned everyone = 0xffffffffu;

__device__ bool beats(double score, std::int64_t kept_index, double kept_score) {
    return kept_index < 0 || score > kept_score;
}

// The list, best first, with one more entry, which beats the last; equal ones stay before it. All lanes together.
__device__ void insert(double score, std::int64_t index, std::int64_t* indices, double* scores, std::int64_t count) {
    const int lane = static_cast<int>(threadIdx.x) % lanes;
    std::int64_t place = 0;
    for (std::int64_t first = 0; first < count; first += lanes) {
        const std::int64_t k = first + lane;
        const bool stays = k < count && !beats(score, indices[k], scores[k]);
        place += __popc(__ballot_sync(everyone, stays));
    }
    // From the end, so that nothing is overwritten before it has moved.
    for (std::int64_t end = count - 1; end > place; end -= lanes) {
        const std::int64_t k = end - lane;
        const bool moves = k > place;
        const std::int64_t moved_index = moves ? indices[k - 1] : 0;
        const double moved_score = moves ? scores[k - 1] : 0;
        __syncwarp();
        if (moves) {
            indices[k] = moved_index;
            scores[k] = moved_score;
        }
        __syncwarp();
    }
    if (lane == 0) {
        indices[place] = index;
        scores[place] = score;
    }
    __syncwarp();
}

__global__ void pick_top(PickTile pick, PickState state) {
    const TermTile<double>& tile = pick.tile;
    const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * warps_of_block + threadIdx.x / lanes;
    if (row >= tile.rows) return;
    const int lane = static_cast<int>(threadIdx.x) % lanes;
    std::int64_t* const indices = state.index + row * state.count;
    double* const scores = state.score + row * state.count;
    const std::int64_t last = state.count - 1;
    for (std::int64_t first = 0; first < tile.columns; first += lanes) {
        const std::int64_t j = first + lane;
        const bool there = j < tile.columns && tile.weights[j] != 0;
        const double score = there ? pick.unit * tile.terms[row * tile.stride + j] : 0;
        unsigned candidates = __ballot_sync(everyone, there && beats(score, indices[last], scores[last]));
        for (; candidates != 0; candidates &= candidates - 1) {
            const int from = __ffs(static_cast<int>(candidates)) - 1;
            const double candidate = __shfl_sync(everyone, score, from);
            if (!beats(candidate, indices[last], scores[last])) continue;  // the list has risen meanwhile
            insert(candidate, pick.first_summed + first + from, indices, scores, state.count);
        }
    }
}

__global__ void pick_sample(PickTile pick, DrawRule rule, PickState state) {
    const TermTile<double>& tile = pick.tile;
    const std::int64_t slot = static_cast<std::int64_t>(blockIdx.x) * warps_of_block + threadIdx.x / lanes;
    if (slot >= tile.rows * state.count) return;
    const std::int64_t row = slot / state.count, draw = slot % state.count;
    double best = -INFINITY;
    std::int64_t best_index = -1;
    for (std::int64_t j = threadIdx.x % lanes; j < tile.columns; j += lanes) {
        if (tile.weights[j] == 0) continue;
        const std::int64_t index = pick.first_summed + j;
        const double u = kernels::uniform(rule.seed, rule.columns_stay, rule.first_staying + row, index, draw);
        const double score = pick.unit * tile.terms[row * tile.stride + j] - log(-log(u));
        if (beats(score, best_index, best)) {
            best = score;
            best_index = index;
        }
    }
    for (int distance = lanes / 2; distance > 0; distance /= 2) {
        const double others = __shfl_down_sync(everyone, best, distance);
        const std::int64_t others_index = __shfl_down_sync(everyone, static_cast<long long>(best_index), distance);
        const bool tie = others == best && others_index < best_index;
        if (others_index >= 0 && (tie || beats(others, best_index, best))) {
            best = others;
            best_index = others_index;
        }
    }
    if (threadIdx.x % lanes != 0 || best_index < 0) return;
    if (beats(best, state.index[slot], state.score[slot])) {
        state.index[slot] = best_index;
        state.score[slot] = best;
    }
}

unsigned blocks_for(std::int64_t warps) {
    return static_cast<unsigned>((warps + warps_of_block - 1) / warps_of_block);
}

}  // namespace

void launch_pick_top(const PickTile& tile, const PickState& state, cudaStream_t stream) {
    if (tile.tile.columns == 0 || state.count == 0) return;
    launch(pick_top, {blocks_for(tile.tile.rows), warps_of_block * lanes}, stream, tile, state);
}

void launch_pick_sample(const PickTile& tile, const DrawRule& rule, const PickState& state, cudaStream_t stream) {
    if (tile.tile.columns == 0) return;
    launch(pick_sample, {blocks_for(tile.tile.rows * state.count), warps_of_block * lanes}, stream, tile, rule, state);
}

}  // namespace convoy::cuda
