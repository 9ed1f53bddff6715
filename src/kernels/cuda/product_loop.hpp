#pragma once
// The main loop of everything that needs <x, y> of all pairs: products of split points (split_points.hpp) on tensor
// cores, as precise as fp32. What becomes of the products is an epilogue's business (products.cu, apply_columns.cu).
//
//     block of threads    its staying points against one chunk of the summed points, tile after tile of 128
//     slice               64 coordinates of a tile's points, high and low
//     narrow              d <= 64: 4 warps of 64 x 64 pairs, 128 staying points, two blocks a multiprocessor: while the
//                         warps of one form exponentials, the other's keep the tensor cores busy
//     wide                d > 64: 8 warps of 64 x 64 pairs, 256 staying points, one block a multiprocessor; slices of
//     the
//                         staying tile stay in shared memory as far as there is room, else pass through it as well
//     less                8 warps of 32 x 64 pairs, 128 staying points: where an epilogue needs the registers, or the
//                         device has no more than 163 KB of shared memory a block (A100)
//
// Precision. Tensor cores multiply exactly and add in fp32, but truncate where IEEE rounds: errors are up to a unit of
// the last place a step, and all of one sign (Fasi, Higham, Mikaitis, Pranesh 2021). Ootomo and Yokota (2022) therefore
// let them sum few products only and add up their sums with ordinary additions. Here a sum of tensor cores is that of
// 16 coordinates: the small products first, high low and low high, together some 2^-10 of the whole, whose truncations
// do not show, then high high, with one truncation (two before Hopper). Such sums are joined in round-to-nearest fp32.
// Up to 32 coordinates two steps go together, small products first: there exponentials and additions are what takes the
// time. Root mean square errors, those of an fp32 sum of the same points being 1, of standard normal points and of
// their absolute values, from a model of the units (A100; Hopper):
//
//                             d = 32        64            784          32, positive    64            784
//     as above                0.9; 0.8      0.7; 0.6      0.3; 0.3     2.2; 1.0        0.8; 0.6      0.3; 0.3
//     all in order of k       1.5; 1.1      2.2; 1.7      7; 6         2.8; 1.5        5.4; 2.8      28; 15
//
// Every pair's products are summed alike in all forms of a dimension: the forms give the same bits.
//
// Shared memory. A slice's row is 128 bytes, eight units of 16; unit u of row r lies at u ^ (r mod 8). The eight rows
// that an ldmatrix reads are then in different banks, and so are the eight units that eight lanes copy.
//
// Traffic, while mma.sync makes some 1270 of the 2048 fp16 multiply-adds a clock and multiprocessor (Hopper reaches its
// peak with wgmma only); shared memory gives 128 bytes a clock, the L2 cache 24:
//
//                        from shared memory, of that time    from L2, bytes a clock
//     narrow                 41 %                            13: the staying tile is resident
//     wide, d <= 128         41 %                            7: likewise
//     wide                   41 %                            20

#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <algorithm>
#include <cstdint>

#include "kernels/cuda/device.hpp"
#include "kernels/cuda/instructions.hpp"
#include "kernels/cuda/tile.hpp"

namespace convoy::cuda::products {

constexpr int side = 128;  // summed points of a tile
constexpr int depth = 64;  // coordinates of a slice
constexpr int row_bytes = depth * 2;
constexpr int half_bytes = side * row_bytes;
constexpr int slice_bytes = 2 * half_bytes;  // high, then low
constexpr int warp_columns = 64;
constexpr int number_bytes = 2 * side * 4;
constexpr int stages = 2;

// Blocks: of 16 staying points each, a warp's. Warps go two by two beside one another.
template <int Blocks, int Warps, int Together>
struct Form {
    static constexpr int blocks = Blocks;
    static constexpr int rows = 16 * Blocks * Warps / 2;  // staying points of a tile
    static constexpr int threads = 32 * Warps;
    static constexpr int together = Together;  // blocks of threads on a multiprocessor
    static constexpr int half_bytes = rows * row_bytes, slice_bytes = 2 * half_bytes;  // of staying points
};
using Narrow = Form<4, 4, 2>;
using Wide = Form<4, 8, 1>;
using Less = Form<2, 8, 1>;

// A number of each column for the epilogue, and what stands for it beyond the last column. Null: that everywhere.
struct ColumnArray {
    const float* data = nullptr;
    float missing = 0;
};

struct Problem {
    SplitPoints staying, summed;
    std::int64_t rows = 0, columns = 0;
    int dimension = 0;
    int resident = 0;  // slices of the staying tile that stay in shared memory; not narrow
    int group = 1;     // tiles of rows that run at a time: what they read again and again fits the L2 cache
    Cut cut;
    ColumnArray first, second;
};

// What a block of threads works on.
struct Place {
    std::int64_t row;          // its first
    int rows;                  // at most Form::rows
    std::int64_t column, end;  // its chunk of the columns
    int chunk, tiles;
};

// Groups of rows one after the other, in a group chunk after chunk.
template <class Form>
__device__ inline Place place_of_block(const Problem& problem) {
    const auto row_tiles = static_cast<unsigned>((problem.rows + Form::rows - 1) / Form::rows);
    const auto group = static_cast<unsigned>(problem.group);
    const unsigned whole = group * static_cast<unsigned>(problem.cut.chunks);
    const unsigned first = blockIdx.x / whole * group;
    const unsigned rest = blockIdx.x % whole;
    const unsigned size = min(group, row_tiles - first);
    Place place;
    place.row = static_cast<std::int64_t>(first + rest % size) * Form::rows;
    place.rows = static_cast<int>(min(problem.rows - place.row, static_cast<std::int64_t>(Form::rows)));
    place.chunk = static_cast<int>(rest / size);
    place.column = min(static_cast<std::int64_t>(place.chunk) * problem.cut.chunk, problem.columns);
    place.end = min(place.column + problem.cut.chunk, problem.columns);
    place.tiles = static_cast<int>((place.end - place.column + side - 1) / side);
    return place;
}

// Starts to copy `Units` times 8 coordinates from k on, of `Rows` points from `first` on. Instead of those that are not
// there, the last.
template <int Rows, int Threads, int Units = depth / 8>
__device__ inline void copy_slice(const SplitPoints& points, std::int64_t first, std::int64_t end, int k,
                                  unsigned char* to) {
    const int unit = threadIdx.x % Units, row = threadIdx.x / Units;
    const int last = static_cast<int>(min(end - first, static_cast<std::int64_t>(Rows))) - 1;
    // One 64-bit address for all threads, small offsets from it: registers are scarce.
    const std::int64_t begin = first * points.stride + k;
    const char* const high = reinterpret_cast<const char*>(points.high + begin);
    const char* const low = reinterpret_cast<const char*>(points.low + begin);
    const unsigned stride = static_cast<unsigned>(points.stride) * 2;
    unsigned char* const place = to + row * row_bytes + ((unit ^ (row % 8)) << 4);
#pragma unroll 2
    for (int r = 0; r < Rows; r += Threads / Units) {
        const unsigned from = static_cast<unsigned>(min(row + r, last)) * stride + unit * 16;
        copy_async_16(place + r * row_bytes, high + from);
        copy_async_16(place + r * row_bytes + Rows * row_bytes, low + from);
    }
}

// Starts to copy the numbers of a tile's columns: `side` of the first kind, then as many of the second.
__device__ inline void copy_number(const ColumnArray& from, std::int64_t j, std::int64_t end, float* to) {
    if (from.data != nullptr && j < end) {
        copy_async_begin<4>(4, to, from.data + j);
    } else {
        *to = from.missing;
    }
}
__device__ inline void copy_numbers(const Problem& problem, std::int64_t column, std::int64_t end, float* to) {
    if (threadIdx.x >= side) return;
    copy_number(problem.first, column + threadIdx.x, end, to + threadIdx.x);
    copy_number(problem.second, column + threadIdx.x, end, to + side + threadIdx.x);
}

// --- A warp's tile ---------------------------------------------------------------------------------------------------

// A thread's place in it. Of block m and columns 8 n ..: c[m][n][2 h + e] belongs to row 16 m + 8 h + lane / 4 and
// column 8 n + 2 (lane mod 4) + e.
struct Lane {
    int x, y;            // bytes from a slice's begin to the row that the lane names to ldmatrix
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
    Lane l;
    // x: rows 0 - 7, rows 8 - 15, and both again 8 coordinates on; y: 8 coordinates on, then rows 8 - 15.
    l.x = (Lane::row<Form>() + lane % 16) * row_bytes;
    l.x_unit = ((lane / 16) ^ (lane % 8)) << 4;
    l.y = (Lane::column() + lane / 16 * 8 + lane % 8) * row_bytes;
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

// c += the products of two steps, the small ones first.
template <class Form>
__device__ inline void add_two_steps(const unsigned char* x, const unsigned char* y, const Lane& lane,
                                     Sums<Form::blocks>& c) {
    XStep<Form::blocks> x_high[2], x_low[2];
#pragma unroll
    for (int s = 0; s < 2; ++s) {
        load_x<Form::blocks>(x, lane, s, x_high[s]);
        load_x<Form::blocks>(x + Form::half_bytes, lane, s, x_low[s]);
    }
#pragma unroll
    for (int n = 0; n < 8; n += 2) {
        YStep y_high[2], y_low[2];
#pragma unroll
        for (int s = 0; s < 2; ++s) {
            load_y(y, lane, s, n, y_high[s]);
            load_y(y + half_bytes, lane, s, n, y_low[s]);
            multiply_add<Form::blocks>(x_low[s], y_high[s], n, c);
            multiply_add<Form::blocks>(x_high[s], y_low[s], n, c);
        }
#pragma unroll
        for (int s = 0; s < 2; ++s) multiply_add<Form::blocks>(x_high[s], y_high[s], n, c);
    }
}

// c += the products of a step, which have sums of their own before they join c. 16 columns at a time: of all of them
// the registers would be too few.
template <class Form>
__device__ inline void add_step(const unsigned char* x, const unsigned char* y, const Lane& lane, int step,
                                Sums<Form::blocks>& c) {
    XStep<Form::blocks> x_high, x_low;
    load_x<Form::blocks>(x, lane, step, x_high);
    load_x<Form::blocks>(x + Form::half_bytes, lane, step, x_low);
#pragma unroll
    for (int n = 0; n < 8; n += 2) {
        YStep y_high, y_low;
        load_y(y, lane, step, n, y_high);
        load_y(y + half_bytes, lane, step, n, y_low);
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

// --- Kernels ---------------------------------------------------------------------------------------------------------

// An epilogue is constructed once, is given the sums of every tile, and finishes. All threads call all of it. It may
// want one more slice a tile, `extra`, which it copies itself; that is given to it after the tile's sums. Not of narrow
// ones.

// Shared memory begins with two stages of column numbers and what is the epilogue's own: at addresses that are known to
// the compiler.
template <class Epilogue>
constexpr int small_bytes = stages* number_bytes + (Epilogue::shared_bytes + 127) / 128 * 128;

// Then the staying slice and two stages of a summed one.
template <class Epilogue>
constexpr std::size_t narrow_bytes() {
    return small_bytes<Epilogue> + Narrow::slice_bytes + stages * slice_bytes;
}

// Few: at most 32 dimensions.
template <class Epilogue, bool Few>
__global__ void __launch_bounds__(Narrow::threads, Narrow::together)
    narrow_products(const Problem problem, const typename Epilogue::Parameters parameters) {
    constexpr int threads = Narrow::threads, units = Few ? 4 : 8;
    float* const numbers = reinterpret_cast<float*>(dynamic_shared());
    unsigned char* const x = dynamic_shared() + small_bytes<Epilogue>;
    unsigned char* const y = x + Narrow::slice_bytes;
    const Place place = place_of_block<Narrow>(problem);
    const Lane lane = lane_of_thread<Narrow>();
    const int steps = (problem.dimension + 15) / 16;
    Epilogue epilogue{parameters, problem, place, dynamic_shared() + stages * number_bytes};
    const auto copy = [&](int tile) {
        const std::int64_t column = place.column + static_cast<std::int64_t>(tile) * side;
        copy_slice<side, threads, units>(problem.summed, column, place.end, 0, y + tile % stages * slice_bytes);
        if (Epilogue::uses_columns) copy_numbers(problem, column, place.end, numbers + tile % stages * 2 * side);
    };
    if (place.tiles > 0) {
        copy_slice<Narrow::rows, threads, units>(problem.staying, place.row, problem.rows, 0, x);
        copy(0);
        commit_copies();
    }
    for (int tile = 0; tile < place.tiles; ++tile) {
        // This tile has come, and everyone is done with the one before.
        wait_for_copies<0>();
        __syncthreads();
        if (tile + 1 < place.tiles) copy(tile + 1);
        commit_copies();
        Sums<Narrow::blocks> c;
        set_zero(c);
        const unsigned char* const here = y + tile % stages * slice_bytes;
        if constexpr (Few) {
            add_two_steps<Narrow>(x, here, lane, c);
        } else {
#pragma unroll 1
            for (int step = 0; step < steps; ++step) add_step<Narrow>(x, here, lane, step, c);
        }
        epilogue.tile(c, place.column + static_cast<std::int64_t>(tile) * side, place.end,
                      numbers + tile % stages * 2 * side);
    }
    epilogue.finish();
}

// Resident slices of the staying points; stages of a summed slice, and of a staying one where not all are resident.
template <class Form, class Epilogue>
constexpr std::size_t wide_bytes(int slices, int resident) {
    return small_bytes<Epilogue> + static_cast<std::size_t>(resident) * Form::slice_bytes +
           stages * static_cast<std::size_t>(slice_bytes + (resident < slices ? Form::slice_bytes : 0));
}

template <class Form, class Epilogue>
__global__ void __launch_bounds__(Form::threads, Form::together)
    wide_products(const Problem problem, const typename Epilogue::Parameters parameters) {
    const int slices = (problem.dimension + depth - 1) / depth;
    const int stage_bytes = slice_bytes + (problem.resident < slices ? Form::slice_bytes : 0);
    float* const numbers = reinterpret_cast<float*>(dynamic_shared());
    unsigned char* const resident = dynamic_shared() + small_bytes<Epilogue>;
    unsigned char* const streamed = resident + problem.resident * Form::slice_bytes;
    const Place place = place_of_block<Form>(problem);
    const Lane lane = lane_of_thread<Form>();
    Epilogue epilogue{parameters, problem, place, dynamic_shared() + stages * number_bytes};

    // Slice k of a tile; of the staying points what is resident comes with the first tile.
    const auto copy = [&](int tile, int k, int stage) {
        unsigned char* const y = streamed + stage * stage_bytes;
        const std::int64_t column = place.column + static_cast<std::int64_t>(tile) * side;
        if constexpr (Epilogue::extra) {
            if (k == slices) return epilogue.copy(column, place.end, y);
        }
        copy_slice<side, Form::threads>(problem.summed, column, place.end, k * depth, y);
        if (Epilogue::uses_columns && k == 0) {
            copy_numbers(problem, column, place.end, numbers + tile % stages * 2 * side);
        }
        if (k < problem.resident && tile > 0) return;
        copy_slice<Form::rows, Form::threads>(
            problem.staying, place.row, problem.rows, k * depth,
            k < problem.resident ? resident + k * Form::slice_bytes : y + slice_bytes);
    };
    if (place.tiles > 0) {
        copy(0, 0, 0);
        commit_copies();
    }
    int stage = 0;
    for (int tile = 0; tile < place.tiles; ++tile) {
        const bool more = tile + 1 < place.tiles;
        Sums<Form::blocks> c;
        set_zero(c);
#pragma unroll 1
        for (int k = 0; k < slices; ++k) {
            wait_for_copies<0>();
            __syncthreads();
            const bool last = k + 1 == slices && !Epilogue::extra;
            if (!last || more) copy(last ? tile + 1 : tile, last ? 0 : k + 1, 1 - stage);
            commit_copies();
            const unsigned char* const y = streamed + stage * stage_bytes;
            const unsigned char* const x = k < problem.resident ? resident + k * Form::slice_bytes : y + slice_bytes;
            const int steps = min((problem.dimension - k * depth + 15) / 16, depth / 16);
#pragma unroll 1
            for (int step = 0; step < steps; ++step) add_step<Form>(x, y, lane, step, c);
            stage = 1 - stage;
        }
        epilogue.tile(c, place.column + static_cast<std::int64_t>(tile) * side, place.end,
                      numbers + tile % stages * 2 * side);
        if constexpr (Epilogue::extra) {
            wait_for_copies<0>();
            __syncthreads();
            if (more) copy(tile + 1, 0, 1 - stage);
            commit_copies();
            epilogue.add_extra(c, streamed + stage * stage_bytes, lane);
            stage = 1 - stage;
        }
    }
    if constexpr (Epilogue::extra) {
        epilogue.finish(streamed);
    } else {
        epilogue.finish();
    }
}

// --- The host's side -------------------------------------------------------------------------------------------------

inline Problem problem_of(const Pairs<float>& pairs, const Cut& cut) {
    Problem problem;
    problem.staying = pairs.staying.split;
    problem.summed = pairs.summed.split;
    problem.rows = pairs.staying.rows;
    problem.columns = pairs.summed.rows;
    problem.dimension = static_cast<int>(pairs.dimension);
    problem.cut = cut;
    // Staying tiles that are read again for every summed tile stay in the L2 cache.
    constexpr std::int64_t l2_bytes = std::int64_t{16} << 20;
    const std::int64_t tile_bytes = pairs.staying.split.stride * Wide::rows * 4;
    problem.group = static_cast<int>(std::clamp<std::int64_t>(l2_bytes / tile_bytes, 4, 32));
    return problem;
}

inline std::size_t most_shared_bytes() {
    int device = 0, bytes = 0;
    check(cudaGetDevice(&device), "asking for the device");
    check(cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, device), "asking for shared memory");
    return static_cast<std::size_t>(bytes);
}

template <class Form>
dim3 blocks_of(const Problem& problem) {
    return dim3(static_cast<unsigned>((problem.rows + Form::rows - 1) / Form::rows * problem.cut.chunks));
}

// \param passes blocks of threads for every place, beside one another (blockIdx.y)
template <class Form, class Epilogue>
void launch_wide(Problem problem, const typename Epilogue::Parameters& parameters, std::size_t most, unsigned passes,
                 cudaStream_t stream) {
    const int slices = (problem.dimension + depth - 1) / depth;
    const auto bytes = [slices](int resident) { return wide_bytes<Form, Epilogue>(slices, resident); };
    // All of them, if they fit; else as many as there is room for beside stages for the others.
    problem.resident = slices;
    if (bytes(slices) > most) {
        problem.resident = 0;
        while (problem.resident + 1 < slices && bytes(problem.resident + 1) <= most) ++problem.resident;
    }
    Shape shape;
    shape.blocks = blocks_of<Form>(problem);
    shape.blocks.y = passes;
    shape.threads = dim3(Form::threads);
    shape.shared = bytes(problem.resident);
    launch(wide_products<Form, Epilogue>, shape, stream, problem, parameters);
}

// Epilogue<Form>, of the form that fits the dimension and the device.
template <template <class> class Epilogue, class Parameters>
void launch_of(const Problem& problem, const Parameters& parameters, cudaStream_t stream) {
    if (problem.dimension <= depth) {
        Shape shape;
        shape.blocks = blocks_of<Narrow>(problem);
        shape.threads = dim3(Narrow::threads);
        shape.shared = narrow_bytes<Epilogue<Narrow>>();
        const auto kernel = problem.dimension <= depth / 2 ? narrow_products<Epilogue<Narrow>, true>
                                                           : narrow_products<Epilogue<Narrow>, false>;
        return launch(kernel, shape, stream, problem, parameters);
    }
    const std::size_t most = most_shared_bytes();
    if (wide_bytes<Wide, Epilogue<Wide>>(1, 0) <= most) {
        return launch_wide<Wide, Epilogue<Wide>>(problem, parameters, most, 1, stream);
    }
    launch_wide<Less, Epilogue<Less>>(problem, parameters, most, 1, stream);
}

}  // namespace convoy::cuda::products
