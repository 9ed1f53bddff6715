// Sums of terms with Hopper's own matrix instructions (wgmma, sm_90a), up to 64 dimensions: what products.cu computes,
// at the tensor cores' full speed instead of 62 % of it. Not yet run on a device.
//
//     block      3 groups of 4 warps; a group has 64 staying points, whose coordinates, high and low, are in registers
//     tile       64 summed points in one of four stages in shared memory, where tensor cores themselves read them, by
//                way of a descriptor
//     overlap    products are asynchronous: while those of its next tile are made in one set of registers, a group
//                takes the exponentials of the last one from the other (as in FlashAttention-3, Shah et al. 2024). Of
//                the three groups' products one after the other goes through the tensor cores
//
// Precision: of a tile all small products come first, then the large ones: up to 4 truncations of a whole sum. There is
// no time to join sums of 16 coordinates outside of the tensor cores: where all products have one sign errors are up to
// 1.8 times those of fp32 (the model of product_tile.hpp), else they are as small.
//
// Limits, pairs a clock and multiprocessor:
//
//                                                               d = 32    64
//     tensor cores     2048 multiply-adds; 3 d                  21        11      2.5e12 pairs/s of 64 dimensions
//     exponentials     16                                       16        16
//     issue            128 lanes; some 5 instructions a pair    26        26
//     shared memory    128 bytes; 6 d for the 64 of a group     43        21      a tile is read nine times
//     L2 cache         24 bytes; 4 d for the 192 of a block     36        18
//
// Not yet: more dimensions. Staying points would be read from shared memory, and sums be joined in a third set of
// registers; beyond what is resident the L2 cache is the limit, which multicast to a cluster lifts (TMA).

#include "kernels/cuda/products_hopper.hpp"

#include "kernels/cuda/device.hpp"
#include "kernels/cuda/product_loop.hpp"
#include "kernels/cuda/product_tile.hpp"

namespace convoy::cuda {

namespace {

constexpr int groups = 3, group_threads = 128, threads = groups * group_threads;
constexpr int group_rows = 64, rows = groups * group_rows;
constexpr int columns = 64;  // of a tile
constexpr int ring = 4;      // stages
constexpr int row_bytes = 128;
constexpr int half_bytes = columns * row_bytes, tile_bytes = 2 * half_bytes;
constexpr int x_half_bytes = rows * row_bytes;
constexpr int number_bytes = 2 * columns * 4;
constexpr int atom = 1024;  // bytes: where the pattern of swizzled rows begins anew
constexpr std::size_t shared_bytes = atom + 2 * x_half_bytes + ring * (tile_bytes + number_bytes);

struct HopperSums {
    products::Problem problem;
    const float* f;
    float slope;
    double* partial;
};

using Products = float[8][4];

// 16 Steps coordinates of `Points` points, high and low.
template <int Points, int Steps>
__device__ inline void copy_points(const SplitPoints& points, std::int64_t first, std::int64_t end, unsigned char* to) {
    const int last = static_cast<int>(min(end - first, static_cast<std::int64_t>(Points))) - 1;
    for (int at = threadIdx.x; at < Points * 2 * Steps; at += threads) {
        const int row = at / (2 * Steps), unit = at % (2 * Steps);
        const std::int64_t from = (first + min(row, last)) * points.stride + unit * 8;
        unsigned char* const place = to + products::place_of_unit<64>(row, unit);
        copy_async_16(place, points.high + from);
        copy_async_16(place + Points * row_bytes, points.low + from);
    }
}

template <int Steps>
__global__ void __launch_bounds__(threads, 1) hopper_sums(const HopperSums call) {
    const products::Problem& problem = call.problem;
    unsigned char* const x = dynamic_shared() + (atom - shared_address(dynamic_shared()) % atom) % atom;
    unsigned char* const tiles = x + 2 * x_half_bytes;
    float* const numbers = reinterpret_cast<float*>(tiles + ring * tile_bytes);
    const auto row_tiles = static_cast<unsigned>((problem.rows + rows - 1) / rows);
    const int chunk = static_cast<int>(blockIdx.x / row_tiles);
    const std::int64_t first = static_cast<std::int64_t>(blockIdx.x % row_tiles) * rows;
    const std::int64_t begin = min(chunk * problem.cut.chunk, problem.columns);
    const std::int64_t end = min(begin + problem.cut.chunk, problem.columns);
    const int count = static_cast<int>((end - begin + columns - 1) / columns);

    const auto copy = [&](int tile) {
        if (tile < count) {
            const std::int64_t column = begin + static_cast<std::int64_t>(tile) * columns;
            copy_points<columns, Steps>(problem.summed, column, end, tiles + tile % ring * tile_bytes);
            if (threadIdx.x < columns) {
                float* const to = numbers + tile % ring * 2 * columns + threadIdx.x;
                products::copy_number(problem.first, column + threadIdx.x, end, to);
                products::copy_number(problem.second, column + threadIdx.x, end, to + columns);
            }
        }
        commit_copies();
    };

    // What this lane has: of its warp's 16 rows two, and two columns of every eight.
    const int lane = threadIdx.x % 32, warp_row = static_cast<int>(threadIdx.x / 32) * 16;
    const std::int64_t row = first + warp_row + lane / 4;
    float f[2], sum[2] = {0, 0};
    double total[2] = {0, 0};
    for (int h = 0; h < 2; ++h) f[h] = row + 8 * h < problem.rows ? call.f[row + 8 * h] : 0;
    std::uint32_t high[Steps][4], low[Steps][4];

    const auto multiply = [&](int tile, Products& c) {
        const unsigned char* const y = tiles + tile % ring * tile_bytes;
        begin_group_products();
#pragma unroll
        for (int s = 0; s < Steps; ++s) {
            multiply_add_group(c, low[s], matrix_descriptor(y, s), s > 0);
            multiply_add_group(c, high[s], matrix_descriptor(y + half_bytes, s), true);
        }
#pragma unroll
        for (int s = 0; s < Steps; ++s) multiply_add_group(c, high[s], matrix_descriptor(y, s), true);
        commit_group_products();
    };
    const auto add_terms = [&](int tile, const Products& c) {
        const float* const mine = numbers + tile % ring * 2 * columns + 2 * (lane % 4);
#pragma unroll
        for (int n = 0; n < 8; ++n) {
            const float2 g = *reinterpret_cast<const float2*>(mine + 8 * n);
            const float2 w = *reinterpret_cast<const float2*>(mine + 8 * n + columns);
#pragma unroll
            for (int h = 0; h < 2; ++h) {
                const float left = ex2(fmaf(call.slope, c[n][2 * h], f[h] + g.x));
                const float right = ex2(fmaf(call.slope, c[n][2 * h + 1], f[h] + g.y));
                sum[h] = fmaf(w.y, right, fmaf(w.x, left, sum[h]));
            }
        }
        constexpr int tiles_of_run = longest_run / (columns / 4);
        if (tile % tiles_of_run != tiles_of_run - 1) return;
        for (int h = 0; h < 2; ++h) {
            total[h] += sum[h];
            sum[h] = 0;
        }
    };
    // A tile's products are under way in `now`; the next one's begin in `next`.
    const auto pass = [&](int tile, Products& now, Products& next) {
        wait_for_copies<1>();  // of the next tile
        publish_to_group_products();
        // And what the tile before this one was made of has been read by all.
        __syncthreads();
        copy(tile + 3);
        wait_for_group_products<0>(now);
        multiply(tile + 1, next);
        add_terms(tile, now);
    };
    const auto finish = [&](int tile, Products& now) {
        wait_for_group_products<0>(now);
        add_terms(tile, now);
    };

    if (count > 0) {
        copy_points<rows, Steps>(problem.staying, first, problem.rows, x);
        for (int tile = 0; tile < 3; ++tile) copy(tile);
        wait_for_copies<2>();  // of the staying points and the first tile
        publish_to_group_products();
        __syncthreads();
#pragma unroll
        for (int s = 0; s < Steps; ++s) {
            const unsigned char* const from = x + products::place_of_unit<64>(warp_row + lane % 16, 2 * s + lane / 16);
            load_matrices(high[s], from);
            load_matrices(low[s], from + x_half_bytes);
        }
        Products even, odd;
#pragma unroll
        for (int n = 0; n < 8; ++n) {
#pragma unroll
            for (int e = 0; e < 4; ++e) even[n][e] = odd[n][e] = 0;
        }
        multiply(0, even);
        int tile = 0;
        for (; tile + 2 < count; tile += 2) {
            pass(tile, even, odd);
            pass(tile + 1, odd, even);
        }
        if (tile + 1 < count) {
            pass(tile, even, odd);
            finish(tile + 1, odd);
        } else {
            finish(tile, even);
        }
    }
    for (int h = 0; h < 2; ++h) {
        total[h] += sum[h];
        total[h] += __shfl_xor_sync(0xffffffffu, total[h], 1);
        total[h] += __shfl_xor_sync(0xffffffffu, total[h], 2);
        if (lane % 4 == 0 && row + 8 * h < problem.rows) {
            call.partial[chunk * problem.rows + row + 8 * h] = total[h];
        }
    }
}

}  // namespace

void launch_sums_hopper(const Pairs<float>& pairs, const Cut& cut, double* partial, cudaStream_t stream) {
    HopperSums call{products::problem_of(pairs, cut), pairs.staying.logits, pairs.slope, partial};
    call.problem.first = {pairs.summed.logits, static_cast<float>(no_mass)};
    call.problem.second = {pairs.summed.weights, 0};
    Shape shape;
    shape.blocks = dim3(static_cast<unsigned>((pairs.staying.rows + rows - 1) / rows * cut.chunks));
    shape.threads = dim3(threads);
    shape.shared = shared_bytes;
    const auto kernel = pairs.dimension <= 32   ? hopper_sums<2>
                        : pairs.dimension <= 48 ? hopper_sums<3>
                                                : hopper_sums<4>;
    launch(kernel, shape, stream, call);
}

}  // namespace convoy::cuda
