#pragma once
// Averages of columns in one kernel, from which nothing but the averages comes out (apply_columns.cu):
//
//     max_i = max_j t_ij,   sum_i = sum_j w_j 2^(t_ij - max_i),   value_ik = sum_j w_j 2^(t_ij - max_i) v_jk
//
// What a call needs: launch_split_columns() once; for every pair of portions launch_average_split() and
// launch_join_averages(); in the shifted form launch_unshift().

#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstdint>

#include "kernels/cuda/tile.hpp"

namespace convoy::cuda {

// Wider averages are better made of tiles of terms: every 64 columns here, the products are computed again.
constexpr std::int64_t widest_average = 256;

// v as tensor cores take it: v_jk = 2^-(exponent of column k) (high + low), the exponent such that the column's largest
// number lies in [2^8, 2^9); stride at least `width`, a multiple of 64.
struct SplitColumns {
    SplitPoints split;
    const float* largest = nullptr;  // max_j |v_jk|, width numbers
    std::int64_t width = 0;
};
// v: rows x width, about the columns' means. largest: width numbers; high, low: rows x stride, 16-byte aligned.
void launch_split_columns(const float* v, std::int64_t rows, std::int64_t width, float* largest, __half* high,
                          __half* low, std::int64_t stride, cudaStream_t stream);

// Sums and values carry 2^-maximum. maximum: no_mass or less where no summed point had mass.
struct ChunkAverages {
    float* maximum = nullptr;  // rows
    double* sums = nullptr;    // rows
    double* values = nullptr;  // rows x width
};
// Whether this process's device has the shared memory for it: 137 KiB a block.
bool averages_fit();
// `partial`: those of each chunk, [chunk rows + row]. Any dimension; pairs as for launch_sums_split().
void launch_average_split(const Pairs<float>& pairs, const SplitColumns& v, const Cut& cut,
                          const ChunkAverages& partial, cudaStream_t stream);
// `all` becomes the averages over what it was of and all chunks, in this order. It begins as no_mass, 0 and 0.
void launch_join_averages(const ChunkAverages& partial, int chunks, std::int64_t rows, std::int64_t width,
                          const ChunkAverages& all, cudaStream_t stream);
// Sums and values without 2^-maximum: the shifted form.
void launch_unshift(const ChunkAverages& all, std::int64_t rows, std::int64_t width, cudaStream_t stream);

}  // namespace convoy::cuda
