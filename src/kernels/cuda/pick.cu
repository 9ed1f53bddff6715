// Picks: one warp a row, 32 logits at a time.
//
// Idea       Almost no entry of a row is among its best few: a candidate is compared with the worst that is kept, and
//            only if some lane of the warp beats it is the list touched. Over a row of m entries in random order that
//            happens k (1 + ln(m / k)) times. No sort, no atomics. In draws a pair's first arrival is its entry, and
//            further ones follow only where that was let in; what it takes two fp64 logarithms to tell is first bounded
//            by one in single precision of the random bits.
// Limit      Eight bytes a pair from the L2 cache, where the kernel before has left the logits; draws add two hashes a
//            pair, some 60 integer instructions.
// Reference  Exponential races: Maddison, Tarlow, Minka (2014), "A* Sampling"; PickRule.

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

// At least the noise -log(-log u) of a first arrival, u the number of these bits: -log u >= 1 - u, which is at least
// the complement of the leading bits as a binary fraction. 1e-4 is more than the rounding of single precision.
__device__ double noise_bound(std::uint64_t bits) {
    const auto v = static_cast<float>(static_cast<std::uint32_t>(~bits >> 33));
    return 0.6931471805599454 * static_cast<double>(31.0f + 1e-4f - __log2f(v));
}

// The first arrival of each lane's pair, for lanes that it may get onto the list; -inf for the others.
__device__ double first_arrival(std::uint64_t of_pair, double score, bool there, std::int64_t kept_index,
                                double kept_score) {
    const std::uint64_t bits = kernels::bits_of_draw(of_pair, 0);
    const bool late = !there || score == -INFINITY || !beats(score + noise_bound(bits), kept_index, kept_score);
    return late ? -INFINITY : score - log(-log(kernels::uniform_of_bits(bits)));
}

// The arrivals of one pair after its first, which was let in, as long as they are. All lanes together.
__device__ void insert_later_arrivals(std::uint64_t of_pair, double score, std::int64_t index, std::int64_t* indices,
                                      double* scores, std::int64_t count) {
    double time = -log(kernels::uniform_of_bits(kernels::bits_of_draw(of_pair, 0)));
    for (std::int64_t k = 1;; ++k) {
        time -= log(kernels::uniform_of_bits(kernels::bits_of_draw(of_pair, k)));
        const double arrival = score - log(time);
        if (!beats(arrival, indices[count - 1], scores[count - 1])) return;
        insert(arrival, index, indices, scores, count);
    }
}

template <bool draws>
__global__ void pick_kernel(PickTile pick, DrawRule rule, PickState state) {
    const TermTile<double>& tile = pick.tile;
    const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * warps_of_block + threadIdx.x / lanes;
    if (row >= tile.rows) return;
    const int lane = static_cast<int>(threadIdx.x) % lanes;
    std::int64_t* const indices = state.index + row * state.count;
    double* const scores = state.score + row * state.count;
    const std::int64_t last = state.count - 1;
    const std::uint64_t of_point =
        draws ? kernels::state_of_point(rule.seed, rule.columns_stay, rule.first_staying + row) : 0;
    for (std::int64_t first = 0; first < tile.columns; first += lanes) {
        const std::int64_t j = first + lane;
        bool there = j < tile.columns && tile.weights[j] != 0;
        const double score = there ? pick.unit * tile.terms[row * tile.stride + j] : 0;
        const std::uint64_t of_pair = draws ? kernels::state_of_pair(of_point, pick.first_summed + j) : 0;
        double entry = score;  // as it stands in the list
        if constexpr (draws) {
            entry = first_arrival(of_pair, score, there, indices[last], scores[last]);
            there = entry != -INFINITY;
        }
        unsigned candidates = __ballot_sync(everyone, there && beats(entry, indices[last], scores[last]));
        for (; candidates != 0; candidates &= candidates - 1) {
            const int from = __ffs(static_cast<int>(candidates)) - 1;
            const double candidate = __shfl_sync(everyone, entry, from);
            if (!beats(candidate, indices[last], scores[last])) continue;  // the list has risen meanwhile
            const std::int64_t index = pick.first_summed + first + from;
            insert(candidate, index, indices, scores, state.count);
            if constexpr (draws) {
                const auto pair =
                    static_cast<std::uint64_t>(__shfl_sync(everyone, static_cast<unsigned long long>(of_pair), from));
                insert_later_arrivals(pair, __shfl_sync(everyone, score, from), index, indices, scores, state.count);
            }
        }
    }
}

unsigned blocks_for(std::int64_t warps) {
    return static_cast<unsigned>((warps + warps_of_block - 1) / warps_of_block);
}

}  // namespace

void launch_pick_top(const PickTile& tile, const PickState& state, cudaStream_t stream) {
    if (tile.tile.columns == 0 || state.count == 0) return;
    launch(pick_kernel<false>, {blocks_for(tile.tile.rows), warps_of_block * lanes}, stream, tile, DrawRule{}, state);
}

void launch_pick_sample(const PickTile& tile, const DrawRule& rule, const PickState& state, cudaStream_t stream) {
    if (tile.tile.columns == 0 || state.count == 0) return;
    launch(pick_kernel<true>, {blocks_for(tile.tile.rows), warps_of_block * lanes}, stream, tile, rule, state);
}

}  // namespace convoy::cuda
