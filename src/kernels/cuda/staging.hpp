#pragma once
// How blocks of a row-major matrix come to shared memory: by asynchronous copies, while the block of threads computes
// on what the copies before have brought (cp.async; CUDA C++ Programming Guide, "Asynchronous Data Copies"). 16 bytes a
// copy where the matrix allows it, one number a copy else.

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

    // Rows begin at multiples of 16 bytes.
    __device__ bool aligned() const {
        return reinterpret_cast<std::uintptr_t>(data) % 16 == 0 && stride % numbers_of_vector<T> == 0;
    }
};

// The block of Rows x Columns numbers at (row, column), Pitch numbers a row in shared memory, of which the first
// `wanted` columns will be looked at. Rows past the matrix's end are its last one again, columns past it are 0.
// `column`, `wanted` and Pitch are whole vectors.
template <int Rows, int Columns, int Pitch, int Threads, class T>
__device__ inline void stage(T* block, const Matrix<T>& from, bool aligned, std::int64_t row, std::int64_t column,
                             int wanted = Columns) {
    const T* const corner = from.data + row * from.stride + column;
    const auto last = static_cast<int>(smaller(from.rows - row, Rows)) - 1;
    const auto there = static_cast<int>(smaller(from.columns - column, wanted));
    const auto stride = static_cast<std::int32_t>(from.stride);  // one instruction an address
    const auto address = [&](const T* source, int r) {
        return source + static_cast<std::int64_t>(min(r, last)) * stride;
    };
    const unsigned thread = threadIdx.x;
    if (aligned) {
        constexpr int width = numbers_of_vector<T>, vectors = Columns / width;
        static_assert(Threads % vectors == 0);
        const int c = static_cast<int>(thread % vectors) * width;
        if (c >= wanted) return;
        const int bytes = min(max(there - c, 0), width) * static_cast<int>(sizeof(T));
        const T* const source = corner + (bytes > 0 ? c : 0);
#pragma unroll
        for (int first = 0; first < Rows; first += Threads / vectors) {
            const int r = first + static_cast<int>(thread / vectors);
            if (Rows % (Threads / vectors) != 0 && r >= Rows) break;
            copy_async_16_begin(bytes, block + r * Pitch + c, address(source, r));
        }
    } else {
        static_assert(Threads % Columns == 0);
        const int c = static_cast<int>(thread % Columns);
        if (c >= wanted) return;
        const T* const source = corner + (c < there ? c : 0);
#pragma unroll 1
        for (int r = static_cast<int>(thread / Columns); r < Rows; r += Threads / Columns) {
            copy_async_number_if(c < there, block + r * Pitch + c, address(source, r));
        }
    }
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
