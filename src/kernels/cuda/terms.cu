// What a tile of logits is used for: the running maximum of safe sums, terms and their sums, averages under them.
//
// Idea       Two shapes of work. Where a row gives a few numbers (maxima, sums, costs, up to eight columns), a warp
//            walks along it. Where it gives many (columns, gradients) this is a matrix product, terms x columns, in
//            register blocks as in tile.cu. A tile has few rows: large blocks are fewer than multiprocessors then, and
//            a block's eight warps share the terms of 32 rows instead. Each warp has every eighth vector of a row's
//            terms and all of the block's outputs; their sums are added up in order.
// Limit      Walks: the L2 cache, where tiles of few thousand rows and columns stay (4 bytes a pair and pass, 8 where
//            terms are written). Products: multiply-adds, `width` a pair; with 32 rows a block also the way of terms
//            and columns from L2, 24 bytes a clock and multiprocessor.
// Reference  CUTLASS, "Efficient GEMM in CUDA": sliced-K is what sharing a row's terms is called there.
// Launched   Walks 128 threads, a row a warp. Products 256 threads, 100 KiB (128 x 128 outputs) or 113 KiB (32 x 64) of
//            shared memory, at most 128 registers: two blocks a multiprocessor.
// Sums       Each output has one owner and one order. At most 256 terms are summed in the kernels' precision, then go
//            to fp64 in `values`.
//
// Versions of the products, 2048 x 2048 terms x 64 columns in fp32, in thousands of clocks of an H200, of which the
// multiply-adds alone are 16 on all of its multiprocessors:
//
//     130     A thread an output: two loads a multiply-add, a warp's load a clock, as in tile.cu.
//     130     128 x 64 outputs a block: each multiprocessor does well, but 16 of the 132 have a block.
//      70     64 x 64: 32 blocks, and with 8 loads for 64 multiply-adds shared memory is as busy as they are.
//      44     32 x 64, terms shared among warps: 64 blocks, 8 x 8 outputs a thread; 680 instructions a stage, of which
//             512 are multiply-adds.

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
constexpr int warps = threads / 32;

// --- A warp a row ---

constexpr int row_threads = 128, row_warps = row_threads / 32;

// `each` rows a warp.
Shape warps_on_rows(std::int64_t rows, int each = 1) {
    return {dim3{static_cast<unsigned>(ceil_div<std::int64_t>(rows, row_warps * each))}, dim3{row_threads}};
}
__device__ inline std::int64_t row_of_warp() {
    return static_cast<std::int64_t>(blockIdx.x) * row_warps + threadIdx.x / 32;
}
__device__ inline int lane() {
    return static_cast<int>(threadIdx.x % 32);
}

__device__ inline double sum_over_warp(double of_lane) {
#pragma unroll
    for (int lanes = 16; lanes > 0; lanes /= 2) of_lane += __shfl_xor_sync(0xffffffffu, of_lane, lanes);
    return of_lane;
}
template <class T>
__device__ T maximum_over_warp(T of_lane) {
#pragma unroll
    for (int lanes = 16; lanes > 0; lanes /= 2) {
        const T other = __shfl_xor_sync(0xffffffffu, of_lane, lanes);
        of_lane = other > of_lane ? other : of_lane;
    }
    return of_lane;
}

// add(j, run) adds what column j gives to N running sums. Lane l has columns l, l + 32, ...; to[n] += the whole.
template <class T, int N, class Add>
__device__ __forceinline__ void sum_row(std::int64_t columns, double* to, const Add& add) {
    constexpr std::int64_t span = std::int64_t{32} * longest_run;
    double sums[N] = {};
    for (std::int64_t begin = 0; begin < columns; begin += span) {
        const std::int64_t end = smaller(begin + span, columns);
        T run[N] = {};
#pragma unroll(32 / sizeof(T))
        for (std::int64_t j = begin + lane(); j < end; j += 32) add(j, run);
#pragma unroll
        for (int n = 0; n < N; ++n) sums[n] += static_cast<double>(run[n]);
    }
#pragma unroll
    for (int n = 0; n < N; ++n) {
        const double sum = sum_over_warp(sums[n]);
        if (lane() == 0) to[n] += sum;
    }
}

template <class T>
__global__ void __launch_bounds__(row_threads, 8)
    raise_maximum_kernel(TermTile<T> tile, T* __restrict__ maximum, T* __restrict__ rescale) {
    const std::int64_t i = row_of_warp();
    if (i >= tile.rows) return;
    const T* const __restrict__ logits = tile.terms + i * tile.stride;
    const T old = maximum[i];
    T largest = old;
#pragma unroll 8
    for (std::int64_t j = lane(); j < tile.columns; j += 32) largest = logits[j] > largest ? logits[j] : largest;
    largest = maximum_over_warp(largest);
    if (lane() != 0) return;
    maximum[i] = largest;
    rescale[i] = largest > old ? exp2_of(old - largest) : T(1);
}

template <class T>
__global__ void __launch_bounds__(row_threads, 8)
    rescale_kernel(const T* __restrict__ rescale, std::int64_t rows, std::int64_t width, double* __restrict__ sums,
                   double* __restrict__ values) {
    const std::int64_t i = row_of_warp();
    if (i >= rows) return;
    const auto factor = static_cast<double>(rescale[i]);
    if (factor == 1) return;  // maxima soon stop rising, and wide values are many
    if (lane() == 0) sums[i] *= factor;
    for (std::int64_t k = lane(); k < width; k += 32) values[i * width + k] *= factor;
}

template <class T>
__global__ void __launch_bounds__(row_threads, 8)
    exponentials_kernel(TermTile<T> tile, const T* __restrict__ shift, double* __restrict__ sums) {
    const std::int64_t i = row_of_warp();
    if (i >= tile.rows) return;
    T* const __restrict__ terms = tile.terms + i * tile.stride;
    const T* const __restrict__ weights = tile.weights;
    const T off = shift == nullptr ? T(0) : shift[i];
    sum_row<T, 1>(tile.columns, sums + i, [&](std::int64_t j, T(&run)[1]) {
        const T term = weights[j] * exp2_of(terms[j] - off);
        terms[j] = term;
        run[0] += term;
    });
}

template <class T>
__global__ void __launch_bounds__(row_threads, 8)
    add_costs_kernel(TermTile<T> tile, const T* __restrict__ costs, double* __restrict__ values) {
    const std::int64_t i = row_of_warp();
    if (i >= tile.rows) return;
    const T* const __restrict__ terms = tile.terms + i * tile.stride;
    const T* const __restrict__ own = costs + i * tile.stride;
    sum_row<T, 2>(tile.columns, values + 2 * i, [&](std::int64_t j, T(&run)[2]) {
        const T cost = own[j];
        run[0] = terms[j] * cost + run[0];
        run[1] = terms[j] * (cost * cost) + run[1];
    });
}

template <class T>
struct Densities {
    const T* logits;
    const T* row;
    const T* column;
};

template <class T>
__global__ void __launch_bounds__(row_threads, 8)
    add_values_kernel(TermTile<T> tile, Densities<T> densities, const T* __restrict__ costs,
                      double* __restrict__ values) {
    const std::int64_t i = row_of_warp();
    if (i >= tile.rows) return;
    const T* const __restrict__ terms = tile.terms + i * tile.stride;
    const T* const __restrict__ own = costs + i * tile.stride;
    const T* const __restrict__ logits = densities.logits + i * tile.stride;
    const T* const __restrict__ column = densities.column;
    const T row = densities.row[i];
    sum_row<T, 2>(tile.columns, values + 2 * i, [&](std::int64_t j, T(&run)[2]) {
        run[0] = terms[j] * own[j] + run[0];
        run[1] = terms[j] * (logits[j] + (row + column[j])) + run[1];
    });
}

// Few columns: a warp takes four rows at once, so that a row of v is loaded for four terms.
constexpr int rows_of_warp = 4;

template <class T, int Width>
__global__ void __launch_bounds__(row_threads, 4)
    add_few_columns_kernel(TermTile<T> tile, const T* __restrict__ v, int width, double* __restrict__ values) {
    const std::int64_t first = row_of_warp() * rows_of_warp;
    if (first >= tile.rows) return;
    const T* rows[rows_of_warp];
    for (int r = 0; r < rows_of_warp; ++r) rows[r] = tile.terms + smaller(first + r, tile.rows - 1) * tile.stride;
    constexpr std::int64_t span = std::int64_t{32} * longest_run;
    for (std::int64_t begin = 0; begin < tile.columns; begin += span) {
        const std::int64_t end = smaller(begin + span, tile.columns);
        T run[rows_of_warp][Width] = {};
#pragma unroll 2
        for (std::int64_t j = begin + lane(); j < end; j += 32) {
            T v_j[Width];
#pragma unroll
            for (int k = 0; k < Width; ++k) v_j[k] = k < width ? v[j * width + k] : T(0);
#pragma unroll
            for (int r = 0; r < rows_of_warp; ++r) {
                const T term = rows[r][j];
#pragma unroll
                for (int k = 0; k < Width; ++k) run[r][k] = term * v_j[k] + run[r][k];
            }
        }
#pragma unroll
        for (int n = 0; n < rows_of_warp * Width; ++n) {
            const std::int64_t i = first + n / Width;
            const int k = n % Width;
            const double sum = sum_over_warp(static_cast<double>(run[n / Width][k]));
            if (lane() == 0 && i < tile.rows && k < width) values[i * width + k] += sum;
        }
    }
}

// --- Register blocks ---

// A block of threads has Rows x Columns warps, each with lane_rows ThreadRows x lane_columns ThreadColumns outputs, and
// what is left of its warps share the terms of a row among them, in `slices`.
template <class T, int ThreadRows, int ThreadColumns, int Rows, int Columns>
struct BlockShape {
    static constexpr int width = numbers_of_vector<T>;
    static constexpr int thread_rows = ThreadRows, thread_columns = ThreadColumns;
    static constexpr int slices = warps / (Rows * Columns);
    static constexpr int rows = Rows * lane_rows * ThreadRows, columns = Columns * lane_columns * ThreadColumns;
    static constexpr int vectors = slices == 1 ? 4 : 2 * slices;  // terms of a row in a stage
    static constexpr int depth = vectors * width;
    static constexpr int pitch = depth + width;  // an odd number of vectors: 8 rows begin on different banks
    static constexpr int stage = rows * pitch + depth * columns;
    static constexpr int numbers = 2 * stage + slices * rows * columns;

    static_assert(warps % (Rows * Columns) == 0 && vectors % slices == 0);
};

// A thread's place in the block of outputs: first_row and every lane_rows-th from there; of the columns, vectors.
template <class S>
struct Place {
    LanePlace lane;
    int slice, first_row, first_column;
    __device__ Place() {
        const auto warp = static_cast<int>(threadIdx.x / 32), tile = warp / S::slices;
        constexpr int rows = S::rows / (lane_rows * S::thread_rows);
        slice = warp % S::slices;
        first_row = tile % rows * lane_rows * S::thread_rows + lane.row;
        first_column = tile / rows * lane_columns * S::thread_columns + lane.column * S::width;
    }
    __device__ int row(int r) const { return first_row + r * lane_rows; }
    __device__ int column(int c) const { return first_column + c / S::width * lane_columns * S::width + c % S::width; }
};

// What the terms are multiplied with. Columns: v_jk.
template <class T>
struct ColumnFactor {
    static constexpr bool of_rows = false;  // it looks at x
    Matrix<T> summed;                       // v, or y
    Matrix<T> staying;                      // x
    const T* costs = nullptr;               // terms are divided by these
    double scale = 1;
    __device__ T operator()(T, T v) const { return v; }
};

// Gradients: those of h at x_ik - y_jk, but for `scale`.
template <class T, class Form>
struct GradientFactor : ColumnFactor<T> {
    static constexpr bool of_rows = true;
    Form form;
    __device__ T operator()(T x, T y) const { return form.direction(x - y); }
};

// The gradient of |z| is z / |z|, and 0 at 0: terms are divided once, where they lie.
template <class S, class T>
__device__ void divide_terms(T* panel, const T* costs, std::int64_t stride, std::int64_t rows, std::int64_t columns) {
    for (int n = threadIdx.x; n < S::rows * S::depth; n += threads) {
        const int i = n / S::depth, j = n % S::depth;
        if (i >= rows || j >= columns) continue;
        const T cost = costs[i * stride + j];
        T& term = panel[i * S::pitch + j];
        term = cost > 0 ? term / cost : T(0);
    }
    __syncthreads();
}

template <class S, class T>
using Sums = T[S::thread_rows][S::thread_columns];

// One vector of terms of a row, times as many rows of `summed`.
template <class S, class T, class Factor>
__device__ __forceinline__ void add_products(const Factor& factor, const T* terms, const T* summed, const Sums<S, T>& x,
                                             Sums<S, T>& sums) {
    Numbers<T, S::width> p[S::thread_rows];
#pragma unroll
    for (int r = 0; r < S::thread_rows; ++r) p[r] = load<S::width>(terms + r * lane_rows * S::pitch);
#pragma unroll
    for (int n = 0; n < S::width; ++n) {
#pragma unroll
        for (int c = 0; c < S::thread_columns; c += S::width) {
            const auto y = load<S::width>(summed + n * S::columns + c * lane_columns);
#pragma unroll
            for (int k = 0; k < S::width; ++k) {
#pragma unroll
                for (int r = 0; r < S::thread_rows; ++r) {
                    sums[r][c + k] = p[r].at[n] * factor(x[r][c + k], y.at[k]) + sums[r][c + k];
                }
            }
        }
    }
}

// The sums so far, slice after slice in order, to the block's rows x columns outputs; they begin again at 0. All
// threads of the block: through shared memory, so that neighbours in a row of `values` are neighbouring threads'.
template <class S, class T>
__device__ __forceinline__ void add_to_outputs(Sums<S, T>& sums, T* parts, int rows, int columns, double scale,
                                               double* values, std::int64_t width) {
    const Place<S> place;
#pragma unroll
    for (int n = 0; n < S::thread_rows * S::thread_columns; ++n) {
        const int r = n / S::thread_columns, c = n % S::thread_columns;
        parts[(place.slice * S::rows + place.row(r)) * S::columns + place.column(c)] = sums[r][c];
        sums[r][c] = 0;
    }
    __syncthreads();
#pragma unroll 4
    for (int n = threadIdx.x; n < S::rows * S::columns; n += threads) {
        double sum = 0;
#pragma unroll
        for (int slice = 0; slice < S::slices; ++slice)
            sum += static_cast<double>(parts[slice * S::rows * S::columns + n]);
        const int r = n / S::columns, c = n % S::columns;
        if (r < rows && c < columns) values[r * width + c] += scale * sum;
    }
}

template <class T, class S, class Factor>
__global__ void __launch_bounds__(threads, 2) add_products_kernel(TermTile<T> tile, Factor factor, double* values) {
    T* const shared = reinterpret_cast<T*>(dynamic_shared());
    const Place<S> place;
    const Matrix<T> terms{tile.terms, tile.rows, tile.columns, tile.stride};
    const int terms_together = terms.together(), summed_together = factor.summed.together();
    const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * S::rows;
    const std::int64_t column = static_cast<std::int64_t>(blockIdx.y) * S::columns;
    const std::int64_t width = factor.summed.columns;
    const auto begin_stage = [&](int j, T* to) {
        stage<S::rows, S::depth, S::pitch, threads>(to, terms, terms_together, row, j);
        stage<S::depth, S::columns, S::columns, threads>(to + S::rows * S::pitch, factor.summed, summed_together, j,
                                                         column);
        commit_copies();
    };
    Sums<S, T> x = {}, sums = {};
    if constexpr (Factor::of_rows) {
#pragma unroll
        for (int n = 0; n < S::thread_rows * S::thread_columns; ++n) {
            const int r = n / S::thread_columns, c = n % S::thread_columns;
            x[r][c] = factor.staying.data[smaller(row + place.row(r), tile.rows - 1) * width +
                                          smaller(column + place.column(c), width - 1)];
        }
    }

    const auto columns = static_cast<int>(tile.columns);
    int at = 0;
    for (int j = -S::depth; j < columns; at ^= 1) {  // the first round only copies
        wait_for_copies<0>();
        __syncthreads();
        T* const here = shared + at * S::stage;
        if (Factor::of_rows && factor.costs != nullptr && j >= 0) {
            divide_terms<S>(here, factor.costs + row * tile.stride + j, tile.stride, tile.rows - row, tile.columns - j);
        }
        const bool empty = j < 0;
        j += S::depth;
        if (j < columns) begin_stage(j, shared + (at ^ 1) * S::stage);
        if (empty) continue;
        const T* terms_k = here + place.first_row * S::pitch + place.slice * S::width;
        const T* summed_k = here + S::rows * S::pitch + place.slice * S::width * S::columns + place.first_column;
        constexpr int step = S::slices * S::width;
#pragma unroll 1
        for (int k = 0; k < S::depth; k += step, terms_k += step, summed_k += step * S::columns) {
            add_products<S>(factor, terms_k, summed_k, x, sums);
        }
        if (j % (longest_run * S::slices) == 0 || j >= columns) {
            add_to_outputs<S>(sums, shared + 2 * S::stage, static_cast<int>(smaller(tile.rows - row, S::rows)),
                              static_cast<int>(smaller(width - column, S::columns)), factor.scale,
                              values + row * width + column, width);
        }
    }
}

template <class S, class T, class Factor>
void launch_products(const TermTile<T>& tile, const Factor& factor, double* values, cudaStream_t stream) {
    const Shape shape{dim3{static_cast<unsigned>(ceil_div<std::int64_t>(tile.rows, S::rows)),
                           static_cast<unsigned>(ceil_div<std::int64_t>(factor.summed.columns, S::columns))},
                      dim3{threads}, S::numbers * sizeof(T)};
    launch(add_products_kernel<T, S, Factor>, shape, stream, tile, factor, values);
}

}  // namespace

template <class T>
void launch_raise_maximum(const TermTile<T>& tile, T* maximum, T* rescale, cudaStream_t stream) {
    launch(raise_maximum_kernel<T>, warps_on_rows(tile.rows), stream, tile, maximum, rescale);
}

template <class T>
void launch_rescale(const T* rescale, std::int64_t rows, std::int64_t width, double* sums, double* values,
                    cudaStream_t stream) {
    launch(rescale_kernel<T>, warps_on_rows(rows), stream, rescale, rows, width, sums, values);
}

template <class T>
void launch_exponentials(const TermTile<T>& tile, const T* shift, double* sums, cudaStream_t stream) {
    launch(exponentials_kernel<T>, warps_on_rows(tile.rows), stream, tile, shift, sums);
}

template <class T>
void launch_add_columns(const TermTile<T>& tile, const T* v, std::int64_t width, double* values, cudaStream_t stream) {
    if (width == 0) return;
    const auto few = [&](auto kernel) {
        launch(kernel, warps_on_rows(tile.rows, rows_of_warp), stream, tile, v, static_cast<int>(width), values);
    };
    if (width == 1) return few(add_few_columns_kernel<T, 1>);
    if (width == 2) return few(add_few_columns_kernel<T, 2>);
    if (width <= 4) return few(add_few_columns_kernel<T, 4>);
    if (width <= 8) return few(add_few_columns_kernel<T, 8>);
    const ColumnFactor<T> factor{{v, tile.columns, width, width}, {}};
    // Large blocks do more with a number that they load, where there are blocks enough to fill a device.
    constexpr std::int64_t enough = 96;
    constexpr int columns = numbers_of_vector<T> * 2;  // of a thread
    using Large = BlockShape<T, 8, columns, 4, 2>;
    using Small = BlockShape<T, 8, columns, 1, 1>;
    const bool large =
        ceil_div<std::int64_t>(tile.rows, Large::rows) * ceil_div<std::int64_t>(width, Large::columns) >= enough;
    if (large) return launch_products<Large>(tile, factor, values, stream);
    launch_products<Small>(tile, factor, values, stream);
}

template <class T>
void launch_add_costs(const TermTile<T>& tile, const T* costs, double* values, cudaStream_t stream) {
    launch(add_costs_kernel<T>, warps_on_rows(tile.rows), stream, tile, costs, values);
}

template <class T>
void launch_add_values(const TermTile<T>& tile, const T* logits, const T* costs, const T* row, const T* column,
                       double* values, cudaStream_t stream) {
    launch(add_values_kernel<T>, warps_on_rows(tile.rows), stream, tile, Densities<T>{logits, row, column}, costs,
           values);
}

template <class T>
void launch_add_gradients(const TermTile<T>& tile, const Pairs<T>& pairs, const T* costs, double* values,
                          cudaStream_t stream) {
    const std::int64_t d = pairs.dimension;
    ColumnFactor<T> points{{pairs.summed.points, pairs.summed.rows, d, d}, {pairs.staying.points, tile.rows, d, d}};
    const auto with = [&](auto form) {
        using Form = typename decltype(form)::type;
        launch_products<BlockShape<T, 4, 4, 2, 1>>(tile, GradientFactor<T, Form>{points, Form{pairs}}, values, stream);
    };
    if (pairs.form == PairForm::power) return with_power_form(pairs.p, with);
    if (pairs.form == PairForm::root) points.costs = costs;
    if (pairs.form == PairForm::square) points.scale = 2 * static_cast<double>(pairs.factor);
    with(std::type_identity<SquareForm<T>>{});
}

#define CONVOY_TERMS_OF(T)                                                                               \
    template void launch_raise_maximum(const TermTile<T>&, T*, T*, cudaStream_t);                        \
    template void launch_rescale(const T*, std::int64_t, std::int64_t, double*, double*, cudaStream_t);  \
    template void launch_exponentials(const TermTile<T>&, const T*, double*, cudaStream_t);              \
    template void launch_add_columns(const TermTile<T>&, const T*, std::int64_t, double*, cudaStream_t); \
    template void launch_add_costs(const TermTile<T>&, const T*, double*, cudaStream_t);                 \
    template void launch_add_values(const TermTile<T>&, const T*, const T*, const T*, const T*, double*, \
                                    cudaStream_t);                                                       \
    template void launch_add_gradients(const TermTile<T>&, const Pairs<T>&, const T*, double*, cudaStream_t);
CONVOY_TERMS_OF(float)
CONVOY_TERMS_OF(double)
#undef CONVOY_TERMS_OF

}  // namespace convoy::cuda
