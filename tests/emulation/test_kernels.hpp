#pragma once
// Small kernels, right ones and wrong ones, as CUDA C++ that nvcc compiles, too.

#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstdint>

namespace test_kernels {

constexpr int block_size = 256;

// --- Right ----------------------------------------------------------------------------------------------------------

// sums[b] = sum of block b's share of x; in shared memory, with barriers.
__global__ void sum_in_shared(const float* x, std::int64_t n, float* sums);
// Likewise with shuffles within warps.
__global__ void sum_with_shuffles(const float* x, std::int64_t n, float* sums);
// y = 2 x, through a pipeline of asynchronous copies of 16 bytes; dynamic shared memory: 2 blockDim.x float4.
__global__ void twice_with_copies(const float4* x, std::int64_t n, float4* y);
// d (16 x 8) = a (16 x 16, row-major) b (16 x 8, row-major), one warp; dynamic shared memory: 16 (24 + 8) fp16.
__global__ void small_product(const __half* a, const __half* b, float* d);
// Reverses each block's `per_block` floats, which go into dynamic shared memory.
__global__ void reverse(float* x, int per_block);
// ballots[warp], for predicate x[i] > 0; firsts[i]: the first lane's x.
__global__ void votes(const int* x, unsigned* ballots, int* firsts);
__global__ void fill(float* x, std::int64_t n, float value);
__global__ void add_one(float* x, std::int64_t n);
__global__ void powers_of_two(const float* t, float* result, int n);
// counts[x[i]] += 1, through counters of the block in shared memory; x[i] < 32.
__global__ void count(const int* x, int n, int* counts);

// --- Wrong ----------------------------------------------------------------------------------------------------------

__global__ void write_past_the_end(float* x, std::int64_t n);
__global__ void write_past_shared(float* x);
__global__ void read_before_copied(const float4* x, float4* y);
__global__ void barrier_for_some(float* x);
__global__ void barriers_in_two_places(float* x);
__global__ void shuffle_for_some(float* x);
// Each thread reads its neighbour's number; the barrier that should be between is missing.
__global__ void race(int* x);
__global__ void read_unwritten_shared(float* x, float* y);
__global__ void misaligned_copy(const float* x);
__global__ void misaligned_vector(const float* x, float4* y);
// The last block to come is the one whose number stays.
__global__ void last_block(int* number);
// Barriers are where they must be, but for one before shared memory is used once more.
__global__ void reuse_without_barrier(const float* x, float* y);
// One warp; its lanes rely on a vote to order what they do in shared memory, or on __syncwarp().
__global__ void order_by_vote(int* x);
__global__ void order_by_syncwarp(int* x);
// The second tile is fetched into the buffer that others may still read.
__global__ void fetch_too_early(const float4* x, float4* y);

}  // namespace test_kernels
