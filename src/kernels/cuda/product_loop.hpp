#pragma once
// The main loop of everything that needs <x, y> of all pairs: products of split points (split_points.hpp) on tensor
// cores, as precise as fp32. What becomes of the products is an epilogue's business (products.cu).
//
//     block of threads    128 staying points against one chunk of the summed points, tile after tile of 128
//     depth               64 coordinates at a time: a slice is 128 points x 64 coordinates, high and low, 32 KiB
//     narrow              d <= 64: 4 warps of 64 x 64 pairs, two blocks a multiprocessor: while the warps of one form
//                         exponentials, the other's keep the tensor cores busy
//     wide                d > 64: 8 warps of 32 x 64 pairs, one block a multiprocessor; the registers hold the sums of
//     32
//                         coordinates and the sums of all
//
// Precision. Tensor cores multiply exactly and add in fp32, but truncate where IEEE rounds: errors are up to a unit of
// the last place a step, and all of one sign. Ootomo and Yokota (2022) therefore let them sum few products only and add
// up their sums with ordinary additions. Here: of 32 coordinates first the 4 steps of the small products, high low and
// low high, some 2^-11 of the whole; then the 2 steps of high high: two truncations of a full sum a sum of 32
// coordinates, each at most 2^-23 of it. Sums of more than 64 coordinates are joined in round-to-nearest fp32; up to
// 64, two more steps and four small ones on top of the first are no worse than the 64 roundings of an fp32 sum.
//
// Shared memory. A slice's row is 128 bytes, eight units of 16; unit u of row r lies at u ^ (r mod 8). The eight rows
// that an ldmatrix reads are then in different banks, and so are the eight units that eight lanes copy.
//
// Traffic. A warp reads (rows + columns) of its tile, 16 coordinates high and low, for 3 products of 16 coordinates:
// shared memory gives 128 bytes a clock and multiprocessor, mma.sync about 1270 of the 2048 fp16 multiply-adds (Hopper
// reaches its peak with wgmma only):
//
//                        shared memory, of the time of products     from L2, of 24 bytes a clock and multiprocessor
//     narrow             62 %                                       13 bytes
//     wide, d <= 256     62 %                                       13 bytes: the staying tile is resident
//     wide, d = 1024     62 %                                       25 bytes: no longer; L2 and tensor cores in balance

#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstdint>

#include "kernels/cuda/instructions.hpp"
#include "kernels/cuda/tile.hpp"

namespace convoy::cuda::products {

constexpr int side = 128;  // points of a tile, either way
constexpr int depth = 64;  // coordinates of a slice
constexpr int row_bytes = depth * 2;
constexpr int half_bytes = side * row_bytes;
constexpr int slice_bytes = 2 * half_bytes;  // high, then low
constexpr int warp_columns = 64;
constexpr int number_bytes = 2 * side * 4;
constexpr int stages = 2;

// Blocks: of 16 staying points each, a warp's.
template <int Blocks_, int Warps, int Together>
struct Form {
    static constexpr int blocks = Blocks_;
    static constexpr int threads = 32 * Warps;
    static constexpr int together = Together;  // blocks of threads on a multiprocessor
};
using Narrow = Form<4, 4, 2>;
using Wide = Form<2, 8, 1>;

// A number of each column for the epilogue, and what stands for it beyond the last column. Null: that everywhere.
struct ColumnArray {
    const float* data = nullptr;
    float missing = 0;
};

struct Problem {
    SplitPoints staying, summed;
    std::int64_t rows = 0, columns = 0;
    int dimension = 0;
    int resident = 0;  // slices of the staying tile that stay in shared memory; wide only
    int group = 1;     // tiles of rows that run at a time: what they read again and again fits the L2 cache
    Cut cut;
    ColumnArray first, second;
};

// What a block of threads works on.
struct Place {
    std::int64_t row;          // its first
    std::int64_t column, end;  // its chunk of the columns
    int chunk, tiles;
};

// Groups of rows one after the other, in a group chunk after chunk.
__device__ inline Place place_of_block(const Problem& problem) {
    const unsigned row_tiles = static_cast<unsigned>((problem.rows + side - 1) / side);
    const unsigned whole = static_cast<unsigned>(problem.group) * static_cast<unsigned>(problem.cut.chunks);
    const unsigned first = blockIdx.x / whole * problem.group;
    const unsigned rest = blockIdx.x % whole;
    const unsigned size = min(static_cast<unsigned>(problem.group), row_tiles - first);
    Place place;
    place.row = static_cast<std::int64_t>(first + rest % size) * side;
    place.chunk = static_cast<int>(rest / size);
    place.column = min(static_cast<std::int64_t>(place.chunk) * problem.cut.chunk, problem.columns);
    place.end = min(place.column + problem.cut.chunk, problem.columns);
    place.tiles = static_cast<int>((place.end - place.column + side - 1) / side);
    return place;
}

// Starts to copy coordinates k to k + 63 of the points from `first` on. Instead of rows that are not there, the last.
template <int Threads>
__device__ inline void copy_slice(const SplitPoints& points, std::int64_t first, std::int64_t rows, int k,
                                  unsigned char* to) {
    const int unit = threadIdx.x % 8, row = threadIdx.x / 8;
    const int last = static_cast<int>(min(rows - first, static_cast<std::int64_t>(side))) - 1;
    // One 64-bit address for all threads, small offsets from it: registers are scarce.
    const std::int64_t begin = first * points.stride + k;
    const char* const high = reinterpret_cast<const char*>(points.high + begin);
    const char* const low = reinterpret_cast<const char*>(points.low + begin);
    const unsigned stride = static_cast<unsigned>(points.stride) * 2;
    unsigned char* const place = to + row * row_bytes + ((unit ^ (row % 8)) << 4);
#pragma unroll 2
    for (int r = 0; r < side; r += Threads / 8) {
        const unsigned from = static_cast<unsigned>(min(row + r, last)) * stride + unit * 16;
        copy_async_16(place + r * row_bytes, high + from);
        copy_async_16(place + r * row_bytes + half_bytes, low + from);
    }
}

// The numbers of a tile's columns, on their way from global to shared memory through registers.
template <int Threads>
class ColumnNumbers {
 public:
    __device__ void load(const Problem& problem, std::int64_t column, std::int64_t end) {
        const std::int64_t j = column + threadIdx.x % side;
#pragma unroll
        for (int e = 0; e < count; ++e) {
            // Not by reference: parameters have no address, unless they are copied to memory.
            const float* const data = kind(e) == 0 ? problem.first.data : problem.second.data;
            const float missing = kind(e) == 0 ? problem.first.missing : problem.second.missing;
            value_[e] = data != nullptr && j < end ? data[j] : missing;
        }
    }
    __device__ void store(float* to) const {
#pragma unroll
        for (int e = 0; e < count; ++e) to[kind(e) * side + threadIdx.x % side] = value_[e];
    }

 private:
    static constexpr int count = 2 * side / Threads;
    __device__ static int kind(int e) {
        return count == 2 ? e : static_cast<int>(threadIdx.x / side);
    }

    float value_[count];
};

// A thread's place in its warp's tile. Of block m and columns 8 n ..: c[m][n][2 h + e] belongs to row
// 16 m + 8 h + lane / 4 and column 8 n + 2 (lane mod 4) + e.
struct Lane {
    int row, column;     // the warp's first in the tile
    int quad, in_quad;   // lane / 4, lane mod 4
    int x, y;            // bytes from a slice's begin to the row that the lane names to ldmatrix
    int x_unit, y_unit;  // 16 times the unit there, of step 0
};

template <class Form>
__device__ inline Lane lane_of_thread() {
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    Lane l;
    l.row = warp / 2 * 16 * Form::blocks;
    l.column = warp % 2 * warp_columns;
    l.quad = lane / 4;
    l.in_quad = lane % 4;
    // x: rows 0 - 7, rows 8 - 15, and both again 8 coordinates on; y: 8 coordinates on, then rows 8 - 15.
    l.x = (l.row + lane % 16) * row_bytes;
    l.x_unit = ((lane / 16) ^ (lane % 8)) << 4;
    l.y = (l.column + lane / 16 * 8 + lane % 8) * row_bytes;
    l.y_unit = ((lane / 8 % 2) ^ (lane % 8)) << 4;
    return l;
}

template <int Blocks>
using Sums = float[Blocks][8][4];

// A step: 16 coordinates, of a warp's staying points and of 16 of its summed ones.
template <int Blocks>
using XStep = std::uint32_t[Blocks][4];
using YStep = std::uint32_t[4];

template <int Blocks>
__device__ inline void load_x(const unsigned char* slice, const Lane& lane, int step, XStep<Blocks>& to) {
    const unsigned char* const from = slice + lane.x + (lane.x_unit ^ (step << 5));
#pragma unroll
    for (int m = 0; m < Blocks; ++m) load_matrices(to[m], from + m * 16 * row_bytes);
}
__device__ inline void load_y(const unsigned char* slice, const Lane& lane, int step, int n, YStep& to) {
    load_matrices(to, slice + lane.y + (lane.y_unit ^ (step << 5)) + n * 8 * row_bytes);
}
template <int Blocks>
__device__ inline void multiply_add(const XStep<Blocks>& x, const YStep& y, int n, Sums<Blocks>& c) {
#pragma unroll
    for (int m = 0; m < Blocks; ++m) {
        cuda::multiply_add(c[m][n], x[m], y[0], y[1]);
        cuda::multiply_add(c[m][n + 1], x[m], y[2], y[3]);
    }
}

// c += the small products of a step, then, when those of all steps are in, the large ones.
template <int Blocks>
__device__ inline void add_small(const unsigned char* x, const unsigned char* y, const Lane& lane, int step,
                                 Sums<Blocks>& c) {
    XStep<Blocks> x_high, x_low;
    load_x<Blocks>(x, lane, step, x_high);
    load_x<Blocks>(x + half_bytes, lane, step, x_low);
#pragma unroll
    for (int n = 0; n < 8; n += 2) {
        YStep y_high, y_low;
        load_y(y, lane, step, n, y_high);
        load_y(y + half_bytes, lane, step, n, y_low);
        multiply_add<Blocks>(x_low, y_high, n, c);
        multiply_add<Blocks>(x_high, y_low, n, c);
    }
}
template <int Blocks>
__device__ inline void add_large(const unsigned char* x, const unsigned char* y, const Lane& lane, int step,
                                 Sums<Blocks>& c) {
    XStep<Blocks> x_high;
    load_x<Blocks>(x, lane, step, x_high);
#pragma unroll
    for (int n = 0; n < 8; n += 2) {
        YStep y_high;
        load_y(y, lane, step, n, y_high);
        multiply_add<Blocks>(x_high, y_high, n, c);
    }
}

// Both of `Steps` steps from `begin` on, where there are registers for all that is read: each of it once.
template <int Steps, int Blocks>
__device__ inline void add_steps(const unsigned char* x, const unsigned char* y, const Lane& lane, int begin,
                                 Sums<Blocks>& c) {
    XStep<Blocks> x_high[Steps], x_low[Steps];
#pragma unroll
    for (int s = 0; s < Steps; ++s) {
        load_x<Blocks>(x, lane, begin + s, x_high[s]);
        load_x<Blocks>(x + half_bytes, lane, begin + s, x_low[s]);
    }
#pragma unroll
    for (int n = 0; n < 8; n += 2) {
        YStep y_high[Steps], y_low[Steps];
#pragma unroll
        for (int s = 0; s < Steps; ++s) {
            load_y(y, lane, begin + s, n, y_high[s]);
            load_y(y + half_bytes, lane, begin + s, n, y_low[s]);
        }
#pragma unroll
        for (int s = 0; s < Steps; ++s) {
            multiply_add<Blocks>(x_low[s], y_high[s], n, c);
            multiply_add<Blocks>(x_high[s], y_low[s], n, c);
        }
#pragma unroll
        for (int s = 0; s < Steps; ++s) multiply_add<Blocks>(x_high[s], y_high[s], n, c);
    }
}

template <int Blocks>
__device__ inline void set_zero(Sums<Blocks>& c) {
#pragma unroll
    for (int m = 0; m < Blocks; ++m) {
#pragma unroll
        for (int n = 0; n < 8; ++n) {
#pragma unroll
            for (int e = 0; e < 4; ++e) c[m][n][e] = 0;
        }
    }
}

template <int Blocks>
__device__ inline void add(const Sums<Blocks>& part, Sums<Blocks>& all) {
#pragma unroll
    for (int m = 0; m < Blocks; ++m) {
#pragma unroll
        for (int n = 0; n < 8; ++n) {
#pragma unroll
            for (int e = 0; e < 4; ++e) all[m][n][e] += part[m][n][e];
        }
    }
}

// Shared memory: the staying slice, two stages of a summed one, two of column numbers, the epilogue's own.
template <class Epilogue>
constexpr std::size_t narrow_bytes() {
    return (1 + stages) * slice_bytes + stages * number_bytes + Epilogue::shared_bytes;
}
// Wide: resident staying slices; stages of a summed slice, and of a staying one where not all are resident.
template <class Epilogue>
constexpr std::size_t wide_bytes(int slices, int resident) {
    return static_cast<std::size_t>(resident + stages * (resident < slices ? 2 : 1)) * slice_bytes +
           stages * number_bytes + Epilogue::shared_bytes;
}
// All of them, or as many as there is room for beside the stages.
constexpr int most_resident = 4, few_resident = 2;
constexpr int resident_slices(int slices) {
    return slices <= most_resident ? slices : few_resident;
}

// An epilogue is constructed once, is given the sums of every tile, and finishes. All threads call all of it.
template <class Epilogue>
__global__ void __launch_bounds__(Narrow::threads, Narrow::together)
    narrow_products(const Problem problem, const typename Epilogue::Parameters parameters) {
    unsigned char* const x = dynamic_shared();
    unsigned char* const y = x + slice_bytes;
    float* const numbers = reinterpret_cast<float*>(y + stages * slice_bytes);
    const Place place = place_of_block(problem);
    const Lane lane = lane_of_thread<Narrow>();
    const int steps = (problem.dimension + 15) / 16;
    Epilogue epilogue{parameters, problem, place, lane,
                      reinterpret_cast<unsigned char*>(numbers) + stages * number_bytes};
    ColumnNumbers<Narrow::threads> soon;
    if (place.tiles > 0) {
        copy_slice<Narrow::threads>(problem.staying, place.row, problem.rows, 0, x);
        copy_slice<Narrow::threads>(problem.summed, place.column, place.end, 0, y);
        commit_copies();
        if (Epilogue::uses_columns) {
            soon.load(problem, place.column, place.end);
            soon.store(numbers);
        }
    }
    for (int tile = 0; tile < place.tiles; ++tile) {
        const int stage = tile % stages, next = 1 - stage;
        const std::int64_t column = place.column + static_cast<std::int64_t>(tile) * side;
        const bool more = tile + 1 < place.tiles;
        // This tile has come, and everyone is done with the one before.
        wait_for_copies<0>();
        __syncthreads();
        if (more) {
            copy_slice<Narrow::threads>(problem.summed, column + side, place.end, 0, y + next * slice_bytes);
            if (Epilogue::uses_columns) soon.load(problem, column + side, place.end);
        }
        commit_copies();
        Sums<Narrow::blocks> c;
        set_zero(c);
        const unsigned char* const here = y + stage * slice_bytes;
#pragma unroll 1
        for (int step = 0; step < steps; ++step) add_small(x, here, lane, step, c);
#pragma unroll 1
        for (int step = 0; step < steps; ++step) add_large(x, here, lane, step, c);
        if (Epilogue::uses_columns && more) soon.store(numbers + next * 2 * side);
        epilogue.tile(c, column, place.end, numbers + stage * 2 * side);
    }
    epilogue.finish();
}

template <class Epilogue>
__global__ void __launch_bounds__(Wide::threads, Wide::together)
    wide_products(const Problem problem, const typename Epilogue::Parameters parameters) {
    const int slices = (problem.dimension + depth - 1) / depth;
    const bool both = problem.resident < slices;
    const int stage_bytes = both ? 2 * slice_bytes : slice_bytes;
    unsigned char* const resident = dynamic_shared();
    unsigned char* const streamed = resident + problem.resident * slice_bytes;
    float* const numbers = reinterpret_cast<float*>(streamed + stages * stage_bytes);
    const Place place = place_of_block(problem);
    const Lane lane = lane_of_thread<Wide>();
    Epilogue epilogue{parameters, problem, place, lane,
                      reinterpret_cast<unsigned char*>(numbers) + stages * number_bytes};
    ColumnNumbers<Wide::threads> soon;

    // Slice k of a tile; of the staying points what is resident comes with the first tile.
    const auto copy = [&](int tile, int k, int stage) {
        unsigned char* const y = streamed + stage * stage_bytes;
        copy_slice<Wide::threads>(problem.summed, place.column + static_cast<std::int64_t>(tile) * side, place.end,
                                  k * depth, y);
        if (k >= problem.resident) {
            copy_slice<Wide::threads>(problem.staying, place.row, problem.rows, k * depth, y + slice_bytes);
        } else if (tile == 0) {
            copy_slice<Wide::threads>(problem.staying, place.row, problem.rows, k * depth, resident + k * slice_bytes);
        }
    };
    if (place.tiles > 0) {
        copy(0, 0, 0);
        commit_copies();
        if (Epilogue::uses_columns) {
            soon.load(problem, place.column, place.end);
            soon.store(numbers);
        }
    }
    int stage = 0;
    for (int tile = 0; tile < place.tiles; ++tile) {
        const std::int64_t column = place.column + static_cast<std::int64_t>(tile) * side;
        const bool more = tile + 1 < place.tiles;
        if (Epilogue::uses_columns && more) soon.load(problem, column + side, place.end);
        Sums<Wide::blocks> all;
        set_zero(all);
        for (int k = 0; k < slices; ++k) {
            wait_for_copies<0>();
            __syncthreads();
            const bool last = k + 1 == slices;
            if (!last || more) copy(last ? tile + 1 : tile, last ? 0 : k + 1, 1 - stage);
            commit_copies();
            const unsigned char* const y = streamed + stage * stage_bytes;
            const unsigned char* const x = k < problem.resident ? resident + k * slice_bytes : y + slice_bytes;
            const int left = problem.dimension - k * depth;
#pragma unroll 1
            for (int begin = 0; begin < 4 && 16 * begin < left; begin += 2) {
                Sums<Wide::blocks> part;
                set_zero(part);
                if (left > 16 * begin + 16) {
                    add_steps<2>(x, y, lane, begin, part);
                } else {
                    add_steps<1>(x, y, lane, begin, part);
                }
                add(part, all);
            }
            stage = 1 - stage;
        }
        // What the tile before read has been read: there was a barrier since.
        if (Epilogue::uses_columns && more) soon.store(numbers + (tile + 1) % stages * 2 * side);
        epilogue.tile(all, column, place.end, numbers + tile % stages * 2 * side);
    }
    epilogue.finish();
}

}  // namespace convoy::cuda::products
