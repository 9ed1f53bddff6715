// Sums and tiles of logits of any form, dimension and precision, on the CUDA cores.
//
// Idea       A matrix product, or what stands for one where costs are not products: a block of threads has 128 x 128
//            pairs (fp64: 128 x 64), a thread 8 x 8 (8 x 4) of them in registers, and points come through shared
//            memory, 64 bytes of each at a time. The exponential is an epilogue in registers: of the n m numbers none
//            sees memory. A block of the sums keeps its rows and goes through a chunk of columns, tile after tile.
// Limit      Instructions. A pair and coordinate takes 1 (product), 2 (square, root), 3 (p = 3, 4) or 2 and a special
//            function (p = 3/2); the pair itself 4 and an exponential. 128 of them a clock and multiprocessor: 3e13
//            products of a coordinate a second in fp32 on an H200. In fp64 half of that, and the pair takes 18.
// Reference  CUTLASS, "Efficient GEMM in CUDA": tiles of threads, warps and blocks, and its SIMT lane layout
//            (staging.hpp).
// Launched   256 threads; 45 KiB of shared memory, 109 KiB for more than 256 dimensions; at most 128 registers: two
//            blocks, 16 warps a multiprocessor.
//
// Versions, in clocks of a multiprocessor for 128 x 128 pairs of 64 coordinates, of which the multiply-adds alone are
// 8192; what waiting costs is not in it:
//
//     65536   A thread a pair: two loads a multiply-add, and a warp's load is a clock of the load unit.
//     65536   Points through shared memory, in tiles of 16 x 16: as many loads, but L2 sees a 16th of the traffic.
//     10240   8 x 8 pairs a thread: 16 loads for 64 multiply-adds. Now it is instructions that count.
//      8900   16 bytes a load: the inner loop is 278 instructions for 256 multiply-adds. 80 bytes from point to point,
//             and pairs of rows in neighbouring lanes: a load is two passes over the banks, 4096 clocks; four would be
//             as many as the multiply-adds.
//      9700   The next stage is copied meanwhile, past the registers (cp.async): 100 instructions a stage, and no
//      thread
//             waits for L2. One barrier a stage, none between tiles.
//     10400   With exponentials and sums: 340 instructions for a thread's 64 pairs. Logits that another kernel reads
//             would be 8 bytes a pair, 7000 clocks at the memory's full speed, and its exponentials on top.

#include <cuda_runtime.h>

#include <cstdint>

#include "kernels/cuda/device.hpp"
#include "kernels/cuda/exp2.hpp"
#include "kernels/cuda/forms.hpp"
#include "kernels/cuda/instructions.hpp"
#include "kernels/cuda/staging.hpp"
#include "kernels/cuda/tile.hpp"

namespace convoy::cuda {

namespace {

constexpr int threads = 256;
constexpr int warp_rows = 4, warp_columns = 2;
constexpr int thread_rows = 8;
constexpr int tile_rows = warp_rows * lane_rows * thread_rows;
constexpr int longest_product =
    256;  // coordinates of one sum; longer ones are sums of such, as errors grow with length

template <class T>
struct TileShape {
    static constexpr int thread_columns = sizeof(T) == 4 ? 8 : 4;
    static constexpr int columns = warp_columns * lane_columns * thread_columns;
    static constexpr int depth = 4 * numbers_of_vector<T>;  // coordinates of a stage: 64 bytes of a point
    // 80 bytes from point to point: 8 neighbours begin on 8 different groups of 4 banks.
    static constexpr int pitch = 5 * numbers_of_vector<T>;
};

// A block's shared memory: two stages of points, two of what belongs to columns, what belongs to rows, and, of long
// products, the parts so far.
template <class T>
struct Memory {
    using S = TileShape<T>;
    static constexpr int points = (tile_rows + S::columns) * S::pitch;
    static constexpr int numbers = 2 * points + 2 * 2 * S::columns + 2 * tile_rows;
    static constexpr int parts = thread_rows * S::thread_columns * threads;
    static std::size_t bytes(std::int64_t dimension) {
        return warp_columns * tile_rows * sizeof(double) +
               static_cast<std::size_t>(numbers + (dimension > longest_product ? parts : 0)) * sizeof(T);
    }

    __device__ double* row_totals() const { return reinterpret_cast<double*>(dynamic_shared()); }
    __device__ T* begin() const { return reinterpret_cast<T*>(row_totals() + warp_columns * tile_rows); }
    __device__ T* staying(int stage) const { return begin() + stage * points; }
    __device__ T* summed(int stage) const { return staying(stage) + tile_rows * S::pitch; }
    // g, then w or offsets
    __device__ T* of_columns(int parity) const { return begin() + 2 * points + parity * 2 * S::columns; }
    __device__ T* of_rows() const { return begin() + 2 * points + 2 * 2 * S::columns; }
    __device__ T* part() const { return begin() + numbers; }
};

// The summed points that a block passes over, from its first row on.
struct Run {
    std::int64_t row, column, end;
};

// What the block's threads share of their pairs.
template <class T>
struct Sides {
    Matrix<T> staying, summed;
    int staying_together, summed_together;  // numbers of a copy
    const T* of_row[2];                     // f, and offsets or null: zeros
    const T* of_column[2];                  // g, and w or offsets

    __device__ Sides(const Pairs<T>& pairs, const T* second_of_row, const T* second_of_column)
        : staying{pairs.staying.points, pairs.staying.rows, pairs.dimension, pairs.dimension},
          summed{pairs.summed.points, pairs.summed.rows, pairs.dimension, pairs.dimension},
          staying_together{staying.together()},
          summed_together{summed.together()},
          of_row{pairs.staying.logits, second_of_row},
          of_column{pairs.summed.logits, second_of_column} {}
};

template <class T>
__device__ void load_rows(const Sides<T>& sides, std::int64_t row, const Memory<T>& memory) {
    for (int i = threadIdx.x; i < 2 * tile_rows; i += threads) {
        const T* const from = i < tile_rows ? sides.of_row[0] : sides.of_row[1];
        const std::int64_t at = smaller(row + i % tile_rows, sides.staying.rows - 1);
        memory.of_rows()[i] = from == nullptr ? T(0) : from[at];
    }
}

// Past the run's end points have no mass.
template <class T>
__device__ void stage_columns(const Sides<T>& sides, std::int64_t column, std::int64_t end, T* to) {
    constexpr int columns = TileShape<T>::columns;
    if (threadIdx.x >= 2 * columns) return;
    const int i = threadIdx.x;
    const T* const from = i < columns ? sides.of_column[0] : sides.of_column[1];
    const std::int64_t j = column + i % columns;
    if (j < end && from != nullptr) {
        copy_async_number_if(true, to + i, from + j);
    } else {
        to[i] = i < columns ? static_cast<T>(no_mass) : T(0);
    }
}

template <class T>
__device__ void stage_points(const Sides<T>& sides, std::int64_t row, std::int64_t column, std::int64_t coordinate,
                             const Memory<T>& memory, int at) {
    using S = TileShape<T>;
    constexpr int width = numbers_of_vector<T>;
    const std::int64_t left = sides.staying.columns - coordinate;
    const int wanted = left < S::depth ? ceil_div(static_cast<int>(left), width) * width : S::depth;
    stage<tile_rows, S::depth, S::pitch, threads>(memory.staying(at), sides.staying, sides.staying_together, row,
                                                  coordinate, wanted);
    stage<S::columns, S::depth, S::pitch, threads>(memory.summed(at), sides.summed, sides.summed_together, column,
                                                   coordinate, wanted);
}

// A stage's coordinates, as many whole Widths as there are; x and y are this thread's first point of either side, and
// move on.
template <int Width, class T, class Form, int Columns>
__device__ __forceinline__ void add_coordinates(const Form& form, const T*& x, const T*& y, int& coordinates,
                                                T (&sums)[thread_rows][Columns]) {
    constexpr int pitch = TileShape<T>::pitch;
#pragma unroll 1
    for (; coordinates >= Width; coordinates -= Width, x += Width, y += Width) {
        Numbers<T, Width> x_k[thread_rows];
#pragma unroll
        for (int r = 0; r < thread_rows; ++r) x_k[r] = load<Width>(x + r * lane_rows * pitch);
#pragma unroll
        for (int c = 0; c < Columns; ++c) {
            const Numbers<T, Width> y_k = load<Width>(y + c * lane_columns * pitch);
#pragma unroll
            for (int n = 0; n < Width; ++n) {
#pragma unroll
                for (int r = 0; r < thread_rows; ++r) sums[r][c] = form.step(x_k[r].at[n], y_k.at[n], sums[r][c]);
            }
        }
    }
}

// Long products: what has been summed up goes to the parts before it, each thread to its own place.
template <class T, int Columns>
__device__ void put_aside(T (&sums)[thread_rows][Columns], T* parts, bool first) {
    T* to = parts + threadIdx.x;
#pragma unroll
    for (int i = 0; i < thread_rows * Columns; ++i, to += threads) {
        T& sum = sums[i / Columns][i % Columns];
        *to = first ? sum : *to + sum;
        sum = 0;
    }
}
template <class T, int Columns>
__device__ void take_back(T (&sums)[thread_rows][Columns], const T* parts) {
#pragma unroll
    for (int i = 0; i < thread_rows * Columns; ++i) sums[i / Columns][i % Columns] += parts[i * threads + threadIdx.x];
}

// A thread's rows of the tile: first_row, and every lane_rows-th from there; columns likewise.
template <class T>
struct Place {
    LanePlace lane;
    int warp_column, first_row, first_column;
    __device__ Place() {
        const auto warp = static_cast<int>(threadIdx.x / 32);
        warp_column = warp / warp_rows;
        first_row = warp % warp_rows * lane_rows * thread_rows + lane.row;
        first_column = warp_column * lane_columns * TileShape<T>::thread_columns + lane.column;
    }
};

// The tiles of a run, one after the other. While a stage is worked on the next one is under way, over the ends of
// tiles, too.
template <class T, class Form>
class Tiles {
    using S = TileShape<T>;

 public:
    __device__ Tiles(const Form& form, const Sides<T>& sides, const Run& run)
        : form_{form}, sides_{sides}, run_{run}, columns_{static_cast<int>(run.end - run.column)} {
        load_rows(sides, run.row, memory_);
        if (columns_ > 0) begin_stage(0, 0, 0, 0);
    }
    __device__ int columns() const { return columns_; }

    // This thread's raw numbers of the tile whose first column is the run's `column`-th; \returns what belongs to the
    // tile's columns.
    __device__ const T* compute(int column, T (&sums)[thread_rows][S::thread_columns]) {
        const Place<T> place;
        const auto dimension = static_cast<int>(sides_.staying.columns);
        const int x = place.first_row * S::pitch, y = place.first_column * S::pitch;
#pragma unroll 1
        for (int k = 0; k < dimension; at_ ^= 1) {
            wait_for_copies<0>();
            __syncthreads();
            int coordinates = min(S::depth, dimension - k);
            k += S::depth;
            const bool ends = k >= dimension;
            const int next = ends ? column + S::columns : column;
            if (next < columns_) begin_stage(next, ends ? 0 : k, at_ ^ 1, ends ? parity_ ^ 1 : parity_);
            const T* x_k = memory_.staying(at_) + x;
            const T* y_k = memory_.summed(at_) + y;
            add_coordinates<Form::coordinates>(form_, x_k, y_k, coordinates, sums);
            if constexpr (Form::coordinates > 1) add_coordinates<1>(form_, x_k, y_k, coordinates, sums);
            if (k % longest_product == 0 && k < dimension) put_aside(sums, memory_.part(), k == longest_product);
        }
        if (dimension > longest_product) take_back(sums, memory_.part());
#pragma unroll
        for (int i = 0; i < thread_rows * S::thread_columns; ++i) {
            T& sum = sums[i / S::thread_columns][i % S::thread_columns];
            sum = form_.finish(sum);
        }
        parity_ ^= 1;
        return memory_.of_columns(parity_ ^ 1);
    }

 private:
    __device__ void begin_stage(int column, int coordinate, int at, int parity) {
        if (coordinate == 0) stage_columns(sides_, run_.column + column, run_.end, memory_.of_columns(parity));
        stage_points(sides_, run_.row, run_.column + column, coordinate, memory_, at);
        commit_copies();
    }

    Form form_;
    Sides<T> sides_;
    Run run_;
    Memory<T> memory_;
    int columns_, at_ = 0, parity_ = 0;
};

// Eight sums a lane over the eight lanes that share their rows: each lane gets the total of one row, its
// lane_column-th. Every step halves what there is to exchange.
template <class T>
__device__ T exchange_sums(T (&of_rows)[thread_rows], int lane_column) {
#pragma unroll
    for (int half = thread_rows / 2; half > 0; half /= 2) {
        const bool upper = (lane_column & half) != 0;
#pragma unroll
        for (int r = 0; r < half; ++r) {
            const T kept = upper ? of_rows[r + half] : of_rows[r], given = upper ? of_rows[r] : of_rows[r + half];
            of_rows[r] = kept + __shfl_xor_sync(0xffffffffu, given, 2 * half);
        }
    }
    return of_rows[0];
}

// Adds this thread's terms of a tile to those of its rows.
template <class T, int Columns>
__device__ void add_terms(T slope, const T (&raw)[thread_rows][Columns], const T* f, const T* g,
                          T (&terms)[thread_rows]) {
#pragma unroll
    for (int c = 0; c < Columns; ++c) {
        const T g_j = g[c * lane_columns], w_j = g[TileShape<T>::columns + c * lane_columns];
#pragma unroll
        for (int r = 0; r < thread_rows; ++r) {
            const T t = slope * raw[r][c] + (f[r * lane_rows] + g_j);
            terms[r] = w_j * exp2_of(t) + terms[r];
        }
    }
}

template <class T, class Form>
__global__ void __launch_bounds__(threads, 2) sums_kernel(Pairs<T> pairs, Cut cut, double* partial) {
    using S = TileShape<T>;
    const Memory<T> memory;
    const Place<T> place;
    const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * tile_rows;
    const std::int64_t column = static_cast<std::int64_t>(blockIdx.y) * cut.chunk;
    Tiles<T, Form> tiles{Form{pairs}, Sides<T>{pairs, nullptr, pairs.summed.weights},
                         Run{row, column, smaller(column + cut.chunk, pairs.summed.rows)}};

    double total = 0;  // of this warp's columns and one of its rows
    for (int tile = 0; tile < tiles.columns(); tile += S::columns) {
        T raw[thread_rows][S::thread_columns] = {}, terms[thread_rows] = {};
        const T* const g = tiles.compute(tile, raw) + place.first_column;
        add_terms(pairs.slope, raw, memory.of_rows() + place.first_row, g, terms);
        total += static_cast<double>(exchange_sums(terms, place.lane.column));
    }

    double* const totals = memory.row_totals();
    totals[place.warp_column * tile_rows + place.first_row + place.lane.column * lane_rows] = total;
    __syncthreads();
    const std::int64_t i = row + threadIdx.x;
    if (threadIdx.x < tile_rows && i < pairs.staying.rows) {
        partial[static_cast<std::int64_t>(blockIdx.y) * pairs.staying.rows + i] =
            totals[threadIdx.x] + totals[tile_rows + threadIdx.x];
    }
}

// to = slope raw + row's number + column's number, where the tile has such rows and columns.
template <class T, int Columns>
__device__ void store(const T (&raw)[thread_rows][Columns], T slope, const T* of_rows, const T* of_columns, int rows,
                      int columns, T* to, std::int64_t stride) {
#pragma unroll
    for (int r = 0; r < thread_rows; ++r) {
        const T of_row = of_rows[r * lane_rows];
#pragma unroll
        for (int c = 0; c < Columns; ++c) {
            if (r * lane_rows < rows && c * lane_columns < columns) {
                to[c * lane_columns] = slope * raw[r][c] + (of_row + of_columns[c * lane_columns]);
            }
        }
        to += lane_rows * stride;
    }
}

template <class T, class Form>
__global__ void __launch_bounds__(threads, 2) logits_kernel(Pairs<T> pairs, LogitTile<T> tile) {
    using S = TileShape<T>;
    const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * tile_rows;
    const std::int64_t column = static_cast<std::int64_t>(blockIdx.y) * S::columns;
    const std::int64_t end = smaller(column + S::columns, pairs.summed.rows);
    T raw[thread_rows][S::thread_columns] = {};
    Tiles<T, Form> tiles{Form{pairs}, Sides<T>{pairs, tile.row_offsets, tile.column_offsets}, Run{row, column, end}};
    const T* const of_columns = tiles.compute(0, raw);

    const Place<T> place;
    const auto rows = static_cast<int>(smaller(pairs.staying.rows - row, tile_rows)) - place.first_row;
    const int columns = static_cast<int>(end - column) - place.first_column;
    const std::int64_t corner = (row + place.first_row) * tile.stride + column + place.first_column;
    const T* const f = Memory<T>{}.of_rows() + place.first_row;
    const T* const g = of_columns + place.first_column;
    store(raw, pairs.slope, f, g, rows, columns, tile.logits + corner, tile.stride);
    if (tile.costs == nullptr) return;
    store(raw, pairs.factor, f + tile_rows, g + S::columns, rows, columns, tile.costs + corner, tile.stride);
}

unsigned blocks_of(std::int64_t points, std::int64_t tile) {
    return static_cast<unsigned>(ceil_div(points, tile));
}

}  // namespace

template <class T>
void launch_sums(const Pairs<T>& pairs, const Cut& cut, double* partial, cudaStream_t stream) {
    const Shape shape{dim3{blocks_of(pairs.staying.rows, tile_rows), static_cast<unsigned>(cut.chunks)}, dim3{threads},
                      Memory<T>::bytes(pairs.dimension)};
    with_form(pairs, [&](auto form) {
        launch(sums_kernel<T, typename decltype(form)::type>, shape, stream, pairs, cut, partial);
    });
}

template <class T>
void launch_logits(const Pairs<T>& pairs, const LogitTile<T>& tile, cudaStream_t stream) {
    const Shape shape{
        dim3{blocks_of(pairs.staying.rows, tile_rows), blocks_of(pairs.summed.rows, TileShape<T>::columns)},
        dim3{threads}, Memory<T>::bytes(pairs.dimension)};
    with_form(pairs,
              [&](auto form) { launch(logits_kernel<T, typename decltype(form)::type>, shape, stream, pairs, tile); });
}

template void launch_sums(const Pairs<float>&, const Cut&, double*, cudaStream_t);
template void launch_sums(const Pairs<double>&, const Cut&, double*, cudaStream_t);
template void launch_logits(const Pairs<float>&, const LogitTile<float>&, cudaStream_t);
template void launch_logits(const Pairs<double>&, const LogitTile<double>&, cudaStream_t);

}  // namespace convoy::cuda
