// Passes over products that are kept: nothing is computed but exponentials, and memory sets the speed.
//
//     bytes           4 a pair. 4.3 TB/s of HBM: 1.07e12 pairs/s, whatever the dimension (products.cu: where computing
//                     them anew is slower than that)
//     exponentials    16 a clock and multiprocessor: 3.7e12 pairs/s, a third of the time of the bytes
//     in flight       Little: bytes underway = bandwidth x latency = 4.3e12 x 0.8e-6 = 3.4 MB, 26 KB a multiprocessor.
//                     Every lane asks for four times 16 bytes before it uses the first; 1024 threads that do so have
//                     64 KB underway, and half of them may be at their exponentials.
//
// Two ways through the same rows. Where rows stay, a warp takes four rows and runs along them, its lanes side by side:
// g and w, from the L1 cache, serve four products. Where columns stay, each lane keeps four neighbouring columns and
// runs down the rows, four at a time; warps of a block take turns, and add up in the end. Either way sums of one column
// or row are those of one lane, in order: longest_run terms in fp32, then fp64.

#include <algorithm>

#include "kernels/cuda/device.hpp"
#include "kernels/cuda/instructions.hpp"
#include "kernels/cuda/kept_products.hpp"
#include "kernels/cuda/tile.hpp"

namespace convoy::cuda {

namespace {

constexpr int warps = 8;
constexpr int together = 4;      // blocks of threads on a multiprocessor: 1024 threads, 64 registers each
constexpr int rows_of_lane = 4;  // in flight
constexpr int width = 128;       // columns of a warp: four a lane

// Four numbers of a lane, out of `width`: neighbours where addresses are multiples of 16, else 32 apart, so that a warp
// reads whole sectors anyway.
template <bool Aligned>
__device__ inline int column_of_lane(int lane, int e) {
    return Aligned ? 4 * lane + e : lane + 32 * e;
}
template <bool Aligned>
__device__ inline void load_four(const float* from, int lane, float (&to)[4]) {
    if constexpr (Aligned) {
        const float4 four = *reinterpret_cast<const float4*>(from + 4 * lane);
        to[0] = four.x;
        to[1] = four.y;
        to[2] = four.z;
        to[3] = four.w;
    } else {
#pragma unroll
        for (int e = 0; e < 4; ++e) to[e] = from[lane + 32 * e];
    }
}
// The first `left` of them; `missing` beyond.
template <bool Aligned>
__device__ inline void load_some(const float* from, int lane, std::int64_t left, float missing, float (&to)[4]) {
#pragma unroll
    for (int e = 0; e < 4; ++e) {
        const int at = column_of_lane<Aligned>(lane, e);
        to[e] = at < left ? from[at] : missing;
    }
}

struct KeptPass {
    const float* data;
    std::int64_t stride;
    std::int64_t rows, columns;  // of the staying and of the summed side
    const float *f, *g, *w;
    float slope;
    Cut cut;
    double* partial;
};

// Rows stay.
template <bool Aligned>
__global__ void __launch_bounds__(32 * warps, together) row_sums(const KeptPass pass) {
    const int lane = threadIdx.x % 32;
    const int chunk = static_cast<int>(blockIdx.x % static_cast<unsigned>(pass.cut.chunks));
    const std::int64_t first =
        (static_cast<std::int64_t>(blockIdx.x) / pass.cut.chunks * warps + threadIdx.x / 32) * rows_of_lane;
    if (first >= pass.rows) return;
    const std::int64_t begin = min(chunk * pass.cut.chunk, pass.columns);
    const std::int64_t end = min(begin + pass.cut.chunk, pass.columns);

    const float* row[rows_of_lane];
    float f[rows_of_lane], sum[rows_of_lane];
    double total[rows_of_lane];
#pragma unroll
    for (int r = 0; r < rows_of_lane; ++r) {
        const std::int64_t i = min(first + r, pass.rows - 1);  // instead of rows that are not there, the last
        row[r] = pass.data + i * pass.stride;
        f[r] = pass.f[i];
        sum[r] = 0;
        total[r] = 0;
    }
    const auto add = [&](const float(&products)[rows_of_lane][4], const float(&g)[4], const float(&w)[4]) {
#pragma unroll
        for (int r = 0; r < rows_of_lane; ++r) {
#pragma unroll
            for (int e = 0; e < 4; ++e) {
                sum[r] = fmaf(w[e], ex2(fmaf(pass.slope, products[r][e], f[r] + g[e])), sum[r]);
            }
        }
    };
    const auto empty = [&] {
#pragma unroll
        for (int r = 0; r < rows_of_lane; ++r) {
            total[r] += sum[r];
            sum[r] = 0;
        }
    };
    int run = 0;
    std::int64_t j = begin;
    for (; j + width <= end; j += width) {
        float products[rows_of_lane][4], g[4], w[4];
#pragma unroll
        for (int r = 0; r < rows_of_lane; ++r) load_four<Aligned>(row[r] + j, lane, products[r]);
        load_four<Aligned>(pass.g + j, lane, g);
        load_four<Aligned>(pass.w + j, lane, w);
        add(products, g, w);
        if (++run == longest_run / 4) {
            empty();
            run = 0;
        }
    }
    if (j < end) {
        float products[rows_of_lane][4], g[4], w[4];
#pragma unroll
        for (int r = 0; r < rows_of_lane; ++r) load_some<Aligned>(row[r] + j, lane, end - j, 0, products[r]);
        load_some<Aligned>(pass.g + j, lane, end - j, static_cast<float>(no_mass), g);
        load_some<Aligned>(pass.w + j, lane, end - j, 0, w);
        add(products, g, w);
    }
    empty();
#pragma unroll
    for (int r = 0; r < rows_of_lane; ++r) {
#pragma unroll
        for (int far = 16; far > 0; far /= 2) total[r] += __shfl_xor_sync(0xffffffffu, total[r], far);
        if (lane == 0 && first + r < pass.rows) pass.partial[chunk * pass.rows + first + r] = total[r];
    }
}

// Columns stay: the staying point i is column i of the data, the summed point j its row j.
template <bool Aligned>
__global__ void __launch_bounds__(32 * warps, together) column_sums(const KeptPass pass) {
    double* const totals = reinterpret_cast<double*>(dynamic_shared());  // warps x width
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const unsigned blocks = static_cast<unsigned>((pass.rows + width - 1) / width);
    const std::int64_t chunk = blockIdx.x / blocks;
    const std::int64_t first = static_cast<std::int64_t>(blockIdx.x % blocks) * width;
    const std::int64_t begin = min(chunk * pass.cut.chunk, pass.columns);
    const std::int64_t end = min(begin + pass.cut.chunk, pass.columns);
    const std::int64_t left = pass.rows - first;

    float f[4], sum[4] = {0, 0, 0, 0};
    double total[4] = {0, 0, 0, 0};
    load_some<Aligned>(pass.f + first, lane, left, 0, f);
    const auto add = [&](const float(&products)[4], std::int64_t j) {
        const float g = pass.g[j], w = pass.w[j];
#pragma unroll
        for (int e = 0; e < 4; ++e) sum[e] = fmaf(w, ex2(fmaf(pass.slope, products[e], f[e] + g)), sum[e]);
    };
    const auto empty = [&] {
#pragma unroll
        for (int e = 0; e < 4; ++e) {
            total[e] += sum[e];
            sum[e] = 0;
        }
    };
    const float* from = pass.data + (begin + warp * rows_of_lane) * pass.stride + first;
    const std::int64_t step = static_cast<std::int64_t>(warps) * rows_of_lane;
    int run = 0;
    for (std::int64_t j = begin + warp * rows_of_lane; j < end; j += step, from += step * pass.stride) {
        if (j + rows_of_lane <= end && left >= width) {
            float products[rows_of_lane][4];
#pragma unroll
            for (int r = 0; r < rows_of_lane; ++r) load_four<Aligned>(from + r * pass.stride, lane, products[r]);
#pragma unroll
            for (int r = 0; r < rows_of_lane; ++r) add(products[r], j + r);
        } else {
            for (int r = 0; r < rows_of_lane && j + r < end; ++r) {
                float products[4];
                load_some<Aligned>(from + r * pass.stride, lane, left, 0, products);
                add(products, j + r);
            }
        }
        if (++run == longest_run / rows_of_lane) {
            empty();
            run = 0;
        }
    }
    empty();
#pragma unroll
    for (int e = 0; e < 4; ++e) totals[warp * width + column_of_lane<Aligned>(lane, e)] = total[e];
    __syncthreads();
    for (int i = threadIdx.x; i < width && i < left; i += 32 * warps) {
        double all = 0;
        for (int other = 0; other < warps; ++other) all += totals[other * width + i];
        pass.partial[chunk * pass.rows + first + i] = all;
    }
}

// Squares of 32 x 32 pairs; the transposed ones are turned round in shared memory, whose rows of 33 numbers put a
// column into 32 banks.
constexpr int edge = 32, edge_rows = 8;

template <bool Transposed>
__global__ void __launch_bounds__(edge* edge_rows)
    kept_logits(const Pairs<float> pairs, const LogitTile<float> tile, unsigned column_squares) {
    float* const square = reinterpret_cast<float*>(dynamic_shared());
    const std::int64_t row = static_cast<std::int64_t>(blockIdx.x / column_squares) * edge;
    const std::int64_t column = static_cast<std::int64_t>(blockIdx.x % column_squares) * edge;
    const std::int64_t rows = pairs.staying.rows, columns = pairs.summed.rows;
    if (Transposed) {
        const std::int64_t i = row + threadIdx.x;
        for (int k = threadIdx.y; k < edge; k += edge_rows) {
            if (i < rows && column + k < columns) {
                square[k * (edge + 1) + threadIdx.x] = pairs.kept.data[(column + k) * pairs.kept.stride + i];
            }
        }
        __syncthreads();
    }
    const std::int64_t j = column + threadIdx.x;
    if (j >= columns) return;
    const float g = pairs.summed.logits[j];
    const float offset = tile.column_offsets != nullptr ? tile.column_offsets[j] : 0;
    for (int k = threadIdx.y; k < edge && row + k < rows; k += edge_rows) {
        const std::int64_t i = row + k;
        const float product =
            Transposed ? square[threadIdx.x * (edge + 1) + k] : pairs.kept.data[i * pairs.kept.stride + j];
        tile.logits[i * tile.stride + j] = fmaf(pairs.slope, product, pairs.staying.logits[i] + g);
        if (tile.costs == nullptr) continue;
        const float own = tile.row_offsets != nullptr ? tile.row_offsets[i] : 0;
        tile.costs[i * tile.stride + j] = fmaf(pairs.factor, product, own + offset);
    }
}

bool is_aligned(const float* address) {
    return reinterpret_cast<std::uintptr_t>(address) % 16 == 0;
}

unsigned blocks_of(std::int64_t n, std::int64_t of_block) {
    return static_cast<unsigned>((n + of_block - 1) / of_block);
}

}  // namespace

void launch_sums_kept(const Pairs<float>& pairs, const Cut& cut, double* partial, cudaStream_t stream) {
    const KeptPass pass{pairs.kept.data,
                        pairs.kept.stride,
                        pairs.staying.rows,
                        pairs.summed.rows,
                        pairs.staying.logits,
                        pairs.summed.logits,
                        pairs.summed.weights,
                        pairs.slope,
                        cut,
                        partial};
    const bool aligned = is_aligned(pass.data) && pass.stride % 4 == 0;
    const auto chunks = static_cast<unsigned>(cut.chunks);
    Shape shape;
    shape.threads = dim3(32 * warps);
    if (pairs.kept.transposed) {
        shape.blocks = dim3(blocks_of(pass.rows, width) * chunks);
        shape.shared = warps * width * sizeof(double);
        launch(aligned ? column_sums<true> : column_sums<false>, shape, stream, pass);
    } else {
        shape.blocks = dim3(blocks_of(pass.rows, warps * rows_of_lane) * chunks);
        launch(aligned && is_aligned(pass.g) && is_aligned(pass.w) ? row_sums<true> : row_sums<false>, shape, stream,
               pass);
    }
}

void launch_logits_kept(const Pairs<float>& pairs, const LogitTile<float>& tile, cudaStream_t stream) {
    const unsigned squares = blocks_of(pairs.summed.rows, edge);
    Shape shape;
    shape.blocks = dim3(blocks_of(pairs.staying.rows, edge) * squares);
    shape.threads = dim3(edge, edge_rows);
    shape.shared = pairs.kept.transposed ? edge * (edge + 1) * sizeof(float) : 0;
    launch(pairs.kept.transposed ? kept_logits<true> : kept_logits<false>, shape, stream, pairs, tile, squares);
}

}  // namespace convoy::cuda
