// Sums of products of few dimensions: w 2^(f + g + <x, y>), d <= 16, in fp32.
//
// Idea       A thread keeps eight staying points, their f and their sums in registers; the summed points, (y, g, w)
//            side by side, come through shared memory, where all threads read the same one. A pair is then d
//            multiply-adds that begin at g, one addition (f), one exponential and one multiply-add (w).
// Limit      Instructions: d + 3 a pair and lane, of which a multiprocessor issues 128 a clock, and the special
//            function units' 16 exponentials a clock. Up to three dimensions these are the bound: a share of the
//            exponentials is a polynomial instead (exp2.hpp), 11 instructions more.
// Reference  Zadouri et al. (2026), FlashAttention-4: exponentials shared out between the two units.
// Launched   128 threads, 1024 staying points a block; 4 to 20 KiB of shared memory.
//
// Instructions of the inner loop as compiled for sm_90, a pair and lane; s is the share of polynomials. The FMA pipe
// takes multiply-adds, additions and products; beside them there are clamps, loads (one for four numbers of a summed
// point, and eight pairs) and the loop. Bounds in pairs a clock and multiprocessor, and of 132 of them at 1.755 GHz:
//
//      d   s      FMA pipe  special  all     by issue  by special  pairs/s   registers
//      1   3/16        4.9     0.81   6.4        20.1        19.7   4.6e12          64
//      2   2/16        5.1     0.88   6.7        19.1        18.3   4.2e12          71
//      3   1/16        5.6     0.94   7.1        18.0        17.1   4.0e12          80
//      4   0           6       1      7.4        17.4        16     3.7e12          96
//      8   0          10       1     11.5        11.1        16     2.6e12         128
//     16   0          18       1     19.8         6.5        16     1.5e12         223
//
// Versions, d = 2, in pairs a clock and multiprocessor:
//
//      8      A thread a row, y, g and w from global memory: four loads a pair, a warp's load a clock.
//      8..16  y, g, w side by side in shared memory: one load a pair, but one that fills four registers of every lane,
//             for which the load unit may need four clocks.
//     16      Eight rows a thread: a load serves eight pairs. The special function units are busy all the time, a
//             quarter of the issue slots is free.
//     18.3    Two of sixteen exponentials by polynomial, in the slots that were free.

#include <cuda_runtime.h>

#include <cstdint>

#include "kernels/cuda/device.hpp"
#include "kernels/cuda/exp2.hpp"
#include "kernels/cuda/instructions.hpp"
#include "kernels/cuda/staging.hpp"
#include "kernels/cuda/tile.hpp"

namespace convoy::cuda {

namespace {

constexpr int threads = 128;
constexpr int thread_rows = 8;
constexpr int block_rows = threads * thread_rows;
static_assert(block_rows == rows_in_registers);
constexpr int tile_points = 128;
static_assert(2 * tile_points <= longest_run && tile_points == threads);

// Of 16 pairs (two summed points), those whose exponential is a polynomial: k such that 16 (d + 3) + 11 k issue slots
// and 8 (16 - k) clocks of the special function unit are about equal.
template <int D>
constexpr int polynomials_of_16 = D == 1   ? 3
                                  : D == 2 ? 2
                                  : D == 3 ? 1
                                           : 0;

// A summed point in shared memory: read as whole vectors.
template <int D>
struct Record {
    static constexpr int numbers = ceil_div(D + 2, 4) * 4;
    static constexpr int logit = D, weight = D + 1;
};

// A thread brings one point. Past the end there are points without mass.
template <int D>
__device__ void stage_points(const Operand<float>& side, int dimension, std::int64_t first, std::int64_t end,
                             float* tile) {
    float* const to = tile + threadIdx.x * Record<D>::numbers;
    const std::int64_t j = first + threadIdx.x;
    if (j < end) {
        const float* const y = side.points + j * dimension;
        for (int k = 0; k < dimension; ++k) copy_async_number_if(true, to + k, y + k);
        copy_async_number_if(true, to + Record<D>::logit, side.logits + j);
        copy_async_number_if(true, to + Record<D>::weight, side.weights + j);
    } else {
        for (int k = 0; k < dimension; ++k) to[k] = 0;
        to[Record<D>::logit] = static_cast<float>(no_mass);
        to[Record<D>::weight] = 0;
    }
}

template <int D>
struct Rows {
    float x[thread_rows][D], f[thread_rows], run[thread_rows] = {};

    // The terms of one summed point, the first `Polynomials` rows' by polynomial.
    template <int Polynomials>
    __device__ __forceinline__ void add(const float* record) {
        const auto y = load<Record<D>::numbers>(record);
#pragma unroll
        for (int r = 0; r < thread_rows; ++r) {
            float t = y.at[Record<D>::logit];
#pragma unroll
            for (int k = 0; k < D; ++k) t = x[r][k] * y.at[k] + t;
            t += f[r];
            const float power = r < Polynomials ? exp2_by_polynomial(t) : ex2(t);
            run[r] = y.at[Record<D>::weight] * power + run[r];
        }
    }
};

template <int D>
__device__ void load_rows(const Operand<float>& side, int dimension, std::int64_t first, Rows<D>& rows) {
#pragma unroll
    for (int r = 0; r < thread_rows; ++r) {
        const std::int64_t i = smaller(first + r * threads, side.rows - 1);
#pragma unroll
        for (int k = 0; k < D; ++k) rows.x[r][k] = k < dimension ? side.points[i * dimension + k] : 0.0f;
        rows.f[r] = side.logits[i];
    }
}

template <int D>
__device__ __forceinline__ void add_tile(const float* tile, Rows<D>& rows) {
    constexpr int polynomials = polynomials_of_16<D>, half = polynomials / 2, numbers = Record<D>::numbers;
#pragma unroll 2
    for (int j = 0; j < tile_points; j += 2) {
        rows.template add<polynomials - half>(tile + j * numbers);
        rows.template add<half>(tile + (j + 1) * numbers);
    }
}

template <int D>
__global__ void __launch_bounds__(threads) register_sums_kernel(Pairs<float> pairs, Cut cut, double* partial) {
    constexpr int tile_numbers = tile_points * Record<D>::numbers;
    float* const shared = reinterpret_cast<float*>(dynamic_shared());
    const auto dimension = static_cast<int>(pairs.dimension);
    const std::int64_t begin = static_cast<std::int64_t>(blockIdx.y) * cut.chunk;
    const std::int64_t end = smaller(begin + cut.chunk, pairs.summed.rows);
    const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * block_rows + threadIdx.x;
    for (int i = threadIdx.x; i < 2 * tile_numbers; i += threads) shared[i] = 0;  // the padding stays
    __syncthreads();
    Rows<D> rows;
    load_rows(pairs.staying, dimension, row, rows);
    double sums[thread_rows] = {};

    if (begin < end) stage_points<D>(pairs.summed, dimension, begin, end, shared);
    commit_copies();
    int at = 0;
    for (std::int64_t first = begin; first < end; first += tile_points, at ^= 1) {
        wait_for_copies<0>();
        __syncthreads();
        const std::int64_t next = first + tile_points;
        if (next < end) stage_points<D>(pairs.summed, dimension, next, end, shared + (at ^ 1) * tile_numbers);
        commit_copies();
        add_tile(shared + at * tile_numbers, rows);
        if (at == 0 && next < end) continue;  // two tiles are one run
#pragma unroll
        for (int r = 0; r < thread_rows; ++r) {
            sums[r] += static_cast<double>(rows.run[r]);
            rows.run[r] = 0;
        }
    }
    for (int r = 0; r < thread_rows; ++r) {
        const std::int64_t i = row + r * threads;
        if (i < pairs.staying.rows) partial[blockIdx.y * pairs.staying.rows + i] = sums[r];
    }
}

template <int D>
void launch_padded(const Pairs<float>& pairs, const Cut& cut, double* partial, cudaStream_t stream) {
    const Shape shape{dim3{static_cast<unsigned>(ceil_div<std::int64_t>(pairs.staying.rows, block_rows)),
                           static_cast<unsigned>(cut.chunks)},
                      dim3{threads}, 2 * tile_points * Record<D>::numbers * sizeof(float)};
    launch(register_sums_kernel<D>, shape, stream, pairs, cut, partial);
}

}  // namespace

// Dimensions between those that have a kernel are padded with zeros.
void launch_sums_in_registers(const Pairs<float>& pairs, const Cut& cut, double* partial, cudaStream_t stream) {
    const auto launcher = [&] {
        switch (pairs.dimension) {
            case 1:
                return launch_padded<1>;
            case 2:
                return launch_padded<2>;
            case 3:
                return launch_padded<3>;
            case 4:
                return launch_padded<4>;
            case 5:
                return launch_padded<5>;
            case 6:
                return launch_padded<6>;
            case 7:
                return launch_padded<7>;
            case 8:
                return launch_padded<8>;
            default:
                return pairs.dimension <= 10   ? launch_padded<10>
                       : pairs.dimension <= 12 ? launch_padded<12>
                                               : launch_padded<16>;
        }
    }();
    launcher(pairs, cut, partial, stream);
}

}  // namespace convoy::cuda
