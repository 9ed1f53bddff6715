#pragma once
// How blocks of a row-major matrix come to shared memory: by asynchronous copies, while the block of threads computes
// on what the copies before have brought (cp.async; CUDA C++ Programming Guide, "Asynchronous Data Copies"). 16 bytes a
// copy where the matrix allows it, else 8 or 4.

#include <cuda_runtime.h>

#include <cstdint>

#include "kernels/cuda/instructions.hpp"

namespace convoy::cuda {

template <class Integer>
__host__ __device__ constexpr Integer ceil_div(Integer a, Integer b) {
    return (a + b - 1) / b;
}
__device__ inline std::int64_t smaller(std::int64_t a, std::int64_t b) {
    return a < b ? a : b;
}

// W numbers that are loaded together.
template <class T, int W>
struct alignas(W * sizeof(T) % 16 == 0 ? 16 : W * sizeof(T)) Numbers {
    T at[W];
};
template <int W, class T>
__device__ inline Numbers<T, W> load(const T* from) {
    return *reinterpret_cast<const Numbers<T, W>*>(from);
}
template <class T>
constexpr int numbers_of_vector = static_cast<int>(16 / sizeof(T));

template <class T>
struct Matrix {
    const T* data = nullptr;
    std::int64_t rows = 0, columns = 0, stride = 0;

    // How many numbers can be copied together: every row begins at a multiple of them.
    __device__ int together() const {
        for (int numbers = numbers_of_vector<T>; numbers > 1; numbers /= 2) {
            const bool begins = reinterpret_cast<std::uintptr_t>(data) % (numbers * sizeof(T)) == 0;
            if (begins && stride % numbers == 0) return numbers;
        }
        return 1;
    }
};

// The block of Rows x Columns numbers at (row, column), Pitch numbers a row in shared memory, of which the first
// `wanted` columns will be looked at. For rows past the matrix's end stands some other row, for columns past it 0.
// `column`, `wanted` and Pitch are whole vectors. Together: numbers a copy.
template <int Together, int Rows, int Columns, int Pitch, int Threads, class T>
__device__ __forceinline__ void stage_by(T* block, const Matrix<T>& from, std::int64_t row, std::int64_t column,
                                         int wanted) {
    constexpr int pieces = Columns / Together, step = Threads / pieces;  // of a row; rows of one round
    static_assert(Columns % Together == 0 && Threads % pieces == 0 && Rows % step == 0);
    const unsigned thread = thread_index();
    const int c = static_cast<int>(thread % pieces) * Together, first = static_cast<int>(thread / pieces);
    if (c >= wanted) return;
    const auto there = static_cast<int>(smaller(from.columns - column, wanted)) - c;
    const int bytes = min(max(there, 0), Together) * static_cast<int>(sizeof(T));
    const auto last = static_cast<int>(smaller(from.rows - row, Rows)) - 1;
    const auto stride = static_cast<std::int32_t>(from.stride);
    const T* source = from.data + row * from.stride + column + (bytes > 0 ? c : 0) +
                      static_cast<std::int64_t>(min(first, last)) * stride;
    T* to = block + first * Pitch + c;
    // The usual case is worth its instructions.
    constexpr int rounds = Rows / step, unrolled = Together == numbers_of_vector<T> ? rounds : 1;
#pragma unroll(unrolled)
    for (int round = 0; round < rounds; ++round, to += step * Pitch) {
        copy_async_begin<Together * sizeof(T)>(bytes, to, source);
        if (first + (round + 1) * step <= last) source += step * static_cast<std::int64_t>(stride);
    }
}

template <int Rows, int Columns, int Pitch, int Threads, class T>
__device__ __forceinline__ void stage(T* block, const Matrix<T>& from, int together, std::int64_t row,
                                      std::int64_t column, int wanted = Columns) {
    if constexpr (numbers_of_vector<T> == 4) {
        if (together == 4) return stage_by<4, Rows, Columns, Pitch, Threads>(block, from, row, column, wanted);
    }
    if (together == 2) return stage_by<2, Rows, Columns, Pitch, Threads>(block, from, row, column, wanted);
    stage_by<1, Rows, Columns, Pitch, Threads>(block, from, row, column, wanted);
}

// Where a lane works within its warp's tile: 4 x 8 lanes. Two rows beside one another in neighbouring lanes, so that
// half a warp reads 8 different columns and 2 different rows: 16-byte loads of either then take two passes over the
// banks, not four (the interleaved lane layout of CUTLASS' SIMT products).
constexpr int lane_rows = 4, lane_columns = 8;
struct LanePlace {
    int row, column;
    __device__ LanePlace()
        : row{static_cast<int>(threadIdx.x % 32 / 16 * 2 + threadIdx.x % 2)},
          column{static_cast<int>(threadIdx.x % 16 / 2)} {}
};

}  // namespace convoy::cuda
