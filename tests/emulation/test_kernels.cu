#include "test_kernels.hpp"

#include "kernels/cuda/instructions.hpp"

namespace test_kernels {

using namespace convoy::cuda;

__global__ void sum_in_shared(const float* x, std::int64_t n, float* sums) {
    __shared__ float part[block_size];
    const std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    part[threadIdx.x] = i < n ? x[i] : 0.0f;
    __syncthreads();
    for (unsigned half = block_size / 2; half > 0; half /= 2) {
        if (threadIdx.x < half) part[threadIdx.x] += part[threadIdx.x + half];
        __syncthreads();
    }
    if (threadIdx.x == 0) sums[blockIdx.x] = part[0];
}

template <class T>
__device__ __forceinline__ T sum_over_warp(T x) {
#pragma unroll
    for (int step = 16; step > 0; step /= 2) x += __shfl_xor_sync(0xffffffffu, x, step);
    return x;
}

__global__ void __launch_bounds__(block_size) sum_with_shuffles(const float* x, std::int64_t n, float* sums) {
    __shared__ double of_warp[block_size / 32];
    const std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    const double sum = sum_over_warp(i < n ? static_cast<double>(x[i]) : 0.0);
    if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = sum;
    __syncthreads();
    if (threadIdx.x < 32) {
        const double total = sum_over_warp(threadIdx.x < block_size / 32 ? of_warp[threadIdx.x] : 0.0);
        if (threadIdx.x == 0) sums[blockIdx.x] = static_cast<float>(total);
    }
}

__global__ void twice_with_copies(const float4* x, std::int64_t n, float4* y) {
    float4* const stages = reinterpret_cast<float4*>(dynamic_shared());
    const std::int64_t tiles = (n + blockDim.x - 1) / blockDim.x;
    const auto fetch = [&](std::int64_t tile) {
        const std::int64_t i = tile * blockDim.x + threadIdx.x;
        const bool there = tile < tiles && i < n;
        copy_async_16_if(there, &stages[tile % 2 * blockDim.x + threadIdx.x], there ? &x[i] : x);
        commit_copies();
    };
    fetch(0);
    for (std::int64_t tile = 0; tile < tiles; ++tile) {
        fetch(tile + 1);
        wait_for_copies<1>();
        __syncthreads();
        // A neighbour's, so that the barriers matter.
        const unsigned other = blockDim.x - 1 - threadIdx.x;
        const float4 v = stages[tile % 2 * blockDim.x + other];
        const std::int64_t i = tile * blockDim.x + other;
        if (i < n) y[i] = make_float4(2 * v.x, 2 * v.y, 2 * v.z, 2 * v.w);
        __syncthreads();
    }
}

__global__ void small_product(const __half* a, const __half* b, float* d) {
    __half* const a_rows = reinterpret_cast<__half*>(dynamic_shared());  // 16 x 24
    __half* const b_rows = a_rows + 16 * 24;                             // 16 x 8
    const int lane = static_cast<int>(threadIdx.x);
    copy_async_16(a_rows + lane / 2 * 24 + lane % 2 * 8, a + lane * 8);
    if (lane < 16) copy_async_16(b_rows + lane * 8, b + lane * 8);
    commit_copies();
    wait_for_copies<0>();
    __syncwarp();
    std::uint32_t left[4], right[4];
    // Matrices 0 to 3: rows 0 to 7 and 8 to 15 of columns 0 to 7, then of columns 8 to 15.
    load_matrices(left, a_rows + lane % 16 * 24 + lane / 16 * 8);
    // The two halves of b, each twice: the fragment wants columns, and rows lie there.
    load_matrices_transposed(right, b_rows + lane % 16 * 8);
    float c[4] = {};
    multiply_add(c, left, right[0], right[1]);
    const int row = lane / 4, column = lane % 4 * 2;
    d[row * 8 + column] = c[0];
    d[row * 8 + column + 1] = c[1];
    d[(row + 8) * 8 + column] = c[2];
    d[(row + 8) * 8 + column + 1] = c[3];
}

__global__ void reverse(float* x, int per_block) {
    float* const kept = reinterpret_cast<float*>(dynamic_shared());
    float* const mine = x + std::int64_t{blockIdx.x} * per_block;
    for (int i = static_cast<int>(threadIdx.x); i < per_block; i += static_cast<int>(blockDim.x)) kept[i] = mine[i];
    __syncthreads();
    for (int i = static_cast<int>(threadIdx.x); i < per_block; i += static_cast<int>(blockDim.x)) {
        mine[i] = kept[per_block - 1 - i];
    }
}

__global__ void votes(const int* x, unsigned* ballots, int* firsts) {
    const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    const unsigned ballot = __ballot_sync(0xffffffffu, x[i] > 0);
    if (threadIdx.x % 32 == 0) ballots[i / 32] = ballot;
    firsts[i] = __shfl_sync(0xffffffffu, x[i], 0);
}

__global__ void fill(float* x, std::int64_t n, float value) {
    const std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    if (i < n) x[i] = value;
}

__global__ void add_one(float* x, std::int64_t n) {
    const std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    if (i < n) x[i] += 1.0f;
}

__global__ void powers_of_two(const float* t, float* result, int n) {
    const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    if (i < n) result[i] = ex2(t[i]);
}

__global__ void count(const int* x, int n, int* counts) {
    __shared__ int of_block[32];
    if (threadIdx.x < 32) of_block[threadIdx.x] = 0;
    __syncthreads();
    const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    if (i < n) atomicAdd(&of_block[x[i]], 1);
    __syncthreads();
    if (threadIdx.x < 32) atomicAdd(&counts[threadIdx.x], of_block[threadIdx.x]);
}

__global__ void write_past_the_end(float* x, std::int64_t n) {
    x[n + threadIdx.x] = 1.0f;
}

__global__ void write_past_shared(float* x) {
    float* const kept = reinterpret_cast<float*>(dynamic_shared());
    kept[threadIdx.x + 1] = x[threadIdx.x];
}

__global__ void read_before_copied(const float4* x, float4* y) {
    float4* const kept = reinterpret_cast<float4*>(dynamic_shared());
    copy_async_16(&kept[threadIdx.x], &x[threadIdx.x]);
    commit_copies();
    y[threadIdx.x] = kept[threadIdx.x];
    wait_for_copies<0>();
}

__global__ void barrier_for_some(float* x) {
    if (threadIdx.x >= 32) return;
    __syncthreads();
    x[threadIdx.x] = 1.0f;
}

__global__ void barriers_in_two_places(float* x) {
    if (threadIdx.x < 32) {
        __syncthreads();
        x[threadIdx.x] = 1.0f;
    } else {
        __syncthreads();
    }
}

__global__ void shuffle_for_some(float* x) {
    float value = x[threadIdx.x];
    if (threadIdx.x % 32 != 7) value = __shfl_xor_sync(0xffffffffu, value, 1);
    __syncthreads();
    x[threadIdx.x] = value;
}

__global__ void race(int* x) {
    const unsigned next = (threadIdx.x + 1) % blockDim.x;
    x[threadIdx.x] = x[next] + 1;
}

__global__ void read_unwritten_shared(float* x, float* y) {
    __shared__ float some[block_size];
    float* const more = reinterpret_cast<float*>(dynamic_shared());
    if (threadIdx.x == 0) some[0] = more[0] = 1.0f;
    __syncthreads();
    x[threadIdx.x] = some[threadIdx.x];
    y[threadIdx.x] = more[threadIdx.x];
}

__global__ void misaligned_copy(const float* x) {
    copy_async_16(dynamic_shared(), x + 1);
    commit_copies();
    wait_for_copies<0>();
}

__global__ void misaligned_vector(const float* x, float4* y) {
    y[threadIdx.x] = *reinterpret_cast<const float4*>(x + 4 * threadIdx.x + 1);
}

__global__ void last_block(int* number) {
    *number = static_cast<int>(blockIdx.x);
}

__global__ void reuse_without_barrier(const float* x, float* y) {
    __shared__ float kept[block_size];
    float sum = 0;
    for (int turn = 0; turn < 2; ++turn) {
        kept[threadIdx.x] = x[turn * block_size + threadIdx.x];
        __syncthreads();
        sum += kept[(threadIdx.x + 1) % block_size];
    }
    y[threadIdx.x] = sum;
}

__global__ void order_by_vote(int* x) {
    __shared__ int kept[32];
    kept[threadIdx.x] = x[threadIdx.x];
    __ballot_sync(0xffffffffu, 1);
    x[threadIdx.x] = kept[31 - threadIdx.x];
}

__global__ void order_by_syncwarp(int* x) {
    __shared__ int kept[32];
    kept[threadIdx.x] = x[threadIdx.x];
    __syncwarp();
    x[threadIdx.x] = kept[31 - threadIdx.x];
}

__global__ void fetch_too_early(const float4* x, float4* y) {
    float4* const kept = reinterpret_cast<float4*>(dynamic_shared());
    for (unsigned tile = 0; tile < 2; ++tile) {
        copy_async_16(&kept[threadIdx.x], &x[tile * blockDim.x + threadIdx.x]);
        commit_copies();
        wait_for_copies<0>();
        __syncthreads();
        y[tile * blockDim.x + threadIdx.x] = kept[blockDim.x - 1 - threadIdx.x];
    }
}

}  // namespace test_kernels
