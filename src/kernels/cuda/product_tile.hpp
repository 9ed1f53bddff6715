#pragma once
// One tile of products of split points: how it comes to shared memory and from there to the tensor cores, and in which
// order these add it up (product_loop.hpp has the loop around it).
//
//     tile         a block's staying points against 128 summed points; of a warp 64 or 32 against 64
//     slice        64, or 32, coordinates of a tile's points on one side: high, then low
//     step         16 coordinates of a slice, as tensor cores take them
//
// Precision. Tensor cores multiply exactly and add in fp32, but truncate where IEEE rounds: errors are up to a unit of
// the last place a step, and all of one sign (Fasi, Higham, Mikaitis, Pranesh 2021). Ootomo and Yokota (2022) therefore
// let them sum few products only and add up their sums with ordinary additions. Here a sum of tensor cores is that of a
// step: the small products first, high low and low high, together some 2^-10 of the whole, whose truncations do not
// show, then high high, with one truncation (two before Hopper). These sums are joined in round-to-nearest fp32. Up to
// 32 coordinates two steps go together, small products first: there exponentials and additions are what takes the time.
// Root mean square errors, those of an fp32 sum of the same points being 1, of standard normal points and of their
// absolute values, from a model of the units (A100; Hopper):
//
//                             d = 32        64            784          32, positive    64            784
//     as above                0.9; 0.8      0.7; 0.6      0.3; 0.3     2.2; 1.0        0.8; 0.6      0.3; 0.3
//     all in order of k       1.5; 1.1      2.2; 1.7      7; 6         2.8; 1.5        5.4; 2.8      28; 15
//
// Shared memory. 128 bytes, eight units of 16, lie in all banks; they are one row of a slice of 64 coordinates, two of
// one of 32. Unit u of line r lies at u ^ (r mod 8), or u ^ (r mod 4) where there are two rows in a line: the eight
// rows that an ldmatrix reads are then in different banks, and so are the units that eight lanes copy.

#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstdint>

#include "kernels/cuda/instructions.hpp"
#include "kernels/cuda/tile.hpp"

namespace convoy::cuda::products {

constexpr int side = 128;  // summed points of a tile
constexpr int warp_columns = 64;

// Blocks: of 16 staying points each, a warp's; warps go two by two beside one another. Together: blocks of threads on a
// multiprocessor. Depth: coordinates of a slice.
template <int Blocks, int Warps, int Together, int Depth>
struct Form {
    static constexpr int blocks = Blocks;
    static constexpr int rows = 16 * Blocks * Warps / 2;  // staying points of a tile
    static constexpr int threads = 32 * Warps;
    static constexpr int together = Together;
    static constexpr int depth = Depth;
    static constexpr int row_bytes = Depth * 2;
    static constexpr int x_bytes = 2 * rows * row_bytes;  // of a slice of staying points
    static constexpr int y_bytes = 2 * side * row_bytes;
};

// --- To shared memory ------------------------------------------------------------------------------------------------

// Where unit u of a row of Depth coordinates lies, from the slice's begin on.
template <int Depth>
__device__ constexpr int place_of_unit(int row, int unit) {
    if constexpr (Depth == 64) return row * 128 + ((unit ^ (row % 8)) << 4);
    static_assert(Depth == 64 || Depth == 32);
    return row / 2 * 128 + (((row % 2 * 4 + unit) ^ (row / 2 % 4)) << 4);
}

// Starts to copy the first `Wanted` of Depth coordinates, from k on, of `Rows` points from `first` on. Instead of
// points that are not there, the last.
template <int Rows, int Threads, int Depth, int Wanted = Depth>
__device__ inline void copy_slice(const SplitPoints& points, std::int64_t first, std::int64_t end, int k,
                                  unsigned char* to) {
    constexpr int units = Wanted / 8, rows_together = Threads / units;
    static_assert(Rows % rows_together == 0 && rows_together % 8 == 0);
    const int unit = threadIdx.x % units, row = threadIdx.x / units;
    const int last = static_cast<int>(min(end - first, static_cast<std::int64_t>(Rows))) - 1;
    // One 64-bit address for all threads, small offsets from it: registers are scarce.
    const std::int64_t begin = first * points.stride + k;
    const char* const high = reinterpret_cast<const char*>(points.high + begin);
    const char* const low = reinterpret_cast<const char*>(points.low + begin);
    const unsigned stride = static_cast<unsigned>(points.stride) * 2;
    unsigned char* const place = to + place_of_unit<Depth>(row, unit);
#pragma unroll 2
    for (int r = 0; r < Rows; r += rows_together) {
        const unsigned from = static_cast<unsigned>(min(row + r, last)) * stride + unit * 16;
        copy_async_16(place + r * Depth * 2, high + from);
        copy_async_16(place + (r + Rows) * Depth * 2, low + from);
    }
}

// A number of each column for an epilogue, and what stands for it beyond the last column. Null: that everywhere.
struct ColumnArray {
    const float* data = nullptr;
    float missing = 0;
};
__device__ inline void copy_number(const ColumnArray& from, std::int64_t j, std::int64_t end, float* to) {
    if (from.data != nullptr && j < end) {
        copy_async_begin<4>(4, to, from.data + j);
    } else {
        *to = from.missing;
    }
}

// --- A warp's tile ---------------------------------------------------------------------------------------------------

// A thread's place in it. Of block m and columns 8 n ..: c[m][n][2 h + e] belongs to row 16 m + 8 h + lane / 4 and
// column 8 n + 2 (lane mod 4) + e.
struct Lane {
    int x, y;            // bytes from a slice's begin to the line in which is the row that the lane names to ldmatrix
    int x_unit, y_unit;  // 16 times the unit there, of step 0

    // Formed again wherever they are wanted: registers are scarce in the main loop.
    template <class Form>
    __device__ static int row() {  // the warp's first in the tile
        return static_cast<int>(threadIdx.x / 64 * 16 * Form::blocks);
    }
    __device__ static int column() { return static_cast<int>(threadIdx.x / 32 % 2 * warp_columns); }
    __device__ static int quad() { return static_cast<int>(threadIdx.x % 32 / 4); }
    __device__ static int in_quad() { return static_cast<int>(threadIdx.x % 4); }
};

template <class Form>
__device__ inline Lane lane_of_thread() {
    const int lane = threadIdx.x % 32;
    // x: rows 0 - 7, rows 8 - 15, and both again 8 coordinates on; y: 8 coordinates on, then rows 8 - 15.
    const int x = place_of_unit<Form::depth>(Lane::row<Form>() + lane % 16, lane / 16);
    const int y = place_of_unit<Form::depth>(Lane::column() + lane / 16 * 8 + lane % 8, lane / 8 % 2);
    return {x & ~127, y & ~127, x & 127, y & 127};
}

template <int Blocks>
using Sums = float[Blocks][8][4];

// Of a warp's staying points, and of 16 of its summed ones.
template <int Blocks>
using XStep = std::uint32_t[Blocks][4];
using YStep = std::uint32_t[4];

template <class Form>
__device__ inline void load_x(const unsigned char* slice, const Lane& lane, int step, XStep<Form::blocks>& to) {
    const unsigned char* const from = slice + lane.x + (lane.x_unit ^ (step << 5));
#pragma unroll
    for (int m = 0; m < Form::blocks; ++m) load_matrices(to[m], from + m * 16 * Form::row_bytes);
}
template <class Form>
__device__ inline void load_y(const unsigned char* slice, const Lane& lane, int step, int n, YStep& to) {
    load_matrices(to, slice + lane.y + (lane.y_unit ^ (step << 5)) + n * 8 * Form::row_bytes);
}
template <int Blocks, int Columns>
__device__ inline void multiply_add(const XStep<Blocks>& x, const YStep& y, int n, float (&c)[Blocks][Columns][4]) {
#pragma unroll
    for (int m = 0; m < Blocks; ++m) {
        cuda::multiply_add(c[m][n], x[m], y[0], y[1]);
        cuda::multiply_add(c[m][n + 1], x[m], y[2], y[3]);
    }
}

template <int Blocks, int Columns>
__device__ inline void set_zero(float (&c)[Blocks][Columns][4]) {
#pragma unroll
    for (int m = 0; m < Blocks; ++m) {
#pragma unroll
        for (int n = 0; n < Columns; ++n) {
#pragma unroll
            for (int e = 0; e < 4; ++e) c[m][n][e] = 0;
        }
    }
}

// c += the products of a step, which have sums of their own before they join c. 16 columns at a time: of all of them
// the registers would be too few.
template <class Form>
__device__ inline void add_step(const unsigned char* x, const unsigned char* y, const Lane& lane, int step,
                                Sums<Form::blocks>& c) {
    XStep<Form::blocks> x_high, x_low;
    load_x<Form>(x, lane, step, x_high);
    load_x<Form>(x + Form::x_bytes / 2, lane, step, x_low);
#pragma unroll
    for (int n = 0; n < 8; n += 2) {
        YStep y_high, y_low;
        load_y<Form>(y, lane, step, n, y_high);
        load_y<Form>(y + Form::y_bytes / 2, lane, step, n, y_low);
        float part[Form::blocks][2][4];
        set_zero(part);
        multiply_add<Form::blocks>(x_low, y_high, 0, part);
        multiply_add<Form::blocks>(x_high, y_low, 0, part);
        multiply_add<Form::blocks>(x_high, y_high, 0, part);
#pragma unroll
        for (int m = 0; m < Form::blocks; ++m) {
#pragma unroll
            for (int e = 0; e < 4; ++e) {
                c[m][n][e] += part[m][0][e];
                c[m][n + 1][e] += part[m][1][e];
            }
        }
    }
}

// c += the products of the first two steps, the small ones of both first.
template <class Form>
__device__ inline void add_two_steps(const unsigned char* x, const unsigned char* y, const Lane& lane,
                                     Sums<Form::blocks>& c) {
    XStep<Form::blocks> x_high[2], x_low[2];
#pragma unroll
    for (int s = 0; s < 2; ++s) {
        load_x<Form>(x, lane, s, x_high[s]);
        load_x<Form>(x + Form::x_bytes / 2, lane, s, x_low[s]);
    }
#pragma unroll
    for (int n = 0; n < 8; n += 2) {
        YStep y_high[2], y_low[2];
#pragma unroll
        for (int s = 0; s < 2; ++s) {
            load_y<Form>(y, lane, s, n, y_high[s]);
            load_y<Form>(y + Form::y_bytes / 2, lane, s, n, y_low[s]);
            multiply_add<Form::blocks>(x_low[s], y_high[s], n, c);
            multiply_add<Form::blocks>(x_high[s], y_low[s], n, c);
        }
#pragma unroll
        for (int s = 0; s < 2; ++s) multiply_add<Form::blocks>(x_high[s], y_high[s], n, c);
    }
}

}  // namespace convoy::cuda::products
