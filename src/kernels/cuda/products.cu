// What becomes of products on tensor cores: sums of terms, logits and costs, products to be kept. Their precision is
// told in product_tile.hpp, the loop around them in product_loop.hpp.
//
// Of sums nothing leaves the multiprocessor but one fp64 number a row and chunk: the logit, its exponential and the sum
// are taken from the registers in which tensor cores leave the products, as in FlashAttention-2 (Dao 2023).
//
// Limits of launch_sums_split() on an H200 at 1.755 GHz, pairs a second:
//
//                                                     d = 64       128        1024
//     tensor cores    3 d fp16 multiply-adds, 1270    1.5e12       7.7e11     9.6e10     by mma.sync; 1.6 times that by
//                     a clock and multiprocessor                                         wgmma (products_hopper.cu)
//     exponentials    1, of 16 a clock and            3.7e12       3.7e12     3.7e12
//                     multiprocessor
//     issue           a lane's pair: 4, and 2 for     2.5e12       1.5e12     2.2e11     of 128 lanes a clock
//                     16 dimensions
//     L2 cache        4 d / 128 bytes; beyond 128     2.8e12       1.4e12     1.1e11     5.5 TB/s
//                     dimensions 4 d / 85
//
// 1.5e12 pairs of 64 dimensions are 2e14 operations of fp32 a second: three times what the fp32 units can do.
//
// Rungs of the ladder, for who wants to learn from it: (1) a thread a pair, from global memory: 8 d bytes a pair, the
// L1 cache's speed; (2) tiles in shared memory, 8 x 8 pairs a thread: the fp32 units' speed (tile.cu); (3) tensor cores
// on fp16: ten times faster, and 11 bits; (4) three products of halves: 22 bits, but truncated sums spoil them; (5)
// small products first, sums joined outside of the tensor cores: fp32; (6) copies that run ahead, two blocks of threads
// that hide each other's exponentials; (7) wgmma. A share of exponentials by polynomial (exp2.hpp) would bring little
// here: they take a third of the tensor cores' time, and a half only of 32 dimensions, where the issue slots are taken,
// too.
//
// Kept products and logits are written straight from the registers: the four lanes that share a row write a sector of
// 32 bytes, and neighbouring sectors meet in the L2 cache. Products of 64 dimensions are made faster than memory takes
// them, 4 bytes a pair at 4.3 TB/s: 1.1e12 pairs a second.

#include <algorithm>

#include "kernels/cuda/device.hpp"
#include "kernels/cuda/kept_products.hpp"
#include "kernels/cuda/product_loop.hpp"
#include "kernels/cuda/products_hopper.hpp"
#include "kernels/cuda/tile.hpp"

namespace convoy::cuda {

namespace products {

namespace {

// partial[chunk rows + i] = sum of w_j 2^(f_i + g_j + slope r). A lane adds 16 terms of a row and tile, in order; after
// longest_run of them a row's four lanes add up in fp64; in the end the warps of a row's left and right columns do.
struct SumsParameters {
    const float* f;
    float slope;
    double* partial;
};

template <class Form>
class SumsOfTerms {
    static constexpr int rows_of_lane = 2 * Form::blocks;

 public:
    using Parameters = SumsParameters;
    [[maybe_unused]] static constexpr bool extra = false;
    static constexpr bool uses_columns = true;
    static constexpr int shared_bytes = Form::rows * (2 * 8 + 4) + Form::threads * rows_of_lane * 4;

    __device__ SumsOfTerms(const Parameters& parameters, const Problem& problem, const Place& place,
                           unsigned char* shared)
        : slope_{parameters.slope},
          partial_{parameters.partial + static_cast<std::int64_t>(place.chunk) * problem.rows + place.row},
          rows_{place.rows},
          totals_{reinterpret_cast<double*>(shared)},
          f_{reinterpret_cast<float*>(totals_ + 2 * Form::rows)},
          sums_{f_ + Form::rows + threadIdx.x} {
        for (int i = threadIdx.x; i < Form::rows; i += Form::threads) {
            f_[i] = i < rows_ ? parameters.f[place.row + i] : 0;
        }
        for_each_row([&](int m, int h) {
            sum(m, h) = 0;
            if (Lane::in_quad() == 0) total(m, h) = 0;
        });
    }

    __device__ void tile(const Sums<Form::blocks>& c, std::int64_t, std::int64_t, const float* numbers) {
        const float* const mine = numbers + Lane::column() + 2 * Lane::in_quad();
        float f[Form::blocks][2], sums[Form::blocks][2];
        for_each_row([&](int m, int h) {
            f[m][h] = f_[row(m, h)];
            sums[m][h] = sum(m, h);
        });
#pragma unroll
        for (int n = 0; n < 8; ++n) {
            const float2 g = *reinterpret_cast<const float2*>(mine + 8 * n);
            const float2 w = *reinterpret_cast<const float2*>(mine + 8 * n + side);
            for_each_row([&](int m, int h) {
                const float left = ex2(fmaf(slope_, c[m][n][2 * h], f[m][h] + g.x));
                const float right = ex2(fmaf(slope_, c[m][n][2 * h + 1], f[m][h] + g.y));
                sums[m][h] = fmaf(w.y, right, fmaf(w.x, left, sums[m][h]));
            });
        }
        for_each_row([&](int m, int h) { sum(m, h) = sums[m][h]; });
        if (++tiles_ == tiles_of_run) empty();
    }

    __device__ void finish() {
        empty();
        __syncthreads();
        for (int i = threadIdx.x; i < rows_; i += Form::threads) partial_[i] = totals_[i] + totals_[Form::rows + i];
    }

 private:
    static constexpr int tiles_of_run = longest_run / (warp_columns / 4);

    template <class Use>
    __device__ static void for_each_row(const Use& use) {
#pragma unroll
        for (int m = 0; m < Form::blocks; ++m) {
#pragma unroll
            for (int h = 0; h < 2; ++h) use(m, h);
        }
    }
    __device__ int row(int m, int h) const {
        return Lane::row<Form>() + 16 * m + 8 * h + Lane::quad();
    }
    __device__ double& total(int m, int h) const {
        return totals_[Lane::column() / warp_columns * Form::rows + row(m, h)];
    }
    __device__ float& sum(int m, int h) const {
        return sums_[(2 * m + h) * Form::threads];
    }
    __device__ void empty() {
        for_each_row([&](int m, int h) {
            double all = sum(m, h);
            all += __shfl_xor_sync(0xffffffffu, all, 1);
            all += __shfl_xor_sync(0xffffffffu, all, 2);
            if (Lane::in_quad() == 0) total(m, h) += all;
            sum(m, h) = 0;
        });
        tiles_ = 0;
    }

    float slope_;
    double* partial_;
    int rows_;
    // In shared memory: fp64 sums of either half of the columns, f, and every lane's own sums. Registers are for
    // products.
    double* totals_;
    float *f_, *sums_;
    int tiles_ = 0;
};

// Calls use(m, h, n, i, j) for every pair of neighbours of a row that a lane holds, at row i and columns j and j + 1 of
// what is its part of the warp's tile, where the row is there.
template <class Form, class Use>
__device__ inline void for_each_pair(int rows, const Use& use) {
#pragma unroll
    for (int m = 0; m < Form::blocks; ++m) {
#pragma unroll
        for (int h = 0; h < 2; ++h) {
            const int i = 16 * m + 8 * h;
            if (Lane::row<Form>() + Lane::quad() + i >= rows) continue;
#pragma unroll
            for (int n = 0; n < 8; ++n) use(m, h, n, i, 8 * n);
        }
    }
}

// A matrix in memory, as a lane sees it from its first row and column on: pairs of neighbours, 8 bytes where rows
// allow.
template <class Form>
class StoredMatrix {
 public:
    __device__ StoredMatrix(float* data, std::int64_t stride, std::int64_t row, std::int64_t column, std::int64_t end)
        : corner_{data + (row + Lane::row<Form>() + Lane::quad()) * stride + column + Lane::column() +
                  2 * Lane::in_quad()},
          stride_{stride},
          left_{static_cast<int>(min(end - column, static_cast<std::int64_t>(side))) - Lane::column() -
                2 * Lane::in_quad()},
          even_{stride % 2 == 0 && reinterpret_cast<std::uintptr_t>(data) % 8 == 0} {}

    __device__ void store(int i, int j, float left, float right) const {
        float* const to = corner_ + i * stride_ + j;
        if (even_ && j + 1 < left_) {
            *reinterpret_cast<float2*>(to) = make_float2(left, right);
            return;
        }
        if (j < left_) to[0] = left;
        if (j + 1 < left_) to[1] = right;
    }

 private:
    float* corner_;
    std::int64_t stride_;
    int left_;
    bool even_;
};

// logits[i stride + j] = f_i + g_j + slope r, and costs, where wanted.
struct LogitParameters {
    const float* f;
    float slope, factor;
    LogitTile<float> tile;
};

template <class Form>
class StoredLogits {
 public:
    using Parameters = LogitParameters;
    [[maybe_unused]] static constexpr bool extra = false;
    static constexpr bool uses_columns = true;
    static constexpr int shared_bytes = Form::rows * 2 * 4;

    __device__ StoredLogits(const Parameters& parameters, const Problem&, const Place& place, unsigned char* shared)
        : parameters_{parameters}, row_{place.row}, rows_{place.rows}, f_{reinterpret_cast<float*>(shared)} {
        const float* const offsets = parameters.tile.row_offsets;
        for (int i = threadIdx.x; i < rows_; i += Form::threads) {
            f_[i] = parameters.f[row_ + i];
            f_[Form::rows + i] = offsets != nullptr ? offsets[row_ + i] : 0;
        }
    }

    __device__ void tile(const Sums<Form::blocks>& c, std::int64_t column, std::int64_t end, const float* numbers) {
        const LogitTile<float>& tile = parameters_.tile;
        store(c, StoredMatrix<Form>{tile.logits, tile.stride, row_, column, end}, parameters_.slope, f_, numbers);
        if (tile.costs == nullptr) return;
        store(c, StoredMatrix<Form>{tile.costs, tile.stride, row_, column, end}, parameters_.factor, f_ + Form::rows,
              numbers + side);
    }

    __device__ void finish() {}

 private:
    __device__ void store(const Sums<Form::blocks>& c, const StoredMatrix<Form>& to, float slope, const float* rows,
                          const float* columns) const {
        for_each_pair<Form>(rows_, [&](int m, int h, int n, int i, int j) {
            const float row = rows[Lane::row<Form>() + Lane::quad() + i];
            const float2 column = *reinterpret_cast<const float2*>(columns + Lane::column() + 2 * Lane::in_quad() + j);
            to.store(i, j, fmaf(slope, c[m][n][2 * h], row + column.x),
                     fmaf(slope, c[m][n][2 * h + 1], row + column.y));
        });
    }

    Parameters parameters_;
    std::int64_t row_;
    int rows_;
    float* f_;  // in shared memory: f, and the rows' offsets of costs
};

// out[i stride + j] = r
struct ProductParameters {
    float* out;
    std::int64_t stride;
};

template <class Form>
class StoredProducts {
 public:
    using Parameters = ProductParameters;
    [[maybe_unused]] static constexpr bool extra = false;
    static constexpr bool uses_columns = false;
    static constexpr int shared_bytes = 0;

    __device__ StoredProducts(const Parameters& parameters, const Problem&, const Place& place, unsigned char*)
        : parameters_{parameters}, row_{place.row}, rows_{place.rows} {}

    __device__ void tile(const Sums<Form::blocks>& c, std::int64_t column, std::int64_t end, const float*) {
        const StoredMatrix<Form> to{parameters_.out, parameters_.stride, row_, column, end};
        for_each_pair<Form>(
            rows_, [&](int m, int h, int n, int i, int j) { to.store(i, j, c[m][n][2 * h], c[m][n][2 * h + 1]); });
    }

    __device__ void finish() {}

 private:
    Parameters parameters_;
    std::int64_t row_;
    int rows_;
};

// Chunks of what stores all it computes: long enough that the staying tile is worth reading, and many.
Cut cut_of_stores(const Pairs<float>& pairs) {
    constexpr std::int64_t wanted_blocks = 1024;
    const std::int64_t row_tiles = (pairs.staying.rows + side - 1) / side;
    const std::int64_t column_tiles = (pairs.summed.rows + side - 1) / side;
    const std::int64_t tiles = std::clamp<std::int64_t>(row_tiles * column_tiles / wanted_blocks, 1, 16);
    return {tiles * side, static_cast<int>((column_tiles + tiles - 1) / tiles)};
}

bool on_hopper() {
    int device = 0, major = 0, minor = 0;
    check(cudaGetDevice(&device), "asking for the device");
    check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device), "asking what it is");
    check(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device), "asking what it is");
    return major == 9 && minor == 0;
}

#ifdef CONVOY_HOPPER_PRODUCTS
constexpr bool hopper_products = true;
#else
constexpr bool hopper_products = false;
#endif

}  // namespace

}  // namespace products

void launch_sums_split(const Pairs<float>& pairs, const Cut& cut, double* partial, cudaStream_t stream) {
    using namespace products;
    if constexpr (hopper_products) {
        if (pairs.dimension <= most_dimensions_of_hopper && on_hopper()) {
            return launch_sums_hopper(pairs, cut, partial, stream);
        }
    }
    Problem problem = problem_of(pairs, cut);
    problem.first = {pairs.summed.logits, static_cast<float>(no_mass)};
    problem.second = {pairs.summed.weights, 0};
    launch_of<SumsOfTerms>(problem, SumsParameters{pairs.staying.logits, pairs.slope, partial}, stream);
}

void launch_logits_split(const Pairs<float>& pairs, const LogitTile<float>& tile, cudaStream_t stream) {
    using namespace products;
    Problem problem = problem_of(pairs, cut_of_stores(pairs));
    problem.first = {pairs.summed.logits, 0};
    problem.second = {tile.column_offsets, 0};
    launch_of<StoredLogits>(problem, LogitParameters{pairs.staying.logits, pairs.slope, pairs.factor, tile}, stream);
}

void launch_products(const Pairs<float>& pairs, float* out, std::int64_t stride, cudaStream_t stream) {
    using namespace products;
    launch_of<StoredProducts>(problem_of(pairs, cut_of_stores(pairs)), ProductParameters{out, stride}, stream);
}

}  // namespace convoy::cuda
