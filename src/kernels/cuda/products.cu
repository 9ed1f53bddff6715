#include <algorithm>

#include "kernels/cuda/device.hpp"
#include "kernels/cuda/kept_products.hpp"
#include "kernels/cuda/product_loop.hpp"
#include "kernels/cuda/tile.hpp"

namespace convoy::cuda {

namespace products {

// partial[chunk rows + i] = sum of w_j 2^(f_i + g_j + slope r). A lane adds 16 terms of a row and tile, in order; after
// longest_run of them a row's four lanes add up in fp64; in the end the warps of a row's left and right columns do.
struct SumsParameters {
    const float* f;
    float slope;
    double* partial;
};

template <int Blocks>
class SumsOfTerms {
 public:
    using Parameters = SumsParameters;
    static constexpr bool uses_columns = true;
    static constexpr int shared_bytes = 2 * side * 8 + side * 4;

    __device__ SumsOfTerms(const Parameters& parameters, const Problem& problem, const Place& place, const Lane& lane,
                           unsigned char* shared)
        : slope_{parameters.slope},
          partial_{parameters.partial + static_cast<std::int64_t>(place.chunk) * problem.rows + place.row},
          rows_{static_cast<int>(min(problem.rows - place.row, static_cast<std::int64_t>(side)))},
          lane_{lane},
          totals_{reinterpret_cast<double*>(shared)},
          f_{reinterpret_cast<float*>(totals_ + 2 * side)} {
        for (int i = threadIdx.x; i < side; i += blockDim.x) f_[i] = i < rows_ ? parameters.f[place.row + i] : 0;
#pragma unroll
        for (int m = 0; m < Blocks; ++m) {
#pragma unroll
            for (int h = 0; h < 2; ++h) {
                sum_[m][h] = 0;
                if (lane.in_quad == 0) total(m, h) = 0;
            }
        }
    }

    __device__ void tile(const Sums<Blocks>& c, std::int64_t, std::int64_t, const float* numbers) {
        const float* const mine = numbers + lane_.column + 2 * lane_.in_quad;
        float f[Blocks][2];
#pragma unroll
        for (int m = 0; m < Blocks; ++m) {
#pragma unroll
            for (int h = 0; h < 2; ++h) f[m][h] = f_[row(m, h)];
        }
#pragma unroll
        for (int n = 0; n < 8; ++n) {
            const float2 g = *reinterpret_cast<const float2*>(mine + 8 * n);
            const float2 w = *reinterpret_cast<const float2*>(mine + 8 * n + side);
#pragma unroll
            for (int m = 0; m < Blocks; ++m) {
#pragma unroll
                for (int h = 0; h < 2; ++h) {
                    const float left = ex2(fmaf(slope_, c[m][n][2 * h], f[m][h] + g.x));
                    const float right = ex2(fmaf(slope_, c[m][n][2 * h + 1], f[m][h] + g.y));
                    sum_[m][h] = fmaf(w.y, right, fmaf(w.x, left, sum_[m][h]));
                }
            }
        }
        if (++tiles_ == longest_run / terms_of_tile) empty();
    }

    __device__ void finish() {
        empty();
        __syncthreads();
        for (int i = threadIdx.x; i < rows_; i += blockDim.x) partial_[i] = totals_[i] + totals_[side + i];
    }

 private:
    static constexpr int terms_of_tile = warp_columns / 4;

    __device__ int row(int m, int h) const {
        return lane_.row + 16 * m + 8 * h + lane_.quad;
    }
    __device__ double& total(int m, int h) const {
        return totals_[lane_.column / warp_columns * side + row(m, h)];
    }
    __device__ void empty() {
#pragma unroll
        for (int m = 0; m < Blocks; ++m) {
#pragma unroll
            for (int h = 0; h < 2; ++h) {
                double sum = sum_[m][h];
                sum += __shfl_xor_sync(0xffffffffu, sum, 1);
                sum += __shfl_xor_sync(0xffffffffu, sum, 2);
                if (lane_.in_quad == 0) total(m, h) += sum;
                sum_[m][h] = 0;
            }
        }
        tiles_ = 0;
    }

    float slope_;
    double* partial_;
    int rows_;
    Lane lane_;
    // In shared memory: fp64 sums of either half of the columns, and f. Registers are for products.
    double* totals_;
    float* f_;
    float sum_[Blocks][2];
    int tiles_ = 0;
};

// Calls use(m, h, n, i, j) for every pair of neighbours of a row that a lane holds, at row i and columns j and j + 1 of
// the warp's tile, where row i is there.
template <int Blocks, class Use>
__device__ inline void for_each_pair(const Lane& lane, int rows, const Use& use) {
#pragma unroll
    for (int m = 0; m < Blocks; ++m) {
#pragma unroll
        for (int h = 0; h < 2; ++h) {
            const int i = 16 * m + 8 * h;
            if (lane.row + lane.quad + i >= rows) continue;
#pragma unroll
            for (int n = 0; n < 8; ++n) use(m, h, n, i, 8 * n);
        }
    }
}

// A matrix in memory, as a lane sees it: its pairs of neighbours, 8 bytes where rows allow it. Four lanes write a whole
// sector of 32 bytes.
class StoredMatrix {
 public:
    __device__ StoredMatrix(float* data, std::int64_t stride, std::int64_t row, std::int64_t column, std::int64_t end,
                            const Lane& lane)
        : corner_{data + (row + lane.row + lane.quad) * stride + column + lane.column + 2 * lane.in_quad},
          stride_{stride},
          left_{static_cast<int>(min(end - column, static_cast<std::int64_t>(side))) - lane.column - 2 * lane.in_quad},
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

template <int Blocks>
class StoredLogits {
 public:
    using Parameters = LogitParameters;
    static constexpr bool uses_columns = true;
    static constexpr int shared_bytes = 2 * side * 4;

    __device__ StoredLogits(const Parameters& parameters, const Problem& problem, const Place& place, const Lane& lane,
                            unsigned char* shared)
        : parameters_{parameters},
          row_{place.row},
          rows_{static_cast<int>(min(problem.rows - place.row, static_cast<std::int64_t>(side)))},
          lane_{lane},
          f_{reinterpret_cast<float*>(shared)} {
        const float* const offsets = parameters.tile.row_offsets;
        for (int i = threadIdx.x; i < rows_; i += blockDim.x) {
            f_[i] = parameters.f[row_ + i];
            f_[side + i] = offsets != nullptr ? offsets[row_ + i] : 0;
        }
    }

    __device__ void tile(const Sums<Blocks>& c, std::int64_t column, std::int64_t end, const float* numbers) {
        const LogitTile<float>& tile = parameters_.tile;
        store(c, StoredMatrix{tile.logits, tile.stride, row_, column, end, lane_}, parameters_.slope, f_, numbers);
        if (tile.costs == nullptr) return;
        store(c, StoredMatrix{tile.costs, tile.stride, row_, column, end, lane_}, parameters_.factor, f_ + side,
              numbers + side);
    }

    __device__ void finish() {}

 private:
    __device__ void store(const Sums<Blocks>& c, const StoredMatrix& to, float slope, const float* rows,
                          const float* columns) const {
        for_each_pair<Blocks>(lane_, rows_, [&](int m, int h, int n, int i, int j) {
            const float row = rows[lane_.row + lane_.quad + i];
            const float2 column = *reinterpret_cast<const float2*>(columns + lane_.column + 2 * lane_.in_quad + j);
            to.store(i, j, fmaf(slope, c[m][n][2 * h], row + column.x),
                     fmaf(slope, c[m][n][2 * h + 1], row + column.y));
        });
    }

    Parameters parameters_;
    std::int64_t row_;
    int rows_;
    Lane lane_;
    float* f_;  // in shared memory: f, and the rows' offsets of costs
};

// out[i stride + j] = r
struct ProductParameters {
    float* out;
    std::int64_t stride;
};

template <int Blocks>
class StoredProducts {
 public:
    using Parameters = ProductParameters;
    static constexpr bool uses_columns = false;
    static constexpr int shared_bytes = 0;

    __device__ StoredProducts(const Parameters& parameters, const Problem& problem, const Place& place,
                              const Lane& lane, unsigned char*)
        : parameters_{parameters},
          row_{place.row},
          rows_{static_cast<int>(min(problem.rows - place.row, static_cast<std::int64_t>(side)))},
          lane_{lane} {}

    __device__ void tile(const Sums<Blocks>& c, std::int64_t column, std::int64_t end, const float*) {
        const StoredMatrix to{parameters_.out, parameters_.stride, row_, column, end, lane_};
        for_each_pair<Blocks>(lane_, rows_, [&](int m, int h, int n, int i, int j) {
            to.store(i, j, c[m][n][2 * h], c[m][n][2 * h + 1]);
        });
    }

    __device__ void finish() {}

 private:
    Parameters parameters_;
    std::int64_t row_;
    int rows_;
    Lane lane_;
};

namespace {

Problem problem_of(const Pairs<float>& pairs, const Cut& cut) {
    Problem problem;
    problem.staying = pairs.staying.split;
    problem.summed = pairs.summed.split;
    problem.rows = pairs.staying.rows;
    problem.columns = pairs.summed.rows;
    problem.dimension = static_cast<int>(pairs.dimension);
    problem.cut = cut;
    // Staying tiles that are read again for every summed tile stay in the L2 cache.
    constexpr std::int64_t l2_bytes = std::int64_t{16} << 20;
    const std::int64_t tile_bytes = pairs.staying.split.stride * side * 4;
    problem.group = static_cast<int>(std::clamp<std::int64_t>(l2_bytes / tile_bytes, 4, 32));
    return problem;
}

template <template <int> class Epilogue, class Parameters>
void launch_of(Problem problem, const Parameters& parameters, cudaStream_t stream) {
    const std::int64_t tiles = (problem.rows + side - 1) / side;
    Shape shape;
    shape.blocks = dim3(static_cast<unsigned>(tiles * problem.cut.chunks));
    if (problem.dimension <= depth) {
        shape.threads = dim3(Narrow::threads);
        shape.shared = narrow_bytes<Epilogue<Narrow::blocks>>();
        launch(narrow_products<Epilogue<Narrow::blocks>>, shape, stream, problem, parameters);
    } else {
        const int slices = (problem.dimension + depth - 1) / depth;
        problem.resident = resident_slices(slices);
        shape.threads = dim3(Wide::threads);
        shape.shared = wide_bytes<Epilogue<Wide::blocks>>(slices, problem.resident);
        launch(wide_products<Epilogue<Wide::blocks>>, shape, stream, problem, parameters);
    }
}

// Chunks of what stores all it computes: long enough that the staying tile is worth reading, and many.
Cut cut_of_stores(const Pairs<float>& pairs) {
    constexpr std::int64_t wanted_blocks = 1024;
    const std::int64_t row_tiles = (pairs.staying.rows + side - 1) / side;
    const std::int64_t column_tiles = (pairs.summed.rows + side - 1) / side;
    const std::int64_t tiles = std::clamp<std::int64_t>(row_tiles * column_tiles / wanted_blocks, 1, 16);
    return {tiles * side, static_cast<int>((column_tiles + tiles - 1) / tiles)};
}

}  // namespace

}  // namespace products

void launch_sums_split(const Pairs<float>& pairs, const Cut& cut, double* partial, cudaStream_t stream) {
    using namespace products;
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
