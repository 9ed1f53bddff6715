#pragma once
// The main loop of everything that needs <x, y> of all pairs: tiles of products (product_tile.hpp), one after the
// other. What becomes of the products is an epilogue's business (products.cu, apply_columns.cu).
//
// A block of threads keeps a tile of staying points and runs over one chunk of the summed ones; copies of the next
// slice are under way while tensor cores work on this one. Its form depends on the dimension. With 64 x 64 pairs a
// warp, each number that is read from shared memory serves 64 others; registers, 128 of a thread's 255 for the sums,
// leave room for eight warps a multiprocessor:
//
//     two blocks of 4 warps and 128 staying points     while the warps of one form exponentials, the other's keep the
//                                                      tensor cores busy: as long as the staying tile and two stages of
//                                                      summed slices fit twice, d <= 128
//     one block of 8 warps and 256 staying points      beyond: half the traffic of the L2 cache
//     one block of 8 warps of 32 x 64 pairs            where an epilogue needs the registers, or a device has no more
//                                                      than 163 KB of shared memory a block (A100); where that is 99
//                                                      KB, 4 warps of 64 x 64
//
// All give the same bits: of every pair products are summed alike.
//
// Traffic, while mma.sync makes some 1270 of the 2048 fp16 multiply-adds a clock and multiprocessor (Hopper reaches its
// peak with wgmma only); shared memory gives 128 bytes a clock, the L2 cache 24:
//
//                          reading shared memory, of that time     from L2, bytes a clock
//     d <= 128             41 %                                    13: the staying tile is resident
//     beyond               41 %                                    20

#include <cuda_runtime.h>

#include <algorithm>
#include <cstdint>

#include "kernels/cuda/device.hpp"
#include "kernels/cuda/instructions.hpp"
#include "kernels/cuda/product_tile.hpp"
#include "kernels/cuda/tile.hpp"

namespace convoy::cuda::products {

using Few = Form<4, 4, 2, 32>;   // d <= 32, in two steps that go together
using Pair = Form<4, 4, 2, 64>;  // d <= 64
using Thin = Form<4, 4, 2, 32>;  // d <= 128, in thinner slices
using Wide = Form<4, 8, 1, 64>;
using Less = Form<2, 8, 1, 64>;

constexpr int stages = 2;
constexpr int number_bytes = 2 * side * 4;

struct Problem {
    SplitPoints staying, summed;
    std::int64_t rows = 0, columns = 0;
    int dimension = 0;
    int resident = 0;  // slices of the staying tile that stay in shared memory
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

// Starts to copy the numbers of a tile's columns: `side` of the first kind, then as many of the second.
__device__ inline void copy_numbers(const Problem& problem, std::int64_t column, std::int64_t end, float* to) {
    if (threadIdx.x >= side) return;
    copy_number(problem.first, column + threadIdx.x, end, to + threadIdx.x);
    copy_number(problem.second, column + threadIdx.x, end, to + side + threadIdx.x);
}

// --- Kernels ---------------------------------------------------------------------------------------------------------

// An epilogue is constructed once, is given the sums of every tile, and finishes. All threads call all of it. It may
// want one more slice a tile, `extra`, which it copies itself; that is given to it after the tile's sums, and is its to
// write to when all threads have read it.

// Shared memory begins with two stages of column numbers and what is the epilogue's own, at addresses that are known to
// the compiler. Then come the resident slices of the staying points, and stages of a summed slice, and of a staying one
// where not all are resident.
template <class Epilogue>
constexpr int small_bytes = stages* number_bytes + (Epilogue::shared_bytes + 127) / 128 * 128;

template <class Form, class Epilogue>
constexpr std::size_t shared_bytes(int slices, int resident) {
    return small_bytes<Epilogue> + static_cast<std::size_t>(resident) * Form::x_bytes +
           stages * static_cast<std::size_t>(Form::y_bytes + (resident < slices ? Form::x_bytes : 0));
}

// One slice, of at most 32 coordinates.
template <class Epilogue>
__global__ void __launch_bounds__(Few::threads, Few::together)
    few_products(const Problem problem, const typename Epilogue::Parameters parameters) {
    float* const numbers = reinterpret_cast<float*>(dynamic_shared());
    unsigned char* const x = dynamic_shared() + small_bytes<Epilogue>;
    unsigned char* const y = x + Few::x_bytes;
    const Place place = place_of_block<Few>(problem);
    const Lane lane = lane_of_thread<Few>();
    Epilogue epilogue{parameters, problem, place, dynamic_shared() + stages * number_bytes};
    const auto copy = [&](int tile) {
        const std::int64_t column = place.column + static_cast<std::int64_t>(tile) * side;
        copy_slice<side, Few::threads, 32>(problem.summed, column, place.end, 0, y + tile % stages * Few::y_bytes);
        if (Epilogue::uses_columns) copy_numbers(problem, column, place.end, numbers + tile % stages * 2 * side);
    };
    if (place.tiles > 0) {
        copy_slice<Few::rows, Few::threads, 32>(problem.staying, place.row, problem.rows, 0, x);
        copy(0);
        commit_copies();
    }
    for (int tile = 0; tile < place.tiles; ++tile) {
        // This tile has come, and everyone is done with the one before.
        wait_for_copies<0>();
        __syncthreads();
        if (tile + 1 < place.tiles) copy(tile + 1);
        commit_copies();
        Sums<Few::blocks> c;
        set_zero(c);
        add_two_steps<Few>(x, y + tile % stages * Few::y_bytes, lane, c);
        epilogue.tile(c, place.column + static_cast<std::int64_t>(tile) * side, place.end,
                      numbers + tile % stages * 2 * side);
    }
    epilogue.finish();
}

template <class Form, class Epilogue>
__global__ void __launch_bounds__(Form::threads, Form::together)
    many_products(const Problem problem, const typename Epilogue::Parameters parameters) {
    constexpr int depth = Form::depth;
    const int slices = (problem.dimension + depth - 1) / depth;
    const int stage_bytes = Form::y_bytes + (problem.resident < slices ? Form::x_bytes : 0);
    float* const numbers = reinterpret_cast<float*>(dynamic_shared());
    unsigned char* const resident = dynamic_shared() + small_bytes<Epilogue>;
    unsigned char* const streamed = resident + problem.resident * Form::x_bytes;
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
        copy_slice<side, Form::threads, depth>(problem.summed, column, place.end, k * depth, y);
        if (Epilogue::uses_columns && k == 0) {
            copy_numbers(problem, column, place.end, numbers + tile % stages * 2 * side);
        }
        if (k < problem.resident && tile > 0) return;
        copy_slice<Form::rows, Form::threads, depth>(
            problem.staying, place.row, problem.rows, k * depth,
            k < problem.resident ? resident + k * Form::x_bytes : y + Form::y_bytes);
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
            // This slice has come, and everyone is done with the one before.
            wait_for_copies<0>();
            __syncthreads();
            const bool last = k + 1 == slices && !Epilogue::extra;
            if (!last || more) copy(last ? tile + 1 : tile, last ? 0 : k + 1, 1 - stage);
            commit_copies();
            const unsigned char* const y = streamed + stage * stage_bytes;
            const unsigned char* const x = k < problem.resident ? resident + k * Form::x_bytes : y + Form::y_bytes;
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

struct SharedMemory {
    std::size_t of_block, of_multiprocessor;
};
inline SharedMemory shared_memory_of_device() {
    int device = 0, block = 0, all = 0;
    check(cudaGetDevice(&device), "asking for the device");
    check(cudaDeviceGetAttribute(&block, cudaDevAttrMaxSharedMemoryPerBlockOptin, device), "asking for shared memory");
    check(cudaDeviceGetAttribute(&all, cudaDevAttrMaxSharedMemoryPerMultiprocessor, device),
          "asking for shared memory");
    return {static_cast<std::size_t>(block), static_cast<std::size_t>(all)};
}

// Blocks of this form that a multiprocessor has shared memory for, where all staying slices are resident. Each takes
// 1 KiB more than it asks for.
template <class Form, class Epilogue>
int blocks_together(int dimension, const SharedMemory& memory) {
    const int slices = (dimension + Form::depth - 1) / Form::depth;
    const std::size_t bytes = shared_bytes<Form, Epilogue>(slices, slices);
    return bytes > memory.of_block ? 0 : static_cast<int>(memory.of_multiprocessor / (bytes + 1024));
}

template <class Form>
Shape shape_of(const Problem& problem, std::size_t bytes) {
    Shape shape;
    shape.blocks = dim3(static_cast<unsigned>((problem.rows + Form::rows - 1) / Form::rows * problem.cut.chunks));
    shape.threads = dim3(Form::threads);
    shape.shared = bytes;
    return shape;
}

// \param passes blocks of threads for every place, beside one another (blockIdx.y)
template <class Form, class Epilogue>
void launch_many(Problem problem, const typename Epilogue::Parameters& parameters, const SharedMemory& memory,
                 unsigned passes, cudaStream_t stream) {
    const int slices = (problem.dimension + Form::depth - 1) / Form::depth;
    // All of them, if they fit; else as many as there is room for beside stages for the others.
    problem.resident = slices;
    if (shared_bytes<Form, Epilogue>(slices, slices) > memory.of_block) {
        problem.resident = 0;
        while (problem.resident + 1 < slices &&
               shared_bytes<Form, Epilogue>(slices, problem.resident + 1) <= memory.of_block) {
            ++problem.resident;
        }
    }
    Shape shape = shape_of<Form>(problem, shared_bytes<Form, Epilogue>(slices, problem.resident));
    shape.blocks.y = passes;
    launch(many_products<Form, Epilogue>, shape, stream, problem, parameters);
}

// Epilogue<Form>, of the form that fits the dimension and the device.
template <template <class> class Epilogue, class Parameters>
void launch_of(const Problem& problem, const Parameters& parameters, cudaStream_t stream) {
    if (problem.dimension <= Few::depth) {
        return launch(few_products<Epilogue<Few>>, shape_of<Few>(problem, shared_bytes<Few, Epilogue<Few>>(1, 1)),
                      stream, problem, parameters);
    }
    const SharedMemory memory = shared_memory_of_device();
    if (problem.dimension <= Pair::depth && blocks_together<Pair, Epilogue<Pair>>(problem.dimension, memory) >= 2) {
        return launch_many<Pair, Epilogue<Pair>>(problem, parameters, memory, 1, stream);
    }
    if (blocks_together<Thin, Epilogue<Thin>>(problem.dimension, memory) >= 2) {
        return launch_many<Thin, Epilogue<Thin>>(problem, parameters, memory, 1, stream);
    }
    if (shared_bytes<Wide, Epilogue<Wide>>(2, 0) <= memory.of_block) {
        return launch_many<Wide, Epilogue<Wide>>(problem, parameters, memory, 1, stream);
    }
    if (shared_bytes<Less, Epilogue<Less>>(2, 0) <= memory.of_block) {
        return launch_many<Less, Epilogue<Less>>(problem, parameters, memory, 1, stream);
    }
    launch_many<Thin, Epilogue<Thin>>(problem, parameters, memory, 1, stream);
}

}  // namespace convoy::cuda::products
